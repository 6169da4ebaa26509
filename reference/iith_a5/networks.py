"""The networks that iith_a5 asks for: captions (P1), the autoencoder (P2), an encoder layer (P3).

Plain torch, written to be read beside the handout.

Source: IIT Hyderabad, deep learning, assignment 5 (2021), in the names that our template gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils.rnn import pack_padded_sequence

FEATURES = 2048
WIDE = 256
ENCODED, LATENT = 100, 8


# P1: image captions


class EncoderCNN(nn.Module):
    """An image becomes one vector, of the width of the decoder's words.

    The backbone is a stand-in of our own: only `linear` and `bn` behind it are asked about.
    """

    def __init__(self, embed_size: int) -> None:
        """Make backbone, linear layer and batch norm."""
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, FEATURES, 1), nn.AdaptiveAvgPool2d(1))
        self.linear = nn.Linear(FEATURES, embed_size)
        self.bn = nn.BatchNorm1d(embed_size, momentum=0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (batch, 3, height, width) into features (batch, embed_size)."""
        with torch.no_grad():
            found = self.backbone(images).flatten(1)
        features: Tensor = self.bn(self.linear(found))
        return features


class DecoderRNN(nn.Module):
    """An LSTM that first reads an image's features, then the words of its caption."""

    def __init__(
        self,
        embed_size: int,
        hidden_size: int,
        vocab_size: int,
        num_layers: int,
        max_seq_length: int = 20,
    ) -> None:
        """Make embedding, LSTM and the linear layer that scores the vocabulary."""
        super().__init__()
        self.embed = nn.Embedding(vocab_size, embed_size)
        self.lstm = nn.LSTM(embed_size, hidden_size, num_layers, batch_first=True)
        self.linear = nn.Linear(hidden_size, vocab_size)
        self.max_seq_length = max_seq_length

    def steps(self, features: Tensor, captions: Tensor) -> Tensor:
        """Put the features before the words: (batch, 1 + longest, embed_size)."""
        return torch.cat([features[:, None], self.embed(captions)], dim=1)

    def forward(self, features: Tensor, captions: Tensor, lengths: Sequence[int]) -> Tensor:
        """Score the next word after every step that is no padding.

        Args:
            features: (batch, embed_size).
            captions: (batch, longest) int64.
            lengths: Steps that count, of each caption; the longest first.

        Returns:
            (sum of lengths, vocab_size), in the order of a packed sequence.
        """
        steps = pack_padded_sequence(self.steps(features, captions), lengths, batch_first=True)
        hidden, _ = self.lstm(steps)
        scores: Tensor = self.linear(hidden.data)
        return scores

    def sample(self, features: Tensor) -> Tensor:
        """Choose the best word, feed it back, and so on: (batch, max_seq_length) int64."""
        given, states, words = features, None, []
        for _ in range(self.max_seq_length):
            hidden, states = self.lstm(given[:, None], states)
            words.append(self.linear(hidden[:, 0]).argmax(dim=1))
            given = self.embed(words[-1])
        return torch.stack(words, dim=1)


# P2: variational autoencoder


class Encoder(nn.Module):
    """Two linear layers, each followed by relu."""

    def __init__(self, D_in: int, H: int, D_out: int) -> None:
        """Make the layers, D_in to H to D_out."""
        super().__init__()
        self.linear1 = nn.Linear(D_in, H)
        self.linear2 = nn.Linear(H, D_out)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (batch, D_in) into (batch, D_out)."""
        return relu(self.linear2(relu(self.linear1(x))))


class Decoder(Encoder):
    """The same two layers, on the way back."""


class VAE(nn.Module):
    """Encode, draw z = mu + sigma * noise, decode.

    Source: Kingma and Welling 2014, section 2.4.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        """Keep both networks, and make the layers for mu and log sigma."""
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self._enc_mu = nn.Linear(ENCODED, LATENT)
        self._enc_log_sigma = nn.Linear(ENCODED, LATENT)

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log sigma of z, (batch, 8) each."""
        encoded = self.encoder(x)
        return self._enc_mu(encoded), self._enc_log_sigma(encoded)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct x: (batch, D) to (batch, D)."""
        mu, log_sigma = self.distribution(x)
        x_hat: Tensor = self.decoder(mu + log_sigma.exp() * torch.randn_like(mu))
        return x_hat


# P3: a custom encoder layer


class CustomEncoderLayer(nn.Module):
    """Self-attention, then three linear layers; each part adds to its input and is normed.

    Only relu is asked for, so `activation` has no effect.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 128,
        dropout: float = 0.1,
        activation: str = "relu",
    ) -> None:
        """Make the layers; linear1 is always 256 wide."""
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead, dropout=dropout)
        self.linear1 = nn.Linear(d_model, WIDE)
        self.linear2 = nn.Linear(WIDE, dim_feedforward)
        self.linear3 = nn.Linear(dim_feedforward, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)

    def attended(
        self, x: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None
    ) -> Tensor:
        """What self-attention adds to x."""
        found, _ = self.self_attn(
            x, x, x, attn_mask=src_mask, key_padding_mask=src_key_padding_mask
        )
        return found

    def fed_forward(self, s: Tensor) -> Tensor:
        """What the linear layers add to s."""
        found: Tensor = self.linear3(relu(self.linear2(self.dropout(relu(self.linear1(s))))))
        return found

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Run the layer.

        Args:
            src: (sequence, batch, d_model).
            src_mask: (sequence, sequence) bool, True where the row may not look at the column.
            src_key_padding_mask: (batch, sequence) bool, True at padding.

        Returns:
            (sequence, batch, d_model).
        """
        added = self.dropout1(self.attended(src, src_mask, src_key_padding_mask))
        s = self.norm1(src + added)
        out: Tensor = self.norm2(s + self.dropout2(self.fed_forward(s)))
        return out
