"""The table of attacks says what was tried, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attack_table import AttackTable, catalogue, read, render

OK, FAILED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED
UNSEEN = ("RS-21", "HE-07", "RX-09", "RX-11", "XS-03")
RESISTED = pytest.mark.threat("RS-01").mark
SUCCEEDED = pytest.mark.threat("RX-03", unresisted="nobody counts").mark


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def report(passed: bool = True, reason: str = "") -> Any:
    return SimpleNamespace(passed=passed, longrepr=reason, nodeid="a test")


def table(write: Path | None = None, check: Path | None = None) -> AttackTable:
    """Four tests passed in two entries."""
    made = AttackTable(write, check)
    made.count("RS-01", "docker", RESISTED, report())
    made.count("RS-01", "process", RESISTED, report())
    made.count("RX-03", "bubblewrap", SUCCEEDED, report())
    made.count("RX-03", "docker-warm", SUCCEEDED, report())
    return made


def ends(made: AttackTable) -> Any:
    session: Any = SimpleNamespace(exitstatus=OK)
    made.pytest_sessionfinish(session)
    return session.exitstatus


def test_a_table_says_what_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "attacks.md"
    assert ends(table(write=path)) is OK
    assert read(path.read_text()) == {
        ("RS-01", "docker"): ("1",),
        ("RS-01", "process"): ("1",),
        ("RX-03", "bubblewrap"): ("**no**", "nobody counts."),
        ("RX-03", "docker-warm"): ("**no**", "nobody counts."),
    } | {(entry, "grader"): ("not tried",) for entry in UNSEEN}
    ways = "1 by docker, 0 by docker-warm, 0 by bubblewrap, 1 by process, 0 by grader"
    assert f"2 of {len(catalogue())} entries were tried. Resisted: {ways}." in path.read_text()


@pytest.mark.parametrize("why", ["AssertionError", "Skipped: docker: no engine"])
def test_a_table_is_not_written_if_something_was_not_tried(why: str, tmp_path: Path) -> None:
    path = tmp_path / "attacks.md"
    made = table(write=path)
    made.count("RS-02", "docker", RESISTED, report(passed=False, reason=why))
    assert ends(made) is FAILED
    assert not path.exists()
    assert made.says == [f"{path} was not written, as not all was tried: a test"]


def test_what_names_system_calls_of_x86_may_be_left_out_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "attacks.md"
    made = table(write=path)
    reason = "Skipped: its numbers of system calls are those of x86-64"
    skipped = report(passed=False, reason=reason)
    made.count("TP-12", "grader", RESISTED, skipped)
    assert ends(made) is OK
    assert f"2 of {len(catalogue())} entries were tried." in path.read_text()


@pytest.mark.parametrize(("ci", "status"), [("", OK), ("true", FAILED)])
def test_what_was_tried_is_compared_although_something_was_not(
    ci: str, status: pytest.ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "attacks.md"
    monkeypatch.setenv("CI", ci)
    path.write_text(render(table().rows))
    made = table(check=path)
    made.count("RS-01", "bubblewrap", RESISTED, report(passed=False, reason="Skipped: none here"))
    assert ends(made) is status
    made.count("RS-02", "docker", RESISTED, report())
    assert ends(made) is FAILED
    assert made.says[-1] == f"{path} is out of date: scripts/attacks"


def test_a_table_without_a_reason_that_holds_is_out_of_date(tmp_path: Path) -> None:
    path = tmp_path / "attacks.md"
    path.write_text(render(table().rows).replace("nobody counts", "nobody looks"))
    assert ends(table(check=path)) is FAILED


def test_a_table_that_is_not_there_is_out_of_date(tmp_path: Path) -> None:
    assert ends(table(check=tmp_path / "attacks.md")) is FAILED
