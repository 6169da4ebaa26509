"""Measurements that are run by hand and never asserted in a test; see `README.md` beside this."""
