"""Question 4 of nyu_hw2: a vision transformer, and what tells one that is as asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        """Make one layer for queries, keys and values, and one for the output."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Let every token gather from all: (batch, tokens, dim) to the same."""
        batch, tokens, dim = x.shape
        split = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / (dim // self.heads) ** 0.5
        gathered = scores.softmax(dim=-1) @ value
        mixed: Tensor = self.proj(gathered.transpose(1, 2).reshape(x.shape))
        return mixed


class Block(nn.Module):
    """One layer: attention, then a perceptron, each behind a norm and beside a shortcut."""

    def __init__(self, dim: int, heads: int, mlp_dim: int) -> None:
        """Make both parts."""
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, dim) to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Classify grey images from their patches and a class token.

    Source: Dosovitskiy et al. 2021, section 3.1.
    """

    def __init__(
        self,
        image_size: int = 28,
        patch_size: int = 4,
        num_classes: int = 10,
        dim: int = 64,
        depth: int = 6,
        heads: int = 4,
        mlp_dim: int = 128,
    ) -> None:
        """Make the embeddings, `depth` layers, and the head."""
        super().__init__()
        self.patch_size = patch_size
        self.embed = nn.Linear(patch_size**2, dim)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        tokens = (image_size // patch_size) ** 2 + 1
        self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the classes: (batch, 1, size, size) to (batch, num_classes)."""
        x = self.embed(patches(images, self.patch_size))
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.head(self.norm(x[:, 0]))
        return scores


def patches(images: Tensor, size: int) -> Tensor:
    """Cut images into patches: (batch, 1, rows, columns) to (batch, patches, size * size)."""
    return nn.functional.unfold(images, kernel_size=size, stride=size).transpose(1, 2)


def with_patches_shuffled(seed: int, count: int, image_size: int, patch_size: int) -> Tensor:
    """Draw noise images, and behind them the same ones with their patches in another order.

    Returns:
        (2 * count, 1, image_size, image_size).
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, image_size, image_size, generator=generator)
    cut = patches(images, patch_size)
    order = torch.randperm(cut.shape[1], generator=generator)
    mixed = cut[:, order].transpose(1, 2)
    shuffled = nn.functional.fold(mixed, image_size, kernel_size=patch_size, stride=patch_size)
    return torch.cat([images, shuffled])


def uses_positions(outputs: Sequence[Tensor]) -> bool | str:
    """Whether images and the same ones with shuffled patches get different scores.

    Args:
        outputs: For each of some inputs, the scores of the images, then of the shuffled ones.
    """
    for scores in outputs:
        images, shuffled = scores.detach().double().chunk(2)
        if (images - images[:1]).abs().max() <= 1e-4 * images.abs().max():
            return (
                "Different images get the same scores: nothing of the image reaches them. "
                "Does the attention run over the batch (batch_first)?"
            )
        if (images - shuffled).abs().max() <= 1e-4 * images.abs().max():
            return (
                "Shuffling the patches of an image changes nothing: "
                "the tokens say nowhere from which place of the image they come."
            )
    return True


def asked_vit_holds(
    outputs: Sequence[Tensor],
    parameters: Mapping[str, Sequence[int]],
    modules: Mapping[str, Mapping[str, Any]],
) -> bool | str:
    """Whether a ViT of the asked sizes has its layers, heads and 49 + 1 tokens, and positions."""
    return (
        has_layers(parameters, depth=6, dim=64, mlp_dim=128)
        or has_heads(modules, heads=4)
        or has_patches(parameters, count=49, dim=64, mlp_dim=128)
        or has_class_token(parameters, count=49, dim=64)
        or uses_positions(outputs)
    )


def small_vit_holds(
    outputs: Sequence[Tensor],
    parameters: Mapping[str, Sequence[int]],
    modules: Mapping[str, Mapping[str, Any]],
) -> bool | str:
    """Whether another ViT has the 2 layers of dim 32 and mlp_dim 48, and the 2 heads, asked for."""
    return (
        has_layers(parameters, depth=2, dim=32, mlp_dim=48)
        or has_heads(modules, heads=2)
        or has_patches(parameters, count=16, dim=32, mlp_dim=48)
        or uses_positions(outputs)
    )


def has_heads(modules: Mapping[str, Mapping[str, Any]], heads: int) -> str | None:
    """Say if torch's own attentions have another number of heads; None where there are none."""
    held = {
        layer["attributes"].get("num_heads")
        for layer in modules.values()
        if "MultiheadAttention" in layer["classes"]
    }
    if not held or heads in held:
        return None
    return f"Built with heads={heads}, no attention in it has {heads} heads."


def tables(parameters: Mapping[str, Sequence[int]], dim: int) -> set[int]:
    """Numbers of rows of all parameters that hold several rows of `dim` numbers."""
    shapes = [tuple(shape) for shape in parameters.values()]
    found = {s[-2] for s in shapes if len(s) > 1 and s[-1] == dim and set(s[:-2]) <= {1}}
    return found - {1}


def has_patches(
    parameters: Mapping[str, Sequence[int]], count: int, dim: int, mlp_dim: int
) -> str | None:
    """Say if learned positions are those of fewer, larger patches, with a class token.

    Only where it is sure: there is no table of as many rows as patches, or more, and one of 5 or 17
    rows, which nothing else has. Positions may also be fixed, or be learned by row and column.
    """
    found = tables(parameters, dim)
    other = {rows for rows in (5, 17) if rows in found and rows < count}
    # Linear layers are no positions: their rows are queries, keys and values, or mlp_dim.
    large = {rows for rows in found if rows >= count and rows % dim and rows != mlp_dim}
    if not other or large:
        return None
    return f"There should be {count} patches; the learned positions are those of {max(other) - 1}."


def has_class_token(parameters: Mapping[str, Sequence[int]], count: int, dim: int) -> str | None:
    """Say if learned positions are those of patches alone, and nothing can be a class token.

    Args:
        parameters: Shapes by name.
        count: How many patches there are.
        dim: Width of a token.
    """
    found = tables(parameters, dim)
    if count not in found or count + 1 in found:
        return None
    for name, shape in parameters.items():
        own = name.split(".")[-1] not in ("weight", "bias", "in_proj_bias")
        if np.prod(shape) == dim and (own or (len(shape) > 1 and shape[-1] == dim)):
            return None
    return f"There is no class token: the learned positions are those of {count} patches alone."


def has_layers(
    parameters: Mapping[str, Sequence[int]], depth: int, dim: int, mlp_dim: int
) -> str | None:
    """Say what is wrong with the layers of a transformer; None if nothing is.

    However its layers are named and cut, each has at least the weights of attention (4 dim^2) and
    perceptron (2 dim mlp_dim). Biases, norms, a wider attention (heads of 64 each) come on top.

    Args:
        parameters: Shapes by name.
        depth: How many layers there must be.
        dim: Width of a token.
        mlp_dim: Width inside of a layer's perceptron.
    """
    least = 4 * dim**2 + 2 * dim * mlp_dim
    found = count_of_layers(parameters, least)
    if found != depth:
        return (
            f"Built with depth={depth}, dim={dim} and mlp_dim={mlp_dim}, it should have {depth} "
            f"layers of at least {least:,} parameters; we find {found}."
        )
    if not any(mlp_dim in shape and dim in shape for shape in parameters.values()):
        return f"Built with mlp_dim={mlp_dim}, no layer leads from dim={dim} to mlp_dim."
    return None


def count_of_layers(parameters: Mapping[str, Sequence[int]], least: int) -> int:
    """Count the numbered parts that are alike and have at least `least` parameters each.

    `blocks.0.mlp.2.weight` belongs to `blocks.0` and to `blocks.0.mlp.2`: whichever of these
    levels has the most parts that are large enough is that of the layers.
    """
    most = 0
    for level in range(4):
        parts: dict[str, list[tuple[int, ...]]] = {}
        for name, shape in parameters.items():
            numbers = list(re.finditer(r"\d+", name))
            if level < len(numbers):
                parts.setdefault(name[: numbers[level].end()], []).append(tuple(shape))
        alike = Counter(
            tuple(sorted(shapes))
            for shapes in parts.values()
            if sum(int(np.prod(shape)) for shape in shapes) >= least
        )
        most = max([most, *alike.values()])
    return most
