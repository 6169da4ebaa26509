"""A result in the form of the reference's own, however large it is."""

import time
from typing import Any

import numpy as np
import pytest

from grader.checks.fitted import MOST_ITEMS, Misfit, fitted
from grader.values import Tensor, Value


def tensor(*shape: int) -> Tensor:
    """A tensor that takes no room, as a huge one that was handed in would."""
    return Tensor(np.broadcast_to(np.int8(0), shape), "int8", "torch")


LARGE: dict[str, tuple[Value, Value]] = {
    "numbers": (tensor(MOST_ITEMS + 1), [0]),
    "lists": (tensor(1000, 1000), [[0]]),
    "many": ([tensor(1000, 100)] * 5, [[[0]]]),
    "empty rows": (tensor(10**9, 0), [[0]]),
    "in a dict": ({"a": tensor(MOST_ITEMS + 1)}, {"a": [0]}),
}


@pytest.mark.parametrize(("seen", "like"), LARGE.values(), ids=LARGE)
def test_a_free_result_is_not_taken_apart_without_end(seen: Any, like: Any) -> None:
    with pytest.raises(Misfit, match="it has more than 200,000 items"):
        fitted(seen, like, free=True)


def test_a_large_tensor_stays_whole_where_a_tensor_is_expected() -> None:
    assert fitted(tensor(1000, 1000), tensor(1), free=True).shape == (1000, 1000)
    rows = fitted(tensor(3, 1000, 1000), [tensor(1)], free=True)
    assert [row.shape for row in rows] == [(1000, 1000)] * 3


def test_a_length_is_compared_before_anything_is_taken_apart() -> None:
    began = time.monotonic()
    with pytest.raises(Misfit, match=r"^expected 2 items, found 5000000$"):
        fitted(tensor(5_000_000), [0, 0])
    assert time.monotonic() - began < 1


def test_a_short_free_result_is_like_the_last_item() -> None:
    assert fitted(tensor(3), [1, 2], free=True) == [0, 0, 0]
    assert fitted(tensor(2), (1, 2)) == (0, 0)
