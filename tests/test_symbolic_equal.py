from fractions import Fraction

import pytest

from grader.errors import InputError
from grader.symbolic import Equality, Verdict, declare
from grader.symbolic.equal import equal
from grader.symbolic.evaluate import Evaluator
from grader.symbolic.parse import parse
from grader.symbolic.points import points
from grader.symbolic.tree import Expression

COUNTS = declare(dict.fromkeys("ntwch", "positive integer"))
REALS = declare({"x": "real", "b": "positive", "p": "real", "q": "real"})


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("0.5*n*n + 0.5*n", "n(n+1)/2"),
        (r"\frac{n^2}{2} + \frac n2", "n(n+1)/2"),
        ("binomial(n+1, 2)", "n(n+1)/2"),
        ("-t**2/2 - t/2 + n*t + n", "(t+1)(2n-t)/2"),
        ("n!/(n-1)!", "n"),
        ("n//2 + (n+1)//2", "n"),
        ("floor(log2(8^n))", "3n"),
        ("ch + 2h^2", "h(c + 2h)"),
        ("2^n", "2^(n+1)/2"),
    ],
)
def test_algebra_does_not_change_an_answer(seen: str, expected: str) -> None:
    assert equal(seen, expected, COUNTS) == Equality(verdict=Verdict.EQUAL)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("sqrt(2)*b", "2b/√2"),
        ("1.4142135623731*b", "sqrt(2) b"),
        ("sin(x)^2 + cos(x)^2", "1"),
        ("cosh(x^2)^2 - sinh(x^2)^2", "1"),
        ("exp(ln b)", "b"),
        ("x^2/x", "x"),
        ("sigmoid(x)", "(1 + tanh(x/2))/2"),
        ("max(x, -x)", "|x|"),
        ("(x+b)^1000", "(x+b)^999 (x+b)"),
    ],
)
def test_functions_and_roots_compare_by_value(seen: str, expected: str) -> None:
    assert equal(seen, expected, REALS) == Equality(verdict=Verdict.EQUAL)


@pytest.mark.parametrize(
    ("seen", "expected", "detail"),
    [
        ("n^2", "n(n+1)/2", "At n = 2 yours gives 4, expected 3."),
        ("(t+1) n", "(t+1)(2n-t)/2", "At n = 1, t = 1 yours gives 2, expected 1."),
        ("n//2", "n/2", "At n = 1 yours gives 0, expected 1/2."),
        ("2ch + h^2", "ch + 2h^2", "At c = 1, h = 2 yours gives 8, expected 10."),
        ("3", "2", "Worked out, yours gives 3, expected 2."),
        ("1.41*n", "sqrt(2)*n", "At n = 1 yours gives 1.41, expected 1.41421."),
    ],
)
def test_a_wrong_count_gets_a_small_counterexample(seen: str, expected: str, detail: str) -> None:
    found = equal(seen, expected, COUNTS)
    assert (found.verdict, found.detail) == (Verdict.DIFFERENT, detail)


def test_what_the_student_reads_does_not_tell_the_answer() -> None:
    assert equal("n^2", "n(n+1)/2", COUNTS) == Equality(
        verdict=Verdict.DIFFERENT,
        says="At n = 2 yours gives 4.",
        detail="At n = 2 yours gives 4, expected 3.",
        point={"n": "2"},
        seen="4",
        expected="3",
    )


@pytest.mark.parametrize(
    ("seen", "expected", "says"),
    [
        ("|x|", "x", "At x = -1 yours gives 1."),
        ("q", "-q", "At q = 1 yours gives 1."),
        ("1/(x - x)", "x", "At x = 1 yours has no value: it divides by zero."),
        ("log(x-x)", "x", "At x = 1 yours has no value: it takes the logarithm of zero."),
        ("sqrt(-b)", "sqrt(b)", "At b = 1 yours gives (0.0 + 1.0j)."),
    ],
)
def test_signs_and_missing_values_are_found(seen: str, expected: str, says: str) -> None:
    found = equal(seen, expected, REALS)
    assert (found.verdict, found.says) == (Verdict.DIFFERENT, says)


@pytest.mark.parametrize("condition", ["w divides n", "n/w >= 1", "n != w"])
def test_conditions_must_hold_at_the_points(condition: str) -> None:
    wanted = Verdict.EQUAL if condition == "w divides n" else Verdict.DIFFERENT
    found = equal("floor(n/w) w (w+1)/2", "n(w+1)/2", COUNTS, [condition])
    assert found.verdict is wanted


def test_a_formula_that_is_right_only_where_the_question_lives_is_right_there() -> None:
    assert equal("min(t+1, n) n", "(t+1) n", COUNTS, ["n > t"]).verdict is Verdict.EQUAL
    assert equal("min(t+1, n) n", "(t+1) n", COUNTS).verdict is Verdict.DIFFERENT


def test_assumptions_decide_between_formulas_equal_only_on_them() -> None:
    even = declare({"n": "even positive"})
    assert equal("n//2", "n/2", even).verdict is Verdict.EQUAL
    assert equal("sqrt(b^2)", "b", REALS).verdict is Verdict.EQUAL
    assert equal("sqrt(x^2)", "x", REALS).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("seen", ["n^n^n^n^n^n", "((n^1000)^1000)^1000", "n!!!!!!!!"])
def test_agreement_at_the_few_points_that_can_be_computed_is_not_enough(seen: str) -> None:
    assert equal(seen, "n", COUNTS).verdict is Verdict.UNDECIDED


def test_a_formula_out_of_bounds_is_for_a_person() -> None:
    assert equal("n + 0*9**9**9", "n", COUNTS) == Equality(
        verdict=Verdict.UNDECIDED,
        says="The formula is too complex to compare: an exponent in it is too large.",
    )


def test_what_is_no_formula_is_unreadable() -> None:
    assert equal("n(", "n", COUNTS) == Equality(
        verdict=Verdict.UNREADABLE,
        says=(
            "Cannot read the formula: expected a number, a name or a parenthesis where the "
            "formula ends."
        ),
    )


@pytest.mark.parametrize(
    ("expected", "where", "problem"),
    [
        ("n(", (), "the expected formula 'n(' cannot be read: expected a number, a name or a "),
        ("n", ("n ~ t",), "expected a condition such as n > t, with divides, <=, >=, "),
        ("n", ("n > z",), "the condition 'n > z' cannot be read: 'z' is an unknown name"),
    ],
    ids=["formula", "relation", "name"],
)
def test_a_fault_in_the_rubric_is_not_the_students(
    expected: str, where: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(InputError) as error:
        equal("n", expected, COUNTS, where)
    assert str(error.value).startswith(problem)


def test_points_keep_the_assumptions_and_do_not_repeat() -> None:
    symbols = declare({"n": "positive odd", "x": "negative"})
    found = list(points(symbols, ()))
    assert len({tuple(point.values()) for point in found}) == len(found) > 100
    assert all(point["n"] % 2 == 1 and point["x"] < 0 for point in found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7 % 3 + (-7) % 3", 3),
        ("ceil(7/2) - floor(-7/2)", 8),
        ("binomial(1/2, 2)", Fraction(-1, 8)),
        ("4!/2!", 12),
        ("0^0 + 0*log(2)", 1),
        ("min(1, 2, sqrt(2)) + max(1, 3)", 4),
    ],
)
def test_rational_arithmetic_is_exact(text: str, value: Fraction | int) -> None:
    read = parse(text, {})
    assert isinstance(read, Expression)
    found = Evaluator().value(read.root, {})
    assert isinstance(found, Fraction)
    assert found == value
