import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grader.errors import ReferenceFault
from grader.known import FILE_MIB, MOST_BYTES, Known
from grader.reference import Reference
from grader.symbolic import Symbolic
from grader.values import Tensor, Value

MODULE = """\
from pathlib import Path

import torch
from torch import nn

CALLS = Path(__file__).parent.parent / "calls.txt"
CONSTANT = [1, 2.5]


def note(what):
    with CALLS.open("a") as file:
        file.write(what + " ")


def doubled(x):
    note("doubled")
    return 2 * x


def odd(n):
    note("odd")
    return n % 2 == 1 or f"{n} is even."


def unwritable(n):
    note("unwritable")
    return 10 ** n


def raises(n):
    note("raises")
    raise ValueError("ours")


class Net(nn.Linear):
    def __init__(self, width):
        note("Net")
        super().__init__(width, 1)
"""
X = Tensor(np.arange(3, dtype=np.float32), "float32", "torch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hw"
    (folder / "student").mkdir(parents=True)
    (folder / "reference.py").write_text(MODULE)
    return folder


def another(folder: Path) -> Reference:
    """A reference as the next process opens it."""
    return Reference(folder / "reference.py", Known(folder.parent / "known.sqlite"))


def calls(folder: Path) -> list[str]:
    path = folder.parent / "calls.txt"
    return path.read_text().split() if path.exists() else []


def double(reference: Reference) -> Value:
    return reference.answer("doubled", {"args": {"x": X}})


QUESTIONS: dict[str, Callable[[Reference], Value]] = {
    "names": lambda r: r.names,
    "constant": lambda r: r.value("CONSTANT"),
    "answer": double,
    "True": lambda r: r.holds("odd", 3, {}),
    "a sentence": lambda r: r.holds("odd", 4, {}),
    "agrees": lambda r: r.agrees("odd", {"n": 3}),
    "weights": lambda r: r.weights("Net", {"width": 4}, 7),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_what_a_reference_gave_is_known_to_the_next_process(
    ask: Callable[[Reference], Value], folder: Path
) -> None:
    first = another(folder)
    found = ask(first)
    first.known.keep()
    before = calls(folder)
    second = another(folder)
    assert ask(second) == found
    assert type(ask(second)) is type(found)
    assert calls(folder) == before
    assert second._module is None, "it need not even be loaded"


def test_other_inputs_are_another_question(folder: Path) -> None:
    reference = another(folder)
    assert reference.holds("odd", 3, {}) is True
    assert reference.holds("odd", 4, {}) == "4 is even."
    assert reference.holds("odd", 3.0, {}) is True
    assert calls(folder) == ["odd", "odd", "odd"]


def test_the_same_request_is_known_as_such_and_an_equal_one_by_what_it_says(folder: Path) -> None:
    reference = another(folder)
    right, same, other = (
        {"args": {"x": Tensor(n * X.array, "float32", "torch")}} for n in (1, 1, 2)
    )
    for request in (right, same, right, other, right):
        expected = Tensor(2 * request["args"]["x"].array, "float32", "torch")
        assert reference.answer("doubled", request) == expected
    assert calls(folder) == ["doubled", "doubled"]
    with pytest.raises(ReferenceFault, match="raised ValueError: ours"):
        reference.answer("raises", {"args": {"n": 1}})


def test_what_is_asked_once_is_not_held(folder: Path) -> None:
    reference = another(folder)
    for number in range(3):
        reference.call("odd", {"n": number})
    reference.answer("odd", {"args": {"n": 1}})
    assert len(reference._same) == 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "the module": lambda folder: (folder / "reference.py").write_text(
        MODULE.replace("2 * x", "3 * x")
    ),
    "a file beside it": lambda folder: (folder / "table.csv").write_text("1,2"),
    "a file below it": lambda folder: (folder / "student" / "data.txt").write_text("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_reference_is_asked_anew(change: Callable[[Path], object], folder: Path) -> None:
    first = another(folder)
    double(first)
    first.known.keep()
    change(folder)
    second = another(folder)
    factor = 3 if "3 * x" in (folder / "reference.py").read_text() else 2
    assert double(second) == Tensor(factor * X.array, "float32", "torch")
    assert calls(folder) == ["doubled", "doubled"]


def test_a_reference_that_changes_while_it_is_asked_is_a_fault_of_ours(folder: Path) -> None:
    first = another(folder)
    assert first.names
    first.known.keep()
    second = another(folder)
    assert second.names, "known, so the module is not loaded yet"
    (folder / "reference.py").write_text(MODULE.replace("2 * x", "3 * x"))
    with pytest.raises(ReferenceFault, match=r"hw was changed meanwhile: once more$"):
        double(second)


def test_what_raises_or_cannot_be_written_is_asked_again(folder: Path) -> None:
    for _ in range(2):
        reference = another(folder)
        assert reference.answer("unwritable", {"args": {"n": 2000}}) == 10**2000
        with pytest.raises(ReferenceFault, match="raised ValueError: ours"):
            reference.call("raises", {"n": 1})
        reference.known.keep()
    assert calls(folder) == ["unwritable", "raises"] * 2


def spoilt(path: Path, how: str) -> None:
    if how == "no database":
        path.write_bytes(b"no database at all" * 1000)
    elif how == "removed":
        path.unlink()
    else:
        with sqlite3.connect(path) as file:
            file.execute("UPDATE known SET value = ?", (b"0" if how == "another value" else "0",))
        file.close()


@pytest.mark.parametrize("how", ["another value", "text", "no database", "removed"])
def test_what_does_not_read_as_it_was_written_is_worked_out_again(how: str, folder: Path) -> None:
    for number in range(2):
        reference = another(folder)
        assert double(reference) == Tensor(2 * X.array, "float32", "torch")
        reference.known.keep()
        assert len(calls(folder)) == number + 1
        spoilt(folder.parent / "known.sqlite", how)
    known = Known(folder.parent / "known.sqlite")
    known.put(b"key", b"value")
    known.keep()
    assert Known(folder.parent / "known.sqlite").get(b"key") == b"value", "and it mends itself"


def test_a_closed_memory_opens_again(tmp_path: Path) -> None:
    known = Known(tmp_path / "known.sqlite")
    known.put(b"key", b"value")
    known.close()
    known.close()
    assert known.get(b"key") == b"value"


def test_values_that_changed_places_are_not_known(tmp_path: Path) -> None:
    known = Known(tmp_path / "known.sqlite")
    known.put(b"one", b"1")
    known.keep()
    with sqlite3.connect(tmp_path / "known.sqlite") as file:
        file.execute("UPDATE known SET key = ?", (b"two",))
    file.close()
    assert Known(tmp_path / "known.sqlite").get(b"two") is None


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    known = Known(tmp_path / "taken" / "known.sqlite")
    known.put(b"key", b"value")
    known.keep()
    assert known.get(b"key") is None


def test_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "known.sqlite"
    known = Known(path)
    known.put(b"large", bytes(MOST_BYTES + 1))
    for number in range(2 * (FILE_MIB << 20) // MOST_BYTES):
        known.put(b"%d" % number, bytes(MOST_BYTES))
        known.keep()
    assert known.get(b"large") is None
    assert known.get(b"0") == bytes(MOST_BYTES)
    assert FILE_MIB << 20 < path.stat().st_size <= (FILE_MIB << 20) + 2 * MOST_BYTES
    later = Known(path)
    later.put(b"new", bytes(MOST_BYTES))
    later.keep()
    assert Known(path).get(b"new") == bytes(MOST_BYTES), "the next process begins anew"


def test_a_file_that_has_grown_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "known.sqlite"
    with path.open("wb") as file:
        file.truncate((FILE_MIB << 20) + 1)
    known = Known(path)
    known.put(b"key", b"value")
    known.keep()
    assert known.get(b"key") == b"value"
    assert path.stat().st_size < 1 << 20


def test_two_write_at_once(tmp_path: Path) -> None:
    one, other = Known(tmp_path / "known.sqlite"), Known(tmp_path / "known.sqlite")
    for number in range(20):
        one.put(b"one%d" % number, b"1")
        other.put(b"other%d" % number, b"2")
        one.keep()
        other.keep()
    third = Known(tmp_path / "known.sqlite")
    assert [third.get(b"one%d" % n) for n in range(20)] == [b"1"] * 20
    assert [third.get(b"other%d" % n) for n in range(20)] == [b"2"] * 20


@pytest.mark.slow
def test_formulas_are_compared_once_and_the_process_is_not_even_started(tmp_path: Path) -> None:
    path, n = tmp_path / "known.sqlite", {"n": "positive integer"}
    told, started = [], []
    for _ in range(2):
        with Symbolic(Known(path)) as symbolic:
            told.append(
                [
                    symbolic.equal("n*(n+1)/2", "(n^2+n)/2", n),
                    symbolic.equal("n^2", "n", n),
                    symbolic.equal("n^2", "n", n, where=["n > 1"]),
                    symbolic.growth("3 n^2", "n^2", n),
                ]
            )
            started.append(symbolic._worker is not None)
    assert told[0] == told[1]
    assert [one.verdict.value for one in told[1]] == ["equal", "different", "different", "equal"]
    assert started == [True, False]
