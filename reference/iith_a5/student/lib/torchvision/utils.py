"""Pictures put side by side, and saved; here they are only put together."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def make_grid(
    tensor: Tensor | Sequence[Tensor], nrow: int = 8, padding: int = 2, **options: Any
) -> Tensor:
    """Put pictures (batch, channels, height, width) into rows of `nrow`: one of three channels."""
    images = tensor if isinstance(tensor, Tensor) else torch.stack(list(tensor))
    images = images.reshape(-1, *images.shape[-3:]) if images.ndim > 2 else images[None, None]
    images = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    images = torch.nn.functional.pad(images, [0, padding, 0, padding])
    rows = [torch.cat(list(row), dim=2) for row in images.split(nrow)]
    widest = max(row.shape[2] for row in rows)
    return torch.cat(
        [torch.nn.functional.pad(row, [0, widest - row.shape[2]]) for row in rows], dim=1
    )


def save_image(tensor: Tensor | Sequence[Tensor], fp: Any, **options: Any) -> None:
    """Save nothing: there is nobody to look at it."""
