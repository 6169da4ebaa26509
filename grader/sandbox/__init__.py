"""Sandboxes: one launcher a file, all running the same guest under the contract of `base.py`."""
