"""`written`: words under a heading, graded by a person; the machine only finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.checks.base import Context, Problem, Released, Request, Seen, no_mistakes
from grader.rubric.model import CheckParams, Strict, Text
from grader.submission import Cell, CellKind
from grader.verdict import Finding, Pending

TESTIMONY = False
#: Of one line, and without a blank run that two parts could share: it takes linear time.
HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class Wanted(Strict):
    """Where the words stand, and what a person looks for in them."""

    under: Text
    """The heading: its text, or the word that it starts with, such as `2c`."""
    items: tuple[str | dict[str, float], ...] = ()
    """Rubric items for the person; a number is the share of the points."""


class Params(CheckParams):
    """`written: {under: 2c, items: [locality]}`."""

    of: Wanted


def asks(params: Params) -> str:
    """What the student must write."""
    return f"a few sentences under the heading {params.of.under}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """A heading that the template lacks: students could not know where to write."""
    if context.template and text_under(params.of.under, context.template) is None:
        yield ("of", "under"), f"expected a heading of the template, found {params.of.under!r}"
    yield from no_mistakes(params)


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Nothing is asked of the namespace."""
    return {}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether anything but the template's own words stands there."""
    text = text_under(params.of.under, seen.cells)
    if text is None:
        says = f"There is no heading {params.of.under}."
        return Finding(credit=0.0, says=says, answered=False)
    given = text_under(params.of.under, context.template) or ""
    if not _adds_words(text.splitlines(), given.splitlines()):
        says = f"Nothing is written under {params.of.under}."
        return Finding(credit=0.0, says=says, answered=False)
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """The heading, without what a person looks for."""
    return Released(params={"of": {"under": params.of.under}}, requests={})


def judge(params: Params, seen: Seen, context: Context) -> Finding | Pending:
    """Leave it to a person, unless nothing was written: there, or anywhere else in markdown."""
    nothing = form(params, seen, context)
    if nothing is None:
        return Pending(reason="A person grades this.")
    written, given = ([line for line, _, _ in _lines(c)] for c in (seen.cells, context.template))
    if _adds_words(written, given):
        return Pending(reason=f"{nothing.says} Other words were written: a person looks.")
    return nothing


def text_under(heading: str, cells: Sequence[Cell]) -> str | None:
    """The markdown from a heading to the next of its level or above; None without the heading."""
    lines: list[str] = []
    level = 0
    for line, rank, title in _lines(cells):
        if level and rank and rank <= level:
            break
        if level:
            lines.append(line)
        elif rank and _is(heading, title):
            level = rank
    return "\n".join(lines).strip() if level else None


def _lines(cells: Sequence[Cell]) -> Iterator[tuple[str, int, str]]:
    """Every line of markdown; the level and text of one that is a heading, else 0."""
    for cell in cells:
        if cell.kind is not CellKind.MARKDOWN:
            continue
        fence = ""
        for line in cell.source.splitlines():
            mark, found = FENCE.match(line), HEADING.fullmatch(line)
            if fence:
                if mark and mark[1].startswith(fence) and not line.strip(" \t" + fence[0]):
                    fence = ""
            elif mark:
                fence = mark[1]
            elif found:
                yield line, len(found[1]), (found[2] or "").strip().rstrip("#").rstrip()
                continue
            yield line, 0, ""


def _adds_words(lines: Sequence[str], template: Sequence[str]) -> bool:
    """Whether there is a line that the template lacks, and it is not the template reflowed."""
    found, given = map(_squeezed, lines), [_squeezed(line) for line in template]
    reflowed = _squeezed("\n".join(lines)) == _squeezed("\n".join(template))
    return not reflowed and not set(found) <= {*given, ""}


def _is(heading: str, found: str) -> bool:
    wanted, found = heading.casefold().strip(), found.casefold().strip()
    return found == wanted or re.match(rf"{re.escape(wanted)}(?![\w])", found) is not None


def _squeezed(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().casefold()
