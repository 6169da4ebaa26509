"""Intake: submissions are read as data and hashed, one file a layout; nothing is executed."""
