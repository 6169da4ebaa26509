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
    """2g, perceiver: learned vectors C attend to the sequence and go on in its place.

    Parameter: C, (1, bottleneck_dim, n_embd). Otherwise layers as in Block.
    """

    def __init__(self, config):
        super().__init__()
        # your layers

    def forward(self, x_input):
        """x_input: (B, T, n_embd). Returns (B, bottleneck_dim, n_embd)."""
        ...  # your code


class UpProjectBlock(nn.Module):
    """2g, perceiver: the sequence attends to the vectors. Layers as in Block."""

    def __init__(self, config):
        super().__init__()
        # your layers

    def forward(self, y, x_input):
        """y: (B, bottleneck_dim, n_embd), x_input: (B, T, n_embd). Returns (B, T, n_embd)."""
        ...  # your code


class GPT(nn.Module):
    """Characters in, scores of the next character out.

    tok_emb, an embedding of the characters; pos_emb, a parameter (1, block_size, n_embd) that starts at
    zero and is added to them; drop; blocks, n_layer of them in a Sequential; ln_f, a layer norm; head, a
    linear layer without bias.
    """

    def __init__(self, config):
        super().__init__()
        # your layers

    def forward(self, idx, targets=None):
        """idx: (B, T). Returns the logits, (B, T, vocab_size), and the mean cross entropy.

        Without targets there is no loss, but None. A target of 0 is padding and does not count.
        """
        ...  # your code
