"""What a GPT is made with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GPTConfig:
    """Sizes of a GPT, and the switches of question 2g.

    Args:
        vocab_size: How many characters there are.
        block_size: The most tokens that it looks at.
        n_layer: How many blocks there are.
        n_head: How many heads each attention has; divides `n_embd`.
        n_embd: Numbers in a token's vector.
        embd_pdrop: Dropout of the embeddings.
        resid_pdrop: Dropout of what is added to the residual stream.
        attn_pdrop: Dropout of the attention's weights.
        synthesizer: Whether `SynthesizerAttention` takes the place of the attention.
        perceiver: Whether the first block goes down to `bottleneck_dim` vectors, the last one up.
        bottleneck_dim: How many vectors lie between.
        rope: Whether rotary embeddings take the place of the position embedding.
    """

    vocab_size: int
    block_size: int
    n_layer: int = 4
    n_head: int = 8
    n_embd: int = 256
    embd_pdrop: float = 0.1
    resid_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    synthesizer: bool = False
    perceiver: bool = False
    bottleneck_dim: int = 32
    rope: bool = False
