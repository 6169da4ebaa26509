"""`metric`: predictions on withheld inputs, scored outside against labels that never went in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.function import hidden_failure
from grader.compare.words import noun
from grader.errors import ReferenceFault
from grader.rubric.model import CheckParams, Identifier, Share
from grader.values import Opaque, Tensor, Value
from grader.verdict import Finding

TESTIMONY = False


class Params(CheckParams):
    """`metric: predict`."""

    of: Identifier
    data: Identifier
    """A function of the reference: seed -> (inputs, labels), the same number of each."""
    measure: Identifier = "accuracy"
    """`accuracy`, or a function of the reference: (predictions, labels) -> number.

    Both are tensors of the labels' shape; where labels are floating, predictions have their dtype.
    """
    credit: dict[float, Share] = Field(min_length=2)
    """Points as a curve: measure to credit, straight lines between, flat outside."""
    batch: Annotated[int, Field(ge=1)] = 256
    """How many inputs a call gets."""


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a function {params.of}(inputs) that returns one prediction an input"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, mistakes."""
    if params.mistakes:
        says = "unknown key: no mistake of a metric can be recognised; its credit is a curve"
        yield ("mistakes",), says
    yield from no_name(params.data, context, ("data",))
    if params.measure != "accuracy":
        yield from no_name(params.measure, context, ("measure",))


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Call it on the withheld inputs, in batches; the labels stay here."""
    inputs, _ = _withheld(params, context, check_id)
    asked = {"op": "predict", "name": params.of, "inputs": {"inputs": inputs}}
    return {"value": {**asked, "batch": params.batch}}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it gives one prediction an input."""
    looked = _looked(params, seen)
    return looked if isinstance(looked, Finding) else None


def _looked(params: Params, seen: Seen) -> np.ndarray | Finding:
    """All predictions, one an input, or what kept them from being that."""
    nothing = hidden_failure(seen, params.of, "value")
    if nothing:
        return nothing
    batches = seen.observations["value"].value
    if not isinstance(batches, list) or not batches:
        return Finding(credit=0.0, says=f"The reply of {params.of} makes no sense.")
    if all(batch is None for batch in batches):
        return Finding(credit=0.0, says=f"{params.of} returns None.", answered=False)
    predictions = _joined(batches)
    if predictions is None or len(predictions) != seen.args("value")["inputs"].shape[0]:
        # The name of an object's type is the student's to choose, and could tell an input.
        found = "an object" if isinstance(batches[0], Opaque) else noun(batches[0])
        says = f"Expected one prediction an input, found {found} for a batch of {params.batch}."
        return Finding(credit=0.0, says=says)
    return predictions


def release(params: Params, context: Context, check_id: str) -> Released:
    """A handful of zeros in the form of the inputs, to see that predictions come.

    Data drawn from another seed could still be the withheld ones, if the reference ignores seeds.
    """
    inputs, _ = _withheld(params, context, check_id)
    few = Tensor(np.zeros_like(inputs.array[:8]), inputs.dtype, inputs.origin)
    asked = {"op": "predict", "name": params.of, "inputs": {"inputs": few}, "batch": 4}
    return Released(params={"of": params.of, "batch": 4}, requests={"value": asked})


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Compute the measure here and read the credit off the curve."""
    looked = _looked(params, seen)
    if isinstance(looked, Finding):
        return looked
    _, labels = _withheld(params, context, seen.check_id)
    predictions = _fitted(looked, labels)
    if predictions is None:
        says = f"Expected predictions of shape {labels.shape}, found {looked.shape}."
        return Finding(credit=0.0, says=says)
    score = _measured(params, predictions, labels, context)
    if not np.isfinite(score):
        return Finding(credit=0.0, says=f"The {params.measure} is not finite.")
    steps = sorted(params.credit)
    credit = float(np.interp(score, steps, [params.credit[step] for step in steps]))
    best = max(steps, key=lambda step: (params.credit[step], -step))
    says = f"The {params.measure} on {labels.shape[0]} withheld inputs is {score:.4g}"
    return Finding(
        credit=credit, says=says + ("." if credit == 1 else f"; full credit from {best:g} on.")
    )


def _withheld(params: Params, context: Context, check_id: str) -> tuple[Tensor, Tensor]:
    seed = context.inputs.seed(f"{check_id}/withheld") % 2**31
    pair = context.reference.call(params.data, {"seed": seed})
    match pair:
        case (Tensor() as inputs, Tensor() as labels):
            if inputs.shape and inputs.shape[0] and inputs.shape[:1] == labels.shape[:1]:
                return inputs, labels
    raise ReferenceFault(f"expected {params.data} to give (inputs, labels), as many of each")


def _fitted(predictions: np.ndarray, labels: Tensor) -> Tensor | None:
    """Predictions in the labels' shape, if a last dimension of one is all that differs."""
    if _narrow(predictions.shape) != _narrow(labels.shape):
        return None
    array = predictions.reshape(labels.shape)
    if labels.array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what becomes infinite is said to be
            array = array.astype(labels.array.dtype)
    elif array.dtype.kind == "b" and labels.array.dtype.kind != "b":
        array = array.astype(np.int64)
    return Tensor(array, str(array.dtype), "torch")


def _narrow(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape


def _measured(params: Params, predictions: Tensor, labels: Tensor, context: Context) -> float:
    """The measure as a number.

    Raises:
        ReferenceFault: the course's own measure raised, or gave no number.
    """
    if params.measure == "accuracy":
        return float((predictions.array == labels.array).mean())
    given = {"predictions": predictions, "labels": labels}
    found = context.reference.call(params.measure, given)
    if isinstance(found, Tensor) and not found.shape:
        found = found.array.item()
    if not isinstance(found, int | float):
        raise ReferenceFault(f"expected {params.measure} to give a number, found {noun(found)}")
    return float(found)


def _joined(batches: list[Value]) -> np.ndarray | None:
    """All batches as one array of real numbers along the first dimension; None if they are none."""
    arrays = [_batch(batch) for batch in batches]
    found = [array for array in arrays if array is not None and array.dtype.kind in "biuf"]
    if len(found) < len(batches) or len({array.shape[1:] for array in found}) != 1:
        return None
    return np.concatenate(found)


def _batch(batch: Value) -> np.ndarray | None:
    """One call's predictions; integers too large for any array make one of objects."""
    if isinstance(batch, Tensor):
        return batch.array if batch.shape else None
    if not isinstance(batch, list | tuple):
        return None
    items = [b.array.item() if isinstance(b, Tensor) and b.array.size == 1 else b for b in batch]
    return np.asarray(items) if all(isinstance(item, int | float) for item in items) else None
