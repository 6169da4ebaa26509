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
        block = config.block_size
        self.register_buffer("mask", torch.ones(block, block).tril().view(1, 1, block, block))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (f(x).view(B, T, -1, self.heads).permute(0, 3, 1, 2) for f in (self.query, self.key, self.value))
        att = q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))
        att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf")).softmax(-1)
        return self.proj((att @ v).transpose(1, 2).reshape(B, T, C))


def precompute_rotary_emb(dim, max_positions):
    theta = 10000 ** (-torch.arange(0, dim, 2) / dim)
    angle = torch.arange(1, max_positions + 1)[:, None] * theta
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def apply_rotary_emb(x, rope_cache):
    cos, sin = rope_cache[: x.shape[2]].unbind(-1)
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos - x2 * sin, x1 * sin + x2 * cos], dim=-1)
