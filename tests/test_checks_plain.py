"""Kinds of check that need neither reference nor symbols: choice, curve, source, written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.evidence import CellReceipt, CellStatus, Observation, ProbeStatus, Raised
from grader.inputs import Inputs
from grader.reference import Reference
from grader.submission import Cell, CellKind
from grader.symbolic import Symbolic
from grader.values import Opaque, Tensor
from grader.verdict import Conclusion, Finding, Pending

TEMPLATE = (Cell(CellKind.MARKDOWN, "## 2c\nCompare the two.\n\n*Your answer here.*"),)
CONTEXT = Context(
    reference=Reference(Path("none")),
    inputs=Inputs(b"secret", "hw", 1),
    symbolic=Symbolic(),
    template=TEMPLATE,
)


def seen_of(observation: Observation | None = None, *cells: Cell, **receipts: CellReceipt) -> Seen:
    return Seen(
        check_id="1/1",
        requests={"value": {"op": "capture", "name": "x"}},
        observations={"value": observation} if observation else {},
        cells=cells,
        receipts={receipt.index: receipt for receipt in receipts.values()},
    )


def value(held: Any) -> Observation:
    return Observation(status=ProbeStatus.OK, value=held)


def judge(kind: str, params: dict[str, Any], seen: Seen) -> Conclusion:
    module = KINDS[kind]
    return module.judge(module.Params.model_validate(params), seen, CONTEXT)


def says(conclusion: Conclusion) -> tuple[float, str]:
    assert isinstance(conclusion, Finding)
    return conclusion.credit, conclusion.says


CHOICE = {"of": "faster", "options": ["rnn", "transformer"], "equals": "rnn"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("rnn", (1.0, "Right.")),
        (" RNN ", (1.0, "Right.")),
        ("transformer", (0.0, "Not the right option.")),
        ("both", (0.0, "Expected one of rnn, transformer, found text.")),
        (
            Opaque("object", "Evil"),
            (0.0, "Expected one of rnn, transformer, found an object of type Evil."),
        ),
        (None, (0.0, "faster is still None.")),
    ],
)
def test_choice(given: Any, expected: tuple[float, str]) -> None:
    assert says(judge("choice", CHOICE, seen_of(value(given)))) == expected


def test_a_choice_of_truth_values_takes_numpys_and_no_numbers() -> None:
    params = {"of": "converges", "options": [True, False], "equals": False}
    numpys = Tensor(np.array(False), "bool", "numpy")
    assert says(judge("choice", params, seen_of(value(numpys)))) == (1.0, "Right.")
    assert says(judge("choice", params, seen_of(value(0))))[0] == 0.0


def test_options_may_earn_part_of_the_credit() -> None:
    params = {**CHOICE, "equals": {"rnn": 1, "transformer": 0.25}}
    assert says(judge("choice", params, seen_of(value("transformer")))) == (0.25, "Partly right.")


CURVE = {"of": "losses", "steps": 3, "falls_to": 0.5}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([4.0, 2.0, 1.0], (1.0, "losses goes from 4 to 1.")),
        (Tensor(np.array([4.0, 2.0, 1.0]), "float64"), (1.0, "losses goes from 4 to 1.")),
        (
            [Tensor(np.array(v), "float32", "torch") for v in (4.0, 2, 1)],
            (1.0, "losses goes from 4 to 1."),
        ),
        ([4.0, 3.0, 2.5], (0.0, "losses goes from 4 to 2.5; it should fall to 50% of its start.")),
        ([4.0, float("nan"), 1.0], (0.0, "losses is not finite at step 1.")),
        ([4.0], (0.0, "Expected at least 3 numbers, found 1.")),
        ("falling", (0.0, "Expected a list of numbers, found text.")),
        ([True, True, False], (0.0, "Expected a list of numbers, found a list of 3 items.")),
        ([10**400, 2, 1], (0.0, "Expected a list of numbers, found a list of 3 items.")),
    ],
    ids=["list", "tensor", "list of tensors", "flat", "nan", "short", "text", "truths", "huge"],
)
def test_curve(given: Any, expected: tuple[float, str]) -> None:
    assert says(judge("curve", CURVE, seen_of(value(given)))) == expected


def test_a_curve_of_negative_numbers_must_still_fall() -> None:
    assert says(judge("curve", CURVE, seen_of(value([-1.0, -1.0, -1.0]))))[0] == 0.0


def code(source: str) -> Cell:
    return Cell(CellKind.CODE, source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("y = q @ k.T", (1.0, "The code is as asked.")),
        ("y = torch.nn.MultiheadAttention(4, 1)", (0.0, "The code uses nn.MultiheadAttention.")),
        (
            "!pip install x\n%time y = nn.MultiheadAttention\ny=nn.MultiheadAttention",
            (0.0, "The code uses nn.MultiheadAttention."),
        ),
        ("# nn.MultiheadAttention\n'nn.MultiheadAttention'", (1.0, "The code is as asked.")),
        ("this is no python (", (1.0, "The code is as asked.")),
    ],
    ids=["fine", "used", "after magics", "in words", "no python"],
)
def test_source(source: str, expected: tuple[float, str]) -> None:
    params = {"of": {"avoids": ["nn.MultiheadAttention"]}}
    assert says(judge("source", params, seen_of(None, code(source)))) == expected


def test_source_may_ask_for_definitions() -> None:
    params = {"of": {"defines": ["train"], "uses": ["F.softmax"]}}
    right = seen_of(None, code("def train(): ..."), code("y = F.softmax(x)"))
    assert says(judge("source", params, right))[0] == 1.0
    assert says(judge("source", params, seen_of(None))) == (0.0, "The code lacks F.softmax, train.")


WRITTEN = {"of": {"under": "2c"}}


def text(source: str) -> Cell:
    return Cell(CellKind.MARKDOWN, source)


def test_words_wait_for_a_person() -> None:
    seen = seen_of(None, text("# HW\n## 2c Convnets\nA convnet runs in parallel."), text("## 2d\n"))
    assert isinstance(judge("written", WRITTEN, seen), Pending)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((text("## 2c\nCompare the two.\n\n*Your answer here.*"),), "Nothing is written under 2c."),
        (
            (text("## 2c"), text("Compare the  two. your answer here")),
            "Nothing is written under 2c.",
        ),
        ((text("## 2c"), text("## 2d\nwords of another question")), "Nothing is written under 2c."),
        ((text("## 2cd\nwords"),), "There is no heading 2c."),
    ],
    ids=["template", "template reflowed", "empty", "no heading"],
)
def test_what_is_not_written_is_not_queued(cells: tuple[Cell, ...], expected: str) -> None:
    assert says(judge("written", WRITTEN, seen_of(None, *cells))) == (0.0, expected)


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        (Observation(status=ProbeStatus.TIMEOUT, wall_s=10), "x took longer than 10 s."),
        (Observation(status=ProbeStatus.DIED), "x ended the kernel."),
        (Observation(status=ProbeStatus.MEMORY), "x ran out of memory."),
        (Observation(status=ProbeStatus.TOO_LARGE), "x is too large to bring back."),
        (
            Observation(status=ProbeStatus.ERROR, raised=Raised(ename="KeyError", evalue="'a'")),
            "x raised KeyError: 'a'.",
        ),
    ],
)
def test_why_there_is_no_value(observation: Observation, expected: str) -> None:
    finding = seen_of(observation).unanswered("x")
    assert finding is not None
    assert (finding.says, finding.answered) == (expected, False)


def test_a_missing_name_points_to_the_cell_that_failed() -> None:
    failed = CellReceipt(
        index=1,
        status=CellStatus.ERROR,
        wall_s=0,
        raised=Raised(ename="NameError", evalue="name 'np' is not defined"),
    )
    cells = (code("import torch"), code("y = 1\nx = np.zeros(3)"))
    finding = seen_of(Observation(status=ProbeStatus.MISSING), *cells, one=failed).unanswered("x")
    assert finding is not None
    expected = "x is not defined: cell 2 raised NameError: name 'np' is not defined."
    assert finding.says == expected
