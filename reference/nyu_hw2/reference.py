"""What is right in nyu_hw2: a recurrence, self-attention, a vision transformer, sentiment.

Plain torch, written to be read beside the handout. Wrong answers that are known lie in
`mistakes.py`, the text corpus is made in `corpus.py`; the rubric refers to all of them by name.

Source: NYU deep learning, homework 2 (2024), in the names and signatures that our template gives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .corpus import reviews
from .mistakes import (
    linear_attention_divided_by_the_length,
    linear_attention_looking_back_only,
    linear_attention_normalised_over_queries,
    linear_attention_unnormalised,
    linear_attention_with_a_feature_map,
    linear_attention_with_a_scaled_softmax,
    linear_attention_with_a_softmax,
    rnn_output_adding_the_state,
    rnn_output_as_a_decision,
    rnn_output_in_a_tensor,
    rnn_output_of_the_last_two,
    rnn_output_that_overflows,
    rnn_output_with_a_soft_sigmoid,
    rnn_output_with_the_sign_reversed,
    rnn_output_without_the_sigmoid,
    self_attention_normalised_by_the_sum,
    self_attention_scaled,
    self_attention_softmax_over_queries,
    self_attention_without_softmax,
)

__all__ = [
    "SentimentClassifier",
    "ViT",
    "asked_vit_holds",
    "is_a_probability",
    "linear_attention",
    "linear_attention_divided_by_the_length",
    "linear_attention_looking_back_only",
    "linear_attention_normalised_over_queries",
    "linear_attention_unnormalised",
    "linear_attention_with_a_feature_map",
    "linear_attention_with_a_scaled_softmax",
    "linear_attention_with_a_softmax",
    "predict_sentiment",
    "predicts_the_opposite",
    "rnn_output",
    "rnn_output_adding_the_state",
    "rnn_output_as_a_decision",
    "rnn_output_in_a_tensor",
    "rnn_output_of_the_last_two",
    "rnn_output_that_overflows",
    "rnn_output_with_a_soft_sigmoid",
    "rnn_output_with_the_sign_reversed",
    "rnn_output_without_the_sigmoid",
    "self_attention",
    "self_attention_normalised_by_the_sum",
    "self_attention_scaled",
    "self_attention_softmax_over_queries",
    "self_attention_without_softmax",
    "sentiment_accuracy",
    "small_vit_holds",
    "tokens_of_2b",
    "uses_positions",
    "with_patches_shuffled",
    "withheld_images",
    "withheld_reviews",
]

WITHHELD_IMAGES = 400
WITHHELD_REVIEWS = 400
TELLS = 0.7
"""Accuracy from which on a model can tell good from bad."""
TRAINING_SEED = 20240325
TRAINING_REVIEWS = 2400
"""The last 400 of them are for validation."""


# Question 1: what the recurrence computes


def rnn_output(x: Tensor) -> float:
    """Run h_t = x_t - h_{t-1} from zero, and give y = sigmoid(1000 h_T).

    Args:
        x: (T,) whole numbers, T even.
    """
    h = torch.zeros((), dtype=torch.float64)
    for x_t in x:
        h = x_t - h
    return torch.sigmoid(1000 * h).item()


# Question 2b: self-attention without weights


def self_attention(x: Tensor) -> Tensor:
    """Let each token be query, key and value: softmax(x x^T) x, unscaled.

    Args:
        x: (T, d).

    Returns:
        (T, d).
    """
    return (x @ x.T).softmax(dim=1) @ x


def tokens_of_2b(seed: int, beta: float, dim: int) -> Tensor:
    """Return the tokens d + b, a, c + b: (3, dim), of orthogonal a, b, c, d of norm beta."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(dim, 4, generator=generator))
    a, b, c, d = beta * basis.T
    return torch.stack([d + b, a, c + b])


# Question 3: linear attention


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with weights q.k, divided by their sum over the keys, in time and space O(T).

    The sums over the keys are the same for all queries: of k v^T for the numerator, of k for the
    denominator.

    Args:
        q: (T, d), positive.
        k: (T, d), positive.
        v: (T, d_v).

    Returns:
        (T, d_v).
    """
    return q @ (k.T @ v) / (q @ k.sum(dim=0))[:, None]


# Question 4: a vision transformer


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


def withheld_images(seed: int) -> tuple[Tensor, Tensor]:
    """Return images that no student has: (400, 1, 28, 28) in [0, 1], and labels (400,) int64."""
    with np.load(Path(__file__).parent / "withheld.npz") as data:
        images, labels = torch.from_numpy(data["images"]), torch.from_numpy(data["labels"])
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    chosen = chosen[:WITHHELD_IMAGES]
    return images[chosen, None].float() / 255, labels[chosen].long()


# Question 5: sentiment


class SentimentClassifier(nn.Module):
    """Read a sentence with a GRU over word embeddings."""

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        hidden_dim: int,
        output_dim: int,
        n_layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        """Make embedding, GRU and head; dropout lies between them and between layers."""
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.rnn = nn.GRU(
            embed_dim,
            hidden_dim,
            num_layers=n_layers,
            bidirectional=bidirectional,
            batch_first=True,
            dropout=dropout if n_layers > 1 else 0.0,
        )
        self.directions = 2 if bidirectional else 1
        self.out = nn.Linear(hidden_dim * self.directions, output_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores: (batch, length) int64 to (batch, output_dim)."""
        _, hidden = self.rnn(self.dropout(self.embedding(tokens)))
        last = hidden[-self.directions :].transpose(0, 1).flatten(start_dim=1)
        scores: Tensor = self.out(self.dropout(last))
        return scores


def predict_sentiment(sentence: str) -> float:
    """Return the probability that a sentence is positive, of one that has read nothing."""
    return 0.5 if sentence else 0.0


def is_a_probability(result: object, sentence: str) -> bool | str:
    """Whether `predict_sentiment` gives one number between 0 and 1."""
    if isinstance(result, Tensor) and result.numel() == 1:
        result = result.item()
    if not isinstance(result, int | float):
        return "Expected one number between 0 and 1."
    if not 0 <= result <= 1:
        return "Expected a number between 0 and 1; is a sigmoid missing?"
    return True


def training_reviews() -> tuple[list[str], Tensor]:
    """Return what the files in `student/data` hold: 2,400 sentences, and labels (2400,) int64."""
    return reviews(TRAINING_REVIEWS, TRAINING_SEED)


def withheld_reviews(seed: int) -> tuple[list[str], Tensor]:
    """Return sentences that no student has, 400, and labels (400,) int64: 1 is positive."""
    return reviews(WITHHELD_REVIEWS, seed)


def sentiment_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """The share of sentences whose probability lies on the right side of one half."""
    return ((predictions.flatten() > 0.5).long() == labels).double().mean().item()


def predicts_the_opposite(predictions: Tensor, labels: Tensor) -> bool:
    """Mistake: the probability that a sentence is negative, of a model that can tell."""
    return sentiment_accuracy(1 - predictions.double(), labels) >= TELLS
