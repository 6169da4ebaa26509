"""`model`: a class is built, given the reference's weights, and compared with the reference.

What is compared can be the parameters (count, names and shapes), the outputs in eval mode, and the
gradients of a fixed scalar of the outputs. All inputs are ours, so this is an experiment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.function import bad_inputs, called
from grader.compare import Difference, compare
from grader.errors import ReferenceFault
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
    compare: tuple[Part, ...] = ("outputs", "gradients")
    rename: dict[str, str] = Field(default_factory=dict)
    """The student's parameter names to the reference's, where they may differ."""
    rtol: Annotated[float, Field(ge=0)] = 1e-4
    atol: Annotated[float, Field(ge=0)] = 1e-5

    @property
    def right(self) -> str:
        """Name of the class that knows what is right."""
        return self.reference or self.of


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a class {called(params.of, params.build)}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, inputs that nothing can draw, nothing to compare."""
    yield from no_name(params.right, context, ("reference",) if params.reference else ("model",))
    for number, mistake in enumerate(params.mistakes):
        place = ("mistakes", number, "reference")
        if mistake.reference is None:
            yield place, "expected the name of a wrong model in the reference, found nothing"
        yield from no_name(mistake.reference, context, place)
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
    nothing = seen.unanswered(params.of, "model")
    if nothing:
        return nothing
    value = seen.observations["model"].value
    error = value.get("error")
    if error and error["stage"] == "build":
        says = f"{called(params.of, params.build)} raised {error['ename']}: {error['evalue']}."
        return Finding(credit=0.0, says=says, answered=False)
    if seen.args("model", "weights") and not value.get("loaded"):
        return Finding(credit=0.0, says=_unloaded(params, value, seen))
    if error:
        says = f"The {error['stage']} pass raised {error['ename']}."
        return Finding(credit=0.0, says=says, detail=str(error["evalue"]))
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """Arguments to build it with and inputs of the right shapes, with the shapes that come out."""
    asked = requests(params, context, f"{check_id}/public")["model"]
    shapes: list[tuple[int, ...]] = []
    if asked["inputs"]:
        weights = asked["weights"]
        made = context.reference.model(params.right, params.build, weights, asked["inputs"])
        shapes = [tuple(output.shape) for output in made["outputs"] if isinstance(output, Tensor)]
    told = {"of": params.of, "build": dict(params.build)}
    blank = {**asked, "weights": None, "gradients": False}
    return Released(params=told, requests={"model": blank}, shapes=tuple(shapes))


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give full credit when all that is compared agrees; else look for a known mistake."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    value = seen.observations["model"].value
    found = _first_difference(params, params.right, value, seen, context)
    loaded = (
        f" (weights loaded {value['loaded']})" if value["loaded"] not in ("", "by name") else ""
    )
    if found is None:
        return Finding(credit=1.0, says=f"The {_listed(params.compare)} agree{loaded}.")
    for mistake in params.mistakes:
        if mistake.reference and _is_mistake(params, mistake.reference, value, seen, context):
            return Finding(credit=mistake.credit, says=mistake.says)
    part, difference = found
    says = f"The {part} differ{loaded}: {difference.relation or difference.summary}."
    return Finding(credit=0.0, says=says, detail=f"{difference.summary}. {difference.detail}")


def _weights(params: Params, context: Context, check_id: str) -> dict[str, Value]:
    seed = context.inputs.seed(f"{check_id}/weights") % 2**31
    return dict(context.reference.weights(params.right, params.build, seed))


def _expected(params: Params, name: str, seen: Seen, context: Context) -> dict[str, Value]:
    weights = seen.args("model", "weights") or {}
    return context.reference.model(name, params.build, weights, seen.args("model", "inputs"))


def _first_difference(
    params: Params, name: str, value: dict[str, Value], seen: Seen, context: Context
) -> tuple[str, Difference] | None:
    expected = _expected(params, name, seen, context)
    if "count" in params.compare and value["count"] != expected["count"]:
        summary = f"{value['count']:,} parameters"
        said = Difference(summary=summary, detail=f"Expected {expected['count']:,}")
        return "parameter counts", said
    for part in ("outputs", "gradients"):
        if part not in params.compare:
            continue
        found = compare(value[part], expected[part], rtol=params.rtol, atol=params.atol)
        if found:
            return part, found
    return None


def _is_mistake(
    params: Params, name: str, value: dict[str, Value], seen: Seen, context: Context
) -> bool:
    """Whether a wrong model gives the student's outputs; one that cannot run explains nothing."""
    try:
        expected = _expected(params, name, seen, context)
    except ReferenceFault:
        return False
    if not params.inputs:
        return bool(value["count"] == expected["count"])
    return (
        compare(value["outputs"], expected["outputs"], rtol=params.rtol, atol=params.atol) is None
    )


def _unloaded(params: Params, value: dict[str, Value], seen: Seen) -> str:
    wanted = seen.args("model", "weights")
    theirs = {name: tuple(shape) for name, shape in value["parameters"].items()}
    for name in value["unloaded"]:
        expected = f"expected a parameter {name} of shape {wanted[name].shape}"
        if name in theirs:
            return f"The weights do not fit: {expected}, found shape {theirs[name]}."
        return f"The weights do not fit: {expected}, found {', '.join(theirs) or 'no parameters'}."
    return "The weights do not fit."


def _listed(parts: tuple[str, ...]) -> str:
    return " and ".join(part if part != "count" else "parameter counts" for part in parts)
