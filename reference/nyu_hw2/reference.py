"""What is right in nyu_hw2: a recurrence, self-attention, a vision transformer, sentiment.

Plain torch, written to be read beside the handout. Wrong answers that are known lie in
`mistakes.py`, the vision transformer in `vit.py`, and the text corpus is made in `corpus.py`; the
rubric refers to all of them by name.

Source: NYU deep learning, homework 2 (2024), in the names and signatures that our template gives.
"""

from __future__ import annotations

from pathlib import Path

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
from .vit import (
    ViT,
    asked_vit_holds,
    small_vit_holds,
    uses_positions,
    with_patches_shuffled,
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


# Question 4: withheld images; the vision transformer stands in `vit.py`


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
