import pytest

from grader.symbolic import Equality, Verdict, declare
from grader.symbolic.growth import growth

SYMBOLS = declare(dict.fromkeys(["t", "l", "n", "c", "h", "m", "d", "f", "L"], "positive integer"))
GRID = "n^2 (c h + h^2)"
PERCEIVER = "(L-2)(m^2 d h + m d f) + 2 l m d h + d f (l + m)"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("n^2(ch+h^2)", GRID),
        ("2n^2ch + 4n^2h^2", GRID),
        ("O(n^2 c h + n^2 h^2)", GRID),
        (r"$\Theta(n^2 h \max(c, h))$", GRID),
        ("n^2 h (c + 2h - 1) + 17n", GRID),
        ("n log_2(n^3)", r"n \ln n"),
        ("log(n!)", "n log n"),
        ("log(n h)", "log n + log h"),
        ("n log n + c log n + c log c + n", "n log n + c log c"),
        ("(n - 1)(n - 2)", "n^2"),
        ("n(n+1)/2 - n^2/2", "n"),
        ("n^2 + c^2 + n c", "n^2 + c^2"),
        ("(n + c)^1000", "n^1000 + c^1000"),
        ("sqrt(n + c)", "sqrt(n) + sqrt(c)"),
        ("n^2/(n + 1)", "n"),
        ("ceil(n/2) + min(n, n^2)", "n"),
        ("binomial(n, 2)", "n^2"),
        ("n^2.5", "n^2 sqrt(n)"),
        ("2^n + 2^n", "3*2^n"),
        ("42", "1"),
        ("L(m^2 d h + m d f) + l m d h + d f l", PERCEIVER),
    ],
)
def test_constants_dominated_terms_and_spelling_do_not_matter(seen: str, expected: str) -> None:
    assert growth(seen, expected, SYMBOLS) == Equality(verdict=Verdict.EQUAL)


@pytest.mark.parametrize(
    ("seen", "expected", "missing", "extra"),
    [
        ("n^2 c h", GRID, ["n^2 h^2"], []),
        ("n^2 (c + h)^2", GRID, [], ["n^2 c^2"]),
        ("n^3 c h", GRID, ["n^2 h^2"], ["n^3 c h"]),
        ("n", "n log n", ["n log(n)"], []),
        ("n log(n c)", "n log n", [], ["n log(c)"]),
        ("n c", "n^2", ["n^2"], ["n c"]),
        ("2^n", "n^2", ["n^2"], ["2^n"]),
        ("n/c", "n", ["n"], []),
        ("n - n", "1", ["1"], []),
        ("L m^2 d h + L m d f + l m d h", PERCEIVER, ["l d f"], []),
    ],
)
def test_the_terms_in_which_classes_differ_are_named(
    seen: str, expected: str, missing: list[str], extra: list[str]
) -> None:
    found = growth(seen, expected, SYMBOLS)
    assert (found.verdict, found.missing, found.extra) == (
        Verdict.DIFFERENT,
        tuple(missing),
        tuple(extra),
    )


def test_what_the_student_reads_does_not_tell_the_class() -> None:
    assert growth("n^2 c h", GRID, SYMBOLS) == Equality(
        verdict=Verdict.DIFFERENT,
        says="Yours grows like n^2 c h.",
        detail="Yours grows like n^2 c h, expected n^2 c h + n^2 h^2: it lacks n^2 h^2.",
        seen="n^2 c h",
        expected="n^2 c h + n^2 h^2",
        missing=("n^2 h^2",),
    )


def test_one_of_several_right_classes_is_enough() -> None:
    right = ["t^2 l n", "t^2 l n + t l n^2"]
    assert growth("t l n (t + n)", right, SYMBOLS).verdict is Verdict.EQUAL
    assert growth("t^2 n", right, SYMBOLS).missing == ("t^2 l n",)


@pytest.mark.parametrize(
    "seen", ["n - c", "sin(n)", "n^2/(n + c)", "n^(1/c)", "min(n, c)", "log(log(n))", "max(n,c)-n"]
)
def test_a_form_we_do_not_know_is_for_a_person(seen: str) -> None:
    assert growth(seen, "n", SYMBOLS).verdict is Verdict.UNDECIDED


def test_what_is_no_formula_is_unreadable() -> None:
    found = growth("O(n^2", "n^2", SYMBOLS)
    assert found.says == "Cannot read the formula: no ')' closes the '(' at character 2."
