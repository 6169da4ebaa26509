"""The table of attacks, made of what a run of the tests has just shown.

A test with the mark `threat("RS-01")` proves that this entry of `hostile/catalogue.yaml` gets
nowhere: in the sandbox that its parameter `sandbox` or `name` names, else on the grader's own side.
`--attacks-table FILE` writes the table at the end of the run, if all was tried;
`--check-attacks-table FILE` fails the run if the file says something else of what was tried, and
where the variable CI is set, also if something was not tried.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CATALOGUE = Path(__file__).parent / "hostile" / "catalogue.yaml"
PLACES = ("docker", "docker-warm", "bubblewrap", "process")
OWN_SIDE = "grader"
COLUMNS = (*PLACES, OWN_SIDE)
#: Why a test may be left out where a table is written: the machine has another processor.
ALLOWED_SKIP = "are those of x86-64"
HEAD = """\
# Attacks and what became of them

Written by `scripts/attacks`, which runs them; do not edit. [security.md](security.md) says what
the sandboxes promise. A number counts the ways of that attack that were tried there and got
nowhere. `docker`, `docker-warm`, `bubblewrap` and `process` are the sandboxes; `grader` is the
trusted side, which reads what comes out of them. `process` isolates nothing and is for notebooks
of one's own; what would harm the machine is not run there.

"""


@dataclass
class Row:
    """What was shown of one entry."""

    resisted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    succeeded: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By place, the reasons."""


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """The entries by id."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(CATALOGUE.read_text())
    return entries


class AttackTable:
    """Collects results while tests run."""

    def __init__(self, write: Path | None, check: Path | None) -> None:
        self.write, self.check = write, check
        self.rows: dict[str, Row] = defaultdict(Row)
        self.untried: set[tuple[str, str]] = set()
        """Entries and places of which a test failed, or was left out."""
        self.missing: list[str] = []
        """Such tests, without those that may be left out."""
        self.says: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Count a test that is over."""
        report = yield
        if report.passed and call.when != "call":
            return report
        for mark in item.iter_markers("threat"):
            for entry in mark.args:
                self.count(entry, place_of(item, mark), mark, report)
        return report

    def count(self, entry: str, place: str, mark: pytest.Mark, report: Any) -> None:
        """Note what a test showed of an entry."""
        reason = mark.kwargs.get("unresisted")
        if not report.passed:
            self.untried.add((entry, place))
            if ALLOWED_SKIP not in str(report.longrepr):
                self.missing.append(report.nodeid)
        elif not reason:
            self.rows[entry].resisted[place] += 1
        elif reason not in self.rows[entry].succeeded[place]:
            self.rows[entry].succeeded[place].append(reason)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write or compare the table."""
        text, not_tried = render(self.rows), ", ".join(dict.fromkeys(self.missing))
        if self.write and self.missing:
            self._fail(session, f"{self.write} was not written, as not all was tried: {not_tried}")
        elif self.write:
            self.write.write_text(text)
            self.says.append(f"{self.write} was written")
        if self.check is None:
            return
        kept = self.check.read_text() if self.check.is_file() else ""
        if self._tried(text) != self._tried(kept):
            self._fail(session, f"{self.check} is out of date: scripts/attacks")
        elif self.missing and os.environ.get("CI"):
            self._fail(session, f"not tried: {not_tried}")
        elif self.missing:
            self.says.append(f"{self.check} was compared as far as was tried; not: {not_tried}")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what happened to the table."""
        for line in self.says:
            terminalreporter.write_line(line)

    def _fail(self, session: pytest.Session, says: str) -> None:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.says.append(says)

    def _tried(self, text: str) -> dict[tuple[str, str], tuple[str, ...]]:
        return {at: said for at, said in read(text).items() if at not in self.untried}


def read(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """What a table says, by entry and place: its cell, and the reasons below; not its sums."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in text.splitlines():
        if line.startswith("|") and (told := line.strip("|").split("|"))[0].strip() in catalogue():
            entry, _, *cells = (one.strip() for one in told)
            both = zip(COLUMNS, cells, strict=False)  # an old table may have had fewer
            found |= {(entry, place): (cell,) for place, cell in both if cell}
        elif noted := re.match(r"- (\S+), \*\*not resisted by ([\w-]+)\*\*: (.*)", line):
            at = noted[1], noted[2]
            found[at] = (*found.get(at, ()), noted[3])
    return found


def place_of(item: pytest.Item, mark: pytest.Mark) -> str:
    """Where a test tried its attack."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    asked = [parameters.get("sandbox"), parameters.get("name")]
    found: str = mark.kwargs.get("where") or next((p for p in asked if p in PLACES), OWN_SIDE)
    return found


def render(rows: dict[str, Row]) -> str:
    """The table in Markdown, with a count below it."""
    lines = [
        HEAD + "| | attack | " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    notes = []
    for entry, known in catalogue().items():
        row = rows.get(entry, Row())
        cells = [_cell(row, place) for place in COLUMNS]
        if "unseen" in known:
            cells = [*("" for _ in PLACES), "not tried"]
            notes.append(f"- {entry}, not tried: {known['unseen']}.")
        for place, reasons in row.succeeded.items():
            notes += [f"- {entry}, **not resisted by {place}**: {reason}." for reason in reasons]
        lines.append(f"| {entry} | {known['name']} | " + " | ".join(cells) + " |")
    ways = {p: sum(row.resisted[p] for row in rows.values()) for p in COLUMNS}
    counted = ", ".join(f"{count} by {place}" for place, count in ways.items())
    tried = sum(any((*row.resisted.values(), *row.succeeded.values())) for row in rows.values())
    total = f"{tried} of {len(catalogue())} entries were tried. Resisted: {counted}."
    return "\n".join([*lines, "", total, "", *notes]) + "\n"


def _cell(row: Row, place: str) -> str:
    said = [str(row.resisted[place])] if row.resisted[place] else []
    return ", ".join([*said, *(["**no**"] if row.succeeded[place] else [])])
