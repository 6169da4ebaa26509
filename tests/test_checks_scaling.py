"""`scaling`: growth of time and memory, judged from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import Asked, Asker, found, ok, raiser, said

from grader.checks.scaling import at_size
from grader.values import Opaque, Tensor, Value
from grader.verdict import Pending

REFERENCE = """\
import torch

def attend(q, v):
    return q @ (q.T @ v)

class Attention:
    def __init__(self, dim):
        self.dim = dim
    def run(self, q, v):
        return q @ (q.T @ v)

def nothing(q, v):
    return None
"""
SIZES = [64, 256, 1024, 4096, 16384]
MIB = 1 << 20
SETTINGS: dict[str, Any] = {
    "sizes": SIZES,
    "case": {"q": "normal(n, 4)", "v": "normal(n, 4)"},
    "at_most": {"time": 1, "memory": 1},
}


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


@pytest.fixture
def asked(ask: Asker) -> Asked:
    return ask("scaling", "attend", **SETTINGS)


def reply(asked: Asked, ms: list[float], mib: list[float | None], stopped: str = "") -> Value:
    """What a guest measured: milliseconds and mebibytes at as many sizes as are given."""
    rows = [
        [n, s / 1e3, None if b is None else int(b * MIB)]
        for n, s, b in zip(SIZES, ms, mib, strict=False)
    ]
    error = {"ename": "MemoryError", "evalue": "", "where": ""} if stopped == "memory" else None
    return {
        "measured": rows,
        "stopped": stopped,
        "at": SIZES[min(len(rows), len(SIZES) - 1)],
        "error": error,
        "limit": 512 * MIB,
        "result": asked.context.reference.answer(
            "attend", {"args": asked.requests["growth"]["cases"][0]}
        ),
    }


LITTLE: list[float | None] = [0, 0.1, 0.5, 1, 1.9]
RIGHT: dict[str, tuple[list[float], list[float | None], str]] = {
    "linear": ([0.8, 3.2, 13, 53, 240], [0, 0.2, 1.1, 3.9, 17], ""),
    "too quick to tell": ([0.02, 0.03, 0.05, 0.3, 0.9], LITTLE, ""),
    "one slow run of five": ([1, 4, 60, 64, 256], LITTLE, ""),
    "a slow last run": ([1, 4, 16, 64, 900], LITTLE, ""),
    "out of the cache": ([0.1, 0.4, 1.6, 6.4, 77], LITTLE, ""),
    "two sizes, out of the cache": ([0.01, 0.05, 0.2, 1.1, 11], LITTLE, ""),
    "n log n": ([1, 5.3, 26.7, 128, 597], LITTLE, ""),
    "slow, so stopped early": ([900, 3600], [0.1, 0.4], "time"),
    "large, so stopped early": ([1, 4, 16, 64], [1, 4.2, 33, 134], "memory"),
    "memory that nobody told": ([1, 4, 16, 64, 256], [None] * 5, ""),
    "a constant need": ([30, 30, 30, 31, 33], [90, 90, 90, 91, 93], ""),
}
WRONG: dict[str, tuple[list[float], list[float | None], str]] = {
    "quadratic": ([0.05, 0.12, 1.6, 39, 600], [0, 0.4, 4.8, 66, 500], ""),
    "quadratic time alone": ([3.6, 56, 900], [0, 0.1, 0.2], "time"),
    "quadratic memory alone": ([0.01, 0.02, 0.11, 0.4], [0, 0.5, 8.3, 129], "memory"),
    "out of memory": ([0.03, 0.14, 2.2, 39], [0, 0.6, 8.4, 129], "memory"),
    "out of memory at once": ([0.03, 0.14, 0.3], [0, 0.1, 0.2], "memory"),
    "cubic": ([1, 64, 4096], [0, 0, 0], "time"),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
def test_growth_as_asked_is_right_whatever_the_noise(asked: Asked, case: Any) -> None:
    finding = found(asked.judge_replies(growth=ok(reply(asked, *case))))
    assert (finding.credit, finding.says[:15]) == (1.0, "Grows as asked:")


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_growth_beyond_what_is_asked_is_wrong(asked: Asked, case: Any) -> None:
    finding = found(asked.judge_replies(growth=ok(reply(asked, *case))))
    assert (finding.credit, finding.says[:18]) == (0.0, "It grows too fast:")


def test_the_words_name_what_grows_and_where_memory_ran_out(asked: Asked) -> None:
    told = reply(asked, *WRONG["out of memory"])
    finding = found(asked.judge_replies(growth=ok(told)))
    assert finding.says == (
        "It grows too fast: time like n^2.1 and memory like n^2.0, where at most n^1 is asked. "
        "It ran out of memory at n = 16384."
    )
    assert finding.detail == (
        "n = 64: 0.03 ms, 0 MiB; n = 256: 0.14 ms, 0.6 MiB; n = 1024: 2.2 ms, 8.4 MiB; "
        "n = 4096: 39 ms, 129 MiB."
    )


def test_what_could_not_be_measured_is_left_to_a_person(asked: Asked) -> None:
    told = reply(asked, [40000.0], [0], "time")
    assert asked.judge_replies(growth=ok(told)) == Pending(
        reason="Its growth could not be measured: a person looks.",
        detail="n = 64: 4e+04 ms, 0 MiB.",
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"result": None}, "attend returns None."),
        (
            {"result": Tensor(torch.ones(3).numpy(), "float32")},
            "The result is of another kind or shape than asked.",
        ),
        ({"stopped": "died"}, "attend ended its process at n = 1024."),
        (
            {
                "stopped": "error",
                "error": {"ename": "ValueError", "evalue": "n was 1024", "where": ""},
            },
            "attend raised ValueError at n = 1024.",
        ),
        (
            {"stopped": "error", "error": {"ename": "Hidden1024", "evalue": "", "where": ""}},
            "attend raised an exception at n = 1024.",
        ),
        ({"measured": [[64, float("nan"), 0]]}, "The measurement's reply makes no sense."),
        ({"measured": [[256, 0.1, 0]]}, "The measurement's reply makes no sense."),
        ({"measured": [[64, -0.1, 0]]}, "The measurement's reply makes no sense."),
        ({"measured": [[64, 0.1, -5]]}, "The measurement's reply makes no sense."),
        ({"measured": [[64, 0.1]]}, "The measurement's reply makes no sense."),
        ({"measured": "all"}, "The measurement's reply makes no sense."),
        ({"stopped": ""}, "The measurement's reply makes no sense."),
        ({"stopped": "bored"}, "The measurement's reply makes no sense."),
        ({"at": 7}, "The measurement's reply makes no sense."),
        ({"at": 256}, "The measurement's reply makes no sense."),
        ({"at": 4096}, "The measurement's reply makes no sense."),
        (
            {"at": 256, "stopped": "memory", "measured": [[64, 0.1, 3 * MIB], [256, 0.1, 5 * MIB]]},
            "The measurement's reply makes no sense.",
        ),
        ({"limit": 0}, "The measurement's reply makes no sense."),
        ({"error": "all"}, "The measurement's reply makes no sense."),
    ],
    ids=str,
)
def test_what_is_no_measurement_earns_nothing(asked: Asked, change: Any, says: str) -> None:
    told = reply(asked, [1.0, 4.0], [0, 0], "time") | change
    assert said(asked.judge_replies(growth=ok(told))) == (0.0, says)


@pytest.mark.parametrize("told", [None, 3, [], {}, Opaque("object", "x")], ids=str)
def test_any_reply_is_judged(asked: Asked, told: Value) -> None:
    assert found(asked.judge_replies(growth=ok(told))).credit == 0.0


def test_a_student_s_function_is_measured(ask: Asker) -> None:
    asked = ask("scaling", "attend", **SETTINGS | {"sizes": [16, 64, 256]})
    assert found(asked.judge(attend=lambda q, v: q @ (q.T @ v))).credit == 1.0
    assert said(asked.judge(attend=lambda q, v: None)) == (0.0, "attend returns None.")
    assert said(asked.judge(attend=raiser("ValueError"))) == (0.0, "attend raised ValueError.")
    assert said(asked.judge()) == (0.0, "attend is not defined.")


class Attention:
    """A student's own."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def run(self, q: Any, v: Any) -> Any:
        return q @ (q.T @ v)


def test_a_method_of_a_made_object_is_measured(ask: Asker) -> None:
    more = {"sizes": [16, 64, 256], "build": {"dim": 4}, "method": "run"}
    asked = ask("scaling", "Attention", **SETTINGS | more)
    assert found(asked.judge(Attention=Attention)).credit == 1.0


def test_the_size_is_written_into_calls_and_stands_alone() -> None:
    case = {"n": "n", "x": "normal(2, n)", "c": "Config(n=3, size=n)", "t": "n words", "k": 5}
    assert at_size(case, 7) == {
        "n": 7,
        "x": "normal(2, 7)",
        "c": "Config(n=3, size=7)",
        "t": "n words",
        "k": 5,
    }


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sizes": [1, 3, 2]}, (("sizes",), "expected sizes that grow")),
        (
            {"case": {"q": "normal(4)"}},
            (("case",), "expected n somewhere, which stands for the size"),
        ),
        (
            {"reference": "atend"},
            (
                ("reference",),
                "expected a name of reference.py, found 'atend'; did you mean attend?",
            ),
        ),
        (
            {"mistakes": [{"equals": 1, "says": "x"}]},
            (("mistakes",), "unknown key: checks of this kind know no mistakes"),
        ),
    ],
    ids=["sizes", "no n", "misspelt", "mistakes"],
)
def test_a_check_that_cannot_work_is_a_problem(ask: Asker, change: Any, problem: Any) -> None:
    assert problem in ask("scaling", "attend", **SETTINGS | change).problems


@pytest.mark.parametrize("at_most", [{}, {"time": None}, {"space": 1}], ids=str)
def test_something_must_be_asked(ask: Asker, at_most: Any) -> None:
    with pytest.raises(ValueError, match=r"time or memory|[Ee]xtra"):
        ask("scaling", "attend", **SETTINGS | {"at_most": at_most})


def test_the_reference_s_own_answer_earns_everything(asked: Asked) -> None:
    answers = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert answers is not None
    finding = found(asked.judge_replies(growth=ok(answers["growth"])))
    assert (finding.credit, finding.says) == (
        1.0,
        "Grows as asked: time like n^1.0, memory like n^1.0.",
    )


def test_what_is_asked_is_said_in_words(asked: Asked) -> None:
    assert asked.kind.asks(asked.params) == (
        "a function attend(q, v), "
        "whose time grows at most like n^1, whose memory grows at most like n^1"
    )


def test_students_get_the_smallest_size_with_other_inputs(asked: Asked) -> None:
    told = asked.kind.release(asked.params, asked.context, "1/1").requests["growth"]
    assert (told["sizes"], len(told["cases"])) == ([64], 1)
    assert told["cases"][0]["q"] != asked.requests["growth"]["cases"][0]["q"]
