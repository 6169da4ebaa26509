"""What a student's model computes under given weights, and how it differentiates."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from guest_driver import Put, tensor

from grader.guest.model import weighted
from grader.values import Value


@pytest.fixture
def put(tmp_path: Path) -> Put:
    return Put(tmp_path)


class Net(torch.nn.Module):
    """Two layers, a mask as a buffer, dropout, and a parameter that is never used."""

    def __init__(self, width: int, outputs: int = 2) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, width)
        self.second = torch.nn.Linear(width, outputs, bias=False)
        self.unused = torch.nn.Parameter(torch.ones(7))
        self.drop = torch.nn.Dropout(0.5)
        self.register_buffer("mask", torch.ones(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        hidden = torch.tanh(self.first(self.drop(x)))
        return self.second(hidden), {"hidden": hidden}


WEIGHTS = {
    "first.weight": torch.randn(4, 3, generator=torch.Generator().manual_seed(0)),
    "first.bias": torch.arange(4.0),
    "second.weight": torch.randn(2, 4, generator=torch.Generator().manual_seed(1)),
    "unused": torch.zeros(7),
}
X = [torch.randn(5, 3, generator=torch.Generator().manual_seed(i)) for i in (2, 3)]


def look(weights: dict[str, torch.Tensor] | None = WEIGHTS, **changes: Any) -> dict[str, Value]:
    """A request for the model operation."""
    request: dict[str, Value] = {
        "op": "model",
        "name": "Net",
        "build": {"width": 4},
        "weights": None if weights is None else {k: tensor(w) for k, w in weights.items()},
        "rename": {},
        "inputs": [{"x": tensor(x)} for x in X],
        "gradients": True,
        "seed": 5,
    }
    return request | changes


def test_a_models_outputs_and_gradients_are_those_of_torch_under_the_given_weights(
    put: Put,
) -> None:
    seen = put({"Net": Net}, look())
    net = Net(4)
    net.load_state_dict(WEIGHTS | {"mask": torch.ones(1)})
    outputs = [net.eval()(x) for x in X]
    loss = torch.zeros(())
    for scores, more in outputs:
        for out in (scores, more["hidden"]):
            pattern = torch.cos(torch.arange(out.numel(), dtype=torch.float64))
            loss = loss + (out * pattern.reshape(out.shape).to(out.dtype)).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert (seen["loaded"], seen["unloaded"], seen["error"]) == ("by name", [], None)
    assert seen["parameters"] == {name: list(p.shape) for name, p in net.named_parameters()}
    assert seen["count"] == 3 * 4 + 4 + 4 * 2 + 7
    for (scores, more), theirs in zip(outputs, seen["outputs"], strict=True):
        np.testing.assert_allclose(theirs[0].array, scores.detach(), rtol=1e-6)
        np.testing.assert_allclose(theirs[1]["hidden"].array, more["hidden"].detach(), rtol=1e-6)
    assert set(seen["gradients"]) == set(WEIGHTS)
    for name, parameter in net.named_parameters():
        expected = torch.zeros(7) if parameter.grad is None else parameter.grad
        np.testing.assert_allclose(seen["gradients"][name].array, expected, rtol=1e-5, atol=1e-6)


def test_weights_are_placed_by_rename_or_by_shape_where_shapes_are_unique(put: Put) -> None:
    ours = {f"net.{name}".replace("second.", "out."): w for name, w in WEIGHTS.items()}
    rename = {"first": "net.first", "second.weight": "net.out.weight", "unused": "net.unused"}
    renamed = put({"Net": Net}, look(ours, rename=rename))
    by_shape = put({"Net": Net}, look(ours))
    plain = put({"Net": Net}, look())
    assert (renamed["loaded"], by_shape["loaded"]) == ("by rename", "by shape")
    assert renamed["outputs"] == by_shape["outputs"] == plain["outputs"]
    assert set(renamed["gradients"]) == set(by_shape["gradients"]) == set(ours)


@pytest.mark.parametrize(
    ("weights", "build", "says"),
    [
        (
            {"a": WEIGHTS["first.weight"], "b": WEIGHTS["first.weight"]},
            {"width": 4},
            "no parameter for a, b; no weights for unused, first.weight, first.bias, second.weight",
        ),
        (
            WEIGHTS,
            {"width": 5},
            "first.weight has shape (5, 3), expected (4, 3); "
            "first.bias has shape (5,), expected (4,); "
            "second.weight has shape (2, 5), expected (2, 4)",
        ),
        (
            {name: w for name, w in WEIGHTS.items() if name != "unused"},
            {"width": 4},
            "no weights for unused",
        ),
    ],
    ids=["ambiguous shapes", "wrong shapes", "a parameter of theirs is left over"],
)
def test_weights_that_find_no_place_are_told_and_nothing_is_run(
    put: Put, weights: dict[str, torch.Tensor], build: dict[str, int], says: str
) -> None:
    seen = put({"Net": Net}, look(weights, build=build))
    assert (seen["loaded"], seen["unloaded"]) == ("", list(weights))
    assert (seen["outputs"], seen["gradients"]) == ([], None)
    assert seen["error"] == {"stage": "load", "ename": "", "evalue": says}


def test_without_weights_a_model_starts_from_the_seed(put: Put) -> None:
    seen = [put({"Net": Net}, look(None, rename={"first": "a"})) for _ in range(2)]
    assert seen[0] == seen[1]
    assert seen[0]["loaded"] == ""
    assert set(seen[0]["gradients"]) == {"a.weight", "a.bias", "second.weight", "unused"}


class Broken(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return self.first(x) @ self.first(x)


class Whole(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return x.argmax(1)


@pytest.mark.parametrize(
    ("target", "stage", "ename"),
    [
        (lambda: 1, "build", "TypeError"),
        (lambda width: width, "build", "TypeError"),
        (Broken, "forward", "RuntimeError"),
        (Whole, "backward", "TypeError"),
    ],
    ids=["arguments", "no model", "forward", "nothing to differentiate"],
)
def test_the_stage_that_failed_is_named(put: Put, target: Any, stage: str, ename: str) -> None:
    error = put({"Net": target}, look())["error"]
    assert (error["stage"], error["ename"]) == (stage, ename)


def test_a_lazy_model_and_a_finished_one_are_examined_too(put: Put) -> None:
    lazy = put({"Net": lambda width: torch.nn.LazyLinear(width)}, look(None))
    assert lazy["parameters"] == {"weight": [4, 3], "bias": [4]}
    made = Net(4)
    before = made.first.weight.clone()
    assert put({"Net": made}, look())["loaded"] == "by name"
    assert torch.equal(made.first.weight, before)


def test_the_gradient_pattern_is_the_documented_one() -> None:
    out = torch.ones(2, 2, dtype=torch.float64)
    expected = sum(math.cos(i) for i in range(4))
    assert float(weighted(out)) == pytest.approx(expected, rel=1e-12)
