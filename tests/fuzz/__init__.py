"""Every reader of what a student or an outsider touched, put to bytes that nobody expects.

See docs/fuzzing.md: `scripts/fuzz` runs one target for long, `test_fuzz.py` all of them for short.
"""
