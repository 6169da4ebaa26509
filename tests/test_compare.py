import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grader.compare import Difference, compare, share_right
from grader.values import Formula, Opaque, Table, Tensor, Value


def tensor(array: Any, dtype: str | None = None, origin: str = "torch") -> Tensor:
    made = np.array(array, dtype=dtype)
    return Tensor(made, str(made.dtype), origin)


LOWER = np.tril(np.ones((4, 4), dtype=bool))
RAMP = np.arange(12.0).reshape(3, 4)
SCORES = np.array([[0.2, -1.0, 3.0], [1.5, 0.3, 0.1], [0.0, 0.4, 2.0]])
SOFT = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (3, 3),
        (3.0, 3),
        (3, 3.0),
        (10**400, 10**400),
        (1 / 3, 0.33333333),
        (tensor(2.5), 2.5),
        ([1, 2, 3], (1.0, 2.0, 3.0)),
        ([[1, 2], [3, 4]], tensor([[1, 2], [3, 4]])),
        ([tensor(1.5), tensor(2.5)], [1.5, 2.5]),
        (tensor(RAMP, "float32"), tensor(RAMP + 1e-6)),
        (tensor(RAMP * 1.0005), tensor(RAMP, "float16")),
        (tensor(RAMP * 1.01), Tensor(RAMP.astype("float32"), "bfloat16")),
        (tensor(1 / 3, "float32"), 1 / 3),
        (tensor([999.9999], "float32"), [1000]),
        (float(np.float32(0.1)) * 10, 1),
        (tensor(2**24, "float32"), 2**24 + 1),
        ([2**64], [2**64]),
        (Formula("6"), 6),
        (6, Formula("6")),
        (Formula("6"), "6"),
        (Formula("1/3"), 1 / 3),
        (Formula("-2.50000000000000"), -2.5),
        ([Formula("1/2"), Formula("3")], [0.5, 3.0]),
        ({"a": Formula("10")}, {"a": 10}),
        (LOWER.astype(int).tolist(), tensor(LOWER)),
        (tensor(LOWER, "float32"), LOWER.tolist()),
        (tensor(LOWER), LOWER.astype(int).tolist()),
        (1, True),
        ([-math.inf, 0.0], [-math.inf, 0.0]),
        ([], []),
        (" rnn\n", "rnn"),
        (Formula("n**2"), "n**2"),
        ({"a": 1, ("b", 2): [1, 2]}, {("b", 2): [1, 2], "a": 1}),
        ({1, 2}, {2, 1}),
        ({0.1 + 0.2}, {0.3}),
        (["x", [1, 2]], ("x", (1, 2))),
        (None, None),
        (b"a", b"a"),
        (Table(["a"], [[1, 2]], [0, 1]), Table(["a"], [tensor([1, 2])], [0, 1])),
        (1 + 1e-9j, 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_values_that_are_right_in_another_form_are_right(seen: Value, expected: Value) -> None:
    assert compare(seen, expected) is None
    assert share_right(seen, expected) == 1.0


@pytest.mark.parametrize(
    ("seen", "expected", "summary"),
    [
        (10**400, 10**400 + 1, "the value is wrong"),
        (1, 1 + 10**20, "the value is wrong"),
        (0.3333, 1 / 3, "the value is wrong"),
        (Tensor(np.array(3.04, "float32"), "bfloat16"), 3.0, "the value is wrong"),
        (Tensor(np.array(3.04, "float32"), "bfloat16"), 3, "the value is wrong"),
        (tensor(2.004, "float16"), tensor(2.0, "float32"), "the value is wrong"),
        (1000000.9, 1000000, "the value is wrong"),
        (tensor(1000000.9, "float32"), tensor(1000000), "the value is wrong"),
        ([2**64 + 1], [2**64], "[0]: the value is wrong"),
        ([[1, 2**64 + 1]], [[1, 2**64]], "[0][1]: the value is wrong"),
        (math.inf, 10**400, "the value is infinite"),
        (10**400, math.inf, "the value is wrong"),
        ([10**400], [math.inf], "[0]: the value is wrong"),
        (Formula("7"), 6, "the value is wrong"),
        (Formula("n"), 6, "expected a number, found a formula"),
        (Formula("1/0"), 6, "expected a number, found a formula"),
        (math.nan, 1.0, "the value is NaN"),
        (math.inf, 1.0, "the value is infinite"),
        (1.0, math.inf, "the value is wrong"),
        (math.nan, math.nan, "the value is wrong"),
        ("3", 3, "expected a number, found text"),
        (True, 3, "expected a number, found True or False"),
        (2, True, "expected True or False, found numbers such as 2"),
        ([], 5.0, "expected a single number, found shape (0,)"),
        ([5.0], 5.0, "expected a single number, found shape (1,)"),
        (5.0, [5.0], "expected shape (1,), found a single number"),
        (tensor([[1.0], [2.0]]), [1.0, 2.0], "expected shape (2,), found (2, 1)"),
        (np.zeros(0).tolist(), [1, 2], "expected 2 values, found none"),
        ([1, 2, 3], [1, 2], "expected 2 values, found 3"),
        ([[1], [1, 2]], [[1, 2], [3, 4]], "the rows differ in length (1, 2)"),
        ([1, "x"], [1, 2], "expected a number at [1], found text"),
        ([[1, 2], [3, None]], [[1, 2], [3, 4]], "expected a number at [1][1], found None"),
        (Opaque("function", "mask"), [1], "expected numbers, found the function mask"),
        (Opaque("function", "f"), "a", "expected text, found the function f; was it to be called?"),
        (Opaque("object", "Liar"), {"a": 1}, "expected a dict, found an object of type Liar"),
        ([1, 2], {"a": 1}, "expected a dict, found a list"),
        (["a"], ["a", "b"], "expected 2 items, found 1"),
        (["a", "c", "d"], ["a", "b", "c"], "2 of 3 entries differ, first [1]: the text differs"),
        ({"a": [1, 3]}, {"a": [1, 2]}, "['a']: 1 of 2 values differ (50.0%)"),
        ({"a": {"b": ["x"]}}, {"a": {"b": ["y"]}}, "['a']['b'][0]: the text differs"),
        (
            [{"dw": [1, 3], "db": [2]}, {"dw": [1, 3], "db": [1]}],
            [{"dw": [1, 2], "db": [1]}, {"dw": [1, 2], "db": [1]}],
            "differs at [0]['dw']: 1 of 2 values differ (50.0%)",
        ),
        (
            {"a": [1, "x", "z"]},
            {"a": [1, "y", "q"]},
            "differs at ['a'][1]: the text differs",
        ),
        ({"Y1": 1}, {"y1": 1}, "1 key missing: 'y1' (there is 'Y1')"),
        ({"a": 1, "b": 2}, {"a": 1}, "1 key too many: 'b'"),
        ({"a"}, {"a", "b"}, "1 element missing"),
        (
            Table(["a", "b"], [[1], [2]], [0]),
            Table(["a", "c"], [[1], [2]], [0]),
            "columns missing: 'c'; columns too many: 'b'",
        ),
        (Table(["a"], [[1]], [0]), Table(["a"], [[1, 2]], [0, 1]), "expected 2 rows, found 1"),
        (
            Table(["a"], [[1, 3]], [0, 1]),
            Table(["a"], [[1, 2]], [0, 1]),
            "column 'a': 1 of 2 values differ (50.0%)",
        ),
        (
            Table(["a"], [[1]], [5]),
            Table(["a"], [[1]], [0]),
            "index: 1 of 1 values differ (100.0%)",
        ),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_the_most_telling_fact_comes_first(seen: Value, expected: Value, summary: str) -> None:
    found = compare(seen, expected)
    assert found is not None
    assert found.summary == summary
    assert share_right(seen, expected) < 1.0


def test_the_worst_place_is_named_with_what_was_allowed() -> None:
    seen = [[1.0, 2.0], [9.0, 4.0005]]
    assert compare(seen, [[1.0, 2.0], [3.0, 4.0]], rtol=1e-4, atol=1e-6) == Difference(
        summary="2 of 4 values differ (50.0%)",
        detail="largest error 6 at (1, 0): expected 3, found 9 "
        "(allowed 1e-06 + 0.0001 x |expected|)",
    )


def test_a_wrong_truth_value_is_shown_as_one() -> None:
    seen = LOWER.astype(int)
    seen[0, 3] = 1
    found = compare(seen.tolist(), tensor(LOWER))
    assert found == Difference(
        summary="1 of 16 values differ (6.2%)",
        detail="first at (0, 3): expected False, found True",
    )


def test_values_that_are_not_finite_are_counted_apart() -> None:
    found = compare([1.0, math.nan, math.inf, 5.0], [1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert (found.summary, found.detail) == (
        "2 of 4 values are NaN or infinite",
        "first at [1]: expected 2, found nan (allowed 1e-07 + 1e-06 x |expected|)",
    )


def test_nan_is_right_only_where_it_is_asked_for() -> None:
    assert compare([math.nan, 1.0], [math.nan, 1.0], equal_nan=True) is None
    assert compare([1.0, math.nan], [math.nan, 1.0], equal_nan=True) is not None


def test_tolerances_of_the_rubric_replace_those_of_the_dtype() -> None:
    assert compare(0.3333, 1 / 3, rtol=1e-3) is None
    assert compare(7, 6, atol=1) is None
    assert compare(tensor([1.0], "float32"), tensor([1 + 1e-6]), rtol=0, atol=0) is not None


def test_whole_numbers_say_how_near_is_near() -> None:
    found = compare(1000000.9, 1000000)
    assert found is not None
    assert found.detail == (
        "expected 1000000, found 1e+06 (allowed 1e-07 + 1e-06 x |expected|, at most 0.1)"
    )
    assert compare(1000000.9, 1000000, rtol=1e-6) is None


TURNED = "rows and columns are swapped (transposed)"


@pytest.mark.parametrize(
    ("seen", "expected", "relation"),
    [
        (LOWER.T, LOWER, TURNED),
        (~LOWER, LOWER, "True and False are swapped"),
        (np.tril(LOWER, -1), LOWER, "only the diagonal is missing"),
        (LOWER, np.tril(LOWER, -1), "only the diagonal should be left out"),
        (np.ones((4, 4), bool), LOWER, "every value is True"),
        (RAMP.T, RAMP, "the dimensions are in the opposite order (transposed)"),
        (
            RAMP[None],
            RAMP,
            "the values are right, but a dimension of size 1 is too many or missing",
        ),
        (RAMP.reshape(-1, 2), RAMP, "the values are right, but not their shape"),
        (SCORES.T, SCORES, TURNED),
        (-SCORES, SCORES, "the sign is the opposite everywhere"),
        (SCORES[::-1], SCORES, "the order is reversed along dimension 0"),
        (SCORES / 8, SCORES, "every value is 1/8 times the right one"),
        (SCORES * math.sqrt(8), SCORES, "every value is sqrt(8) times the right one"),
        (SCORES / math.sqrt(8), SCORES, "every value is 1/sqrt(8) times the right one"),
        (SCORES * 0.234, SCORES, "every value is 0.234 times the right one"),
        (SCORES + 1, SCORES, "every value is 1 too large"),
        (SCORES, SOFT, "no softmax is taken along dimension 1"),
        (np.exp(SCORES), SOFT, "the values are not divided by their sum along dimension 1"),
        (
            np.exp(SCORES) / np.exp(SCORES).sum(0),
            SOFT,
            "the sums are one along dimension 0, expected along dimension 1",
        ),
        (np.log(SOFT + 1), SOFT + 1, "they are the logarithms of the right values"),
        (np.abs(SCORES), SCORES, "the signs are missing or wrong"),
        (
            SCORES.ravel()[[1, 0, 2, 3, 4, 5, 6, 8, 7]].reshape(3, 3),
            SCORES,
            "the values are right, but in another order",
        ),
        ([0, 1, 2, 1, -1], [1, 2, 1, -1, -2], "the values come one place too late"),
        ([2, 1, -1, -2, 7], [1, 2, 1, -1, -2], "the values come one place too early"),
        ([2, 1, -1], [1, 2, 1, -1], "the first value is missing, the others are right"),
        ([1, 2, 1], [1, 2, 1, -1], "the last value is missing, the others are right"),
        ([1, 2, 1, 5], [1, 2, 1], "there is one value too many at the end"),
        (-2.5, 2.5, "the sign is the opposite"),
        (0.05, 5.0, "it is off by a factor of 100 (a share or a percentage?)"),
        (4, 5, ""),
        ([1, 2, 4], [1, 2, 3], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_simple_relation_is_named_when_it_explains_everything(
    seen: Any, expected: Any, relation: str
) -> None:
    given, right = (tensor(v) if isinstance(v, np.ndarray) else v for v in (seen, expected))
    found = compare(given, right)
    assert found is not None
    assert found.relation == relation


def test_a_relation_inside_a_container_says_where() -> None:
    found = compare({"mask": [tensor(LOWER.T)]}, {"mask": [tensor(LOWER)]})
    assert found is not None
    assert (
        found.relation == f"['mask']: {TURNED}"
        or found.relation == "['mask']: the last two dimensions are swapped (transposed)"
    )


def test_only_capitals_is_a_relation_of_texts() -> None:
    assert compare("RNN", "rnn") == Difference(
        summary="the text differs",
        detail="expected 'rnn', found 'RNN'",
        relation="only capitals or spaces differ",
    )


@pytest.mark.parametrize(
    ("seen", "expected", "share"),
    [
        ([1, 2, 4, 4], [1, 2, 3, 4], 0.75),
        ([1, 2], [1, 2, 3, 4], 0.5),
        ([1, 2, 3, 4], [1, 2], 0.5),
        ([1, "x", 3], [1, 2, 3], 2 / 3),
        (tensor(LOWER), tensor(np.ones((4, 4), bool)), 10 / 16),
        (tensor(RAMP.T), tensor(RAMP), 0.0),
        ({"a": 1, "b": 3, "z": 5}, {"a": 1, "b": 2, "c": 3, "d": [1, 2]}, 0.2),
        ({"a": [1, 3]}, {"a": [1, 2]}, 0.5),
        (
            Table(["b", "a"], [[1, 2], [3, 4]], [0, 1]),
            Table(["a", "b"], [[3, 5], [1, 2]], [0, 1]),
            0.75,
        ),
        (["a", "c"], ["a", "b"], 0.5),
        ([2, 0], [True, False], 0.0),
        (None, [1], 0.0),
        ([], [1], 0.0),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_credit_by_the_entry_is_the_share_that_is_right(
    seen: Value, expected: Value, share: float
) -> None:
    assert share_right(seen, expected) == pytest.approx(share)


DTYPES = st.sampled_from(
    ["bool", "int8", "int64", "uint8", "uint64", "float16", "float32", "float64", "complex64"]
)
ARRAYS = DTYPES.flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30)
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=5)
    | st.binary(max_size=3)
)
LEAVES = (
    SCALARS
    | ARRAYS.map(lambda array: Tensor(array, str(array.dtype)))
    | (st.text(max_size=5) | st.from_regex(r"-?[0-9]{1,3}([./][0-9])?", fullmatch=True)).map(
        Formula
    )
    | st.just(Opaque("function", "f"))
)
KEYS = st.text(max_size=3) | st.integers(-3, 3) | st.tuples(st.text(max_size=2), st.integers(0, 2))
VALUES: st.SearchStrategy[Value] = st.recursive(
    LEAVES | st.sets(st.integers() | st.text(max_size=2), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.lists(inner, max_size=2).map(lambda data: Table(list(range(len(data))), data, [0]))
    ),
    max_leaves=8,
)
NUMERIC = st.lists(st.floats() | st.integers(-5, 5) | st.booleans(), min_size=1, max_size=4)
SQUARES = st.sampled_from(["float64", "float32", "int64", "bool"]).flatmap(
    lambda dtype: hnp.arrays(dtype, (3, 3)).map(lambda array: Tensor(array, dtype))
)
PAIRS = st.tuples(VALUES, VALUES) | st.tuples(NUMERIC, NUMERIC) | st.tuples(SQUARES, SQUARES)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(PAIRS)
def test_no_pair_of_values_is_too_strange_to_compare(pair: tuple[Value, Value]) -> None:
    seen, expected = pair
    found = compare(seen, expected)
    share = share_right(seen, expected)
    assert 0.0 <= share <= 1.0
    assert found is None or found.summary
    assert (found is None) == (share == 1.0)


def finite(value: Value) -> bool:
    match value:
        case float() | complex():
            return bool(np.isfinite(value))
        case Tensor():
            return bool(np.isfinite(value.array).all())
        case list() | tuple():
            return all(map(finite, value))
        case dict():
            return all(map(finite, value.values()))
        case Table():
            return all(map(finite, value.data))
    return True


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(VALUES.filter(finite))
def test_a_finite_value_equals_itself(value: Value) -> None:
    assert compare(value, value) is None
    assert share_right(value, value) == 1.0


@pytest.mark.parametrize(
    ("dtype", "off", "on_cpu", "on_gpu"),
    [
        ("float32", 1e-6, True, True),
        ("float32", 5e-4, False, True),  # as far as TF32 rounds
        ("float32", 2e-3, False, False),
        ("float64", 1e-6, False, False),  # no GPU rounds that
        ("float16", 9e-4, True, True),
    ],
)
def test_single_precision_may_be_further_off_when_a_gpu_computed_it(
    dtype: str, off: float, on_cpu: bool, on_gpu: bool
) -> None:
    expected, seen = tensor(np.full(3, 2.0), dtype), Tensor(np.full(3, 2.0 * (1 + off)), dtype)
    assert (compare(seen, expected) is None) is on_cpu
    assert (compare(seen, expected, on_gpu=True) is None) is on_gpu
    assert share_right(seen, expected, on_gpu=True) == float(on_gpu)


def test_a_number_taken_out_of_a_tensor_on_a_gpu_may_be_as_far_off() -> None:
    assert compare(2.001, 2.0) is not None
    assert compare(2.001, 2.0, on_gpu=True) is None
    assert compare(2, 3, on_gpu=True) is not None


def test_a_tolerance_of_the_rubric_holds_on_a_gpu_too() -> None:
    assert compare(2.001, 2.0, rtol=1e-6, atol=0, on_gpu=True) is not None
    bf16 = Tensor(np.full(3, 2.02), "bfloat16")
    assert compare(bf16, tensor(np.full(3, 2.0), "float32"), on_gpu=True) is not None
