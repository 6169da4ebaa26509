"""Submissions are read as data; whatever else lies there is named and stops nobody else."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader.course import Course
from grader.errors import InputError, SubmissionError
from grader.intake.folders import Handed, assignments_in, read_submission
from grader.intake.notebook import parse_notebook, read_notebook
from grader.submission import Cell, CellKind, Layout, Submission

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
    "web page": (
        b"\n<!DOCTYPE html>",
        "hw.ipynb is a web page, not a notebook: hand in the notebook itself",
    ),
    "archive": (
        b"PK\x03\x04\xff",
        "hw.ipynb is an archive, not a notebook: hand in the notebook itself",
    ),
    "PDF": (b"%PDF-1.7", "hw.ipynb is a PDF, not a notebook: hand in the notebook itself"),
    "half of it": (
        b'{"cells": [\n',
        "hw.ipynb is damaged: its text breaks off or is no JSON (line 2): save it anew",
    ),
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
    "deep": (b"[" * 200_000, "hw.ipynb is nested too deeply to be a notebook"),
    "many cells": (notebook(*["x"] * 2001), "hw.ipynb has more than 2000 cells or 4 MiB of source"),
}


@pytest.mark.threat("TP-10")
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


@pytest.mark.threat("TP-12")
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


def test_an_assignment_is_found_by_its_name_where_there_is_no_such_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rubrics").mkdir()
    (tmp_path / "rubrics" / "hw.yaml").write_text("")
    usual = tmp_path / "submissions" / "hw"
    usual.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    course = Course(tmp_path)
    assert course.handed_in(Path("hw")) == [("hw", usual)]
    with pytest.raises(InputError, match=r"found no folder hw2$"):
        course.handed_in(Path("hw2"))
    (tmp_path / "hw").mkdir()
    assert course.handed_in(Path("hw")) == [("hw", Path("hw"))]


@pytest.mark.threat("XS-06")
def test_two_folders_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("Zo\u00eb", "Zoe\u0308"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="expected one folder named 'Zoë', found two"):
        _ = Handed(tmp_path, "hw").students


# --- files beside notebooks, several notebooks, modules, cells that are left out ------------------


def put(folder: Path, **files: str | bytes) -> Path:
    """Write files; in a name, `__` stands for a slash and the last `_` for a dot."""
    for name, data in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def paths(submission: Submission) -> list[str]:
    return [file.path for file in submission.files]


@pytest.mark.threat("TP-12")
def test_files_beside_the_notebook_are_taken_without_litter(tmp_path: Path) -> None:
    put(tmp_path, hw_ipynb=notebook("x = 1"), other_ipynb=notebook("y = 2"), weights_bin=b"\0\1")
    put(tmp_path, src__util_py="u = 1", data__train_csv="mine", lib__data__a_txt="a")
    put(tmp_path, writeup_md="Because.", theory_pdf="%", main_pyc="")
    put(tmp_path / ".git", config_txt="secret")
    put(tmp_path / "src" / "__pycache__", util_txt="")
    put(tmp_path / "env", pyvenv_cfg="", bin__python_py="")
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    read = read_submission(tmp_path, "hw")
    assert paths(read) == [
        *("lib/data/a.txt", "other.ipynb", "src/util.py", "theory.pdf", "weights.bin"),
        "writeup.md",
    ]
    carried = [file.path for file in read.carried]
    assert carried == ["lib/data/a.txt", "src/util.py", "weights.bin"]
    assert read.notes == ("link.txt was left out: a link",)


def test_files_are_part_of_the_digest_and_write_ups_are_not(tmp_path: Path) -> None:
    put(tmp_path, hw_ipynb=notebook("x = 1"), a_py="1", writeup_tex="one")
    first = read_submission(tmp_path, "hw")
    put(tmp_path, writeup_tex="two")
    assert read_submission(tmp_path, "hw").digest == first.digest
    put(tmp_path, a_py="2")
    assert read_submission(tmp_path, "hw").digest != first.digest


@pytest.mark.slow
def test_what_is_too_large_is_left_out_and_named(tmp_path: Path) -> None:
    put(tmp_path, hw_ipynb=notebook("x = 1"), small_bin=b"1")
    for name, mib in {"a": 60, "b": 65, "c": 60, "d": 60}.items():
        with (tmp_path / f"{name}.bin").open("wb") as file:
            file.truncate(mib << 20)
    read = read_submission(tmp_path, "hw")
    assert paths(read) == ["a.bin", "c.bin", "small.bin"]
    says = "at most 64 MiB a file and 128 in all are taken"
    assert (read.problem, read.notes) == ("", (f"b.bin, d.bin were left out: {says}",))


def test_what_lies_too_deep_or_has_an_odd_name_is_named(tmp_path: Path) -> None:
    put(tmp_path, hw_ipynb=notebook("x = 1"))
    (tmp_path / "/".join("abcdefghi") / "j").mkdir(parents=True)
    (tmp_path / "who?.txt").write_text("1")
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("1")
    os.mkfifo(tmp_path / "pipe")
    read = read_submission(tmp_path, "hw")
    assert (paths(read), read.notes) == (
        [],
        (
            "a/b/c/d/e/f/g/h/i was left out: more than 8 folders deep",
            "pipe was left out: no regular file",
            "who?.txt was left out: a name that not every system allows",
            "?.txt was left out: a name in no encoding that we know",
        ),
    )


def test_a_needed_file_that_is_too_large_is_a_problem(tmp_path: Path) -> None:
    put(tmp_path, model_py="x = 1")
    with (tmp_path / "model.py").open("wb") as file:
        file.truncate(65 << 20)
    read = read_submission(tmp_path, "hw", Layout(files=("model.py",)))
    says = "at most 64 MiB a file and 128 in all are taken"
    assert read.problem == f"model.py was left out: {says}"


SRC = Layout(files=("src/attention.py", "src/model.py"))


def test_modules_are_cells_of_their_own_before_the_notebook(tmp_path: Path) -> None:
    put(tmp_path, src__model_py="m = 1", src__attention_py="a = 1", hw_ipynb=notebook("x = 1"))
    read = read_submission(tmp_path, "hw", SRC)
    assert [(cell.place, cell.module, cell.source) for cell in read.cells] == [
        ("src/attention.py", "src/attention.py", "a = 1"),
        ("src/model.py", "src/model.py", "m = 1"),
        ("cell 1 of hw.ipynb", "", "x = 1"),
    ]
    assert paths(read) == ["src/attention.py", "src/model.py"]
    (tmp_path / "hw.ipynb").unlink()
    read = read_submission(tmp_path, "hw", SRC)
    assert ([cell.place for cell in read.cells], read.notes) == (list(SRC.files), ())


def test_a_module_that_is_missing_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    put(tmp_path, src__attention_py="a = 1")
    read = read_submission(tmp_path, "hw", SRC)
    assert [cell.place for cell in read.cells] == ["src/attention.py"]
    assert (read.problem, read.absent) == ("", ("src/model.py",))
    assert read.notes == ("src/model.py was not handed in",)


def test_a_module_elsewhere_is_taken_and_named(tmp_path: Path) -> None:
    put(tmp_path, attention_py="a = 1", work__model_py="m = 1")
    read = read_submission(tmp_path, "hw", SRC)
    assert [cell.place for cell in read.cells] == ["attention.py", "work/model.py"]
    assert read.notes == (
        "attention.py was taken for src/attention.py",
        "work/model.py was taken for src/model.py",
    )
    for name in ("attention.py", "work/model.py"):
        (tmp_path / name).rename(tmp_path / f"{name}.txt")
    read = read_submission(tmp_path, "hw", SRC)
    asked = "src/attention.py, src/model.py"
    found = "attention.py.txt, work"
    assert read.problem == f"nothing that is asked for: expected {asked}, found {found}"


COPIES = {
    "in its place": (("src/model.py", "model.py", "old/src/model.py"), "src/model.py"),
    "at the top": (("model.py", "a/old/model.py", "old/model.py"), "model.py"),
    "stub or work": (("model.py", "work/src/model.py"), ""),
    "in a folder": (("hw/src/model.py", "hw/old/model.py"), "hw/src/model.py"),
    "two alike": (("new/src/model.py", "old/src/model.py", "a/b/model.py"), ""),
    "two ways": (("new/src/model.py", "old/model.py"), "new/src/model.py"),
    "two of one depth": (("new/model.py", "old/model.py"), ""),
}


@pytest.mark.parametrize(("copies", "taken"), COPIES.values(), ids=COPIES)
def test_of_copies_of_a_module_the_shallowest_is_taken(
    copies: tuple[str, ...], taken: str, tmp_path: Path
) -> None:
    for path in ("src/attention.py", *copies):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x = 1")
    read = read_submission(tmp_path, "hw", SRC)
    assert [cell.place for cell in read.cells] == ["src/attention.py", *filter(None, [taken])]
    if taken:
        moved = (f"{taken} was taken for src/model.py",) if taken != "src/model.py" else ()
        assert (read.notes, read.absent, read.unread) == (moved, (), {})
    else:
        says = f"src/model.py is not there, but 2 like it: {copies[0]} and {copies[1]}"
        assert (read.notes, read.absent, read.unread) == ((says,), (), {"src/model.py": says})


def test_one_module_is_not_taken_for_two(tmp_path: Path) -> None:
    put(tmp_path, model_py="m = 1")
    read = read_submission(tmp_path, "hw", Layout(files=("a/model.py", "b/model.py")))
    assert [cell.place for cell in read.cells] == ["model.py"]
    assert read.notes == ("b/model.py was not handed in", "model.py was taken for a/model.py")


PROSE = json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "## 1\nWords"}]})
UNREAD = {
    "broken": ({"hw.ipynb": b"oops"}, "hw.ipynb is not a notebook: its text is not JSON (line 1)"),
    "empty": ({"mine.ipynb": b""}, "mine.ipynb is empty"),
    "doubled": (
        {"a.ipynb": notebook("x = 1"), "b.ipynb": notebook("x = 2")},
        "several notebooks and none is named hw.ipynb: a.ipynb, b.ipynb",
    ),
}


@pytest.mark.parametrize(("books", "says"), UNREAD.values(), ids=UNREAD)
def test_a_notebook_that_need_not_be_there_does_not_stop_the_modules(
    books: dict[str, bytes], says: str, tmp_path: Path
) -> None:
    for name, data in books.items():
        (tmp_path / name).write_bytes(data)
    read = read_submission(tmp_path, "hw", SRC)
    assert read.problem == says, "without modules there is nothing else"
    put(tmp_path, src__attention_py="a = 1", src__model_py="m = 1")
    read = read_submission(tmp_path, "hw", SRC)
    assert [cell.place for cell in read.cells] == list(SRC.files)
    assert (read.problem, read.absent, read.unread) == ("", (), {"hw.ipynb": says})
    assert says in read.notes
    read = read_submission(tmp_path, "hw", replace(SRC, notebooks=("hw",)))
    assert read.problem == says, "here it is needed"


def test_a_notebook_of_words_is_read_if_there_is_code_beside_it(tmp_path: Path) -> None:
    put(tmp_path, hw_ipynb=PROSE)
    assert read_submission(tmp_path, "hw").problem == "hw.ipynb has no code cells"
    assert read_submission(tmp_path, "hw", SRC).problem == "hw.ipynb has no code cells"
    put(tmp_path, src__attention_py="a = 1", src__model_py="m = 1")
    read = read_submission(tmp_path, "hw", SRC)
    assert [cell.source for cell in read.cells] == ["a = 1", "m = 1", "## 1\nWords"]
    assert (read.problem, read.notes) == ("", ())
    parts = Layout(notebooks=("part1", "hw"))
    put(tmp_path, part1_ipynb=PROSE)
    says = "part1.ipynb, hw.ipynb have no code cells"
    assert read_submission(tmp_path, "hw", parts).problem == says
    put(tmp_path, part1_ipynb=notebook("x = 1"))
    assert len(read_submission(tmp_path, "hw", parts).cells) == 2


def test_a_notebook_beside_modules_may_have_any_name_and_lie_with_them(tmp_path: Path) -> None:
    put(tmp_path / "s01", src__attention_py="a = 1", src__model_py="m = 1")
    put(tmp_path / "s01", my_final_ipynb=notebook("x = 1"))
    read = read_submission(tmp_path / "s01", "hw", SRC)
    assert read.cells[-1].source == "x = 1"
    assert read.notes == ("my_final.ipynb was taken for hw.ipynb",)
    put(tmp_path / "s02", src__attention_py="a = 1", src__model_py="m = 1")
    put(tmp_path / "s02", src__a5_ipynb=notebook("x = 1"))
    read = read_submission(tmp_path / "s02", "hw", SRC)
    assert read.cells[-1].source == "x = 1"
    assert read.notes == ("src/a5.ipynb was taken for hw.ipynb",)


def test_the_folder_that_an_archive_put_around_it_is_opened(tmp_path: Path) -> None:
    put(tmp_path / "s01", a5__hw__hw_ipynb=notebook("x = 1"), a5__hw__b_txt="")
    put(tmp_path / "s01" / "__MACOSX", hw_ipynb="")
    read = read_submission(tmp_path / "s01", "hw")
    assert ([cell.source for cell in read.cells], paths(read)) == (["x = 1"], ["b.txt"])
    assert read.notes == ("the files were taken from the folder a5/hw",)


def test_several_notebooks_follow_each_other(tmp_path: Path) -> None:
    layout = Layout(notebooks=("part1", "part2"))
    put(tmp_path, part2_ipynb=notebook("b = a", "c = 1"), part1_ipynb=notebook("a = 1"))
    read = read_submission(tmp_path, "hw", layout)
    assert [(cell.place, cell.source) for cell in read.cells] == [
        ("cell 1 of part1.ipynb", "a = 1"),
        ("cell 1 of part2.ipynb", "b = a"),
        ("cell 2 of part2.ipynb", "c = 1"),
    ]
    (tmp_path / "part1.ipynb").rename(tmp_path / "zero.ipynb")
    read = read_submission(tmp_path, "hw", layout)
    assert [cell.source for cell in read.cells] == ["a = 1", "b = a", "c = 1"]
    assert read.notes == ("zero.ipynb was taken for part1.ipynb",)
    (tmp_path / "zero.ipynb").unlink()
    read = read_submission(tmp_path, "hw", layout)
    assert (len(read.cells), read.notes) == (2, ("part1.ipynb was not handed in",))
    (tmp_path / "part2.ipynb").rename(tmp_path / "readme.txt")
    read = read_submission(tmp_path, "hw", layout)
    assert read.problem == "no notebook: expected part1.ipynb, part2.ipynb, found readme.txt"


def test_cells_are_left_out_by_tag_and_by_what_they_say(tmp_path: Path) -> None:
    tagged = {"cell_type": "code", "source": "a = 1", "metadata": {"tags": ["x", "skip-grading"]}}
    cells = [tagged, {"cell_type": "code", "source": "trainer.train()"}]
    cells += [{"cell_type": "code", "source": "b = 1", "metadata": {"tags": "nonsense"}}]
    cells += [{"cell_type": "markdown", "source": "trainer.train()"}]
    put(tmp_path, hw_ipynb=json.dumps({"nbformat": 4, "cells": cells}))
    read = read_submission(tmp_path, "hw", Layout(matching=(r"trainer\.train",)))
    assert [cell.left_out for cell in read.cells] == [
        "tagged skip-grading",
        r"the assignment leaves out cells with trainer\.train",
        *("", ""),
    ]
    assert read.digest != read_submission(tmp_path, "hw").digest
