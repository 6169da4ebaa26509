"""The process that reads a PDF: it may be killed at any time, and trusts nothing in the file.

Reads the file from standard input and writes one JSON object a line: `{"ready": true}`, then
`{"page": 1, "lines": [...]}` for every page as soon as it is read, `{"problem": ...}` where there
is nothing to read, and `{"end": true}` last. Limits on memory, processor time and output are set
here, where the system has them; the clock is the parent's.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

from pdfminer.converter import PDFLayoutAnalyzer
from pdfminer.layout import LTChar, LTContainer, LTItem, LTPage
from pdfminer.pdfdocument import PDFDocument, PDFPasswordIncorrect
from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
from pdfminer.pdfpage import PDFPage
from pdfminer.pdfparser import PDFParser, PDFSyntaxError

from grader.writeup.layout import Glyph, lines_of

MAX_PAGES = 60
MAX_GLYPHS = 30_000
"""Of a page; a full page of text has about 4000."""
MEMORY_MIB = 1024
CPU_S = 30
OUTPUT_BYTES = 8 << 20


class _Glyphs(PDFLayoutAnalyzer):
    """Collects the characters of a page, also those within figures."""

    found: list[Glyph]

    def receive_layout(self, ltpage: LTPage) -> None:
        """Take the page's characters; called once a page."""
        self.found = []
        for item in _flat(ltpage):
            if isinstance(item, LTChar) and len(self.found) < MAX_GLYPHS:
                left, _, right, _ = item.bbox
                text = item.get_text()
                self.found.append(Glyph(text, left, right, item.matrix[5], item.size))


def main() -> None:
    """Read one file."""
    data = sys.stdin.buffer.read()
    logging.disable(logging.CRITICAL)  # what it says of a broken file nobody reads
    _limit()
    try:
        _say({"ready": True})
        for told in read(data):
            _say(told)
    except OSError:
        return  # more output than is allowed


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def read(data: bytes) -> Iterator[dict[str, Any]]:
    """Everything that is told about a file."""
    try:
        document = PDFDocument(PDFParser(io.BytesIO(data)))
        yield from _pages(document)
    except PDFPasswordIncorrect:
        yield {"problem": "is locked with a password"}
    except PDFSyntaxError:
        yield {"problem": "is no PDF, or damaged"}
    except MemoryError:
        yield {"problem": "takes too much memory to read"}
    except RecursionError:
        yield {"problem": "is nested too deeply to be read"}
    except Exception as error:  # noqa: BLE001 - a file that anybody made may raise anything
        yield {"problem": f"cannot be read ({type(error).__name__})"}


def _pages(document: PDFDocument) -> Iterator[dict[str, Any]]:
    resources = PDFResourceManager()
    device = _Glyphs(resources, laparams=None)
    interpreter = PDFPageInterpreter(resources, device)
    for number, page in enumerate(PDFPage.create_pages(document), start=1):
        if number > MAX_PAGES:
            yield {"note": f"only its first {MAX_PAGES} pages were read"}
            break
        device.found = []
        interpreter.process_page(page)
        yield {"page": number, "lines": lines_of(device.found)}
    yield {"end": True}


def _flat(item: LTItem) -> Iterator[LTItem]:
    """An item and all within it, without recursion."""
    stack: list[LTItem] = [item]
    while stack:
        item = stack.pop()
        yield item
        if isinstance(item, LTContainer):
            stack += reversed(list(item))


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    memory = MEMORY_MIB << 20
    limits = {
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_FSIZE: OUTPUT_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    if sys.platform == "linux":  # macOS refuses it
        limits[resource.RLIMIT_AS] = memory
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    main()
