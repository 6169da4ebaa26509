"""`written`: words under a heading, graded by a person; the machine only finds them.

They stand in the notebook, or in a write-up handed in beside it, or in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from grader.checks.base import Context, Problem, Released, Request, Seen, no_mistakes
from grader.checks.reading import Reads
from grader.rubric.model import CheckParams, Strict, Text
from grader.submission import Cell, CellKind
from grader.verdict import Finding, Pending, Work
from grader.writeup.read import Section, WriteUp

NOTEBOOK = "the notebook"
#: Of one line, and without a blank run that two parts could share: it takes linear time.
HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class Wanted(Strict):
    """Where the words stand, and what a person looks for in them."""

    under: Text
    """The heading: its text, or the word that it starts with, such as `2c`."""
    items: tuple[str | dict[str, float], ...] = ()
    """Rubric items for the person; a number is the share of the points."""
    writeup: bool = False
    """Whether students answer in a write-up, so that the notebook need not have the heading."""
    reads: Reads | None = None
    """What a machine may look for in the words, to propose points."""


class Params(CheckParams):
    """`written: {under: 2c, items: [locality]}`."""

    of: Wanted


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Never: a person grades words."""
    return False


def asks(params: Params) -> str:
    """What the student must write."""
    if params.of.writeup:
        return f"an answer to {params.of.under} in the write-up"
    return f"a few sentences under the heading {params.of.under}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """A heading that the template lacks: students could not know where to write."""
    known = params.of.writeup or text_under(params.of.under, context.template) is not None
    if context.template and not known:
        says = f"expected a heading of the template, found {params.of.under!r}"
        yield ("of", "under"), f"{says}; writeup: true, if it is answered in a write-up"
    if params.of.reads:
        yield from params.of.reads.problems(context, ("of", "reads"))
    yield from no_mistakes(params)


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Nothing is asked of the namespace."""
    return {}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether anything but the template's own words stands there.

    Of a write-up nothing can be said here: `grader check` sees the notebook alone.
    """
    return None if params.of.writeup else _lacking(params, seen, context)


def _lacking(params: Params, seen: Seen, context: Context) -> Finding | None:
    """A finding when the notebook has no words under the heading."""
    under = params.of.under
    text = text_under(under, seen.cells)
    if text is None:
        says = f"There is no heading {under}."
        if params.of.writeup:
            says = f"There is no answer to {under} in a write-up."
        return Finding(credit=0.0, says=says, answered=False)
    if not adds_words(text, text_under(under, context.template) or ""):
        return Finding(credit=0.0, says=f"Nothing is written under {under}.", answered=False)
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """The heading, without what a person looks for."""
    told: dict[str, object] = {"under": params.of.under}
    if params.of.writeup:
        told["writeup"] = True
    return Released(params={"of": told}, requests={})


def answers(params: Params, asked: Mapping[str, Request], context: Context, check_id: str) -> None:
    """None: a person grades words."""


def judge(params: Params, seen: Seen, context: Context) -> Finding | Pending:
    """Leave it to a person, unless nothing was written: there, or anywhere else."""
    nothing = _lacking(params, seen, context)
    section = _section(params, seen)
    notes = " ".join(seen.writeup.notes) if seen.writeup else ""
    if nothing is None or section:
        work = _work(params, seen, context, "" if nothing else NOTEBOOK, section)
        read = params.of.reads.proposal(work.text, context.symbolic) if params.of.reads else Work()
        work = replace(work, proposed=read.proposed, read=read.read)
        return Pending(reason="A person grades this.", detail=notes, work=work)
    written, given = ([line for line, _, _ in _lines(c)] for c in (seen.cells, context.template))
    new = _new_words(written, given) if _adds_lines(written, given) else Work()
    names, form = _names(params, seen), seen.given_writeup
    if seen.writeup and all(seen.writeup.may_hold(name, form) for name in names):
        reason = f"{nothing.says} It may be elsewhere in the write-up: a person looks."
        # No text: what was decided holds for this submission alone.
        unplaced = "\n\n".join(filter(None, [new.text, seen.writeup.unplaced]))
        work = Work(source=seen.writeup.name, unplaced=unplaced)
        return Pending(reason=reason, detail=notes, work=work)
    if new.text:
        reason = f"{nothing.says} Other words were written: a person looks."
        return Pending(reason=reason, detail=notes, work=new)
    return nothing


def _section(params: Params, seen: Seen) -> Section | None:
    """The section of the write-up, if there is more in it than students were given."""
    found = _find(params, seen, seen.writeup)
    return found if found and adds_words(found.text, _given(params, seen)) else None


def _given(params: Params, seen: Seen) -> str:
    """What stood there in the write-up that students were given to fill in."""
    given = _find(params, seen, seen.given_writeup)
    return given.text if given else ""


def _find(params: Params, seen: Seen, writeup: WriteUp | None) -> Section | None:
    sections = map(writeup.section, _names(params, seen)) if writeup else iter(())
    return next(filter(None, sections), None)


def _names(params: Params, seen: Seen) -> tuple[str, str]:
    """What a section may be called: as the rubric says, or like the question."""
    return params.of.under, seen.check_id.partition("/")[0]


def _work(
    params: Params, seen: Seen, context: Context, notebook: str, section: Section | None
) -> Work:
    """All that was written, the notebook's words first."""
    under, texts, own = params.of.under, [], []
    if notebook:
        text = text_under(under, seen.cells) or ""
        texts.append((text, notebook))
        own.append(own_lines(text, text_under(under, context.template) or ""))
    if section:
        texts.append((section.text, section.source))
        own.append(own_lines(section.text, _given(params, seen)))
    return Work(
        text="\n\n".join(text for text, _ in texts),
        own="\n\n".join(own),
        source="; ".join(source for _, source in texts),
        unplaced=seen.writeup.unplaced if seen.writeup else "",
    )


def _new_words(written: Sequence[str], given: Sequence[str]) -> Work:
    """The lines of a notebook's markdown that the template lacks."""
    known = set(map(_squeezed, given))
    lines = [line for line in written if _squeezed(line) not in known]
    return Work(text="\n".join(lines), source=f"{NOTEBOOK}, elsewhere")


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


def own_lines(text: str, template: str) -> str:
    """A text without the lines that the template has as well."""
    known = set(map(_squeezed, template.splitlines())) - {""}
    lines = [line for line in text.splitlines() if _squeezed(line) not in known]
    return "\n".join(lines).strip()


def adds_words(text: str, template: str) -> bool:
    """Whether there is a line that the template lacks, and it is not the template reflowed."""
    return _adds_lines(text.splitlines(), template.splitlines())


def _adds_lines(lines: Sequence[str], template: Sequence[str]) -> bool:
    found, given = map(_squeezed, lines), [_squeezed(line) for line in template]
    reflowed = _squeezed("\n".join(lines)) == _squeezed("\n".join(template))
    return not reflowed and not set(found) <= {*given, ""}


def _is(heading: str, found: str) -> bool:
    wanted, found = heading.casefold().strip(), found.casefold().strip()
    return found == wanted or re.match(rf"{re.escape(wanted)}(?![\w])", found) is not None


def _squeezed(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().casefold()
