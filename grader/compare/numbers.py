"""Numbers against numbers: shape, kind of dtype, finiteness, tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grader.compare.relation import misshapen, relation
from grader.values import Tensor, Value

Array: TypeAlias = npt.NDArray[Any]

#: (rtol, atol) by dtype; integers and truth values compare exactly. `float` is Python's own, often
#: a float32 that was taken out of a tensor.
#: Source: torch/testing/_comparison.py, torch 2.13, but for `float` and `complex`.
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
    "float": (1e-6, 1e-7),
    "complex": (1e-6, 1e-7),
}
#: The same where the student's code ran on a GPU and the reference on the CPU. Single precision is
#: looser there: a notebook may turn TF32 on, which multiplies with the 10 bits that float16 has,
#: and sums are added up in another order. The other dtypes' own rows allow for that.
#: Source: PyTorch, "CUDA semantics", TensorFloat-32; IEEE 754 binary16 has as many bits.
TOLERANCES_ON_GPU = TOLERANCES | dict.fromkeys(
    ("float32", "complex64", "float", "complex"), TOLERANCES["float16"]
)
#: An error this large of a whole number is no rounding, unless float32 cannot hold it better.
_MOST_OF_WHOLE = 0.1
_FLOAT32_STEP = 2.0**-23
#: numpy allows 64; nobody hands in more than a few.
_MOST_DIMENSIONS = 20
_LARGEST_EXACT = 2**63
_LARGEST_FLOAT = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a value differs from the expected one, most telling fact first."""

    summary: str
    """One clause that tells no expected number."""
    detail: str = ""
    """The worst place, with what was expected and what was allowed."""
    relation: str = ""
    """The simple relation that explains it, if there is one."""
    nonfinite: str = ""
    """What stands where a finite number should: `NaN`, `infinity` or `NaN or infinity`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When numbers count as equal; a tolerance of `None` is the dtype's own."""

    rtol: float | None = None
    atol: float | None = None
    equal_nan: bool = False
    on_gpu: bool = False
    """Whether what is seen was computed on a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a number may be from the expected one: `atol + rtol * |expected|`."""

    rtol: float
    atol: float
    whole: bool = False
    """The expected numbers are whole ones, so that rounding alone explains no large error."""

    def allows(self, expected: Array) -> Array:
        """The largest error allowed, number by number."""
        size = np.abs(expected)
        share = self.rtol * size
        if self.whole:
            share = np.minimum(share, np.maximum(_MOST_OF_WHOLE, _FLOAT32_STEP * size))
        return np.asarray(self.atol + share)

    def __str__(self) -> str:
        """Write the rule out; empty when numbers must be equal."""
        if not self.rtol and not self.atol:
            return ""
        most = f", at most {_MOST_OF_WHOLE:g}" if self.whole else ""
        return f" (allowed {self.atol:g} + {self.rtol:g} x |expected|{most})"


@dataclass(frozen=True, slots=True)
class Numbers:
    """A value of the numeric kind: its array, and the dtypes it was made of."""

    array: Array
    dtypes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ragged:
    """A nested list whose rows differ in length."""

    lengths: tuple[int, ...]


def to_numbers(value: Value, depth: int = 0) -> Numbers | Ragged | None:
    """Read a value as an array of numbers; None if it is not of that kind."""
    match value:
        case bool() | int() | float() | complex():
            return Numbers(_plain([value]).reshape(()), frozenset([type(value).__name__]))
        case Tensor():
            known = value.array.dtype.kind in "biufc"
            return Numbers(value.array, frozenset([value.dtype])) if known else None
        case list() | tuple() if depth < _MOST_DIMENSIONS:
            if all(type(item) in (bool, int, float, complex) for item in value):
                return Numbers(_plain(value), frozenset(type(item).__name__ for item in value))
            return _stacked([to_numbers(item, depth + 1) for item in value])
    return None


def _plain(items: Sequence[Any]) -> Array:
    """A flat array; whole numbers too large for int64 become floats, and none of them infinite."""
    if any(type(item) is int and abs(item) >= _LARGEST_EXACT for item in items):
        return np.array([_to_float(item) for item in items])
    return np.array(items)


def _to_float(item: Any) -> Any:
    try:
        return item if isinstance(item, complex) else float(item)
    except OverflowError:
        return _LARGEST_FLOAT if item > 0 else -_LARGEST_FLOAT


def _stacked(items: Sequence[Numbers | Ragged | None]) -> Numbers | Ragged | None:
    rows: list[Numbers] = []
    for item in items:
        if not isinstance(item, Numbers):
            return item
        rows.append(item)
    if len({row.array.shape for row in rows}) > 1:
        return Ragged(tuple(len(row.array) if row.array.ndim else 1 for row in rows))
    dtypes = frozenset[str]().union(*(row.dtypes for row in rows))
    return Numbers(np.stack([row.array for row in rows]), dtypes)


def tolerance(seen: Numbers, expected: Numbers, rule: Rule) -> Tolerance:
    """The rule's, else the loosest of the expected dtypes, else of the seen ones up to float32's.

    So a float32 may stand where a float64 is expected, but a half where a float32 is must be as
    right as a float32.
    """
    table = TOLERANCES_ON_GPU if rule.on_gpu else TOLERANCES
    known = [table[dtype] for dtype in expected.dtypes if dtype in table]
    whole = not known
    loosest = table["float32"]  # no student's dtype loosens a tolerance further than this one does
    for dtype in seen.dtypes & table.keys():
        rtol, atol = table[dtype]
        known.append((min(rtol, loosest[0]), min(atol, loosest[1])))
    return Tolerance(
        rtol=max((pair[0] for pair in known), default=0.0) if rule.rtol is None else rule.rtol,
        atol=max((pair[1] for pair in known), default=0.0) if rule.atol is None else rule.atol,
        whole=whole and rule.rtol is None,
    )


def share_close(seen: Numbers, expected: Numbers, rule: Rule) -> float:
    """The share of elements that are right; none where the shape or the kind of dtype is wrong."""
    if seen.array.shape != expected.array.shape or _kind(seen.array, expected.array):
        return 0.0
    allowed = tolerance(seen, expected, rule)
    return float(_close(seen.array, expected.array, allowed, rule.equal_nan).mean())


def _close(
    seen: Array, expected: Array, allowed: Tolerance, equal_nan: bool = False
) -> npt.NDArray[np.bool_]:
    right = np.asarray(seen == expected)
    if allowed.rtol or allowed.atol:
        with np.errstate(all="ignore"):
            wide_seen, wide = _wide(seen), _wide(expected)
            near = np.abs(wide_seen - wide) <= allowed.allows(wide)
        right = right | (near & np.isfinite(wide_seen) & np.isfinite(wide))
    if equal_nan:
        right = right | (np.isnan(seen) & np.isnan(expected))
    return np.asarray(right, dtype=np.bool_)


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def difference(seen: Numbers, expected: Numbers, rule: Rule) -> Difference | None:
    """How numbers differ, or None if all are right."""
    allowed = tolerance(seen, expected, rule)
    roughly = Tolerance(rtol=max(allowed.rtol, 1e-5), atol=allowed.atol)

    def near(one: Array, other: Array) -> bool:
        """Near enough to name a relation: hints allow for rounding that answers don't."""
        if one.shape != other.shape:
            return False
        return bool(_close(one, other, roughly, rule.equal_nan).all())

    if seen.array.shape != expected.array.shape:
        return Difference(
            summary=_shapes(seen.array.shape, expected.array.shape),
            relation=misshapen(seen.array, expected.array, near),
        )
    other_kind = _kind(seen.array, expected.array)
    if other_kind:
        return Difference(summary=other_kind)
    right = _close(seen.array, expected.array, allowed, rule.equal_nan)
    if right.all():
        return None
    summary, detail = _words(seen.array, expected.array, right, allowed)
    explained = relation(seen.array, expected.array, near)
    return Difference(
        summary=summary,
        detail=detail,
        relation=explained,
        nonfinite=_strange(seen.array, expected.array),
    )


def _strange(seen: Array, expected: Array) -> str:
    """What stands where a finite number should."""
    broken = seen[~np.isfinite(seen) & np.isfinite(expected)]
    return _nonfinite(broken).replace("infinite", "infinity") if broken.size else ""


def _shapes(seen: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if len(seen) == len(expected) == 1:
        return f"expected {_count(expected[0])}, found {seen[0] or 'none'}"
    wanted = f"shape {expected}" if expected else "a single number"
    found = f"shape {seen}" if seen else "a single number"
    return f"expected {wanted}, found {found.removeprefix('shape ') if expected else found}"


def _count(number: int) -> str:
    return f"{number} value{'' if number == 1 else 's'}"


def _kind(seen: Array, expected: Array) -> str:
    """Where truth values and numbers may not stand for each other, say so."""
    if (seen.dtype.kind == "b") == (expected.dtype.kind == "b"):
        return ""
    numbers = expected if seen.dtype.kind == "b" else seen
    strange = numbers[(numbers != 0) & (numbers != 1)]
    if expected.dtype.kind == "b" and strange.size:
        return f"expected True or False, found numbers such as {_number(strange.flat[0])}"
    if seen.dtype.kind == "b" and (strange.size or not seen.ndim):
        return (
            "expected a number, found True or False"
            if not seen.ndim
            else ("expected numbers, found True and False")
        )
    return ""


def _words(
    seen: Array, expected: Array, right: npt.NDArray[np.bool_], allowed: Tolerance
) -> tuple[str, str]:
    wrong = int(right.size - right.sum())
    share = f"{wrong} of {right.size} values"
    with np.errstate(all="ignore"):
        error = np.abs(_wide(seen) - _wide(expected))
        broken = ~np.isfinite(_wide(seen)) & np.isfinite(_wide(expected))
    error = np.where(right, -1.0, np.where(np.isnan(error), np.inf, error))
    error = np.where(broken, np.inf, error)
    worst = np.unravel_index(int(error.argmax()), seen.shape)
    at = tuple(int(i) for i in worst)
    truth = expected.dtype.kind == "b"
    values = f"expected {_number(expected[at], truth)}, found {_number(seen[at], truth)}{allowed}"
    if not seen.ndim:
        nonfinite = f"the value is {_nonfinite(seen)}" if broken.any() else ""
        return nonfinite or "the value is wrong", values
    place = f"[{at[0]}]" if len(at) == 1 else str(at)
    if broken.any():
        count = f"{int(broken.sum())} of {right.size} values"
        return f"{count} are {_nonfinite(seen[broken])}", f"first at {place}: {values}"
    summary = f"{share} differ ({wrong / right.size:.1%})"
    largest = float(error[at])
    if truth or not np.isfinite(largest):
        return summary, f"first at {place}: {values}"
    return summary, f"largest error {largest:.6g} at {place}: {values}"


def _nonfinite(values: Array) -> str:
    nan, infinite = bool(np.isnan(values).any()), bool(np.isinf(values).any())
    return "NaN or infinite" if nan and infinite else "NaN" if nan else "infinite"


def _number(value: Any, truth: bool = False) -> str:
    if truth:
        return str(bool(value))
    if isinstance(value, np.integer | np.bool_):
        return str(value)
    return f"{value:.6g}"
