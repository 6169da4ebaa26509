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
        self.register_buffer("mask", torch.ones(block, block).triu().view(1, 1, block, block))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (f(x).view(B, T, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        att = q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))
        att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf")).softmax(-1)
        return self.proj((att @ v).transpose(1, 2).reshape(B, T, C))


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
