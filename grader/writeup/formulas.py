"""Formulas in a text, each with the words that say what it is of, compared with those right.

`rnn, time, train` is found in a table whose row or column heads say so, and in prose such as
`Time: RNN (train) -> t*l*n`, where a heading stands until another of its kind comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from grader.writeup.numbers import Proposal
from grader.writeup.tables import Grid, blocks

#: A formula, as the comparison takes it: whether it can be read, and whether it is right.
Readable = Callable[[str], bool]
Right = Callable[[str, str], bool]

#: Of a section: comparing one may take seconds.
MAX_FORMULAS = 100
#: Of a line, of each kind: all are compared with each other.
MAX_PLACES = 200
#: Of those that are said of one key.
MAX_TRIED = 6
MAX_FORMULA_CHARS = 300

_ARROW = re.compile(r"\\(?:long)?[rR]ightarrow|\\to\b|\\implies|\u2192|\u21d2|(?<![-=])[-=]++>")
_BIG_O = re.compile(
    r"(?:\\mathcal\s*+(?:\{\s*+)?O(?:\s*+\})?|\\?Theta|\\?Omega|\u0398|\bO)"
    r"\s*+(?:\\left\s*+)?(?=\()"
)
_MATH = re.compile(r"\$\$?([^$]{1,300})\$\$?|\\\((.{1,300}?)\\\)|\\\[(.{1,300}?)\\\]")
_BARE = re.compile(
    r"(?:>>|[:=,;]|\b(?:is|and)\b)\s*([^:=;,>]{1,120}?)\s*"
    r"(?=$|[;,]|\.\s|\.$|\s\([A-Za-z &,/]{3,}|\s(?:for|in|at|and|both|because|since|as|where)\b)"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
#: What students write for the word of a key.
_MEANT = {"inference": "test", "evaluation": "test", "recurrent": "rnn", "memory": "space"}
_ENDING_CHARS = 3


@dataclass(frozen=True, slots=True)
class _Found:
    """A formula and what it is said to be of: words by dimension."""

    formula: str
    said: dict[int, frozenset[str]]


@dataclass(slots=True)
class _Keys:
    """Keys of the wanted formulas, as places in a table of several dimensions."""

    keys: dict[str, tuple[str, ...]]
    words: tuple[frozenset[str], ...] = field(init=False)

    def __post_init__(self) -> None:
        lengths = {len(words) for words in self.keys.values()}
        if len(lengths) > 1:
            self.keys = {key: (" ".join(words),) for key, words in self.keys.items()}
        self.words = tuple(frozenset(one) for one in zip(*self.keys.values(), strict=True))

    def meant(self, token: str) -> tuple[int, str] | None:
        """The dimension and the word that a word of the text stands for."""
        folded = token.casefold()
        folded = _MEANT.get(folded, folded)
        for dimension, words in enumerate(self.words):
            for word in words:
                near = len(word) > 2 and len(folded) - len(word) <= _ENDING_CHARS
                if folded == word or (near and folded.startswith(word)):
                    return dimension, word
        return None

    def mentions(self, text: str) -> dict[int, frozenset[str]]:
        """Every word of a key that a text holds, by dimension."""
        found: dict[int, set[str]] = {}
        for token in _WORD.findall(text):
            meant = self.meant(token)
            if meant:
                found.setdefault(meant[0], set()).add(meant[1])
        return {dimension: frozenset(words) for dimension, words in found.items()}


def propose_formulas(
    text: str, wanted: Mapping[str, Sequence[str]], readable: Readable, right: Right
) -> Proposal | None:
    """Look for formulas by the words of their keys; None when none of them is found.

    Args:
        text: The section of a write-up.
        wanted: The right formulas, any of them, by key; the words of keys part at `,` and blanks.
        readable: Whether a text can be read as a formula.
        right: Whether a formula that was read equals one that is right.
    """
    keys = _Keys({key: tuple(_WORD.findall(key.casefold())) for key in wanted})
    named = (one for one in _all(text, keys, readable) if one.said or len(wanted) == 1)
    found = list(islice(named, MAX_FORMULAS))
    told, share = [], 0.0
    for key, words in keys.keys.items():
        mine = _best(found, words)
        if not mine:
            told.append(f"{key}: not found")
            continue
        fits = next((f for f in mine if any(right(f, one) for one in wanted[key])), None)
        share += (fits is not None) / len(wanted)
        told.append(f"{key}: {fits or mine[-1]} ({'right' if fits else 'not right'})")
    if all(one.endswith("not found") for one in told):
        return None
    return Proposal(share, "; ".join(told))


def _best(found: Sequence[_Found], words: tuple[str, ...]) -> list[str]:
    """The formulas that are said of a key most exactly."""
    fits = [
        one
        for one in found
        if all(words[dimension] in said for dimension, said in one.said.items())
    ]
    most = max((_exactness(one) for one in fits), default=(0, 0))
    formulas = dict.fromkeys(one.formula for one in fits if _exactness(one) == most)
    return list(formulas)[:MAX_TRIED]


def _exactness(one: _Found) -> tuple[int, int]:
    return len(one.said), -sum(map(len, one.said.values()))


def _all(text: str, keys: _Keys, readable: Readable) -> Iterator[_Found]:
    """Every formula of a text in order."""
    said: dict[int, frozenset[str]] = {}
    for block in blocks(text):
        if isinstance(block, Grid):
            yield from _of_grid(block, said, keys, readable)
            continue
        found = list(_of_line(block, said, keys, readable))
        yield from found
        if not found:
            said = _onward(said, keys.mentions(block))


def _onward(
    said: dict[int, frozenset[str]], now: Mapping[int, frozenset[str]]
) -> dict[int, frozenset[str]]:
    """What stands after new words: they end what was said of their own kind, and all after it."""
    for dimension, words in now.items():
        kept = list(said)
        if dimension in said:
            kept = kept[: kept.index(dimension)]
        said = {**{d: said[d] for d in kept}, dimension: words}
    return said


def _of_grid(
    grid: Grid, around: Mapping[int, frozenset[str]], keys: _Keys, readable: Readable
) -> Iterator[_Found]:
    """Formulas of a table, each with the words of its row and of the heads of its column."""
    heads: list[tuple[str, ...]] = []
    left: dict[int, str] = {}
    for row in grid.rows:
        formulas = {n: f for n, cell in enumerate(row) if (f := _in_cell(cell, readable))}
        if not formulas:
            heads.append(_filled(row))
            continue
        for column in range(min(formulas)):
            left[column] = row[column] or left.get(column, "")
        names = " ".join(left.values())
        for place, (column, formula) in enumerate(formulas.items()):
            head = " ".join(_head(one, column, place, len(formulas), len(row)) for one in heads)
            said = keys.mentions(f"{names} {head} {_words_of(row[column])}")
            yield _Found(formula, {**around, **said})


def _head(heads: tuple[str, ...], column: int, place: int, formulas: int, width: int) -> str:
    """The head of a column; text of a PDF has no empty cells, and one head may span several."""
    if len(heads) == width:
        return heads[column]
    return heads[place * len(heads) // formulas] if formulas % len(heads) == 0 else ""


def _filled(row: tuple[str, ...]) -> tuple[str, ...]:
    """A row of heads in which an empty cell belongs to the one before it."""
    filled: list[str] = []
    for cell in row:
        filled.append(cell or (filled[-1] if len(filled) > 1 else ""))
    return tuple(filled)


def _in_cell(cell: str, readable: Readable) -> str:
    if inner := _big_o(cell):
        return inner[0] if readable(inner[0]) else ""
    math = _MATH.search(cell)
    text = _ARROW.sub("", next(filter(None, math.groups())) if math else cell).strip()
    return text if readable(text) else ""


def _words_of(cell: str) -> str:
    """What a cell says beside its formula: `O(tln) (train)`."""
    return " ".join(re.findall(r"\(([A-Za-z &,/]{3,})\)", cell))


def _of_line(
    line: str, said: dict[int, frozenset[str]], keys: _Keys, readable: Readable
) -> Iterator[_Found]:
    """Formulas of a line of prose; changes `said` for the lines that follow."""
    line = " ".join(_ARROW.sub(" >> ", line).split())  # runs of blanks would cost patterns dear
    at, last = 0, None
    for formula, start, end in _formulas(line, readable):
        before, between = line[at:start], ""
        if last is not None:  # `t l n (train), l n (test)`: what follows in brackets is its own
            closing = re.match(r"\s*[$)]*\s*\(([^()]*)\)(?!\s*(?:>>|:|=))", before)
            between, before = (closing[1], before[closing.end() :]) if closing else ("", before)
            yield _Found(last.formula, {**last.said, **keys.mentions(between)})
        _move(said, keys.mentions(before))
        last, at = _Found(formula, dict(said)), end
    if last is not None:
        yield _Found(last.formula, {**last.said, **keys.mentions(line[at:])})


def _move(said: dict[int, frozenset[str]], now: Mapping[int, frozenset[str]]) -> None:
    moved = _onward(said, now)
    said.clear()
    said.update(moved)


def _formulas(line: str, readable: Readable) -> Iterator[tuple[str, int, int]]:
    """Formulas of a line with where they start and end: in O(...), else in math, else bare."""
    places = list(islice(_big_os(line), MAX_PLACES))
    for pattern in (_MATH, _BARE):
        for found in islice(pattern.finditer(line), MAX_PLACES):
            group = next(n for n in range(1, 1 + pattern.groups) if found[n] is not None)
            start, end = found.span() if pattern is _MATH else found.span(group)
            if all(end <= begun or start >= ended for _, begun, ended in places):
                places.append((found[group], start, end))
    places.sort(key=lambda place: place[1])
    for text, start, end in places:
        formula = text.rpartition("=")[2].strip(" >")
        if readable(formula):
            yield formula, start, end


def _big_o(text: str) -> tuple[str, int, int] | None:
    return next(_big_os(text), None)


def _big_os(text: str) -> Iterator[tuple[str, int, int]]:
    for found in _BIG_O.finditer(text):
        depth = 0
        for at in range(found.end(), min(len(text), found.end() + MAX_FORMULA_CHARS)):
            depth += (text[at] == "(") - (text[at] == ")")
            if depth == 0:
                inner = text[found.end() + 1 : at].removesuffix("\\right")
                yield inner.strip(), found.start(), at + 1
                break
