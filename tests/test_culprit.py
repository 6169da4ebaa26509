"""Words for what is missing: the cell that failed, its first cause, a name that was meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grader.checks.base import Seen
from grader.checks.culprit import cell_says, chain, near_name, reset_by
from grader.evidence import CellReceipt, CellStatus, Observation, ProbeStatus, Raised
from grader.submission import Cell, CellKind

MISSING = Observation(status=ProbeStatus.MISSING)
NONE = Observation(status=ProbeStatus.OK, value=None)


def code(source: str, **more: str) -> Cell:
    return Cell(CellKind.CODE, source, **more)  # type: ignore[arg-type]


def failed(index: int, ename: str, evalue: str = "") -> CellReceipt:
    raised = Raised(ename=ename, evalue=evalue)
    return CellReceipt(index=index, status=CellStatus.ERROR, wall_s=0, raised=raised)


def seen_of(name: str, observation: Observation, *cells: Cell, **more: CellReceipt) -> Seen:
    return Seen(
        check_id="1/1",
        requests={"value": {"op": "capture", "name": name}},
        observations={"value": observation},
        cells=cells,
        receipts={receipt.index: receipt for receipt in more.values()},
    )


def says(name: str, observation: Observation, *cells: Cell, **more: CellReceipt) -> str:
    finding = seen_of(name, observation, *cells, **more).unanswered(name)
    assert finding is not None
    return finding.says


def test_a_name_that_is_nearly_right_is_found() -> None:
    cells = (code("causal_masks = 1\nx = causal_mask0(3)"), code("def Strided_Mask(n):\n    y = 1"))
    assert says("causal_mask", MISSING, *cells) == (
        "causal_mask is not defined, but causal_masks is: did you mean causal_mask?"
    )
    assert near_name("strided_mask", cells, ()) == "Strided_Mask"
    assert near_name("causal_count", cells, ()) == ""


def test_a_name_that_means_something_else_is_not_offered() -> None:
    cells = (code("q_steps = [1]"),)
    seen = replace(seen_of("p_steps", MISSING, *cells), taken=frozenset({"q_steps"}))
    assert near_name("p_steps", cells, ()) == "q_steps"
    assert seen.why("p_steps", MISSING) == "p_steps is not defined."


def test_a_file_that_is_missing_is_named() -> None:
    seen = replace(seen_of("GPT", MISSING), absent=("src/model.py",))
    assert seen.why("GPT", MISSING) == "GPT is not defined: src/model.py was not handed in."


def test_the_cell_that_sets_an_answer_to_none_again_is_named() -> None:
    cells = (code("count = 3"), Cell(CellKind.MARKDOWN, "words"), code("count = None  # here"))
    assert says("count", NONE, *cells) == "count is None: cell 3 sets it to None again."
    assert reset_by("count", (code("count = None"), code("count = 3"))) is None
    assert says("count", NONE, code("count = None")) == "count is still None."
    assert reset_by("count", (*cells, code("count = 4"))) is None


def test_an_answer_is_none_because_of_a_cell_that_failed() -> None:
    cells = (code("acc = None"), code("acc = train()"))
    assert says("acc", NONE, *cells, one=failed(1, "OSError", "no network")) == (
        "acc is still None: cell 2 raised OSError: no network."
    )


def test_cells_are_called_by_their_place() -> None:
    cells = (code("x = 1", place="cell 1 of part2.ipynb"), code("m = 1", place="src/model.py"))
    assert cell_says(failed(0, "KeyError", "'a'"), cells) == (
        "cell 1 of part2.ipynb raised KeyError: 'a'"
    )
    assert says(
        "m", MISSING, *cells, one=failed(1, "NameError", "name 'z' is not defined (line 4)")
    ) == ("m is not defined: src/model.py raised NameError: name 'z' is not defined (line 4).")


def test_a_cell_that_was_left_out_is_said_so() -> None:
    left_out = CellReceipt(index=0, status=CellStatus.LEFT_OUT, wall_s=0)
    cells = (code("losses = train()", left_out="tagged skip-grading"),)
    assert says("losses", MISSING, *cells, one=left_out) == (
        "losses is not defined: cell 1 was not run at grading: tagged skip-grading."
    )


def test_a_cause_comes_before_what_follows_from_it() -> None:
    cells = (code("a = b"), code("b = a"))
    receipts = {
        0: failed(0, "NameError", "name 'b' is not defined"),
        1: failed(1, "NameError", "name 'a' is not defined"),
    }
    assert (chain("a", cells, receipts), chain("b", cells, receipts)) == ((0,), (1, 0))


@pytest.mark.parametrize(
    ("name", "observation"),
    [
        ("vocab", MISSING),
        ("losses", NONE),
        ("predict", Observation(
            status=ProbeStatus.ERROR,
            raised=Raised(ename="NameError", evalue="name 'vocab' is not defined"),
        )),
    ],
    ids=["missing", "still None", "raised in a call"],
)  # fmt: skip
def test_the_environments_cell_is_nobodys_doing(name: str, observation: Observation) -> None:
    cells = (code("losses = None"), code("vocab = fetch()"), code("losses = train(vocab)"))
    receipts = {
        1: failed(1, "URLError", "no network"),
        2: failed(2, "NameError", "name 'vocab' is not defined"),
    }
    seen = replace(seen_of(name, observation, *cells), receipts=receipts)
    assert seen.blameless() == ""
    seen = replace(seen, environment=frozenset({1}))
    assert "cell 2 raised URLError: no network." in seen.blameless()
    assert seen.blameless().endswith("That cell is the starter's own, so a person will look.")
    assert seen.cause() == 1


def test_a_failure_of_ones_own_stays_ones_own() -> None:
    cells = (code("vocab = fetch()"), code("losses = train(vocab)"))
    receipts = {0: failed(0, "URLError"), 1: failed(1, "ValueError", "wrong shape")}
    seen = replace(seen_of("losses", MISSING, *cells), receipts=receipts)
    assert replace(seen, environment=frozenset({0})).blameless() == ""
