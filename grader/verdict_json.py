"""Scores as JSON, and back: how they travel between processes and how they are kept.

Objects have the fields of the classes in `grader/verdict.py`; a conclusion says in `is` which one
it is. Reading is strict, because who wrote it may have been fed by students: all fields, no others,
each of its exact type, numbers finite and in their range, nothing longer than it may be.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from grader.verdict import Broken, Finding, Pending, Score

#: Of the whole text; a score kept under another version must be made anew.
VERSION = 1
#: Of one score. A write-up has a million characters at most, and is shown with every check that
#: waits for a person because of it.
MAX_CHARS = 64 << 20
#: More points than that nobody gives; the bound keeps sums finite.
MAX_POINTS = 1e9
KINDS = {"finding": Finding, "pending": Pending, "broken": Broken}
#: Numbers that are shares, as opposed to points.
SHARES = ("credit", "proposed")


def to_json(score: Score) -> str:
    """Write a score as one line of ASCII."""
    return json.dumps({"version": VERSION, "score": _plain(score)}, allow_nan=False)


def from_json(text: str) -> Score:
    """Read a score back.

    Raises:
        ValueError: it is not what `to_json` writes; says where, what was expected and found.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"expected at most {MAX_CHARS} characters, found {len(text)}")
    try:
        told = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("expected a score, found objects in objects without end") from error
    if not isinstance(told, dict) or set(told) != {"version", "score"}:
        raise ValueError("expected version and score")
    if type(told["version"]) is not int or told["version"] != VERSION:
        raise ValueError(f"expected version {VERSION}, found {told['version']!r:.40}")
    score: Score = _read(Score, told["score"], "score")
    return score


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        kind = next((name for name, known in KINDS.items() if type(value) is known), None)
        told = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"is": kind, **told} if kind else told
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, StrEnum) else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("expected every field once")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"expected a finite number, found {text}")


def _read(kind: Any, told: Any, at: str) -> Any:
    """Read a value of a type that a field of `grader/verdict.py` has."""
    if is_dataclass(kind):
        return _read_object(kind, told, at)
    if kind is float:
        return _read_number(told, at)
    if typing.get_origin(kind) is tuple:
        one = typing.get_args(kind)[0]
        if type(told) is not list:
            raise _unexpected("a list", told, at)
        return tuple(_read(one, part, f"{at}[{number}]") for number, part in enumerate(told))
    if isinstance(kind, types.UnionType):
        return _read_either(typing.get_args(kind), told, at)
    if issubclass(kind, StrEnum):
        if type(told) is not str or told not in list(kind):
            raise _unexpected(f"one of {', '.join(kind)}", told, at)
        return kind(told)
    if type(told) is not kind:
        raise _unexpected({str: "text", bool: "true or false"}[kind], told, at)
    return told


def _read_object(kind: Any, told: Any, at: str) -> Any:
    types_of = _types_of(kind)
    if type(told) is not dict or set(told) != set(types_of):
        names = sorted(told) if type(told) is dict else told
        raise _unexpected(f"the fields {', '.join(types_of)}", names, at)
    return kind(**{name: _read(of, told[name], f"{at}.{name}") for name, of in types_of.items()})


def _read_either(kinds: tuple[Any, ...], told: Any, at: str) -> Any:
    if types.NoneType in kinds:
        (other,) = (kind for kind in kinds if kind is not types.NoneType)
        return None if told is None else _read(other, told, at)
    named = told.get("is") if type(told) is dict else None
    if type(named) is not str or named not in KINDS:
        raise _unexpected(f"is: one of {', '.join(KINDS)}", told, at)
    rest = {name: value for name, value in told.items() if name != "is"}
    return _read(KINDS[named], rest, at)


def _read_number(told: Any, at: str) -> float:
    most = 1.0 if at.rpartition(".")[2] in SHARES else MAX_POINTS
    if type(told) not in (int, float) or not 0 <= told <= most:
        raise _unexpected(f"a number from 0 to {most:g}", told, at)
    number: float = told
    return number


@cache
def _types_of(kind: Any) -> dict[str, Any]:
    """Types of the fields of a class, by name."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _unexpected(expected: str, found: Any, at: str) -> ValueError:
    return ValueError(f"{at}: expected {expected}, found {found!r:.80}")
