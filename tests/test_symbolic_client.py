import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.symbolic import Equality, Symbolic, Unreadable, Verdict

SYMBOLS = {"n": "positive integer", "a": "real", "b": "real"}
#: Cancels to 25, but only at thousands of digits.
SLOW = "+".join(f"cosh(a^2+{k})^2-sinh(a^2+{k})^2" for k in range(25))
#: Nested minima and maxima, which sympy sorts out one by one.
NESTED = (
    "max("
    + ",".join("min(" + ",".join(f"a^{i}+b^{j}n" for i in range(6)) + ")" for j in range(6))
    + ")"
)


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic() as opened:
        opened.equal("n", "n", SYMBOLS)
        yield opened


HOSTILE = [
    "__import__('os').system('touch executed')",
    "[c for c in ().__class__.__base__.__subclasses__()]",
    "n.__class__.__mro__",
    "lambda n: n",
    "open('executed', 'w')",
    "exec(\"open('executed','w')\")",
    "f'{open(chr(101))}'",
    "9**9**9**9",
    "9^9^9^n",
    "factorial(10**8)",
    "n!!!!!!!!!!!!",
    "factorial(n^9)",
    "binomial(n^n, n^n)",
    "1e400",
    "10^-1e100",
    "(a+b)^1000",
    "((a+b)^1000)^1000",
    "(a+b+n+1)^1000 (a+b)^1000 (a-n)^1000",
    "exp(exp(exp(exp(n))))",
    "sin(n^n^n^n)",
    "(" * 1000 + "n" + ")" * 999,
    "(" * 45 + "n" + ")" * 45,
    "log" * 600,
    "-" * 1999 + "n",
    "\x00\ud800\uffff",
    "nan",
    "oo - oo",
    "0/0",
    NESTED,
    SLOW,
]


@pytest.mark.threat("TP-07", "TP-08")
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_a_hostile_formula_ends_soon_and_nothing_of_it_runs(
    text: str, symbolic: Symbolic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for ask in (symbolic.equal, symbolic.growth):
        start = time.perf_counter()
        found = ask(text, "n", SYMBOLS)
        assert time.perf_counter() - start < 3
        right_after_all = (text.startswith("(((") and text.endswith(")" * 45)) or set(text) == {
            "-",
            "n",
        }
        assert (found.verdict is Verdict.EQUAL) <= right_after_all
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_question_that_takes_too_long_is_undecided_and_the_next_one_is_answered() -> None:
    with Symbolic(wall_s=0.5) as opened:
        opened.equal("n", "n", SYMBOLS)
        start = time.perf_counter()
        assert opened.equal(SLOW, "25", SYMBOLS) == Equality(
            verdict=Verdict.UNDECIDED,
            says="Comparing the formula took too much time or memory.",
        )
        assert time.perf_counter() - start < 1.5
        assert opened.equal("2n/2", "n", SYMBOLS).verdict is Verdict.EQUAL


def test_threads_take_turns_and_each_gets_its_own_answer(symbolic: Symbolic) -> None:
    answers: dict[int, Equality] = {}

    def ask(number: int) -> None:
        answers[number] = symbolic.equal(f"n + {number}", "n", SYMBOLS)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    says = {number: answer.says for number, answer in answers.items()}
    assert says == {number: f"At n = 1 yours gives {number + 1}." for number in range(1, 9)}


@pytest.mark.slow
def test_a_question_after_closing_starts_anew() -> None:
    opened = Symbolic()
    assert opened.growth("n^2 + n", ["n", "n^2"], SYMBOLS).verdict is Verdict.EQUAL
    opened.close()
    assert opened.equal("n", "n", SYMBOLS).verdict is Verdict.EQUAL
    opened.close()
    opened.close()


def test_a_fault_in_the_rubric_comes_back_as_one(symbolic: Symbolic) -> None:
    with pytest.raises(InputError, match="the expected formula 'n \\+' cannot be read"):
        symbolic.equal("n", "n +", SYMBOLS)
    with pytest.raises(InputError, match=r"symbols.n: expected words out of"):
        symbolic.growth("n", "n", {"n": "whole"})


def test_reading_needs_no_process() -> None:
    opened = Symbolic()
    assert str(opened.read("n(n+1)", SYMBOLS)) == "(n*(n + 1))"
    assert str(opened.read("O(n)", SYMBOLS, growth=True)) == "n"
    assert isinstance(opened.read("O(n)", SYMBOLS), Unreadable)
    assert opened.read("n(", SYMBOLS) == Unreadable(
        "expected a number, a name or a parenthesis where the formula ends", 2
    )
    opened.check_conditions(["n > a"], "n*a", SYMBOLS)
    assert opened._worker is None


def test_a_module_in_the_working_folder_does_not_enter_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sympy.py", "json.py", "mpmath.py"):
        (tmp_path / name).write_text("open('executed', 'w')")
    monkeypatch.chdir(tmp_path)
    with Symbolic() as opened:
        assert opened.equal("n", "n", SYMBOLS).verdict is Verdict.EQUAL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["json.py", "mpmath.py", "sympy.py"]


def test_the_main_process_does_not_import_sympy() -> None:
    code = "import sys, grader.symbolic; print('sympy' in sys.modules, 'numpy' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, env=env)
    assert out.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (["n > k"], "the condition 'n > k' cannot be read: 'k' is an unknown name"),
        (["n is large"], "expected a condition such as n > t"),
        (["n < 1"], "expected conditions that at least 12 points fulfil, found 0 for n < 1"),
        (["n > 3", "n < 3"], "points fulfil, found 0 for n > 3, n < 3"),
    ],
    ids=["unknown name", "no relation", "against the assumptions", "against each other"],
)
def test_a_condition_that_no_number_fulfils_is_refused(where: list[str], says: str) -> None:
    with pytest.raises(InputError) as caught:
        Symbolic().check_conditions(where, "n*(n+1)/2", SYMBOLS)
    assert says in str(caught.value)
