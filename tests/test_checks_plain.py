"""Kinds of check that need neither reference nor symbols: choice, curve, source, written."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.checks.written import text_under
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


@pytest.mark.parametrize("given", [0, 0.0, "False", " no "])
def test_a_choice_of_truth_values_takes_their_words_and_numbers(given: Any) -> None:
    params = {"of": "converges", "options": [True, False], "equals": False}
    assert says(judge("choice", params, seen_of(value(given)))) == (1.0, "Right.")


def test_a_choice_of_truth_values_takes_numpys_and_no_other_numbers() -> None:
    params = {"of": "converges", "options": [True, False], "equals": False}
    numpys = Tensor(np.array(False), "bool", "numpy")
    assert says(judge("choice", params, seen_of(value(numpys)))) == (1.0, "Right.")
    assert says(judge("choice", params, seen_of(value(2))))[0] == 0.0


@pytest.mark.parametrize("given", [2, 2.0, Tensor(np.array(2.0), "float64")], ids=repr)
def test_a_number_is_chosen_in_any_form(given: Any) -> None:
    params = {"of": "layers", "options": [1, 2], "equals": 2}
    assert says(judge("choice", params, seen_of(value(given)))) == (1.0, "Right.")


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
        ([4j, 2j, 1j], (0.0, "Expected a list of numbers, found a list of 3 items.")),
        (
            Tensor(np.array([4, 2, 1 + 1j]), "complex128"),
            (0.0, "Expected a list of numbers, found a complex128 array of shape (3,)."),
        ),
        ([10**400, 2, 1], (0.0, "Expected a list of numbers, found a list of 3 items.")),
    ],
    ids=[
        *("list", "tensor", "list of tensors", "flat", "nan", "short", "text", "truths"),
        *("complex", "complex tensor", "huge"),
    ],
)
def test_curve(given: Any, expected: tuple[float, str]) -> None:
    assert says(judge("curve", CURVE, seen_of(value(given)))) == expected


@pytest.mark.parametrize("level", [-1.0, 0.0, -0.0])
def test_a_curve_without_a_share_to_fall_to_must_still_fall(level: float) -> None:
    assert says(judge("curve", CURVE, seen_of(value([level] * 3))))[0] == 0.0


LOWEST = {"of": "losses", "steps": 3, "lowest_falls_to": 0.5}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([4.0, 2.0, 5.0], (1.0, "losses goes from 4 to 5.")),
        (
            [4.0, 2.5, 5.0],
            (0.0, "losses goes from 4 to 5; at its lowest it should be 50% of its start."),
        ),
        ([-1.0, -1.6, 0.0], (1.0, "losses goes from -1 to 0.")),
    ],
)
def test_a_curve_may_rise_again_where_its_lowest_counts(
    given: Any, expected: tuple[float, str]
) -> None:
    assert says(judge("curve", LOWEST, seen_of(value(given)))) == expected


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
        (
            "files = !ls\nt = %timeit -o 1\nnn?\ny=nn.MultiheadAttention  # is it?",
            (0.0, "The code uses nn.MultiheadAttention."),
        ),
        ("# nn.MultiheadAttention\n'nn.MultiheadAttention'", (1.0, "The code is as asked.")),
        ("this is no python (", (1.0, "The code is as asked.")),
        ("y = x" + ".a" * 450, (1.0, "The code is as asked.")),
        (
            "y = x" + ".a()" * 200 + ".nn.MultiheadAttention",
            (0.0, "The code uses nn.MultiheadAttention."),
        ),
    ],
    ids=[
        "fine",
        "used",
        "after magics",
        "after more magics",
        "in words",
        "no python",
        "long name",
        "long chain",
    ],
)
def test_source(source: str, expected: tuple[float, str]) -> None:
    params = {"of": {"avoids": ["nn.MultiheadAttention"]}}
    assert says(judge("source", params, seen_of(None, code(source)))) == expected


def test_source_may_ask_for_definitions() -> None:
    params = {"of": {"defines": ["train"], "uses": ["F.softmax"]}}
    right = seen_of(None, code("async def train(): ..."), code("y = F.softmax(x)"))
    assert says(judge("source", params, right))[0] == 1.0
    assert says(judge("source", params, seen_of(None))) == (0.0, "The code lacks F.softmax, train.")


@pytest.mark.parametrize("wanted", [{"uses": ["F.softmax"]}, {"defines": ["y"]}])
def test_code_that_is_not_run_is_left_to_a_person(wanted: dict[str, Any]) -> None:
    cell = replace(code("y = F.softmax(x)"), left_out="tagged train")
    (name,) = next(iter(wanted.values()))
    assert judge("source", {"of": wanted}, seen_of(None, cell)) == Pending(
        reason=f"{name} stands only in a cell that is not run at grading: a person looks."
    )
    assert says(judge("source", {"of": wanted}, seen_of(None, cell, code("y = F.softmax(x)")))) == (
        1.0,
        "The code is as asked.",
    )


def test_what_is_forbidden_in_code_that_is_not_run_is_left_to_a_person() -> None:
    cell = replace(code("y = F.softmax(x)"), left_out="tagged train")
    found = judge("source", {"of": {"avoids": ["F.softmax"]}}, seen_of(None, cell))
    assert found == Pending(
        reason="F.softmax stands only in a cell that is not run at grading: a person looks."
    )


def test_code_that_ran_but_cannot_be_read_is_left_to_a_person() -> None:
    ran = CellReceipt(index=0, status=CellStatus.OK, wall_s=0.1)
    for wanted in ({"uses": ["F.softmax"]}, {"avoids": ["F.softmax"]}):
        found = judge("source", {"of": wanted}, seen_of(None, code("y = F.softmax(x) $ z"), a=ran))
        assert found == Pending(reason="The code of cell 1 ran and cannot be read: a person looks.")


def test_endless_chains_of_attributes_are_read_from_their_end() -> None:
    chain = code("x" + ".a" * 800 + ".nn.Linear()")
    found = judge("source", {"of": {"uses": ["nn.Linear"]}}, seen_of(None, chain))
    assert says(found) == (1.0, "The code is as asked.")


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
        ((text("## 2c\nCompare the two.\n"),), "Nothing is written under 2c."),
        ((text("Compare the two."),), "There is no heading 2c."),
        ((code("# 2c: a convnet runs in parallel"),), "There is no heading 2c."),
    ],
    ids=["template", "template reflowed", "template cut", "no heading", "no markdown"],
)
def test_what_is_not_written_is_not_queued(cells: tuple[Cell, ...], expected: str) -> None:
    assert says(judge("written", WRITTEN, seen_of(None, *cells))) == (0.0, expected)


NOTHING = "Nothing is written under 2c. Other words were written: a person looks."
NO_HEADING = "There is no heading 2c. Other words were written: a person looks."
ELSEWHERE = {
    "another heading": ("## Question 2c\nA convnet runs in parallel.", NO_HEADING),
    "no heading": ("**2c** A convnet runs in parallel.", NO_HEADING),
    "own heading": ("## 2c\n## My answer\nA convnet runs in parallel.", NOTHING),
    "another question": ("## 2c\n## 2d\nWords of another question.", NOTHING),
    "longer word": ("## 2cd\nwords", NO_HEADING),
    "heading in a fence": ("```\n## 2c\nwords\n```", NO_HEADING),
}


@pytest.mark.parametrize(("source", "expected"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_words_that_stand_elsewhere_are_shown_to_a_person(source: str, expected: str) -> None:
    found = judge("written", WRITTEN, seen_of(None, text(source)))
    assert isinstance(found, Pending)
    assert found.reason == expected
    assert found.work.source == "the notebook, elsewhere"


@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_a_comment_in_a_fence_ends_no_section(fence: str) -> None:
    source = f"## 2c\n{fence}python\n# a comment\nx = 1\n{fence}\nA convnet is parallel.\n# 3\nno"
    expected = f"{fence}python\n# a comment\nx = 1\n{fence}\nA convnet is parallel."
    assert text_under("2c", (text(source),)) == expected


def test_blank_runs_take_no_time() -> None:
    receipt = CellReceipt(index=0, status=CellStatus.ERROR, wall_s=1)
    missing = Observation(status=ProbeStatus.MISSING)
    seen = seen_of(missing, code("\n" * 20_000 + " " * 20_000 + "y"), one=receipt)
    start = time.perf_counter()
    assert seen.why("x", missing) == "x is not defined."
    blank = text("# a" + " " * 20_000 + "x" + "\n" * 20_000 + "# " + "#" * 20_000 + "x")
    assert text_under("2c", (blank,)) is None
    assert time.perf_counter() - start < 2


UNMISTAKABLE = {
    "curve": CURVE,
    "source": {"of": {"defines": ["train"]}},
    "written": WRITTEN,
}


@pytest.mark.parametrize(("kind", "params"), UNMISTAKABLE.items(), ids=UNMISTAKABLE)
def test_kinds_without_mistakes_refuse_them(kind: str, params: dict[str, Any]) -> None:
    module = KINDS[kind]
    read = module.Params.model_validate({**params, "mistakes": [{"equals": 1, "says": "No."}]})
    expected = [(("mistakes",), "unknown key: checks of this kind know no mistakes")]
    assert list(module.problems(read, CONTEXT)) == expected


def test_a_mistake_of_a_choice_is_an_option_without_credit() -> None:
    wrong = [
        {"equals": "both", "says": "No."},
        {"equals": "rnn", "says": "No."},
        {"reference": "f", "says": "No."},
        {"equals": "transformer", "says": "Only when long."},
    ]
    read = KINDS["choice"].Params.model_validate({**CHOICE, "mistakes": wrong})
    assert list(KINDS["choice"].problems(read, CONTEXT)) == [
        (("mistakes", 0), "expected one of rnn, transformer, found 'both'"),
        (("mistakes", 1, "equals"), "expected an option without credit of its own, found 'rnn'"),
        (("mistakes", 2, "reference"), "expected equals, one of the options"),
    ]


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


def test_a_missing_name_leads_to_the_first_cell_that_failed() -> None:
    raised = [
        Raised(ename="ModuleNotFoundError", evalue="No module named 'tqdm'"),
        Raised(ename="NameError", evalue="name 'torch' is not defined"),
    ]
    receipts = {
        index: CellReceipt(index=index, status=CellStatus.ERROR, wall_s=0, raised=raised[index])
        for index in (0, 1)
    }
    seen = replace(
        seen_of(
            Observation(status=ProbeStatus.MISSING),
            code("from tqdm import tqdm\nimport torch"),
            code("def mask(n):\n    return torch.ones(n)\nmask(3)"),
        ),
        receipts=receipts,
    )
    finding = seen.unanswered("mask")
    assert finding is not None
    assert finding.says == (
        "mask is not defined: cell 2 raised NameError: name 'torch' is not defined: "
        "cell 1 raised ModuleNotFoundError: No module named 'tqdm'."
    )
