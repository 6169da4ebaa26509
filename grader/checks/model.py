"""`model`: a class is built, given the reference's weights, and compared with the reference.

What is compared can be the parameters (number, names and shapes), the outputs, and the gradients of
a loss. Beside that, what the outputs depend on can be seen from changed inputs, and layers can be
asked for. All inputs are ours, so this is an experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from grader.checks.base import Context, Released, Request, Seen
from grader.checks.function import called, exception, hidden_failure
from grader.checks.model_layers import wrong_layers
from grader.checks.model_parts import (
    is_mistake,
    unloaded,
    way,
    wrong_change,
    wrong_count,
    wrong_dropout,
    wrong_parameters,
    wrong_shapes,
    wrong_values,
)
from grader.checks.model_reply import Reply, Wrong, counting, parts_right, read_reply
from grader.checks.model_runs import Change, changes, for_training
from grader.checks.model_settings import Params, draw, problems
from grader.errors import ReferenceFault, ReferenceRaised
from grader.values import Tensor, Value
from grader.verdict import Finding

__all__ = ["TESTIMONY", "Params", "answers", "asks", "form", "judge"]
__all__ += ["problems", "release", "requests"]

TESTIMONY = False

#: What is right, in the order in which parts are looked at.
RIGHT = {
    "parameters": "parameters",
    "count": "parameter counts",
    "shapes": "output shapes",
    "outputs": "outputs",
    "gradients": "gradients",
    "has": "the layers are as asked",
    "deterministic": "evaluation is deterministic",  # what is random depends on everything
    "causal": "a later token changes no earlier output",
    "batch": "items of a batch do not mix",
    "permutes": "the outputs follow the order of the input",
    "ignores_order": "the order of the input does not matter",
    "dropout": "training uses dropout",
    "holds": "the outputs are as asked",
}
COMPARED = ("parameters", "count", "shapes", "outputs", "gradients")
#: Stages whose failure leaves nothing to judge of a part; of those that are not here, none does.
_RUN = ("load", "method", "forward")
NEEDS = {
    **dict.fromkeys(("shapes", "outputs", "holds"), _RUN),
    **dict.fromkeys(("causal", "batch", "permutes"), (*_RUN, "again")),
    **dict.fromkeys(("ignores_order", "deterministic"), (*_RUN, "again")),
    "gradients": (*_RUN, "again", "backward"),
    "dropout": (*_RUN, "again", "backward", "train"),
}


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
        "again": [change.given for change in _changes(params, inputs, context, check_id)],
        "training": for_training(params, inputs),
        "gradients": "gradients" in params.compare,
        "loss": params.loss,
        "layers": bool(params.has or params.holds),
        "seed": context.inputs.seed(f"{check_id}/seed") % 2**31,
    }
    return {"model": asked}


def _changes(
    params: Params, inputs: Sequence[dict[str, Value]], context: Context, check_id: str
) -> list[Change]:
    """The changed inputs, alike whenever they are made again."""

    def generator(purpose: str) -> np.random.Generator:
        return np.random.default_rng(context.inputs.seed(f"{check_id}/{purpose}"))

    return changes(params, inputs, generator)


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it can be built, takes the weights, and runs on the inputs."""
    reply = _read(params, seen)
    if isinstance(reply, Finding):
        return reply
    failed = _failed(params, reply, seen.args("model", "weights")) if reply.stage else None
    return Finding(credit=0.0, says=failed.says, detail=failed.detail) if failed else None


def _read(params: Params, seen: Seen) -> Reply | Finding:
    """What came out of it, or what kept it from being built."""
    nothing = hidden_failure(seen, params.of, "model")
    if nothing:
        return nothing
    reply = read_reply(seen.observations["model"].value)
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


def _known(name: str, params: Params, request: Request, context: Context) -> dict[str, Value]:
    """What a class of the reference gives, of which what counts."""
    found = context.reference.model(name, request)
    return {**found, "outputs": counting(found["outputs"], params.item)}


def _failed(params: Params, reply: Reply, weights: Mapping[str, Tensor] | None) -> Wrong:
    """Say at which stage it ended."""
    if weights and not reply.loaded:
        return unloaded(params, reply, weights)
    called_so = f"The {reply.stage} pass"
    if params.method and reply.stage == "forward":
        called_so = f"{params.of}.{params.method}"
    if reply.stage == "again":
        called_so = "The forward pass of a changed input"
    if reply.stage == "train":
        called_so = "The forward pass in training mode"
    said = f"{called_so} raised {exception(reply.raised.ename)}."
    return Wrong(says=said, detail=str(reply.raised))


def release(params: Params, context: Context, check_id: str) -> Released:
    """Arguments to build it with and inputs of the right shapes, with the shapes that come out."""
    asked = requests(params, context, f"{check_id}/public")["model"]
    found = context.reference.model(params.right, {**asked, "gradients": False, **_ONCE})
    outputs = counting(found["outputs"], params.item)
    told = {"of": params.of, "build": dict(params.build), "method": params.method}
    blank = {**asked, "weights": None, "statistics": {}, "gradients": False, **_ONCE}
    # Where the rubric renames parameters, other names than ours are right too.
    named = ("parameters" in params.compare or params.loads) and not params.rename
    shapes = found["parameters"] if named else {}
    plain = all(isinstance(output, Tensor) for output in outputs)
    return Released(
        params=told,
        requests={"model": blank},
        shapes=tuple(o.shape for o in outputs)
        if plain and not params.also and params.item is None
        else (),
        parameters={name: tuple(shape) for name, shape in shapes.items()},
    )


#: Of a request, what leaves only the asked inputs.
_ONCE: Request = {"again": [], "training": [], "layers": False}


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """The reply of a guest that examines the reference's own class."""
    found = context.reference.model(params.right, asked["model"])
    loaded = "" if asked["model"]["weights"] is None else "by name"
    return {"model": {**found, "loaded": loaded, "error": None}}


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give full credit when every part is right; else look for a known mistake.

    The reference comes first: where it cannot be differentiated, nor can a right answer.
    """
    request = {**seen.requests["model"], **_ONCE}
    rights = [params.right, *params.also] if params.compare else []
    expected = [_known(name, params, request, context) for name in rights]
    reply = _read(params, seen)
    if isinstance(reply, Finding):
        return reply
    looked = [_compared(params, reply, one, seen) for one in expected or [{}]]
    parts = min(looked, key=lambda found: len([part for part in found.values() if part]))
    parts |= _behaves(params, reply, seen, context)
    wrong = {part: said for part, said in parts.items() if said}
    if not wrong:
        return Finding(credit=1.0, says=_right(params, reply, [*parts]))
    for mistake in params.mistakes:
        if mistake.reference and _explains(mistake.reference, params, reply, request, context):
            return Finding(credit=mistake.credit, says=mistake.says)
    return _lost(params, parts, wrong)


def _compared(
    params: Params, reply: Reply, expected: dict[str, Value], seen: Seen
) -> dict[str, Wrong | None]:
    """What is compared with a reference, part by part."""
    asked = [part for part in COMPARED if part in params.compare or _banded(params, part)]
    found: dict[str, Wrong | None] = {}
    for part in asked:
        if reply.stage in NEEDS.get(part, ()):
            found[part] = _failed(params, reply, seen.args("model", "weights"))
        elif part == "parameters":
            found[part] = wrong_parameters(params, reply, expected)
        elif part == "count":
            found[part] = wrong_count(params, reply, expected)
        elif part == "shapes":
            found[part] = wrong_shapes(params, reply, expected)
        else:
            found[part] = wrong_values(part, params, reply, expected)
    return found


def _banded(params: Params, part: str) -> bool:
    return part == "count" and params.count is not None


def _behaves(params: Params, reply: Reply, seen: Seen, context: Context) -> dict[str, Wrong | None]:
    """What can be seen of the student's model alone, part by part."""
    asked = [part for part in RIGHT if part not in COMPARED and getattr(params, part)]
    inputs = seen.args("model", "inputs")
    made = _changes(params, inputs, context, seen.check_id)
    found: dict[str, Wrong | None] = {}
    for part in asked:
        if reply.stage in NEEDS.get(part, ()):
            found[part] = _failed(params, reply, seen.args("model", "weights"))
        elif part == "has":
            found[part] = wrong_layers(params.has, reply)
        elif part == "dropout":
            found[part] = wrong_dropout(reply)
        elif part == "holds":
            found[part] = _unheld(params, reply, seen, context)
        else:
            found[part] = wrong_change(part, params, reply, made)
    return found


def _unheld(params: Params, reply: Reply, seen: Seen, context: Context) -> Wrong | None:
    """What the predicate says is wrong.

    Raises:
        ReferenceFault: it raised on what the reference gives, too.
    """
    name, inputs = str(params.holds), seen.args("model", "inputs")
    shapes = {of: list(shape) for of, shape in reply.parameters.items()}
    layers: dict[Value, Value] = {
        path: {"classes": list(one.classes), "attributes": dict(one.attributes)}
        for path, one in reply.modules.items()
    }
    given = {"outputs": reply.outputs, "parameters": shapes, "count": reply.count}
    given["modules"] = layers
    if len(reply.outputs) != len(inputs):
        return Wrong(says="The outputs cannot be looked at.")
    try:
        said = context.reference.agrees(name, {**given, "inputs": inputs})
    except ReferenceRaised as error:
        own = _known(params.right, params, {**seen.requests["model"], **_ONCE}, context)
        context.reference.agrees(name, {**own, "inputs": inputs})
        return Wrong(says="The outputs are not such as can be looked at.", detail=str(error))
    if said is True:
        return None
    return Wrong(says=said or "The outputs are not as asked.")


def _right(params: Params, reply: Reply, parts: Sequence[str]) -> str:
    """Say that all parts are right."""
    compared = [RIGHT[part] for part in parts if part in COMPARED]
    if _banded(params, "count"):
        compared = [one for one in compared if one != RIGHT["count"]]
    last = " and ".join(filter(None, [", ".join(compared[:-1]), *compared[-1:]]))
    agree = [f"the {last} agree{way(reply)}"] if compared else []
    agree += ["the number of parameters is plausible"] if _banded(params, "count") else []
    said = "; ".join([*agree, *(RIGHT[part] for part in parts if part not in COMPARED)])
    return f"{said[:1].upper()}{said[1:]}."


def _lost(params: Params, parts: Mapping[str, Wrong | None], wrong: Mapping[str, Wrong]) -> Finding:
    """Name the first part that is wrong, and give what the others earn."""
    first = next(iter(wrong.values()))
    if params.credit == "all":
        return Finding(credit=0.0, says=first.says, detail=first.detail)
    earned = sum(said.share if said else 1.0 for said in parts.values())
    count = f"{parts_right(parts)} " if len(parts) > 1 else ""
    detail = " ".join(f"{part}: {said.says} {said.detail}".strip() for part, said in wrong.items())
    credit = max(0.0, earned / len(parts))
    return Finding(credit=credit, says=f"{count}{first.says}", detail=detail)


def _explains(
    mistake: str, params: Params, reply: Reply, request: Request, context: Context
) -> bool:
    """Whether a wrong model does what the student's does; one that cannot run explains nothing."""
    try:
        expected = _known(mistake, params, request, context)
    except ReferenceFault:
        return False
    return is_mistake(params, reply, expected, _known(params.right, params, request, context))
