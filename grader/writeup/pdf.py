"""Lines of a PDF, read in a process of its own: students' PDFs may be anything.

Covered: time, and on Linux and macOS processor time, output and (Linux) memory. Not covered: the
process runs with the rights of whoever grades; the reader is plain Python and runs no scripts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from grader.child import needed_environment, package_first
from grader.errors import Fault
from grader.writeup.lines import MAX_CHARS, MAX_LINES, Document, Line

WALL_S = 40.0
MAX_MIB = 50
OUTPUT_BYTES = 8 << 20
#: A page with fewer characters than that holds no text: a number at the foot of a scan, perhaps.
FEW_CHARS = 8


def read_pdf(data: bytes, *, wall_s: float = WALL_S) -> Document:
    """Read a PDF.

    Args:
        data: The file.
        wall_s: After so many seconds the process is killed; pages that it had read by then count.

    Raises:
        Fault: the process cannot be started.
    """
    if len(data) > MAX_MIB << 20:
        return Document(problem=f"is larger than {MAX_MIB} MiB")
    told, in_time = _ask(data, wall_s)
    if in_time and not any("ready" in one for one in told):
        raise Fault("the process that reads PDFs did not start: is pdfminer.six installed?")
    pages = {int(one["page"]): _lines(one["lines"]) for one in told if "page" in one}
    problem = next((str(one["problem"]) for one in told if "problem" in one), "")
    ended = any(one.get("end") for one in told)
    notes = [str(one["note"]) for one in told if "note" in one]
    if not ended and not problem:
        problem = (
            "takes too long to read" if not in_time else "takes too much memory or time to read"
        )
    if problem and pages:
        notes.append(f"{problem} beyond page {max(pages)}")
        problem = ""
    return replace(_document(pages, problem, notes), hurried=not in_time)


def _document(pages: dict[int, list[str]], problem: str, notes: list[str]) -> Document:
    if problem:
        return Document(problem=problem)
    empty = [number for number, lines in pages.items() if len("".join(lines)) < FEW_CHARS]
    if len(empty) == len(pages):
        return Document(problem="holds no text: it is a scan or a picture")
    if empty:
        listed = ", ".join(map(str, empty[:10])) + (" …" if len(empty) > 10 else "")
        notes.append(f"no text on page {listed}: a scan or a picture")
    if _unreadable(pages):
        notes.append(
            "many of its letters cannot be read, because its fonts do not say what they are"
        )
    # Any page may show pictures or handwriting beside its text.
    lines = tuple(islice(_capped(pages), MAX_LINES))
    return Document(lines=lines, notes=tuple(notes), partial=True)


def _capped(pages: dict[int, list[str]]) -> Iterator[Line]:
    room = MAX_CHARS
    for number, lines in sorted(pages.items()):
        for text in lines:
            room -= len(text)
            if room < 0:
                return
            yield Line(text, page=number, labels=(text.strip(" *\u2022\u2013-"),))


def _unreadable(pages: dict[int, list[str]]) -> bool:
    text = "".join(line for lines in pages.values() for line in lines)
    return text.count("(cid:") * 20 > len(text)


def _lines(found: Any) -> list[str]:
    return [str(line) for line in found] if isinstance(found, list) else []


def _ask(data: bytes, wall_s: float) -> tuple[list[dict[str, Any]], bool]:
    """What the process told, and whether it ended in time."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(data)
        given.seek(0)
        in_time = True
        try:
            subprocess.run(  # kills it when the time is up
                [sys.executable, "-P", "-m", "grader.writeup.worker"],
                stdin=given,
                stdout=taken,
                stderr=subprocess.DEVNULL,
                env=package_first(needed_environment()),
                timeout=wall_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            in_time = False
        except OSError as error:
            raise Fault(f"the process that reads PDFs did not start: {error}") from error
        taken.seek(0)
        return list(_told(taken.read(OUTPUT_BYTES))), in_time


def _told(written: bytes) -> Iterator[dict[str, Any]]:
    for line in written.split(b"\n"):
        try:
            found = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed
        if isinstance(found, dict):
            yield found
