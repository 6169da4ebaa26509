"""A character-level GPT, as it is and with the switches of question 2g.

Sources: Radford et al. 2018 and 2019 (layer norms first); Jaegle et al. 2021 (perceiver).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from .attention import CausalCrossAttention, CausalSelfAttention, SynthesizerAttention
from .config import GPTConfig

Attention = Callable[[GPTConfig], nn.Module]
#: The character that fills lines up; the loss leaves it out.
PADDING = 0


class Block(nn.Module):
    """Attention and a small network, each of them behind a layer norm and beside a residual."""

    def __init__(self, config: GPTConfig, attention: Attention = CausalSelfAttention) -> None:
        """Make both, the network four times as wide inside."""
        super().__init__()
        width = config.n_embd
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(config.resid_pdrop),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, T, n_embd) for (B, T, n_embd)."""
        x = x + self.attn(self.ln1(x))
        mixed: Tensor = x + self.mlp(self.ln2(x))
        return mixed


class DownProjectBlock(Block):
    """A block in which a few learned vectors C look at the sequence and take its place."""

    def __init__(self, config: GPTConfig) -> None:
        """Make C (1, bottleneck_dim, n_embd) besides what every block has."""
        super().__init__(config, CausalCrossAttention)
        self.C = nn.Parameter(torch.randn(1, config.bottleneck_dim, config.n_embd) * 0.02)

    def forward(self, x_input: Tensor) -> Tensor:
        """Give (B, bottleneck_dim, n_embd) for (B, T, n_embd)."""
        latent = self.C.expand(len(x_input), -1, -1)
        x = latent + self.attn(self.ln1(x_input), latent)
        mixed: Tensor = x + self.mlp(self.ln2(x))
        return mixed


class UpProjectBlock(Block):
    """A block in which the sequence looks at the vectors that took its place."""

    def __init__(self, config: GPTConfig) -> None:
        """Make what every block has."""
        super().__init__(config, CausalCrossAttention)

    def forward(self, y: Tensor, x_input: Tensor) -> Tensor:
        """Give (B, T, n_embd) for y (B, bottleneck_dim, n_embd) and x_input (B, T, n_embd)."""
        x = x_input + self.attn(self.ln1(y), x_input)
        mixed: Tensor = x + self.mlp(self.ln2(x))
        return mixed


class GPT(nn.Module):
    """Characters in, scores of the next character out.

    Args:
        config: Sizes and switches.
        attention: What the blocks attend with; anything else than the switches say is a mistake.
    """

    def __init__(self, config: GPTConfig, attention: Attention | None = None) -> None:
        """Make embeddings, blocks, a last layer norm, and a head without bias."""
        super().__init__()
        width = config.n_embd
        own = SynthesizerAttention if config.synthesizer else CausalSelfAttention
        self.tok_emb = nn.Embedding(config.vocab_size, width)
        if not config.rope:
            self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, width))
        self.drop = nn.Dropout(config.embd_pdrop)
        self.blocks = nn.Sequential(
            *(Block(inner(config), attention or own) for _ in range(inner_count(config)))
        )
        if config.perceiver:
            self.down_block, self.up_block = DownProjectBlock(config), UpProjectBlock(config)
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.vocab_size, bias=False)
        self.config = config

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Score the next character at every place.

        Args:
            idx: (B, T) int64, T not above the block size.
            targets: (B, T) int64, what comes next; where it is the padding, it does not count.

        Returns:
            Logits (B, T, vocab_size), and the mean cross entropy or None.
        """
        logits = self.score(self.through(self.embed(idx)))
        if targets is None:
            return logits, None
        flat, wanted = logits.flatten(end_dim=1), targets.flatten()
        return logits, nn.functional.cross_entropy(flat, wanted, ignore_index=PADDING)

    def embed(self, idx: Tensor) -> Tensor:
        """Embed characters and their places: (B, T, n_embd)."""
        tokens: Tensor = self.tok_emb(idx)
        if not self.config.rope:
            tokens = tokens + self.pos_emb[:, : idx.shape[1]]
        dropped: Tensor = self.drop(tokens)
        return dropped

    def through(self, x: Tensor) -> Tensor:
        """Pass all blocks: (B, T, n_embd) to the same shape."""
        if not self.config.perceiver:
            mixed: Tensor = self.blocks(x)
            return mixed
        up: Tensor = self.up_block(self.blocks(self.down_block(x)), x)
        return up

    def score(self, x: Tensor) -> Tensor:
        """Score the characters: (B, T, n_embd) to (B, T, vocab_size)."""
        logits: Tensor = self.head(self.ln_f(x))
        return logits


def padded_targets(seed: int, vocab_size: int, batch: int, length: int) -> Tensor:
    """Draw targets (batch, length), the last third of each row padding."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(1, vocab_size, (batch, length), generator=generator)
    targets[:, length - length // 3 :] = PADDING
    return targets


def inner(config: GPTConfig) -> GPTConfig:
    """The configuration of the blocks between: a perceiver's are as short as its bottleneck."""
    return replace(config, block_size=config.bottleneck_dim) if config.perceiver else config


def inner_count(config: GPTConfig) -> int:
    """How many plain blocks there are."""
    return config.n_layer - 2 if config.perceiver else config.n_layer


def has_latents(outputs: Sequence[Tensor], parameters: Mapping[str, Sequence[int]]) -> bool | str:
    """Whether C is (1, bottleneck_dim, n_embd), which the outputs show."""
    if "C" not in parameters:
        return "There is no parameter C."
    right = tuple(parameters["C"]) == (1, *outputs[0].shape[1:])
    return right or "The shape of C is (1, bottleneck_dim, n_embd)."
