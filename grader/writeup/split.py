"""Split a write-up by question, in the many ways in which students name questions.

`## 1a`, `Question 1 (a)`, `1. (a)`, `Q1a:`, `a)` below `1.`: a name is a number and letters, each
in any brackets, behind a word such as `Problem`. Markup or that word makes it certain; a bare `2.`
counts only where nothing certain names the same question, and never goes back, because answers
hold lists of their own. What is not placed is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grader.writeup.lines import MAX_LABEL_CHARS, Line

Name = tuple[str, ...]
"""A question's name in parts: `2d-i` is 2, d, i."""

_WORDS = "question|problem|exercise|task|part|section|ques|que|qns|qn|prob|ex|q"
_ANSWER = r"(?:(?:solution|answer|ans|sol)s?(?![a-z])\s*(?:to|of|for)?\s*[:.\-]?\s*)?"
_PREFIX = re.compile(
    rf"{_ANSWER}(?:(?:{_WORDS})(?![a-z])\.?\s*(?:(?:no|nr|number)(?![a-z])\.?|#)?\s*[:.\-]?\s*)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\s*[(\[]?(\d{1,2})(?!\d|\.\d)")
_GLUED = re.compile(r"[.\-]?([a-z])(?![a-z0-9])", re.IGNORECASE)
_LETTER = re.compile(
    r"[)\]]?[\s.\-:,]*[(\[]?([a-z]|[ivx]{2,4})(?:[)\]]|[.:](?=\s|$)|(?=\s*$)|(?=\s*[\-\u2013\u2014:]\s))",
    re.IGNORECASE,
)
_LONE = re.compile(
    r"\s*[(\[]?([a-z]|[ivx]{2,4})(?:[)\]]\.?:?|\.(?=\s|$)|(:)|(?=\s*$))", re.IGNORECASE
)
_BLANK = " .:)]-\u2013\u2014*_"
_END = re.compile(r"\s*(?:[)\].:]+|[\-\u2013\u2014](?=\s)|(?=\s*$))")


@dataclass(frozen=True, slots=True)
class Named:
    """What the beginning of a line says."""

    parts: Name
    certain: bool
    ended: bool
    """Whether a bracket, dot or colon follows, or nothing."""
    end: int
    """Where in the label the name ends."""


Labels = tuple[tuple[str, Named], ...]
"""Labels of a line that may name a question, each with what it says."""


@dataclass(frozen=True, slots=True)
class Split:
    """A write-up by question."""

    sections: dict[Name, tuple[Line, ...]]
    """Lines under every name that was found; also under a `1` that only has `1a` and `1b`."""
    unplaced: tuple[Line, ...]
    """What stands before any name."""

    def under(self, question: str) -> tuple[Line, ...] | None:
        """The section of a question, or of the nearest one around it that has words."""
        name = name_of(question)
        for length in range(len(name), 0, -1):
            lines = self.sections.get(name[:length], ())
            if length == len(name) and name in self.sections:
                return lines
            if any(line.text.strip() for line in lines):
                return lines
        return None


def name_of(question: str) -> Name:
    """A question's id in parts."""
    return tuple(re.findall(r"\d+|[a-z]+", question.casefold()))


def split(lines: Sequence[Line], questions: Iterable[str]) -> Split:
    """Split lines by the questions of a rubric."""
    names = _Names(questions)
    said = [tuple(_named(line, names)) for line in lines]
    certain = _certain(said, names)
    here: Name = ()
    sections: dict[Name, list[Line]] = {}
    unplaced: list[Line] = []
    for line, labels in zip(lines, said, strict=True):
        found = _turn(line, labels, here, names, certain)
        if found is None:
            (sections[here] if here else unplaced).append(line)
            continue
        here, rest = found
        kept = sections.setdefault(here, [])
        if rest:
            kept.append(line)
    return Split({name: tuple(kept) for name, kept in sections.items()}, tuple(unplaced))


class _Names:
    """The names that a rubric knows, with those around them: of `1a` also `1`."""

    def __init__(self, questions: Iterable[str]) -> None:
        self.written = {name_of(q): q.casefold() for q in questions if name_of(q)}
        self.order = list(self.written)
        #: The longest written first, because one may begin like another.
        self.longest = sorted(self.order, key=lambda name: -len(self.written[name]))
        self.all = {name[:n] for name in self.order for n in range(1, len(name) + 1)}

    def place(self, name: Name) -> int:
        """Where in the rubric a name first stands."""
        return next(n for n, known in enumerate(self.order) if known[: len(name)] == name)

    def resolve(self, parts: Name, here: Name) -> Name | None:
        """The known name that is meant where `here` was the last."""
        if parts in self.written or (parts[0].isdigit() and parts in self.all):
            return parts
        if parts[0].isdigit():
            starts = (parts[:n] for n in range(len(parts) - 1, 0, -1))
            return next((name for name in starts if name in self.all), None)
        around = (here[:n] + parts for n in range(len(here), -1, -1))
        return next((name for name in around if name in self.all), None)


def _turn(
    line: Line, labels: Labels, here: Name, names: _Names, certain: set[Name]
) -> tuple[Name, bool] | None:
    """The question that a line begins, and whether it says more than its name."""
    for label, named in labels:
        name = names.resolve(named.parts, here)
        if name is None:
            continue
        if named.certain or _fits(name, here, named, names, certain):
            spare = name[-1] != named.parts[-1]  # what looked like a name's part is a word
            rest = line.counted or spare or bool(label[named.end :].strip(_BLANK))
            return name, rest
    return None


def _fits(name: Name, here: Name, named: Named, names: _Names, certain: set[Name]) -> bool:
    """Whether a name without markup is one: a list within an answer also has `1.` and `(a)`."""
    bare = len(name) == 1 and name[0].isdigit()
    shadowed = name in certain or (bare and any(c[0].isdigit() for c in certain))
    deeper = len(name) > len(here) and name[: len(here)] == here
    onward = not here or deeper or names.place(name) > names.place(here)
    within = len(name) < len(here) and name == here[: len(name)]
    return named.ended and onward and not shadowed and not within


def _certain(said: Iterable[Labels], names: _Names) -> set[Name]:
    """Names that markup or a word makes certain somewhere."""
    found: set[Name] = set()
    here: Name = ()
    for labels in said:
        for _, named in labels:
            name = names.resolve(named.parts, here)
            if name is not None and named.certain:
                found.add(name)
                here = name
                break
    return found


def _named(line: Line, names: _Names) -> Iterator[tuple[str, Named]]:
    for label in line.labels:
        label = label[:MAX_LABEL_CHARS].strip()
        exact = _exact(label, line.heading, names)
        named = exact or parse(label, heading=line.heading)
        if named is not None:
            yield label, named


def _exact(label: str, heading: bool, names: _Names) -> Named | None:
    """An id as the rubric writes it: `P1`, `2d-i`, `Discussion`."""
    folded = label.casefold()
    prefix = _PREFIX.match(folded)
    start = prefix.end() if prefix else 0
    for name in names.longest:
        written = names.written[name]
        for at in {0, start}:
            if not folded.startswith(written, at):
                continue  # most lines name nothing, and there may be many
            if not folded[at + len(written) :][:1].isalnum():
                ended = _END.match(folded, at + len(written)) is not None
                prose = label[at + len(written) :].lstrip()[:1].islower() and not ended
                sure = heading or (at > 0 and not prose)
                if sure or (ended and len(name) > 1):
                    return Named(name, sure, ended, at + len(written))
        if heading and re.search(rf"\([^()]*\b{re.escape(names.written[name])}\)$", folded):
            return Named(name, True, True, 0)
    return None


def parse(label: str, *, heading: bool) -> Named | None:
    """Read a name off the beginning of a line."""
    prefix = _PREFIX.match(label)
    start = prefix.end() if prefix else 0
    certain = heading or start > 0
    number = _NUMBER.match(label, start)
    if number is None:
        lone = _LONE.match(label, start)
        if lone is None or (not certain and (lone[2] or not lone[0].strip(label[:0] + lone[1]))):
            return None
        return Named((lone[1].casefold(),), certain, True, lone.end())
    parts, at = [number[1].lstrip("0") or "0"], number.end()
    while len(parts) < 3:
        letter = _GLUED.match(label, at) or _LETTER.match(label, at)
        if letter is None:
            break
        parts.append(letter[1].casefold())
        at = letter.end()
    ended = _END.match(label, at)
    closed = len(parts) > 1 and label[at - 1 : at] in ")].:"
    if not heading and label[at:].lstrip()[:1].islower() and not (ended or closed):
        certain = False  # `Question 2 asks` is a sentence
    lone_number = len(parts) == 1 and not label[number.end() :].strip()  # a page's number
    return Named(tuple(parts), certain, bool(ended or closed) and not lone_number, at)
