"""Read one notebook that anybody may have written: size, JSON, format; never executed here."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import SubmissionError
from grader.submission import Cell, CellKind

MAX_MIB = 20
MAX_CELLS = 2000
MAX_SOURCE_BYTES = 4 << 20
#: Outside of strings, where each makes an object of many times its size. Outputs with 20 MiB of
#: numbers, one to a line, have 700,000 commas.
MAX_BRACKETS, MAX_COMMAS = 500_000, 1_000_000
#: What is handed in for a notebook by mistake, by how it begins.
BEGINNINGS = {"<": "a web page", "PK\x03\x04": "an archive", "%PDF": "a PDF"}
#: What makes a part of JSON, behind what makes none: possessive, so that it takes linear time.
_PART = re.compile(rb'(?:[^"\[{,]++|"(?:[^"\\]++|\\.?)*+"?)*+([\[{,]|\Z)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Notebook:
    """The cells of a notebook, and what had to be repaired to read them."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def read_notebook(path: Path) -> Notebook:
    """Read a notebook of format 3 or 4, whatever its metadata, kernel and outputs.

    Raises:
        SubmissionError: it is no regular file, too large, or no notebook; says what is wrong.
    """
    return parse_notebook(read_regular(path), path.name)


def read_regular(path: Path, at_most_mib: int = MAX_MIB) -> bytes:
    """Read a regular file of limited size without following links or waiting on pipes.

    Raises:
        SubmissionError: it is something else.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if path.is_symlink():
            raise SubmissionError(f"{path.name} is a link, not a file: hand in the file") from error
        raise SubmissionError(f"{path.name} cannot be opened: {error.strerror}") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise SubmissionError(f"{path.name} is not a regular file")
        mib = status.st_size / 2**20
        if status.st_size > at_most_mib << 20:
            hint = ": clear outputs" if path.suffix == ".ipynb" else ""
            says = f"{path.name} has {mib:.0f} MiB, at most {at_most_mib} are read{hint}"
            raise SubmissionError(says)
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(status.st_size)  # as much is allocated as is asked for
    finally:
        os.close(handle)


def parse_notebook(data: bytes, name: str) -> Notebook:
    """Read the cells from the text of a notebook.

    Raises:
        SubmissionError: it is no notebook; says what is wrong.
    """
    found = _json(data, name)
    if not isinstance(found, dict):
        raise SubmissionError(f"{name} is JSON, but no notebook")
    major = found.get("nbformat")
    if major == 3:
        sheets = found.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        raw = [c for s in sheets if isinstance(s, dict) for c in _list(s.get("cells"))]
        notes: tuple[str, ...] = ("notebook format 3 was read as it is",)
    elif major == 4:
        raw, notes = _list(found.get("cells")), ()
    else:
        shown = major if type(major) is int and major in range(100) else "none"
        raise SubmissionError(f"{name} has notebook format {shown}; 3 and 4 are read: save it anew")
    cells = tuple(map(_cell, raw[: MAX_CELLS + 1]))
    if len(cells) > MAX_CELLS or sum(len(cell.source) for cell in cells) > MAX_SOURCE_BYTES:
        raise SubmissionError(f"{name} has more than {MAX_CELLS} cells or 4 MiB of source")
    return Notebook(cells, notes)


def _json(data: bytes, name: str) -> Any:
    if _has_many(data):
        raise SubmissionError(f"{name} holds more lists and numbers than are read: clear outputs")
    text = data.decode("utf-8-sig", "replace")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise SubmissionError(f"{name} is nested too deeply to be a notebook") from error
    except ValueError as error:
        if not text.strip():
            raise SubmissionError(f"{name} is empty") from error
        for number, line in enumerate(text.splitlines(), start=1):
            if line.startswith(("<<<<<<< ", ">>>>>>> ")):
                says = f"{name} holds a Git merge conflict at line {number}: resolve it, save anew"
                raise SubmissionError(says) from error
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SubmissionError(f"{name} is {_other(text, where)}") from error


def _has_many(data: bytes) -> bool:
    """Whether JSON has so many parts outside of strings that reading it would cost much."""
    brackets, commas = data.count(b"[") + data.count(b"{"), data.count(b",")
    if brackets <= MAX_BRACKETS and commas <= MAX_COMMAS:
        return False  # not even with those in strings
    brackets = commas = 0
    for part in _PART.finditer(data):
        commas += part[1] == b","
        brackets += part[1] in (b"[", b"{")
        if brackets > MAX_BRACKETS or commas > MAX_COMMAS:
            return True
    return False


def _other(text: str, where: str) -> str:
    """What a text is that is no JSON, and what to do about it."""
    start = text.lstrip()
    for beginning, what in BEGINNINGS.items():
        if start.startswith(beginning):
            return f"{what}, not a notebook: hand in the notebook itself"
    if start.startswith("{"):
        return f"damaged: its text breaks off or is no JSON{where}: save it anew"
    return f"not a notebook: its text is not JSON{where}"


def _cell(written: Any) -> Cell:
    """A code or markdown cell, or a raw one for everything else."""
    if not isinstance(written, dict):
        return Cell(CellKind.RAW, "")
    kind = written.get("cell_type")
    if kind == "heading":  # format 3 has cells of their own for headings
        level = written.get("level", 1)
        level = level if isinstance(level, int) and 1 <= level <= 6 else 1
        return Cell(CellKind.MARKDOWN, "#" * level + " " + _text(written.get("source")))
    if kind == "code":
        return Cell(
            CellKind.CODE, _text(written.get("source", written.get("input"))), _tags(written)
        )
    source = _text(written.get("source"))
    return Cell(CellKind.MARKDOWN if kind == "markdown" else CellKind.RAW, source)


def _tags(written: dict[str, Any]) -> tuple[str, ...]:
    metadata = written.get("metadata")
    tags = _list(metadata.get("tags")) if isinstance(metadata, dict) else []
    return tuple(_text(tag) for tag in tags if isinstance(tag, str))


def _text(written: Any) -> str:
    """A source is text or a list of lines; surrogates that no encoding takes are replaced."""
    lines = written if isinstance(written, list) else [written]
    joined = "".join(line for line in lines if isinstance(line, str))
    return joined.encode("utf-8", "replace").decode("utf-8")


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
