"""An answer that the notebook lacks and the write-up may hold: a person decides.

Students hand in theory as one PDF and define no variable; that must not cost them the points
without anybody having looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grader.assignment import Assignment
from grader.checks import KINDS
from grader.checks.base import Seen
from grader.checks.given import formulas
from grader.checks.reading import combined, read_formulas
from grader.checks.written import adds_words, own_lines
from grader.rubric import Check
from grader.values import Tensor, Value
from grader.verdict import Conclusion, Finding, Pending, Work
from grader.writeup.numbers import propose_numbers

#: Kinds of theory: what is asked can be written down as well as defined.
THEORY = ("value", "expression", "complexity", "choice")


def elsewhere(check: Check, found: Conclusion, seen: Seen, assignment: Assignment) -> Conclusion:
    """Leave a theory answer to a person that only the write-up may hold, with what can be read.

    Raises:
        Fault: a process that reads or compares cannot be started.
    """
    writeup = seen.writeup
    missing = isinstance(found, Finding) and not found.answered
    if writeup is None or check.kind not in THEORY or not missing:
        return found
    assert isinstance(found, Finding)  # noqa: S101 - for mypy: it is missing
    question = check.id.partition("/")[0]
    section = writeup.section(question)
    given = seen.given_writeup.section(question) if seen.given_writeup else None
    template = given.text if given else ""
    told = " ".join(writeup.notes)
    if section and adds_words(section.text, template):
        work = replace(
            _proposed(check, section.text, seen, assignment),
            text=section.text,
            own=own_lines(section.text, template),
            source=section.source,
            unplaced=writeup.unplaced,
        )
        reason = f"{found.says} The write-up has words for {question}: a person looks."
        return Pending(reason=reason, detail=told, work=work)
    if writeup.may_hold(question, seen.given_writeup):
        reason = f"{found.says} The answer may be in the write-up: a person looks."
        work = Work(source=writeup.name, unplaced=writeup.unplaced)
        return Pending(reason=reason, detail=told, work=work)
    return found


def _proposed(check: Check, text: str, seen: Seen, assignment: Assignment) -> Work:
    """What the check's own right answer lets a machine read in the text."""
    context, params = assignment.context, check.params
    answers = KINDS[check.kind].answers(params, seen.requests, context, check.id)
    right = (answers or {}).get("value")
    name = str(params.of)
    if check.kind == "value":
        return combined(
            [propose_numbers(text, {name: numbers}) if (numbers := _numbers(right)) else None]
        )
    if check.kind == "choice":
        return Work()
    return combined(
        [
            read_formulas(
                text,
                _several(name, right, getattr(params, "also", ())),
                getattr(params, "symbols", {}),
                context.symbolic,
                growth=check.kind == "complexity",
            )
        ]
    )


def _numbers(right: Value) -> list[float]:
    """A list of three numbers or more; nothing for what is none."""
    listed: Any = right.array.tolist() if isinstance(right, Tensor) else right
    if not isinstance(listed, (list, tuple)) or len(listed) < 3:
        return []
    plain = [float(one) for one in listed if isinstance(one, (int, float))]
    return plain if len(plain) == len(listed) else []


def _several(name: str, right: Any, also: tuple[Any, ...]) -> Mapping[str, list[str]]:
    """Right formulas by key, each with its alternatives; a lone one is called by its name."""
    found = {key or name: [text] for key, text in formulas(right).items()}
    for other in also:
        for key, text in formulas(other).items():
            found[key or name].append(text)
    return found
