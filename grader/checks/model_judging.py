"""What is concluded from all that a model showed, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grader.checks.base import Context, Request, Seen
from grader.checks.function import exception
from grader.checks.model_layers import wrong_layers
from grader.checks.model_order import Order, asked_in, orders, told_in
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
from grader.checks.model_reply import Reply, Wrong, counting, parts_right
from grader.checks.model_runs import Change, changes
from grader.checks.model_settings import Params
from grader.errors import ReferenceFault, ReferenceRaised
from grader.values import Tensor, Value
from grader.verdict import Finding, Pending

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

#: Of a request, what leaves only the asked inputs.
ONCE: Request = {"again": [], "training": [], "layers": False}


def changed(
    params: Params, inputs: Sequence[dict[str, Value]], context: Context, check_id: str
) -> list[Change]:
    """The changed inputs, alike whenever they are made again."""

    def generator(purpose: str) -> np.random.Generator:
        return np.random.default_rng(context.inputs.seed(f"{check_id}/{purpose}"))

    return changes(params, inputs, generator)


def known(name: str, params: Params, request: Request, context: Context) -> dict[str, Value]:
    """What a class of the reference gives, of which what counts."""
    found = context.reference.model(name, request)
    return {**found, "outputs": counting(found["outputs"], params.item)}


def failed(params: Params, reply: Reply, weights: Mapping[str, Tensor] | None) -> Wrong:
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


def concluded(params: Params, reply: Reply, seen: Seen, context: Context) -> Finding | Pending:
    """Conclude from a reply; where weights may have been swapped, the best order counts.

    Raises:
        ReferenceFault: the reference failed.
    """
    weights = seen.args("model", "weights")
    behaves = _behaves(params, reply, seen, context)
    found = orders(reply, weights)
    judged = []
    for order in found.tried:
        one = _judged(params, reply, behaves, order, seen, context)
        judged.append(one)
        if one.finding.credit == 1 or not one.unsure:
            break
    best = max(judged, key=lambda one: (one.finding.credit == 1, one.known, one.finding.credit))
    tells = found.all and not (params.weights and found.ambiguous)
    if tells or best.known or not best.unsure:
        return best.finding
    told = best.finding
    return Pending(reason=UNPLACED, detail=f"In the likeliest order: {told.says} {told.detail}")


UNPLACED = (
    "The weights fit in more than one order, for the names are not those asked for: a person looks."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What is concluded if the student's layers have one order."""

    finding: Finding
    known: bool
    """Whether it is a known mistake."""
    unsure: bool
    """Whether another order could earn more."""


def _judged(
    params: Params,
    reply: Reply,
    behaves: Mapping[str, Wrong | None],
    order: Order,
    seen: Seen,
    context: Context,
) -> _Judged:
    """Conclude from all parts, with what the reference gives in one order of its layers."""
    request = asked_in({**seen.requests["model"], **ONCE}, order)
    rights = [params.right, *params.also] if params.compare else []
    expected = [told_in(known(name, params, request, context), order) for name in rights]
    looked = [_compared(params, reply, one, seen) for one in expected or [{}]]
    parts = min(looked, key=lambda found: len([part for part in found.values() if part]))
    parts |= behaves
    wrong = {part: said for part, said in parts.items() if said}
    if not wrong:
        finding = Finding(credit=1.0, says=_right(params, reply, [*parts]))
        return _Judged(finding=finding, known=False, unsure=False)
    unsure = bool(_by_order(params, reply, wrong))
    for mistake in params.mistakes:
        if mistake.reference and _explains(mistake.reference, params, reply, request, context):
            finding = Finding(credit=mistake.credit, says=mistake.says)
            return _Judged(finding=finding, known=True, unsure=unsure)
    if params.credit == "all" and not params.mistakes:
        unsure = len(_by_order(params, reply, wrong)) == len(wrong)
    return _Judged(finding=_lost(params, parts, wrong), known=False, unsure=unsure)


def _by_order(params: Params, reply: Reply, wrong: Mapping[str, Wrong]) -> set[str]:
    """Parts that may be wrong only because weights were placed in another order.

    What a model depends on is the same under all weights, but not where the rubric sets some.
    """
    parts = {*NEEDS} - {"shapes"} if params.weights else {"outputs", "gradients"}
    return {part for part in parts & {*wrong} if reply.stage not in NEEDS[part]}


def _compared(
    params: Params, reply: Reply, expected: dict[str, Value], seen: Seen
) -> dict[str, Wrong | None]:
    """What is compared with a reference, part by part."""
    asked = [part for part in COMPARED if part in params.compare or _banded(params, part)]
    found: dict[str, Wrong | None] = {}
    for part in asked:
        if reply.stage in NEEDS.get(part, ()):
            found[part] = failed(params, reply, seen.args("model", "weights"))
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
    made = changed(params, inputs, context, seen.check_id)
    found: dict[str, Wrong | None] = {}
    for part in asked:
        if reply.stage in NEEDS.get(part, ()):
            found[part] = failed(params, reply, seen.args("model", "weights"))
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
        own = known(params.right, params, {**seen.requests["model"], **ONCE}, context)
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
        expected = known(mistake, params, request, context)
    except ReferenceFault:
        return False
    return is_mistake(params, reply, expected, known(params.right, params, request, context))
