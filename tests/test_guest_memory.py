"""What the guest reads of its control group."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.guest import memory

EVENTS = "low 0\nhigh 0\nmax 7\noom {oom}\noom_kill {kills}\noom_group_kill 0\n"


@pytest.mark.parametrize(("oom", "ours"), [(0, False), (2, True)])
def test_a_kill_without_an_own_limit_met_is_the_hosts(
    oom: int, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "memory.events"
    events.write_text(EVENTS.format(oom=oom, kills=3))
    monkeypatch.setattr(memory, "EVENTS", str(events))
    monkeypatch.setattr(memory, "OOM_FILES", (str(events),))
    assert (memory.oom_kills(), memory.own_limit_reached()) == (3, ours)


@pytest.mark.parametrize(("most", "ours"), [(500, False), (1000, True)])
def test_a_group_of_version_1_tells_by_its_highest_use(
    most: int, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "most").write_text(f"{most}\n")
    (tmp_path / "limit").write_text("1000\n")
    monkeypatch.setattr(memory, "EVENTS", str(tmp_path / "none"))
    files = (str(tmp_path / "most"), str(tmp_path / "limit"))
    monkeypatch.setattr(memory, "LIMIT_FILES", files)
    assert memory.own_limit_reached() is ours
