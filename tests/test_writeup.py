"""Write-ups: read, split by question, and what a machine reads in them."""

from __future__ import annotations

import io
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from grader.checks.reading import read_formulas
from grader.submission import File
from grader.symbolic import Symbolic
from grader.writeup.handed import choose
from grader.writeup.latex import read_latex
from grader.writeup.markdown import read_markdown
from grader.writeup.numbers import propose_numbers
from grader.writeup.pdf import read_pdf
from grader.writeup.read import WriteUps
from grader.writeup.split import split

IDS = ("1a", "1b", "1c", "2a", "2b", "3", "4a", "4b", "P1")
Q, P = (1, 2, 1, -1, -2, -1, 1), (1, -1, -2, -1, 1, 2, 1)


def pdf(draw: Callable[[Any], None], **settings: Any) -> bytes:
    """A PDF, made in memory."""
    file = io.BytesIO()
    canvas = Canvas(file, **settings)
    draw(canvas)
    canvas.save()
    return file.getvalue()


def page(*lines: str) -> Callable[[Any], None]:
    """A page with lines of text."""

    def draw(canvas: Any) -> None:
        for number, line in enumerate(lines):
            canvas.drawString(72, 720 - 20 * number, line)
        canvas.showPage()

    return draw


def found(lines: Any, ids: tuple[str, ...] = IDS) -> dict[str, str]:
    """Sections by joined name, each on one line; what is unplaced under the empty name."""
    done = split(lines, ids)
    named = {
        "".join(name): " / ".join(li.text.strip() for li in s) for name, s in done.sections.items()
    }
    return {**named, "": " / ".join(line.text.strip() for line in done.unplaced)}


HEADINGS = {
    "hashes": ("## 1a\nfirst\n## 1b\nsecond", "first", "second"),
    "question and bracket": (
        "# Question 1 (a)\nfirst\n# Question 1 (b)\nsecond",
        "first",
        "second",
    ),
    "number, then letter": ("1. (a) first\nmore\n(b) second", "1. (a) first / more", "(b) second"),
    "Q1a": ("Q1a: first\nQ1b: second", "Q1a: first", "Q1b: second"),
    "Q1 a)": ("Q1 a) first\nb) second", "Q1 a) first", "b) second"),
    "bold": ("**1a**\nfirst\n**1b.** second", "first", "**1b.** second"),
    "problem, sub-headings": ("# Problem 1\n### (a)\nfirst\n### (b)\nsecond", "first", "second"),
    "list": ("## 1\n- a) first\n- b) second", "- a) first", "- b) second"),
    "underlined": ("1a\n---\nfirst\n1b\n---\nsecond", "--- / first", "--- / second"),
    "answer to": (
        "Answer to 1.a: first\nSolution 1b: second",
        "Answer to 1.a: first",
        "Solution 1b: second",
    ),
    "html": ("<h2>1a</h2>\nfirst\n<b>1b</b> second", "first", "<b>1b</b> second"),
}


@pytest.mark.parametrize(("text", "first", "second"), HEADINGS.values(), ids=HEADINGS)
def test_a_question_is_found_under_any_heading(text: str, first: str, second: str) -> None:
    sections = found(read_markdown(text.encode()).lines)
    assert (sections["1a"], sections["1b"], sections[""]) == (first, second, "")


LATEX = {
    "sections": r"\section*{1a} first \section*{1b} second".replace(r" \section", "\n\\section"),
    "items": "\\section{1}\n\\begin{enumerate}\n\\item first\n\\item second\n\\end{enumerate}",
    "labelled": "\\section{Problem 1}\n\\begin{enumerate}\n\\item[(a)] first\n\\item[(b)] second",
    "exam": "\\begin{questions}\n\\question\n\\begin{parts}\n\\part first\n\\part second",
    "bold": "\\textbf{Question 1 (a)} first\n\n\\noindent\\textbf{(b)} second",
}


@pytest.mark.parametrize("body", LATEX.values(), ids=LATEX)
def test_a_question_is_found_in_latex(body: str) -> None:
    text = "\\documentclass{article}\n% 2a\n\\begin{document}\nAnn\n" + body + "\n\\end{document}"
    sections = found(read_latex(text.encode()).lines)
    assert "first" in sections["1a"]
    assert "second" in sections["1b"]
    assert "second" not in sections["1a"]
    assert sections[""].split(" / ")[1] == "Ann"


def test_a_list_within_an_answer_is_no_question() -> None:
    text = "# 1a\n1. one\n2. two\n3. three\na) inner\n# 2a\nQuestion 3 asks more.\n# 3\nend"
    sections = found(read_markdown(text.encode()).lines)
    assert sections == {
        "1a": "1. one / 2. two / 3. three / a) inner",
        "2a": "Question 3 asks more.",
        "3": "end",
        "": "",
    }


def test_what_is_under_no_question_is_kept() -> None:
    sections = found(
        read_markdown(b"Ann, 17\n\nIt is 5.\n# 1\nboth parts in one\n# P1\ncode").lines
    )
    assert sections == {"": "Ann, 17 /  / It is 5.", "1": "both parts in one", "p1": "code"}
    lines = read_markdown(b"# 1\nboth parts in one").lines
    under = split(lines, IDS).under("1b")
    assert under is not None
    assert [line.text for line in under] == ["both parts in one"]


def test_no_word_is_lost_to_a_name() -> None:
    lines = read_markdown(b"Ans 2 (a) x\nAns 3 y\n# Complexity (1b)\nz").lines
    assert found(lines) == {
        "2a": "Ans 2 (a) x",
        "3": "Ans 3 y",
        "1b": "# Complexity (1b) / z",
        "": "",
    }


def test_a_question_without_a_heading_may_be_anywhere() -> None:
    writeup = WriteUps().read([File("writeup.md", b"# 1a\nwords\n# 1b\n")], IDS)
    assert writeup is not None
    assert [writeup.may_hold(question) for question in ("1a", "1b", "2a")] == [False, False, True]


def test_code_in_a_fence_has_no_headings() -> None:
    text = "# 1a\n```\n# 1b\n```\nend"
    assert found(read_markdown(text.encode()).lines)["1a"] == "``` / # 1b / ``` / end"


def test_a_huge_line_is_looked_at_in_no_time() -> None:
    lines = read_latex(b"\\section{" * 50_000 + b"[" * 50_000).lines
    lines += read_markdown(b"**" * 100_000 + b"\n" + b"1. (" * 50_000).lines
    assert found(lines)[""]


def test_a_pdf_gives_lines_columns_and_powers() -> None:
    def draw(canvas: Any) -> None:
        canvas.setFont("Helvetica", 12)
        canvas.drawString(72, 700, "1a: O(t l n")
        end = 72 + canvas.stringWidth("1a: O(t l n")
        canvas.drawString(end + 5, 700, ")")
        canvas.setFont("Helvetica", 8)
        canvas.drawString(end, 705, "2")
        canvas.setFont("Helvetica", 12)
        for column, cell in enumerate(("q", "1", "-2")):
            canvas.drawString(72 + 40 * column, 680, cell)
        canvas.showPage()

    lines = read_pdf(pdf(draw)).lines
    assert [(line.text, line.page) for line in lines] == [
        ("1a: O(t l n^{2})", 1),
        ("q   1   -2", 1),
    ]


def test_a_scan_is_reported_as_such() -> None:
    def picture(canvas: Any) -> None:
        canvas.rect(10, 10, 500, 700, fill=1)
        canvas.showPage()

    assert read_pdf(pdf(picture)).problem == "holds no text: it is a scan or a picture"

    def half(canvas: Any) -> None:
        page("Question 1a", "words enough")(canvas)
        picture(canvas)

    assert read_pdf(pdf(half)).notes == ("no text on page 2: a scan or a picture",)


def test_a_locked_pdf_is_reported_and_one_locked_for_changes_is_read() -> None:
    locked = pdf(page("Question 1a"), encrypt=StandardEncryption("secret", strength=128))
    assert read_pdf(locked).problem == "is locked with a password"
    unchangeable = pdf(page("Question 1a"), encrypt=StandardEncryption("", "owner", strength=128))
    assert read_pdf(unchangeable).lines[0].text == "Question 1a"


BROKEN = {
    "empty": b"",
    "text": b"Question 1a",
    "cut": pdf(page("Question 1a"))[:400],
    "no end": pdf(page("Question 1a"))[:-60],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_pdf_is_reported(data: bytes) -> None:
    document = read_pdf(data)
    assert document.lines == ()
    assert document.problem.startswith(("is no PDF, or damaged", "cannot be read"))


def test_only_so_many_pages_are_read() -> None:
    def many(canvas: Any) -> None:
        for _ in range(300):
            page("some words here")(canvas)

    document = read_pdf(pdf(many))
    assert len(document.lines) == 60
    assert document.notes == ("only its first 60 pages were read",)


def bomb() -> bytes:
    """One stream of 1.2 GiB of blanks in 1.2 MB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(1200)) + packer.flush()
    stream = b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(packed), packed)
    return _written([_CATALOG, _PAGES, _PAGE, stream])


@pytest.mark.slow
@pytest.mark.threat("RX-07")
def test_a_bomb_costs_no_more_than_the_limits() -> None:
    document = read_pdf(bomb(), wall_s=20)
    assert document.lines == ()
    assert document.problem.startswith(("takes too", "holds no text", "cannot be read"))


def test_a_page_tree_that_is_a_ring_comes_to_an_end() -> None:
    ring = b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"
    assert read_pdf(_written([_CATALOG, ring]), wall_s=20).lines == ()


def test_a_pdf_that_takes_too_long_is_given_up() -> None:
    document = read_pdf(pdf(page("Question 1a")), wall_s=0.01)
    assert document.problem == "takes too long to read"


_CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
_PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<<>>>>"


def _written(objects: list[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalog."""
    told, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        places.append(len(told))
        told += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        len(told),
    )
    return told + head + rows + trailer


def test_the_write_up_is_the_file_so_named_else_all_prose() -> None:
    files = [File(name, b"") for name in ("theory.pdf", "theory.tex", "b.PDF")]
    chosen = choose(files)
    assert [file.path for file in chosen.read] == ["b.PDF", "theory.tex"]
    hidden = ("theory.pdf", "was not read, because theory.tex is there")
    assert chosen.unread == (hidden,)
    chosen = choose([*files, File("sub/WriteUp.pdf", b"")])
    assert [file.path for file in chosen.read] == ["sub/WriteUp.pdf"]
    why = "was not read, because sub/WriteUp.pdf is there"
    assert chosen.unread == (("theory.pdf", why), ("theory.tex", why), ("b.PDF", why))


def test_a_pdf_is_read_once_and_says_its_page(tmp_path: Path) -> None:
    def two(canvas: Any) -> None:
        page("Ann Author")(canvas)
        page("Question 1a", "words")(canvas)

    data = pdf(two)
    files = [File("writeup.pdf", data)]
    first = WriteUps(tmp_path).read(files, IDS)
    assert first is not None
    section = first.section("1a")
    assert section is not None
    assert (section.text, section.source) == ("words", "writeup.pdf, page 2")
    assert first.unplaced == "Ann Author"
    assert first.section("2a") is None
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text().replace("words", "read before"))
    again = WriteUps(tmp_path).read(files, IDS)
    assert again is not None
    told = again.section("1a")
    assert told is not None
    assert told.text == "read before"
    kept.write_text("{")
    assert WriteUps(tmp_path).read(files, IDS) == first


def test_a_word_file_is_left_to_a_person() -> None:
    writeup = WriteUps().read([File("theory.docx", b"PK")], IDS)
    assert writeup is not None
    assert writeup.notes == ("theory.docx is a .docx file, which is not read: a person opens it.",)
    assert writeup.may_hold("1a")


def read(*files: File, code: str = "", left_out: Any = ()) -> Any:
    return WriteUps().read(files, IDS, code=code, left_out=left_out)


def test_a_plain_text_is_read_as_text() -> None:
    told = "Ann\r\n\r\n1a) Because n\u00b2.\r\nQuestion 2 (b)\r\nSee above.\r\n"
    for data in (told.encode(), told.encode("utf-16"), told.encode("cp1252")):
        writeup = read(File("Theory.TXT", data))
        assert writeup.section("1a").text == "1a) Because n\u00b2."
        assert writeup.section("2b").text == "See above."
        assert (writeup.unplaced, writeup.notes) == ("Ann", ())
        assert writeup.may_hold("3")
    assert read(File("README.txt", b"all"), File("requirements.txt", b"torch")) is None


def test_a_text_that_the_notebook_works_with_is_data_unless_it_answers_a_question() -> None:
    code = 'open("dev/predictions.txt")'
    assert read(File("predictions.txt", b"Oslo\nRome\n3\n"), code=code) is None
    assert read(File("my-predictions.txt", b"Oslo"), code=code) is not None
    asked = WriteUps().read([File("Predictions.txt", b"Oslo")], IDS, data=["predictions"])
    assert asked is None
    assert read(File("predictions.txt", b"# 1a\nOslo"), code=code).section("1a").text == "Oslo"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("theory.odt", "a .odt file"),
        ("theory.doc", "a .doc file"),
        ("page 1.JPG", "a .jpg file"),
        ("scans/1.png", "a .png file"),
        ("theory.zip", "a .zip file"),
        ("theory.xlsx", "a .xlsx file"),
        ("writeup", "a file without an ending"),
    ],
)
def test_what_no_machine_reads_may_hold_any_answer(name: str, kind: str) -> None:
    says = f"{name} is {kind}, which is not read: a person opens it."
    writeup = read(File("a.py", b""), File(name, b"PK"), File("weights.pt", b""))
    assert (writeup.notes, writeup.name, writeup.may_hold("1a")) == ((says,), name, True)
    beside = read(File(name, b"PK"), File("writeup.md", b"# 1a\n# 1b\nwords"))
    assert (beside.notes, beside.may_hold("1a")) == ((says,), True)


def test_a_file_that_could_not_be_taken_may_hold_any_answer() -> None:
    left_out = [("big.pdf", "too large"), ("weights.pt", "too large"), ("deep/folder", "deep")]
    writeup = read(File("theory.md", b"# 1a\n"), left_out=left_out)
    assert writeup.notes == (
        "big.pdf was left out: too large.",
        "deep/folder was left out: deep.",
    )
    assert writeup.may_hold("1a")
    assert read(left_out=left_out[1:2]) is None


def test_many_files_are_told_in_few_words() -> None:
    writeup = read(*(File(f"{n}.jpg", b"") for n in range(8)))
    assert writeup.name == "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 3 more"
    assert writeup.notes[-1] == "Nor were 3 more files read."
    assert len(writeup.notes) == 6
    texts = read(*(File(f"{n}.md", b"# 1a\n") for n in range(6)))
    assert texts.notes == ("5.md was not read: too many files.",)
    assert texts.may_hold("1a")


def test_a_pdf_that_the_clock_cut_short_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pdf(page("Question 1a", "words"))
    assert read_pdf(data).hurried is False
    assert read_pdf(data, wall_s=0.01).hurried is True
    files = [File("writeup.pdf", data)]
    monkeypatch.setattr("grader.writeup.read.read_pdf", partial(read_pdf, wall_s=0.01))
    assert WriteUps(tmp_path).read(files, IDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits its memory")
def test_a_pdf_that_takes_too_much_is_read_once(tmp_path: Path) -> None:
    """How much the process may take is the same every time, unlike the clock."""
    files = [File("writeup.pdf", bomb())]
    first = WriteUps(tmp_path).read(files, IDS)
    assert first is not None
    (note,) = first.notes
    assert note.startswith("writeup.pdf takes too much memory")
    assert len(list(tmp_path.iterdir())) == 1
    assert WriteUps(tmp_path).read(files, IDS) == first


def across(numbers: tuple[int, ...], between: str) -> str:
    return between.join(map(str, numbers))


NUMBERS = {
    "pipes": f"| t | 0 |\n|--|--|\n| $q_t$ | {across(Q, ' | ')} |\n| $p_t$ | {across(P, ' | ')} |",
    "pipes down": "step | q | p\n--|--|--\n"
    + "\n".join(f"{n} | {q} | {p}" for n, (q, p) in enumerate(zip(Q, P, strict=True))),
    "tabular": rf"\begin{{tabular}}{{|c|c|}}\hline $q_t$ & {across(Q, ' & ')} \\ \hline"
    rf" $p_t$ & ${across(P, '$ & $')}$ \\ \hline\end{{tabular}}",
    "columns of a PDF": f"q   {across(Q, '   ')}\np   {across(P, '   ')}",
    "lists": f"q = [{across(Q, ', ')}]\np: {across(P, ', ')}",
    "arrows": f"q: {across(Q, ' -> ')} and p: {across(P, ' -> ')}",
    "names above": "\t".join(f"$q_{n}$" for n in range(7))
    + f"\n{across(Q, chr(9))}\n"
    + "\t".join(f"$p_{n}$" for n in range(7))
    + f"\n{across(P, chr(9))}",
    "one by one": "\n".join(
        f"$q_{{{n}}} = q + p = {q}$, $p_{{{n}}} = {p}$"
        for n, (q, p) in enumerate(zip(Q, P, strict=True))
    ),
    "typeset minus": f"q = {across(Q, ', ')}; p = {across(P, ', ')}".replace("-", "\u2212"),
    "without the start": f"q: {across(Q[1:], ', ')}\np: {across(P[1:], ', ')}",
}


@pytest.mark.parametrize("text", NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_read_in_any_table(text: str) -> None:
    proposal = propose_numbers(text, {"q_steps": Q, "p_steps": P})
    assert proposal is not None
    assert proposal.share == pytest.approx(1)


def test_what_was_read_is_said() -> None:
    proposal = propose_numbers("q: 1, 2, 1, -1, -2, -1, 5", {"q": Q, "p": P})
    assert proposal is not None
    assert proposal.says == "q: 1, 2, 1, -1, -2, -1, 5 (6 of 7 right); p: not found"
    assert proposal.share == pytest.approx(6 / 14)
    assert propose_numbers("Nothing of it, in 1, 2, 3 words", {"q": Q}) is None


SYMBOLS = dict.fromkeys("tln", "positive integer")
CLASSES = {
    "rnn, time, train": ["t*l*n**2"],
    "rnn, time, test": ["t*l*n**2"],
    "transformer, time, train": ["t**2*l*n", "t**2*l*n + t*l*n**2"],
    "transformer, time, test": ["t**2*l*n"],
    "rnn, space, train": ["t*l*n"],
    "rnn, space, test": ["l*n"],
    "transformer, space, train": ["t*l*n"],
    "transformer, space, test": ["t*l*n"],
}
FORMULAS = {
    "pipes": "| | RNN | Transformer |\n|--|--|--|\n| Time (train) | $O(t l n^2)$ | $O(t^2 l n)$ |\n"
    "| Time (test) | $O(tln^2)$ | $O(t^2ln)$ |\n| Space (train) | O(tln) | $tln$ |\n"
    "| Space (test) | O(ln) | O(tln) |",
    "two rows of heads": r"\begin{tabular}{lcccc}"
    r" & \multicolumn{2}{c}{Time} & \multicolumn{2}{c}{Space} \\"
    r" & Train & Test & Train & Test \\ \hline"
    r" RNN & $\mathcal{O}(t \cdot l \cdot n^2)$ & $O(tln^2)$ & $O(tln)$ & $O(ln)$ \\"
    r" Transformer & $O(t^2 l n + t l n^2)$ & $O(t^2ln)$ & $O(tln)$ & $O(tln)$ \end{tabular}",
    "columns of a PDF": "Time (train)   Time (test)   Space (train)   Space (test)\n"
    "RNN   O(t l n^{2})   O(t l n^{2})   O(t l n)   O(l n)\n"
    "Transformer   O(t^{2} l n)   O(t\u00b2\u00b7l\u00b7n)   O(t l n)   O(t l n)",
    "sentences": "Time complexity: RNN: O(tln^2), Transformer: O(t^2 l n).\n"
    "Space: RNN: t*l*n (train), l*n (test). Transformers: O(tln) in training and testing",
    "list": "RNN\n- training time: t l n^2\n- test time: t l n^2\n- training memory: t l n\n"
    "- inference memory: l n\nTransformer\n- time: t^2*l*n for both\n- space: t*l*n for both",
    "arrows": "Time\n\nRNN $\\rightarrow t * l * n^2$ (both train & test)\n\n"
    "Transformer $\\rightarrow t^2 * l * n$ (both)\n\nSpace\n\nRNN (train) $\\to t l n$\n"
    "(test) $\\to l n$\n\nTransformer $\\to t l n$ (train and test)",
}


@pytest.mark.parametrize("text", FORMULAS.values(), ids=FORMULAS)
def test_formulas_are_read_with_what_they_are_of(text: str) -> None:
    with Symbolic() as symbolic:
        proposal = read_formulas(text, CLASSES, SYMBOLS, symbolic, growth=True)
        assert proposal is not None
        assert proposal.share == 1, proposal.says


def test_a_wrong_formula_and_a_missing_one_are_said() -> None:
    with Symbolic() as symbolic:
        right = {
            "rnn, time": ["t*l*n**2"],
            "rnn, space": ["t*l*n"],
            "transformer, time": ["t**2*l*n"],
        }
        text = "Time: RNN: O(t*l*n^2), transformer: O(t^3)"
        proposal = read_formulas(text, right, SYMBOLS, symbolic, growth=True)
        assert proposal is not None
        assert proposal.says == (
            "rnn, time: t*l*n^2 (right); rnn, space: not found; transformer, time: t^3 (not right)"
        )
        assert proposal.share == pytest.approx(1 / 3)
        assert read_formulas("The RNN is slow.", right, SYMBOLS, symbolic, growth=True) is None


HOSTILE = {
    "blanks": "time: " + " " * 19_000 + "x",
    "brackets": "O(" * 10_000,
    "dollars": "$" * 20_000,
    "braces": "\\begin{tabular}" + "\\multicolumn{" * 1_400 + "\\end{tabular}",
    "numbers": "1, " * 6_000,
    "assignments": "q_1 = " * 3_000,
    "formulas": "rnn time: t*l, n; " * 1_000,
    "pipes": "| " * 10_000,
    "letters": "q" * 20_000 + " = 1",
    "letters in a table": "| " + "q" * 9_000 + " | x |\n|--|--|\n| 1 | 2 |\n| 1 | 2 |",
    "blanks of an index": "| q_" + " " * 9_000 + " | x |\n|--|--|\n| 1 | 2 |\n| 1 | 2 |",
}


@pytest.mark.threat("TP-09")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_takes_long_to_look_through(text: str) -> None:
    start = time.perf_counter()
    with Symbolic() as symbolic:
        propose_numbers(text, {"q": Q})
        read_formulas(text, CLASSES, SYMBOLS, symbolic, growth=True)
    assert time.perf_counter() - start < 8
