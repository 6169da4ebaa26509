"""Whatever a sandbox may hand over, a check gives a finding without points, and never an exception.

A student's code can answer its own probes, so all of these may come as an answer to any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from asking import Asked, Asker

from grader.codec import decode, encode
from grader.evidence import Observation, ProbeStatus
from grader.values import Formula, Opaque, Table, Tensor, Value
from grader.verdict import Finding

REFERENCE = """\
import torch
from torch import nn

def double(x): return 2 * x + 1000
def wrong(x): raise ValueError
def numbers(): return [123.25, 456.5]
def signs(seed):
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
    return x, torch.arange(100, 108)
def error(predictions, labels): return ((predictions - labels) ** 2).float().mean()

def is_fine(outputs, inputs): return bool((outputs[0][0] > 1000 * inputs[0]["x"].sum()).all())

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 4)
    def forward(self, x): return self.inner(x), {"x": x}
"""
MISTAKE = {"reference": "wrong", "says": "Known.", "credit": 0.5}
METRIC: dict[str, Any] = {"data": "signs", "credit": {0.5: 0, 1: 1}}
CHECKS: dict[str, dict[str, Any]] = {
    "value": {"of": "v", "equals": 123.25},
    "value of text": {"of": "v", "equals": "the right words"},
    "value of a list": {"of": "v", "equals": [123.25, "the right words"]},
    "value of a dict": {"of": "v", "equals": {"a": 123.25}},
    "value of a reference": {"of": "v", "reference": "numbers"},
    "expression": {"of": "e", "equals": "n*(n+1)/2", "symbols": {"n": "positive integer"}},
    "expression of a list": {"of": "e", "equals": ["n**7", "n**9"], "symbols": {"n": "integer"}},
    "complexity": {"of": "c", "equals": "n**9", "symbols": {"n": "positive integer"}},
    "choice": {"of": "c", "options": ["rnn", "cnn"], "equals": "rnn"},
    "choice of truths": {"of": "c", "options": [False, "maybe"], "equals": "maybe"},
    "function": {"of": "double", "cases": [{"x": "normal(3)"}, {"x": 3}], "mistakes": [MISTAKE]},
    "function by case": {"of": "double", "cases": [{"x": 3}], "credit": "per_case"},
    "model": {"of": "Net", "inputs": [{"x": "normal(2, 3)"}]},
    "model by count": {"of": "Net", "compare": ["count"]},
    "model by all its parts": {
        "of": "Net",
        "inputs": [{"x": "normal(2, 3)"}],
        "compare": ["parameters", "shapes"],
        "batch": True,
        "permutes": "x",
        "ignores_order": "x",
        "deterministic": True,
        "dropout": True,
        "has": {"inner": "Linear(bias=True)"},
        "holds": "is_fine",
        "mistakes": [MISTAKE],
    },
    "model by what holds": {"of": "Net", "inputs": [{"x": "normal(2, 3)"}], "holds": "is_fine"},
    "metric": {"of": "predict", **METRIC},
    "metric with a measure": {
        "of": "predict",
        "measure": "error",
        "data": "signs",
        "credit": {0: 1, 0.5: 0},
    },
    "curve": {"of": "losses", "steps": 3, "falls_to": 0.001},
    "source": {"of": {"uses": ["nn.Linear"]}},
    "written": {"of": {"under": "2c"}},
}
BIG = 10**999


def array(data: Any, dtype: str = "", origin: str = "torch") -> Tensor:
    made = np.asarray(data)
    return Tensor(made, dtype or str(made.dtype), origin)


def deep(levels: int) -> Value:
    return [deep(levels - 1)] if levels else 1


VALUES: dict[str, Value] = {
    "None": None,
    "true": True,
    "number": 5,
    "below zero": -1,
    "big": BIG,
    "nan": float("nan"),
    "infinite": float("inf"),
    "complex": 1 + 2j,
    "text": "x",
    "no text": "",
    "zero byte": "\0",
    "surrogate": "\\ud800",
    "long text": "x" * 100_000,
    "brackets": "(" * 2000,
    "bytes": b"abc",
    "empty list": [],
    "empty dict": {},
    "empty tuple": (),
    "empty set": set(),
    "deep": deep(16),
    "list of None": [None],
    "mixed list": [1, "a", None, [2]],
    "ragged": [[1], [2, 3]],
    "big list": [BIG, 1.0, -BIG],
    "big and complex": [BIG, 1j],
    "batch of big": [[BIG] * 8],
    "odd keys": {None: 1, (1, 2): 2, True: 3, float("nan"): 4},
    "set": {1, "a", None},
    "object": Opaque("object", "Evil"),
    "function": Opaque("function", "f"),
    "class": Opaque("class", "C"),
    "formula": Formula("n"),
    "no formula": Formula("("),
    "table": Table(["a"], [[1]], [0]),
    "empty table": Table([], [], None),
    "odd table": Table([[1], {"a": 1}], [1, "x"], 5),
    "scalar": array(3.0),
    "vector": array([1.0, 2.0]),
    "batch": [array(np.ones(8))],
    "batch of complex": [array(np.ones(8, complex))],
    "batch of nan": [array(np.full(8, np.nan))],
    "batches unalike": [array(np.ones((2, 0))), array(np.ones((3, 1)))],
    "empty array": array(np.zeros(0)),
    "endless empty array": array(np.zeros((0, 2**40))),
    "many dimensions": array(np.zeros((1,) * 8)),
    "truths": array(np.ones((3, 3), bool)),
    "complex array": array([1 + 1j]),
    "uint64": array(np.array([2**64 - 1], np.uint64)),
    "bfloat16": array(np.float32(1), "bfloat16"),
    "list of arrays": [array(1.0), array([1.0, 2.0]), "a"],
}
SHALLOW = [value for name, value in VALUES.items() if name != "deep"]
FAIR: dict[str, Value] = {
    "parameters": {},
    "aliases": {},
    "count": 0,
    "modules": {},
    "loaded": "by name",
    "unloaded": [],
    "outputs": [],
    "again": [],
    "training": [],
    "gradients": {},
    "error": None,
}
ODD = ("None", "number", "text", "mixed list", "odd keys", "object", "vector", "big", "set")
MODELS: dict[str, Value] = {
    "fair": FAIR,
    **{f"no {key}": {k: v for k, v in FAIR.items() if k != key} for key in FAIR},
    **{f"{key}: {name}": {**FAIR, key: VALUES[name]} for key in FAIR for name in ODD},
    "error without words": {**FAIR, "error": {}},
    "error with a stage alone": {**FAIR, "error": {"stage": "build"}},
    "error of no stage": {**FAIR, "error": {"stage": "x", "ename": "", "evalue": ""}},
    "unknown unloaded": {**FAIR, "loaded": "", "unloaded": ["nope"]},
    "unloaded lists": {**FAIR, "loaded": "", "unloaded": [[1]]},
    "shape a number": {**FAIR, "loaded": "", "parameters": {"inner.weight": 5}},
    "shape of text": {**FAIR, "loaded": "", "parameters": {"inner.weight": ["a"]}},
    "shape too big": {**FAIR, "loaded": "", "parameters": {"inner.weight": [BIG]}},
    "number as a name": {**FAIR, "loaded": "", "parameters": {1: [5]}},
    "shape of an alias": {**FAIR, "aliases": {"inner.weight": [4, 3]}},
    "an alias of nothing": {**FAIR, "aliases": {"inner.weight": "outer.weight"}},
    "outputs of every kind": {**FAIR, "outputs": [SHALLOW]},
    "outputs and changes": {**FAIR, "outputs": [VALUES["vector"]], "again": [None] * 9},
    "changes of every kind": {**FAIR, "outputs": [[1.0]], "again": [*SHALLOW]},
    "shape a layer": {**FAIR, "modules": {"inner": 5}},
    "shape of a layer's class": {**FAIR, "modules": {"inner": {"classes": [5], "attributes": {}}}},
    "layers with odd attributes": {
        **FAIR,
        "modules": {"inner": {"classes": ["Linear"], "attributes": {"bias": VALUES["vector"]}}},
    },
    "count true": {**FAIR, "count": True},
}
ANSWERS = {**VALUES, **{f"model, {name}": value for name, value in MODELS.items()}}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    asker = Asker(tmp_path_factory.mktemp("reference"), REFERENCE)
    yield asker
    asker.context.symbolic.close()


def answers(asked: Asked, value: Value) -> Iterator[dict[str, Observation]]:
    """The same value to every probe; and, where calls follow, to the calls of a true function."""
    observed = Observation(status=ProbeStatus.OK, value=decode(encode(value)))
    all_alike = dict.fromkeys(asked.requests, observed)
    yield all_alike
    if len(all_alike) > 1:
        defined = Observation(status=ProbeStatus.OK, value=VALUES["function"])
        yield {**all_alike, "value": defined}


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_nothing_hostile_earns_points_or_raises(ask: Asker, check: str) -> None:
    asked = ask(check.split()[0], **CHECKS[check])
    for name, value in ANSWERS.items():
        for replied in answers(asked, value):
            judged = asked.judge_replies(**replied)
            form = asked.kind.form(asked.params, asked.seen(replied), asked.context)
            assert not isinstance(judged, Finding) or judged.credit == 0, (name, judged)
            assert form is None or form.credit == 0, (name, form)


@pytest.mark.parametrize("status", [s for s in ProbeStatus if s is not ProbeStatus.OK])
@pytest.mark.parametrize("check", CHECKS)
def test_no_probe_that_failed_earns_points_or_raises(
    ask: Asker, check: str, status: ProbeStatus
) -> None:
    asked = ask(check.split()[0], **CHECKS[check])
    judged = asked.judge_replies(**dict.fromkeys(asked.requests, Observation(status=status)))
    assert not isinstance(judged, Finding) or judged.credit == 0


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith(("no ", "shape", "error "))])
def test_a_models_reply_in_another_form_makes_no_sense(ask: Asker, name: str) -> None:
    replied = Observation(status=ProbeStatus.OK, value=MODELS[name])
    # Nothing is read off `unloaded`: it names all weights when one does not fit.
    senseless = "The model's reply makes no sense."
    says = "The outputs differ: expected 1 item, found none."
    judged = ask("model", **CHECKS["model"]).judge_replies(model=replied)
    assert isinstance(judged, Finding)
    assert judged.says == (says if name == "no unloaded" else senseless)
