"""Answers that hold one formula, or a list or dict of them that earns credit entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen
from grader.checks.given import formulas, given_by_key, text_of
from grader.errors import InputError
from grader.rubric.model import CheckParams, Identifier, Text
from grader.rubric.yaml import Place
from grader.symbolic import Equality, Expression, Unreadable, Verdict
from grader.values import Value, describe
from grader.verdict import Conclusion, Finding, Pending, Work

Written: TypeAlias = Text | list[Text] | dict[str, Text]
Compare = Callable[[str, str, Mapping[str, str]], Equality]


class Params(CheckParams):
    """Settings of `expression` and `complexity`."""

    growth: ClassVar[bool] = False
    """Whether it is a growth class, so that `O(...)` may stand around it."""

    of: Identifier
    equals: Written
    """The right formula, or a list or dict of them; a dict's tuple key is written `a, b`."""
    also: tuple[Written, ...] = ()
    """Further right answers, each written as `equals` is; entries may be left out."""
    symbols: dict[str, str] = Field(default_factory=dict)
    """Symbols that may occur, with what is known of them: `{n: positive integer}`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One formula of an answer: where it stands, and all that is right there."""

    key: str
    right: tuple[str, ...]


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Never: a formula is an answer, not a claim about a run."""
    return False


def asks(params: Params) -> str:
    """What the student must define."""
    symbols = ", ".join(params.symbols)
    formula = f"a formula in {symbols}" if symbols else "a formula"
    match params.equals:
        case dict() as entries:
            keys = ", ".join(f"({key})" if "," in key else key for key in entries)
            return f"a dict with the keys {keys}, each {formula}"
        case list() as entries:
            return f"a list of {len(entries)} formulas" + (f" in {symbols}" if symbols else "")
    return formula


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Right answers and mistakes that are no formulas, or are written unlike `equals`."""
    yield from _unlike(params)
    fields: list[tuple[Place, Any]] = [(("equals",), params.equals)]
    fields += [(("also", number), written) for number, written in enumerate(params.also)]
    fields += [(("mistakes", n, "equals"), m.equals) for n, m in enumerate(params.mistakes)]
    for place, written in fields:
        if written is None:
            yield place, "expected a formula, found nothing"
            continue
        for key, text in formulas(written).items():
            try:
                read = _read(params, text, context)
            except InputError as error:
                yield ("symbols",), str(error).removeprefix("symbols.")
                return
            if isinstance(read, Unreadable):
                says = f"expected a formula, found {text!r}: {read.reason}"
                yield (*place, key) if key else place, says


def _unlike(params: Params) -> Iterator[Problem]:
    """Further answers and mistakes that are written unlike `equals`: they could never match."""
    for number, written in enumerate(params.also):
        if not _as_written(written, params.equals):
            yield ("also", number), f"expected {asks(params)}, as in equals, found {written!r}"
    for number, mistake in enumerate(params.mistakes):
        place = ("mistakes", number)
        if mistake.reference is not None:
            yield (*place, "reference"), "unknown key: write the wrong formula as equals"
        elif mistake.equals is not None and not _as_written(mistake.equals, params.equals):
            found = f"found {mistake.equals!r}"
            yield (*place, "equals"), f"expected {asks(params)}, as in equals, {found}"


def _as_written(written: Any, equals: Written) -> bool:
    """Whether keys or places are among those of `equals`; entries may be left out."""
    kinds = (dict, list)
    same = all(isinstance(written, kind) == isinstance(equals, kind) for kind in kinds)
    return same and formulas(written).keys() <= formulas(equals).keys()


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """The formulas of `equals`."""
    return {"value": params.equals}


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Capture the variable."""
    return {"value": {"op": "capture", "name": params.of}}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether there is a formula in the declared symbols wherever one is asked."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    value = seen.observations["value"].value
    given = given_by_key(value, params.equals)
    wanted = formulas(params.equals)
    if given is None or (isinstance(params.equals, str) != ("" in given)):
        return Finding(credit=0.0, says=f"Expected {asks(params)}, found {describe(value)}.")
    if all(item is None for item in given.values()):
        return Finding(credit=0.0, says=f"{params.of} holds nothing yet.", answered=False)
    for key in wanted:
        text = text_of(given.get(key))
        where = f"{params.of}[{key}]" if key else params.of
        if key not in given:
            return Finding(credit=0.0, says=f"{where} is missing.")
        if text is None:
            says = f"Expected a formula in {where}, found {describe(given[key])}."
            return Finding(credit=0.0, says=says)
        read = _read(params, text, context)
        # One that is too complex to compare may be right: a person decides.
        if isinstance(read, Unreadable) and not read.too_complex:
            return Finding(credit=0.0, says=f"{where} cannot be read as a formula: {read.reason}")
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """Keys and symbols, with blanks for the formulas."""
    match params.equals:
        case dict() as entries:
            blank: Any = dict.fromkeys(entries, "")
        case list() as entries:
            blank = [""] * len(entries)
        case _:
            blank = ""
    told = {"of": params.of, "equals": blank, "symbols": dict(params.symbols)}
    return Released(params=told, requests=requests(params, context, check_id))


def judge(params: Params, seen: Seen, context: Context, compare: Compare) -> Conclusion:
    """Compare entry by entry; each earns its share."""
    value = seen.observations["value"].value
    given = given_by_key(value, params.equals)
    wanted = _wanted(params)
    # What is wrong in form of a single formula is final; in a list or dict other entries count.
    wrong_form = form(params, seen, context)
    if wrong_form and (given is None or len(wanted) == 1 or not wrong_form.answered):
        return wrong_form
    assert given is not None  # noqa: S101 - a wrong form has returned
    results = [
        _judge_entry(params, entry, given[entry.key], compare)
        if entry.key in given
        else Finding(credit=0.0, says="This entry is missing.")
        for entry in wanted
    ]
    undecided = [result for result in results if isinstance(result, Pending)]
    if undecided:
        return undecided[0]
    findings = [result for result in results if isinstance(result, Finding)]
    if len(findings) == 1:
        return findings[0]
    return _summed(wanted, findings)


def _read(params: Params, text: str, context: Context) -> Expression | Unreadable:
    return context.symbolic.read(text, params.symbols, growth=params.growth)


def _summed(wanted: Sequence[Entry], findings: Sequence[Finding]) -> Finding:
    right = sum(finding.credit == 1.0 for finding in findings)
    wrong = [(e.key, f) for e, f in zip(wanted, findings, strict=True) if f.credit < 1.0]
    says = f"{right} of {len(findings)} entries are right."
    says += "".join(f" {_label(key)}: {finding.says}" for key, finding in wrong)
    detail = " ".join(
        f"{_label(key)}: {finding.detail}" for key, finding in wrong if finding.detail
    )
    credit = sum(finding.credit for finding in findings) / len(findings)
    return Finding(credit=credit, says=says, detail=detail)


def _label(key: str) -> str:
    """What reports call an entry; those of a list are counted from 1."""
    return f"entry {int(key) + 1}" if key.isdigit() else key


def _judge_entry(params: Params, entry: Entry, value: Value, compare: Compare) -> Finding | Pending:
    text = text_of(value)
    if text is None:
        return Finding(credit=0.0, says=f"Expected a formula, found {describe(value)}.")
    results = [compare(text, right, params.symbols) for right in entry.right]
    if any(result.verdict is Verdict.EQUAL for result in results):
        return Finding(credit=1.0, says="Right.")
    undecided = next((r for r in results if r.verdict is Verdict.UNDECIDED), None)
    if undecided:
        work = Work(text=f"{_label(entry.key)}: {text}" if entry.key else text)
        return Pending(reason=f"A person decides: {undecided.says}", work=work)
    first = results[0]
    if first.verdict is Verdict.UNREADABLE:
        return Finding(credit=0.0, says=first.says)
    for mistake in params.mistakes:
        wrong = formulas(mistake.equals).get(entry.key)
        if wrong is not None and compare(text, wrong, params.symbols).verdict is Verdict.EQUAL:
            return Finding(credit=mistake.credit, says=mistake.says, detail=first.detail)
    return Finding(
        credit=0.0, says=first.says or "Not equal to the right formula.", detail=first.detail
    )


def _wanted(params: Params) -> list[Entry]:
    also = [formulas(written) for written in params.also]
    return [
        Entry(key, (right, *(other[key] for other in also if key in other)))
        for key, right in formulas(params.equals).items()
    ]
