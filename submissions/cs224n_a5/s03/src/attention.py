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


class CausalCrossAttention(nn.Module):
    """Queries of one sequence look at another one."""

    def __init__(self, config):
        super().__init__()
        self.inner = nn.MultiheadAttention(config.n_embd, config.n_head, batch_first=True)

    def forward(self, x_kv, x_q):
        ahead = torch.ones(x_q.shape[1], x_kv.shape[1]).triu(1).bool()
        return self.inner(x_q, x_kv, x_kv, attn_mask=ahead, need_weights=False)[0]


class SynthesizerAttention(nn.Module):
    def __init__(self, config):
        raise NotImplementedError("I chose the perceiver")


def precompute_rotary_emb(dim, max_positions):
    raise NotImplementedError("I chose the perceiver")


def apply_rotary_emb(x, rope_cache):
    raise NotImplementedError("I chose the perceiver")
