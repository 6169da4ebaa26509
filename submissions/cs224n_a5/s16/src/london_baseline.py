"""The baseline of 2d."""


def london_baseline(pairs):
    """Percent right if everybody was born in London. pairs: a list of (question, place)."""
    ...  # your code
