"""`function`: what a student wrote is called, case by case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import Asked, Asker, found, ok, raiser, said

from grader.values import Opaque

REFERENCE = """\
def double(x): return 2 * x
def squared(x): return x * x
def fails(x): raise ValueError("nothing")
def fails_below(x):
    if x < 0: raise ValueError("below")
    return x
def minus(n, t): return n - t
"""


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


@pytest.fixture
def doubled(ask: Asker) -> Asked:
    mistake = {"reference": "squared", "says": "That is the square.", "credit": 0.25}
    cases = [{"x": 3}, {"x": 5}, {"x": "normal(4)"}]
    return ask("function", "double", cases=cases, public=[{"x": 7}], mistakes=[mistake])


@pytest.mark.parametrize(
    ("double", "expected"),
    [
        (lambda x: x + x, (1.0, "Right in all 4 cases.")),
        (lambda y: y + y, (1.0, "Right in all 4 cases.")),
        (lambda x: x * x, (0.25, "That is the square.")),
        (lambda x: None, (0.0, "double returns None.")),
        (None, (0.0, "double is still None.")),
        (14, (0.0, "double is a value, not a function.")),
    ],
    ids=["right", "other argument names", "known mistake", "returns None", "None", "a value"],
)
def test_a_function(doubled: Asked, double: Any, expected: tuple[float, str]) -> None:
    assert said(doubled.judge(double=double)) == expected


def test_a_function_that_is_not_there(doubled: Asked) -> None:
    assert said(doubled.judge()) == (0.0, "double is not defined.")


def test_a_wrong_public_case_is_shown_with_its_numbers(doubled: Asked) -> None:
    finding = found(doubled.judge(double=lambda x: x + x + (1 if isinstance(x, int) else 0)))
    assert (finding.credit, finding.detail) == (0.0, "")
    assert finding.says.startswith("Wrong in 3 of 4 cases. double(x=7): ")
    assert "14" in finding.says


def test_a_wrong_hidden_case_is_shown_to_staff_only(ask: Asker) -> None:
    asked = ask("function", "double", cases=[{"x": 12345.5}])
    finding = found(asked.judge(double=lambda x: 98765.5))
    assert finding.says == "Wrong in the only case."
    assert "12345.5" in finding.detail
    assert "24691" in finding.detail


def test_cases_may_earn_one_by_one(ask: Asker) -> None:
    asked = ask("function", "double", cases=[{"x": n} for n in (2, 3, 0, 2)], credit="per_case")
    assert found(asked.judge(double=lambda x: x * x)).credit == 0.75


def test_what_a_hidden_case_raised_names_no_input(doubled: Asked) -> None:
    finding = found(doubled.judge(double=lambda x: x + x if type(x) is int else float(str(x))))
    assert finding.says == "Wrong in 1 of 4 cases. It raised ValueError."
    assert "could not convert" in finding.detail


def test_an_exception_of_the_students_own_is_not_named(ask: Asker) -> None:
    asked = ask("function", "double", cases=[{"x": 12345}])
    finding = found(asked.judge(double=raiser("x was 12345")))
    assert finding.says == "Wrong in the only case. It raised an exception."
    assert "x was 12345" in finding.detail


def test_a_mistake_that_raises_does_not_explain_whatever_raises(ask: Asker) -> None:
    mistake = {"reference": "fails", "says": "Known.", "credit": 0.5}
    asked = ask("function", "double", cases=[{"x": 1}, {"x": 2}], mistakes=[mistake])
    finding = found(asked.judge(double=raiser("NameError")))
    assert (finding.credit, "Known." in finding.says) == (0.0, False)


def test_a_mistake_may_raise_where_the_student_does(ask: Asker) -> None:
    mistake = {"reference": "fails_below", "says": "Known.", "credit": 0.5}
    asked = ask("function", "double", cases=[{"x": 1}, {"x": -2}], mistakes=[mistake])

    def double(x: int) -> int:
        if x < 0:
            raise KeyError(x)
        return x

    assert said(asked.judge(double=double)) == (0.5, "Known.")


def test_the_reference_gets_its_arguments_by_name_as_the_student_does(ask: Asker) -> None:
    asked = ask("function", "minus", cases=[{"t": 3, "n": 8}])
    assert found(asked.judge(minus=lambda n, t: n - t)).credit == 1.0


def test_form_finds_nothing_to_say_where_nothing_was_called(ask: Asker) -> None:
    """`grader check` of a check without public cases."""
    asked = ask("function", "double", cases=[{"x": 1}])
    told = asked.kind.release(asked.params, asked.context, "1/1")
    params = asked.kind.Params.model_construct(**told.params)
    assert list(told.requests) == ["value"]
    seen = Asked(kind=asked.kind, params=params, context=asked.context, folder=asked.folder)
    assert (
        asked.kind.form(
            params, seen.seen({"value": ok(Opaque("function", "double", "(x)"))}), asked.context
        )
        is None
    )


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (
            {"says": "k"},
            [
                (
                    ("mistakes", 0, "reference"),
                    "expected the name of a wrong one in the reference, found nothing",
                )
            ],
        ),
        (
            {"reference": "squared", "equals": 3, "says": "k"},
            [(("mistakes", 0, "equals"), "expected reference alone, found equals too")],
        ),
        (
            {"reference": "sqared", "says": "k"},
            [
                (
                    ("mistakes", 0, "reference"),
                    "expected a name of reference.py, found 'sqared'; did you mean squared?",
                )
            ],
        ),
    ],
    ids=["no reference", "equals", "misspelt"],
)
@pytest.mark.parametrize("kind", ["function", "model"])
def test_a_mistake_that_cannot_match_is_a_problem(
    ask: Asker, kind: str, mistake: dict[str, Any], expected: list[Any]
) -> None:
    given: dict[str, Any] = {"cases": [{"x": 1}]} if kind == "function" else {"compare": ["count"]}
    assert ask(kind, "double", **given, mistakes=[mistake]).problems == expected


@pytest.mark.parametrize(
    ("double", "says"),
    [
        (
            lambda x: 6 if x == 3 else 0,
            "Wrong in 1 of 2 cases. It is right for some arguments and not for others: "
            "is a size fixed in the code?",
        ),
        (
            lambda x: [1, 2, 3],
            "Wrong in 2 of 2 cases. The result is of another kind or shape than asked.",
        ),
    ],
    ids=["fixed size", "shape"],
)
def test_a_hint_tells_nothing_of_hidden_cases(ask: Asker, double: Any, says: str) -> None:
    asked = ask("function", "double", cases=[{"x": 3}, {"x": 5}])
    assert found(asked.judge(double=double)).says == says
