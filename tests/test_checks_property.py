"""`property`: many right answers, judged by a predicate of the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import Asked, Asker, found, raiser, said

from grader.errors import ReferenceFault
from grader.evidence import Observation, ProbeStatus
from grader.values import Opaque

REFERENCE = """\
import torch

def split(n):
    return [1] * n

def adds_up(parts, n):
    if any(part <= 0 for part in parts):
        return "A part is not positive."
    return sum(parts) == n

def all_but_one(parts, n):
    return sum(parts) == n - 1

def weights(k):
    return torch.full((k.shape[0],), 1 / k.shape[0])

def sums_to_one(c):
    assert c.dtype == torch.float32
    return torch.isclose(c.sum(), torch.tensor(1.0))

def picky(parts, n):
    return 1 / parts[0] > 0

def broken(parts, n):
    raise KeyError("ours")

def nothing(parts, n):
    return None

class Config:
    def __init__(self, sides):
        self.sides = sides

class Die:
    def __init__(self, config):
        self.config = config
    def roll(self, low):
        return int(torch.randint(low, self.config.sides + 1, ()))

def any_number(n):
    return 1

def is_number(found, n):
    return found > 0

def is_fair(rolls, low, config):
    return all(low <= roll <= config.sides for roll in rolls) and len(set(rolls)) == config.sides
"""


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


@pytest.fixture
def asked(ask: Asker) -> Asked:
    mistake = {"reference": "all_but_one", "says": "One is lost.", "credit": 0.5}
    settings: dict[str, Any] = {"holds": "adds_up", "shape": "free", "mistakes": [mistake]}
    return ask("property", "split", cases=[{"n": 6}, {"n": 12345}], public=[{"n": 4}], **settings)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (lambda n: [n], (1.0, "Right in all 3 cases.")),
        (lambda n: (1, n - 1), (1.0, "Right in all 3 cases.")),
        (lambda n: torch.tensor([2, n - 2]), (1.0, "Right in all 3 cases.")),
        (lambda n: np.array([2.0, n - 2.0]), (1.0, "Right in all 3 cases.")),
        (lambda n: [n - 1], (0.5, "One is lost.")),
        (
            lambda n: [n + 1, -1],
            (0.0, "Wrong in 3 of 3 cases. split(n=4): A part is not positive."),
        ),
        (
            lambda n: [n + 1],
            (0.0, "Wrong in 3 of 3 cases. split(n=4): It does not do what is asked."),
        ),
        (lambda n: None, (0.0, "split returns None.")),
        (7, (0.0, "split is a value, not a function.")),
    ],
    ids=["one", "tuple", "tensor", "array", "mistake", "sentence", "False", "None", "value"],
)
def test_a_property(asked: Asked, split: Any, expected: tuple[float, str]) -> None:
    assert said(asked.judge(split=split)) == expected


def test_a_hidden_case_is_told_to_staff_only(asked: Asked) -> None:
    finding = found(asked.judge(split=lambda n: [n] if n < 100 else [0, n]))
    assert finding.says == "Wrong in 1 of 3 cases. A part is not positive."
    assert finding.detail == "split(n=12345): A part is not positive."


def test_cases_may_earn_one_by_one(ask: Asker) -> None:
    settings: dict[str, Any] = {"holds": "adds_up", "shape": "free", "credit": "per_case"}
    asked = ask("property", "split", cases=[{"n": n} for n in (1, 2, 3, 4)], **settings)
    assert found(asked.judge(split=lambda n: [min(n, 3)])).credit == 0.75


@pytest.mark.parametrize(
    "result",
    [
        np.array([0.25, 0.5, 0.25]),
        torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64, requires_grad=True),
        [0.25, torch.tensor(0.5), np.float64(0.25)],
        (0, 1, 0),
        torch.tensor([False, True, False]),
        torch.tensor([0.25, 0.5, 0.25], dtype=torch.bfloat16),
    ],
    ids=["array", "double", "mixed list", "integers", "truth values", "bfloat16"],
)
def test_the_predicate_meets_results_in_the_reference_s_form(ask: Asker, result: Any) -> None:
    asked = ask("property", "weights", cases=[{"k": "normal(3, 2)"}], holds="sums_to_one")
    assert said(asked.judge(weights=lambda k: result)) == (1.0, "Right in the only case.")


@pytest.mark.parametrize(
    "result",
    [
        torch.ones(2),
        torch.ones(3, 1),
        "text",
        {"c": 1.0},
        [1.0, None, 0.0],
        [[1.0], [0.0, 0.0], []],
        3.0,
        Opaque,
        torch.tensor([1j, 0, 0]),
        [],
    ],
    ids=str,
)
def test_another_form_is_wrong_and_never_meets_the_predicate(ask: Asker, result: Any) -> None:
    asked = ask("property", "weights", cases=[{"k": "normal(3, 2)"}], holds="sums_to_one")
    finding = found(asked.judge(weights=lambda k: result))
    says = "Wrong in the only case. The result is of another kind or shape than asked."
    assert (finding.credit, finding.says) == (0.0, says)


def test_not_a_number_is_not_right(ask: Asker) -> None:
    asked = ask("property", "weights", cases=[{"k": "normal(2, 2)"}], holds="sums_to_one")
    says = "Wrong in the only case. It does not do what is asked."
    assert said(asked.judge(weights=lambda k: [float("nan"), 1.0])) == (0.0, says)


def test_a_predicate_that_raises_on_the_student_s_result_alone_makes_it_wrong(ask: Asker) -> None:
    asked = ask("property", "split", cases=[{"n": 3}], holds="picky")
    finding = found(asked.judge(split=lambda n: [0, 1, 2]))
    assert finding.says == "Wrong in the only case. The result is not one that can be checked."
    assert "ZeroDivisionError" in finding.detail


@pytest.mark.parametrize("holds", ["broken", "nothing"])
def test_a_predicate_that_fails_on_the_right_answer_is_our_fault(ask: Asker, holds: str) -> None:
    asked = ask("property", "split", cases=[{"n": 3}], holds=holds)
    with pytest.raises(ReferenceFault):
        asked.judge(split=lambda n: [0, 1, 2])


def test_a_student_who_raises_is_not_quoted(asked: Asked) -> None:
    hidden = Asked(
        kind=asked.kind,
        params=asked.params.model_copy(update={"public": ()}),
        context=asked.context,
        folder=asked.folder,
    )
    finding = found(hidden.judge(split=raiser("secret", "was told")))
    assert finding.says == "Wrong in 2 of 2 cases. It raised an exception."
    assert "was told" in finding.detail


def test_what_took_too_long_says_so(asked: Asked) -> None:
    late = Observation(status=ProbeStatus.TIMEOUT, wall_s=10.0)
    fine = Observation(status=ProbeStatus.OK, value=[4])
    there = Observation(status=ProbeStatus.OK, value=Opaque("function", "split"))
    credit, says = said(asked.judge_replies(value=there, public1=fine, case1=late, case2=late))
    assert (credit, says) == (0.0, "Wrong in 2 of 3 cases. It took too long.")


DICE: dict[str, Any] = {
    "build": {"config": "Config(sides=6)"},
    "method": "roll",
    "repeat": 200,
    "cases": [{"low": 1}],
    "holds": "is_fair",
}


class Config:
    """A student's own."""

    def __init__(self, sides: int) -> None:
        self.sides = sides


class Die:
    """A student's own, which lives off its configuration."""

    def __init__(self, config: Config, stuck: int = 0) -> None:
        self.sides, self.stuck = config.sides, stuck

    def roll(self, low: int) -> Any:
        return self.stuck or torch.randint(low, self.sides + 1, (1,))


def test_a_method_of_a_made_object_is_called_many_times(ask: Asker) -> None:
    asked = ask("property", "Die", **DICE)
    assert said(asked.judge(Die=Die, Config=Config)) == (1.0, "Right in the only case.")
    assert found(asked.judge(Die=lambda config: Die(config, 3), Config=Config)).credit == 0.0


def test_a_class_that_an_input_is_made_of_is_named_where_it_is_missing(ask: Asker) -> None:
    asked = ask("property", "Die", **DICE)
    assert said(asked.judge(Die=Die)) == (0.0, "Config is not defined.")


def test_a_method_that_is_missing_is_the_student_s(ask: Asker) -> None:
    asked = ask("property", "Die", **DICE)
    finding = found(asked.judge(Die=lambda config: object(), Config=Config))
    assert (finding.credit, finding.says) == (
        0.0,
        "Wrong in the only case. It raised AttributeError.",
    )


def test_what_the_reference_lacks_is_a_problem(ask: Asker) -> None:
    asked = ask("property", "spilt", cases=[{"n": "Confg(sides=1)"}], holds="add_up")
    assert asked.problems == [
        (("of",), "expected a name of reference.py, found 'spilt'; did you mean split?"),
        (
            ("cases", 0, "n"),
            "expected a name of reference.py, found 'Confg'; did you mean Config?",
        ),
        (("holds",), "expected a name of reference.py, found 'add_up'; did you mean adds_up?"),
    ]


def test_students_get_public_cases_without_results(asked: Asked) -> None:
    told = asked.kind.release(asked.params, asked.context, "1/1")
    assert sorted(told.requests) == ["public1", "value"]
    assert told.expected == {}
    assert "adds_up" not in str(told)
    assert "12345" not in str(told)


def test_the_reference_s_own_answers_are_rehearsed(asked: Asked) -> None:
    answers = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert answers is not None
    replies = {
        local: Observation(status=ProbeStatus.OK, value=value) for local, value in answers.items()
    }
    assert said(asked.judge_replies(**replies)) == (1.0, "Right in all 3 cases.")


def settings(**more: Any) -> dict[str, Any]:
    return {"holds": "is_number", "cases": [{"n": 3}, {"n": 4}], "deterministic": True, **more}


def test_the_same_seed_gives_the_same_result(ask: Asker) -> None:
    asked = ask("property", "any_number", **settings())
    judged = asked.judge(any_number=lambda n: torch.rand(()) + 0.1)
    assert said(judged) == (1.0, "Right in all 2 cases.")


def test_another_result_under_the_same_seed_is_wrong(ask: Asker) -> None:
    state = iter(range(1, 100))
    finding = found(
        ask("property", "any_number", **settings()).judge(any_number=lambda n: next(state))
    )
    says = "Wrong in 1 of 2 cases. It gives another result under the same seed."
    assert (finding.credit, finding.says) == (0.0, says)
    each = ask("property", "any_number", **settings(credit="per_case"))
    assert said(each.judge(any_number=lambda n: next(state))) == (0.5, says)
    free = ask("property", "any_number", **settings(deterministic=False))
    assert found(free.judge(any_number=lambda n: next(state))).credit == 1.0


def test_a_mistake_does_not_explain_another_result_under_the_same_seed(ask: Asker) -> None:
    mistakes = [{"reference": "is_number", "says": "Known.", "credit": 1.0}]
    state = iter(range(1, 100))
    asked = ask("property", "any_number", **settings(mistakes=mistakes))
    assert found(asked.judge(any_number=lambda n: next(state))).credit == 0.0


def test_the_case_that_is_put_again_stays_hidden_and_is_rehearsed(ask: Asker) -> None:
    asked = ask("property", "any_number", **settings(public=[{"n": 1}]))
    told = asked.kind.release(asked.params, asked.context, "1/1")
    assert sorted(told.requests) == ["public1", "value"]
    answers = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert answers is not None
    replies = {
        local: Observation(status=ProbeStatus.OK, value=value) for local, value in answers.items()
    }
    assert said(asked.judge_replies(**replies)) == (1.0, "Right in all 3 cases.")


def test_what_was_raised_is_said_once(ask: Asker) -> None:
    def split(n: int) -> Any:
        raise RuntimeError("no such size")

    finding = found(ask("property", "split", cases=[{"n": 3}], holds="adds_up").judge(split=split))
    assert finding.says == "Wrong in the only case. It raised RuntimeError."
    assert finding.detail == "split(n=3): no such size."
