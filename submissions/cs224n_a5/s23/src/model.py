import torch
from torch import nn

from attention import CausalSelfAttention, SynthesizerAttention


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


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        n = config.n_embd
        self.tok_emb = nn.Embedding(config.vocab_size, n)
        if not config.rope:
            self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, n))
        self.drop = nn.Dropout(config.embd_pdrop)
        self.blocks = nn.Sequential(*[Block(config) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(n)
        self.head = nn.Linear(n, config.vocab_size, bias=False)

    def forward(self, idx, targets=None):
        x = self.tok_emb(idx)
        if hasattr(self, "pos_emb"):
            x = x + self.pos_emb[:, : idx.shape[1]]
        logits = self.head(self.blocks(self.drop(x)))
        loss = None
        if targets is not None:
            loss = nn.functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=0)
        return logits, loss
