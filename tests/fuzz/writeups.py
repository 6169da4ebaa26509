"""Theory that was handed in: Markdown, LaTeX and PDF."""

from __future__ import annotations

import io
import json
import logging

from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from fuzz.formulas import SEEDS as FORMULAS
from fuzz.formulas import SYMBOLS, WORDS
from fuzz.target import Made, Target, encoded, nasty
from grader.submission import File
from grader.symbolic.parse import parse
from grader.symbolic.tree import Unreadable
from grader.writeup.formulas import propose_formulas
from grader.writeup.numbers import propose_numbers
from grader.writeup.read import WriteUps
from grader.writeup.worker import read as read_pages

IDS = ("1a", "1b", "2d-i", "3", "P1", "Discussion")
NUMBERS = {"q": (1.0, 2.0, 1.0), "p_steps": (0.0, -1.0, 0.5)}
CLASSES = {"rnn, time": ["n*t"], "rnn, space": ["n"], "transformer, time": ["n^2"]}


def run(data: bytes) -> None:
    """Read a write-up of either kind, split it, and look for numbers and formulas in it."""
    for name in ("writeup.md", "writeup.tex"):
        found = WriteUps().read([File(name, data)], IDS)
        assert found is not None
        for question in IDS:
            section = found.section(question)
            text = section.text if section else found.unplaced
            proposals = (
                propose_numbers(text, NUMBERS),
                propose_formulas(text, CLASSES, _readable, lambda seen, right: seen == right),
            )
            assert all(one is None or -0.01 <= one.share <= 1.01 for one in proposals)


def _readable(text: str) -> bool:
    return not isinstance(parse(text, SYMBOLS, growth=True), Unreadable)


def pages(data: bytes) -> None:
    """Read a PDF as the process does that may be killed: all that is told can cross a pipe."""
    logging.disable(logging.CRITICAL)
    for told in read_pages(data):
        json.dumps(told)


STARTS = (
    *("# ", "## 1a", "Question 1 (a)", "1.", "(b)", "**P1**", "2d-i:", "```", "~~~", "===", "> - "),
    *(r"\section{1a}", r"\begin{document}", r"\begin{enumerate}", r"\item[1a]", r"\item", r"\part"),
    *(
        r"\end{enumerate}",
        r"\question",
        r"\begin{solution}{",
        r"\textbf{3}",
        "%",
        "Discussion\n---",
    ),
    *(r"\begin{tabular}{|c|}", r"\hline", r"\multicolumn{2}{c}{q}", r"\end{tabular}", r"\\", "&"),
    *("| q | 1 | 2 | 1 |", "|--|--|", "q = [1, 2, 1]", "q_1 = 2", "q\t1\t2\t1", "rnn time: O(n t)"),
    *(r"\mathcal{O}(n^2)", r"$n \cdot t$", "->", "=>", r"\rightarrow", "train", "test", "space"),
)
SEEDS = (
    b"# 1a\nq = [1, 2, 1]\n## 1b\nTime: RNN: O(n*t), transformer: O(n^2)\n",
    b"\\begin{document}\n\\section{1a}\n"
    b"\\begin{tabular}{cc}$q_t$ & 1 & 2 & 1 \\\\ \\end{tabular}\n",
    b"1. (a) q: 1, 2, 1\n(b) rnn, time -> n t\n\n| | time |\n|--|--|\n| rnn | $O(nt)$ |\n",
)


def _made() -> Made:
    words = st.one_of(
        *(st.sampled_from(STARTS), st.sampled_from(STARTS), st.sampled_from(FORMULAS)),
        *(st.sampled_from(WORDS), nasty()),
        st.builds(
            lambda part, n: part * n, st.sampled_from((*STARTS, " ", "a")), st.integers(2, 300)
        ),
    )
    lines = st.lists(words, max_size=5).map(" ".join)
    return st.lists(lines, max_size=10).map(lambda found: encoded("\n".join(found)))


def pdf(*lines: str) -> bytes:
    """A PDF with these lines, not compressed, so that a fuzzer can change what it says."""
    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=0, invariant=1)
    for number, line in enumerate(lines):
        canvas.drawString(72, 720 - 20 * number, line)
    canvas.save()
    return file.getvalue()


TARGET = Target(
    name="writeup",
    reads="write-ups in Markdown and LaTeX, and what is looked for in them",
    run=run,
    seeds=SEEDS,
    made=_made(),
    tokens=[word.encode() for word in STARTS],
)
PDF = Target(
    name="pdf",
    reads="write-ups in PDF, as in the process that may be killed",
    run=pages,
    seeds=[pdf("Question 1a", "words"), pdf("3", "x" * 40, "q = 1, 2")],
    made=st.lists(nasty(), max_size=4).map(lambda lines: pdf(*map(_latin, lines))),
    tokens=[b"/Type", b"/Page", b"/Kids", b"/Parent", b"/Length", b"stream", b"endobj", b"xref"],
)


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
