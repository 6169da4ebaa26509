"""Values as a sandbox encodes them."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fuzz.target import Made, Target, check_words, nasty
from grader.codec import ITEM_BYTES, TAGS, decode, encode
from grader.errors import ProtocolViolation
from grader.values import Formula, Opaque, Table, Tensor, Value, describe


def run(data: bytes) -> None:
    """Decode a value; what was decoded can be encoded again, and comes back the same."""
    try:
        value = decode(data)
    except ProtocolViolation as refused:
        check_words(str(refused))
        return
    again = encode(value)
    assert encode(decode(again)) == again
    assert describe(value)


def encoded(nodes: Any, blobs: bytes = b"") -> bytes:
    """A value whose nodes are written by hand."""
    head = json.dumps(nodes).encode()
    return struct.pack(">I", len(head)) + head + blobs


VALUES: tuple[Value, ...] = (
    None,
    [True, -(10**30), 0.1, float("-inf"), 1 - 2j, "½", b"\xff", (), {1, 2}, {"a": [None]}],
    Formula("n*(n + 1)/2"),
    Opaque("function", "causal_mask", "(n)"),
    Table(["a", "b"], [[1, 2], Tensor(np.arange(2), "int64", "numpy")], [0, 1]),
    Tensor(np.tri(3, dtype=bool), "bool", "torch"),
    Tensor(np.array([1.5, -2], np.float32), "bfloat16", "torch"),
    {("rnn", 1): {2.5: Tensor(np.zeros((0, 3), np.float32), "float32", "torch")}},
)


def values() -> st.SearchStrategy[Value]:
    """Values of every kind that can cross, nested a little."""
    shapes = st.lists(st.integers(0, 3), max_size=3)
    dtypes = st.sampled_from([dtype for dtype in ITEM_BYTES if dtype != "bfloat16"])
    tensors = st.builds(
        lambda shape, dtype, origin: Tensor(np.ones(shape, dtype), dtype, origin),
        *(shapes, dtypes, st.sampled_from(("torch", "numpy"))),
    )
    plain = st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers()),
        *(nasty(), st.binary(max_size=8), st.just(10**999), tensors, nasty().map(Formula)),
        st.builds(Opaque, st.sampled_from(("function", "class", "object")), nasty(), nasty()),
    )
    keys = st.one_of(st.none(), st.integers(), nasty(), st.tuples(st.floats(), nasty()))
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            *(st.lists(inner, max_size=4), st.tuples(inner, inner), st.sets(keys, max_size=3)),
            st.dictionaries(keys, inner, max_size=3),
            st.builds(Table, st.lists(nasty(), max_size=2), st.lists(inner, max_size=2), inner),
        ),
        max_leaves=8,
    )


def _nodes() -> Made:
    """Nodes of the right outline that contradict themselves."""
    sizes = st.one_of(st.integers(-1, 20), st.sampled_from((2**40, 10**19, True, 1.0, None, "1")))
    words = st.one_of(st.sampled_from(("torch", "numpy", "function", *ITEM_BYTES)), nasty())
    pieces = st.one_of(sizes, words, st.lists(sizes, max_size=4), st.lists(st.lists(sizes)))
    node = st.tuples(st.sampled_from(sorted(TAGS)), st.lists(pieces, max_size=6))
    made = st.lists(node.map(lambda one: [one[0], *one[1]]), min_size=1, max_size=6)
    return st.builds(encoded, made, st.binary(max_size=16))


TARGET = Target(
    name="value",
    reads="values that a student's code handed over",
    run=run,
    seeds=[encode(value) for value in VALUES],
    made=st.one_of(values().map(encode), _nodes()),
    tokens=[json.dumps(word).encode() for word in (*sorted(TAGS), *ITEM_BYTES)],
)
