"""`model`: a class is built, given the reference's weights, and compared with the reference.

What is compared can be the parameters (count, names and shapes), the outputs in eval mode, and the
gradients of a fixed scalar of the outputs. All inputs are ours, so this is an experiment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.function import bad_inputs, bad_mistakes, called, exception, hidden_failure
from grader.compare import Difference, compare
from grader.errors import ReferenceFault
from grader.evidence import Raised
from grader.rubric.model import CheckParams, Identifier
from grader.values import Tensor, Value
from grader.verdict import Finding

TESTIMONY = False

Part = Literal["count", "outputs", "gradients"]


class Params(CheckParams):
    """`model: SelfAttention`."""

    of: Identifier
    reference: Identifier | None = None
    """A class of the reference; the one of the same name if left out."""
    build: dict[str, Any] = Field(default_factory=dict)
    """Arguments that the class is built with."""
    inputs: tuple[dict[str, Any], ...] = ()
    """Arguments of each forward pass, by name."""
    compare: tuple[Part, ...] = Field(default=("outputs", "gradients"), min_length=1)
    rename: dict[str, str] = Field(default_factory=dict)
    """The student's parameter names to the reference's, where they may differ."""
    rtol: Annotated[float, Field(ge=0)] = 1e-4
    atol: Annotated[float, Field(ge=0)] = 1e-5

    @property
    def right(self) -> str:
        """Name of the class that knows what is right."""
        return self.reference or self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the guest's `model` operation found, once it is known to have that form."""

    parameters: dict[str, tuple[int, ...]]
    """Shapes by the student's names."""
    count: int
    loaded: str
    """How the weights were placed; empty if they were not."""
    outputs: list[Value]
    gradients: dict[Value, Value] | None
    """By our names."""
    stage: str
    """Where it ended early: `build`, `load`, `forward` or `backward`; else empty."""
    raised: Raised
    """What ended it; empty texts if nothing did."""


def read_reply(value: Value) -> Reply | None:
    """Read a probe's answer; None if our guest cannot have written it, but a student's code did."""
    match value:
        case {
            "parameters": dict() as parameters,
            "count": int() as count,
            "loaded": ("" | "by name" | "by rename" | "by shape") as loaded,
            "outputs": list() as outputs,
            "gradients": (None | dict()) as gradients,
            "error": (None | dict()) as error,
        } if all(isinstance(k, str) and _is_shape(s) for k, s in parameters.items()):
            shapes = {name: tuple(shape) for name, shape in parameters.items()}
        case _:
            return None
    match {"stage": "", "ename": "", "evalue": ""} if error is None else error:
        case {
            "stage": ("" | "build" | "load" | "forward" | "backward") as stage,
            "ename": str() as ename,
            "evalue": str() as evalue,
        } if _is_shape([count]):
            return Reply(
                parameters=shapes,
                count=count,
                loaded=loaded,
                outputs=outputs,
                gradients=gradients,
                stage=stage,
                raised=Raised(ename=ename, evalue=evalue),
            )
    return None


def _is_shape(sizes: Value) -> bool:
    """Whether these are sizes of dimensions, none larger than a tensor could have."""
    return isinstance(sizes, list) and all(type(n) is int and 0 <= n < 2**63 for n in sizes)


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a class {called(params.of, params.build)}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, inputs that nothing can draw, nothing to compare."""
    yield from no_name(params.right, context, ("reference",) if params.reference else ("model",))
    yield from bad_mistakes(params, context)
    for number, one in enumerate(params.inputs):
        yield from bad_inputs(one, ("inputs", number))
    if not params.inputs and set(params.compare) != {"count"}:
        yield ("inputs",), "expected inputs, without which outputs cannot be compared"


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Build the class, load weights drawn in the reference's shapes, run it on the inputs."""
    inputs = [
        context.inputs.case(written, f"{check_id}/input{number}")
        for number, written in enumerate(params.inputs)
    ]
    asked: Request = {
        "op": "model",
        "name": params.of,
        "build": dict(params.build),
        "weights": _weights(params, context, check_id) if inputs else None,
        "rename": dict(params.rename),
        "inputs": inputs,
        "gradients": "gradients" in params.compare,
        "seed": context.inputs.seed(f"{check_id}/seed") % 2**31,
    }
    return {"model": asked}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it can be built, takes the weights, and runs on the inputs."""
    looked = _looked(params, seen)
    return looked if isinstance(looked, Finding) else None


def _looked(params: Params, seen: Seen) -> Reply | Finding:
    """What came out of it, or what kept that from being."""
    nothing = hidden_failure(seen, params.of, "model")
    if nothing:
        return nothing
    reply = read_reply(seen.observations["model"].value)
    if reply is None:
        return Finding(credit=0.0, says="The model's reply makes no sense.")
    raised, told = exception(reply.raised.ename), str(reply.raised)
    if reply.stage == "build":
        says = f"{called(params.of, params.build)} raised {raised}."
        return Finding(credit=0.0, says=says, detail=told, answered=False)
    weights = seen.args("model", "weights")
    if weights and not reply.loaded:
        return Finding(credit=0.0, says=_unloaded(params, reply, weights), detail=told)
    if reply.stage:
        return Finding(credit=0.0, says=f"The {reply.stage} pass raised {raised}.", detail=told)
    return reply


def release(params: Params, context: Context, check_id: str) -> Released:
    """Arguments to build it with and inputs of the right shapes, with the shapes that come out."""
    asked = requests(params, context, f"{check_id}/public")["model"]
    shapes: list[tuple[int, ...]] = []
    weights = asked["weights"] or {}
    if asked["inputs"]:
        made = context.reference.model(
            params.right, params.build, weights, asked["inputs"], gradients=False
        )
        shapes = [tuple(output.shape) for output in made["outputs"] if isinstance(output, Tensor)]
    told = {"of": params.of, "build": dict(params.build)}
    blank = {**asked, "weights": None, "gradients": False}
    # Where the rubric renames parameters, other names than ours are right too.
    asks = {} if params.rename else {name: tuple(w.shape) for name, w in weights.items()}
    return Released(params=told, requests={"model": blank}, shapes=tuple(shapes), parameters=asks)


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give full credit when all that is compared agrees; else look for a known mistake.

    The reference comes first: where it cannot be differentiated, nor can a right answer.
    """
    expected = _expected(params, params.right, seen, context)
    reply = _looked(params, seen)
    if isinstance(reply, Finding):
        return reply
    found = _first_difference(params, reply, expected)
    loaded = f" (weights loaded {reply.loaded})" if reply.loaded not in ("", "by name") else ""
    if found is None:
        return Finding(credit=1.0, says=f"The {_listed(params.compare)} agree{loaded}.")
    for mistake in params.mistakes:
        if mistake.reference and _is_mistake(params, mistake.reference, reply, seen, context):
            return Finding(credit=mistake.credit, says=mistake.says)
    part, difference = found
    told = difference.relation or difference.summary
    mute = _tells(reply.outputs, expected["outputs"]) or _tells(
        reply.gradients, expected["gradients"]
    )
    says = f"The {part} differ{loaded}" + ("." if mute else f": {told}.")
    return Finding(credit=0.0, says=says, detail=f"{difference.summary}. {difference.detail}")


def _weights(params: Params, context: Context, check_id: str) -> dict[str, Value]:
    seed = context.inputs.seed(f"{check_id}/weights") % 2**31
    return dict(context.reference.weights(params.right, params.build, seed))


def _expected(params: Params, name: str, seen: Seen, context: Context) -> dict[str, Value]:
    weights = seen.args("model", "weights") or {}
    asked = seen.args("model", "gradients")
    inputs = seen.args("model", "inputs")
    return context.reference.model(name, params.build, weights, inputs, gradients=asked)


def _first_difference(
    params: Params, reply: Reply, expected: dict[str, Value]
) -> tuple[str, Difference] | None:
    if "count" in params.compare and reply.count != expected["count"]:
        summary = f"{reply.count:,} parameters"
        said = Difference(summary=summary, detail=f"Expected {expected['count']:,}")
        return "parameter counts", said
    for part, value in (("outputs", reply.outputs), ("gradients", reply.gradients)):
        if part not in params.compare:
            continue
        found = compare(value, expected[part], rtol=params.rtol, atol=params.atol)
        if found:
            return part, found
    return None


def _is_mistake(params: Params, name: str, reply: Reply, seen: Seen, context: Context) -> bool:
    """Whether a wrong model gives the student's outputs; one that cannot run explains nothing.

    A wrong model may give NaN (a softmax over nothing), and then explains NaN at the same places;
    but not if it gives nothing else.
    """
    try:
        expected = _expected(params, name, seen, context)
    except ReferenceFault:
        return False
    if not params.inputs:
        return bool(reply.count == expected["count"])
    outputs = expected["outputs"]
    found = compare(reply.outputs, outputs, rtol=params.rtol, atol=params.atol, equal_nan=True)
    return found is None and _holds_number(outputs)


def _holds_number(value: Value) -> bool:
    """Whether there is any number in a value that is finite."""
    match value:
        case Tensor():
            return bool(np.isfinite(value.array).any())
        case list() | tuple():
            return any(map(_holds_number, value))
        case dict():
            return any(map(_holds_number, value.values()))
    return isinstance(value, int | float | complex) and bool(np.isfinite(value))


def _unloaded(params: Params, reply: Reply, weights: Mapping[str, Tensor]) -> str:
    """Say which of our parameters found no place; the student's own names stay with the staff."""
    theirs = reply.parameters | {
        _renamed(name, params.rename): shape for name, shape in reply.parameters.items()
    }
    for name, weight in weights.items():
        if theirs.get(name) != weight.shape:
            seen = f"shape {theirs[name]}" if name in theirs else "none of it"
            expected = f"expected a parameter {name} of shape {weight.shape}, found {seen}"
            return f"The weights do not fit: {expected}."
    return "The weights do not fit."


def _renamed(name: str, rename: Mapping[str, str]) -> str:
    """Our name for theirs, by the guest's rule: the longest renamed name that it is or is below."""
    for prefix in sorted(rename, key=len, reverse=True):
        if name == prefix or name.startswith(prefix + "."):
            return rename[prefix] + name[len(prefix) :]
    return name


def _tells(seen: Value, expected: Value) -> bool:
    """Whether a value holds text of the student's, which could tell what they were given."""
    match seen, expected:
        case dict(), dict():
            return any(key not in expected or _tells(seen[key], expected[key]) for key in seen)
        case ((list() | tuple()), (list() | tuple())):
            pairs = zip_longest(seen, expected[: len(seen)])
            return any(_tells(one, other) for one, other in pairs)
    return not isinstance(seen, Tensor | bool | int | float | None)


def _listed(parts: tuple[str, ...]) -> str:
    return " and ".join(part if part != "count" else "parameter counts" for part in parts)
