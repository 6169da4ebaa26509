"""Inputs of probes: drawn from the course's secret, alike for all students."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from grader.errors import UnknownGenerator
from grader.inputs import Inputs, parse_call
from grader.values import Made, Opaque, Value

HERE = Inputs(b"secret", "hw", 1)


def draw(name: str, seed: int, args: Sequence[Any]) -> Value:
    """Stands for the reference: says what it was asked."""
    return [name, seed, *args]


def case(written: dict[str, Any], place: str, inputs: Inputs = HERE) -> dict[str, Value]:
    return inputs.case(written, place, draw)


def test_the_same_place_gives_the_same_values_and_no_other_does() -> None:
    first = case({"x": "normal(3)"}, "1/1/case1")["x"]
    assert case({"x": "normal(3)"}, "1/1/case1")["x"] == first
    others = [
        case({"x": "normal(3)"}, "1/1/case2")["x"],
        case({"x": "normal(3)"}, "1/1/case1", Inputs(b"another", "hw", 1))["x"],
        case({"x": "normal(3)"}, "1/1/case1", Inputs(b"secret", "hw", 2))["x"],
        case({"x": "normal(3)"}, "1/1/case1", Inputs(b"secret", "hw2", 1))["x"],
    ]
    assert first not in others


def test_two_arguments_of_one_case_differ() -> None:
    made = case({"a": "normal(3)", "b": "normal(3)"}, "1/1/case1")
    assert made["a"] != made["b"]


def test_a_mask_has_its_diagonal_and_is_no_answer() -> None:
    mask = case({"m": "mask(7)"}, "3")["m"]
    assert (mask.dtype, mask.shape, mask.origin) == ("bool", (7, 7), "torch")
    assert mask.array.diagonal().all()
    assert not np.array_equal(mask.array, np.tri(7, dtype=bool))


def test_plain_values_stay_as_they_are() -> None:
    written = {"n": 3, "words": "not a call (of anything)", "list": [1, 2]}
    assert case(written, "1") == written


def test_a_function_travels_by_its_name() -> None:
    assert case({"f": "torch('relu')"}, "1") == {"f": Opaque("function", "torch.relu")}


@pytest.mark.parametrize(
    "written",
    ["norml(3)", "torch('system')", "torch()", "__import__('os')", "reference()", "reference(3)"],
)
def test_what_is_no_generator_is_refused(written: str) -> None:
    with pytest.raises(UnknownGenerator, match="expected"):
        parse_call(written)


def test_sizes_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(UnknownGenerator, match="cannot be drawn"):
        case({"x": "normal(-1)"}, "1")


def test_orthonormal_rows_are_that() -> None:
    rows = case({"k": "orthonormal(3, 5)"}, "1")["k"]
    assert (rows.dtype, rows.shape) == ("float32", (3, 5))
    assert np.allclose(rows.array @ rows.array.T, np.eye(3), atol=1e-6)


def test_there_are_no_more_orthonormal_rows_than_dimensions() -> None:
    with pytest.raises(UnknownGenerator, match="no 3 orthonormal rows in 2 dimensions"):
        case({"k": "orthonormal(3, 2)"}, "1")


@pytest.mark.parametrize("chars", [0, 1, 2, 300])
def test_text_is_lower_case_words(chars: int) -> None:
    text = case({"t": f"text({chars})"}, "1")["t"]
    words = text.split(" ")
    assert len(text) == chars
    assert all(word.isascii() and word.islower() for word in words) or not chars
    assert max(map(len, words)) <= 8


def test_the_reference_is_given_a_seed_of_the_place_first() -> None:
    drawn = case({"x": "reference('pairs', 2, 'long')"}, "1/1/case1")["x"]
    assert drawn == ["pairs", HERE.seed("1/1/case1/0") % 2**31, 2, "long"]


def test_a_call_by_keyword_makes_an_object() -> None:
    made = case({"config": "Config(size=3, names=['a'])"}, "1")["config"]
    assert isinstance(made, Made)
    assert (made.of, made.args) == ("Config", {"size": 3, "names": ["a"]})


@pytest.mark.parametrize("written", ["f(1, n=2)", "f(**{})", "f(n=open)", "a.f(n=1)"])
def test_what_is_neither_stays_text(written: str) -> None:
    assert case({"x": written}, "1") == {"x": written}
