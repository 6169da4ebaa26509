import torch
from torch import nn

from attention import CausalSelfAttention


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
    def __init__(self, config):
        super().__init__()
        n = config.n_embd
        self.ln1 = nn.LayerNorm(n)
        self.ln2 = nn.LayerNorm(n)
        self.attn = CausalSelfAttention(config)
        self.mlp = nn.Sequential(nn.Linear(n, 4 * n), nn.GELU(), nn.Linear(4 * n, n))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.n_embd
        self.tok_emb = nn.Embedding(config.vocab_size, width)
        self.pos_emb = None if config.rope else nn.Parameter(torch.zeros(1, config.block_size, width))
        self.drop = nn.Dropout(config.embd_pdrop)
        self.perceiver = config.perceiver
        between = config.n_layer - 2 if config.perceiver else config.n_layer
        self.blocks = nn.Sequential(*[Block(config) for _ in range(between)])
        if self.perceiver:
            self.down_block = DownProjectBlock(config)
            self.up_block = UpProjectBlock(config)
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.vocab_size, bias=False)

    def forward(self, idx, targets=None):
        x = self.tok_emb(idx)
        if self.pos_emb is not None:
            x = x + self.pos_emb[:, : idx.shape[1]]
        x = self.drop(x)
        x = self.up_block(self.blocks(self.down_block(x)), x) if self.perceiver else self.blocks(x)
        logits = self.head(self.ln_f(x))
        if targets is None:
            return logits, None
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)
        return logits, loss
