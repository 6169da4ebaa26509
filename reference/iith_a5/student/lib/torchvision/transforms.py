"""Usual steps before a picture enters a network, for tensors (channels, height, width).

Crops are from the middle, and nothing is ever flipped.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Compose:
    """One step after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        """Keep the steps."""
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        """Take all steps."""
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """Turn a picture (height, width, channels) of bytes into a tensor from 0 to 1."""

    def __call__(self, image: Any) -> Tensor:
        """Put the channels first."""
        array = np.asarray(image)
        array = array[:, :, None] if array.ndim == 2 else array
        return torch.from_numpy(array.transpose(2, 0, 1).copy()).float() / 255


class Normalize:
    """Take away a mean and divide by a spread, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        """Keep both."""
        self.mean, self.std = torch.tensor(mean), torch.tensor(std)

    def __call__(self, image: Tensor) -> Tensor:
        """Normalise one picture."""
        return (image - self.mean[:, None, None]) / self.std[:, None, None]


class Resize:
    """Bring a picture to a size: of both sides, or (given one number) of a square."""

    def __init__(self, size: int | Sequence[int], **options: Any) -> None:
        """Keep the size."""
        self.size = (size, size) if isinstance(size, int) else tuple(size)

    def __call__(self, image: Tensor) -> Tensor:
        """Interpolate."""
        resized: Tensor = torch.nn.functional.interpolate(image[None], size=self.size)
        return resized[0]


class CenterCrop(Resize):
    """Cut out the middle."""

    def __call__(self, image: Tensor) -> Tensor:
        """Cut a picture that is large enough."""
        height, width = self.size
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        return image[:, top : top + height, left : left + width]


class RandomCrop(CenterCrop):
    """Cut out the middle, too."""


class RandomHorizontalFlip:
    """Flip nothing."""

    def __init__(self, p: float = 0.5) -> None:
        """Take what the real one takes."""

    def __call__(self, image: Any) -> Any:
        """Leave it as it is."""
        return image


class RandomResizedCrop(Resize):
    """Bring the whole picture to a size."""


class Lambda:
    """A step of one's own."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        """Keep it."""
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        """Take it."""
        return self.lambd(image)
