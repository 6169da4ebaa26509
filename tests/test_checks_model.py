"""`model`: what a student wrote is built, loaded, run and differentiated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import Asked, Asker, found, raiser, said
from torch import nn

from grader.errors import ReferenceFault

REFERENCE = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(3, width)
        self.outer = nn.Linear(width, 2, bias=False)
    def forward(self, x): return self.outer(torch.tanh(self.inner(x)))

class Linear(Net):
    def forward(self, x): return self.outer(self.inner(x))

class Roots(Net):
    def forward(self, x): return super().forward(x).sqrt()

class Nowhere(Net):
    def forward(self, x): return super().forward(x) * float("nan")

class Picks(Net):
    def forward(self, x): return super().forward(x).argmax(-1)

class Pair(Net):
    def forward(self, x): return {"y": super().forward(x), "state": None}

class Scaled(Net):
    def forward(self, x, scale): return super().forward(x) * scale
"""


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


class Net(nn.Module):
    """A student's right answer, with the names of the reference."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(3, width)
        self.outer = nn.Linear(width, 2, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.outer(torch.tanh(self.inner(x)))


class OtherNames(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(3, width)
        self.outer = nn.Linear(width, 2, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.outer(torch.tanh(self.first(x)))


class Without(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return self.outer(self.inner(x))


class Relu(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return self.outer(torch.relu(self.inner(x)))


class Detached(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return self.outer(torch.tanh(self.inner(x)).detach())


class Tells(Net):
    def forward(self, x: torch.Tensor) -> Any:
        raise ValueError(f"x was {x}")


class TellsByKey(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return {f"x was {x}": super().forward(x)}


class Narrow(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(3, width)
        self.outer = nn.Linear(width, 1, bias=False)


class Larger(Net):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.more = nn.Linear(1, 1)


class Unbuilt(nn.Module):
    def __init__(self) -> None:
        super().__init__()


def copied(ask: Asker, name: str) -> Any:
    """The reference's own, as if a student had written the same."""
    return getattr(ask.context.reference.module, name)


@pytest.fixture
def net(ask: Asker) -> Asked:
    mistake = {"reference": "Linear", "says": "No tanh.", "credit": 0.5}
    inputs = [{"x": "normal(5, 3)"}]
    return ask("model", "Net", build={"width": 4}, inputs=inputs, mistakes=[mistake])


UNFIT = "The weights do not fit: "


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Net, (1.0, "The outputs and gradients agree.")),
        (OtherNames, (1.0, "The outputs and gradients agree (weights loaded by shape).")),
        (Without, (0.5, "No tanh.")),
        (Tells, (0.0, "The forward pass raised ValueError.")),
        (Unbuilt, (0.0, "Net(width=4) raised TypeError.")),
        (raiser("Own"), (0.0, "Net(width=4) raised an exception.")),
        (None, (0.0, "Net is not defined.")),
        (
            Narrow,
            (0.0, f"{UNFIT}expected a parameter outer.weight of shape (2, 4), found shape (1, 4)."),
        ),
        (Larger, (1.0, "The outputs and gradients agree.")),
        (
            lambda width: nn.Linear(3, width),
            (
                0.0,
                f"{UNFIT}expected a parameter inner.weight of shape (4, 3), found none of it. "
                "The names asked for are inner.weight, inner.bias, outer.weight.",
            ),
        ),
    ],
    ids=[
        "right",
        "by shape",
        "known mistake",
        "forward raises",
        "build raises",
        "own exception",
        "missing",
        "another shape",
        "one unused parameter too many",
        "other names",
    ],
)
def test_a_model(net: Asked, given: Any, expected: tuple[float, str]) -> None:
    assert said(net.judge(**({} if given is None else {"Net": given}))) == expected


@pytest.mark.parametrize(("name", "credit"), [("Roots", 0.5), ("Nowhere", 0.0)])
def test_a_mistake_may_give_nan_but_not_nan_alone(ask: Asker, name: str, credit: float) -> None:
    mistake = {"reference": name, "says": "Known.", "credit": 0.5}
    inputs = [{"x": "normal(5, 3)"}]
    asked = ask("model", "Net", build={"width": 4}, inputs=inputs, mistakes=[mistake])
    assert found(asked.judge(Net=copied(ask, name))).credit == credit


def test_wrong_outputs_and_wrong_gradients_are_told_apart(net: Asked) -> None:
    outputs, gradients = found(net.judge(Net=Relu)), found(net.judge(Net=Detached))
    assert (outputs.credit, gradients.credit) == (0.0, 0.0)
    assert outputs.says.startswith("The outputs differ: ")
    assert gradients.says.startswith("The gradients differ: ")


def test_what_a_model_tells_of_its_inputs_is_for_staff(net: Asked) -> None:
    by_words, by_key = found(net.judge(Net=Tells)), found(net.judge(Net=TellsByKey))
    assert by_words.says == "The forward pass raised ValueError."
    assert by_words.detail.startswith("ValueError: x was tensor(")
    assert (
        by_key.says
        == "The outputs differ: expected a tensor of shape (5, 2), found a dict of 1 item."
    )


def test_a_renamed_parameter_of_another_shape_is_the_one_that_is_named(ask: Asker) -> None:
    asked = ask(
        "model",
        "Net",
        build={"width": 4},
        inputs=[{"x": "normal(5, 3)"}],
        rename={"first": "inner", "last": "outer"},
    )

    class Renamed(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.first = nn.Linear(3, width)
            self.last = nn.Linear(width, 1, bias=False)

    says = f"{UNFIT}expected a parameter outer.weight of shape (2, 4), found shape (1, 4)."
    assert said(asked.judge(Net=Renamed)) == (0.0, says)


def test_parameters_may_be_counted_alone(ask: Asker) -> None:
    asked = ask("model", "Net", build={"width": 4}, compare=["count"])
    assert said(asked.judge(Net=Net)) == (1.0, "The parameter counts agree.")
    wrong = found(asked.judge(Net=Larger))
    assert said(wrong) == (0.0, "The parameter counts differ: 26 parameters.")
    assert "24" in wrong.detail


@pytest.mark.parametrize("name", ["Picks", "Pair"])
def test_outputs_may_be_whole_numbers_or_mappings_with_None(ask: Asker, name: str) -> None:
    given = {"build": {"width": 4}, "inputs": [{"x": "normal(5, 3)"}], "compare": ["outputs"]}
    assert found(ask("model", name, **given).judge(**{name: copied(ask, name)})).credit == 1.0


def test_gradients_of_mappings_are_those_that_the_guest_computes(ask: Asker) -> None:
    asked = ask("model", "Pair", build={"width": 4}, inputs=[{"x": "normal(5, 3)"}])
    assert said(asked.judge(Pair=copied(ask, "Pair")))[0] == 1.0


def test_gradients_that_the_reference_cannot_have_are_its_own_fault(ask: Asker) -> None:
    asked = ask("model", "Picks", build={"width": 4}, inputs=[{"x": "normal(5, 3)"}])
    with pytest.raises(ReferenceFault, match="floating-point"):
        asked.judge(Picks=copied(ask, "Picks"))


def test_a_reference_model_gets_its_inputs_by_name(ask: Asker) -> None:
    class Scaled(Net):
        def forward(self, x: torch.Tensor, scale: float) -> Any:  # type: ignore[override]
            return super().forward(x) * scale

    inputs = [{"scale": 2.0, "x": "normal(5, 3)"}]
    asked = ask("model", "Scaled", build={"width": 4}, inputs=inputs)
    assert said(asked.judge(Scaled=Scaled))[0] == 1.0


def test_a_model_check_must_look_at_something(ask: Asker) -> None:
    asked = ask("model", "Net", compare=[])
    assert asked.problems == [(("compare",), "expected something to look at, found nothing")]
