"""What a sandbox replied about a model, read as the hostile data that it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.evidence import Observation, Raised
from grader.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A layer of the student's model."""

    classes: tuple[str, ...]
    """Names of its class and of what that is derived from."""
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the guest's `model` operation found, once it is known to have that form."""

    parameters: dict[str, tuple[int, ...]]
    """Shapes by the student's names."""
    aliases: dict[str, str]
    """Further names of theirs to those."""
    count: int
    modules: dict[str, Module]
    """Layers by path."""
    loaded: str
    """How the weights were placed; empty if they were not."""
    outputs: list[Value]
    again: list[Value]
    """Outputs for inputs that were changed."""
    training: list[Value]
    """Outputs in training mode."""
    gradients: dict[Value, Value] | None
    """By our names."""
    stage: str
    """Where it ended early, one of `STAGES`; else empty."""
    raised: Raised
    """What ended it; empty texts if nothing did."""
    on_gpu: bool = False
    """Whether the kernel that answered had a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong with one part."""

    says: str
    """For the student: nothing of a hidden input, no expected number."""
    detail: str = ""
    share: float = 0.0
    """How much of the part is right."""


def counting(results: Sequence[Value], place: int | None) -> list[Value]:
    """Of each result that is a list or tuple the item at a place, if there is one."""
    if place is None:
        return [*results]
    return [
        result[place] if isinstance(result, list | tuple) and place < len(result) else result
        for result in results
    ]


def parts_right(parts: Mapping[str, Wrong | None]) -> str:
    """Say how many parts are right, wholly or in part."""
    whole = sum(said is None for said in parts.values())
    partly = sum(said is not None and said.share > 0 for said in parts.values())
    if not partly:
        return f"{whole} of {len(parts)} parts are right."
    return f"{whole} of {len(parts)} parts are wholly right, {partly} in part."


STAGES = ("build", "load", "method", "forward", "again", "backward", "train")
WAYS = ("", "by name", "by rename", "by shape", "by order")


def read_reply(seen: Observation) -> Reply | None:
    """Read a probe's answer; None if our guest cannot have written it, but a student's code did."""
    match seen.value:
        case {
            "parameters": dict() as parameters,
            "aliases": dict() as aliases,
            "count": int() as count,
            "modules": dict() as modules,
            "loaded": str() as loaded,
            "outputs": list() as outputs,
            "again": list() as again,
            "training": list() as training,
            "gradients": (None | dict()) as gradients,
            "error": (None | dict()) as error,
        } if loaded in WAYS and _is_shape([count]):
            shapes, layers, ended = _shapes(parameters), _layers(modules), _ended(error)
        case _:
            return None
    texts = all(isinstance(text, str) for pair in aliases.items() for text in pair)
    if shapes is None or layers is None or ended is None or not texts:
        return None
    return Reply(
        parameters=shapes,
        aliases=aliases,
        count=count,
        modules=layers,
        loaded=loaded,
        outputs=outputs,
        again=again,
        training=training,
        gradients=gradients,
        stage=ended[0],
        raised=ended[1],
        on_gpu=seen.on_gpu,
    )


def _shapes(parameters: dict[Value, Value]) -> dict[str, tuple[int, ...]] | None:
    if not all(isinstance(name, str) and _is_shape(s) for name, s in parameters.items()):
        return None
    return {name: tuple(shape) for name, shape in parameters.items()}


def _layers(modules: dict[Value, Value]) -> dict[str, Module] | None:
    found = {}
    for path, layer in modules.items():
        match path, layer:
            case str(), {"classes": list() as classes, "attributes": dict() as attributes}:
                if not all(isinstance(text, str) for text in (*classes, *attributes)):
                    return None
                found[path] = Module(classes=tuple(classes), attributes=attributes)
            case _:
                return None
    return found


def _ended(error: dict[Value, Value] | None) -> tuple[str, Raised] | None:
    match error:
        case None:
            return "", Raised(ename="", evalue="")
        case {"stage": str() as stage, "ename": str() as ename, "evalue": str() as evalue}:
            if stage in STAGES:
                return stage, Raised(ename=ename, evalue=evalue)
    return None


def _is_shape(sizes: Value) -> bool:
    """Whether these are sizes of dimensions, none larger than a tensor could have."""
    return isinstance(sizes, list) and all(type(n) is int and 0 <= n < 2**63 for n in sizes)
