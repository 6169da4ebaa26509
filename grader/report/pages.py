"""Pages as text: one self-contained HTML file each, in which what students wrote is inert.

What holds for every page:

* each expression of a template is made visible (`grader/report/inert.py`) and escaped, without
  anybody asking for it; only markup that this package makes passes as it is;
* the content security policy allows one style by its digest, on the class page one script by its
  digest, and nothing else: no request, no image from anywhere, no form, no attribute with style;
* links go to file names of ours alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.report import drawing, inert
from grader.report.charts import bars
from grader.report.excerpts import Excerpt
from grader.report.statistics import RAN, Row, Spread, Tally, binned, is_lost, spread
from grader.rubric import Rubric
from grader.verdict import CheckScore, Outcome, QuestionScore, Score, Status, Work

#: A sign and a word for each outcome: neither stands alone.
OUTCOMES = {
    Outcome.FULL: ("✓", "full points"),
    Outcome.PARTIAL: ("◐", "part of the points"),
    Outcome.NONE: ("✗", "no points"),
    Outcome.NOT_RUN: ("∅", "nothing to judge"),
    Outcome.PENDING: ("…", "waits for a person"),
    Outcome.BROKEN: ("…", "waits for a person"),
}
STATUSES = {
    Status.COMPLETE: "The notebook ran from top to bottom.",
    Status.TIME_LIMIT: "The notebook was stopped when its time was up.",
    Status.MEMORY_LIMIT: "The notebook was stopped because it used too much memory.",
    Status.KERNEL_DIED: "The kernel died while the notebook ran.",
    Status.UNREADABLE: "What was handed in could not be read as a notebook.",
    Status.MISSING: "Nothing was handed in.",
    Status.NEEDS_PERSON: "The grader could not run the notebook; a person will look.",
}
#: Lines of a cell's source, and of what it printed, that a page shows.
SOURCE_LINES, TEXT_LINES, TRACE_LINES = 80, 30, 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One check as a page shows it."""

    check: CheckScore
    asks: str
    """What the student had to define, in words; empty if nobody can say."""
    work: Work
    """What the student wrote, where words were asked."""
    pictures: tuple[Markup, ...]
    unknown: str = ""
    """Why there are no pictures, for staff."""

    @property
    def lost(self) -> bool:
        """Whether it has cost points."""
        return is_lost(self.check)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One question as a page shows it."""

    question: QuestionScore
    title: str
    exhibits: tuple[Exhibit, ...]
    cells: tuple[Excerpt, ...]

    @property
    def lost(self) -> bool:
        """Whether something in it has cost points."""
        return any(exhibit.lost for exhibit in self.exhibits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run took, and which cells did not run through."""

    wall_s: float
    peak_mib: float
    sandbox: str
    executed: int
    """How many cells were, to their end or not."""
    failed: tuple[Excerpt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentPage:
    """All that stands on a student's page."""

    score: Score
    file: str
    sections: tuple[Section, ...]
    ran: Ran | None
    problem: str = ""
    """Why there was nothing to execute, as the student reads it."""
    plain: str = ""
    """Why there are no pictures and cells, for staff; empty if there may be some."""


def environment() -> Environment:
    """The templates, with everything that they may call."""
    made = Environment(
        loader=PackageLoader("grader.report", "templates"),
        autoescape=True,
        finalize=_inert,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = _part("style.css")
    made.globals |= {
        "STYLE": style,
        "STYLE_DIGEST": _digest(style),
        "SCRIPT": _part("sort.js"),
        "SCRIPT_DIGEST": _digest(_part("sort.js")),
        "OUTCOMES": OUTCOMES,
        "STATUSES": STATUSES,
        "line": inert.line,
        "source": _source,
        "printed": _printed,
        "trace": _trace,
        "meter": drawing.meter,
        "points": points,
        "seconds": seconds,
        "quote": quote,
    }
    return made


def student_html(made: Environment, page: StudentPage, rubric: Rubric, *, staff: bool) -> str:
    """One student's page.

    Args:
        made: The templates.
        page: What stands on it; for staff with expected values, for the student without.
        rubric: For titles and limits.
        staff: Who reads it.
    """
    return made.get_template("student.html").render(page=page, rubric=rubric, staff=staff)


def class_html(made: Environment, tally: Tally, rubric: Rubric) -> str:
    """The page of the class, for staff."""
    totals = [row.total for row in tally.ran if row.total is not None]
    most = tally.rows[0].max_points if tally.rows else 0.0
    labels, counts = binned(totals, most)
    width = most / len(labels)
    spans = [f"{width * n:.3g} to {width * (n + 1):.3g} points" for n in range(len(labels) - 1)]
    spans.append(f"{labels[-1]} points or more")  # a bonus may lead beyond the maximum
    alt = "; ".join(f"{s}: {c}" for s, c in zip(spans, counts, strict=True) if c)
    return made.get_template("class.html").render(
        rubric=rubric,
        tally=tally,
        most=most,
        totals=spread(totals),
        chart=bars(labels, counts, f"Students by points. {alt}"),
        items=tally.items(),
        sentences=tally.sentences(),
        used=_used(tally.ran),
        slowest=_largest(tally.ran, "wall_s"),
        largest=_largest(tally.ran, "peak_mib"),
        waiting=sum(bool(row.needs) for row in tally.rows),
        faults=[row for row in tally.rows if row.status is Status.NEEDS_PERSON],
        ran=set(RAN),
    )


def _used(rows: Sequence[Row]) -> list[tuple[str, str, Spread]]:
    """Time and memory: what, unit, spread."""
    times = spread([row.wall_s for row in rows if row.wall_s is not None])
    sizes = spread([row.peak_mib for row in rows if row.peak_mib])
    told = [("Time", "s", times), ("Memory", "MiB", sizes)]
    return [(what, unit, found) for what, unit, found in told if found]


def _largest(rows: Sequence[Row], of: str) -> list[Row]:
    return sorted((row for row in rows if getattr(row, of)), key=lambda row: -getattr(row, of))[:3]


def points(number: float | None) -> str:
    """Points as a person writes them; a dash while nobody knows."""
    return "\N{EN DASH}" if number is None else f"{round(number, 2):g}"


def seconds(number: float) -> str:
    """A time in words of a fitting size."""
    return f"{number:.1f} s" if number < 120 else f"{number / 60:.1f} min"


def _source(text: str) -> str:
    return inert.block(text, SOURCE_LINES)


def _printed(text: str) -> str:
    return inert.block(text, TEXT_LINES)


def _trace(text: str) -> str:
    return inert.block(text, TRACE_LINES, last=True)


def _inert(value: Any) -> Any:
    """What Jinja does with the value of every expression before it escapes it."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return inert.visible(value)


def _part(name: str) -> Markup:
    """A file of ours that goes into pages as it is."""
    path = resources.files("grader.report") / "templates" / name
    return Markup(path.read_text(encoding="utf-8").strip())  # noqa: S704 - our own file


def _digest(text: str) -> str:
    """A source expression of a content security policy. Source: W3C CSP level 3, 2.3.1."""
    found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{found}'"
