"""Attention. Write CausalSelfAttention for 2b, and one variant for 2g."""

import math

import torch
from torch import nn


class CausalSelfAttention(nn.Module):
    """Each token attends to itself and to those before it.

    Layers, all from n_embd to n_embd with bias: key, query, value, proj.
    Buffer: mask, (1, 1, block_size, block_size), what a token (row) may attend to.
    The first head owns the first n_embd / n_head columns, the next head the next ones. Dropout of
    attn_pdrop on the weights, of resid_pdrop on the result.
    """

    def __init__(self, config):
        super().__init__()
        # your layers

    def forward(self, x):
        """x: (B, T, n_embd), T at most block_size. Returns the same shape."""
        ...  # your code


class SynthesizerAttention(nn.Module):
    """2g, synthesizer: in every head, the weights are softmax(relu(w1 x) w2 + b2), and causal.

    Layers, from n_embd to n_embd with bias: w1, value, proj; heads as above.
    Parameters for all heads alike: w2, (n_embd / n_head, block_size - 1), and b2, (block_size - 1).
    """

    def __init__(self, config):
        super().__init__()
        # your layers

    def forward(self, x):
        """x: (B, T, n_embd), T below block_size. Returns the same shape."""
        ...  # your code


def precompute_rotary_emb(dim, max_positions):
    """2g, rotary: cosine and sine of t theta_i for every position t = 0, 1, ...

    theta_i = 10000^(-2(i-1)/dim), i = 1 to dim/2. Returns (max_positions, dim/2, 2).
    """
    ...  # your code


def apply_rotary_emb(x, rope_cache):
    """2g, rotary: turn each pair of neighbouring numbers (x1, x2) by its position's angles.

    (x1 cos - x2 sin, x1 sin + x2 cos). x: (B, heads, T, head size); T may be shorter than the cache.
    """
    ...  # your code
