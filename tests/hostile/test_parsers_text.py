"""What looks for patterns in the words of students, and what shows them."""

from __future__ import annotations

import csv
import gc
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz.answers import printed
from fuzz.formulas import SYMBOLS
from fuzz.writeups import CLASSES, NUMBERS
from pydantic import ValidationError
from reporting import CELLS, Press, Told
from rich.console import Console
from test_report_pages import both

from grader import patterns
from grader.checks import KINDS
from grader.checks.culprit import NOT_DEFINED, chain, defined_names, near_name, reset_by
from grader.checks.written import text_under
from grader.codec import decode, encode
from grader.compare import compare
from grader.display import shown
from grader.errors import ProtocolViolation
from grader.evidence import CellReceipt, CellStatus
from grader.report.excerpts import excerpts
from grader.report.inert import block, line, visible
from grader.report.statistics import NUMBER
from grader.report.tables import FORMULA_STARTS, Table, undone
from grader.rubric.model import SkipModel
from grader.starter import PLACE
from grader.submission import Cell, CellKind, File
from grader.symbolic import Symbolic, Unreadable
from grader.symbolic.parse import parse
from grader.values import Formula
from grader.writeup.formulas import propose_formulas
from grader.writeup.numbers import propose_numbers
from grader.writeup.read import WriteUps


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


# --- TP-09: patterns that never end ---------------------------------------------------------------

STARTS = (
    *("", "O", "\\mathcal", " (", "{", "\\[", "||", "q_", "name '", "<b", "x = None", "\\text{"),
    *("\\multicolumn{", "\\cline(", "\\item[", "\x1b]", "import ", "accuracy: ", "tensor(1", "| "),
)
AGAIN = (
    *(
        " ",
        "a",
        "1",
        "9,",
        "-",
        "=",
        "\t",
        "\n",
        "(",
        "{}",
        "[",
        "|",
        "\\",
        "_",
        "$",
        "*",
        "<",
        "a,",
    ),
    *("₀", ". ", ": ", "\\(", "\\text{a}", "\x1b[", "line 1", "&", "and ", ".1", "\\multirow{"),
)
CHARS = 2000
#: Of a text of `CHARS`; what takes longer must grow no faster than its length.
QUICK_S = 0.02


def _code(text: str) -> object:
    cells = (Cell(CellKind.CODE, text),)
    failed = {0: CellReceipt(index=0, status=CellStatus.DIED, wall_s=1)}
    NOT_DEFINED.match(text)
    defined_names(cells)
    excerpts(["x"], cells, failed)
    return near_name("x", cells, ()), reset_by("x", cells), chain("x", cells, failed)


def _written(text: str) -> object:
    found = [
        WriteUps().read([File(name, text.encode())], ("1a", "2"))
        for name in ("writeup.md", "writeup.tex")
    ]
    return found, text_under("2c", (Cell(CellKind.MARKDOWN, text),))


def _looked_for(text: str) -> object:
    def readable(formula: str) -> bool:
        return not isinstance(parse(formula, SYMBOLS, growth=True), Unreadable)

    return propose_numbers(text, NUMBERS), propose_formulas(
        text, CLASSES, readable, lambda seen, right: False
    )


def _shown(text: str) -> object:
    Table(io.StringIO()).row(text)
    return visible(text), line(text), block(text), undone(text), shown(text)


FORM: Callable[..., object] = KINDS["output"].form
PRINTED = KINDS["output"].Params.model_validate({"of": "accuracy: {} of {} %", "equals": [1, 2]})
READERS: dict[str, Callable[[str], object]] = {
    "formulas": lambda text: parse(text[:2000], SYMBOLS),
    "code": _code,
    "write-ups": _written,
    "what is looked for in write-ups": _looked_for,
    "what is shown": _shown,
    "numbers in sentences": lambda text: NUMBER.sub("", text),
    "places of errors": lambda text: PLACE.sub("", text),
    "printed numbers": lambda text: FORM(PRINTED, printed(text), None),
    "numbers as formulas": lambda text: compare(Formula(text), 1.5, rtol=0.1, atol=0.1),
}


def cost(reader: Callable[[str], object], text: str) -> float:
    """Processor time, in seconds; the least of three, because others use the machine too."""
    took = []
    gc.disable()
    for _ in range(3):
        began = time.process_time()
        reader(text)
        took.append(time.process_time() - began)
        if took[-1] < QUICK_S:
            break
    gc.enable()
    return min(took)


@pytest.mark.slow
@pytest.mark.threat("TP-09")
@pytest.mark.parametrize("read", READERS)
def test_four_times_the_text_takes_no_more_than_eight_times_the_time(read: str) -> None:
    reader = READERS[read]
    slow = []
    for start, again in itertools.product(STARTS, AGAIN):

        def text(chars: int, start: str = start, again: str = again) -> str:
            return start + again * (chars // len(again)) + "!"

        once = cost(reader, text(CHARS))
        if once >= QUICK_S and cost(reader, text(4 * CHARS)) > 8 * once:
            slow.append((start, again, once))
    assert slow == []


ENDLESS = (r"(a+)+$", r"(a*)*b", r"(?:\w+\s*)+:", r"((a+)b?)*c", r".*a.*b.*c", r"(a|aa)+$")
NOT_LINEAR = (r"(?=a)a", r"(a)\1", r"(?<!a)b", r"(a{1000}){1000}")
FINE_PATTERNS = (
    (r"trainer\.train", "trainer.train()"),
    (r"^#.*skip$", "x = 1\n# do skip\ny = 2"),
    (r"\(a+\)+", "f(aa)"),
    (r"(?i)FIT\b", "model.fit(x)"),
    (r"été", "# l'été \ud800"),
)


@pytest.mark.threat("TP-09")
@pytest.mark.parametrize("pattern", ENDLESS)
def test_no_text_makes_a_rubrics_pattern_endless(pattern: str) -> None:
    assert not patterns.found(pattern, "a" * 1_000_000 + "!")  # days, with `re`


@pytest.mark.threat("TP-09")
@pytest.mark.parametrize("pattern", NOT_LINEAR)
def test_a_rubric_may_hold_no_pattern_beyond_linear_time(pattern: str) -> None:
    with pytest.raises(ValidationError, match="a regular expression as RE2 reads it"):
        SkipModel.model_validate({"matching": [pattern]})


@pytest.mark.parametrize(("pattern", "text"), FINE_PATTERNS)
def test_a_rubric_may_hold_other_patterns(pattern: str, text: str) -> None:
    assert SkipModel.model_validate({"matching": [pattern]}).matching == (pattern,)
    assert patterns.found(pattern, text)


# --- TP-11: text that bites -----------------------------------------------------------------------

BITES = {
    "a template": "{{7*7}}",
    "a template's loop": "{% for x in y %}",
    "a format": "{0.__class__.__mro__}",
    "a format of another kind": "%s%n%(x)s",
    "a big number": "9" * 5000,
    "a shell's words": "$(touch canary) `touch canary`",
    "markup": "<script>alert('1')</script>&amp;",
    "the end of an element": "</pre></style><img src=x onerror=alert(1)>",
    "markup of the console": "[bold]x[/bold][link=http://x]",
    "quotes": "'\"\\'",
}


@pytest.mark.threat("TP-11")
@pytest.mark.parametrize("bites", BITES)
def test_text_stays_the_same_text_everywhere(
    bites: str, symbolic: Symbolic, tmp_path: Path
) -> None:
    text = BITES[bites]
    assert decode(encode({text: [text]})) == {text: [text]}
    assert json.loads(json.dumps(text)) == text
    shortly = text if len(text) <= 2000 else text[:2000] + "…"
    table = io.StringIO()
    Table(table).row(text, text)
    (cells,) = csv.reader(io.StringIO(table.getvalue(), newline=""))
    assert [undone(cell) for cell in cells] == [shortly] * 2
    console = Console(file=io.StringIO(), width=10_000, color_system=None)
    console.print(shown(text))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"{shortly}\n"
    sources = (*CELLS[:1], f"def mask(n):\n    return {text!r}", *CELLS[2:])
    said = {1: {"text": text, "ename": text, "evalue": text, "traceback": text}}
    told = Told(cells=sources, receipts=said, masks={"case1": text}, sizes=text, losses=text)
    folder = Press(tmp_path, symbolic, {"s01": told}).publish()
    for page in both(folder):
        assert text[:300] in page.text.replace(" \u2026", "")
        assert not {"img", "script"} & {tag for tag, _ in page.tags}


@pytest.mark.threat("TP-11")
def test_numbers_beyond_what_python_prints_are_cut_off_as_text() -> None:
    for number in (10**999, -(10**998)):
        assert decode(encode(number)) == number
    with pytest.raises(ProtocolViolation, match="too many digits"):
        decode(encode(10**1001))


# --- RI-03: tables --------------------------------------------------------------------------------

TRIGGERS = (*"=+-@", "\t=", "\r=", "\n=", "\0=", " =", "\u200b=", "x;=", "x\n=", '";=', "\ufeff=")


@pytest.mark.threat("RI-03")
@pytest.mark.parametrize("start", TRIGGERS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_a_table_starts_a_formula(start: str, separator: str) -> None:
    evil = f'{start}HYPERLINK("http://x"),\n1'
    table = io.StringIO()
    Table(table).row(evil, 1.5, evil, None)
    text = io.StringIO(table.getvalue(), newline="")
    (cells,) = csv.reader(text, delimiter=separator)
    assert separator != "," or len(cells) == 4
    assert not [cell for cell in cells if cell.lstrip('"').startswith(FORMULA_STARTS)]
