"""Lines of Markdown: headings are `#`, underlined, bold at the start of a line, or HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from grader.writeup.lines import MAX_LABEL_CHARS, Document, Line, decoded

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HASHES = re.compile(r" {0,3}#{1,6}(?=[\s\dA-Za-z(])")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)\s*")
_BOLD = re.compile(r"(\*\*\*?|___?)(?=\S)")
_TAG = re.compile(r"<(/?)(h[1-6]|b|strong|u|p|center|div)\b[^<>]{0,60}>", re.IGNORECASE)
#: Also in reStructuredText, Org and R's Markdown.
_PICTURE = re.compile(
    r"!\[|\[\[|<(?:img|svg|embed|object|iframe)\b|include_?graphics"
    r"|\.\. (?:image|figure|include)::",
    re.IGNORECASE,
)
_BULLET = re.compile(r"[>\s]*(?:[-*+]\s+|\$+\s*|\\\(|\\\[)*")


def read_markdown(data: bytes) -> Document:
    """Read a Markdown file."""
    text, notes = decoded(data)
    lines, fence = [], ""
    for line, following in pairwise([*text.splitlines(), ""]):
        mark = _FENCE.match(line)
        if fence:
            ends = mark and mark[1].startswith(fence) and not line.strip(" \t" + fence[0])
            fence = "" if ends else fence
            lines.append(Line(line))
        elif mark:
            fence = mark[1]
            lines.append(Line(line))
        else:
            lines.append(_line(line, following))
    lines = [replace(n, picture=True) if _PICTURE.search(n.text) else n for n in lines]
    return Document(lines=tuple(lines), notes=notes, partial=bool(notes))


def _line(line: str, following: str) -> Line:
    start = line[:MAX_LABEL_CHARS]
    hashes, tag = _HASHES.match(start), _TAG.match(start.lstrip())
    underlined = bool(start.strip() and _UNDERLINE.fullmatch(following[:MAX_LABEL_CHARS]))
    plain = _TAG.sub("", start[hashes.end() :] if hashes else start)
    bullet = _BULLET.match(plain)
    plain = plain[bullet.end() :] if bullet else plain
    bold = _BOLD.match(plain)
    label = re.sub(r"[*_`]{2,}|\\(?=[().\[\]])|[{}$]", "", plain).strip(" *_#")
    return Line(line, labels=(label,), heading=bool(hashes or tag or underlined or bold))
