"""Wrong networks of iith_a5 that students are known to write, or are likely to.

Each is a class with the signature of the right one in `networks.py`, named for what it does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .networks import CustomEncoderLayer, DecoderRNN, Encoder

# P1: image captions


class decoder_without_features(DecoderRNN):
    """Mistake: the LSTM reads the words alone, or reads the features after them, too late."""

    def steps(self, features: Tensor, captions: Tensor) -> Tensor:
        """The words, and a last one again, so that no length is too long."""
        words: Tensor = self.embed(captions)
        return torch.cat([words, words[:, -1:]], dim=1)


class decoder_of_padded_scores(DecoderRNN):
    """Mistake: the scores are filled up with those of padding, (batch, longest, vocab_size)."""

    def forward(self, features: Tensor, captions: Tensor, lengths: Sequence[int]) -> Tensor:
        """Unpack before the linear layer."""
        steps = pack_padded_sequence(self.steps(features, captions), lengths, batch_first=True)
        hidden, _ = pad_packed_sequence(self.lstm(steps)[0], batch_first=True)
        return self.linear(hidden)


class decoder_without_packing(DecoderRNN):
    """Mistake: every step of every caption is scored, (batch, 1 + longest, vocab_size)."""

    def forward(self, features: Tensor, captions: Tensor, lengths: Sequence[int]) -> Tensor:
        """Pack nothing."""
        return self.linear(self.lstm(self.steps(features, captions))[0])


class decoder_that_forgets(DecoderRNN):
    """Mistake: every step of `sample` starts from empty states."""

    def sample(self, features: Tensor) -> Tensor:
        """Lose the states."""
        given, words = features, []
        for _ in range(self.max_seq_length):
            hidden, _ = self.lstm(given[:, None])
            words.append(self.linear(hidden[:, 0]).argmax(dim=1))
            given = self.embed(words[-1])
        return torch.stack(words, dim=1)


class decoder_that_repeats_features(DecoderRNN):
    """Mistake: `sample` gives the features to every step, never a word."""

    def sample(self, features: Tensor) -> Tensor:
        """Feed the features again."""
        states, words = None, []
        for _ in range(self.max_seq_length):
            hidden, states = self.lstm(features[:, None], states)
            words.append(self.linear(hidden[:, 0]).argmax(dim=1))
        return torch.stack(words, dim=1)


class decoder_that_squeezes(DecoderRNN):
    """Mistake: `sample` drops the batch's dimension where there is one item only."""

    def sample(self, features: Tensor) -> Tensor:
        """Squeeze every dimension of size one."""
        return super().sample(features).squeeze()


class decoder_of_listed_words(DecoderRNN):
    """Mistake: `sample` gives a list of `max_seq_length` tensors, a word for each item."""

    def sample(self, features: Tensor) -> list[Tensor]:  # type: ignore[override]
        """Take the columns apart."""
        return list(super().sample(features).unbind(dim=1))


# P2: variational autoencoder


class network_without_last_relu(Encoder):
    """Mistake: relu once, between the layers."""

    def forward(self, x: Tensor) -> Tensor:
        """Leave the output as it is."""
        return self.linear2(relu(self.linear1(x)))


class network_without_relu(Encoder):
    """Mistake: no relu at all."""

    def forward(self, x: Tensor) -> Tensor:
        """Two linear layers are one."""
        return self.linear2(self.linear1(x))


class network_with_sigmoid(Encoder):
    """Mistake: the output goes through a sigmoid."""

    def forward(self, x: Tensor) -> Tensor:
        """End with a sigmoid in place of relu."""
        return self.linear2(relu(self.linear1(x))).sigmoid()


# P3: a custom encoder layer


class narrow_layer(CustomEncoderLayer):
    """Mistake: linear1 is as wide as dim_feedforward, not 256."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 128,
        dropout: float = 0.1,
        activation: str = "relu",
    ) -> None:
        """Make linear1 and linear2 anew."""
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation)
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, dim_feedforward)


class layer_with_norms_swapped(CustomEncoderLayer):
    """Mistake: norm2 follows the attention, norm1 the linear layers."""

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Swap the norms."""
        s = self.norm2(src + self.attended(src, src_mask, src_key_padding_mask))
        return self.norm1(s + self.fed_forward(s))


class layer_with_norm_first(CustomEncoderLayer):
    """Mistake: each part's input is normed, not the sum."""

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Norm before each part."""
        s = src + self.attended(self.norm1(src), src_mask, src_key_padding_mask)
        return s + self.fed_forward(self.norm2(s))


class layer_without_residuals(CustomEncoderLayer):
    """Mistake: the parts' inputs are not added."""

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Norm what each part gives, alone."""
        s = self.norm1(self.attended(src, src_mask, src_key_padding_mask))
        return self.norm2(self.fed_forward(s))


class layer_without_masks(CustomEncoderLayer):
    """Mistake: the masks are not handed on."""

    def attended(
        self, x: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None
    ) -> Tensor:
        """Look at everything."""
        return super().attended(x)


class layer_without_padding_mask(CustomEncoderLayer):
    """Mistake: the mask of padding is not handed on."""

    def attended(
        self, x: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None
    ) -> Tensor:
        """Look at padding, too."""
        return super().attended(x, src_mask)


class layer_without_first_relu(CustomEncoderLayer):
    """Mistake: no relu after linear1."""

    def fed_forward(self, s: Tensor) -> Tensor:
        """One relu, after linear2."""
        return self.linear3(relu(self.linear2(self.linear1(s))))


class layer_without_second_relu(CustomEncoderLayer):
    """Mistake: no relu after linear2."""

    def fed_forward(self, s: Tensor) -> Tensor:
        """One relu, after linear1."""
        return self.linear3(self.linear2(relu(self.linear1(s))))


class layer_without_relu(CustomEncoderLayer):
    """Mistake: no relu at all."""

    def fed_forward(self, s: Tensor) -> Tensor:
        """Three linear layers are one."""
        return self.linear3(self.linear2(self.linear1(s)))
