"""`metric`: predictions on withheld inputs, scored outside against labels that never went in.

A function is called on the inputs, or a model is built, given the handed-in weights and called; or
the predictions are already there, for inputs that the course gave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.function import bad_inputs, bad_mistakes, called, exception, hidden_failure
from grader.checks.predictions import (
    Unfit,
    Withheld,
    accuracy,
    fitted,
    joined,
    kind_of,
    read_withheld,
)
from grader.compare.words import noun
from grader.errors import ReferenceFault, ReferenceRaised
from grader.rubric.model import CheckParams, Identifier, Share
from grader.values import Tensor, Value
from grader.verdict import Finding

Found = npt.NDArray[np.generic] | list[str]


class Params(CheckParams):
    """`metric: predict`."""

    of: Identifier
    data: Identifier
    """A function of the reference: seed -> (inputs, labels), the same number of each.

    Inputs are a tensor or a list; None where `of` holds the predictions themselves.
    """
    measure: Identifier = "accuracy"
    """`accuracy`, or a function of the reference: (predictions, labels) -> number.

    Both are tensors of the labels' shape; where labels are floating, predictions have their dtype.
    Where labels are texts, both are lists.
    """
    credit: dict[float, Share] = Field(min_length=2)
    """Points as a curve: measure to credit, straight lines between, flat outside."""
    batch: Annotated[int, Field(ge=1)] = 256
    """How many inputs a call gets."""
    each: bool = False
    """Whether a call gets one input, without the batch's dimension."""
    build: dict[str, Any] | None = None
    """Arguments that a model of the class `of` is built with; its scores are arg-maxed."""
    weights: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.safetensors$")] | None = None
    """A handed-in file that such a model is loaded with."""

    @property
    def measured(self) -> str:
        """The measure in words."""
        return self.measure.replace("_", " ")


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Whether the predictions are there already, and nothing is called."""
    return bool(asked["value"]["op"] == "capture")


def asks(params: Params) -> str:
    """What the student must define."""
    if params.build is not None:
        file = f" and its weights in {params.weights}" if params.weights else ""
        return f"a class {called(params.of, params.build)}{file}"
    if params.each:
        return f"a function {params.of}(input) that returns one prediction"
    return f"{params.of}, which gives one prediction an input"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, mistakes that nothing can recognise."""
    yield from no_name(params.data, context, ("data",))
    if params.measure != "accuracy":
        yield from no_name(params.measure, context, ("measure",))
    yield from bad_mistakes(params, context)
    yield from bad_inputs(params.build or {}, ("build",), context)
    if params.weights and params.build is None:
        yield ("weights",), "expected build too: the arguments of the class to be loaded"


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Call it on the withheld inputs, in batches; the labels stay here."""
    inputs = _withheld(params, context, check_id).inputs
    if inputs is None:
        return {"value": {"op": "capture", "name": params.of}}
    asked: Request = {"op": "predict", "name": params.of, "inputs": {"inputs": inputs}}
    asked["batch"] = 0 if params.each else params.batch
    if params.build is not None:
        asked["build"] = context.case(params.build, f"{check_id}/build")
        asked["weights"] = params.weights or ""
    return {"value": asked}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it gives one prediction an input."""
    looked = _looked(params, seen)
    return looked if isinstance(looked, Finding) else None


def _looked(params: Params, seen: Seen) -> Found | Finding:
    """All predictions, one an input, or what kept them from being that."""
    nothing = hidden_failure(seen, params.of, "value")
    if nothing:
        return nothing
    given, request = seen.observations["value"].value, seen.requests["value"]
    if request["op"] == "capture":
        if isinstance(given, list | tuple) and not given:
            return Finding(credit=0.0, says=f"{params.of} is still empty.", answered=False)
        found = joined([given])
        says = f"Expected a list of predictions, found {kind_of(given)}."
        return found if found is not None else Finding(credit=0.0, says=says)
    if isinstance(given, dict) and "build" in request:
        return _unbuilt(params, given)
    if not isinstance(given, list) or not given:
        return Finding(credit=0.0, says=f"The reply of {params.of} makes no sense.")
    if all(batch is None for batch in given):
        return Finding(credit=0.0, says=f"{params.of} returns None.", answered=False)
    found = joined([given] if params.each else given)
    if found is None or len(found) != _count(request["inputs"]["inputs"]):
        odd = next((one for one in given if joined([[one]]) is None), given[0])
        wanted = "Expected one prediction an input, found"
        says = f"{wanted} {kind_of(given[0])} for a batch of {params.batch}."
        return Finding(credit=0.0, says=f"{wanted} {kind_of(odd)}." if params.each else says)
    return found


def _count(inputs: Tensor | list[Value]) -> int:
    return len(inputs) if isinstance(inputs, list) else inputs.shape[0]


def _unbuilt(params: Params, given: dict[Value, Value]) -> Finding:
    """Say how no model came to be; the text of an exception could tell an input."""
    stage, ename = given.get("stage"), given.get("ename")
    raised = exception(str(ename))
    detail = f"{ename}: {given.get('evalue')}"
    if stage == "weights" and ename == "FileNotFoundError":
        says = f"{params.weights} was not handed in."
    elif stage == "weights" and ename in ("KeyError", "RuntimeError"):
        says = f"{params.weights} does not fit {called(params.of, params.build or {})}."
    elif stage == "weights":
        says = f"Loading {params.weights} raised {raised}."
    else:
        says = f"{called(params.of, params.build or {})} raised {raised}."
    return Finding(credit=0.0, says=says, detail=detail, answered=False)


def release(params: Params, context: Context, check_id: str) -> Released:
    """A handful of blanks in the form of the inputs, to see that predictions come.

    Data drawn from another seed could still be the withheld ones, if the reference ignores seeds.
    """
    asked = requests(params, context, check_id)["value"]
    told = {"of": params.of, "batch": 4, "each": params.each}
    told |= {"build": params.build, "weights": params.weights}
    if asked["op"] == "predict":
        inputs = asked["inputs"]["inputs"]
        asked |= {"inputs": {"inputs": _few(inputs)}, "batch": 0 if params.each else 4}
    return Released(params=told, requests={"value": asked})


def _few(inputs: Tensor | list[Value]) -> Value:
    """A few inputs of the same kind that hold nothing."""
    if isinstance(inputs, Tensor):
        return Tensor(np.zeros_like(inputs.array[:8]), inputs.dtype, inputs.origin)
    blanks = {"str": "a few words", "int": 0, "float": 0.0, "bool": False}
    return [
        _few(item) if isinstance(item, Tensor | list) else blanks.get(type(item).__name__)
        for item in inputs[:8]
    ]


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value] | None:
    """The labels; None for a measure of which nobody knows whether labels are its best.

    Raises:
        ReferenceFault: the measure raised, or gave no number.
    """
    withheld = _withheld(params, context, check_id)
    if params.measure != "accuracy":
        _measured(params, withheld.labels, withheld.labels, context)
        return None
    one_by_one = params.each or withheld.inputs is None
    labels = withheld.labels
    if one_by_one and isinstance(labels, Tensor):
        rows = [Tensor(np.asarray(row), labels.dtype, labels.origin) for row in labels.array]
        return {"value": rows}
    return {"value": labels if one_by_one else [labels]}


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Compute the measure here and read the credit off the curve."""
    looked = _looked(params, seen)
    if isinstance(looked, Finding):
        return looked
    withheld = _withheld(params, context, seen.check_id)
    if len(looked) != withheld.count:
        says = f"Expected {withheld.count} predictions, found {len(looked)}."
        return Finding(credit=0.0, says=says)
    try:
        predictions = fitted(looked, withheld.labels, scores=params.build is not None)
    except Unfit as unfit:
        return Finding(credit=0.0, says=str(unfit))
    known = _known(params, predictions, withheld, context)
    return known or _scored(params, predictions, withheld, context)


def _scored(
    params: Params, predictions: Tensor | list[str], withheld: Withheld, context: Context
) -> Finding:
    try:
        score = _measured(params, predictions, withheld.labels, context)
    except ReferenceRaised as error:
        _measured(params, withheld.labels, withheld.labels, context)
        return Finding(credit=0.0, says="The predictions cannot be measured.", detail=str(error))
    if not np.isfinite(score):
        return Finding(credit=0.0, says=f"The {params.measured} is not finite.")
    steps = sorted(params.credit)
    credit = float(np.interp(score, steps, [params.credit[step] for step in steps]))
    best = max(steps, key=lambda step: (params.credit[step], -step))
    says = f"The {params.measured} on {withheld.count} withheld inputs is {score:.4g}"
    return Finding(
        credit=credit, says=says + ("." if credit == 1 else f"; full credit from {best:g} on.")
    )


def _known(
    params: Params, predictions: Tensor | list[str], withheld: Withheld, context: Context
) -> Finding | None:
    """The first known mistake whose predicate recognises the predictions."""
    given = {"predictions": predictions, "labels": withheld.labels}
    for mistake in params.mistakes:
        try:
            known = context.reference.agrees(str(mistake.reference), given)
        except ReferenceFault:
            continue
        if known is True:
            return Finding(credit=mistake.credit, says=mistake.says)
    return None


def _withheld(params: Params, context: Context, check_id: str) -> Withheld:
    seed = context.inputs.seed(f"{check_id}/withheld") % 2**31
    return read_withheld(context.reference.call(params.data, {"seed": seed}), params.data)


def _measured(
    params: Params, predictions: Value, labels: Tensor | list[str], context: Context
) -> float:
    """The measure as a number.

    Raises:
        ReferenceFault: the course's own measure raised, or gave no number.
    """
    if params.measure == "accuracy":
        return accuracy(predictions, labels)
    given = {"predictions": predictions, "labels": labels}
    found = context.reference.call(params.measure, given)
    if isinstance(found, Tensor) and not found.shape:
        found = found.array.item()
    if not isinstance(found, int | float):
        raise ReferenceFault(f"expected {params.measure} to give a number, found {noun(found)}")
    return float(found)
