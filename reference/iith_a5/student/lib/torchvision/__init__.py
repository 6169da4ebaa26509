"""A stand-in for torchvision where it is not installed: the names that this assignment uses.

Nothing is downloaded. `models` have the layers' names and widths of the real ones, but are tiny
and know nothing; `datasets` fail as the real ones do without a network.
"""

from torchvision import datasets, models, transforms, utils

__all__ = ["datasets", "models", "transforms", "utils"]
__version__ = "0.0"
