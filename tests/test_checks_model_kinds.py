"""`model` on the networks that courses ask for: decoders, a GPT, autoencoders, encoder layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import Asked, Asker, found, said
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

REFERENCE = """\
import math
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

class Config:
    def __init__(self, vocab_size, block_size, n_embd, drop=0.0):
        self.vocab_size, self.block_size, self.n_embd, self.drop = (
            vocab_size, block_size, n_embd, drop)

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, n = config.n_embd, config.block_size
        self.key, self.query = nn.Linear(d, d, bias=False), nn.Linear(d, d)
        self.value, self.proj = nn.Linear(d, d), nn.Linear(d, d)
        self.register_buffer("mask", torch.tril(torch.ones(n, n)).view(1, n, n))
    def forward(self, x):
        n = x.shape[1]
        scores = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(x.shape[2])
        scores = scores.masked_fill(self.mask[:, :n, :n] == 0, -1e10)
        return self.proj(scores.softmax(-1) @ self.value(x))

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.tok_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, config.n_embd))
        self.attn = Attention(config)
        self.drop = nn.Dropout(config.drop)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
    def forward(self, idx, targets=None):
        x = self.drop(self.tok_emb(idx) + self.pos_emb[:, :idx.shape[1]])
        logits = self.head(x + self.attn(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())

class Unscaled(Attention):
    def forward(self, x):
        n = x.shape[1]
        scores = self.query(x) @ self.key(x).transpose(1, 2)
        scores = scores.masked_fill(self.mask[:, :n, :n] == 0, -1e10)
        return self.proj(scores.softmax(-1) @ self.value(x))

class Decoder(nn.Module):
    def __init__(self, embed_size, hidden_size, vocab_size):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, embed_size)
        self.lstm = nn.LSTM(embed_size, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, vocab_size)
    def forward(self, features, captions, lengths):
        steps = torch.cat([features[:, None], self.embed(captions)], 1)
        packed, _ = self.lstm(pack_padded_sequence(steps, lengths, batch_first=True))
        return self.linear(packed.data)
    def sample(self, features):
        given, states, words = features, None, []
        for _ in range(6):
            hidden, states = self.lstm(given[:, None], states)
            words.append(self.linear(hidden[:, 0]).argmax(1))
            given = self.embed(words[-1])
        return torch.stack(words, 1)

class Encoder(nn.Module):
    def __init__(self, D_in, D_out):
        super().__init__()
        self.linear = nn.Linear(D_in, D_out)
    def forward(self, x): return torch.relu(self.linear(x))

class VAE(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.mu, self.log_sigma = nn.Linear(6, 2), nn.Linear(6, 2)
    def forward(self, x):
        e = self.encoder(x)
        mu, log_sigma = self.mu(e), self.log_sigma(e)
        return self.decoder(mu + log_sigma.exp() * torch.randn_like(mu))

class VAEWithStatistics(VAE):
    def forward(self, x):
        e = self.encoder(x)
        mu, log_sigma = self.mu(e), self.log_sigma(e)
        return self.decoder(mu + log_sigma.exp() * torch.randn_like(mu)), mu, log_sigma

class Mean(VAE):
    def forward(self, x):
        return self.mu(self.encoder(x)), super().forward(x)

def is_random(outputs):
    return len(set(outputs[0].flatten().tolist())) > 1 or "There is no noise."

class Layer(nn.Module):
    def __init__(self, d_model, nhead):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead, dropout=0.1)
        self.norm = nn.LayerNorm(d_model)
    def forward(self, src, src_mask=None, src_key_padding_mask=None):
        found, _ = self.self_attn(src, src, src, attn_mask=src_mask,
                                  key_padding_mask=src_key_padding_mask)
        return self.norm(src + found)

class Unmasked(Layer):
    def forward(self, src, src_mask=None, src_key_padding_mask=None):
        return super().forward(src)

class Features(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear, self.bn = nn.Linear(3, size), nn.BatchNorm1d(size, momentum=0.01)
    def forward(self, images): return self.bn(self.linear(images))

def later(seed, n): return torch.ones(n, n).triu(1).bool()
def padding(seed, batch, n): return torch.arange(n) >= n - torch.arange(batch)[:, None]

class ViT(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.patch = nn.Conv2d(1, dim, 4, 4)
        self.pos = nn.Parameter(torch.randn(1, 4, dim))
        self.head = nn.Linear(dim, 10)
    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2) + self.pos
        return self.head(x.tanh().mean(1))

def uses_positions(outputs):
    changed = (outputs[0] - outputs[1]).abs().max() > 1e-3
    return bool(changed) or "Permuting the patches changes nothing."

def turned(seed):
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    return x.roll(4, 3) if seed < 0 else x
def other_way(seed): return turned(-1)
"""


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


class Config:
    def __init__(self, **given: Any) -> None:
        self.drop = 0.0
        self.__dict__.update(given)


class Attention(nn.Module):
    """With a bias of the keys, which changes nothing, and a mask made where it is needed."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        d = config.n_embd
        self.query, self.key = nn.Linear(d, d), nn.Linear(d, d)
        self.value, self.proj = nn.Linear(d, d), nn.Linear(d, d)

    def mask(self, n: int) -> torch.Tensor:
        return torch.ones(n, n).triu(1).bool()

    def forward(self, x: torch.Tensor) -> Any:
        n, d = x.shape[1:]
        scores = self.query(x) @ self.key(x).mT / d**0.5
        scores = scores.masked_fill(self.mask(n), float("-inf"))
        return self.proj(scores.softmax(-1) @ self.value(x))


class Buffered(Attention):
    """With a buffer of the reference's name, which says the opposite."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        del self.key
        self.key = nn.Linear(config.n_embd, config.n_embd, bias=False)
        n = config.block_size
        self.register_buffer("hidden", torch.ones(n, n).triu(1).bool())

    def mask(self, n: int) -> torch.Tensor:
        return self.hidden[:n, :n]  # type: ignore[index]


class Open(Attention):
    def mask(self, n: int) -> torch.Tensor:
        return torch.zeros(n, n).bool()


class Bare(Attention):
    def forward(self, x: torch.Tensor) -> Any:
        scores = self.query(x) @ self.key(x).mT
        scores = scores.masked_fill(self.mask(x.shape[1]), float("-inf"))
        return self.proj(scores.softmax(-1) @ self.value(x))


CONFIG = "Config(vocab_size=11, block_size=8, n_embd=6)"


@pytest.fixture
def attention(ask: Asker) -> Asked:
    mistakes = [{"reference": "Unscaled", "says": "No root.", "credit": 0.5}]
    inputs = [{"x": "normal(2, 8, 6)"}, {"x": "normal(1, 5, 6)"}]
    build = {"config": CONFIG}
    return ask(
        "model", "Attention", build=build, inputs=inputs, causal="x", batch=True, mistakes=mistakes
    )


AGREE = "The outputs and gradients agree; a later token changes no earlier output; "


@pytest.mark.parametrize("given", [Attention, Buffered])
def test_attention_may_keep_its_mask_as_it_likes(attention: Asked, given: Any) -> None:
    judged = attention.judge(Attention=given, Config=Config)
    assert said(judged) == (1.0, f"{AGREE}items of a batch do not mix.")


def test_attention_that_is_open_or_not_scaled(attention: Asked) -> None:
    wrong = found(attention.judge(Attention=Open, Config=Config))
    assert (wrong.credit, wrong.says[:19]) == (0.0, "The outputs differ:")
    assert said(attention.judge(Attention=Bare, Config=Config)) == (0.5, "No root.")


def test_a_config_that_is_not_defined_is_named(attention: Asked) -> None:
    finding = found(attention.judge(Attention=Attention))
    assert (finding.says, finding.answered) == ("Config is not defined.", False)


class GPT(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, config.n_embd))
        self.attn = Buffered(config)
        self.drop = nn.Dropout(config.drop)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)

    def forward(self, idx: torch.Tensor, targets: torch.Tensor | None = None) -> Any:
        x = self.drop(self.tok_emb(idx) + self.pos_emb[:, : idx.shape[1]])
        logits = self.head(x + self.attn(x))
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))
        return logits, loss


class Summed(GPT):
    def forward(self, idx: torch.Tensor, targets: torch.Tensor | None = None) -> Any:
        logits, loss = super().forward(idx, targets)
        return logits, None if loss is None else loss.detach() + 0 * logits.sum()


class Alone(GPT):
    def forward(self, idx: torch.Tensor, targets: torch.Tensor | None = None) -> Any:
        return super().forward(idx, targets)[0]


@pytest.fixture
def gpt(ask: Asker) -> Asked:
    inputs = [
        {"idx": "integers(0, 11, 2, 8)", "targets": "integers(0, 11, 2, 8)"},
        {"idx": "integers(0, 11, 3, 5)"},
    ]
    settings: dict[str, Any] = {"build": {"config": CONFIG}, "loss": 1, "causal": "idx"}
    return ask("model", "GPT", inputs=inputs, compare=["count", "outputs", "gradients"], **settings)


def test_a_gpt_gives_logits_and_a_loss_whose_gradients_count(gpt: Asked) -> None:
    right = "The parameter counts, outputs and gradients agree; "
    right += "a later token changes no earlier output."
    assert said(gpt.judge(GPT=GPT, Config=Config)) == (1.0, right)
    wrong = found(gpt.judge(GPT=Summed, Config=Config))
    assert wrong.credit == 0.0
    assert wrong.says.startswith("The gradients differ: ")
    says = "expected a tuple, found a tensor of shape (2, 8, 11)."
    alone = said(gpt.judge(GPT=Alone, Config=Config))
    assert alone == (0.0, f"The outputs differ: 2 of 2 entries differ, first [0]: {says}")


class Decoder(nn.Module):
    def __init__(self, embed_size: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(embed_size, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, vocab_size)
        self.embed = nn.Embedding(vocab_size, embed_size)

    def forward(self, features: torch.Tensor, captions: torch.Tensor, lengths: Any) -> Any:
        steps = torch.cat((features.unsqueeze(1), self.embed(captions)), 1)
        packed = pack_padded_sequence(steps, lengths, batch_first=True)
        return self.linear(self.lstm(packed)[0][0])

    def sample(self, features: torch.Tensor) -> Any:
        inputs, states, words = features.unsqueeze(1), None, []
        for _ in range(6):
            hidden, states = self.lstm(inputs, states)
            words.append(self.linear(hidden.squeeze(1)).max(1)[1])
            inputs = self.embed(words[-1]).unsqueeze(1)
        return torch.stack(words, 1)


class Padded(Decoder):
    def forward(self, features: torch.Tensor, captions: torch.Tensor, lengths: Any) -> Any:
        steps = torch.cat((features.unsqueeze(1), self.embed(captions)), 1)
        packed = pack_padded_sequence(steps, lengths, batch_first=True)
        return self.linear(pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0])


class Forgets(Decoder):
    def sample(self, features: torch.Tensor) -> Any:
        inputs, words = features.unsqueeze(1), []
        for _ in range(6):
            words.append(self.linear(self.lstm(inputs)[0].squeeze(1)).max(1)[1])
            inputs = self.embed(words[-1]).unsqueeze(1)
        return torch.stack(words, 1)


SIZES = {"embed_size": 4, "hidden_size": 5, "vocab_size": 30}


def test_a_decoder_that_packs_its_sequences(ask: Asker) -> None:
    inputs = [
        {
            "features": "normal(3, 4)",
            "captions": "integers(0, 30, 3, 5)",
            "lengths": [5, 4, 2],
        }
    ]
    asked = ask("model", "Decoder", build=SIZES, inputs=inputs)
    assert said(asked.judge(Decoder=Decoder)) == (1.0, "The outputs and gradients agree.")
    says = "The outputs differ: expected shape (11, 30), found (3, 5, 30)."
    assert said(asked.judge(Decoder=Padded)) == (0.0, says)


def test_a_decoders_words_are_those_of_its_method(ask: Asker) -> None:
    settings: dict[str, Any] = {"build": SIZES, "method": "sample", "compare": ["outputs"]}
    asked = ask("model", "Decoder", inputs=[{"features": "normal(40, 4)"}], **settings)
    assert said(asked.judge(Decoder=Decoder)) == (1.0, "The outputs agree.")
    assert found(asked.judge(Decoder=Forgets)).says.startswith("The outputs differ: ")
    lacks = found(asked.judge(Decoder=lambda **sizes: nn.Linear(1, 1)))
    assert lacks.says.startswith("The weights do not fit: ")
    Named = type("Named", (Decoder,), {"sample": None})
    none = found(asked.judge(Decoder=Named))
    assert (none.says, none.answered) == ("Decoder has no method sample.", False)


class Encoder(nn.Module):
    def __init__(self, D_in: int, D_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(D_in, D_out)

    def forward(self, x: torch.Tensor) -> Any:
        return self.linear(x).relu()


class VAE(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.mu, self.log_sigma = nn.Linear(6, 2), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> Any:
        h = self.encoder(x)
        z = self.mu(h) + torch.exp(self.log_sigma(h)) * torch.randn(len(x), 2)
        return self.decoder(z)


class Told(VAE):
    def forward(self, x: torch.Tensor) -> Any:
        h = self.encoder(x)
        return super().forward(x), self.mu(h), self.log_sigma(h)


class Calm(VAE):
    def forward(self, x: torch.Tensor) -> Any:
        return self.decoder(self.mu(self.encoder(x)))


TENSOR = "expected a tensor of shape (4, 5)"
NETS = {"encoder": "Encoder(D_in=5, D_out=6)", "decoder": "Encoder(D_in=2, D_out=5)"}


@pytest.mark.parametrize("given", [VAE, Told, Calm])
def test_an_autoencoder_without_noise_gives_what_the_reference_does(ask: Asker, given: Any) -> None:
    still = {"log_sigma.weight": 0, "log_sigma.bias": -40}
    settings: dict[str, Any] = {"build": NETS, "weights": still, "compare": ["outputs"]}
    inputs = [{"x": "normal(4, 5)"}]
    asked = ask("model", "VAE", inputs=inputs, also=["VAEWithStatistics"], **settings)
    assert said(asked.judge(VAE=given, Encoder=Encoder)) == (1.0, "The outputs agree.")


class Coded(VAE):
    def forward(self, x: torch.Tensor) -> Any:
        return [super().forward(x), torch.ones(2), self.mu(self.encoder(x)), None]


class Late(VAE):
    def forward(self, x: torch.Tensor) -> Any:
        return self.mu(self.encoder(x)), super().forward(x)


class Keyed(VAE):
    def forward(self, x: torch.Tensor) -> Any:
        return {"x_hat": super().forward(x)}


@pytest.mark.parametrize(
    ("given", "item", "expected"),
    [
        (VAE, 0, (1.0, "The outputs agree.")),
        (Told, 0, (1.0, "The outputs agree.")),
        (Coded, 0, (1.0, "The outputs agree.")),
        (Late, 1, (1.0, "The outputs agree.")),
        (Late, 0, (0.0, "The outputs differ: expected shape (4, 5), found (4, 2).")),
        (
            Late,
            2,
            (0.0, f"The outputs differ: {TENSOR}, found a tuple of 2 items."),
        ),
        (
            Told,
            None,
            (0.0, f"The outputs differ: {TENSOR}, found a tuple of 3 items."),
        ),
        (
            Keyed,
            0,
            (0.0, f"The outputs differ: {TENSOR}, found a dict of 1 item."),
        ),
    ],
)
def test_one_item_counts_of_what_a_model_returns(
    ask: Asker, given: Any, item: int | None, expected: tuple[float, str]
) -> None:
    still = {"log_sigma.weight": 0, "log_sigma.bias": -40}
    settings: dict[str, Any] = {"build": NETS, "weights": still, "compare": ["outputs"]}
    asked = ask("model", "VAE", inputs=[{"x": "normal(4, 5)"}], item=item, **settings)
    assert said(asked.judge(VAE=given, Encoder=Encoder)) == expected


def test_the_item_that_counts_is_what_a_predicate_and_a_mistake_see(ask: Asker) -> None:
    settings: dict[str, Any] = {"build": NETS, "item": 0, "inputs": [{"x": "normal(4, 5)"}]}
    noisy = ask("model", "VAE", compare=[], holds="is_random", **settings)
    assert said(noisy.judge(VAE=Coded, Encoder=Encoder)) == (1.0, "The outputs are as asked.")
    still = {"log_sigma.weight": 0, "log_sigma.bias": -40}
    known = [{"reference": "VAEWithStatistics", "says": "Known.", "credit": 0.5}]
    wrong = ask(
        "model",
        "VAE",
        compare=["outputs"],
        reference="Mean",
        weights=still,
        mistakes=known,
        **settings,
    )
    assert said(wrong.judge(VAE=Coded, Encoder=Encoder)) == (0.5, "Known.")


def test_the_noise_of_an_autoencoder_is_judged_by_a_predicate(ask: Asker) -> None:
    loud = {"mu.weight": 0, "mu.bias": 0, "log_sigma.weight": 0, "decoder.linear.bias": 9}
    settings: dict[str, Any] = {"build": NETS, "weights": loud, "compare": ["shapes"]}
    asked = ask("model", "VAE", inputs=[{"x": "zeros(9, 5)"}], holds="is_random", **settings)
    assert found(asked.judge(VAE=VAE, Encoder=Encoder)).credit == 1.0
    random = ask("model", "VAE", inputs=[{"x": "zeros(9, 5)"}], deterministic=True, **settings)
    assert said(random.judge(VAE=VAE, Encoder=Encoder)) == (
        0.0,
        "In evaluation mode the same input gives different outputs.",
    )


class Layer(nn.Module):
    def __init__(self, d_model: int, nhead: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.self_attn = nn.MultiheadAttention(d_model, nhead, dropout=0.1)

    def forward(
        self, src: torch.Tensor, src_mask: Any = None, src_key_padding_mask: Any = None
    ) -> Any:
        out = self.self_attn(
            src, src, src, key_padding_mask=src_key_padding_mask, attn_mask=src_mask
        )[0]
        return self.norm(src + out)


class Unmasked(Layer):
    def forward(
        self, src: torch.Tensor, src_mask: Any = None, src_key_padding_mask: Any = None
    ) -> Any:
        return super().forward(src)


@pytest.mark.parametrize("compare", [["outputs"], ["outputs", "gradients"]])
def test_an_encoder_layer_in_evaluation_mode_with_masks(ask: Asker, compare: list[str]) -> None:
    inputs = [
        {"src": "normal(5, 2, 8)"},
        {"src": "normal(5, 2, 8)", "src_mask": "reference('later', 5)"},
        {
            "src": "normal(4, 3, 8)",
            "src_mask": "reference('later', 4)",
            "src_key_padding_mask": "reference('padding', 3, 4)",
        },
    ]
    mistakes = [{"reference": "Unmasked", "says": "The masks are not used."}]
    build = {"d_model": 8, "nhead": 2}
    asked = ask("model", "Layer", build=build, inputs=inputs, compare=compare, mistakes=mistakes)
    assert found(asked.judge(Layer=Layer)).credit == 1.0
    assert said(asked.judge(Layer=Unmasked)) == (0.0, "The masks are not used.")


class Features(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(3, size), nn.BatchNorm1d(size, momentum=0.01)

    def forward(self, images: torch.Tensor) -> Any:
        return self.norm(self.fc(images))


class Unnormed(Features):
    def forward(self, images: torch.Tensor) -> Any:
        norm = self.norm
        return self.fc(images) * norm.weight + norm.bias


@pytest.mark.parametrize("rename", [{}, {"fc": "linear", "norm": "bn"}])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_batch_norms_statistics_are_loaded_beside_its_weights(
    ask: Asker, mode: str, rename: dict[str, str]
) -> None:
    settings: dict[str, Any] = {"build": {"size": 4}, "mode": mode, "rename": rename}
    asked = ask("model", "Features", inputs=[{"images": "normal(6, 3)"}], **settings)
    assert set(asked.requests["model"]["statistics"]) == {"bn.running_mean", "bn.running_var"}
    assert found(asked.judge(Features=Features)).credit == 1.0
    assert found(asked.judge(Features=Unnormed)).credit == 0.0


class ViT(nn.Module):
    """Patches by hand, and positions that start at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.to_tokens = nn.Linear(16, dim)
        self.positions = nn.Parameter(torch.zeros(4, dim))
        self.classify = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 10))

    def forward(self, images: torch.Tensor) -> Any:
        x = images.unfold(2, 4, 4).unfold(3, 4, 4).reshape(len(images), 4, 16)
        x = (self.to_tokens(x) + self.positions).tanh()
        return self.classify(x.mean(1))


class Unplaced(ViT):
    def forward(self, images: torch.Tensor) -> Any:
        with torch.no_grad():
            self.positions.zero_()
        return super().forward(images)


def test_a_vision_transformer_of_any_layout_must_use_positions(ask: Asker) -> None:
    inputs = [{"images": "reference('turned')"}, {"images": "reference('other_way')"}]
    settings: dict[str, Any] = {"build": {"dim": 6}, "compare": ["shapes"]}
    settings |= {"batch": True, "deterministic": True, "holds": "uses_positions"}
    settings |= {"count": {"at_least": 10, "at_most": 1000}, "shake": 0.1}
    asked = ask("model", "ViT", inputs=inputs, **settings)
    assert found(asked.judge(ViT=ViT)).credit == 1.0
    assert said(asked.judge(ViT=Unplaced)) == (0.0, "Permuting the patches changes nothing.")
    still = ask("model", "ViT", inputs=inputs, **settings | {"shake": 0.0})
    assert said(still.judge(ViT=ViT))[0] == 0.0
