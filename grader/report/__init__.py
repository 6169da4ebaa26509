"""Reports: views of scores, rebuilt at any time."""
