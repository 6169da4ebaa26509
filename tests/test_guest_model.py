"""What a student's model computes under given weights, and how it differentiates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from guest_driver import Put, tensor

from grader.guest.model import weighted
from grader.values import Opaque, Value


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
        "statistics": {},
        "rename": [],
        "shake": 0.0,
        "method": "",
        "mode": "eval",
        "inputs": [{"x": tensor(x)} for x in X],
        "again": [],
        "training": [],
        "gradients": True,
        "loss": None,
        "layers": False,
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
    renamed = put({"Net": Net}, look(ours, rename=[rename]))
    by_shape = put({"Net": Net}, look(ours))
    plain = put({"Net": Net}, look())
    assert (renamed["loaded"], by_shape["loaded"]) == ("by rename", "by shape")
    assert renamed["outputs"] == by_shape["outputs"] == plain["outputs"]
    assert set(renamed["gradients"]) == set(by_shape["gradients"]) == set(ours)


def test_extra_parameters_of_theirs_keep_what_they_hold_and_are_told(put: Put) -> None:
    ours = {name: w for name, w in WEIGHTS.items() if name != "unused"}
    renamed = {name.replace("first", "in"): w for name, w in ours.items()}
    plain = put({"Net": Net}, look())
    by_name = put({"Net": Net}, look(ours))
    by_rename = put({"Net": Net}, look(renamed, rename=[{"first": "in"}]))
    for seen, way, names in ((by_name, "by name", ours), (by_rename, "by rename", renamed)):
        assert (seen["loaded"], seen["unloaded"], seen["extra"]) == (way, [], ["unused"])
        assert seen["outputs"] == plain["outputs"]
        assert set(seen["gradients"]) == set(names)
    assert plain["extra"] == []


class Tied(torch.nn.Module):
    """One tensor under two names, of which torch lists the first only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3, width, bias=False)
        self.body = torch.nn.Linear(3, width, bias=False)
        self.body.weight = self.head.weight

    def forward(self, x: torch.Tensor) -> Any:
        return self.body(x) + self.head(x)


def test_a_shared_parameter_is_found_by_any_of_its_names(put: Put) -> None:
    seen = put({"Net": Tied}, look({"body.weight": WEIGHTS["first.weight"]}))
    assert (seen["loaded"], seen["extra"]) == ("by name", [])
    assert set(seen["gradients"]) == {"body.weight"}


def test_a_renamed_parameter_is_ours_though_another_has_our_name(put: Put) -> None:
    ours = {"unused": WEIGHTS["first.weight"]}
    seen = put({"Net": Net}, look(ours, rename=[{"first.weight": "unused"}]))
    assert (seen["loaded"], seen["unloaded"]) == ("by rename", [])
    assert seen["extra"] == ["unused", "first.bias", "second.weight"]
    assert {name: g.shape for name, g in seen["gradients"].items()} == {"unused": (4, 3)}


@pytest.mark.parametrize(
    ("weights", "build", "unloaded", "says"),
    [
        (
            {"a": WEIGHTS["first.weight"], "b": WEIGHTS["first.weight"]},
            {"width": 4},
            ["a", "b"],
            "no parameter for a; no parameter for b",
        ),
        (
            WEIGHTS,
            {"width": 5},
            ["first.weight", "first.bias", "second.weight"],
            "first.weight has shape (5, 3), expected (4, 3); "
            "first.bias has shape (5,), expected (4,); "
            "second.weight has shape (2, 5), expected (2, 4)",
        ),
        (
            {**WEIGHTS, "third": torch.zeros(9)},
            {"width": 4, "outputs": 3},
            ["second.weight", "third"],
            "second.weight has shape (3, 4), expected (2, 4); no parameter for third",
        ),
        (
            {"a": WEIGHTS["first.weight"]},
            {"width": 4},
            ["a"],
            "no parameter for a",
        ),
    ],
    ids=["ambiguous shapes", "wrong shapes", "one missing, one wrong", "other counts"],
)
def test_weights_that_find_no_place_are_told_and_nothing_is_run(
    put: Put,
    weights: dict[str, torch.Tensor],
    build: dict[str, int],
    unloaded: list[str],
    says: str,
) -> None:
    seen = put({"Net": Net}, look(weights, build=build))
    assert (seen["loaded"], seen["unloaded"]) == ("", unloaded)
    assert (seen["outputs"], seen["gradients"]) == ([], None)
    assert seen["error"] == {"stage": "load", "ename": "", "evalue": says}


@pytest.fixture
def leftovers() -> Iterator[None]:
    """What a notebook may leave switched, put back."""
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(grad)


def test_gradients_that_were_left_switched_off_are_switched_on(put: Put, leftovers: None) -> None:
    expected = put({"Net": Net}, look())
    torch.set_grad_enabled(False)
    assert put({"Net": Net}, look()) == expected
    with torch.inference_mode():
        assert put({"Net": Net}, look()) == expected


class Scaled(Net):
    def forward(self, x: torch.Tensor, rows: Any = None, on: Any = None, act: Any = None) -> Any:
        assert (x.dtype, rows[0].dtype, on.dtype) == (torch.float64, torch.int64, torch.bool)
        return self.second(torch.tanh(self.first(act(x))))[rows[0]][on]


def test_inputs_take_the_precision_of_the_model(put: Put, leftovers: None) -> None:
    given = {"rows": [tensor([0, 4], "int64")], "on": tensor([True, False], "bool")}
    torch.set_default_dtype(torch.float64)
    inputs = [{"x": tensor(x), **given, "act": Opaque("function", "identity")} for x in X]
    seen = put({"Net": Scaled}, look(inputs=inputs))
    assert (seen["loaded"], seen["error"]) == ("by name", None)
    net = Net(4).to(torch.float64)
    net.load_state_dict(WEIGHTS | {"mask": torch.ones(1)})
    for x, output in zip(X, seen["outputs"], strict=True):
        expected = net.eval()(x.double())[0][:1].detach()
        np.testing.assert_allclose(output.array, expected, rtol=1e-12)


def test_without_weights_a_model_starts_from_the_seed(put: Put) -> None:
    seen = [put({"Net": Net}, look(None, rename=[{"first": "a"}])) for _ in range(2)]
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
