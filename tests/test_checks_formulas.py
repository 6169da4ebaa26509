"""Kinds of check that hold numbers and formulas: value, expression, complexity."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.checks.given import given_by_key, text_of
from grader.evidence import Observation, ProbeStatus
from grader.inputs import Inputs
from grader.reference import Reference
from grader.symbolic import Symbolic
from grader.values import Formula, Tensor, Value
from grader.verdict import Conclusion, Finding, Pending


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    path = tmp_path_factory.mktemp("reference") / "reference.py"
    path.write_text("def nothing():\n    return []\n\nsix = 6\n")
    with Symbolic() as symbolic:
        inputs = Inputs(b"secret", "hw", 1)
        yield Context(reference=Reference(path), inputs=inputs, symbolic=symbolic)


def judge(kind: str, params: dict[str, Any], given: Any, context: Context) -> Conclusion:
    seen = Seen(
        check_id="1/1",
        requests={"value": {"op": "capture", "name": "x"}},
        observations={"value": Observation(status=ProbeStatus.OK, value=given)},
        cells=(),
        receipts={},
    )
    module = KINDS[kind]
    return module.judge(module.Params.model_validate({"of": "x", **params}), seen, context)


def problems(kind: str, params: dict[str, Any], context: Context) -> list[tuple[Any, str]]:
    module = KINDS[kind]
    return list(module.problems(module.Params.model_validate({"of": "x", **params}), context))


N = {"symbols": {"n": "positive integer"}}
TOO_COMPLEX = {
    "parentheses": "(" * 60 + "n" + ")" * 60,
    "terms": "n" + "+0*n" * 300,
    "length": "n" + " " * 2000 + "+ 0",
    "digits": "n + 0*" + "1" * 40,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["expression", "complexity"])
@pytest.mark.parametrize("text", TOO_COMPLEX.values(), ids=TOO_COMPLEX)
def test_a_formula_too_complex_to_compare_waits_for_a_person(
    kind: str, text: str, context: Context
) -> None:
    alone = judge(kind, {**N, "equals": "n"}, text, context)
    listed = judge(kind, {**N, "equals": ["n", "n**2"]}, [text, "n**2"], context)
    assert isinstance(alone, Pending)
    assert alone.reason.startswith("A person decides: The formula is too complex to compare")
    assert isinstance(listed, Pending)
    assert (listed.reason, alone.work.text) == (alone.reason, text)


def test_a_formula_that_may_equal_a_further_answer_waits_for_a_person(context: Context) -> None:
    params = {**N, "equals": "n", "also": ["n**n**n**n", "n + 1"]}
    assert isinstance(judge("expression", params, "n**(n**(n**n) + 1)/n", context), Pending)
    right = judge("expression", params, "1 + n", context)
    assert isinstance(right, Finding)
    assert right.credit == 1.0


def test_a_formula_that_cannot_be_read_earns_nothing(context: Context) -> None:
    found = judge("expression", {**N, "equals": "n"}, "n(", context)
    assert isinstance(found, Finding)
    assert found.says == (
        "x cannot be read as a formula: "
        "expected a number, a name or a parenthesis where the formula ends"
    )


@pytest.mark.parametrize(
    "given",
    [0.1, Tensor(np.array(0.1, "float32"), "float32", "torch"), Formula("1/10"), "0.1"],
    ids=["float", "float32", "sympy", "text"],
)
def test_a_number_in_any_form_is_a_formula(given: Any, context: Context) -> None:
    found = judge("expression", {"equals": "1/10"}, given, context)
    assert found == Finding(credit=1.0, says="Right.")


def test_a_condition_is_looked_at_before_anybody_is_graded(context: Context) -> None:
    params = {**N, "equals": "n", "where": ["n > 1", "n > t"]}
    ((place, says),) = problems("expression", params, context)
    assert place == ("where", 1)
    assert says.startswith("the condition 'n > t' cannot be read: 't' is an unknown name")
    params["where"] = ["n > 3", "n < 2"]
    ((place, says),) = problems("expression", params, context)
    assert place == ("where", 1)
    assert says == "expected conditions that at least 12 points fulfil, found 1 for n < 2"
    params["where"] = ["n > 50", "n < 51"]
    assert [place for place, _ in problems("expression", params, context)] == [("where",)]
    assert problems("expression", {**params, "where": ["n > 1", "n != 4"]}, context) == []


WRITTEN = {
    "text for a list": (["n", "2*n"], "n", "expected a list of 2 formulas in n"),
    "list for text": ("n", ["n"], "expected a formula in n"),
    "too long": (["n"], ["n", "n"], "expected a list of 1 formulas in n"),
    "other keys": ({"a": "n"}, {"b": "n"}, "expected a dict with the keys a, each a formula in n"),
}


@pytest.mark.parametrize(("equals", "other", "says"), WRITTEN.values(), ids=WRITTEN)
def test_answers_written_unlike_the_right_one_are_refused(
    equals: Any, other: Any, says: str, context: Context
) -> None:
    expected = f"{says}, as in equals, found {other!r}"
    params = {**N, "equals": equals, "also": [other]}
    assert problems("complexity", params, context) == [(("also", 0), expected)]
    params = {**N, "equals": equals, "mistakes": [{"equals": other, "says": "No."}]}
    assert problems("complexity", params, context) == [(("mistakes", 0, "equals"), expected)]


def test_entries_may_be_left_out_of_further_answers_and_mistakes(context: Context) -> None:
    params = {**N, "equals": {"a": "n", "b": "2*n"}, "also": [{"b": "3*n"}]}
    mistakes = [{"equals": {"a": "n**2"}, "says": "No."}]
    assert problems("expression", {**params, "mistakes": mistakes}, context) == []


@pytest.mark.parametrize(
    ("equals", "given"),
    [([], []), ({}, {}), (6, Formula("6")), ([1, 0.5], [Formula("1"), Formula("1/2")])],
    ids=["list", "dict", "sympy", "list of sympy"],
)
def test_a_value_may_be_empty_or_held_by_sympy(equals: Any, given: Any, context: Context) -> None:
    assert judge("value", {"equals": equals}, given, context) == Finding(credit=1.0, says="Right.")


def test_a_reference_may_hold_nothing(context: Context) -> None:
    found = judge("value", {"reference": "nothing"}, [], context)
    assert found == Finding(credit=1.0, says="Right.")
    empty = judge("value", {"equals": [1]}, [], context)
    assert empty == Finding(credit=0.0, says="x is still empty.", answered=False)


def test_a_mistake_of_a_value_could_be_made(context: Context) -> None:
    mistakes = [
        {"says": "No."},
        {"equals": 5, "reference": "six", "says": "No."},
        {"reference": "sex", "says": "No."},
        {"equals": "five", "says": "No."},
        {"equals": 5, "says": "One too few."},
    ]
    assert problems("value", {"equals": 6, "mistakes": mistakes}, context) == [
        (("mistakes", 0), "expected either equals or reference"),
        (("mistakes", 1), "expected either equals or reference"),
        (
            ("mistakes", 2, "reference"),
            "expected a name of reference.py, found 'sex'; did you mean six?",
        ),
        (("mistakes", 3, "equals"), "expected the number 6, as in equals, found text"),
    ]


COSTS = {"rnn, time": "n", "rnn, space": "n**2"}


@pytest.mark.parametrize(
    "given",
    [
        {("rnn", "time"): "n", ("rnn", "space"): "n*n"},
        {("RNN", "Time"): "n", ("RNN", "Space"): "n*n"},
        {"rnn": {"time": "n", "space": "n*n"}},
        {"rnn_time": "n", "rnn space": "n*n"},
    ],
    ids=["tuples", "other case", "dicts of dicts", "other signs"],
)
def test_keys_are_known_however_they_are_written(given: Any, context: Context) -> None:
    found = judge("expression", {**N, "equals": COSTS}, given, context)
    assert isinstance(found, Finding)
    assert found.credit == 1.0


def test_an_entry_that_is_missing_is_said_to_be(context: Context) -> None:
    found = judge("expression", {**N, "equals": COSTS}, {("rnn", "time"): "n"}, context)
    assert isinstance(found, Finding)
    assert (found.credit, found.says) == (
        0.5,
        "1 of 2 entries are right. rnn, space: This entry is missing.",
    )


@pytest.mark.parametrize(
    "given", [["n", "n*n"], {"a": "n", "b": "n*n"}, "n, n*n", "[n, n^2]"], ids=repr
)
def test_a_list_is_known_however_it_is_written(given: Any, context: Context) -> None:
    found = judge("expression", {**N, "equals": ["n", "n**2"]}, given, context)
    assert isinstance(found, Finding)
    assert found.credit == 1.0


def test_entries_of_a_list_are_counted_from_one(context: Context) -> None:
    found = judge("expression", {**N, "equals": ["n", "n**2"]}, ["n", "n("], context)
    assert isinstance(found, Finding)
    assert found.says.startswith("1 of 2 entries are right. entry 2: ")


ENDLESS: dict[str, Value] = {
    "a tensor": Tensor(np.broadcast_to(np.int8(7), (10**6,)), "int8", "torch"),
    "a list": ["7"] * 10**6,
}


@pytest.mark.parametrize("given", ENDLESS.values(), ids=ENDLESS)
def test_no_more_of_a_list_is_looked_at_than_is_asked(given: Value, context: Context) -> None:
    found = given_by_key(given, ["n", "7"])
    assert found is not None
    assert [(key, text_of(item)) for key, item in found.items()] == [("0", "7"), ("1", "7")]
    judged = judge("expression", {**N, "equals": ["n", "7"]}, given, context)
    assert isinstance(judged, Finding)
    assert judged.credit == 0.5


def test_a_text_of_many_commas_is_no_list_of_formulas() -> None:
    assert given_by_key("7," * 10**6, ["n", "7"]) == {"": "7," * 10**6}
