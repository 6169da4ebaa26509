"""`metric`: predictions on withheld inputs, scored outside against labels that never went in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.errors import ReferenceFault
from grader.rubric.model import CheckParams, Identifier, Share
from grader.values import Tensor, Value, describe
from grader.verdict import Finding

TESTIMONY = False


class Params(CheckParams):
    """`metric: predict`."""

    of: Identifier
    data: Identifier
    """A function of the reference: seed -> (inputs, labels), the same number of each."""
    measure: Identifier = "accuracy"
    """`accuracy`, or a function of the reference: (predictions, labels) -> number."""
    credit: dict[float, Share] = Field(min_length=2)
    """Points as a curve: measure to credit, straight lines between, flat outside."""
    batch: Annotated[int, Field(ge=1)] = 256
    """How many inputs a call gets."""


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a function {params.of}(inputs) that returns one prediction an input"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks."""
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
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    batches = seen.observations["value"].value
    inputs = seen.args("value")["inputs"]
    if all(batch is None for batch in batches):
        return Finding(credit=0.0, says=f"{params.of} returns None.", answered=False)
    predictions = _joined(batches)
    if predictions is None or predictions.shape[0] != inputs.shape[0]:
        found = describe(batches[0]) if batches else "nothing"
        says = f"Expected one prediction an input, found {found} for a batch of {params.batch}."
        return Finding(credit=0.0, says=says)
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """A handful of inputs that are not the withheld ones, to see that predictions come."""
    inputs, _ = _withheld(params, context, f"{check_id}/public")
    few = Tensor(inputs.array[:8], inputs.dtype, inputs.origin)
    asked = {"op": "predict", "name": params.of, "inputs": {"inputs": few}, "batch": 4}
    return Released(params={"of": params.of, "batch": 4}, requests={"value": asked})


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Compute the measure here and read the credit off the curve."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    predictions = _joined(seen.observations["value"].value)
    _, labels = _withheld(params, context, seen.check_id)
    assert predictions is not None  # noqa: S101 - form has looked at it
    score = _measured(params, Tensor(predictions, str(predictions.dtype), "torch"), labels, context)
    if score is None:
        says = f"Expected predictions of shape {labels.shape}, found {predictions.shape}."
        return Finding(credit=0.0, says=says)
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
        case (Tensor() as inputs, Tensor() as labels) if inputs.shape[:1] == labels.shape[:1]:
            return inputs, labels
    raise ReferenceFault(f"expected {params.data} to give (inputs, labels), as many of each")


def _measured(
    params: Params, predictions: Tensor, labels: Tensor, context: Context
) -> float | None:
    """The measure, or None when predictions and labels do not have the same shape."""
    if params.measure != "accuracy":
        given = {"predictions": predictions, "labels": labels}
        return float(context.reference.call(params.measure, given))
    if predictions.shape != labels.shape:
        return None
    return float((predictions.array == labels.array).mean())


def _joined(batches: Value) -> np.ndarray | None:
    """All batches as one array of numbers along the first dimension; None if they are none."""
    arrays = []
    for batch in batches if isinstance(batches, list) else []:
        if isinstance(batch, list | tuple):
            items = [
                b.array.item() if isinstance(b, Tensor) and b.array.size == 1 else b for b in batch
            ]
            if not all(isinstance(item, int | float) for item in items):
                return None
            arrays.append(np.asarray(items, dtype=np.float64))
        elif isinstance(batch, Tensor) and batch.array.ndim:
            arrays.append(batch.array)
        else:
            return None
    if not arrays or len({array.shape[1:] for array in arrays}) != 1:
        return None
    return np.concatenate(arrays)
