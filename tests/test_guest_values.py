"""What the guest's encoder writes, the host's decoder reads: values by exact type."""

from __future__ import annotations

import collections
import functools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

from grader.codec import decode
from grader.guest import plain
from grader.guest.wire import Builder, TooLarge, encode_texts
from grader.values import Formula, Opaque, Table, Tensor

LIMIT = 1 << 24
Point = collections.namedtuple("Point", "x y")
x, n = sympy.symbols("x n")


def cross(value: Any, limit_bytes: int = LIMIT) -> Any:
    """Encode in the guest's way and decode in the host's."""
    return decode(plain.encode(value, limit_bytes))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (-(10**300), -(10**300)),
        (10**1001, Opaque("object", "int", "more than 1000 digits")),
        (0.1, 0.1),
        (-math.inf, -math.inf),
        (1 - 2j, 1 - 2j),
        ("grüße \ud800", "grüße \\ud800"),
        (bytearray(b"\x00\xff"), b"\x00\xff"),
        ([1, (2.5, "a"), {"k": {3}}], [1, (2.5, "a"), {"k": {3}}]),
        ({(1, frozenset({2})): 1, frozenset({3}): 2}, {(1, (2,)): 1, (3,): 2}),
        ({np.int64(3): np.float32(0.5)}, {3: Tensor(np.array(0.5, "f4"), "float32")}),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.items(), [("a", 1)]),
        (collections.deque([1]), [1]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (torch.Size([2, 3]), (2, 3)),
        (Point(1, 2), (1, 2)),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.array(["ab", "c"]), ["ab", "c"]),
        (sympy.Integer(3), Formula("3")),
        (n * (n + 1) / 2, Formula("n*(n + 1)/2")),
        (sympy.Function("f")(x), Formula("f(x)")),
        (sympy.Matrix([[x, 1]]), [[Formula("x"), Formula("1")]]),
        (sympy.true, Formula("True")),
        ({x: sympy.oo}, {Formula("x"): Formula("oo")}),
        (torch, Opaque("module", "torch")),
        (len, Opaque("function", "len", "(obj, /)")),
        (lambda a, *b: 0, Opaque("function", "<lambda>", "(a, *b)")),
        (functools.partial(max, 1), Opaque("function", "partial")),
        (Point, Opaque("class", "Point", "(x, y)")),
        (object(), Opaque("object", "object")),
        (slice(1), Opaque("object", "slice")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_arrive_as_they_are(value: Any, expected: Any) -> None:
    seen = cross(value)
    assert (type(seen), seen) == (type(expected), expected)


def test_nan_arrives_as_nan() -> None:
    assert math.isnan(cross(math.nan))


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "bfloat16", [1.5, -2.0]),
        (torch.tensor([1.5], dtype=torch.half), "float16", [1.5]),
        (torch.tensor(3.5), "float32", 3.5),
        (torch.zeros(0, 3), "float32", np.zeros((0, 3))),
        (torch.arange(6).reshape(2, 3).T, "int64", [[0, 3], [1, 4], [2, 5]]),
        (torch.ones(1).expand(3), "float32", [1, 1, 1]),
        (torch.tensor([1 + 2j]).conj(), "complex64", [1 - 2j]),
        (torch.tensor([True, False]), "bool", [True, False]),
        (torch.tensor([7], dtype=torch.uint16), "uint16", [7]),
        (torch.eye(2).to_sparse(), "float32", np.eye(2)),
        (torch.tensor([0.5]).to(torch.float8_e4m3fn), "float32", [0.5]),
        (torch.nn.Parameter(torch.ones(2)), "float32", [1, 1]),
        (torch.ones(2, requires_grad=True) * 2, "float32", [2, 2]),
    ],
    ids=["bf16", "half", "0-d", "empty", "transposed", "expanded", "conj", "bool", "uint16",
         "sparse", "float8", "parameter", "with gradient"],
)  # fmt: skip
def test_tensors_arrive_bit_by_bit(value: torch.Tensor, dtype: str, expected: Any) -> None:
    numpy_dtype = "float32" if dtype == "bfloat16" else dtype
    assert cross(value) == Tensor(np.asarray(expected, dtype=numpy_dtype), dtype, "torch")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.float64(2.5), "float64"),
        (np.bool_(True), "bool"),
        (np.arange(6).reshape(2, 3)[:, ::2], "int64"),
        (np.asfortranarray(np.ones((2, 3))), "float64"),
        (np.array([1, 2], dtype=">i4"), "int32"),
        (np.array([1], dtype=np.complex128), "complex128"),
        (np.zeros((0, 2), dtype=np.float16), "float16"),
    ],
    ids=["scalar", "bool scalar", "strided", "fortran", "big endian", "complex", "empty"],
)
def test_arrays_arrive_bit_by_bit(value: Any, dtype: str) -> None:
    seen = cross(value)
    assert seen == Tensor(np.asarray(value, dtype=dtype), dtype, "numpy")
    assert seen.origin == "numpy"


def test_a_bool_array_with_other_bytes_arrives_as_truth_values() -> None:
    assert cross(np.array([0, 2, 255], dtype=np.uint8).view(np.bool_)) == Tensor(
        np.array([False, True, True]), "bool"
    )


def test_a_table_arrives_by_columns() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["u", "v"]}, index=["p", "q"])
    expected = Table(["a", "b"], [Tensor(np.array([1, 2]), "int64"), ["u", "v"]], ["p", "q"])
    assert cross(frame) == expected
    assert cross(frame["a"]) == Tensor(np.array([1, 2]), "int64")
    assert cross(pd.to_datetime(["2026-01-02"])[0]) == "2026-01-02T00:00:00"


class Agrees(float):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __sub__(self, other: Any) -> Any:
        return 0.0


class AgreesToo(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        return True


class Nested(tuple):  # type: ignore[type-arg]
    _fields = ("a",)

    def __iter__(self) -> Any:
        return iter([42])


class Fake(sympy.Symbol):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Agrees(3), Opaque("object", "Agrees", "subclass of float")),
        (AgreesToo([1.0]), Opaque("object", "AgreesToo", "subclass of torch.Tensor")),
        (type("L", (list,), {})([1]), Opaque("object", "L", "subclass of list")),
        (type("D", (dict,), {})(a=1), Opaque("object", "D", "subclass of dict")),
        (type("S", (str,), {})("a"), Opaque("object", "S", "subclass of str")),
        (type("A", (np.ndarray,), {})(2), Opaque("object", "A", "subclass of numpy.ndarray")),
        (type("float64", (np.float64,), {"__module__": "numpy"})(1), Opaque("object", "float64",
                                                                            "subclass of float")),
        (Fake("x"), Opaque("object", "Fake")),
        (Nested([1, 2]), (1, 2)),
    ],
    ids=["float", "tensor", "list", "dict", "str", "array", "numpy scalar", "sympy", "tuple"],
)  # fmt: skip
def test_a_subclass_that_may_lie_is_no_data(value: Any, expected: Any) -> None:
    seen = cross(value)
    assert type(seen) is type(expected)
    assert seen == expected


def cycle() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        cycle(),
        deep(17),
        [0] * 200_000,
        range(10**12),
        torch.zeros(1).expand(10**12),
        torch.zeros(5_000_000),
        torch.sparse_coo_tensor(
            torch.zeros(2, 0), torch.zeros(0), (10**6, 10**6), check_invariants=False
        ),
        "x" * (LIMIT + 1),
        ["x" * LIMIT, "x"],
    ],
    ids=["cycle", "deep", "many", "range", "expanded", "large", "sparse", "text", "two texts"],
)
def test_what_is_too_large_is_refused(value: Any) -> None:
    with pytest.raises(TooLarge):
        plain.encode(value, LIMIT)


def test_sixteen_levels_are_not_too_deep() -> None:
    assert cross(deep(16)) == deep(16)


@pytest.mark.parametrize(
    "value",
    [torch.zeros(2, device="meta"), torch.zeros([1] * 9), np.array(["2026"], "datetime64[Y]")],
    ids=["meta", "nine dimensions", "dates"],
)
def test_tensors_without_plain_data_become_notes(value: Any) -> None:
    assert isinstance(cross(value), Opaque)


def test_texts_arrive() -> None:
    assert decode(encode_texts({"text": "grüße", "ename": ""})) == {"text": "grüße", "ename": ""}


def test_a_value_is_held_to_its_limit_with_its_structure() -> None:
    builder = Builder(100)
    for _ in range(30):
        builder.fill(builder.reserve(), ["null"])
    with pytest.raises(TooLarge):
        builder.finish()
