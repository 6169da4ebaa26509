"""Sequences of numbers in a text, each with what names it, compared with those that are right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.writeup.tables import Grid, blocks

_NUMBER = r"-?\d{1,9}(?:\.\d{1,9})?"
_BETWEEN = r"\s*(?:[,;]|\\to|\\rightarrow|\u2192|->)\s*"
_LIST = re.compile(rf"{_NUMBER}(?:{_BETWEEN}{_NUMBER}){{2,60}}")
#: Takes nothing back (`++`): of a line of letters each is looked at once.
_INDEXED = re.compile(
    r"(?<![A-Za-z])([A-Za-z]++)\s*+"
    r"(?:_\s*+(?:\{\s*+)?(\d{1,2})\s*+\}?|\[(\d{1,2})\]|(\d{1,2}))"
)
_MARKUP = re.compile(r"[$*{}\s]|\\(?:mathbf|textbf|mathrm|text|,|;|!)")
#: Words of names that say nothing: `q_steps` is about q.
_EMPTY = frozenset(("step", "steps", "value", "values", "list", "t", "n"))
_LABEL_CHARS = 40
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was read, and the share of the points that it would earn."""

    share: float
    says: str


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers in order, with the text that names them."""

    label: str
    numbers: tuple[float, ...]


def propose_numbers(text: str, wanted: Mapping[str, Sequence[float]]) -> Proposal | None:
    """Look for sequences by name; None when none of them is found.

    Args:
        text: The section of a write-up.
        wanted: The right numbers, by name.
    """
    found = list(sequences(text))
    told, share = [], 0.0
    any_read = False
    for name, right in wanted.items():
        others = set().union(*(_words(other) for other in wanted if other != name)) - _words(name)
        mine = [
            one
            for one in found
            if _words(name) & _words(one.label) and not others & _words(one.label)
        ]
        if not mine:
            told.append(f"{name}: not found")
            continue
        any_read = True
        best = max(mine, key=lambda one: _right(one.numbers, right))
        count = _right(best.numbers, right)
        share += count / len(right) / len(wanted)
        listed = ", ".join(f"{number:g}" for number in best.numbers)
        told.append(f"{name}: {listed} ({count} of {len(right)} right)")
    return Proposal(share, "; ".join(told)) if any_read else None


def sequences(text: str) -> Iterator[Run]:
    """Every sequence of three or more numbers that something names."""
    indexed: dict[str, dict[int, float]] = {}
    for block in blocks(text):
        if isinstance(block, Grid):
            yield from _of_grid(block)
        else:
            line = " ".join(block.split())  # runs of blanks would cost patterns dear
            yield from _of_line(line)
            _gather(line, indexed)
    for stem, values in indexed.items():
        if len(values) > 2:
            yield Run(stem, tuple(values[index] for index in sorted(values)))


def number_in(cell: str) -> float | None:
    """The number that a cell holds and nothing else."""
    text = _MARKUP.sub("", cell)
    return float(text) if re.fullmatch(_NUMBER, text) else None


def _of_grid(grid: Grid) -> Iterator[Run]:
    read = [[number_in(cell) for cell in row] for row in grid.rows]
    for row, numbers in zip(grid.rows, read, strict=True):
        rest = [number for number in numbers[1:] if number is not None]
        if len(rest) > 2 and len(rest) == len(numbers) - 1 and numbers[0] is None:
            yield Run(row[0], tuple(rest))
    for names, numbers in zip(grid.rows, read[1:], strict=False):
        values = [number for number in numbers if number is not None]
        stems = {found[1] for name in names if (found := _INDEXED.search(name))}
        if len(stems) == 1 and len(values) == len(numbers) == len(names) > 2:
            yield Run(stems.pop(), tuple(values))
    yield from _columns(grid, read)


def _columns(grid: Grid, read: list[list[float | None]]) -> Iterator[Run]:
    header = grid.rows[0]
    for column, name in enumerate(header):
        below = [row[column] if column < len(row) else None for row in read[1:]]
        numbers = [number for number in below if number is not None]
        if name and read[0][column] is None and len(numbers) == len(below) > 2:
            yield Run(name, tuple(numbers))


def _of_line(line: str) -> Iterator[Run]:
    """`q = [1, 2, 1]`, `q: 1, 2, 1`: a list with what stands before it."""
    for found in _LIST.finditer(line):
        before = line[: found.start()].rstrip(" [({=:$\\")[-_LABEL_CHARS:]
        numbers = tuple(map(float, re.findall(_NUMBER, found[0])))
        yield Run(re.split(r"[;.)\]]", before)[-1], numbers)


def _gather(line: str, indexed: dict[str, dict[int, float]]) -> None:
    """`q_3 = q_2 + p_2 = -1`: the last number of a chain that starts with an indexed name."""
    for part in re.split(r"[,;]|\\quad|\\\\|&|\band\b", line):
        sides = part.split("=")
        found = _INDEXED.search(sides[0])
        value = number_in(sides[-1].strip().rstrip(".")) if len(sides) > 1 else None
        if found and value is not None:
            index = int(found[2] or found[3] or found[4])
            indexed.setdefault(found[1], {})[index] = value


def _right(numbers: Sequence[float], right: Sequence[float]) -> int:
    """How many stand where they must; the first may be left out, because it was given."""
    if len(numbers) == len(right) - 1:
        numbers = (right[0], *numbers)
    pairs = zip(numbers, right, strict=False)
    return sum(
        abs(seen - expected) <= TOLERANCE * max(1.0, abs(expected)) for seen, expected in pairs
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", text.casefold())) - _EMPTY
