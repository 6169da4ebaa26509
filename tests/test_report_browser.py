"""In a real browser: nothing that a student wrote runs, loads, or changes the page around it."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import require
from pdfminer.high_level import extract_text
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from reporting import Press, Told

from grader.symbolic import Symbolic
from grader.values import Tensor, Value

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: No request but for the page; no first-run page, no updates.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PHONE, DESK = 320, 1280


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    require("browser", "" if found else f"none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        started = _launch(playwright, str(found))
        yield started
        started.close()


def _launch(playwright: Playwright, path: str) -> Browser:
    # Containers lack the namespaces that the browser's own sandbox wants; pages are ours.
    return playwright.chromium.launch(
        executable_path=path, args=list(ARGUMENTS), chromium_sandbox=False
    )


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


class Listening:
    """A web server that counts who calls."""

    def __init__(self) -> None:
        heard: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.heard = heard
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def web() -> Iterator[Listening]:
    made = Listening()
    yield made
    made.close()


def evil(url: str) -> list[str]:
    """What a student may write who wants to be more than text."""
    run = "document.title='owned'"
    return [
        f"<script>{run}</script>",
        f"</title></style></script><script>{run}</script>",
        f"</pre></details></section></main><h1>Owned</h1><script>{run}</script>",
        "<style>body{display:none}</style>",
        f'<img src="{url}/image" onerror="{run}">',
        f'" onmouseover="{run}" autofocus onfocus="{run}" x="',
        f'<svg onload={run}><a xlink:href="javascript:{run}"><text>x</text></a></svg>',
        f'<a href="javascript:{run}">click</a> javascript:{run}',
        f'<link rel="stylesheet" href="{url}/style"><iframe src="{url}/frame"></iframe>',
        f'<meta http-equiv="refresh" content="0;url={url}/refresh"><base href="{url}">',
        "&lt;script&gt; &#60;b&#62; &amp;amp; <!-- <![CDATA[ ]]>",
        "{{ 7 * 7 }} {% include 'x' %} {# x #}",
        "\u202eright to left\u202c \u2066\u2067 \x1b[31mred\x1b[0m \x1b]0;owned\x07 \x00\x08\x0c",
        "a" + "\u0301" * 500 + "\ufeff\u2028\U000e0001",
        "x" * 1_000_000,
        "wide " * 5_000,
    ]


def told(words: list[str]) -> Told:
    """A student all of whose texts hold `words`."""
    text = "\n".join(words)
    string = repr(text)
    sizes: dict[Value, Value] = dict.fromkeys(words, 1)
    sizes |= {"rows": text, ("columns", text): Tensor(_numbers(), "float64")}
    return Told(
        cells=(
            "# Homework",
            f"def mask(n):\n    return {string}",
            f"losses = {string}\nsizes = 1",
            f"## 3\n{text}",
        ),
        masks={"public1": text, "case1": [text], "case2": {text: text}},
        sizes=sizes,
        losses=[text],
        receipts={
            1: {"text": text},
            2: {"text": text, "ename": words[0], "evalue": text, "traceback": text},
        },
    )


def _numbers() -> np.ndarray:
    return np.array([1.0, np.nan])


class Opened:
    """A page as a browser shows it, and what it tried to do."""

    def __init__(
        self, browser: Browser, path: Path, width: int = DESK, scheme: str = "light"
    ) -> None:
        self.requests: list[str] = []
        self.said: list[str] = []
        self.url = path.as_uri()
        self.context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.goto(self.url)

    def outline(self) -> list[str]:
        """The names of all elements outside of cells, in order."""
        found: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('body *:not(svg *):not(figure *)')]"
            ".map((one) => one.localName)"
        )
        return found

    def attributes(self) -> set[str]:
        found: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
        )
        return set(found)

    def scrolls_sideways(self) -> bool:
        page = "document.documentElement"
        return bool(self.page.evaluate(f"{page}.scrollWidth > {page}.clientWidth"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, symbolic: Symbolic, web: Listening) -> Path:
    students = {"tame": told([f"word {n}" for n in range(16)]), "evil": told(evil(web.url))}
    for name in evil(web.url)[:13]:
        students[name.replace("/", "\u2215").replace("\0", "")[:60]] = Told()
    return Press(tmp_path_factory.mktemp("hostile"), symbolic, students).publish()


@pytest.mark.slow
@pytest.mark.threat("RI-01", "RI-02", "HE-08")
@pytest.mark.parametrize("kind", ["students", "staff"])
def test_what_a_student_wrote_is_text(
    kind: str, folder: Path, browser: Browser, web: Listening
) -> None:
    tame = Opened(browser, folder / kind / "tame.html")
    shown = Opened(browser, folder / kind / "evil.html")
    for one in shown.page.query_selector_all("summary"):
        one.hover()
        one.click()
    shown.page.mouse.click(5, 5)
    shown.page.keyboard.press("Tab")
    assert shown.page.title() == "evil: Masks and <curves>"
    assert shown.outline() == tame.outline()
    assert shown.attributes() == tame.attributes()
    assert (shown.requests, shown.said, web.heard) == ([shown.url], [], [])
    assert shown.page.url == shown.url
    assert "<script>document.title='owned'</script>" in shown.page.inner_text("main")
    assert "\u202e" not in shown.page.content()


@pytest.mark.slow
@pytest.mark.threat("RI-01")
def test_names_of_students_are_text_too(folder: Path, browser: Browser, web: Listening) -> None:
    shown = Opened(browser, folder / "index.html")
    assert shown.page.title() == "The class: Masks and <curves>"
    assert shown.page.locator("table.students tbody tr").count() == 15
    assert shown.page.locator("script").count() == 1
    links = shown.page.locator("a").evaluate_all(
        "all => all.map((one) => one.getAttribute('href'))"
    )
    assert all(link == "#main" or link.startswith("staff/") for link in links)
    assert (shown.requests, shown.said, web.heard) == ([shown.url], [], [])
    for path in sorted((folder / "students").glob("*.html")):
        one = Opened(browser, path, PHONE)
        assert (one.requests, one.said) == ([one.url], [])
        assert one.page.title().endswith(": Masks and <curves>")
        assert not one.scrolls_sideways()
        one.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", ["index.html", "students/evil.html", "staff/evil.html"])
def test_no_page_scrolls_sideways(name: str, width: int, folder: Path, browser: Browser) -> None:
    shown = Opened(browser, folder / name, width)
    assert not shown.scrolls_sideways()
    assert shown.page.evaluate("document.body.scrollHeight") < 60_000


@pytest.mark.slow
@pytest.mark.threat("RI-01")
def test_the_policy_holds_where_escaping_would_fail(
    folder: Path, browser: Browser, web: Listening
) -> None:
    page = (folder / "students" / "tame.html").read_text(encoding="utf-8")
    # Only escaping keeps a refresh out: it is a navigation, which no policy in a page forbids.
    raw = "".join(one for one in evil(web.url)[:10] if "refresh" not in one)
    path = folder.parent / "raw.html"
    path.write_text(page.replace("</body>", f"{raw}<p id=p style='color:red'>x</p></body>"))
    shown = Opened(browser, path)
    shown.page.wait_for_timeout(300)
    assert shown.page.title() == "tame: Masks and <curves>"
    assert shown.page.evaluate("getComputedStyle(document.body).display") == "block"
    assert shown.page.evaluate("document.getElementById('p').style.color") == ""
    assert web.heard == []


@pytest.mark.slow
def test_the_table_of_the_class_is_sorted_by_a_key_press(folder: Path, browser: Browser) -> None:
    page = Opened(browser, folder / "index.html").page
    total = page.locator("table.students th", has_text="Total")
    total.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert total.get_attribute("aria-sort") == "descending"
    totals = page.locator("table.students tbody td:nth-child(3)").all_inner_texts()
    assert [float(one) for one in totals] == sorted(map(float, totals), reverse=True)
    page.keyboard.press("Enter")
    assert total.get_attribute("aria-sort") == "ascending"


@pytest.mark.slow
def test_what_is_folded_is_printed(folder: Path, browser: Browser) -> None:
    page = Opened(browser, folder / "students" / "tame.html").page
    assert page.locator("details.cell:not([open])").count() > 0
    words = page.locator("pre.words")
    assert not words.is_visible()
    printed = extract_text(io.BytesIO(page.pdf()))
    assert "What was written" in printed
    assert "word 7" in printed.partition("What was written")[2].partition("The run")[0]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(scheme: str, folder: Path, browser: Browser) -> None:
    page = Opened(browser, folder / "staff" / "tame.html", scheme=scheme).page
    style = "getComputedStyle(document.documentElement).getPropertyValue"
    papers = [page.evaluate(f"{style}('--{name}')") for name in ("paper", "wash")]
    for ink in ("ink", "soft", "accent"):
        for paper in papers:
            assert contrast(page.evaluate(f"{style}('--{ink}')"), paper) >= 4.5


def contrast(one: str, other: str) -> float:
    """Ratio of two colours. Source: WCAG 2.2, relative luminance and contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.slow
def test_a_keyboard_reaches_the_content_first(folder: Path, browser: Browser) -> None:
    page = Opened(browser, folder / "students" / "tame.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    box = page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0


def test_a_browser_is_there_where_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADER_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="browser is required here: none"):
        require("browser", "none is installed")
    assert os.environ["GRADER_REQUIRE_BROWSER"] == "1"
