"""Formulas as students write them: reading them, and comparing what was read."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hypothesis import strategies as st

from fuzz.target import Made, Target, check_words, decoded, encoded, nasty
from grader.symbolic.equal import equal
from grader.symbolic.growth import growth
from grader.symbolic.names import FUNCTIONS
from grader.symbolic.parse import parse
from grader.symbolic.tree import Expression, Unreadable, declare

SYMBOLS = declare({"n": "positive integer", "t": "real", "x_1": "", "d_model": "nonzero"})
#: What the process that compares is given before it is killed, in seconds.
WALL_S = 2


def run(data: bytes) -> None:
    """Read a formula; a tree that was read can be written out and read again."""
    text = decoded(data)
    for growing in (False, True):
        read = parse(text, SYMBOLS, growth=growing)
        if isinstance(read, Unreadable):
            check_words(read.reason, most=600)
            assert 0 <= read.position <= len(text) + 20
        else:
            assert isinstance(read, Expression)
            again = parse(str(read), SYMBOLS)
            assert isinstance(again, Expression) or again.too_complex, (str(read), again)


def compare(data: bytes) -> None:
    """Compare a formula in this process; what takes too long would be killed."""
    text = decoded(data[:300])
    with _stopped():
        equal(text, "n*(n+1)/2", SYMBOLS)
    with _stopped():
        growth(text, ["n^2", "n*log(n)"], SYMBOLS)


class _Stopped(BaseException):
    """The clock struck."""


@contextmanager
def _stopped() -> Iterator[None]:
    def strike(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)
    try:
        yield
    except _Stopped:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


LATEX = (
    *("frac", "binom", "sqrt", "left", "right", "cdot", "text{abcd}", "mathrm{n}", "log", "lfloor"),
    *("rfloor", "mathcal{O}", "Theta", "ell", "varphi", "begin{x}", "|", "to", "le", "\\"),
)
WORDS = (
    *("n", "t", "x_1", "x₁", "d_{model}", "d_{\\text{model}}", "nt", "ntn", "e", "pi", "O", "C"),
    *("0", "1", "2", "0.5", "1e9", "1_000", "9" * 30, "9" * 31, "1e101", "½", "²", "⁻¹", "π", "√"),
    *("+", "-", "*", "/", "//", "%", "^", "**", "!", "(", ")", "[", "]", "{", "}", "|", ",", "="),
    *(" ", "$", "~", "#", "⌊", "⌋", "⌈", "⌉", "\f", "\t", "\b", ";", ":=", "≤"),
    *FUNCTIONS,
    *("\\" + word for word in LATEX),
)
SEEDS = (
    *("n*(n+1)/2", r"\frac{n(n+1)}{2}", "O(n^2 t)", r"T(n) = \Theta(n \log n)", "2^-n + x₁"),
    *(r"\sqrt[3]{n} + \binom{n}{2}", "|n - t|", "n//2 % t", "max(n, t)!", r"||x_1|| = 2n"),
)


def _made() -> Made:
    parts = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), nasty())
    many = st.builds(lambda part, n: part * n, st.sampled_from(WORDS), st.integers(2, 700))
    listed = st.lists(st.one_of(parts, many), max_size=12)
    return listed.map(lambda words: encoded("".join(words)))


TARGET = Target(
    name="formula",
    reads="formulas, in Python's spelling, by hand and in LaTeX",
    run=run,
    seeds=[seed.encode() for seed in SEEDS],
    made=_made(),
    tokens=[word.encode() for word in WORDS],
    max_bytes=2100,
)
COMPARING = Target(
    name="comparing",
    reads="formulas that are compared, as in the process that may be killed",
    run=compare,
    seeds=TARGET.seeds,
    made=_made(),
    tokens=TARGET.tokens,
    max_bytes=120,
)
