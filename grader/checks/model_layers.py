"""Layers that a rubric asks for, and those that a student's model has."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from grader.checks.model_reply import Reply, Wrong
from grader.values import Value

_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as the rubric asks for it: a class, and attributes that it must have."""

    kind: str
    attributes: Mapping[str, Value]


#: Beyond this, no attribute of a layer is a number that a rubric asks for.
LARGEST = 1e300


def parse_layer(written: str) -> Layer:
    """Read `Linear`, `nn.Linear` or `BatchNorm1d(momentum=0.01)`.

    Raises:
        ValueError: it is something else.
    """
    try:
        node = ast.parse(written.strip(), mode="eval").body
        call = node if isinstance(node, ast.Call) and not node.args else None
        kind = call.func if call else node
        words = call.keywords if call else []
        attributes = {str(word.arg): ast.literal_eval(word.value) for word in words if word.arg}
    except (SyntaxError, ValueError):
        kind, attributes, words = None, {}, []
    match kind:
        case ast.Name(id=name) | ast.Attribute(attr=name) if len(attributes) == len(words):
            return Layer(name, attributes)
    raise ValueError(f"expected a layer such as Linear or Dropout(p=0.1), found {written!r}")


def wrong_layers(has: Mapping[str, str], reply: Reply) -> Wrong | None:
    """Whether there are all the layers that are asked for, by path."""
    wrong = {
        path: said
        for path, written in has.items()
        if (said := _wrong_layer(path, parse_layer(written), reply))[0]
    }
    if not wrong:
        return None
    first = next(iter(wrong.values()))
    return Wrong(says=first[0], detail=first[1], share=1 - len(wrong) / len(has))


def _wrong_layer(path: str, asked: Layer, reply: Reply) -> tuple[str, str]:
    """What is wrong with the layers at a path, and what was found; empty texts if nothing is.

    Names of classes are the student's to choose, so they stay with the staff.
    """
    parts = path.split(".")
    there = {name: one for name, one in reply.modules.items() if _matches(name.split("."), parts)}
    found = ", ".join(f"{name}: {one.classes[0]}" for name, one in there.items() if one.classes)
    right = {name: one for name, one in there.items() if asked.kind in one.classes}
    if not there:
        return f"There is no layer {path}.", ""
    if not right:
        return f"The layer {path} is no {asked.kind}.", f"Found {found[:500]}."
    for name, value in asked.attributes.items():
        kept = {at: one for at, one in right.items() if _is(one.attributes.get(name), value)}
        if not kept:
            held = [one.attributes.get(name) for one in right.values()][:_MOST_SHOWN]
            says = f"The layer {path} is a {asked.kind} with another {name} than asked."
            return says, f"Expected {value}, found {', '.join(map(str, held))[:500]}."
        right = kept
    return "", ""


def _matches(path: list[str], asked: list[str]) -> bool:
    """Whether a path is as asked, part by part; `*` matches any part."""
    pairs = zip_longest(path, asked)
    return all(one and (one == other or other == "*") for one, other in pairs)


def _is(seen: Value, asked: Value) -> bool:
    """Whether an attribute is as asked; one number stands for as many of it (a kernel's size)."""
    if isinstance(seen, list | tuple) and not isinstance(asked, list | tuple):
        return bool(seen) and all(_is(item, asked) for item in seen)
    if isinstance(seen, list | tuple) and len(seen) == len(asked):
        return all(_is(one, other) for one, other in zip(seen, asked, strict=True))
    if isinstance(seen, bool) or isinstance(asked, bool):
        return seen is asked
    if isinstance(seen, int | float) and isinstance(asked, int | float):
        if abs(seen) > LARGEST:  # no float holds every integer that a student may send
            return False
        return bool(np.isclose(float(seen), float(asked), rtol=1e-6, atol=0))
    return type(seen) is type(asked) and bool(seen == asked)
