"""Predictions as students give them, brought into the form of the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grader.compare.words import noun
from grader.errors import ReferenceFault
from grader.values import Opaque, Tensor, Value


@dataclass(frozen=True, slots=True)
class Withheld:
    """Inputs and the labels that stay outside."""

    inputs: Tensor | list[Value] | None
    """As many as labels; None where the predictions are already there."""
    labels: Tensor | list[str]

    @property
    def count(self) -> int:
        """How many labels there are."""
        return len(self.labels) if isinstance(self.labels, list) else self.labels.shape[0]


class Unfit(Exception):
    """What was found is not as many predictions as asked, with the reason."""


def read_withheld(pair: Value, name: str) -> Withheld:
    """Read what a function of the reference gave as inputs and labels.

    Raises:
        ReferenceFault: it is something else, or not as many of each.
    """
    match pair:
        case ((None | Tensor() | list()) as inputs, (Tensor() | list()) as given):
            labels = _labels(given)
            count = _length(labels)
            if labels is not None and count and (inputs is None or _length(inputs) == count):
                return Withheld(inputs, labels)
    raise ReferenceFault(f"expected {name} to give (inputs, labels), as many of each")


def _labels(given: Tensor | list[Value]) -> Tensor | list[str] | None:
    """Labels as a tensor or as texts; None if they are neither."""
    if isinstance(given, Tensor):
        return given
    if all(isinstance(item, str) for item in given):
        return given
    array = _array(given)
    return None if array is None else Tensor(array, str(array.dtype), "torch")


def _length(held: Value) -> int:
    if isinstance(held, Tensor):
        return held.shape[0] if held.shape else 0
    return len(held) if isinstance(held, list) else 0


def joined(batches: list[Value]) -> npt.NDArray[np.generic] | list[str] | None:
    """All batches in one, along the first dimension: real numbers, or texts; None if neither."""
    if all(_is_texts(batch) for batch in batches):
        return [text for batch in batches for text in batch]
    arrays = [_array(batch) for batch in batches]
    found = [array for array in arrays if array is not None and array.dtype.kind in "biuf"]
    if len(found) < len(batches) or len({array.shape[1:] for array in found}) != 1:
        return None
    return np.concatenate(found)


def _is_texts(batch: Value) -> bool:
    texts = isinstance(batch, list | tuple) and len(batch) > 0
    return texts and all(isinstance(item, str) for item in batch)


def _array(batch: Value) -> npt.NDArray[np.generic] | None:
    """One call's predictions; integers too large for any array make one of objects."""
    if isinstance(batch, Tensor):
        return batch.array if batch.shape else None
    if not isinstance(batch, list | tuple):
        return None
    items = [b.array.item() if isinstance(b, Tensor) and b.array.size == 1 else b for b in batch]
    if all(isinstance(item, int | float) for item in items):
        return np.asarray(items)
    rows = [item.array for item in items if isinstance(item, Tensor)]  # one row of scores each
    alike = len(rows) == len(items) > 0 and len({row.shape for row in rows}) == 1
    return np.stack(rows) if alike else None


def fitted(
    found: npt.NDArray[np.generic] | list[str], labels: Tensor | list[str], *, scores: bool
) -> Tensor | list[str]:
    """Predictions in the form of the labels.

    A last dimension of one may differ.

    Args:
        found: What `joined` gave.
        labels: What is right.
        scores: Whether the largest of several scores stands for its place.

    Raises:
        Unfit: they have another form.
    """
    if isinstance(labels, list) or isinstance(found, list):
        if isinstance(labels, list) and isinstance(found, list):
            return found
        wanted, seen = ("texts", "numbers") if isinstance(labels, list) else ("numbers", "texts")
        raise Unfit(f"Expected {wanted} as predictions, found {seen}.")
    array, right = found, labels.array
    if scores and array.ndim == right.ndim + 1 and array.shape[-1] > 1:
        array = array.argmax(axis=-1)
    if _narrow(array.shape) != _narrow(labels.shape):
        raise Unfit(f"Expected predictions of shape {labels.shape}, found {found.shape}.")
    array = array.reshape(labels.shape)
    if right.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what becomes infinite is said to be
            array = array.astype(right.dtype)
    elif array.dtype.kind == "b" and right.dtype.kind != "b":
        array = array.astype(np.int64)
    return Tensor(array, str(array.dtype), "torch")


def _narrow(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape


def accuracy(predictions: Tensor | list[str], labels: Tensor | list[str]) -> float:
    """The share of predictions that equal their labels; blanks around texts do not count."""
    if isinstance(predictions, Tensor) and isinstance(labels, Tensor):
        return float((predictions.array == labels.array).mean())
    pairs = list(zip(predictions, labels, strict=True))  # type: ignore[arg-type]
    return sum(one.strip() == other.strip() for one, other in pairs) / len(pairs)


def kind_of(batch: Value) -> str:
    """What was found in place of predictions; the name of a type could tell an input."""
    return "an object" if isinstance(batch, Opaque) else noun(batch)
