import pytest

from grader.errors import InputError
from grader.symbolic import Expression, Unreadable, declare
from grader.symbolic.parse import parse

SYMBOLS = declare(
    dict.fromkeys(["n", "t", "c", "h", "beta", "x1", "x2", "d_model"], "positive integer")
)

SPELLINGS = {
    "n*(n+1)/2": "(n*(n + 1)*(1/2))",
    "n(n+1)/2": "(n*(n + 1)*(1/2))",
    "count = n(n+1)/2": "(n*(n + 1)*(1/2))",
    "T(n) = n": "n",
    r"$n \cdot \left(n+1\right)/2$": "(n*(n + 1)*(1/2))",
    r"\frac{n(n+1)}{2}": "((n*(n + 1))*(1/2))",
    r"\frac12 n": "((1*(1/2))*n)",
    r"\dfrac{n}2": "(n*(1/2))",
    "n**2": "(n^2)",
    "n²": "(n^2)",
    "n^{2}t": "((n^2)*t)",
    "2^-n": "(2^(-n))",
    "n^t^2": "(n^(t^2))",
    "2n t": "(2*n*t)",
    "nt": "(n*t)",
    "ch+h^2": "((c*h) + (h^2))",
    "n·t×2": "(n*t*2)",  # noqa: RUF001
    "n − 1": "(n + (-1))",  # noqa: RUF001
    "-n^2": "(-(n^2))",
    "1/2 n": "(1*(1/2)*n)",
    "x_1 + x_{2} + x₂": "(x1 + x2 + x2)",
    "x_1x_2": "(x1*x2)",
    r"d_{\text{model}} dmodel": "(d_model*d_model)",
    "√2β": "((2^(1/2))*beta)",
    r"\sqrt{2}\beta": "((2^(1/2))*beta)",
    r"\sqrt[3]{n}": "(n^(1/3))",
    "math.sqrt(2)*beta": "((2^(1/2))*beta)",
    "e^n + exp(n)": "((e^n) + (e^n))",
    "2π n": "(2*pi*n)",
    "n log n": "(n*log(n))",
    "nlogn": "(n*log(n))",
    r"\log^2 n": "(log(n)^2)",
    "ln 2n": "log((2*n))",
    r"\log_2 n": "(log(n)*(1/log(2)))",
    "log(n, 2)": "(log(n)*(1/log(2)))",
    "Max(n, t)": "max(n, t)",
    "|n - t|": "abs((n + (-t)))",
    r"\lfloor n/2 \rfloor": "floor((n*(1/2)))",
    "n//2 % t": "mod(floor((n*(1/2))), t)",
    "n!": "factorial(n)",
    r"\binom{n}{2} C(n, 2)": "(binomial(n, 2)*binomial(n, 2))",
    "0.25 + 1e-2": "((1/4) + (1/100))",
    "\U0001d45b + [n]": "(n + n)",
    "n(n+1)/2.": "(n*(n + 1)*(1/2))",
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_spelling_reads_as_the_formula_it_means(text: str) -> None:
    assert str(parse(text, SYMBOLS)) == SPELLINGS[text]


@pytest.mark.parametrize("text", SPELLINGS)
def test_what_a_tree_writes_reads_back_to_the_same_value(text: str) -> None:
    first = parse(text, SYMBOLS)
    assert isinstance(first, Expression)
    second = parse(str(first), SYMBOLS)
    assert isinstance(second, Expression)


MAY_USE = "the formula may use n, t, c, h, beta, x1, x2, d_model"
REASONS = {
    "": "it is empty",
    "N": f"'N' is an unknown name (did you mean n?); {MAY_USE}",
    "n_t": f"'n_t' is an unknown name; {MAY_USE}",
    "n2": f"'n2' is an unknown name; {MAY_USE}",
    "f(n)": f"'f' is an unknown function; {MAY_USE}",
    "n(n+1": "no ')' closes the '(' at character 2",
    "n+1)": "nothing opened the ')' at character 4",
    "n +": "expected a number, a name or a parenthesis where the formula ends",
    "n + * t": "expected a number, a name or a parenthesis, not '*', at character 5",
    "n 2": "put * or ^ before the number at character 3",
    "(n, t)": "there is a comma in the parentheses at character 1",
    "sqrt(n, t)": "sqrt takes one argument, not 2",
    "n = t = 2": "it has several equals signs; give one formula",
    "2n = t": "left of the equals sign there must be a name",
    "O(n^2)": "O(...) is a growth class; the exact formula is asked for",
    "n.real": "character 2 (.) is not part of a formula",
    "lambda: n": "character 7 (:) is not part of a formula",
    "'n'": "character 1 (') is not part of a formula",
    "n\ud800": "character 2 ('\\ud800') is not part of a formula",
}


@pytest.mark.parametrize("text", REASONS)
def test_what_is_no_formula_gets_a_sentence_that_says_why(text: str) -> None:
    read = parse(text, SYMBOLS)
    assert isinstance(read, Unreadable)
    assert (read.reason, read.too_complex) == (REASONS[text], False)


@pytest.mark.threat("TP-08")
@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "2^1025",
        "((9^1000)^1000)^1000",
        "n^(10^10)",
        "factorial(10**8)",
        "binomial(10^9, 10^8)",
        "1e400",
        "1e" + "9" * 500,
        "9" * 31,
        "(" * 51 + "n" + ")" * 51,
        "(" * 1999,
        "n" + "!" * 300,
        "^n" * 60,
        "n" + "+n" * 600,
        "n" * 2001,
        "n" + "^n" * 60,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_out_of_bounds_is_refused_before_anything_is_computed(text: str) -> None:
    read = parse(text, SYMBOLS)
    assert isinstance(read, Unreadable)
    assert read.too_complex or text.startswith("^")


def test_a_growth_class_may_be_wrapped_when_one_is_asked() -> None:
    texts = ["O(n^2)", r"\Theta(n^2)", "Θ(n²)", r"\mathcal{O}(n^2)", "T = O(n^2)", "T(n) ∈ O(n^2)"]
    assert {str(parse(text, SYMBOLS, growth=True)) for text in texts} == {"(n^2)"}


def test_a_lower_bound_is_no_growth_class() -> None:
    read = parse(r"\Omega(n)", SYMBOLS, growth=True)
    assert read == Unreadable("Omega gives only a lower bound; use O or Theta", 0)


def test_a_name_that_splits_in_two_ways_is_not_guessed() -> None:
    symbols = declare({"a": "", "ab": "", "bc": "", "c": ""})
    assert isinstance(parse("abc", symbols), Unreadable)


def test_a_declared_name_goes_before_a_function_and_a_constant() -> None:
    symbols = declare({"e": "", "log": ""})
    assert str(parse("e log", symbols)) == "(e*log)"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("tln^2", "(t*l*(n^2))"),
        ("t ln²", "(t*l*(n^2))"),
        ("lntn", "(l*n*t*n)"),
        (r"t \cdot ln \cdot n", "(t*l*n*n)"),
        ("tln(t+n)", "(t*l*n*(t + n))"),
        ("ln t", "(l*n*t)"),
        (r"\ell n", "(l*n)"),
        (r"t \ln n", "(t*log(n))"),
        (r"t \ln(n)", "(t*log(n))"),
        ("t log(n)", "(t*log(n))"),
    ],
)
def test_letters_that_are_declared_spell_no_function(text: str, means: str) -> None:
    assert str(parse(text, declare({"t": "", "l": "", "n": ""}))) == means


@pytest.mark.parametrize(
    ("symbols", "problem"),
    [
        (
            {"n": "positiv integer"},
            "symbols.n: expected words out of real, integer, positive, negative, nonnegative, "
            "nonzero, even, odd, found 'positiv' (did you mean positive?)",
        ),
        ({"2n": ""}, "symbols: expected a name such as n or x_1, found '2n'"),
        ({"x1": "", "x_1": ""}, "symbols: x_1 and x1 are the same name"),
        ({"n": "odd even"}, "symbols.n: no number is odd even"),
    ],
    ids=["word", "name", "twice", "contradiction"],
)
def test_a_declaration_that_cannot_be_used_says_why(
    symbols: dict[str, str | None], problem: str
) -> None:
    with pytest.raises(InputError) as error:
        declare(symbols)
    assert str(error.value) == problem


@pytest.mark.parametrize(
    "text",
    [
        r"\|x_1\| = 2n",
        "||x_1|| = 2n",
        "|x| = 2n",
        r"\left\| x_1 \right\| = 2n",
        r"\lVert d + b \rVert = 2n",
        "\u2016x1\u2016 = 2n",
        "||x||_2 = 2n",
    ],
)
def test_what_a_formula_is_the_norm_of_is_left_out(text: str) -> None:
    assert str(parse(text, declare({"n": ""}))) == "(2*n)"
