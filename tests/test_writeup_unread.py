"""An answer in a form that no machine reads is left to a person; what is no answer asks nobody."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas
from small_course import notebook, write

from grader.intake.folders import read_submission
from grader.submission import File
from grader.writeup.read import WriteUps

IDS = ("1a", "1b")
ANSWER = b"# 1a\nIt grows with n^2.\n\n# 1b\nBecause.\n"
EMPTY = b"# 1a\nTODO\n# 1b\nTODO\n"


def pdf(*pages: Sequence[str]) -> bytes:
    """A PDF with these lines on its pages; a page without any shows a black box."""
    file = io.BytesIO()
    canvas = Canvas(file)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(72, 720 - 20 * number, line)
        if not lines:
            canvas.rect(10, 10, 500, 700, fill=1)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def read(*files: File, code: str = "", left_out: Any = (), data: Sequence[str] = ()) -> Any:
    return WriteUps().read(files, IDS, code=code, left_out=left_out, data=data)


def held(*files: File, code: str = "") -> list[bool]:
    """Of each question, whether its answer may be in the files though it was not found."""
    writeup = read(*files, code=code)
    return [writeup is not None and writeup.may_hold(question) for question in IDS]


SHOWN = {
    "scans after typed headings": pdf(["Question 1a:", "Question 1b:"], [], []),
    "a picture under its own heading": pdf(["Question 1a: answer"], ["Question 1b:"]),
    "letters that no font explains": pdf(["Question 1a:", "Question 1b:", "(cid:3)" * 9]),
    "more pages than are read": pdf(*([["Question 1a:", "Question 1b:"]] * 61)),
}


@pytest.mark.parametrize("data", SHOWN.values(), ids=SHOWN)
def test_what_a_pdf_only_shows_may_be_any_answer(data: bytes, tmp_path: Path) -> None:
    files = [File("theory.pdf", data)]
    for _ in range(2):  # the second time from what was kept of the first
        writeup = WriteUps(tmp_path).read(files, IDS)
        assert writeup is not None
        assert writeup.may_hold("1b")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tex", "\\section*{1a}\nn\n\\section*{1b}\n\\input{q1b}"),
        ("a.tex", "\\section*{1a}\nn\n\\section*{1b}\n  \\includegraphics[width=3cm]{1b.png}"),
        ("a.md", "# 1a\nn\n# 1b\n![](x.png)"),
        ("a.rst", "1a\n==\nn\n1b\n==\n.. image:: x.png"),
        ("a.Rmd", "# 1a\nn\n# 1b\n```{r}\ninclude_graphics('x.png')\n```"),
        ("a.md", '# 1a\nn\n# 1b\n<p><IMG src="x.png">'),
    ],
)
def test_what_a_text_only_points_to_stands_under_its_question(name: str, text: str) -> None:
    writeup = read(File(name, text.encode()))
    section = writeup.section("1b")
    assert text.endswith(section.text)
    assert section.text
    assert writeup.may_hold("1b")


def test_a_picture_that_everybody_was_given_is_nobodys_answer() -> None:
    given = read(File("a.md", b"![](task.png)\n# 1a\n# 1b\n"))
    same = read(File("a.md", b"Ann\n![](task.png)\n# 1a\n# 1b\n"))
    more = read(File("a.md", b"![](task.png)\n# 1a\n![](task.png)\n# 1b\n"))
    assert (same.may_hold("1b", given), more.may_hold("1b", given)) == (False, True)


def test_an_input_may_hold_an_answer_though_it_was_given() -> None:
    given = read(File("a.tex", b"\\section{1b}\n\\input{q1b}\n"))
    assert given.may_hold("1b", given)
    preamble = read(
        File("a.tex", b"\\input{macros}\n\\begin{document}\n\\section{1b}\n% \\input{x}")
    )
    assert not preamble.may_hold("1b")


def test_a_starter_with_other_blanks_holds_nothing() -> None:
    given = read(File("a.md", b"# Theory\n# Words\nTODO\n"))
    same = read(File("a.md", b"# Theory  \r\n\r\n# Words\r\nTODO\r\n"))
    mine = read(File("a.md", b"# Theory\n# Words\nTODO\nTODO\n"))
    assert (same.may_hold("1a", given), mine.may_hold("1a", given)) == (False, True)


def test_a_text_that_was_cut_may_hold_any_answer() -> None:
    assert held(File("a.md", b"# 1a\n# 1b\n" + b" " * 1_000_000)) == [True, True]


MANY_LINES = {
    "Markdown": ("a.md", b"# 1a\n# 1b\n" + b"q\n" * 20_000),
    "LaTeX": ("a.tex", b"\\section{1a}\n\\section{1b}\n" + b"\n" * 20_000),
}


@pytest.mark.slow
@pytest.mark.threat("RX-07")
@pytest.mark.parametrize(("name", "data"), MANY_LINES.values(), ids=MANY_LINES)
def test_a_text_of_more_lines_than_are_read_may_hold_any_answer(name: str, data: bytes) -> None:
    writeup = read(File(name, data))
    assert writeup.notes == (f"{name} only its first 20000 lines were read.",)
    assert held(File(name, data)) == [True, True]
    assert held(File(name, b"\n".join(data.split(b"\n")[:20_000]))) == [False, False]


@pytest.mark.slow
@pytest.mark.threat("RX-07")
def test_no_lines_take_long() -> None:
    texts = {f"{n}.txt": File(f"{n}.txt", b"q\n" * 4_000_000) for n in range(16)}
    code = "; ".join(f"open('{path}')" for path in texts)
    ids = [f"{number}{letter}" for number in range(1, 8) for letter in "abcde"]
    start = time.process_time()
    assert WriteUps().read([*texts.values()], ids, code=code) is None
    assert time.process_time() - start < 15


def test_only_some_texts_that_the_code_works_with_are_looked_into() -> None:
    texts = [File(f"{n:02}.txt", b"tokens") for n in range(20)]
    late = File("theory.txt", ANSWER)
    code = "; ".join(f"open('{file.path}')" for file in (*texts, late))
    assert read(*texts, code=code) is None
    assert read(*texts[1:], late, code=code).section("1a").text == "It grows with n^2."
    writeup = read(*texts, late, code=code)
    says = "theory.txt was left out: the code works with more than 20 texts."
    assert (writeup.parts[0].name, writeup.notes) == ("theory.txt", (says,))
    assert held(*texts, late, code=code) == [True, True]


def test_a_text_that_is_cut_within_a_letter_is_read_to_there() -> None:
    (part,) = read(File("a.md", b"# 1a\n" + "\U0001d6fc".encode() * 1_100_000)).parts
    assert part.split.sections[("1", "a")][-1].text == "\U0001d6fc" * 999_995


READ = ("md", "markdown", "text", "rst", "org", "Rmd", "qmd")


@pytest.mark.parametrize("ending", READ)
def test_any_plain_text_is_read(ending: str) -> None:
    assert read(File(f"theory.{ending}", ANSWER)).section("1a").text == "It grows with n^2."


@pytest.mark.parametrize("name", ["README.md", "readme.txt", "requirements.txt"])
def test_a_text_about_other_files_is_read_if_it_answers_a_question(name: str) -> None:
    assert read(File(name, ANSWER)).section("1a").text == "It grows with n^2."
    assert read(File(name, b"How to run it: from top to bottom.")) is None


@pytest.mark.parametrize("name", ["License.pdf", "requirements.pdf"])
def test_a_pdf_is_read_whatever_its_name(name: str) -> None:
    assert read(File(name, pdf(["Question 1a", "words"]))).section("1a").text == "words"


UNKNOWN = (
    *("typ", "lyx", "wps", "mht", "webarchive", "pptm", "xlsm", "csv", "ipynb", "pdf.part", "mp4"),
    "qqq",
)


@pytest.mark.parametrize("name", [*(f"theory.{ending}" for ending in UNKNOWN), "answers", "README"])
def test_a_file_that_nobody_thought_of_may_hold_any_answer(name: str) -> None:
    assert held(File(name, ANSWER)) == [True, True]


@pytest.mark.parametrize(
    "name", ["a.py", "w.pt", "log.json", "x.npy", "run.sh", "w.safetensors", "LICENSE", "Makefile"]
)
def test_code_and_data_hold_no_answer(name: str) -> None:
    assert read(File(name, b"x"), left_out=[("w.pt", "too large")]) is None


def test_a_notebook_beside_the_asked_one_may_hold_any_answer(tmp_path: Path) -> None:
    for name in ("hw", "theory"):
        write(tmp_path / "ann" / f"{name}.ipynb", notebook("x = 1"))
    submission = read_submission(tmp_path / "ann", "hw")
    assert [file.path for file in submission.files] == ["theory.ipynb"]
    assert submission.carried == ()
    writeup = WriteUps().read(submission.files, IDS)
    assert writeup is not None
    assert writeup.notes == (
        "theory.ipynb is a .ipynb file, which is not read: a person opens it.",
    )


def test_an_empty_source_does_not_hide_the_filled_pdf() -> None:
    source = b"\\section*{1a}\nTODO\n\\section*{1b}\nTODO\n"
    for name, data in (("theory.tex", source), ("theory.md", EMPTY)):
        writeup = read(File(name, data), File("theory.pdf", pdf(["1a", "words"])))
        assert [part.name for part in writeup.parts] == [name, "theory.pdf"]
        assert writeup.notes == (f"theory.pdf was not read, because {name} is there.",)
        assert writeup.may_hold("1a", read(File(name, data)))


OURS = {
    "a plot": ("plots/loss.png", "plt.savefig('plots/loss.png')"),
    "a plot over lines": ("loss.png", 'fig.savefig(\n    OUT / "loss.png",\n    dpi=90,\n)'),
    "pixels": ("x.jpg", "cv2.imwrite('x.jpg', pixels)"),
    "a plot as a PDF": ("loss.pdf", "plt.savefig('loss.pdf')"),
    "an archive": ("data.zip", "ZipFile('data.zip').extractall()"),
    "an archive, in a shell": ("data.tgz", "!tar xf data.tgz"),
    "a table": ("log.csv", 'pd.read_csv(f"{HERE}/log.csv")'),
}


@pytest.mark.parametrize(("name", "code"), OURS.values(), ids=OURS)
def test_a_file_that_the_code_works_with_asks_nobody(name: str, code: str) -> None:
    assert read(File(name, b"x"), code=code, left_out=[(name, "too large")]) is None
    assert held(File(name, b"x")) == [True, True]
    assert held(File(name, b"x"), code=f"# {code}".replace("\n", "\n# ")) == [True, True]


def test_a_table_that_a_metric_asks_for_is_data() -> None:
    assert read(File("Predictions.csv", b"x"), data=["predictions"]) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("page1.jpg", "Image('page1.jpg')"),
        ("theory.html", "HTML('theory.html')"),
        ("loss.png", "plt.savefig('validation_loss.png')"),
        ("answers.csv", "print('my answers are in answers.csv')"),
        ("writeup.png", "plt.savefig('writeup.png')"),
        ("writeup.zip", "ZipFile('writeup.zip')"),
        ("writeup.pdf", "fig.savefig('writeup.pdf')"),
    ],
)
def test_a_file_that_the_code_only_mentions_or_shows_may_hold_any_answer(
    name: str, code: str
) -> None:
    assert held(File(name, b"x"), code=code) == [True, True]


@pytest.mark.slow
@pytest.mark.threat("RX-07")
def test_no_code_takes_long_to_look_through() -> None:
    files = [File(f"{n}.{ending}", b"") for n in range(500) for ending in ("png", "zip")]
    tail = f"\nx = {' '.join(file.path for file in files)}"
    start = time.perf_counter()
    for text in ("save(", "save", "save(" + " " * 99, "\n", "!\n", "'a/", "#", "write('a"):
        assert held(*files, code=text * (2_000_000 // len(text)) + tail) == [True, True]
    assert time.perf_counter() - start < 20
