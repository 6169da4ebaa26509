"""Attention that looks back only: plain, with learned scores (synthesizer), and rotary.

Sources: Vaswani et al. 2017, section 3.2; Tay et al. 2020, section 3 (dense synthesizer); Su et al.
2021, section 3 (rotary embeddings); Jaegle et al. 2021 (cross-attention from a few latent vectors).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .config import GPTConfig

Weigh = Callable[[Tensor, Tensor], Tensor]
Split = Callable[[Tensor, int], Tensor]


def causal_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Turn scores (..., queries, keys) into weights, none of them where the mask is False."""
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Give each head its run of columns: (B, T, width) to (B, heads, T, width / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """Put the heads' columns side by side again: (B, heads, T, size) to (B, T, width)."""
    return x.transpose(1, 2).flatten(start_dim=2)


class CausalSelfAttention(nn.Module):
    """Multi-head attention of each token to itself and to those before it.

    Args:
        config: Sizes and dropout.
        divisor: What scores are divided by; anything but sqrt(head size) is a mistake.
        weigh: How scores become weights; anything else is a mistake.
        split: How heads are cut; anything else is a mistake.
        join: How they are put together again; anything else is a mistake.
    """

    mask: Tensor

    def __init__(
        self,
        config: GPTConfig,
        *,
        divisor: float | None = None,
        weigh: Weigh = causal_softmax,
        split: Split = split_heads,
        join: Callable[[Tensor], Tensor] = join_heads,
    ) -> None:
        """Make the four linear layers with bias, and the mask (1, 1, block, block)."""
        super().__init__()
        size = config.n_embd // config.n_head
        self.key, self.query, self.value, self.proj = linears(config, 4)
        self.attn_drop = nn.Dropout(config.attn_pdrop)
        self.resid_drop = nn.Dropout(config.resid_pdrop)
        block = torch.ones(1, 1, config.block_size, config.block_size, dtype=torch.bool)
        self.register_buffer("mask", block.tril())
        self.n_head, self.rope = config.n_head, config.rope
        self.divisor = math.sqrt(size) if divisor is None else divisor
        self.weigh, self.split, self.join = weigh, split, join
        if config.rope:
            cache = precompute_rotary_emb(size, config.block_size)
            self.register_buffer("rope_cache", cache, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within x: (B, T, n_embd) to the same shape."""
        return self.attend(x, x)

    def attend(self, x_kv: Tensor, x_q: Tensor) -> Tensor:
        """Let queries of x_q (B, Q, n_embd) gather from x_kv (B, K, n_embd): (B, Q, n_embd)."""
        query, key, value = (
            self.split(layer(x), self.n_head)
            for layer, x in ((self.query, x_q), (self.key, x_kv), (self.value, x_kv))
        )
        if self.rope:
            query = apply_rotary_emb(query, self.rope_cache)
            key = apply_rotary_emb(key, self.rope_cache)
        scores = query @ key.transpose(-2, -1) / self.divisor
        weights = self.weigh(scores, self.mask[..., : scores.shape[-2], : scores.shape[-1]])
        mixed: Tensor = self.proj(self.join(self.attn_drop(weights) @ value))
        return self.resid_drop(mixed)


def linears(config: GPTConfig, count: int) -> list[nn.Linear]:
    """Make linear layers of the model's width, with bias."""
    return [nn.Linear(config.n_embd, config.n_embd) for _ in range(count)]


class CausalCrossAttention(CausalSelfAttention):
    """The same from one sequence to another: query i sees the keys 0 to i."""

    def forward(self, x_kv: Tensor, x_q: Tensor | None = None) -> Tensor:
        """Let queries of x_q (B, Q, n_embd) gather from x_kv (B, K, n_embd): (B, Q, n_embd)."""
        return self.attend(x_kv, x_kv if x_q is None else x_q)


class SynthesizerAttention(nn.Module):
    """Attention whose scores come from each token alone: relu(w1 x) w2 + b2, without any keys.

    Args:
        config: Sizes and dropout.
        activation: Applied to w1 x; anything but relu is a mistake.
        divisor: What scores are divided by; anything but one is a mistake.
        shift: How much of b2 is added; anything but one is a mistake.
        weigh: How scores become weights; anything else is a mistake.
    """

    mask: Tensor

    def __init__(
        self,
        config: GPTConfig,
        *,
        activation: Callable[[Tensor], Tensor] = torch.relu,
        divisor: float = 1.0,
        shift: float = 1.0,
        weigh: Weigh = causal_softmax,
    ) -> None:
        """Make w1, value and proj with bias, w2 (head size, block - 1) and b2 (block - 1)."""
        super().__init__()
        self.w1, self.value, self.proj = linears(config, 3)
        size, longest = config.n_embd // config.n_head, config.block_size - 1
        self.w2 = nn.Parameter(torch.empty(size, longest).uniform_(-0.001, 0.001))
        self.b2 = nn.Parameter(torch.zeros(longest))
        self.attn_drop = nn.Dropout(config.attn_pdrop)
        self.resid_drop = nn.Dropout(config.resid_pdrop)
        block = torch.ones(1, 1, config.block_size, config.block_size, dtype=torch.bool)
        self.register_buffer("mask", block.tril())
        self.n_head, self.activation = config.n_head, activation
        self.divisor, self.shift, self.weigh = divisor, shift, weigh

    def forward(self, x: Tensor) -> Tensor:
        """Attend within x: (B, T, n_embd) to the same shape, T below the block size."""
        length = x.shape[1]
        hidden = self.activation(split_heads(self.w1(x), self.n_head))
        scores = (hidden @ self.w2 + self.shift * self.b2)[..., :length] / self.divisor
        weights = self.weigh(scores, self.mask[..., :length, :length])
        value = split_heads(self.value(x), self.n_head)
        mixed: Tensor = self.proj(join_heads(self.attn_drop(weights) @ value))
        return self.resid_drop(mixed)


def precompute_rotary_emb(dim: int, max_positions: int) -> Tensor:
    """Cosine and sine of t theta_i, theta_i = 10000^(-2(i-1)/dim): (max_positions, dim/2, 2).

    Args:
        dim: Numbers in a head, even.
        max_positions: How many positions t there are, from 0.
    """
    theta = 10000.0 ** (-torch.arange(0, dim, 2) / dim)
    angle = torch.outer(torch.arange(max_positions).float(), theta)
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def apply_rotary_emb(x: Tensor, rope_cache: Tensor) -> Tensor:
    """Turn each pair of neighbouring numbers of x by the angles of its position.

    Args:
        x: (B, heads, T, dim).
        rope_cache: (max_positions, dim/2, 2), cosine and sine; T may be shorter.

    Returns:
        The shape of x.
    """
    cos, sin = rope_cache[: x.shape[-2]].unbind(dim=-1)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = [first * cos - second * sin, first * sin + second * cos]
    return torch.stack(turned, dim=-1).flatten(start_dim=-2)
