"""One reader that is put to hostile bytes, and what keeps it honest."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Made = st.SearchStrategy[bytes]

#: Processor time for one input of at most some kilobytes, in seconds.
CPU_S = 5.0
#: What has broken readers of text before: controls, halves, ends, formulas of spreadsheets.
NASTY = (
    *("\0", "\x1b[31m", "\x1b]8;;", "\r", "\n", "\u2028", "\u202e", "\ud800", "\ufeff", "\ufdfa"),
    *("=cmd()", "+1", "-1", "@x", "'=", '"', ",", ";", "\t", "{{7*7}}", "{0.__class__}", "%s"),
    *("<script>", "]]>", "</title>", "../", "\\", "$", "`", "_", "^", "\u0301" * 9, "\U0010ffff"),
    *("9" * 40, "9" * 5000, "1e999", "-0", "NaN", "Infinity", "0x" + "f" * 5000, "\u0663", "²"),
)


class TooSlow(Exception):
    """A reader took more processor time than one input may cost."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader and how to feed it."""

    name: str
    reads: str
    """What it stands for, in a few words."""
    run: Callable[[bytes], None]
    """Raises whatever the reader's own documentation does not promise."""
    seeds: Sequence[bytes]
    """Valid inputs: where a mutating fuzzer starts."""
    made: Made
    """Inputs of the right form with nasty parts."""
    tokens: Sequence[bytes] = ()
    """Words of the format, for a mutating fuzzer."""
    max_bytes: int = 4096

    def __call__(self, data: bytes) -> None:
        """Put one input to the reader.

        Raises:
            TooSlow: it took too much processor time.
        """
        began = time.process_time()
        try:
            self.run(data)
        except BaseException as error:
            error.add_note(f"{self.name} was given {data!r}")
            raise
        took = time.process_time() - began
        if took > CPU_S:
            raise TooSlow(f"{self.name}: {took:.1f} s for {len(data)} bytes")

    @property
    def inputs(self) -> Made:
        """What is made, what is made and then damaged, and seeds that are damaged."""
        seeds = st.sampled_from(list(self.seeds))
        return st.one_of(self.made, damaged(self.made), damaged(seeds))


@st.composite
def damaged(draw: Any, whole: Made) -> bytes:
    """Bytes in which a few places were changed, cut out, written twice or filled with nonsense."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        what = draw(st.sampled_from(("put", "cut", "twice", "many")))
        part = bytes(data[start:end])
        if what == "put":
            data[start:end] = draw(st.one_of(st.binary(max_size=8), nasty().map(encoded)))
        elif what == "cut":
            del data[start:end]
        else:
            data[start:end] = part * (2 if what == "twice" else 300)
    return bytes(data)


def nasty() -> st.SearchStrategy[str]:
    """Text with what has broken readers before."""
    parts = st.one_of(st.sampled_from(NASTY), st.text(max_size=6))
    return st.lists(parts, max_size=4).map("".join)


def scratch(name: str) -> Path:
    """A folder that is removed when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def check_words(*texts: str, most: int = 500) -> None:
    """What a message may be: some printable words, which quote little of what was read."""
    assert texts
    for text in texts:
        assert 0 < len(text) <= most, text[:most]
        assert text.replace("\n", "").isprintable(), text


def encoded(text: str) -> bytes:
    """UTF-8, with halves of surrogate pairs as they come."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """Any text at all: what is no UTF-8 becomes halves of surrogate pairs, as in file names."""
    return data.decode("utf-8", "surrogateescape")
