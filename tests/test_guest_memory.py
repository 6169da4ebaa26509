"""What the guest reads of its control group."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from grader.guest import memory
from grader.guest.memory import Counts

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


BEFORE = Counts(kills=0, refused=0, tasks=1, held_mib=200)


@pytest.mark.parametrize(
    ("now", "back"),
    [
        (BEFORE, True),
        (replace(BEFORE, held_mib=120), True),
        (replace(BEFORE, held_mib=264), True),
        (replace(BEFORE, held_mib=265), False),
        (replace(BEFORE, kills=1), False),
        (replace(BEFORE, refused=1), False),
        (replace(BEFORE, tasks=2), False),
    ],
)
def test_a_group_is_back_when_nothing_happened_and_nothing_is_left(now: Counts, back: bool) -> None:
    assert now.is_back_at(BEFORE) is back


@pytest.mark.parametrize(
    ("name", "told"),
    [("memory/memory.stat", "cache 5\nrss {}\nshmem {}\n"), ("memory.stat", "anon {}\nshmem {}\n")],
)
def test_memory_that_is_held_is_that_of_processes_and_of_files_without_a_disk(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(told.format(3 << 20, 4 << 20))
    monkeypatch.setattr(memory, "_group", str(tmp_path))
    assert memory.counts() == Counts(kills=0, refused=0, tasks=0, held_mib=7)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no control groups elsewhere")
def test_a_group_is_read_through_an_open_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_group", "/nowhere")
    (tmp_path / "pids.current").write_text("7\n")
    folder = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        memory.look_from(folder)
        assert memory.counts().tasks == 7
    finally:
        os.close(folder)
