"""Formulas that are code, and formulas that never end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asking import Asker, ok
from fuzz.formulas import SYMBOLS

from grader.codec import decode, encode
from grader.symbolic import Symbolic, Unreadable, Verdict
from grader.symbolic.parse import parse
from grader.values import Formula, Opaque
from grader.verdict import Finding

# --- TP-07: formulas that are code ----------------------------------------------------------------

PAYLOADS = (
    "__import__('os').system('touch @')",
    "__import__('pathlib').Path('@').touch()",
    "open('@', 'w').close()",
    "exec(\"open('@','w')\")",
    "eval(compile('open(chr(64))', '', 'exec'))",
    "(lambda: open('@', 'w'))()",
    "[open('@', 'w') for n in [1]]",
    "().__class__.__base__.__subclasses__()",
    "n.__class__.__mro__[1].__subclasses__()",
    "getattr(n, '__class__')",
    "globals()['__builtins__']",
    'S(\'__import__("os").system("touch @")\')',
    "Symbol('n').func.__globals__",
    'sympify(\'open("@","w")\')',
    "lambdify(n, n)(open('@', 'w'))",
    "Function('f')(n).diff.__self__",
    "n if open('@', 'w') else n",
    "n; open('@', 'w')",
    "n\nopen('@', 'w')",
    'f\'{open("@", "w")}\'',
    "{n: open('@', 'w')}",
    "@open('@', 'w')",
    "n := open('@', 'w')",
    "yield open('@', 'w')",
    "import os",
    r"\input{/etc/passwd}",
    r"\immediate\write18{touch @}",
    r"\def\x{\x\x}\x",
    r"\csname open\endcsname",
    "$(touch @)",
    "`touch @`",
    "{{n.x}}",
    "%s%n",
    "=cmd|'/c touch @'!A0",
)


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


@pytest.mark.threat("TP-07")
@pytest.mark.parametrize("payload", PAYLOADS)
def test_code_is_no_formula(
    payload: str, symbolic: Symbolic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = payload.replace("@", str(tmp_path / "canary"))
    symbols = {"n": "positive integer"}
    for growing in (False, True):
        assert isinstance(symbolic.read(text, symbols, growth=growing), Unreadable)
    assert symbolic.equal(text, "n", symbols).verdict is Verdict.UNREADABLE
    assert symbolic.growth(text, "n", symbols).verdict is Verdict.UNREADABLE
    assert [*tmp_path.iterdir()] == []


@pytest.mark.threat("TP-07")
@pytest.mark.parametrize(
    "wrap", [Formula, str, lambda text: [text], lambda text: Opaque("object", text)]
)
def test_code_as_an_answer_earns_nothing(
    wrap: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ask = Asker(tmp_path, "right = 3")
    settings = {"equals": "n", "symbols": {"n": "positive integer"}}
    asked = [ask(kind, "v", **settings) for kind in ("expression", "complexity")]
    before = {*tmp_path.iterdir()}
    for payload in PAYLOADS:
        text = payload.replace("@", str(tmp_path / "canary"))
        for one in [*asked, ask("value", "v", equals=3)]:
            found = one.judge_replies(value=ok(decode(encode(wrap(text)))))
            assert isinstance(found, Finding)
            assert found.credit == 0
    ask.context.symbolic.close()
    assert {*tmp_path.iterdir()} == before


# --- TP-08: formulas that never end ---------------------------------------------------------------

ENDLESS = {
    "towers": "9**9**9**9",
    "a factorial": "factorial(10**8)",
    "factorials": "n" + "!" * 100,
    "binomials": "binomial(binomial(n^9, n^8), n^7)",
    "a product of powers": "(a+b+n+1)^1000 (a+b)^1000 (a-n)^1000",
    "exponentials": "exp(exp(exp(exp(n))))",
    "nested maxima": "max(" * 40 + "n" + ", a)" * 40,
    "fractions of fractions": r"\frac" * 399,
    "roots of roots": r"\sqrt" * 399,
    "names that split in many ways": " ".join(["abababababab"] * 150),
    "a long sum": "+".join(f"a^{k} b^{1000 - k}" for k in range(150)),
    "remainders": "n % " * 200 + "7",
    "floors": "floor(" * 45 + "n/a" + ")" * 45,
}


@pytest.mark.slow
@pytest.mark.threat("TP-08")
@pytest.mark.parametrize("endless", ENDLESS)
def test_a_formula_of_any_size_ends_soon(endless: str) -> None:
    symbols = {"n": "positive integer", "a": "real", "b": "real"}
    with Symbolic() as symbolic:
        symbolic.equal("n", "n", symbols)
        for ask in (symbolic.equal, symbolic.growth):
            began = time.monotonic()
            found = ask(ENDLESS[endless], "n + 1", symbols)
            assert time.monotonic() - began < 4
            assert found.verdict is not Verdict.EQUAL


@pytest.mark.threat("TP-08")
def test_a_formula_that_is_nested_is_refused_wherever_it_is_read_from() -> None:
    def deeper(levels: int) -> object:
        return deeper(levels - 1) if levels else parse(r"\frac" * 399, SYMBOLS)

    for levels in range(0, 500, 50):
        read = deeper(levels)
        assert isinstance(read, Unreadable)
        assert read.reason == "it is nested more than 50 deep"
