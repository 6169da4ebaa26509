"""`function`: what a student wrote is called, case by case."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import Asked, Asker, found, ok, raiser, said

from grader.readable import from_json, to_json
from grader.values import Opaque

REFERENCE = """\
def double(x): return 2 * x
def squared(x): return x * x
def fails(x): raise ValueError("nothing")
def fails_below(x):
    if x < 0: raise ValueError("below")
    return x
def minus(n, t): return n - t

import torch

class Config:
    def __init__(self, size, names=()):
        self.size = size
        self.names = list(names)

class Model(torch.nn.Module):
    def __init__(self, config, scale=1):
        super().__init__()
        self.config, self.scale = config, scale
        self.dropout = torch.nn.Dropout(0.5)
    def forward(self, x):
        return self.scale * self.dropout(x)
    def sample(self, n):
        return [n] * self.config.size

class Counter:
    def __init__(self, start):
        self.sum = start
    def add(self, n):
        self.sum += n
        return self.sum

class Forgetful(Model):
    def sample(self, n):
        return [n]

def count(config, more):
    config.names.append("used")
    return config.size + more + len(config.names)

import numpy as np
import warnings

def mean_of(x): return np.float64(x) / 2
def halves(x): return {np.int64(1): np.float64(x) / 2, "few": [np.float32(x)], "none": []}
def logarithm(x):
    warnings.warn("noisy")
    return np.log(np.asarray(x))
def entropy(p): return torch.special.entr(p)
def naive_entropy(p): return -p * p.log()
def only_nan(p): return p * float("nan")
def numbers(seed, n): return torch.full((n,), float(seed % 2 + 1))
def total(x): return x.sum()
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
            "Wrong in 1 of 2 cases. It is right for some arguments and not for others.",
        ),
        (
            lambda x: 6.0 if x == 3 else float("nan"),
            "Wrong in 1 of 2 cases. It gives NaN for some arguments.",
        ),
        (lambda x: float("inf"), "Wrong in 2 of 2 cases. It gives infinity."),
        (
            lambda x: [1, 2, 3],
            "Wrong in 2 of 2 cases. The result is of another kind or shape than asked.",
        ),
    ],
    ids=["values", "NaN", "infinity", "shape"],
)
def test_a_hint_tells_nothing_of_hidden_cases(ask: Asker, double: Any, says: str) -> None:
    asked = ask("function", "double", cases=[{"x": 3}, {"x": 5}])
    assert found(asked.judge(double=double)).says == says


class Config:
    """A student's own."""

    def __init__(self, size: int, names: tuple[str, ...] = ()) -> None:
        self.size, self.names = size, list(names)


class Model(torch.nn.Module):
    """A student's own, with other names for its arguments."""

    def __init__(self, settings: Config, factor: float = 1) -> None:
        super().__init__()
        self.settings, self.factor = settings, factor
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.factor * self.drop(x)
        return found

    def sample(self, n: int) -> list[int]:
        return [n] * self.settings.size


def test_an_input_is_made_anew_of_the_student_s_class_for_each_call(ask: Asker) -> None:
    case = {"config": "Config(size=3, names=['a'])", "more": 2}
    asked = ask("function", "count", cases=[case, case])

    def count(config: Any, more: int) -> int:
        assert type(config) is Config
        config.names.append("used")
        return config.size + more + len(config.names)

    assert said(asked.judge(count=count, Config=Config)) == (1.0, "Right in all 2 cases.")
    assert said(asked.judge(count=count)) == (0.0, "Config is not defined.")


def test_a_class_that_cannot_be_made_is_wrong(ask: Asker) -> None:
    asked = ask("function", "count", cases=[{"config": "Config(size=3)", "more": 2}])
    finding = found(asked.judge(count=lambda config, more: 6, Config=lambda width: width))
    assert (finding.credit, finding.says) == (1.0, "Right in the only case.")
    finding = found(asked.judge(count=lambda config, more: 6, Config=raiser("TypeError")))
    assert (finding.credit, finding.says) == (0.0, "Wrong in the only case. It raised TypeError.")


def test_a_made_object_is_called_in_evaluation_mode(ask: Asker) -> None:
    build = {"config": "Config(size=2)", "scale": 3}
    asked = ask("function", "Model", build=build, cases=[{"x": "normal(100)"}])
    assert said(asked.judge(Model=Model, Config=Config)) == (1.0, "Right in the only case.")
    finding = found(asked.judge(Model=lambda c, s: Model(c, 2), Config=Config))
    assert finding.says == "Wrong in the only case. Every value is 0.6667 times the right one."


def test_a_method_is_called_and_its_mistake_recognised(ask: Asker) -> None:
    mistake = {"reference": "Forgetful", "says": "Only one is drawn.", "credit": 0.5}
    more: dict[str, Any] = {"build": {"config": "Config(size=2)"}, "mistakes": [mistake]}
    asked = ask("function", "Model", method="sample", public=[{"n": 4}], cases=[{"n": 5}], **more)

    class Short(Model):
        def sample(self, n: int) -> list[int]:
            return [n]

    class Wrong(Model):
        def sample(self, n: int) -> list[int]:
            return [n, n, n]

    assert said(asked.judge(Model=Model, Config=Config)) == (1.0, "Right in all 2 cases.")
    assert said(asked.judge(Model=Short, Config=Config)) == (0.5, "Only one is drawn.")
    shown = "Model(config=Config(size=2)).sample(n=4)"
    says = found(asked.judge(Model=Wrong, Config=Config)).says
    assert says.startswith(f"Wrong in 2 of 2 cases. {shown}: ")
    assert asked.kind.asks(asked.params) == "a class Model(config) with a method sample(n)"


def test_a_case_may_be_repeated(ask: Asker) -> None:
    asked = ask("function", "double", cases=[{"x": 2}], repeat=3)
    assert asked.context.reference.answer("double", asked.requests["case1"]) == [4, 4, 4]
    state = iter([4, 4, 4, 4, 4, 5])
    assert said(asked.judge(double=lambda x: next(state))) == (1.0, "Right in the only case.")
    assert found(asked.judge(double=lambda x: next(state))).credit == 0.0
    assert said(asked.judge(double=lambda x: None)) == (0.0, "double returns None.")


def test_a_result_that_a_later_call_overwrites_counts_as_it_was(ask: Asker) -> None:
    asked = ask("function", "Counter", build={"start": 5}, method="add", cases=[{"n": 2}], repeat=3)

    class Counter:
        def __init__(self, start: int) -> None:
            self.sum = torch.tensor(start)

        def add(self, n: int) -> torch.Tensor:
            return self.sum.add_(n)

    assert asked.context.reference.answer("Counter", asked.requests["case1"]) == [7, 9, 11]
    assert found(asked.judge(Counter=Counter)).credit == 1.0


def test_an_input_may_come_from_the_reference(ask: Asker) -> None:
    asked = ask("function", "total", cases=[{"x": "reference('numbers', 4)"}])
    assert asked.requests["case1"]["args"]["x"].shape == (4,)
    assert found(asked.judge(total=lambda x: x.sum())).credit == 1.0


def test_names_that_inputs_need_are_looked_up(ask: Asker) -> None:
    cases = [{"x": "Confg(size=1)"}, {"x": "reference('nombres')"}]
    asked = ask("function", "total", cases=cases, build={"y": "norml(3)"})
    places = [place for place, _ in asked.problems]
    assert places == [("build", "y"), ("cases", 0, "x"), ("cases", 1, "x")]


def test_public_cases_with_objects_travel_as_json(ask: Asker) -> None:
    case = {"config": "Config(size=3, names=['a'])", "more": 2}
    asked = ask("function", "count", public=[case], cases=[case])
    told = asked.kind.release(asked.params, asked.context, "1/1")
    back = from_json(json.loads(json.dumps(to_json(told.requests))))
    assert (told.expected, list(back)) == ({"public1": 7}, ["value", "public1"])
    made = back["public1"]["args"]["config"]
    assert (made.of, made.args) == ("Config", {"size": 3, "names": ["a"]})


def test_a_hint_at_sizes_is_given_where_sizes_differ(ask: Asker) -> None:
    asked = ask("function", "double", cases=[{"x": "normal(4)"}, {"x": "normal(5)"}])

    def double(x: torch.Tensor) -> torch.Tensor:
        return x * torch.tensor([2.0, 2, 2, 2, 3])[: len(x)]

    says = "It is right for some arguments and not for others: is a size fixed in the code?"
    assert found(asked.judge(double=double)).says == f"Wrong in 1 of 2 cases. {says}"


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("mean_of", lambda x: x / 2),
        ("mean_of", lambda x: torch.tensor(x / 2)),
        ("halves", lambda x: {1: x / 2, "few": [float(x)], "none": []}),
    ],
)
def test_a_reference_may_give_numbers_of_numpy(ask: Asker, name: str, right: Any) -> None:
    asked = ask("function", name, cases=[{"x": 3}, {"x": 1}])
    assert said(asked.judge(**{name: right})) == (1.0, "Right in all 2 cases.")
    assert found(asked.judge(**{name: lambda x: x})).credit == 0.0
    answers = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert answers is not None
    replies = {local: ok(value) for local, value in answers.items()}
    assert found(asked.judge_replies(**replies)).credit == 1.0


def test_warnings_of_the_reference_are_not_shown(ask: Asker) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked = ask("function", "logarithm", cases=[{"x": 0.0}])
        value = asked.context.reference.answer("logarithm", asked.requests["case1"])
        assert value == -math.inf
        with pytest.raises(UserWarning, match="still"):
            warnings.warn("still", stacklevel=1)


@pytest.mark.parametrize(
    ("mistake", "student", "credit"),
    [
        ("naive_entropy", lambda p: -p * p.log(), 0.5),
        ("naive_entropy", lambda p: p * float("nan"), 0.0),
        ("only_nan", lambda p: p * float("nan"), 0.0),
    ],
    ids=["at the same places", "everywhere", "a mistake of nothing else"],
)
def test_a_mistake_may_give_nan_beside_numbers(
    ask: Asker, mistake: str, student: Any, credit: float
) -> None:
    mistakes = [{"reference": mistake, "says": "A share of 0 gives NaN.", "credit": 0.5}]
    cases = [{"p": "tensor([0.5, 0.0, 0.5])"}, {"p": "tensor([0.0])"}]
    asked = ask("function", "entropy", cases=cases, mistakes=mistakes)
    assert found(asked.judge(entropy=student)).credit == credit


def test_what_was_raised_is_said_once(ask: Asker) -> None:
    def fail(x: Any) -> Any:
        raise RuntimeError("no such size")

    hidden = found(ask("function", "double", cases=[{"x": 3}]).judge(double=fail))
    assert hidden.says == "Wrong in the only case. It raised RuntimeError."
    assert hidden.detail == "double(x=3): no such size."
    shown = found(ask("function", "double", cases=[{"x": 3}], public=[{"x": 2}]).judge(double=fail))
    raised = "double(x=2): raised RuntimeError: no such size."
    assert shown.says == f"Wrong in 2 of 2 cases. {raised}"


def test_names_of_the_reference_are_not_shown(ask: Asker) -> None:
    public = [{"x": "reference('numbers', 4)"}]
    asked = ask("function", "total", public=public, cases=public)
    assert found(asked.judge(total=lambda x: x.sum() + 1)).says.startswith(
        "Wrong in 2 of 2 cases. total(x=...): the value is wrong. Expected "
    )
