"""A small stand-in for the package of this name, for where it is not installed."""
