"""Tables in a text: Markdown's pipes, LaTeX's tabular, tabs, and columns of a PDF."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

#: Of a section, from its beginning; nobody writes more for one question.
MAX_CHARS = 20_000
_BEGIN = re.compile(r"\\begin\{(?:tabularx?|array|[pbv]?matrix|longtable)\*?\}")
_END = re.compile(r"\\end\{(?:tabularx?|array|[pbv]?matrix|longtable)\*?\}")
_ARGUMENTS = re.compile(r"^(?:\[[^\[\]]*\]|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})+")
_RULES = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|c(?:mid)?line\s*(?:\([^()]*\))?\{[^{}]*\})"
)
_MULTI = re.compile(
    r"\\multi(?:column|row)\s*\{([^{}]*)\}\s*\{[^{}]*\}\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_SCRIPTS = str.maketrans(
    {"\N{SUPERSCRIPT TWO}": "^2", "\N{SUPERSCRIPT THREE}": "^3", "\N{SUPERSCRIPT ONE}": "^1"}
    | dict.fromkeys("\u2217\u00b7\u22c5\u00d7\u2219", "*")
    | dict.fromkeys("\u2212\u2013\u2010\u2011", "-")
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: rows of cells, which need not be equally long."""

    rows: tuple[tuple[str, ...], ...]


Block = str | Grid
"""A line of prose, or a table."""


def plain(text: str) -> str:
    """Text with one sign for each thing: `n²` is n^2, any minus is `-`, any dot product `*`."""
    return unicodedata.normalize("NFKC", text.translate(_SCRIPTS))


def blocks(text: str) -> list[Block]:
    """The lines of a text, with what stands in tables gathered."""
    found: list[Block] = []
    lines: list[Block] = []
    kind = ""
    rows: list[tuple[str, ...]] = []
    for block, new, cells in [*_pieces(plain(text[:MAX_CHARS])), ("", "", ())]:
        if rows and new != kind:
            # One line with wide gaps is prose more often than a table.
            found += lines if kind == "columns" and len(rows) == 1 else [Grid(tuple(rows))]
            lines, rows = [], []
        kind = new
        if new:
            rows += [cells] if cells else []
            lines.append(block)
        else:
            found.append(block)
    return found


def _pieces(text: str) -> Iterator[tuple[Block, str, tuple[str, ...]]]:
    """Lines, each with the kind of row that it is and its cells; or whole tables of LaTeX."""
    at = 0
    while begin := _BEGIN.search(text, at):
        end = _END.search(text, begin.end())
        if end is None:
            break
        yield from map(_piece, text[at : begin.start()].splitlines())
        yield Grid(tuple(_latex_rows(text[begin.end() : end.start()]))), "", ()
        at = end.end()
    yield from map(_piece, text[at:].splitlines())


def _piece(line: str) -> tuple[Block, str, tuple[str, ...]]:
    if line.count("|") >= 2 or (" | " in line):
        cells = _stripped(re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|")))
        rule = all(re.fullmatch(r":?-*:?", cell) for cell in cells)
        return line, "pipes", () if rule else cells
    if "\t" in line.strip():
        return line, "tabs", _stripped(line.strip("\r\n ").split("\t"))
    cells = _stripped(re.split(r" {2,}", line.strip()))
    return (line, "columns", cells) if len(cells) > 2 else (line, "", ())


def _latex_rows(code: str) -> Iterator[tuple[str, ...]]:
    code = _ARGUMENTS.sub("", code.lstrip(), count=1)
    for row in re.split(r"\\\\(?:\[[^\[\]]*\])?|\\tabularnewline", _RULES.sub("", code)):
        if row.strip():
            cells: list[str] = []
            for cell in re.split(r"(?<!\\)&", row):
                multi = _MULTI.search(cell)
                wide = multi and "column" in cell[: multi.end()] and multi[1].strip().isdigit()
                cells.append(multi[2].strip() if multi else cell.strip())
                cells += [""] * (min(int(multi[1]), 20) - 1 if multi and wide else 0)
            yield tuple(cells)


def _stripped(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in cells)
