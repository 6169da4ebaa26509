"""`output`: numbers in what the notebook printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from grader import patterns
from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.compare import compare
from grader.errors import ReferenceFault
from grader.rubric.model import CheckParams, Identifier, checked_pattern
from grader.values import Tensor, Value
from grader.verdict import Finding

#: Thousands with commas, to be tried before digits alone. `(?>(?:...){1,6})` and not
#: `(?:...){1,6}+`: of a possessive group Python 3.11.2 keeps half a turn that came to nothing.
THOUSANDS = r"\d{1,3}(?>(?:,\d{3}){1,6})(?!\d)(?:\.\d++)?|"
MAX_EXPONENT = 300
#: Halves are rounded either way, and decimal halves are not exact in binary.
ROUNDING_SLACK = 1 + 1e-6
#: From here on a number may be printed as a whole one: 92 for 91.67, but not 1 for 0.67.
LEAST_ROUNDED = 10
DECIMALS = re.compile(r"(?:\.(\d+))?e([-+]?\d+)|\.(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as it was printed.

    Args:
        value: The number.
        rounding: Half a unit of its last digit: what rounding for print may have changed.
        whole: Whether it has neither decimals nor an exponent.
    """

    value: float
    rounding: float
    whole: bool


class Params(CheckParams):
    """`output: 'accuracy: {} %'`."""

    of: Annotated[str, Field(min_length=1)]
    """Text in which `{}` stands for a number; white space and case are free."""
    cell: str | None = None
    """A regular expression that only the cells match whose print counts; all cells if left out."""
    equals: float | tuple[float, ...] | None = None
    """The right number, or one for each `{}`."""
    reference: Identifier | None = None
    """Or a name of the reference that holds or computes it."""
    at_least: float | None = None
    at_most: float | None = None
    rtol: Annotated[float, Field(ge=0)] | None = None
    atol: Annotated[float, Field(ge=0)] | None = None


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Always: what a cell prints is what somebody wrote into a call of `print`."""
    return True


def asks(params: Params) -> str:
    """What the notebook must print."""
    return f"a printed line {params.of!r}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """A text without a number, a pattern that is none, nothing that would be right."""
    if "{}" not in params.of:
        yield ("of",), f"expected a text with {{}} where a number stands, found {params.of!r}"
        return
    numbers = params.equals if isinstance(params.equals, tuple) else [params.equals]
    if params.equals is not None and len(numbers) != params.of.count("{}"):
        yield ("equals",), f"expected {params.of.count('{}')} numbers, found {len(numbers)}"
    if params.cell is not None:
        try:
            checked_pattern(params.cell)
        except ValueError as error:
            yield ("cell",), f"expected {error}"
    bounds = params.at_least is not None or params.at_most is not None
    if (params.equals is not None) + (params.reference is not None) + bounds != 1:
        yield (), "expected one of equals, reference, and at_least or at_most"
    yield from no_name(params.reference, context, ("reference",))
    for number, mistake in enumerate(params.mistakes):
        if not isinstance(mistake.equals, int | float | list) or mistake.reference is not None:
            yield ("mistakes", number), "expected equals with a number, or one for each {}"


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Nothing is asked of the namespace."""
    return {}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether such a line was printed at all."""
    return None if _printed(params, seen) else _nothing(params)


def _nothing(params: Params) -> Finding:
    return Finding(credit=0.0, says=f"Nothing printed reads {params.of!r}.", answered=False)


def release(params: Params, context: Context, check_id: str) -> Released:
    """The text that must be printed."""
    return Released(params={"of": params.of, "cell": params.cell}, requests={})


def answers(params: Params, asked: Mapping[str, Request], context: Context, check_id: str) -> None:
    """None: no reference prints anything."""


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give full credit when one of the printed lines holds the right numbers."""
    expected = _expected(params, context)  # the reference first: its failure is nobody's fault
    printed = _printed(params, seen)
    if not printed:
        return _nothing(params)
    if any(_is_right(params, numbers, expected) for numbers in printed):
        return Finding(credit=1.0, says="The printed numbers are right.")
    last = ", ".join(f"{number.value:.6g}" for number in printed[-1])
    for mistake in params.mistakes:
        wrong = mistake.equals if isinstance(mistake.equals, list) else [mistake.equals]
        if any(_same(params, numbers, wrong) for numbers in printed):
            return Finding(credit=mistake.credit, says=mistake.says)
    wanted = _bounds(params) if expected is None else ", ".join(f"{n:.6g}" for n in expected)
    says = f"The printed numbers are not right: {last}."
    return Finding(credit=0.0, says=says, detail=f"Expected {wanted}.")


def _printed(params: Params, seen: Seen) -> list[list[Printed]]:
    """The numbers of every printed line that reads as asked, in order."""
    texts = [
        receipt.text
        for index, receipt in sorted(seen.receipts.items())
        if params.cell is None or patterns.found(params.cell, seen.cells[index].source)
    ]
    return [
        [_number(number) for number in line.groups() if number]
        for text in texts
        for pattern in _patterns(params.of)
        for line in pattern.finditer(text)
    ]


def _patterns(written: str) -> list[re.Pattern[str]]:
    """What a text is looked for with: where a comma may end a number, it may mark thousands too."""
    pairs = any(part.lstrip().startswith(",") for part in written.split("{}")[1:])
    kinds = [_number_pattern(THOUSANDS), *([_number_pattern("")] if pairs else [])]
    return [re.compile(_pattern(written, number), re.IGNORECASE) for number in kinds]


def _number_pattern(thousands: str) -> str:
    """A number as programs print it: 1e-05, nan, inf, and 1,234,567 if `thousands` says how.

    Nothing in it is ever taken back (`++`, `(?>`): a student's endless line of digits costs one
    look at each.
    """
    digits = (
        r"(?<![\d.])(?>[-+\u2212]?(?>nan\b|inf\b"
        rf"|(?>{thousands}\d++\.?+\d*+|\.\d++)(?:e[-+]?\d{{1,3}}+)?))"
    )
    # Also as torch prints it: tensor(0.25, grad_fn=<MeanBackward0>).
    return rf"(?:tensor\(({digits})(?>(?:, ?[a-z_]{{1,20}}+=[^\s,)]{{0,80}}+){{0,4}})\)|({digits}))"


def _pattern(written: str, number: str) -> str:
    """A pattern with two groups for each `{}`, of which one matches.

    White space may be more than in the text, and around a number also less.
    """
    parts = [r"\s++".join(map(re.escape, part.split())) for part in written.split("{}")]
    last = len(parts) - 1
    return "".join(
        part + ("" if n == last else (r"\s*+" if n or part else "") + number + r"\s*+")
        for n, part in enumerate(parts)
    )


def _number(text: str) -> Printed:
    whole = text.lstrip("+-\u2212").replace(",", "").removesuffix(".").isdigit()
    decimals = DECIMALS.search(text)
    last = -MAX_EXPONENT
    if decimals:
        last = int(decimals[2] or 0) - len(decimals[1] or decimals[3] or "")
    rounding = 0.5 if whole else 0.5 * 10.0 ** max(-MAX_EXPONENT, min(last, MAX_EXPONENT))
    return Printed(float(text.replace(",", "").replace("\u2212", "-")), rounding, whole)


def _expected(params: Params, context: Context) -> Sequence[float] | None:
    """The right numbers, or None where only bounds are given.

    Raises:
        ReferenceFault: the reference failed, or gave no numbers.
    """
    if params.reference is None:
        if params.equals is None:
            return None
        return params.equals if isinstance(params.equals, tuple) else [params.equals]
    numbers = _numbers(context.reference.value(params.reference), params.reference)
    if len(numbers) != params.of.count("{}"):
        says = f"expected {params.reference} to hold {params.of.count('{}')} numbers"
        raise ReferenceFault(f"{says}, one for each {{}}, found {len(numbers)}")
    return numbers


def _numbers(value: Value, name: str) -> list[float]:
    match value:
        case bool() | str():
            pass
        case int() | float():
            return [float(value)]
        case Tensor() if value.array.dtype.kind in "iuf":
            return [float(number) for number in value.array.reshape(-1)]
        case list() | tuple():
            return [number for item in value for number in _numbers(item, name)]
    raise ReferenceFault(f"expected {name} to hold numbers, found {type(value).__name__}")


def _is_right(params: Params, numbers: Sequence[Printed], expected: Sequence[float] | None) -> bool:
    if expected is not None:
        return _same(params, numbers, expected)
    low = float("-inf") if params.at_least is None else params.at_least
    high = float("inf") if params.at_most is None else params.at_most
    return all(low <= number.value <= high for number in numbers)


def _same(params: Params, numbers: Sequence[Printed], expected: Sequence[float]) -> bool:
    """Whether all numbers are as expected, within the tolerance or their own rounding."""
    return len(numbers) == len(expected) and all(
        (params.rtol is None and params.atol is None and _rounds(number, wanted))
        or compare(_plain(number.value), _plain(wanted), rtol=params.rtol, atol=params.atol) is None
        for number, wanted in zip(numbers, expected, strict=True)
    )


def _rounds(number: Printed, wanted: float) -> bool:
    """Whether a right number reads so when it is rounded for print."""
    if number.whole and (abs(wanted) < LEAST_ROUNDED or float(wanted).is_integer()):
        return number.value == wanted
    return abs(number.value - wanted) <= number.rounding * ROUNDING_SLACK


def _plain(number: float) -> int | float:
    """A whole number as an int, which is compared without a tolerance."""
    return int(number) if float(number).is_integer() else number


def _bounds(params: Params) -> str:
    low = [] if params.at_least is None else [f"at least {params.at_least:g}"]
    return " and ".join(low + ([] if params.at_most is None else [f"at most {params.at_most:g}"]))
