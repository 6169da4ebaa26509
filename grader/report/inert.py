"""Text that others wrote, made harmless to look at: no controls, no overrides, no endless lines.

Escaping is Jinja's (`grader/report/pages.py`); this is about what escaping leaves in: characters
that recolour a terminal, turn the direction of a line, or fill a page.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 6000
MAX_LINE_CHARS = 400
MAX_LINES = 80
#: Marks that may stand on one letter; more are only there to run over other lines.
MAX_MARKS = 4
#: Escape sequences of terminals: colours and cursors, titles and links, and single letters.
#: Source: ECMA-48, 5th edition, 5.3 to 5.6.
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
#: Join letters in many scripts, and do nothing else.
JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Text without anything that cannot be seen: controls become pictures or U+FFFD."""
    text = ANSI.sub("", text).replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MAX_MARKS:
            shown.append(_visible(char))
    return "".join(shown)


def _visible(char: str) -> str:
    if char.isprintable() or char in "\n\t" or char in JOINERS:
        return char
    if char < " ":
        return chr(0x2400 + ord(char))
    if unicodedata.category(char) in ("Zs", "Zl", "Zp"):
        return " "
    return "\N{REPLACEMENT CHARACTER}"


def line(text: str, chars: int = MAX_LINE_CHARS) -> str:
    """One visible line of at most so many characters."""
    text = " ".join(visible(text[: 4 * chars]).split())
    return text if len(text) <= chars else text[:chars] + "…"


def block(text: str, lines: int = MAX_LINES, *, last: bool = False) -> str:
    """Several visible lines; what was cut says so.

    Args:
        text: Of any length.
        lines: How many to keep.
        last: Whether to keep the last ones, as for a traceback, in place of the first.
    """
    room = 4 * MAX_CHARS
    kept = text[-room:] if last else text[:room]
    rows = [_row(row) for row in visible(_as_on_a_terminal(kept)).strip("\n").split("\n")]
    few = rows[-lines:] if last else rows[:lines]
    shown = "\n".join(few)
    shown = shown[-MAX_CHARS:] if last else shown[:MAX_CHARS]
    if len(few) < len(rows) or len(kept) < len(text) or len(shown) < len("\n".join(few)):
        return (
            f"[the beginning is left out]\n{shown}" if last else f"{shown}\n[the rest is left out]"
        )
    return shown


def _row(row: str) -> str:
    return row if len(row) <= MAX_LINE_CHARS else row[:MAX_LINE_CHARS] + " […]"


def _as_on_a_terminal(text: str) -> str:
    """What a progress bar leaves on its line: the text after its last return to the start."""
    rows = text.replace("\r\n", "\n").split("\n")
    return "\n".join(row.rstrip("\r").rpartition("\r")[2] for row in rows)
