"""Lines of text from characters on a page: words, columns, and what is raised or lowered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Shares of the size of a line's characters.
SAME_LINE, SAME_BASELINE, HIGHEST_SCRIPT = 0.15, 0.03, 0.8
WORD_GAP, COLUMN_GAP, SCRIPT_GAP = 0.18, 1.3, 0.45
#: Of a script's size beside that of its line.
SCRIPT_SIZE = 0.9


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character: its text, its size, and where it stands on the page in points."""

    text: str
    left: float
    right: float
    baseline: float
    size: float


@dataclass(slots=True)
class _Row:
    baseline: float
    size: float
    glyphs: list[tuple[Glyph, str]] = field(default_factory=list)
    """Each with `^` where it is raised, `_` where it is lowered."""


def lines_of(glyphs: Iterable[Glyph]) -> list[str]:
    """Lines from top to bottom; x^{2} for what is raised, three blanks between columns."""
    rows: list[_Row] = []
    small: list[Glyph] = []
    for glyph in sorted(glyphs, key=lambda g: (-g.baseline, g.left)):
        if not glyph.text.strip():
            continue
        row = rows[-1] if rows else None
        if row and _same_line(row, glyph):
            row.glyphs.append((glyph, ""))
            row.size = max(row.size, glyph.size)
        else:
            rows.append(_Row(glyph.baseline, glyph.size, [(glyph, "")]))
    rows, small = _scripts_apart(rows)
    for glyph in small:
        _attach(glyph, rows)
    rows.sort(key=lambda row: -row.baseline)
    return [_text(row) for row in rows]


def _same_line(row: _Row, glyph: Glyph) -> bool:
    """Whether a character stands on a row; one of another size must not be shifted at all."""
    small, large = sorted((row.size, glyph.size))
    allowed = SAME_LINE if small >= SCRIPT_SIZE * large else SAME_BASELINE
    return abs(row.baseline - glyph.baseline) <= allowed * large


def _scripts_apart(rows: Sequence[_Row]) -> tuple[list[_Row], list[Glyph]]:
    """Rows of full size, and the characters of small rows that lie close to a larger one."""
    kept, small = [], []
    for number, row in enumerate(rows):
        near = [*rows[max(0, number - 2) : number], *rows[number + 1 : number + 3]]
        if any(_is_script(row, other) for other in near):
            small += [glyph for glyph, _ in row.glyphs]
        else:
            kept.append(row)
    return kept, sorted(small, key=lambda g: g.left)


def _is_script(row: _Row, other: _Row) -> bool:
    close = abs(row.baseline - other.baseline) < HIGHEST_SCRIPT * other.size
    return row.size < SCRIPT_SIZE * other.size and close


def _attach(glyph: Glyph, rows: list[_Row]) -> None:
    """Put a small character behind the one that it belongs to, else on a row of its own."""
    for row in rows:
        height = glyph.baseline - row.baseline
        if glyph.size < SCRIPT_SIZE * row.size and abs(height) < HIGHEST_SCRIPT * row.size:
            mark = "^" if height > 0 else "_"
            gap = SCRIPT_GAP * row.size
            if any(-gap < glyph.left - other.right < gap for other, _ in row.glyphs):
                row.glyphs.append((glyph, mark))
                return
    rows.append(_Row(glyph.baseline, glyph.size, [(glyph, "")]))


def _text(row: _Row) -> str:
    told, before, script = "", None, ""
    for glyph, mark in sorted(row.glyphs, key=lambda one: one[0].left):
        gap = glyph.left - before.right if before else 0.0
        if mark != script:
            told += "}" if script else ""
        if mark == script and mark:
            told += glyph.text
        else:
            told += _blank(gap, row.size) if before and not mark else ""
            told += f"{mark}{{{glyph.text}" if mark else glyph.text
        before, script = glyph, mark
    return told + ("}" if script else "")


def _blank(gap: float, size: float) -> str:
    if gap > COLUMN_GAP * size:
        return "   "
    return " " if gap > WORD_GAP * size else ""
