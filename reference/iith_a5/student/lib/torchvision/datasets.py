"""Data sets, which are downloaded, so that there are none here."""

from typing import Any


class _Downloaded:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        raise RuntimeError(f"Dataset not found: {name} cannot be downloaded without a network.")


class MNIST(_Downloaded):
    """Handwritten digits."""


class FashionMNIST(_Downloaded):
    """Clothes."""


class CIFAR10(_Downloaded):
    """Small pictures."""


class CocoCaptions(_Downloaded):
    """Pictures with captions."""


class KMNIST(_Downloaded):
    """Handwritten Japanese."""


class CIFAR100(_Downloaded):
    """Small pictures of more kinds."""


class SVHN(_Downloaded):
    """Numbers of houses."""


class CelebA(_Downloaded):
    """Faces."""


class ImageFolder(_Downloaded):
    """Pictures in folders."""
