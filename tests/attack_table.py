"""The table of attacks, made of what a run of the tests has just shown.

A test with the mark `threat("RS-01")` proves that this entry of `hostile/catalogue.yaml` gets
nowhere: in the sandbox that its parameter `sandbox` or `name` names, else on the grader's own side.
`--attacks-table FILE` writes the table at the end of the run; `--check-attacks-table FILE` fails
the run if the file says something else.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

CATALOGUE = Path(__file__).parent / "hostile" / "catalogue.yaml"
PLACES = ("docker", "docker-warm", "bubblewrap", "process")
OWN_SIDE = "grader"
COLUMNS = (*PLACES, OWN_SIDE)
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


def catalogue() -> dict[str, dict[str, Any]]:
    """The entries by id."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(CATALOGUE.read_text())
    return entries


class AttackTable:
    """Collects results while tests run."""

    def __init__(self, write: Path | None, check: Path | None) -> None:
        self.write, self.check = write, check
        self.rows: dict[str, Row] = defaultdict(Row)
        self.untried: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Count a test that is over."""
        report = yield
        marks = list(item.iter_markers("threat"))
        if report.passed and call.when != "call":
            return report
        for mark in marks:
            for entry in mark.args:
                self._count(entry, place_of(item, mark), mark, report)
        return report

    def _count(self, entry: str, place: str, mark: pytest.Mark, report: Any) -> None:
        row, reason = self.rows[entry], mark.kwargs.get("unresisted")
        if not report.passed:
            self.untried.append(report.nodeid)
        elif reason:
            if reason not in row.succeeded[place]:
                row.succeeded[place].append(reason)
        else:
            row.resisted[place] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write or compare the table."""
        text = render(self.rows)
        if self.write:
            self.write.write_text(text)
        if self.check and not self.untried and self.check.read_text() != text:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self.write = self.check

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what happened to the table."""
        if self.check and self.check == self.write:
            terminalreporter.write_line(f"{self.check} is out of date: scripts/attacks", red=True)
        elif self.check and self.untried:
            terminalreporter.write_line(f"{self.check} was not compared: not all attacks ran")
        elif self.write:
            terminalreporter.write_line(f"{self.write} was written")


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
            cells = ["", "", "", "not tried"]
            notes.append(f"- {entry}, not tried: {known['unseen']}.")
        for place, reasons in row.succeeded.items():
            notes += [f"- {entry}, **not resisted by {place}**: {reason}." for reason in reasons]
        lines.append(f"| {entry} | {known['name']} | " + " | ".join(cells) + " |")
    ways = {p: sum(row.resisted[p] for row in rows.values()) for p in COLUMNS}
    counted = ", ".join(f"{count} by {place}" for place, count in ways.items())
    tried = sum(1 for entry in catalogue() if entry in rows)
    total = f"{tried} of {len(catalogue())} entries were tried. Resisted: {counted}."
    return "\n".join([*lines, "", total, "", *notes]) + "\n"


def _cell(row: Row, place: str) -> str:
    said = [str(row.resisted[place])] if row.resisted[place] else []
    return ", ".join([*said, *(["**no**"] if row.succeeded[place] else [])])
