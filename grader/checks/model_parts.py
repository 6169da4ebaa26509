"""What may be wrong with a model, part by part, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from grader.checks.model_reply import Reply, Wrong
from grader.checks.model_runs import Change
from grader.checks.model_settings import Params, Rename
from grader.compare import compare, holds_finite
from grader.compare.words import count, noun
from grader.values import Opaque, Tensor, Value

_MOST_NAMES = 12


def wrong_parameters(params: Params, reply: Reply, expected: Mapping[str, Value]) -> Wrong | None:
    """Whether there are the reference's parameters, in their shapes, and no others."""
    ours = {name: tuple(shape) for name, shape in expected["parameters"].items()}
    named = [_named(reply, rename) for rename in ({}, *params.renames)]
    theirs = max(named, key=lambda names: sum(names.get(n) == s for n, s in ours.items()))
    missing = [name for name, shape in ours.items() if theirs.get(name) != shape]
    known = {*_by_our_names(reply, params.renames, ours).values()}
    extra = [name for name in reply.parameters if name not in known]
    if not missing and not extra:
        return None
    share = 1 - (len(missing) + len(extra)) / (len(ours) + len(extra))
    first = lacks(missing[0], ours[missing[0]], theirs) if missing else ""
    says = first or f"expected {len(ours)} of them, found {len(reply.parameters)}"
    detail = f"Found {_written(reply.parameters)}."
    return Wrong(says=f"The parameters differ: {says}.", detail=detail, share=share)


def _by_our_names(reply: Reply, renames: Sequence[Rename], ours: Collection[str]) -> dict[str, str]:
    """The student's own name for each parameter of ours that they have, the first that fits."""
    found: dict[str, str] = {}
    for name in (*reply.parameters, *reply.aliases):
        for our in (name, *(renamed(name, rename) for rename in renames)):
            if our in ours:
                found.setdefault(our, reply.aliases.get(name, name))
    return found


def lacks(our: str, shape: tuple[int, ...], theirs: Mapping[str, tuple[int, ...]]) -> str:
    """Say that a parameter is not there, or of another shape."""
    seen = f"shape {theirs[our]}" if our in theirs else "none of it"
    return f"expected a parameter {our} of shape {shape}, found {seen}"


def unloaded(params: Params, reply: Reply, weights: Mapping[str, Tensor]) -> Wrong:
    """Say which of our parameters found no place; the student's own names stay with the staff."""
    named = [_named(reply, rename) for rename in ({}, *params.renames)]
    theirs = max(named, key=lambda names: sum(names.get(n) == w.shape for n, w in weights.items()))
    missing = [name for name, weight in weights.items() if theirs.get(name) != weight.shape]
    says = "The weights do not fit"
    if missing:
        says += f": {lacks(missing[0], weights[missing[0]].shape, theirs)}"
    if len(missing) > 1:
        more = ", ..." if len(weights) > _MOST_NAMES else ""
        says += f". The names asked for are {', '.join([*weights][:_MOST_NAMES])}{more}"
    return Wrong(says=f"{says}.", detail=f"{reply.raised}. Found {_written(reply.parameters)}.")


def _named(reply: Reply, rename: Rename) -> dict[str, tuple[int, ...]]:
    """Shapes of the student's parameters, under all their names and what these are renamed to."""
    shapes = reply.parameters | {
        name: reply.parameters[of] for name, of in reply.aliases.items() if of in reply.parameters
    }
    return shapes | {renamed(name, rename): shape for name, shape in shapes.items()}


def renamed(name: str, rename: Mapping[str, str]) -> str:
    """Our name for theirs, by the guest's rule: the longest renamed name that it is or is below."""
    for prefix in sorted(rename, key=len, reverse=True):
        if name == prefix or name.startswith(prefix + "."):
            return rename[prefix] + name[len(prefix) :]
    return name


def _written(shapes: Mapping[str, tuple[int, ...]]) -> str:
    shown = [f"{name} {shape}" for name, shape in shapes.items()][:_MOST_NAMES]
    return ", ".join([*shown, "..."] if len(shapes) > len(shown) else shown) or "no parameters"


def wrong_count(params: Params, reply: Reply, expected: Mapping[str, Value]) -> Wrong | None:
    """Whether there are as many parameters as the reference has, or as are plausible."""
    band, seen = params.count, f"{reply.count:,} parameters"
    if band is None:
        if reply.count == expected["count"]:
            return None
        detail = f"{seen}. Expected {expected['count']:,}"
        return Wrong(says=f"The parameter counts differ: {seen}.", detail=detail)
    low = band.at_least is not None and reply.count < band.at_least
    if not low and (band.at_most is None or reply.count <= band.at_most):
        return None
    detail = f"Expected at least {band.at_least} and at most {band.at_most}."
    said = f"The model has {seen}, {'fewer' if low else 'more'} than is plausible."
    return Wrong(says=said, detail=detail)


def wrong_shapes(params: Params, reply: Reply, expected: Mapping[str, Value]) -> Wrong | None:
    """Whether the outputs have the structure and shapes of the reference's."""
    pairs = zip_longest(reply.outputs, expected["outputs"])
    found = next((said for one, other in pairs if (said := _misshapen(one, other))), "")
    return Wrong(says=f"The output shapes differ: {found}.") if found else None


def _misshapen(seen: Value, expected: Value) -> str:
    """How the shapes in a value differ; empty if they do not."""
    match seen, expected:
        case (Tensor(), Tensor()):
            same = seen.shape == expected.shape
        case ((list() | tuple()), (list() | tuple())) if len(seen) == len(expected):
            pairs = zip(seen, expected, strict=True)
            return next((said for one, other in pairs if (said := _misshapen(one, other))), "")
        case (dict(), dict()) if seen.keys() == expected.keys():
            shapes = (_misshapen(seen[name], expected[name]) for name in expected)
            return next(filter(None, shapes), "")
        case (dict(), dict()):
            return "a dict has other keys than asked"
        case _:
            same = _is_number(seen) if _is_number(expected) else type(seen) is type(expected)
            same = same and not isinstance(seen, list | tuple | dict)
    return "" if same else f"expected {_kind(expected)}, found {_kind(seen)}"


def _kind(value: Value) -> str:
    """The kind of a value; no name or key of the student's, which could tell an input."""
    match value:
        case Opaque():
            return "an object"
        case list() | tuple() | dict():
            return f"{noun(value)} of {count(len(value), 'item')}"
    return noun(value)


def _is_number(value: Value) -> bool:
    """Whether this is one number, in a tensor or not."""
    return isinstance(value, bool | int | float) or (isinstance(value, Tensor) and not value.shape)


def wrong_values(
    part: str, params: Params, reply: Reply, expected: Mapping[str, Value]
) -> Wrong | None:
    """How outputs or gradients differ from the reference's."""
    seen, right = getattr(reply, part), expected[part]
    if part == "outputs" and len(seen) == len(right) == 1:  # no dimension of its own for one input
        (seen,), (right,) = seen, right
    found = compare(seen, right, rtol=params.rtol, atol=params.atol, on_gpu=reply.on_gpu)
    if found is None:
        return None
    told = found.relation or found.summary
    if tells(seen, right):
        told = _misshapen(seen, right)
    says = f"The {part} differ{way(reply)}" + (f": {told}." if told else ".")
    return Wrong(says=says, detail=f"{found.summary}. {found.detail}")


def way(reply: Reply) -> str:
    """How the weights were loaded, where that was not by name."""
    if reply.loaded in ("", "by name"):
        return ""
    if reply.loaded == "by order":
        return " (weights loaded by order and shape, for the names are not those asked for)"
    return f" (weights loaded {reply.loaded})"


def tells(seen: Value, expected: Value) -> bool:
    """Whether a value holds text of the student's, which could tell what they were given."""
    match seen, expected:
        case dict(), dict():
            return any(key not in expected or tells(seen[key], expected[key]) for key in seen)
        case ((list() | tuple()), (list() | tuple())):
            pairs = zip_longest(seen, expected[: len(seen)])
            return any(tells(one, other) for one, other in pairs)
    return not isinstance(seen, Tensor | bool | int | float | None)


SAYS = {
    "causal": "Changing a later token changes an earlier output.",
    "batch": "The output for one item depends on the others of its batch.",
    "permutes": "When {permutes} is put in another order, the outputs do not follow it.",
    "ignores_order": "When {ignores_order} is put in another order, the outputs change.",
    "deterministic": "In evaluation mode the same input gives different outputs.",
    "dropout": "In training mode the same input always gives the same output: is there dropout?",
}
_LONG = {
    "batch": "No output has an item for each of the batch.",
    "causal": "No output has a place for each token.",
    "permutes": "No output has a place for each token.",
}


def wrong_change(part: str, params: Params, reply: Reply, made: Sequence[Change]) -> Wrong | None:
    """Whether the outputs for changed inputs depart from the others where they must not."""
    for number, change in enumerate(made):
        if change.part != part:
            continue
        base, changed = _at(reply.outputs, change.base), _at(reply.again, number)
        pairs = list(_pairs(change, base, changed))
        if not pairs or base is None:
            return Wrong(says=_LONG.get(part, "The outputs cannot be compared."))
        for seen, kept in pairs:
            found = compare(seen, kept, rtol=params.rtol, atol=params.atol, on_gpu=reply.on_gpu)
            if found:
                detail = f"Input {change.base + 1}, changed at {change.at}: {found.summary}. "
                says = SAYS[part].format(**params.model_dump(include={part}))
                return Wrong(says=says, detail=detail + found.detail)
    return None


def _pairs(change: Change, base: Value, changed: Value) -> Iterator[tuple[Value, Value]]:
    """What must be equal: parts of the outputs for a changed input, and for its base."""
    if change.part in ("ignores_order", "deterministic"):
        yield changed, base
        return
    for one, other in zip_longest(_tensors(base), _tensors(changed)):
        if one is None or other is None or one.shape != other.shape:
            yield changed, base  # of another form: their difference says how
        elif change.part == "batch" and one.shape[:1] == (change.items,):
            yield _cut(other, np.s_[change.at]), _cut(one, np.s_[change.at])
        elif change.part == "causal" and one.shape[1:2] == (change.places,):
            yield _cut(other, np.s_[:, : change.at]), _cut(one, np.s_[:, : change.at])
        elif change.part == "permutes" and one.shape[1:2] == (change.places,):
            yield other, _cut(one, np.s_[:, list(change.order)])


def _cut(tensor: Tensor, where: Any) -> Tensor:
    return Tensor(tensor.array[where], tensor.dtype, tensor.origin)


def _tensors(value: Value) -> Iterator[Tensor]:
    """Tensors of a value, in order, that have an item for each input."""
    match value:
        case Tensor() if value.shape:
            yield value
        case list() | tuple():
            for item in value:
                yield from _tensors(item)
        case dict():
            for item in value.values():
                yield from _tensors(item)


def _at(outputs: Sequence[Value], number: int) -> Value:
    return outputs[number] if number < len(outputs) else None


def wrong_dropout(reply: Reply) -> Wrong | None:
    """Whether all passes in training mode gave the same."""
    first, *others = reply.training or [None]
    if any(compare(other, first, rtol=0, atol=0) for other in others):
        return None
    return Wrong(says=SAYS["dropout"])


def is_mistake(
    params: Params, reply: Reply, mistake: Mapping[str, Value], right: Mapping[str, Value]
) -> bool:
    """Whether a wrong model gives what the student's gives.

    A wrong model may give NaN (a softmax over nothing), and then explains NaN at the same places;
    but not if it gives nothing else. What is no output tells a mistake only where it is not right.
    """
    if params.inputs and {"outputs", "gradients"} & {*params.compare}:
        outputs = mistake["outputs"]
        found = compare(
            reply.outputs,
            outputs,
            rtol=params.rtol,
            atol=params.atol,
            equal_nan=True,
            on_gpu=reply.on_gpu,
        )
        return found is None and holds_finite(outputs)
    differs = wrong_shapes
    if "parameters" in params.compare:
        differs = wrong_parameters
    elif "count" in params.compare and params.count is None:
        differs = wrong_count
    return differs(params, reply, mistake) is None and differs(params, reply, right) is not None
