"""Known wrong answers to question 2, of the networks and functions there."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from .attention import (
    CausalSelfAttention,
    SynthesizerAttention,
    causal_softmax,
    precompute_rotary_emb,
)
from .config import GPTConfig
from .gpt import GPT


def head_size(config: GPTConfig) -> int:
    """Numbers in each head."""
    return config.n_embd // config.n_head


def unmasked(scores: Tensor, mask: Tensor) -> Tensor:
    """Mistake: weights over all keys."""
    return scores.softmax(dim=-1)


def attention_without_scale(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: scores are not divided at all."""
    return CausalSelfAttention(config, divisor=1.0)


def attention_scaled_by_width(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: scores are divided by sqrt(n_embd)."""
    return CausalSelfAttention(config, divisor=math.sqrt(config.n_embd))


def attention_that_looks_ahead(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: the mask is transposed."""
    return CausalSelfAttention(
        config, weigh=lambda scores, mask: causal_softmax(scores, mask.transpose(-2, -1))
    )


def attention_without_mask(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: later keys are not masked."""
    return CausalSelfAttention(config, weigh=unmasked)


def attention_masked_after_softmax(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: masked weights become zero afterwards, so the others no longer sum to one."""
    return CausalSelfAttention(
        config, weigh=lambda scores, mask: scores.softmax(dim=-1).masked_fill(~mask, 0.0)
    )


def attention_softmax_over_queries(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: weights sum to one over the queries."""
    return CausalSelfAttention(
        config, weigh=lambda scores, mask: scores.masked_fill(~mask, -math.inf).softmax(dim=-2)
    )


def interleave_heads(x: Tensor, heads: int) -> Tensor:
    """Mistake: head h gets the columns h, h + heads, and so on."""
    return x.reshape(*x.shape[:2], -1, heads).permute(0, 3, 1, 2)


def attention_of_interleaved_heads(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: the heads' columns are interleaved."""
    return CausalSelfAttention(config, split=interleave_heads)


def join_interleaved_heads(x: Tensor) -> Tensor:
    """Put interleaved heads' columns back in their places: (B, heads, T, size) to (B, T, width)."""
    return x.permute(0, 2, 3, 1).flatten(start_dim=2)


def attention_of_scattered_heads(config: GPTConfig) -> CausalSelfAttention:
    """Mistake: the heads' columns are interleaved, and put back in the same way."""
    return CausalSelfAttention(config, split=interleave_heads, join=join_interleaved_heads)


def gpt_without_scale(config: GPTConfig) -> GPT:
    """Mistake: scores are not divided at all."""
    return GPT(config, attention_without_scale)


def gpt_scaled_by_width(config: GPTConfig) -> GPT:
    """Mistake: scores are divided by sqrt(n_embd)."""
    return GPT(config, attention_scaled_by_width)


def gpt_that_looks_ahead(config: GPTConfig) -> GPT:
    """Mistake: the attention's mask is transposed."""
    return GPT(config, attention_that_looks_ahead)


def gpt_without_mask(config: GPTConfig) -> GPT:
    """Mistake: later keys are not masked."""
    return GPT(config, attention_without_mask)


def gpt_masked_after_softmax(config: GPTConfig) -> GPT:
    """Mistake: the attention's mask comes after its softmax."""
    return GPT(config, attention_masked_after_softmax)


def gpt_softmax_over_queries(config: GPTConfig) -> GPT:
    """Mistake: the attention's weights sum to one over the queries."""
    return GPT(config, attention_softmax_over_queries)


def gpt_of_interleaved_heads(config: GPTConfig) -> GPT:
    """Mistake: the columns of the attention's heads are interleaved."""
    return GPT(config, attention_of_interleaved_heads)


def gpt_of_scattered_heads(config: GPTConfig) -> GPT:
    """Mistake: they are interleaved, and put back in the same way."""
    return GPT(config, attention_of_scattered_heads)


class GPTThatCountsPadding(GPT):
    """Mistake: the loss counts the padding, too."""

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Score as asked, and take the mean over all places."""
        logits, _ = super().forward(idx)
        if targets is None:
            return logits, None
        loss = torch.nn.functional.cross_entropy(logits.flatten(end_dim=1), targets.flatten())
        return logits, loss


class GPTWithoutPositions(GPT):
    """Mistake: the position embedding is there, and not used."""

    def embed(self, idx: Tensor) -> Tensor:
        """Embed characters alone."""
        dropped: Tensor = self.drop(self.tok_emb(idx))
        return dropped


class GPTWithoutLastNorm(GPT):
    """Mistake: the head looks at the blocks' output itself."""

    def score(self, x: Tensor) -> Tensor:
        """Score without the norm."""
        logits: Tensor = self.head(x)
        return logits


def vanilla_gpt(config: GPTConfig) -> GPT:
    """Mistake: the switches of question 2g change nothing."""
    return GPT(replace(config, synthesizer=False, perceiver=False, rope=False))


# Question 2g


def synthesizer_without_relu(config: GPTConfig) -> SynthesizerAttention:
    """Mistake: w1 and w2 with nothing between."""
    return SynthesizerAttention(config, activation=lambda x: x)


def synthesizer_without_mask(config: GPTConfig) -> SynthesizerAttention:
    """Mistake: a token looks at later ones too."""
    return SynthesizerAttention(config, weigh=unmasked)


def synthesizer_with_scale(config: GPTConfig) -> SynthesizerAttention:
    """Mistake: scores are divided by sqrt(head size), as those of queries and keys are."""
    return SynthesizerAttention(config, divisor=math.sqrt(head_size(config)))


def synthesizer_with_scaled_hidden(config: GPTConfig) -> SynthesizerAttention:
    """Mistake: relu(w1 x) is divided by sqrt(head size), before b2 is added."""
    root = math.sqrt(head_size(config))
    return SynthesizerAttention(config, activation=lambda x: torch.relu(x) / root)


def synthesizer_without_b2(config: GPTConfig) -> SynthesizerAttention:
    """Mistake: b2 is not added."""
    return SynthesizerAttention(config, shift=0.0)


def rotary_with_growing_angles(dim: int, max_positions: int) -> Tensor:
    """Mistake, printed in one year's sheet: theta_i = 10000^(+2(i-1)/dim)."""
    return rotary_of(10000.0 ** (torch.arange(0, dim, 2) / dim), torch.arange(max_positions))


def rotary_from_one(dim: int, max_positions: int) -> Tensor:
    """Mistake: positions are counted from one."""
    return precompute_rotary_emb(dim, max_positions + 1)[1:]


def rotary_of_sines_first(dim: int, max_positions: int) -> Tensor:
    """Mistake: sine and cosine are swapped."""
    return precompute_rotary_emb(dim, max_positions).flip(-1)


def rotary_without_first_angle(dim: int, max_positions: int) -> Tensor:
    """Mistake: the angles begin with 10000^(-2/dim), so theta_1 is not 1."""
    theta = 10000.0 ** (-(torch.arange(0, dim, 2) + 2) / dim)
    return rotary_of(theta, torch.arange(max_positions))


def rotary_of(theta: Tensor, positions: Tensor) -> Tensor:
    """Cosine and sine of the angles: (positions, dim/2, 2)."""
    angle = torch.outer(positions.float(), theta)
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def rotated_backwards(x: Tensor, rope_cache: Tensor) -> Tensor:
    """Mistake: the sine's sign is flipped, so pairs are turned the other way round."""
    cos, sin = rope_cache[: x.shape[-2]].unbind(dim=-1)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = [first * cos + second * sin, second * cos - first * sin]
    return torch.stack(turned, dim=-1).flatten(start_dim=-2)


def rotated_with_second_sign_wrong(x: Tensor, rope_cache: Tensor) -> Tensor:
    """Mistake: (x1 cos - x2 sin, x2 cos - x1 sin), which is no rotation."""
    cos, sin = rope_cache[: x.shape[-2]].unbind(dim=-1)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = [first * cos - second * sin, second * cos - first * sin]
    return torch.stack(turned, dim=-1).flatten(start_dim=-2)


def rotated_with_first_sign_wrong(x: Tensor, rope_cache: Tensor) -> Tensor:
    """Mistake: (x1 cos + x2 sin, x1 sin + x2 cos), which is no rotation."""
    cos, sin = rope_cache[: x.shape[-2]].unbind(dim=-1)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = [first * cos + second * sin, first * sin + second * cos]
    return torch.stack(turned, dim=-1).flatten(start_dim=-2)


def rotated_in_halves(x: Tensor, rope_cache: Tensor) -> Tensor:
    """Mistake: number i is paired with number i + dim/2, not with its neighbour."""
    cos, sin = rope_cache[: x.shape[-2]].unbind(dim=-1)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def rotated_by_last_positions(x: Tensor, rope_cache: Tensor) -> Tensor:
    """Mistake: the last T rows of the cache are taken, not the first."""
    cos, sin = rope_cache[-x.shape[-2] :].unbind(dim=-1)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = [first * cos - second * sin, first * sin + second * cos]
    return torch.stack(turned, dim=-1).flatten(start_dim=-2)


def rotary_cache(seed: int, dim: int, max_positions: int) -> Tensor:
    """The right cache, to be handed to a student's `apply_rotary_emb`."""
    return precompute_rotary_emb(dim, max_positions)
