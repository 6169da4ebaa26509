"""The GPT. Write GPT for 2b; for 2g, its switches, and the perceiver's two blocks if you choose it."""

import torch
from attention import CausalSelfAttention, SynthesizerAttention
from torch import nn


class GPTConfig:
    """Sizes, and the switches of 2g."""

    embd_pdrop = resid_pdrop = attn_pdrop = 0.1
    synthesizer = perceiver = rope = False
    bottleneck_dim = 32

    def __init__(self, vocab_size, block_size, **others):
        self.vocab_size = vocab_size
        self.block_size = block_size
        for name, value in others.items():  # n_layer, n_head, n_embd and so on
            setattr(self, name, value)


class Block(nn.Module):
    """Layer norm, attention, residual; layer norm, network, residual."""

    def __init__(self, config):
        super().__init__()
        width = config.n_embd
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = (SynthesizerAttention if config.synthesizer else CausalSelfAttention)(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(config.resid_pdrop)
        )

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class DownProjectBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.n_embd
        self.C = nn.Parameter(torch.empty(1, config.bottleneck_dim, width))
        nn.init.xavier_uniform_(self.C)
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = CausalSelfAttention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(config.resid_pdrop)
        )

    def forward(self, x_input):
        latent = self.C.expand(x_input.shape[0], -1, -1)
        x = latent + self.attn(self.ln1(x_input), latent)
        return x + self.mlp(self.ln2(x))


class UpProjectBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.n_embd
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = CausalSelfAttention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(config.resid_pdrop)
        )

    def forward(self, y, x_input):
        x = x_input + self.attn(self.ln1(y), x_input)
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module)
    def __init__(self, config):
        super().__init__()
