"""Grade deep-learning notebooks: execute in a sandbox, compare outside, report to CSV."""

__version__ = "0.1.0"
