"""What fails in the starter too is the environment's doing, unless an answer is what it lacks."""

from __future__ import annotations

import pytest

from grader.evidence import CellReceipt, CellStatus, Raised
from grader.starter import NO_STARTER, Starter, learn
from grader.submission import Cell, CellKind


def cells_of(*sources: str) -> tuple[Cell, ...]:
    return tuple(
        Cell(CellKind.MARKDOWN if source.startswith("#") else CellKind.CODE, source)
        for source in sources
    )


def receipt(index: int, ename: str = "", evalue: str = "", status: str = "error") -> CellReceipt:
    raised = Raised(ename=ename, evalue=evalue) if ename else None
    return CellReceipt(index=index, status=CellStatus(status), wall_s=1, raised=raised)


STARTER = cells_of("# Words", "import gone", "def f(x):\n    return None", "data = gone.load()")
FAILS = [
    receipt(1, "ModuleNotFoundError", "No module named 'gone'"),
    receipt(2, status="ok"),
    receipt(3, "NameError", "name 'gone' is not defined"),
]
MINE = cells_of("import gone  ", "def f(x):\n    return x", "data = gone.load()", "f(gone)")


def test_cells_that_fail_in_the_starter_too_are_nobodys_doing() -> None:
    starter = learn(STARTER, FAILS)
    receipts = [
        receipt(0, "ModuleNotFoundError", "No module named 'gone'"),
        receipt(1, status="ok"),
        receipt(2, "NameError", "name 'gone' is not defined"),
        receipt(3, "NameError", "name 'gone' is not defined"),
    ]
    assert starter.blameless(MINE, receipts) == {0, 2}


def test_another_failure_of_the_same_cell_is_the_students() -> None:
    starter = learn(STARTER, FAILS)
    other = [receipt(0, "KeyboardInterrupt"), receipt(2, status="timeout")]
    assert starter.blameless(MINE, other) == frozenset()
    assert NO_STARTER.blameless(MINE, other) == frozenset()


@pytest.mark.parametrize(
    ("ename", "evalue"),
    [
        ("NotImplementedError", "your code here"),
        ("TypeError", "'NoneType' object is not callable"),
        ("TypeError", "unsupported operand type(s) for +: 'ellipsis' and 'int'"),
        ("AssertionError", ""),
        ("NameError", "name 'answer' is not defined"),
    ],
)
def test_a_starter_that_lacks_an_answer_says_nothing_of_the_environment(
    ename: str, evalue: str
) -> None:
    cells = cells_of("answer_of(3)", "answer = 1")
    fails = [receipt(0, ename, evalue)]
    assert learn(cells, fails).blameless(cells_of("answer_of(3)", "x = 1"), fails) == frozenset()


@pytest.mark.parametrize(
    "fails",
    [
        receipt(0, "URLError", "no network"),
        receipt(0, "AttributeError", "module 'torchtext' has no attribute 'legacy'"),
        receipt(0, "AssertionError", "Torch not compiled with CUDA enabled"),
        receipt(0, status="timeout"),
        receipt(0, status="memory"),
    ],
    ids=str,
)
def test_what_the_environment_lacks_is_its_own_doing(fails: CellReceipt) -> None:
    cells = cells_of("load()", "answer = None")
    mine = cells_of("load()", "answer = 1")
    assert learn(cells, [fails]).blameless(mine, [fails]) == {0}


def test_a_module_that_lacks_the_same_package_is_nobodys_doing() -> None:
    def module(source: str, path: str = "src/model.py") -> tuple[Cell, ...]:
        return (Cell(CellKind.CODE, source, place=path, module=path),)

    lacks = receipt(0, "ModuleNotFoundError", "No module named 'gone' (line 1)")
    starter = learn(module("import gone\nclass GPT: ..."), [lacks])
    mine = module("import torch\nimport gone\nclass GPT:\n    x = 1", "model.py")
    later = receipt(0, "ModuleNotFoundError", "No module named 'gone' (line 2)")
    assert starter.blameless(mine, [later]) == {0}
    own = receipt(0, "ModuleNotFoundError", "No module named 'my_tools' (line 1)")
    assert starter.blameless(mine, [own]) == frozenset()


def test_of_a_starter_that_could_not_be_run_nobody_knows_what_fails() -> None:
    starter = Starter(cells=STARTER, unknown="the guest never became ready")
    gone = receipt(0, "ModuleNotFoundError", "No module named 'gone'")
    follows = receipt(2, "NameError", "name 'gone' is not defined")
    own = receipt(3, "ModuleNotFoundError", "No module named 'gone'")
    assert starter.blameless(MINE, [gone, follows, own]) == {0, 2}
    assert starter.blameless(MINE, [follows, own]) == frozenset(), "they lack an answer"
    assert starter.blameless(STARTER, FAILS) == frozenset(), "an untouched one has no answer"
    assert (starter.likeness, learn(STARTER, FAILS).likeness) == (
        "perhaps as in the starter",
        "as in the starter",
    )


def test_what_fails_for_the_sake_of_ones_own_cell_is_ones_own() -> None:
    starter = Starter(cells=STARTER, unknown="the guest never became ready")
    mine = cells_of("gone = open('mine.txt')", "data = gone.load()")
    receipts = [
        receipt(0, "FileNotFoundError", "mine.txt"),
        receipt(1, "NameError", "name 'gone' is not defined"),
    ]
    assert starter.blameless(mine, receipts) == frozenset()


def test_an_untouched_starter_is_recognised() -> None:
    starter = learn(STARTER, FAILS)
    assert starter.note(STARTER) == "the untouched starter"
    assert starter.blameless(STARTER, FAILS) == frozenset()
    spaced = cells_of("# Words", "import gone\n\n", "", *[c.source for c in STARTER[2:]])
    assert starter.untouched(spaced)
    words = cells_of("# My words", *[cell.source for cell in STARTER[1:]])
    assert starter.note(words) == "the code is that of the untouched starter"
    assert starter.note(MINE) == ""
    assert NO_STARTER.note(()) == ""
