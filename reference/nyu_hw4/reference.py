"""What is right in nyu_hw4, and the mistakes that students are known to make.

Plain torch, written to be read beside the handout. A known mistake is a function of its own, named
for what it does, with the signature of the right one; the rubric refers to both by name.

Source: NYU deep learning, homework 4 (2020), in the names and signatures that our template gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]
Weigh = Callable[[Tensor, Tensor | None], Tensor]

SYMBOLS = 5
LENGTH = 15
TRAINING_SEED = 20201031
TRAINING_COUNT = 2000
WITHHELD_COUNT = 500


# Question 1: which rows attend to which columns


def distances(n: int) -> Tensor:
    """Return how far each column lies before each row: (n, n) int64, negative after the row."""
    position = torch.arange(n)
    return position[:, None] - position[None, :]


def same_window(n: int, w: int) -> Tensor:
    """Return where row and column lie in the same window of `w` tokens: (n, n) bool."""
    window = torch.arange(n) // w
    return window[:, None] == window[None, :]


def causal_mask(n: int) -> Tensor:
    """Each token (row) attends to itself and to all before it (columns): (n, n) bool."""
    return distances(n) >= 0


def strided_mask(n: int, t: int) -> Tensor:
    """Each token attends to itself and to at most `t` tokens before it: (n, n) bool."""
    return (distances(n) >= 0) & (distances(n) <= t)


def windowed_mask(n: int, w: int) -> Tensor:
    """Each token attends to itself and to what precedes it in its window of `w`: (n, n) bool."""
    return (distances(n) >= 0) & same_window(n, w)


def full_mask(n: int) -> Tensor:
    """Mistake: every token attends to every token, so n^2 products are computed."""
    return torch.ones(n, n, dtype=torch.bool)


def strict_causal_mask(n: int) -> Tensor:
    """Mistake: a token does not attend to itself."""
    return distances(n) > 0


def transposed_causal_mask(n: int) -> Tensor:
    """Mistake: columns attend to rows, so a token looks at itself and at what follows."""
    return causal_mask(n).T


def inverted_causal_mask(n: int) -> Tensor:
    """Mistake: True where a row may not attend, as `torch.nn.MultiheadAttention` has it."""
    return ~causal_mask(n)


def strided_mask_one_too_narrow(n: int, t: int) -> Tensor:
    """Mistake: a band of width t, because the token itself is counted among the t."""
    return (distances(n) >= 0) & (distances(n) < t)


def strict_strided_mask(n: int, t: int) -> Tensor:
    """Mistake: the t tokens before, without the token itself."""
    return (distances(n) > 0) & (distances(n) <= t)


def transposed_strided_mask(n: int, t: int) -> Tensor:
    """Mistake: a token looks at itself and at the t tokens that follow."""
    return strided_mask(n, t).T


def symmetric_strided_mask(n: int, t: int) -> Tensor:
    """Mistake: a token looks at t tokens on either side."""
    return distances(n).abs() <= t


def inverted_strided_mask(n: int, t: int) -> Tensor:
    """Mistake: True where a row may not attend."""
    return ~strided_mask(n, t)


def full_windowed_mask(n: int, w: int) -> Tensor:
    """Mistake: a token looks at its whole window, so windows are full squares."""
    return same_window(n, w)


def strict_windowed_mask(n: int, w: int) -> Tensor:
    """Mistake: what precedes a token in its window, without the token itself."""
    return (distances(n) > 0) & same_window(n, w)


def transposed_windowed_mask(n: int, w: int) -> Tensor:
    """Mistake: a token looks at itself and at what follows in its window."""
    return windowed_mask(n, w).T


def sliding_windowed_mask(n: int, w: int) -> Tensor:
    """Mistake: the window slides along with the token, which makes it a band of width w."""
    return (distances(n) >= 0) & (distances(n) < w)


def inverted_windowed_mask(n: int, w: int) -> Tensor:
    """Mistake: True where a row may not attend."""
    return ~windowed_mask(n, w)


# Question 2d: the recurrence over a grid


def rnn2d(
    x: Tensor,
    w_in: Tensor,
    w_left: Tensor,
    w_top: Tensor,
    activation: Activation = torch.tanh,
) -> Tensor:
    """Run h[i, j] = activation(w_in x[i, j] + w_left h[i-1, j] + w_top h[i, j-1]) over a grid.

    Args:
        x: (n, n, c), the inputs.
        w_in: (h, c).
        w_left: (h, h), applied to the state at (i-1, j), as the sheet's equation has it.
        w_top: (h, h), applied to the state at (i, j-1).
        activation: Applied to every new state.

    Returns:
        (n, n, h), the states; outside the grid they are zero.
    """
    rows, columns, _ = x.shape
    outside = x.new_zeros(w_in.shape[0])
    states: dict[tuple[int, int], Tensor] = {}
    for i in range(rows):
        for j in range(columns):
            before_i = states.get((i - 1, j), outside)
            before_j = states.get((i, j - 1), outside)
            states[i, j] = activation(w_in @ x[i, j] + w_left @ before_i + w_top @ before_j)
    return torch.stack(list(states.values())).reshape(rows, columns, -1)


def rnn2d_with_neighbours_swapped(
    x: Tensor, w_in: Tensor, w_left: Tensor, w_top: Tensor, activation: Activation = torch.tanh
) -> Tensor:
    """Mistake: w_left is applied at (i, j-1) and w_top at (i-1, j), the other way round."""
    return rnn2d(x, w_in, w_top, w_left, activation)


def rnn2d_without_activation(
    x: Tensor, w_in: Tensor, w_left: Tensor, w_top: Tensor, activation: Activation = torch.tanh
) -> Tensor:
    """Mistake: the activation is never applied."""
    return rnn2d(x, w_in, w_left, w_top, lambda state: state)


def rnn2d_with_transposed_weights(
    x: Tensor, w_in: Tensor, w_left: Tensor, w_top: Tensor, activation: Activation = torch.tanh
) -> Tensor:
    """Mistake: h @ w instead of w @ h, which the square recurrent weights don't complain about."""
    return rnn2d(x, w_in, w_left.T, w_top.T, activation)


def rnn2d_with_zero_borders(
    x: Tensor, w_in: Tensor, w_left: Tensor, w_top: Tensor, activation: Activation = torch.tanh
) -> Tensor:
    """Mistake: the loops start at 1, so the first row and the first column stay zero."""
    rows, columns, _ = x.shape
    states = x.new_zeros(rows, columns, w_in.shape[0])
    states[1:, 1:] = rnn2d(x[1:, 1:], w_in, w_left, w_top, activation) if rows > 1 else 0
    return states


# Question 3: masked multi-head self-attention


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Turn scores into weights that sum to one over the keys a query may attend to.

    Args:
        scores: (batch, heads, n queries, n keys).
        mask: (n, n) bool, True where a query (row) may attend to a key (column), or None.
    """
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1)


def softmax_over_queries(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Mistake: weights sum to one over the queries (dim -2)."""
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-2)


def mask_after_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Mistake: masked weights are set to zero afterwards, so the rest no longer sum to one."""
    weights = scores.softmax(dim=-1)
    return weights if mask is None else weights.masked_fill(~mask, 0.0)


def inverted_masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Mistake: True is read as "may not attend"; a query that is left with no key gives NaN."""
    return masked_softmax(scores, None if mask is None else ~mask)


class SelfAttention(nn.Module):
    """Multi-head self-attention, each head on its own run of neighbouring columns.

    Args:
        d_model: Width of every token.
        n_heads: Number of heads; divides `d_model`.
        divisor: What scores are divided by; sqrt(d_head) if left out, anything else is a mistake.
        weigh: How scores become weights; anything but the default is a mistake.

    Source: Vaswani et al. 2017, sections 3.2.1 and 3.2.2.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        divisor: float | None = None,
        weigh: Weigh = masked_softmax,
    ) -> None:
        """Make the four linear layers, d_model to d_model each, with bias."""
        super().__init__()
        self.n_heads = n_heads
        self.divisor = math.sqrt(d_model // n_heads) if divisor is None else divisor
        self.weigh = weigh
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Let every token gather from those that it may attend to.

        Args:
            x: (batch, n, d_model).
            mask: (n, n) bool, True where the row may attend to the column; None allows all.

        Returns:
            (batch, n, d_model).
        """
        query, key, value = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(-2, -1) / self.divisor
        gathered = self.weigh(scores, mask) @ value
        mixed: Tensor = self.proj(gathered.transpose(1, 2).flatten(start_dim=2))
        return mixed

    def split(self, x: Tensor) -> Tensor:
        """Give each head its columns: (batch, n, d_model) to (batch, heads, n, d_head)."""
        return x.reshape(*x.shape[:-1], self.n_heads, -1).transpose(-3, -2)


def unscaled_attention(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: scores are not divided at all."""
    return SelfAttention(d_model, n_heads, divisor=1.0)


def attention_scaled_by_d_model(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: scores are divided by sqrt(d_model), not by sqrt(d_head)."""
    return SelfAttention(d_model, n_heads, divisor=math.sqrt(d_model))


def attention_scaled_without_root(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: scores are divided by d_head itself, without the square root."""
    return SelfAttention(d_model, n_heads, divisor=d_model // n_heads)


def attention_softmax_over_queries(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: the softmax runs over the queries."""
    return SelfAttention(d_model, n_heads, weigh=softmax_over_queries)


def attention_masked_after_softmax(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: the mask is applied after the softmax."""
    return SelfAttention(d_model, n_heads, weigh=mask_after_softmax)


def attention_with_inverted_mask(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: the mask is read the other way round."""
    return SelfAttention(d_model, n_heads, weigh=inverted_masked_softmax)


def attention_without_mask(d_model: int, n_heads: int) -> SelfAttention:
    """Mistake: the mask is ignored."""
    return SelfAttention(d_model, n_heads, weigh=lambda scores, mask: masked_softmax(scores, None))


# Question 3: the made-up task, which symbol occurs most often


def majority_sequences(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw sequences in which one symbol occurs more often than every other.

    Args:
        count: How many sequences.
        seed: The same seed gives the same sequences.

    Returns:
        Tokens (count, 15) int64 in 0..4, and labels (count,) int64: the most frequent symbol.
    """
    generator = torch.Generator().manual_seed(seed)
    # About 7 in 10 sequences have no tie, so four times as many are enough.
    drawn = torch.randint(SYMBOLS, (4 * count + 64, LENGTH), generator=generator)
    counts = nn.functional.one_hot(drawn, SYMBOLS).sum(dim=1)
    first, second = counts.topk(2, dim=1).values.unbind(dim=1)
    tokens = drawn[first > second][:count]
    labels = counts[first > second][:count].argmax(dim=1)
    return tokens, labels


def training_sequences() -> tuple[Tensor, Tensor]:
    """Return what `student/data/train.npz` holds: tokens (2000, 15) and labels (2000,)."""
    return majority_sequences(TRAINING_COUNT, TRAINING_SEED)


def withheld_sequences(seed: int) -> tuple[Tensor, Tensor]:
    """Return sequences that no student has: tokens (500, 15) and labels (500,)."""
    return majority_sequences(WITHHELD_COUNT, seed)
