"""Attention. Write CausalSelfAttention for 2b, and one variant for 2g."""

import math

import torch
from torch import nn


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        n = config.n_embd
        self.key, self.query = nn.Linear(n, n), nn.Linear(n, n)
        self.value, self.proj = nn.Linear(n, n), nn.Linear(n, n)
        self.heads = config.n_head
        self.rope = config.rope

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (f(x).view(B, T, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        if self.rope:
            cache = precompute_rotary_emb(C // self.heads, T)
            q, k = apply_rotary_emb(q, cache), apply_rotary_emb(k, cache)
        att = (q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))).softmax(-1)
        return self.proj((att @ v).transpose(1, 2).reshape(B, T, C))


def precompute_rotary_emb(dim, max_positions):
    theta = 10000 ** (2 * torch.arange(dim // 2) / dim)  # as printed
    angle = torch.arange(max_positions)[:, None] * theta
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def apply_rotary_emb(x, rope_cache):
    cos, sin = rope_cache[: x.shape[2]].unbind(-1)
    x1, x2 = x[..., ::2], x[..., 1::2]
    return torch.stack([x1 * cos + x2 * sin, x2 * cos - x1 * sin], dim=-1).flatten(-2)
