"""Submissions are read as data; whatever else lies there is named and stops nobody else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from grader.errors import InputError, SubmissionError
from grader.intake.folders import Handed, assignments_in
from grader.intake.notebook import parse_notebook, read_notebook
from grader.submission import Cell, CellKind

CODE, TEXT = CellKind.CODE, CellKind.MARKDOWN


def notebook(*sources: str, **top: Any) -> bytes:
    cells = [{"cell_type": "code", "source": s, "metadata": {}, "outputs": []} for s in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells, **top}).encode()


def test_only_kind_and_source_of_cells_are_kept() -> None:
    written = {
        "nbformat": 4,
        "metadata": {"kernelspec": {"name": "python2"}, "otter": {"tests": []}},
        "cells": [
            {"cell_type": "markdown", "source": ["# One\n", "two"], "id": "same"},
            {"cell_type": "code", "source": "x = 1", "id": "same", "outputs": "nonsense"},
            {"cell_type": "raw", "source": "left out"},
            "no cell",
        ],
    }
    found = parse_notebook(json.dumps(written).encode(), "hw.ipynb")
    raw = CellKind.RAW
    two = (Cell(TEXT, "# One\ntwo"), Cell(CODE, "x = 1"))
    assert found.cells == (*two, Cell(raw, "left out"), Cell(raw, ""))


def test_format_3_is_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["1a"]},
        {"cell_type": "code", "input": ["x = 1\n", "y = 2"]},
    ]
    data = json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode()
    found = parse_notebook(data, "hw.ipynb")
    assert found.cells == (Cell(TEXT, "## 1a"), Cell(CODE, "x = 1\ny = 2"))
    assert found.notes == ("notebook format 3 was read as it is",)


WRONG = {
    "empty": (b"  ", "hw.ipynb is empty"),
    "not JSON": (b"import torch", "hw.ipynb is not a notebook: its text is not JSON (line 1)"),
    "conflict": (
        b'{"cells": [\n<<<<<<< HEAD\n',
        "hw.ipynb holds a Git merge conflict at line 2: resolve it, save anew",
    ),
    "a list": (b"[1, 2]", "hw.ipynb is JSON, but no notebook"),
    "format 2": (
        b'{"nbformat": 2}',
        "hw.ipynb has notebook format 2; 3 and 4 are read: save it anew",
    ),
    "no format": (b"{}", "hw.ipynb has notebook format none; 3 and 4 are read: save it anew"),
    "no code": (b'{"nbformat": 4, "cells": {}}', "hw.ipynb has no code cells"),
    "deep": (b"[" * 200_000, "hw.ipynb is nested too deeply to be a notebook"),
    "many cells": (notebook(*["x"] * 2001), "hw.ipynb has more than 2000 cells or 4 MiB of source"),
}


@pytest.mark.parametrize(("data", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_notebook_says_why(data: bytes, says: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        parse_notebook(data, "hw.ipynb")
    assert str(caught.value) == says


def test_half_a_character_is_replaced() -> None:
    data = json.dumps(
        {"nbformat": 4, "cells": [{"cell_type": "code", "source": "'\ud800'"}]}
    ).encode()
    assert parse_notebook(data, "hw.ipynb").cells[0].source == "'?'"


def test_links_pipes_and_folders_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.ipynb").write_bytes(notebook("x = 1"))
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret.ipynb")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    for name, says in [
        ("link.ipynb", "is a link"),
        ("pipe.ipynb", "is not a regular file"),
        ("folder.ipynb", "is not a regular file"),
        ("gone.ipynb", "cannot be opened"),
    ]:
        with pytest.raises(SubmissionError, match=says):
            read_notebook(tmp_path / name)


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "big.ipynb").open("wb") as file:
        file.truncate(500 << 20)
    with pytest.raises(SubmissionError, match="has 500 MiB, at most 20 are read"):
        read_notebook(tmp_path / "big.ipynb")


def test_a_students_folder_gives_a_notebook_or_a_reason(tmp_path: Path) -> None:
    for student, files in {
        "right": ["hw.ipynb", "other.ipynb"],
        "renamed": ["My homework (1).ipynb"],
        "several": ["a.ipynb", "b.ipynb"],
        "no notebook": ["hw.pdf"],
        "nothing": [],
    }.items():
        (tmp_path / student).mkdir()
        for file in files:
            (tmp_path / student / file).write_bytes(notebook("x = 1"))
    (tmp_path / "linked").symlink_to(tmp_path / "right")
    read = {submission.student: submission for submission in Handed(tmp_path, "hw")}
    assert {name: (one.problem, one.missing) for name, one in read.items()} == {
        "right": ("", False),
        "renamed": ("", False),
        "several": ("several notebooks and none is named hw.ipynb: a.ipynb, b.ipynb", False),
        "no notebook": ("no notebook: expected hw.ipynb, found hw.pdf", False),
        "nothing": ("nothing was handed in", True),
        "linked": ("the student's folder is a link, not a folder", False),
    }
    assert read["renamed"].notes == ("My homework (1).ipynb was taken for hw.ipynb",)
    assert read["right"].digest == read["renamed"].digest


def test_notebooks_outside_of_students_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "s01.ipynb").write_bytes(notebook("x"))
    (tmp_path / "expected.yaml").write_text("")
    assert Handed(tmp_path, "hw").strays == ["s01.ipynb"]


def test_assignments_are_found_by_the_names_of_rubrics(tmp_path: Path) -> None:
    (tmp_path / "hw" / "s01").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    assert assignments_in(tmp_path, ["hw"]) == [("hw", tmp_path / "hw")]
    assert assignments_in(tmp_path / "hw", ["hw"]) == [("hw", tmp_path / "hw")]
    with pytest.raises(InputError, match=r"named like a rubric \(other\), found none"):
        assignments_in(tmp_path, ["other"])


def test_two_folders_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("Zo\u00eb", "Zoe\u0308"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="expected one folder named 'Zoë', found two"):
        _ = Handed(tmp_path, "hw").students
