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
        q, k, v = (f(x).view(B, T, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        att = q @ k.transpose(-2, -1) / math.sqrt(C)
        att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf")).softmax(-1)
        return self.proj((att @ v).transpose(1, 2).reshape(B, T, C))


class SynthesizerAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        n, block = config.n_embd, config.block_size
        self.w1, self.value, self.proj = nn.Linear(n, n), nn.Linear(n, n), nn.Linear(n, n)
        self.w2 = nn.Parameter(torch.zeros(n // config.n_head, block - 1))
        self.b2 = nn.Parameter(torch.zeros(block - 1))
        self.heads = config.n_head
        self.register_buffer("mask", torch.ones(block, block).tril().view(1, 1, block, block))

    def forward(self, x):
        B, T, C = x.shape
        h, v = (f(x).view(B, T, self.heads, -1).transpose(1, 2) for f in (self.w1, self.value))
        att = (h.relu() @ self.w2 + self.b2)[..., :T] / math.sqrt(C // self.heads)
        att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf")).softmax(-1)
        return self.proj((att @ v).transpose(1, 2).reshape(B, T, C))
