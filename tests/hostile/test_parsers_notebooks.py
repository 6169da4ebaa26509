"""Notebooks that are none, and submissions that are no files."""

from __future__ import annotations

import csv
import json
import os
import random
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzz.notebooks import SEEDS, Raw, written
from small_course import make_course, notebook

from grader.intake.folders import Handed, read_submission
from grader.report.tables import write_reports
from grader.score import unexecuted
from grader.submission import Layout
from grader.symbolic import Symbolic
from hostile.parsing import quickly

# --- TP-10: notebooks ----------------------------------------------------------------------------

WHOLE = {
    "deep": "[" * 3000,
    "empty": "",
    "zero bytes": "\0" * 100,
    "UTF-16": json.dumps(SEEDS[0]).encode("utf-16").decode("latin-1"),
    "cells that are one cell": written({"nbformat": 4, "cells": SEEDS[0]["cells"][0]}),  # type: ignore[index]
    "ids twice": written(
        {"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "id": "a"}] * 2}
    ),
    "100000 cells": '{"nbformat": 4, "cells": [' + "{}," * 100_000 + "{}]}",
    "huge attachments": written(
        {"nbformat": 4, "cells": [{"cell_type": "markdown", "attachments": {"a": "x" * (1 << 20)}}]}
    ),
    "format 10^4000": '{"nbformat": 1' + "0" * 4000 + "}",
    "more than may be": " " * (21 << 20),
}
ODD: list[Any] = [
    *(None, True, -1, 2**70, 1e308, "", "\ud800", "x" * 5000, [], {}, [[]], {"a": {}}),
    *(Raw("NaN"), Raw("9" * 5000), Raw("1e999"), Raw("[" * 3000), {"twice": [("a", 1), ("a", 2)]}),
]


def spoiled(source: random.Random) -> str:
    """A notebook in which some parts are something else, or some characters are."""
    found = json.loads(json.dumps(source.choice(SEEDS)))
    places: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        keys = (
            part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        )
        for key in list(keys):
            places.append((part, key))
            walk(part[key])

    walk(found)
    for part, key in source.sample(places, source.randint(1, 4)):
        part[key] = source.choice(ODD)
    text = written(found)
    for _ in range(source.choice((0, 0, 3))):
        at = source.randrange(len(text))
        text = text[:at] + source.choice(("", "\0", "[", '"', "\\", "}", "\x1b")) + text[at + 1 :]
    return text


@pytest.mark.slow
@pytest.mark.threat("TP-10")
def test_200_hostile_notebooks_and_every_student_has_a_record(tmp_path: Path) -> None:
    source = random.Random(4)  # noqa: S311 - the same ones every time
    texts = [*WHOLE.values(), *(spoiled(source) for _ in range(200 - len(WHOLE)))]
    course = make_course(tmp_path)
    folder = tmp_path / "submissions" / "hw"
    for number, text in enumerate(texts):
        (folder / f"s{number:03}").mkdir()
        path = folder / f"s{number:03}" / "hw.ipynb"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with Symbolic() as symbolic, quickly(cpu_s=30):
        rubric = course.open("hw", symbolic).rubric
        handed = Handed(folder, "hw")
        read = {one.student: one for one in handed}
        scores = [unexecuted(one, rubric) for one in read.values()]
        write_reports(scores, handed.students, rubric, tmp_path / "reports")
    assert len(read) == 200
    assert all(bool(one.problem) != bool(one.cells) for one in read.values())
    assert {one.problem for one in read.values() if one.problem}
    with (tmp_path / "reports" / "hw" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["student"] for row in rows] == [*read]
    assert {row["status"] for row in rows} == {"unreadable", "needs_person"}
    assert {row["total"] for row in rows} == {""}


# --- TP-12: what is no file ----------------------------------------------------------------------


def fifo(path: Path) -> None:
    """A pipe that nobody writes into."""
    os.mkfifo(path)


def listening(path: Path) -> None:
    """A socket."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def device(path: Path) -> None:
    """An endless device, where we may make one."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device needs root")


SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (fifo, "is not a regular file"),
    "a socket": (listening, "cannot be opened"),
    "a device": (device, "is not a regular file"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "is a link, not a file"),
    "a link to a file": (lambda path: path.symlink_to("/etc/passwd"), "is a link, not a file"),
    "a link to itself": (lambda path: path.symlink_to(path), "is a link, not a file"),
    "a folder": (lambda path: path.mkdir(), "is not a regular file"),
}
#: The table of attacks must be the same for root, who alone can make a device, and for others.
TRIED = [
    pytest.param(name, marks=() if name == "a device" else pytest.mark.threat("TP-12"))
    for name in SPECIAL
]


@pytest.mark.parametrize("special", TRIED)
def test_what_is_no_file_is_not_waited_for(special: str, tmp_path: Path) -> None:
    make, says = SPECIAL[special]
    student = tmp_path / "s01"
    student.mkdir()
    make(student / "hw.ipynb")
    began = time.monotonic()
    read = read_submission(student, "hw")
    assert time.monotonic() - began < 5
    assert says in read.problem
    assert read.cells == ()


@pytest.mark.parametrize("special", TRIED)
def test_what_is_no_file_is_left_out_beside_the_notebook(special: str, tmp_path: Path) -> None:
    make, _ = SPECIAL[special]
    student = tmp_path / "s01"
    student.mkdir()
    (student / "hw.ipynb").write_text(notebook("x = 1"))
    make(student / "model.py")
    read = read_submission(student, "hw", Layout(files=("model.py",)))
    assert (read.files, read.absent) == ((), ("model.py",))
    assert [cell.source for cell in read.cells] == ["x = 1"]


@pytest.mark.threat("RE-02")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
@pytest.mark.parametrize("mode", [0, 0o400, 0o100])
@pytest.mark.parametrize("place", [".", "inner"])
def test_a_folder_that_nobody_may_enter_costs_no_other_student(
    place: str, mode: int, tmp_path: Path
) -> None:
    for student in ("s01", "s02"):
        (tmp_path / student / "inner").mkdir(parents=True)
        (tmp_path / student / "hw.ipynb").write_text(notebook("x = 1"))
        (tmp_path / student / "inner" / "a.py").write_text("a = 1")
    (tmp_path / "s01" / place).chmod(mode)
    locked, fine = Handed(tmp_path, "hw")
    (tmp_path / "s01" / place).chmod(0o700)
    assert "cannot be read: Permission denied" in locked.problem
    assert (fine.problem, [file.path for file in fine.files]) == ("", ["inner/a.py"])
