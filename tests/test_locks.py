"""Locks that the system lets go of: what a killed process held is nobody's from then on."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from io import TextIOWrapper
from pathlib import Path

import pytest

import grader.locks as locks
from grader.course import Course
from grader.errors import StoreFault
from grader.locks import atomically, locked, open_alone
from grader.sandbox.owner import Owner, forget, is_gone, runs_that_are_gone
from grader.sandbox.process import remove_leftovers
from grader.store import NEW, Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def at_work(source: str, folder: Path) -> subprocess.Popen[str]:
    """Another process that has done something in a folder, and goes on."""
    program = f"import sys, time\nfrom pathlib import Path\nhere = Path(sys.argv[1])\n{source}\n"
    program += "print('done', flush=True)\ntime.sleep(600)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    assert process.stdout
    assert process.stdout.readline() == "done\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_lock_is_free_as_soon_as_its_holder_was_killed(tmp_path: Path) -> None:
    holds = "from grader.locks import locked\nheld = locked(here / 'lock'); held.__enter__()"
    other = at_work(holds, tmp_path)
    with locked(tmp_path / "lock", wait=False) as ours:
        assert not ours
    kill(other)
    with locked(tmp_path / "lock", wait=False) as ours:
        assert ours


def test_those_who_share_a_lock_keep_out_only_who_wants_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, shared=True) as first, locked(path, shared=True, wait=False) as second:
        assert (first, second) == (True, True)
        with locked(path, wait=False) as alone:
            assert not alone


def test_of_many_who_write_a_file_at_once_every_text_is_whole_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    path, start = tmp_path / "a.csv", threading.Barrier(8)

    def write(letter: str) -> None:
        start.wait()
        for _ in range(20):
            with atomically(path) as file:
                file.write(letter * 5000)
            assert len(set(path.read_text())) == 1
            assert len(path.read_text()) == 5000

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]


def test_what_a_killed_writer_left_is_the_beginning_of_the_next(tmp_path: Path) -> None:
    writes = "from grader.locks import atomically\n"
    writes += "writing = atomically(here / 'a.csv')\nfile = writing.__enter__()\n"
    writes += "file.write('x' * 99999)\nfile.flush()"
    kill(at_work(writes, tmp_path))
    assert [one.name for one in tmp_path.iterdir()] == [".a.csv.new"]
    with atomically(tmp_path / "a.csv") as file:
        file.write("short")
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "short"


def test_what_raises_while_it_writes_leaves_the_old_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")

    def fail() -> None:
        with atomically(tmp_path / "a.csv") as file:
            file.write("new")
            raise StoreFault("no")

    with pytest.raises(StoreFault, match="no"):
        fail()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.csv", "old")]


def test_a_file_that_was_removed_is_not_written_by_who_waited_for_it(tmp_path: Path) -> None:
    path, found = tmp_path / "new", []

    def wait() -> None:
        with open_alone(path) as file:
            file.write("mine")
        found.append(path.read_text())

    with open_alone(path) as file:
        thread = threading.Thread(target=wait)
        thread.start()
        file.write("theirs")
        file.flush()
        path.replace(tmp_path / "finished")
    thread.join()
    assert (found, (tmp_path / "finished").read_text()) == (["mine"], "theirs")


def test_of_many_first_runs_all_read_the_same_secret(tmp_path: Path) -> None:
    (tmp_path / ".grader").mkdir()
    with open_alone(tmp_path / ".grader" / "secret.new") as left:
        left.write("what a killed grader began")
    start, found = threading.Barrier(8), []

    def read() -> None:
        start.wait()
        found.append(Course(tmp_path).secret())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / ".grader").iterdir()] == ["secret"]
    assert (tmp_path / ".grader" / "secret").stat().st_mode & 0o077 == 0


def test_a_claim_is_for_one_and_ends_with_who_has_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.claimed("key") as ours, store.claimed("key") as again, store.claimed("b") as other:
        assert (ours, again, other) == (True, False, True)
    claims = "from grader.store import Store\nmine = Store(here).claimed('key')\nmine.__enter__()"
    other_grader = at_work(claims, tmp_path)
    with store.claimed("key") as ours:
        assert not ours
    store.clean()
    assert len(list((tmp_path / "evidence").iterdir())) == 1
    kill(other_grader)
    store.clean()
    assert list((tmp_path / "evidence").iterdir()) == []


def test_a_claim_whose_file_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, held = tmp_path / "claim", locks._is_held
    removals = iter([path.unlink])

    def late(file: TextIOWrapper) -> bool:
        next(removals, lambda: None)()
        return held(file)

    monkeypatch.setattr(locks, "_is_held", late)
    file = locks.claim(path)
    assert file
    assert os.path.samestat(os.fstat(file.fileno()), path.stat())
    file.close()


def test_half_written_evidence_is_removed_once_nobody_writes(tmp_path: Path) -> None:
    left = tmp_path / "evidence" / f"{NEW}x"
    left.mkdir(parents=True)
    store = Store(tmp_path)
    with locked(tmp_path / "evidence.lock", shared=True):
        store.clean()
        assert left.is_dir(), "it may be of whoever writes right now"
    store.clean()
    assert not left.exists()


def test_a_run_is_gone_when_its_grader_was_killed_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = Owner("mine")
    other = at_work("from grader.sandbox.owner import Owner\nowner = Owner('other')", tmp_path)
    assert [is_gone(run) for run in ("mine", "other", "nobody", "../x")] == [False] * 4
    kill(other)
    assert runs_that_are_gone() == ["other"]
    forget("other")
    mine.close()
    assert (runs_that_are_gone(), list(tmp_path.iterdir())) == ([], [])


def test_folders_of_runs_are_removed_once_their_grader_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runs = "from grader.sandbox.process import _folder\nrun = _folder({}); run.__enter__()"
    other = at_work(runs, tmp_path)
    (folder,) = tmp_path.iterdir()
    home = os.environ | {"HOME": str(folder / "work")}
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=home)
    remove_leftovers()
    assert stray.poll() is None
    kill(other)
    remove_leftovers()
    assert stray.wait(60) == -9
    assert list(tmp_path.iterdir()) == []


ENDS = """
import os, sys
from pathlib import Path
from grader.sandbox.process import _folder

def look(event, told):
    if event == "os.remove" and os.path.basename(told[0]) == "owner":
        print(sorted(os.listdir(base)))

with _folder({"data": Path(sys.argv[1])}) as base:
    (base / "work" / "mine.txt").write_text("1")
    sys.addaudithook(look)
print(base.exists())
"""


def test_of_a_run_that_ends_what_tells_whose_it_is_goes_last(tmp_path: Path) -> None:
    (tmp_path / "data" / "more").mkdir(parents=True)
    (tmp_path / "data" / "more" / "train.csv").write_text("1,2")
    ran = subprocess.run(
        [sys.executable, "-c", ENDS, tmp_path / "data"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["['owner']", "False"], "a grader may be killed at any moment"
