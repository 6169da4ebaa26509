"""What students wrote, in pages, on a terminal and in our own records: text, and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reporting import Press, Told
from rich.console import Console
from small_course import SOLUTION, make_course, notebook, write
from test_report_browser import evil, told

from grader.display import Display, summary
from grader.report.tables import Line
from grader.store import Entry, Store
from grader.symbolic import Symbolic
from grader.verdict import Status

URL = "http://attacker.example"
MORE = [
    r"$\href{javascript:alert(1)}{x}$ $$\require{html}\style{position:fixed}{x}$$ \(\url{file:///x}\)",
    "[x](javascript:alert(1)) ![x](http://attacker.example/x.png) <javascript:alert(1)>",
    "<svg><script xlink:href='data:text/javascript,alert(1)'/><use href='#x'/></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></table></math>",
    "data:text/html;base64,PHNjcmlwdD4= vbscript:x &#106;avascript:alert(1) java\tscript:alert(1)",
    "application/javascript text/html</textarea></summary></details>",
]
IMITATION = '</pre><h2>1a A mask</h2><p class="total"><b>5 of 5 points</b> (100 %)</p> Score: 10/10'
CONTROLS = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x1b\\l\x9b2J a\rb \x08\x7f\x00\u202e"
)


class Outline(HTMLParser):
    """Tags, attributes and addresses of a page, and the text in each tag."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.addresses: set[str] = set()
        self.policy = ""
        self.within: list[str] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy += str(dict(attrs)["content"])
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.addresses |= {str(v) for name, v in attrs if name in ("href", "src", "action", "data")}
        if tag not in ("meta", "link", "br", "img", "path", "rect", "line", "polyline", "circle"):
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self.within), data))


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, symbolic: Symbolic) -> Path:
    words = [*evil(URL), *MORE, IMITATION]
    tolds = {"tame": told([f"word {n}" for n in range(len(words))]), "evil": told(words)}
    return Press(tmp_path_factory.mktemp("shown"), symbolic, tolds).publish()


@pytest.mark.threat("RI-01", "RI-02", "HE-08")
@pytest.mark.parametrize("kind", ["students", "staff"])
def test_a_page_has_no_tag_and_no_attribute_of_a_students_making(kind: str, folder: Path) -> None:
    tame, shown = (Outline(folder / kind / f"{who}.html") for who in ("tame", "evil"))
    assert set(shown.tags) == set(tame.tags)
    assert shown.attributes == tame.attributes
    assert not [name for _, name in shown.attributes if name.startswith("on")]
    assert {"script", "iframe", "object", "embed", "form", "base", "link", "img"}.isdisjoint(
        shown.tags
    )
    assert shown.policy == tame.policy
    assert "default-src 'none'; style-src 'sha256-" in shown.policy


@pytest.mark.threat("RI-02", "RI-05")
@pytest.mark.parametrize("kind", ["students", "staff"])
def test_a_page_leads_nowhere(kind: str, folder: Path) -> None:
    addresses = Outline(folder / kind / "evil.html").addresses
    assert {"#main"} <= addresses
    ours = {"../index.html", "../students/evil.html"}
    assert {a for a in addresses if not a.startswith("#")} <= ours


@pytest.mark.threat("RI-05")
@pytest.mark.parametrize("kind", ["students", "staff"])
def test_what_imitates_a_report_stands_in_a_box_of_its_own(kind: str, folder: Path) -> None:
    texts = Outline(folder / kind / "evil.html").texts
    told = [within for within, text in texts if "5 of 5 points" in text]
    assert told
    boxes = {"pre", "code", "p", "td", "li", "text", "title", "desc", "summary"}
    assert [within for within in told if not boxes & set(within)] == []
    assert not [text for within, text in texts if "h2" in within and "(100 %)" in text]


@pytest.mark.slow
@pytest.mark.threat("RI-05")
def test_a_page_stays_small_whatever_was_written(tmp_path: Path, symbolic: Symbolic) -> None:
    flood = IMITATION * 100_000
    cells = (
        "# Homework",
        f"def mask(n):\n    return 1  # {flood}",
        "losses = []",
        f"## 3\n{flood}",
    )
    said = {"text": flood[:900_000], "ename": "E", "evalue": flood, "traceback": flood}
    students = {
        "evil": Told(cells=cells, masks={"public1": flood}, losses=flood, receipts={1: said})
    }
    folder = Press(tmp_path, symbolic, students).publish()
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*.*")}
    assert max(sizes.values()) < 1 << 20, sizes


@pytest.mark.slow
@pytest.mark.threat("RI-04")
def test_no_control_reaches_a_terminal(tmp_path: Path) -> None:
    evil = CONTROLS.replace("\x00", "").replace("/", "")
    course = make_course(tmp_path, honest=SOLUTION)
    hand_in = course.root / "submissions" / "hw"
    write(hand_in / evil / f"{evil}.ipynb", "no notebook")
    write(hand_in / ("\x1b[2J\n" + "s99 complete 4/4") / f"{evil}.txt", "nothing")
    write(hand_in / f"{evil}.ipynb", notebook(*SOLUTION))
    command = [sys.executable, "-m", "grader", "score", "submissions"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    assert (done.returncode, b"s99" in done.stdout) == (1, True), done.stderr
    text = (done.stdout + done.stderr).decode()
    assert controls(text) == set()
    assert not [line for line in text.splitlines() if line.startswith("s99 complete")]


@pytest.mark.threat("RI-04")
@pytest.mark.parametrize("width", [80, 200])
def test_no_control_reaches_the_progress_of_a_run(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width)
    with Display(console, "hw") as display:
        display.planned(2, 0, alike=0)
        display.began(CONTROLS)
        display.retried(CONTROLS, f"[red]{CONTROLS}[/]")
        display.finished(CONTROLS, CONTROLS, fault=True)
    line = Line(
        student=CONTROLS,
        status=Status.COMPLETE,
        total=1.0,
        max_points=2.0,
        needs_person=(),
        all_open=False,
        note=CONTROLS,
    )
    summary(console, CONTROLS, [line])
    assert "red" in out.getvalue()
    assert controls(out.getvalue()) == set()


def controls(text: str) -> set[str]:
    """What a terminal would obey, but for the end of a line."""
    return {c for c in text if not c.isprintable() and c != "\n"}


@pytest.mark.threat("RI-04")
def test_no_name_forges_a_decision(tmp_path: Path) -> None:
    forged = json.dumps({"student": "s02", "submission": "x", "key": "k", "plan": "", "fault": ""})
    store = Store(tmp_path)
    for student in (f"s01\n{forged}\n", f"s01\r\n{forged}", f"s01\u2028{forged}"):
        store.note("hw", Entry(student=student, submission="a", fault=f"\n{forged}\n"))
    assert len(store.entries("hw")) == 3
    assert "s02" not in store.entries("hw")
