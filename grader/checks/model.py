"""`model`: a class is built, given the reference's weights, and compared with the reference.

What is compared can be the parameters (number, names and shapes), the outputs, and the gradients of
a loss. Beside that, what the outputs depend on can be seen from changed inputs, and layers can be
asked for. All inputs are ours, so this is an experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from grader.checks.base import Context, Released, Request, Seen
from grader.checks.blanks import blank, is_literal
from grader.checks.function import called, exception, hidden_failure
from grader.checks.model_judging import ONCE, changed, concluded, failed, known
from grader.checks.model_reply import Reply, counting, read_reply
from grader.checks.model_runs import for_training
from grader.checks.model_settings import Params, draw, problems
from grader.errors import ReferenceRaised
from grader.values import Tensor, Value
from grader.verdict import Finding, Pending

__all__ = ["Params", "answers", "asks", "form", "judge"]
__all__ += ["problems", "release", "requests", "testimony"]


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Never: it is built and run on inputs of ours."""
    return False


def asks(params: Params) -> str:
    """What the student must define."""
    said = f"a class {called(params.of, params.build)}"
    return f"{said} with a method {params.method}" if params.method else said


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Build the class, load weights drawn in the reference's shapes, run it on the inputs."""
    inputs = [
        context.case(written, f"{check_id}/input{number}")
        for number, written in enumerate(params.inputs)
    ]
    weights, statistics = draw(params, context, check_id) if params.loads else (None, {})
    asked: Request = {
        "op": "model",
        "name": params.of,
        "build": context.case(params.build, f"{check_id}/build"),
        "weights": weights,
        "statistics": statistics,
        "rename": [dict(rename) for rename in params.renames],
        "shake": params.shake,
        "method": params.method or "",
        "mode": params.mode,
        "inputs": inputs,
        "again": [change.given for change in changed(params, inputs, context, check_id)],
        "training": for_training(params, inputs),
        "gradients": "gradients" in params.compare,
        "loss": params.loss,
        "layers": bool(params.has or params.holds),
        "seed": context.inputs.seed(f"{check_id}/seed") % 2**31,
    }
    return {"model": asked}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it can be built, takes the weights, and runs on the inputs."""
    reply = _read(params, seen)
    if isinstance(reply, Finding):
        return reply
    if not reply.stage:
        return None
    wrong = failed(params, reply, seen.args("model", "weights"))
    return Finding(credit=0.0, says=wrong.says, detail=wrong.detail)


def _read(params: Params, seen: Seen) -> Reply | Finding:
    """What came out of it, or what kept it from being built."""
    nothing = hidden_failure(seen, params.of, "model")
    if nothing:
        return nothing
    reply = read_reply(seen.observations["model"])
    if reply is None:
        return Finding(credit=0.0, says="The model's reply makes no sense.")
    if reply.stage == "build":
        says = f"{called(params.of, params.build)} raised {exception(reply.raised.ename)}."
        return Finding(credit=0.0, says=says, detail=str(reply.raised), answered=False)
    if reply.stage == "method":
        says = f"{params.of} has no method {params.method or 'forward'}."
        return Finding(credit=0.0, says=says, answered=False)
    return replace(
        reply,
        outputs=counting(reply.outputs, params.item),
        again=counting(reply.again, params.item),
        training=counting(reply.training, params.item),
    )


def release(params: Params, context: Context, check_id: str) -> Released:
    """Arguments to build it with and inputs of the right shapes, with the shapes that come out."""
    asked = requests(params, context, f"{check_id}/public")["model"]
    asked |= {"gradients": False, **ONCE}
    inputs, found = _shown(params, asked, context)
    outputs = counting(found["outputs"], params.item)
    told = {"of": params.of, "build": dict(params.build), "method": params.method}
    # Where the rubric renames parameters, other names than ours are right too.
    named = ("parameters" in params.compare or params.loads) and not params.rename
    shapes = found["parameters"] if named else {}
    plain = all(isinstance(output, Tensor) for output in outputs)
    return Released(
        params=told,
        requests={"model": {**asked, "inputs": inputs, "weights": None, "statistics": {}}},
        shapes=tuple(o.shape for o in outputs)
        if plain and not params.also and params.item is None
        else (),
        parameters={name: tuple(shape) for name, shape in shapes.items()},
    )


def _shown(
    params: Params, asked: Request, context: Context
) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """Inputs that tell nothing of the hidden ones, and what the reference gives for them.

    What is drawn is drawn anew. What is written out is blank: zeros, or ones where the reference
    cannot take zeros (as lengths, say); or nothing is run.
    """
    for number in (0, 1):
        inputs = [
            {n: blank(one, number) if is_literal(written[n]) else one for n, one in drawn.items()}
            for written, drawn in zip(params.inputs, asked["inputs"], strict=True)
        ]
        try:
            return inputs, context.reference.model(params.right, {**asked, "inputs": inputs})
        except ReferenceRaised:
            continue
    return [], context.reference.model(params.right, {**asked, "inputs": []})


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """The reply of a guest that examines the reference's own class."""
    found = context.reference.model(params.right, asked["model"])
    loaded = "" if asked["model"]["weights"] is None else "by name"
    return {"model": {**found, "loaded": loaded, "error": None}}


def judge(params: Params, seen: Seen, context: Context) -> Finding | Pending:
    """Give full credit when every part is right; else look for a known mistake.

    The reference comes first: where it cannot be differentiated, nor can a right answer. Where
    weights may have been swapped (`model_order.py`), the order that earns most counts.
    """
    request = {**seen.requests["model"], **ONCE}
    for name in [params.right, *params.also] if params.compare else []:
        known(name, params, request, context)
    reply = _read(params, seen)
    if isinstance(reply, Finding):
        return reply
    return concluded(params, reply, seen, context)
