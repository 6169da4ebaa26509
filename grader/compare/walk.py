"""Value against value: first the kind, then what it holds, entry by entry."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from grader.compare.numbers import Difference, Numbers, Ragged, Rule, difference, to_numbers
from grader.compare.plain import holds_large, plain, plain_items
from grader.compare.words import count, key, listed, noun
from grader.values import Formula, Opaque, Table, Tensor, Value

_MOST_DEPTH = 60
_LONGEST_PATH = 60
_LARGEST_EXACT = 2**53


def compare(
    seen: Value,
    expected: Value,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    on_gpu: bool = False,
) -> Difference | None:
    """How a value differs from the expected one, or None if it is right.

    Args:
        seen: What the student's code produced.
        expected: What the reference produced; its kind and shape are required.
        rtol: Allowed error as a share of `|expected|`; the dtypes' own if left out.
        atol: Allowed error in the units of `expected`; the dtypes' own if left out.
        equal_nan: Whether NaN matches NaN at the same place.
        on_gpu: Whether `seen` was computed on a GPU.
    """
    rule = Rule(rtol=rtol, atol=atol, equal_nan=equal_nan, on_gpu=on_gpu)
    return compare_under(rule, seen, expected)


def compare_under(rule: Rule, seen: Value, expected: Value) -> Difference | None:
    """`compare`, with the tolerances in one piece."""
    found = _compare(seen, expected, rule, 0)
    return found.said() if isinstance(found, _Inside) else found


@dataclass(frozen=True, slots=True)
class _Inside:
    """The first difference within a container."""

    path: tuple[str, ...]
    found: Difference
    several: str = ""
    """How many entries of the outermost container differ, if it is more than one."""
    scattered: bool = False
    """Whether more than one entry differs in any container on the way."""

    def said(self) -> Difference:
        """The difference, with the place put before its words."""
        path, found = "".join(self.path), self.found
        summary = f"{path}: {found.summary}"
        if self.scattered and len(self.path) > 1:
            summary = f"differs at {summary}"
        elif self.several:
            summary = f"{self.several}, first {summary}"
        related = f"{path}: {found.relation}" if found.relation else ""
        return replace(found, summary=summary, relation=related)


_Found: TypeAlias = Difference | _Inside | None


def _compare(seen: Value, expected: Value, rule: Rule, depth: int) -> _Found:
    if depth > _MOST_DEPTH:
        return Difference(summary=f"it is nested more than {_MOST_DEPTH} deep")
    if not isinstance(seen, str) and not isinstance(expected, str):
        seen, expected = plain(seen), plain(expected)
    if type(seen) is int and type(expected) is int:  # exact, also where no array could hold them
        if seen == expected:
            return None
        if max(abs(seen), abs(expected)) >= _LARGEST_EXACT:
            return Difference(summary="the value is wrong")
    if one_by_one(seen, expected):
        return _items(seen, expected, rule, depth)
    numbers = to_numbers(expected)
    empty = isinstance(expected, list | tuple) and not expected
    if isinstance(numbers, Numbers) and not empty:
        return _numbers(seen, numbers, rule)
    match expected, seen:
        case ((list() | tuple()), (list() | tuple())):
            return _items(seen, expected, rule, depth)
        case dict(), dict():
            return _dicts(seen, expected, rule, depth)
        case Table(), Table():
            return _tables(seen, expected, rule, depth)
        case (set(), set()):
            return _sets(seen, expected, rule)
        case ((str() | Formula()), (str() | Formula())):
            return _texts(seen, expected)
        case bytes(), bytes():
            return None if seen == expected else Difference(summary="the bytes differ")
        case (None, None):
            return None
        case Opaque(kind=kind, name=name), Opaque():
            if (seen.kind, seen.name) == (kind, name):
                return None
    return _other_kind(seen, expected)


def one_by_one(seen: Value, expected: Value) -> bool:
    """Whether both are lists of numbers so large that no array holds them exactly."""
    lists = isinstance(seen, list | tuple) and isinstance(expected, list | tuple)
    return lists and (holds_large(seen) or holds_large(expected))


def _numbers(seen: Value, expected: Numbers, rule: Rule) -> Difference | None:
    seen = plain_items(seen)
    found = to_numbers(seen)
    match found:
        case Numbers():
            return difference(found, expected, rule)
        case Ragged(lengths):
            return Difference(summary=f"the rows differ in length ({listed(lengths)})")
    if isinstance(seen, list | tuple):
        path, stranger = _first_stranger(seen)
        return Difference(summary=f"expected a number at {path}, found {noun(stranger)}")
    wanted = "a number" if not expected.array.ndim else "numbers"
    if expected.array.dtype.kind == "b":
        wanted = "True or False"
    return Difference(summary=f"expected {wanted}, found {noun(seen)}")


def _first_stranger(items: Sequence[Value], path: str = "") -> tuple[str, Value]:
    """The first entry of a nested list that is no number, and where it stands."""
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        if to_numbers(item) is None:
            deep = isinstance(item, list | tuple) and len(here) < _LONGEST_PATH
            return _first_stranger(item, here) if deep else (here, item)
    return path, items


def _items(seen: Sequence[Value], expected: Sequence[Value], rule: Rule, depth: int) -> _Found:
    if len(seen) != len(expected):
        return Difference(
            summary=f"expected {count(len(expected), 'item')}, found {len(seen) or 'none'}"
        )
    pairs = enumerate(zip(seen, expected, strict=True))
    return _several(
        ((f"[{i}]", _compare(one, other, rule, depth + 1)) for i, (one, other) in pairs),
        len(expected),
    )


def _dicts(
    seen: dict[Value, Value], expected: dict[Value, Value], rule: Rule, depth: int
) -> _Found:
    missing = [name for name in expected if name not in seen]
    extra = [name for name in seen if name not in expected]
    if missing:
        near = difflib.get_close_matches(key(missing[0]), list(map(key, extra[:50])), 1, 0.6)
        hint = f" (there is {near[0]})" if near else ""
        return Difference(summary=f"{count(len(missing), 'key')} missing: {listed(missing)}{hint}")
    if extra:
        return Difference(summary=f"{count(len(extra), 'key')} too many: {listed(extra)}")
    found = ((f"[{key(k)}]", _compare(seen[k], expected[k], rule, depth + 1)) for k in expected)
    return _several(found, len(expected))


def _tables(seen: Table, expected: Table, rule: Rule, depth: int) -> _Found:
    mine = dict(zip(map(repr, seen.columns), seen.data, strict=False))
    right = dict(zip(map(repr, expected.columns), expected.data, strict=False))
    missing = [name for name in right if name not in mine]
    extra = [name for name in mine if name not in right]
    if missing or extra:
        parts = [f"columns missing: {', '.join(missing)}"] if missing else []
        parts += [f"columns too many: {', '.join(extra)}"] if extra else []
        return Difference(summary="; ".join(parts))
    rows, wanted = _rows(seen), _rows(expected)
    if rows != wanted:
        return Difference(summary=f"expected {count(wanted, 'row')}, found {rows or 'none'}")
    columns = (
        (f"column {name}", _compare(mine[name], column, rule, depth + 1))
        for name, column in right.items()
    )
    found = _several(columns, len(right))
    index = _compare(seen.index, expected.index, rule, depth + 1)
    return found or _several([("index", index)], 1)


def _rows(table: Table) -> int:
    return _length(table.data[0]) if table.data else _length(table.index)


def _length(column: Value) -> int:
    if isinstance(column, Tensor):
        return len(column.array) if column.array.ndim else 1
    return len(column) if isinstance(column, list | tuple) else 1


def _sets(seen: set[Value], expected: set[Value], rule: Rule) -> _Found:
    missing, extra = len(expected - seen), len(seen - expected)
    if not missing and not extra:
        return None
    real = all(type(item) in (int, float) for item in (*seen, *expected))
    if real and len(seen) == len(expected):
        return _compare(sorted(seen), sorted(expected), rule, 0)
    parts = [f"{count(missing, 'element')} missing"] if missing else []
    parts += [f"{count(extra, 'element')} too many"] if extra else []
    shown = ", ".join(sorted(key(item) for item in expected - seen)[:5])
    return Difference(summary=", ".join(parts), detail=f"missing: {shown}" if missing else "")


def _texts(seen: str | Formula, expected: str | Formula) -> Difference | None:
    mine, right = (_text(value).strip() for value in (seen, expected))
    if mine == right:
        return None
    detail = f"expected {key(right)}, found {key(mine)}"
    same = mine.casefold().split() == right.casefold().split()
    return Difference(
        summary="the text differs",
        detail=detail,
        relation="only capitals or spaces differ" if same else "",
    )


def _text(value: str | Formula) -> str:
    return value.text if isinstance(value, Formula) else value


def _several(found: Iterable[tuple[str, _Found]], total: int) -> _Inside | None:
    """The first of several differences, with how many there are."""
    wrong = [(place, one) for place, one in found if one is not None]
    if not wrong:
        return None
    place, first = wrong[0]
    several = f"{len(wrong)} of {total} entries differ" if len(wrong) > 1 else ""
    if isinstance(first, _Inside):
        scattered = bool(several) or first.scattered
        return _Inside((place, *first.path), first.found, several, scattered)
    return _Inside((place,), first, several, bool(several))


def _other_kind(seen: Value, expected: Value) -> Difference:
    hint = ""
    if isinstance(seen, Opaque) and seen.kind == "function":
        hint = "; was it to be called?"
    return Difference(summary=f"expected {noun(expected)}, found {noun(seen)}{hint}")
