"""Random text and numbers, planted in secret places and looked for wherever they must not be.

A marker stands for one place, such as the reference; it is found in every usual way of writing it.
Numbers are found as they lie in memory and as they are printed. Single floats of 32 bits are not
looked for, only runs of them: four bytes turn up by chance.
"""

from __future__ import annotations

import base64
import math
import re
import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.values import Tensor, Value

START = "canary-"
RUN = 3
"""So many floats in a row are looked for."""
LABELS = 24
"""So many labels in a row."""
DISTINCT = 5
"""Fewer digits are no sign of anything."""

Forms = tuple[bytes, ...]


@dataclass
class Markers:
    """One random text a place."""

    of: dict[str, str] = field(default_factory=dict)
    _forms: dict[str, Forms] = field(default_factory=dict)

    def new(self, place: str) -> str:
        """A marker for a place; the same at every call."""
        if place not in self.of:
            self.add(place, START + secrets.token_hex(8))
        return self.of[place]

    def add(self, place: str, text: str) -> None:
        """Take a text that is there already for the marker of a place."""
        self.of[place], self._forms[place] = text, text_forms(text)

    def found(self, held: bytes) -> set[str]:
        """The places whose marker is in these bytes, in whatever form."""
        return {
            place for place, forms in self._forms.items() if any(form in held for form in forms)
        }


def text_forms(text: str) -> Forms:
    """A text as it is, in UTF-16 and -32, in base64 at any place in a line, and as hexadecimals.

    Escapes of JSON, Python, HTML and addresses leave letters, digits and `-` as they are.
    """
    raw = text.encode("ascii")
    wide = [text.encode(f"utf-{bits}-{order}") for bits in (16, 32) for order in ("le", "be")]
    hexed = [raw.hex().encode(), raw.hex().upper().encode(), raw.hex(" ").encode()]
    return (raw, raw.upper(), raw[::-1], *wide, *hexed, *base64_forms(raw))


def base64_forms(raw: bytes) -> Iterator[bytes]:
    """What base64 makes of these bytes whatever comes before and after them."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw)
        tail = (before + len(raw)) % 3
        shown = whole[(0, 2, 3)[before] : len(whole) - (0, 3, 2)[tail]]
        yield shown
        yield shown.translate(bytes.maketrans(b"+/", b"-_"))


def number_forms(number: float) -> Forms:
    """A number of many digits: 8 bytes in either order, and in decimals."""
    packed = [struct.pack(f"{order}d", number) for order in "<>"]
    if number == int(number):
        packed += [struct.pack(f"{order}q", int(number)) for order in "<>"]
        return (*packed, str(int(number)).encode())
    printed = {repr(float(number)), f"{number:.6g}"}
    return (*packed, *(text.encode() for text in printed if len(digits(text)) > DISTINCT))


def digits(text: str) -> str:
    """The digits of a number without zeros at its start."""
    return re.sub(r"[^0-9]", "", text.partition("e")[0]).lstrip("0")


def sequence_forms(numbers: npt.NDArray[Any]) -> Forms:
    """Numbers in a row: as every type that would hold them, and printed in every usual way."""
    types = ("f4", "f8", "f2") if numbers.dtype.kind == "f" else ("i8", "i4", "i2", "u1")
    packed = [numbers.astype(order + kind).tobytes() for kind in types for order in "<>"]
    listed = [str(number) for number in numbers.tolist()]
    ways = [listed]
    if numbers.dtype.kind == "f":
        ways += [[f"{n:.{places}f}" for n in numbers.tolist()] for places in (4, 6)]
        ways.append([f"{n:.6g}" for n in numbers.tolist()])
    return tuple(dict.fromkeys([*packed, *(",".join(way).encode() for way in ways)]))


def squeezed(text: str) -> bytes:
    """A text without blanks and escapes, as printed forms are looked for."""
    return re.sub(r"\s+", "", unescape(text)).encode()


def telling(value: Value, *, every: bool = False) -> Iterator[npt.NDArray[Any]]:
    """Runs of numbers in a value that nothing but chance could have made anywhere else.

    Args:
        value: Anything.
        every: Whether to give all runs of a tensor, and not just three.
    """
    match value:
        case Tensor():
            yield from _runs(np.asarray(value.array), every=every)
        case dict():
            for item in value.values():
                yield from telling(item, every=every)
        case list() | tuple():
            for item in value:
                yield from telling(item, every=every)


def _runs(array: npt.NDArray[Any], *, every: bool) -> Iterator[npt.NDArray[Any]]:
    flat = array.reshape(-1)
    if flat.dtype.kind != "f" or len(flat) < RUN:
        return
    last = len(flat) - RUN
    for start in range(last + 1) if every else sorted({0, last // 2, last}):
        run = flat[start : start + RUN]
        alike = any(np.isclose(one, other) for one, other in pairwise(run.tolist()))
        if not alike and not any(map(_plain, run.tolist())):
            yield run


def _plain(number: float) -> bool:
    """Whether a number is one that others may come upon: 0, 1, 0.25, infinity and the like."""
    if not math.isfinite(number):
        return True
    return abs(number) < 1e-3 or round(number * 64) == number * 64


def labels(value: Value) -> Iterator[Forms]:
    """The first labels of withheld data, as numbers or as texts."""
    if isinstance(value, Tensor):
        first = value.array.reshape(-1)[:LABELS]
        if len(first) == LABELS and len(set(first.tolist())) > 1:
            yield sequence_forms(first)
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        first_texts = value[:LABELS]
        yield tuple(gap.join(first_texts).encode() for gap in ("\n", ",", '","', "','"))


def numbers_found(known: Mapping[str, Iterable[Forms]], held: bytes) -> set[str]:
    """Where numbers come from that are in these bytes."""
    return {
        place
        for place, kept in known.items()
        if any(form in held for forms in kept for form in forms)
    }
