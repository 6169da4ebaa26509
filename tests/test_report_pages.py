"""Report pages say what a student may read and staff must know, and nothing of the rest."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from reporting import CELLS, RUBRIC, Press, Told, mask_of

from grader.batch import score_all
from grader.intake.folders import Handed
from grader.report.pages import environment
from grader.report.tables import write_reports
from grader.symbolic import Symbolic
from grader.values import Opaque, Tensor, Value


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


class Reader(HTMLParser):
    """The text of a page as it is read, and its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._mute = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._mute = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._mute = False

    def handle_data(self, data: str) -> None:
        if not self._mute:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def labels(self, tag: str) -> list[str | None]:
        return [attrs.get("aria-label") for name, attrs in self.tags if name == tag]


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


def both(folder: Path, student: str = "s01") -> tuple[Reader, Reader]:
    """What the student reads, and what the staff does."""
    return read(folder / "students" / f"{student}.html"), read(folder / "staff" / f"{student}.html")


def matrices(page: Reader) -> list[str | None]:
    return [label for label in page.labels("svg") if label and " by " in label]


def test_a_loss_is_explained(tmp_path: Path, symbolic: Symbolic) -> None:
    told = Told(diagonal=-1, sizes={"rows": 2, "columns": 4}, losses=[3.0, 2.9, 2.8])
    student, _ = both(Press(tmp_path, symbolic, {"s01": told}).publish())
    assert "0.5 of 5 points" in student.text
    assert (
        "A person still grades 3; until then the total is what is decided so far." in student.text
    )
    assert "1a A mask 0 of 2 mask ✗ no points Asked: a function mask(n). 0 of 2 points. " in (
        student.text
    )
    assert "The diagonal is missing. mask(n=3)" in student.text
    assert "losses goes from 3 to 2.8; it should fall to 50% of its start." in student.text
    assert "losses: from 3 to 2.8, lowest 2.8, highest 3" in student.labels("svg")
    assert "def mask(n):" in student.text
    assert "What was written (the notebook) Words." in student.text
    assert "Time 0.1 s of 10.0 min Memory 1 MiB of 2048 MiB Cells executed 2" in student.text


def test_a_mask_stands_beside_the_right_one(tmp_path: Path, symbolic: Symbolic) -> None:
    student, _ = both(Press(tmp_path, symbolic, {"s01": Told(diagonal=-1)}).publish())
    assert matrices(student) == [
        "Result: 3 by 3; 3 of 9 are True",
        "Expected: 3 by 3; 6 of 9 are True",
        "Where they differ: 3 by 3; 3 of 9 places",
    ]
    assert "0 False False False 1 True False False 2 True True False" in student.text


@pytest.mark.threat("AL-05")
def test_what_is_hidden_is_for_staff(tmp_path: Path, symbolic: Symbolic) -> None:
    wrong = Told(masks={"case2": mask_of(4, -1)}, sizes={"rows": 7, "columns": 3})
    folder = Press(tmp_path, symbolic, {"s01": wrong}).publish()
    student, staff = both(folder)
    assert matrices(student) == []
    assert matrices(staff) == [
        "Result: 4 by 4; 6 of 16 are True",
        "Expected: 4 by 4; 10 of 16 are True",
        "Where they differ: 4 by 4; 4 of 16 places",
    ]
    assert "mask(n=4)" in staff.text
    assert "mask(n=4)" not in student.text
    assert "Expected 2, found 7" in staff.text
    assert "found 7" not in student.text
    assert "This page holds expected values: do not hand it out." in staff.text
    assert not [
        attrs
        for tag, attrs in student.tags
        if tag == "a" and attrs["href"] and "#" not in attrs["href"]
    ]


def test_a_rubric_may_reveal_what_was_expected(tmp_path: Path, symbolic: Symbolic) -> None:
    rubric = RUBRIC.replace("points: 5\n", "points: 5\nreveal: true\n")
    wrong = Told(masks={"case2": mask_of(4, -1)})
    student, _ = both(Press(tmp_path, symbolic, {"s01": wrong}, rubric).publish())
    assert "mask(n=4) (hidden)" in student.text
    assert len(matrices(student)) == 3


@pytest.mark.threat("AL-05")
def test_a_fault_of_ours_is_not_told_to_students(tmp_path: Path, symbolic: Symbolic) -> None:
    press = Press(tmp_path, symbolic, {"s01": Told()})
    for path in press.store.root.glob("evidence/*/frames.bin"):
        path.write_bytes(b"torn")
    student, staff = both(press.publish())
    assert "is damaged: grader run" in staff.text
    assert "damaged" not in student.text
    assert "The grader could not run the notebook; a person will look." in student.text


def test_what_was_not_handed_in_has_a_page(tmp_path: Path, symbolic: Symbolic) -> None:
    press = Press(tmp_path, symbolic, {})
    (tmp_path / "submissions" / "hw" / "s01").mkdir(parents=True)
    (tmp_path / "submissions" / "hw" / "s02").mkdir()
    (tmp_path / "submissions" / "hw" / "s02" / "hw.ipynb").write_text("import torch")
    folder = press.publish()
    assert "0 of 5 points (0 %) Nothing was handed in." in both(folder)[0].text
    assert "hw.ipynb is not a notebook" in both(folder, "s02")[0].text


def test_a_failed_cell_is_shown_with_its_error(tmp_path: Path, symbolic: Symbolic) -> None:
    said = {
        "ename": "ValueError",
        "evalue": "no",
        "traceback": "line 1\nValueError: no",
        "text": "",
    }
    student, _ = both(Press(tmp_path, symbolic, {"s01": Told(receipts={1: said})}).publish())
    assert "Cells that did not run through Cell 2: ValueError: no" in student.text
    assert "It raised line 1 ValueError: no" in student.text


def test_the_class_is_counted(tmp_path: Path, symbolic: Symbolic) -> None:
    students = {
        f"s{n:02}": Told(cells=(*CELLS, f"n = {n}"), diagonal=-(n % 2)) for n in range(1, 13)
    }
    folder = Press(tmp_path, symbolic, students).publish()
    page = read(folder / "index.html")
    assert "12 students, 12 notebooks executed, 12 wait for a person." in page.text
    assert "Students by points. 2 to 2.5 points: 6; 4 to 4.5 points: 6" in page.labels("svg")
    assert "Mean 3 Median 3 Middle half 2 to 4 Range 2 to 4" in page.text
    assert "1a A mask 2 12 50 % 6 6 \N{EN DASH} 1b 1 12 100 % 12 0 \N{EN DASH} " in page.text
    assert "1b Everybody earns all points." in page.text
    assert "The diagonal is missing. s01 , s03 , s05 , s07 , s09 … 1a mask 6" in page.text
    assert "complete The notebook ran from top to bottom. 12" in page.text
    assert "s02 complete 4 2 1 1 \N{EN DASH}" in page.text
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert "staff/s12.html" in links


def test_a_student_who_is_gone_leaves_no_page(tmp_path: Path, symbolic: Symbolic) -> None:
    press = Press(tmp_path, symbolic, {"s01": Told(), "s02": Told(diagonal=-1)})
    folder = press.publish()
    (tmp_path / "submissions" / "hw" / "s02" / "hw.ipynb").unlink()
    (tmp_path / "submissions" / "hw" / "s02").rmdir()
    Press(tmp_path, symbolic, {"s01": Told()}).publish()
    assert sorted(path.name for path in folder.rglob("*.html")) == [
        "index.html",
        "s01.html",
        "s01.html",
    ]


def test_tables_without_pages_take_the_pages_of_those_who_are_gone_with_them(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    press = Press(tmp_path, symbolic, {"s01": Told(), "s02": Told(diagonal=-1)})
    folder = press.publish()
    (tmp_path / "submissions" / "hw" / "s02" / "hw.ipynb").unlink()
    (tmp_path / "submissions" / "hw" / "s02").rmdir()
    handed = Handed(tmp_path / "submissions" / "hw", "hw")
    scores = score_all(press.assignment, handed, press.store, press.bugs)
    write_reports(scores, handed.students, press.assignment.rubric, press.out)
    left = {path.relative_to(folder).as_posix() for path in folder.glob("*/s0*")}
    assert left == {"students/s01.csv", "students/s01.html", "staff/s01.html"}


def test_the_last_bar_has_no_end(tmp_path: Path, symbolic: Symbolic) -> None:
    rubric = RUBRIC.replace("  - id: 1b\n", "  - id: 1b\n    bonus: true\n")
    rubric = rubric.replace("points: 5\n", "points: 4\n")
    folder = Press(tmp_path, symbolic, {"s01": Told()}, rubric).publish()
    page = read(folder / "index.html")
    assert "Students by points. 3.6 points or more: 1" in page.labels("svg")


ODD: dict[str, Value] = {
    "nothing": None,
    "a number": 3.0,
    "text": "<b>",
    "another shape": mask_of(5),
    "no mask": Tensor(np.full((3, 3), np.nan, np.float32), "float32", "torch"),
    "infinite": Tensor(np.array([[np.inf, -np.inf, 1e308]] * 3), "float64", "torch"),
    "empty": Tensor(np.zeros((3, 0)), "float64", "torch"),
    "many dimensions": Tensor(np.zeros((1,) * 30, np.int8), "int8", "torch"),
    "complex": Tensor(np.full((3, 3), 1j), "complex128", "torch"),
    "half": Tensor(np.full((3, 3), 6e4, np.float16), "float16", "torch"),
    "deep": [[[[]]]],
    "an object": Opaque("object", "<script>", "x"),
    "huge numbers": [[10**400] * 3] * 3,
    "large": Tensor(np.ones((2000, 700)), "float64", "torch"),
}


@pytest.mark.slow
@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_any_value_makes_a_page(value: Value, tmp_path: Path, symbolic: Symbolic) -> None:
    told = Told(masks={"public1": value, "case1": value}, sizes=value, losses=value)
    press = Press(tmp_path, symbolic, {"s01": told})
    student, staff = both(press.publish())
    assert press.bugs == []
    assert len([tag for tag, _ in student.tags if tag == "section"]) == 6
    assert "nan" not in re.findall(r'(?:width|height|x|y|d)="([^"]*)"', repr(staff.tags))


def test_pages_are_whole_in_themselves(tmp_path: Path, symbolic: Symbolic) -> None:
    folder = Press(tmp_path, symbolic, {"s01": Told(diagonal=-1)}).publish()
    for path in folder.rglob("*.html"):
        page = read(path)
        names = {tag for tag, _ in page.tags}
        assert not names & {"img", "link", "iframe", "object", "embed", "form", "base", "video"}
        assert ("script" in names) == (path.name == "index.html")
        assert not [attrs for _, attrs in page.tags if "style" in attrs or "src" in attrs]
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
        heads = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert heads[0] == 1
        assert heads.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(heads))


def test_the_cell_that_defines_a_name_is_the_last_one(tmp_path: Path, symbolic: Symbolic) -> None:
    cells = (*CELLS, "def mask(n):\n    return 'second'", "mask(3)\nmask_of = 1")
    student, _ = both(Press(tmp_path, symbolic, {"s01": Told(cells=cells)}).publish())
    assert "Cell 5 def mask(n): return 'second'" in student.text
    assert "return None" not in student.text


def test_nobody_has_to_ask_for_text_to_be_made_harmless() -> None:
    written = environment().from_string("<i title='{{ text }}'>{{ text }}</i>")
    shown = "&lt;b&gt;&#39;\ufffd"
    assert written.render(text="<b>'\u202e") == f"<i title='{shown}'>{shown}</i>"
