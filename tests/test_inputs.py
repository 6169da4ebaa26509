"""Inputs of probes: drawn from the course's secret, alike for all students."""

import numpy as np
import pytest

from grader.errors import UnknownGenerator
from grader.inputs import Inputs, parse_call
from grader.values import Opaque

HERE = Inputs(b"secret", "hw", 1)


def test_the_same_place_gives_the_same_values_and_no_other_does() -> None:
    first = HERE.case({"x": "normal(3)"}, "1/1/case1")["x"]
    assert HERE.case({"x": "normal(3)"}, "1/1/case1")["x"] == first
    others = [
        HERE.case({"x": "normal(3)"}, "1/1/case2")["x"],
        Inputs(b"another", "hw", 1).case({"x": "normal(3)"}, "1/1/case1")["x"],
        Inputs(b"secret", "hw", 2).case({"x": "normal(3)"}, "1/1/case1")["x"],
        Inputs(b"secret", "hw2", 1).case({"x": "normal(3)"}, "1/1/case1")["x"],
    ]
    assert first not in others


def test_two_arguments_of_one_case_differ() -> None:
    case = HERE.case({"a": "normal(3)", "b": "normal(3)"}, "1/1/case1")
    assert case["a"] != case["b"]


def test_a_mask_has_its_diagonal_and_is_no_answer() -> None:
    mask = HERE.case({"m": "mask(7)"}, "3")["m"]
    assert (mask.dtype, mask.shape, mask.origin) == ("bool", (7, 7), "torch")
    assert mask.array.diagonal().all()
    assert not np.array_equal(mask.array, np.tri(7, dtype=bool))


def test_plain_values_stay_as_they_are() -> None:
    written = {"n": 3, "words": "not a call (of anything)", "list": [1, 2]}
    assert HERE.case(written, "1") == written


def test_a_function_travels_by_its_name() -> None:
    assert HERE.case({"f": "torch('relu')"}, "1") == {"f": Opaque("function", "torch.relu")}


@pytest.mark.parametrize("written", ["norml(3)", "torch('system')", "torch()", "__import__('os')"])
def test_what_is_no_generator_is_refused(written: str) -> None:
    with pytest.raises(UnknownGenerator, match="expected"):
        parse_call(written)


def test_sizes_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(UnknownGenerator, match="cannot be drawn"):
        HERE.case({"x": "normal(-1)"}, "1")
