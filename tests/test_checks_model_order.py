"""`model`: layers of equal shapes that a student defines in another order, under other names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import Asked, Asker, found, said
from torch import nn

from grader.checks.model_order import Orders, orders
from grader.checks.model_reply import Reply
from grader.evidence import Raised
from grader.values import Tensor
from grader.verdict import Pending

REFERENCE = """\
import torch
from torch import nn

class Attention(nn.Module):
    scale = 0.5
    def __init__(self, d):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(d, d) for _ in range(3))
        self.out = nn.Linear(d, d)
    def forward(self, x):
        scores = self.query(x) @ self.key(x).mT * self.scale
        return self.out(scores.softmax(-1) @ self.value(x))

class Unscaled(Attention):
    scale = 1.0

class Blocks(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.blocks = nn.ModuleList([Attention(d), Attention(d)])
    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return x

class Norm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))
    def forward(self, x):
        return x * self.scale + self.shift

class Cell(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.i2h, self.h2h = nn.Linear(d, d), nn.Linear(d, d, bias=False)
    def forward(self, x, h):
        return torch.tanh(self.i2h(x) + self.h2h(h))

class Normed(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.first, self.second = nn.Linear(d, d), nn.Linear(d, d)
        self.bn1, self.bn2 = nn.BatchNorm1d(d), nn.BatchNorm1d(d)
    def forward(self, x):
        return self.bn2(self.second(self.bn1(self.first(x)).relu()))

class Noisy(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.mu, self.log_sigma = nn.Linear(d, d), nn.Linear(d, d)
    def forward(self, x):
        return self.mu(x) + self.log_sigma(x).exp() * torch.randn_like(x)
"""
X: dict[str, Any] = {"build": {"d": 4}, "inputs": [{"x": "normal(2, 3, 4)"}]}
AGREE = "The outputs and gradients agree (weights loaded by order and shape, for the names are "
AGREE += "not those asked for)."
PERSON = "The weights fit in more than one order, for the names are not those asked for: "
PERSON += "a person looks."


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


class Attention(nn.Module):
    """Right, but the values come first, and the names are the student's own."""

    names = ("V", "Q", "K", "O")
    scale = 0.5

    def __init__(self, d: int) -> None:
        super().__init__()
        for name in self.names:
            self.add_module(name, nn.Linear(d, d))

    def forward(self, x: torch.Tensor) -> Any:
        q, k, v, out = (self.get_submodule(name) for name in "QKVO")
        return out((q(x) @ k(x).mT * self.scale).softmax(-1) @ v(x))


class Unscaled(Attention):
    scale = 1.0


class Unasked(Attention):
    scale = 2.0


@pytest.fixture
def attention(ask: Asker) -> Asked:
    mistakes = [{"reference": "Unscaled", "says": "No scale.", "credit": 0.25}]
    return ask("model", "Attention", **X, mistakes=mistakes)


@pytest.mark.parametrize("names", ["QKVO", "VQKO", "OVKQ"])
def test_a_right_model_is_right_in_any_order_of_its_layers(attention: Asked, names: str) -> None:
    given = type("Given", (Attention,), {"names": names})
    assert said(attention.judge(Attention=given)) == (1.0, AGREE)


def test_a_wrong_model_is_wrong_in_every_order_of_its_layers(attention: Asked) -> None:
    assert said(attention.judge(Attention=Unscaled)) == (0.25, "No scale.")
    wrong = found(attention.judge(Attention=Unasked))
    assert wrong.credit == 0.0
    assert wrong.says.startswith("The outputs differ (weights loaded by order and shape, ")


class Blocks(nn.Module):
    def __init__(self, d: int, kind: Any = Attention) -> None:
        super().__init__()
        self.layers = nn.ModuleList([kind(d), kind(d)])

    def forward(self, x: torch.Tensor) -> Any:
        for layer in self.layers:
            x = x + layer(x)
        return x


def test_blocks_with_more_orders_than_are_tried_are_right_or_left_to_a_person(ask: Asker) -> None:
    asked = ask("model", "Blocks", **X)
    assert said(asked.judge(Blocks=Blocks)) == (1.0, AGREE)
    left = asked.judge(Blocks=lambda d: Blocks(d, Unasked))
    assert isinstance(left, Pending)
    assert left.reason == PERSON
    assert left.detail.startswith("In the likeliest order: The outputs differ (weights loaded by ")


def test_what_no_order_could_mend_is_not_left_to_a_person(ask: Asker) -> None:
    class Raises(Blocks):
        def forward(self, x: torch.Tensor) -> Any:
            raise ValueError

    class Turned(Blocks):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x.flip(1)).flip(1) + x.cumsum(1)

    asked = ask("model", "Blocks", **X, permutes="x")
    assert said(asked.judge(Blocks=Raises)) == (0.0, "The forward pass raised ValueError.")
    assert found(asked.judge(Blocks=Turned)).credit == 0.0


class Norm(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.beta, self.gamma = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.ones(d))

    def forward(self, x: torch.Tensor) -> Any:
        return self.gamma * x + self.beta


def test_weights_of_one_layer_may_be_swapped_where_names_do_not_tell(ask: Asker) -> None:
    assert said(ask("model", "Norm", **X).judge(Norm=Norm)) == (1.0, AGREE)


class Normed(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.b, self.a = nn.Linear(d, d), nn.Linear(d, d)
        self.y, self.x = nn.BatchNorm1d(d), nn.BatchNorm1d(d)

    def forward(self, x: torch.Tensor) -> Any:
        return self.y(self.b(self.x(self.a(x)).relu()))


def test_statistics_follow_the_weights_of_their_layer(ask: Asker) -> None:
    asked = ask("model", "Normed", build={"d": 4}, inputs=[{"x": "normal(5, 4)"}])
    assert said(asked.judge(Normed=Normed)) == (1.0, AGREE)


def test_a_number_that_may_stand_in_the_wrong_layer_is_left_to_a_person(ask: Asker) -> None:
    class Noisy(nn.Module):
        def __init__(self, d: int) -> None:
            super().__init__()
            self.spread, self.mean = nn.Linear(d, d), nn.Linear(d, d)

        def forward(self, x: torch.Tensor) -> Any:
            return self.mean(x) + torch.exp(self.spread(x)) * torch.rand_like(x)

    still = {"log_sigma.weight": 0, "log_sigma.bias": -40}
    settings: dict[str, Any] = {"compare": ["outputs"], "weights": still, "deterministic": True}
    left = ask("model", "Noisy", **X, **settings).judge(Noisy=Noisy)
    assert isinstance(left, Pending)
    assert left.reason == PERSON


def tried(ours: str, theirs: str, loaded: str = "by order") -> Orders:
    """Orders for weights of one shape, by names with spaces between."""
    shapes: dict[str, tuple[int, ...]] = {name: (2,) for name in theirs.split()}
    reply = Reply(
        parameters=shapes,
        aliases={},
        count=0,
        modules={},
        loaded=loaded,
        outputs=[],
        again=[],
        training=[],
        gradients=None,
        stage="",
        raised=Raised(ename="", evalue=""),
    )
    weight = Tensor(torch.zeros(2).numpy(), "float32", "torch")
    return orders(reply, dict.fromkeys(ours.split(), weight))


def test_only_an_order_that_names_leave_open_is_tried() -> None:
    ours = {"a.w": "a.w", "b.w": "b.w"}
    swapped = {"a.w": "b.w", "b.w": "a.w"}
    assert tried("a.w b.w", "x.w y.w") == Orders(tried=[ours, swapped], all=True)
    assert tried("a.w b.w", "x.w y.w", "by shape") == Orders(tried=[ours], all=True)
    linear = {"a.weight": "a.weight", "a.bias": "a.bias"}
    assert tried("a.weight a.bias", "b.weight b.bias") == Orders(tried=[linear], all=True)
    assert not tried("a.weight a.bias", "b.weight b.bias").ambiguous


def test_of_many_orders_names_that_are_ours_and_blocks_alike_come_first() -> None:
    few = tried("f1.w f2.w f3.w f4.w f5.w", "f0.w f1.w f2.w f3.w f4.w")
    assert (few.all, [[*one.values()] for one in few.tried]) == (
        False,
        [
            ["f1.w", "f2.w", "f3.w", "f4.w", "f5.w"],
            ["f5.w", "f1.w", "f2.w", "f3.w", "f4.w"],
        ],
    )
    names = "{0}.q.w {0}.k.w {0}.v.w"
    blocks = tried(" ".join(names.format(n) for n in "01"), " ".join(f"{n}.w" for n in "abcdef"))
    assert (blocks.all, len(blocks.tried)) == (False, 6)
    assert [*blocks.tried[1].values()] == ["0.q.w", "0.v.w", "0.k.w", "1.q.w", "1.v.w", "1.k.w"]


class Cell(nn.Module):
    """The same, with the bias in the other of two layers that are added up."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.hid, self.inp = nn.Linear(d, d), nn.Linear(d, d, bias=False)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.inp(x) + self.hid(h))


def test_a_bias_in_the_other_of_two_layers_is_left_to_a_person(ask: Asker) -> None:
    inputs = [{"x": "normal(2, 4)", "h": "normal(2, 4)"}]
    found = ask("model", "Cell", build={"d": 4}, inputs=inputs).judge(Cell=Cell)
    assert isinstance(found, Pending)
