import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.codec import decode, encode, parse_json
from grader.errors import ProtocolViolation
from grader.values import Formula, Made, Opaque, Table, Tensor

VALUES = {
    "nothing": None,
    "truth": True,
    "integer": -(10**30),
    "float": 0.1,
    "infinity": float("-inf"),
    "complex": 1 - 2j,
    "text": "n ≤ ½ \N{SNOWMAN}",
    "bytes": b"\x00\xff",
    "nested": [1, (2.5, {"a": [None]}), {3}],
    "tuple keys": {("rnn", "time", "train"): "t*l*n**2"},
    "formula": Formula("n*(n + 1)/2"),
    "function": Opaque("function", "causal_mask", "(n)"),
    "table": Table(["a"], [[1, 2]], [0, 1]),
    "empty tensor": Tensor(np.zeros((0, 3), np.float32), "float32", "torch"),
    "scalar tensor": Tensor(np.array(2.5), "float64", "numpy"),
    "half": Tensor(np.array([1.5, -2], np.float16), "float16", "torch"),
    "bfloat16": Tensor(np.array([1.5, -2], np.float32), "bfloat16", "torch"),
    "mask": Tensor(np.tri(3, dtype=bool), "bool", "torch"),
    "not contiguous": Tensor(np.arange(6).reshape(2, 3).T, "int64", "numpy"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_survives_the_journey(value: object) -> None:
    assert decode(encode(value)) == value


def test_nan_survives_the_journey() -> None:
    assert np.isnan(decode(encode(float("nan"))))


def encoded(nodes: object, blobs: bytes = b"") -> bytes:
    head = json.dumps(nodes).encode()
    return struct.pack(">I", len(head)) + head + blobs


MALFORMED = {
    "nothing": b"",
    "cut short": struct.pack(">I", 100) + b"[]",
    "no nodes": encoded([]),
    "not a list": encoded({"a": 1}),
    "unknown tag": encoded([["pickle", 0, 4]]),
    "a method that is no tag": encoded([["bytes_at", 0, 0]]),
    "a child before its parent": encoded([["list", [0]]]),
    "shared parts": encoded([["list", [1, 1, 1]], ["null"]]),
    "a huge shape": encoded([["array", "torch", "float32", [1 << 40], 0, 4]], b"0000"),
    "a negative shape": encoded([["array", "torch", "float32", [-1], 0, 4]], b"0000"),
    "bytes outside": encoded([["str", 0, 100]], b"short"),
    "a negative offset": encoded([["str", -4, 4]], b"short"),
    "a truth value of 7": encoded([["array", "torch", "bool", [1], 0, 1]], b"\x07"),
    "an object array": encoded([["array", "numpy", "object", [1], 0, 8]], b"00000000"),
    "too many digits": encoded([["int", "9" * 5000]]),
    "no number": encoded([["float", "one"]]),
    "an unhashable key": encoded([["dict", [[1, 2]]], ["list", []], ["null"]]),
    "NaN in JSON": struct.pack(">I", 5) + b"[NaN]",
    "too deep": encoded([["list", [n + 1]] for n in range(40)] + [["null"]]),
}


@pytest.mark.threat("RX-07", "TP-05")
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        decode(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_values_decode_or_are_refused(data: st.DataObject) -> None:
    whole = bytearray(encode(data.draw(st.sampled_from(list(VALUES.values())))))
    for _ in range(3):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolViolation):
        decode(bytes(whole))


@pytest.mark.threat("TP-05")
@pytest.mark.parametrize(
    "text",
    [b'{"a":1,"a":2}', b"[" * 100_000, b"1" * 30, b'"\xff"'],
    ids=["twice", "deep", "big", "bytes"],
)
def test_json_of_an_untrusted_side_is_narrow(text: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_json(text)


def test_an_object_to_be_made_goes_in_only() -> None:
    with pytest.raises(ProtocolViolation, match="unknown tag 'made'"):
        decode(encode([Made("Config", {"size": 3})]))


def test_few_bytes_cannot_be_read_as_many() -> None:
    blob = b"x" * 1000
    nodes = [["list", [1, 2]], ["bytes", 0, 1000], ["bytes", 0, 1000]]
    head = json.dumps(nodes).encode()
    with pytest.raises(ProtocolViolation, match="a value shares its bytes"):
        decode(struct.pack(">I", len(head)) + head + blob)
