"""Attention. Write CausalSelfAttention for 2b, and one variant for 2g."""

import math

import torch
from torch import nn


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.n_embd
        self.n_head = config.n_head
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.attn_drop = nn.Dropout(config.attn_pdrop)
        self.resid_drop = nn.Dropout(config.resid_pdrop)
        block = config.block_size
        self.register_buffer("mask", torch.ones(block, block).tril().view(1, 1, block, block))
        self.rope = config.rope
        if self.rope:
            cache = precompute_rotary_emb(width // config.n_head, block)
            self.register_buffer("rope_cache", cache)

    def split(self, x):
        batch, length, width = x.shape
        return x.view(batch, length, self.n_head, width // self.n_head).transpose(1, 2)

    def forward(self, x, x_q=None):
        x_q = x if x_q is None else x_q
        q, k, v = self.split(self.query(x_q)), self.split(self.key(x)), self.split(self.value(x))
        if self.rope:
            q, k = apply_rotary_emb(q, self.rope_cache), apply_rotary_emb(k, self.rope_cache)
        scores = q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))
        seen = self.mask[:, :, : x_q.size(1), : x.size(1)]
        weights = scores.masked_fill(seen == 0, float("-inf")).softmax(dim=-1)
        mixed = (self.attn_drop(weights) @ v).transpose(1, 2).reshape(x_q.shape[0], x_q.shape[1], -1)
        return self.resid_drop(self.proj(mixed))


class SynthesizerAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, block = config.n_embd, config.block_size
        self.n_head = config.n_head
        self.w1 = nn.Linear(width, width)
        self.w2 = nn.Parameter(torch.zeros(width // config.n_head, block - 1).uniform_(-0.001, 0.001))
        self.b2 = nn.Parameter(torch.zeros(block - 1))
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.attn_drop = nn.Dropout(config.attn_pdrop)
        self.resid_drop = nn.Dropout(config.resid_pdrop)
        self.register_buffer("mask", torch.ones(block, block).tril().view(1, 1, block, block))

    def forward(self, x):
        batch, length, width = x.shape
        heads = (batch, length, self.n_head, width // self.n_head)
        hidden = self.w1(x).view(heads).transpose(1, 2).relu()
        scores = (hidden @ self.w2 + self.b2)[:, :, :, :length]
        scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
        mixed = self.attn_drop(scores.softmax(dim=-1)) @ self.value(x).view(heads).transpose(1, 2)
        return self.resid_drop(self.proj(mixed.transpose(1, 2).reshape(batch, length, width)))


def precompute_rotary_emb(dim, max_positions):
    theta = 10000 ** (-torch.arange(0, dim, 2) / dim)
    angle = torch.arange(max_positions)[:, None] * theta
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def apply_rotary_emb(x, rope_cache):
    cos, sin = rope_cache[: x.shape[2], :, 0], rope_cache[: x.shape[2], :, 1]
    x1, x2 = x[..., ::2], x[..., 1::2]
    return torch.stack([x1 * cos - x2 * sin, x1 * sin + x2 * cos], dim=-1).flatten(-2)
