"""The one encoding of values: into a sandbox, out of it, and on disk.

Nothing here ever runs code that came from a sandbox: decoding builds plain data under caps, or
refuses. An encoded value is `u32 length | JSON list of nodes | blobs`. Node 0 is the root, and a
child's index is always greater than its parent's, so that no cycle can be written. Numbers travel
as text (`float.hex`), strings and tensors as byte ranges of the blob area. The guest carries its
own copy of this format (`grader/guest/wire.py`), because it must stand alone.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from grader.errors import ProtocolViolation
from grader.values import Formula, Made, Opaque, Table, Tensor, Value

#: Dtypes that may cross, with the number of bytes an element takes. `bfloat16` travels as raw bits.
ITEM_BYTES = {
    "bool": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}
MAX_NODES = 200_000
MAX_DEPTH = 18  # the guest stops at 16 levels of the student's own nesting
MAX_DIMS = 8
MAX_INT_DIGITS = 1000
MAX_HEAD_BYTES = 16 << 20
MAX_BRACKETS = 4 * MAX_NODES  # a node is a list, and may hold a list of children or pairs
MAX_COMMAS = 4 * MAX_BRACKETS
MAX_ALIKE = 50  # members of a set or keys of a dict with one hash: each is compared with all others


def encode(value: Value) -> bytes:
    """Write a value in the format described at the top of this module."""
    nodes: list[Any] = []
    blobs = bytearray()

    def blob(data: bytes) -> list[int]:
        blobs.extend(data)
        return [len(blobs) - len(data), len(data)]

    def text(string: str) -> list[int]:
        return blob(string.encode("utf-8", "backslashreplace"))

    def add(item: Value) -> int:
        at = len(nodes)
        nodes.append(None)
        nodes[at] = node(item)
        return at

    def node(item: Value) -> list[Any]:
        match item:
            case None:
                return ["null"]
            case bool():
                return ["bool", item]
            case int():
                return ["int", str(item)]
            case float():
                return ["float", item.hex()]
            case complex():
                return ["complex", item.real.hex(), item.imag.hex()]
            case str():
                return ["str", *text(item)]
            case bytes():
                return ["bytes", *blob(item)]
            case list() | tuple():
                return [type(item).__name__, [add(child) for child in item]]
            case set():  # in an order of its own, so that equal plans have equal digests
                return ["set", [add(child) for child in sorted(item, key=encode)]]
            case dict():
                return ["dict", [[add(k), add(v)] for k, v in item.items()]]
            case Tensor():
                return ["array", item.origin, item.dtype, list(item.shape), *blob(_raw(item))]
            case Table():
                columns = [add(column) for column in item.data]
                return ["table", add(item.columns), columns, add(item.index)]
            case Formula():
                return ["formula", *text(item.text)]
            case Made():  # only into a sandbox: `decode` knows no such node
                return ["made", add(item.of), add(item.args)]
            case Opaque():
                return ["opaque", item.kind, item.name, *text(item.detail)]
        raise TypeError(f"not a plain value: {type(item).__name__}")

    add(value)
    head = json.dumps(nodes, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return struct.pack(">I", len(head)) + head + bytes(blobs)


def _raw(tensor: Tensor) -> bytes:
    if tensor.dtype == "bfloat16":
        bits = np.ascontiguousarray(tensor.array, dtype=np.float32).view(np.uint32) >> 16
        return bits.astype("<u2").tobytes()
    array = np.ascontiguousarray(tensor.array)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def parse_json(data: bytes) -> Any:
    """Read JSON of an untrusted side: no NaN, duplicate keys, huge integers or deep nesting.

    Raises:
        ProtocolViolation: the bytes are not such JSON.
    """

    def refuse(name: str) -> Any:
        raise ProtocolViolation(f"JSON holds {name[:20]}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            refuse("a duplicate key")
        return dict(pairs)

    def small(digits: str) -> int:
        return int(digits) if len(digits) <= 20 else refuse("a huge integer")

    try:
        return json.loads(
            data.decode("ascii"), parse_constant=refuse, parse_int=small, object_pairs_hook=unique
        )
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation(f"not the JSON we write: {type(error).__name__}") from error


def decode(data: bytes) -> Value:
    """Read one encoded value from an untrusted side.

    Args:
        data: At most as many bytes as the caller allows a value to have.

    Raises:
        ProtocolViolation: the bytes are not what our guest writes.
    """
    if len(data) < 4:
        raise ProtocolViolation("a value is cut short")
    (length,) = struct.unpack(">I", data[:4])
    if length > len(data) - 4:
        raise ProtocolViolation("a value is cut short")
    # Before parsing: a few bytes of JSON make many times as many of Python's objects.
    brackets = sum(data.count(one, 4, 4 + length) for one in (b"[", b"{"))
    commas = data.count(b",", 4, 4 + length)
    if length > MAX_HEAD_BYTES or brackets > MAX_BRACKETS or commas > MAX_COMMAS:
        raise ProtocolViolation("a value has too many nodes")
    nodes = parse_json(data[4 : 4 + length])
    if not isinstance(nodes, list) or not 0 < len(nodes) <= MAX_NODES:
        raise ProtocolViolation("a value has no nodes, or too many")
    return _Decoder(nodes, memoryview(data)[4 + length :]).value(0, 0)


class _Decoder:
    """Builds one value; every rule that a node breaks is a `ProtocolViolation`."""

    def __init__(self, nodes: list[Any], blobs: memoryview) -> None:
        self.nodes, self.blobs, self.seen, self.taken = nodes, blobs, 0, 0

    def value(self, at: int, depth: int) -> Value:
        self.seen += 1
        node = self.nodes[at]
        if depth > MAX_DEPTH or self.seen > len(self.nodes):
            raise ProtocolViolation("a value is nested too deeply or shares its parts")
        if not isinstance(node, list) or not node or not isinstance(node[0], str):
            raise ProtocolViolation("a node of a value has no tag")
        reader: Callable[..., Value] | None = getattr(self, f"_{node[0]}", None)
        if reader is None or node[0] not in TAGS:
            raise ProtocolViolation(f"unknown tag {node[0][:20]!r}")

        def child(index: Any) -> Value:
            if type(index) is not int or not at < index < len(self.nodes):
                raise ProtocolViolation("a child must come after its parent")
            return self.value(index, depth + 1)

        try:
            return reader(child, *node[1:])
        except (TypeError, ValueError, OverflowError) as error:
            raise ProtocolViolation(f"a {node[0]} node is malformed: {error}") from error

    def _bytes_at(self, offset: Any, size: Any) -> bytes:
        if type(offset) is not int or type(size) is not int or offset < 0 or size < 0:
            raise ProtocolViolation("a byte range is malformed")
        if offset + size > len(self.blobs):
            raise ProtocolViolation("a byte range lies outside the value")
        self.taken += size  # ranges that overlap would make much of little
        if self.taken > len(self.blobs):
            raise ProtocolViolation("a value shares its bytes")
        return bytes(self.blobs[offset : offset + size])

    def _null(self, child: Any) -> None:
        return None

    def _bool(self, child: Any, truth: Any) -> bool:
        if type(truth) is not bool:
            raise ProtocolViolation("a bool node holds no bool")
        return truth

    def _int(self, child: Any, digits: Any) -> int:
        if not isinstance(digits, str) or len(digits.lstrip("-")) > MAX_INT_DIGITS:
            raise ProtocolViolation("an integer has too many digits")
        return int(digits)

    def _float(self, child: Any, text: Any) -> float:
        return float.fromhex(text)

    def _complex(self, child: Any, real: Any, imag: Any) -> complex:
        return complex(float.fromhex(real), float.fromhex(imag))

    def _str(self, child: Any, offset: Any, size: Any) -> str:
        return self._bytes_at(offset, size).decode("utf-8", "backslashreplace")

    def _bytes(self, child: Any, offset: Any, size: Any) -> bytes:
        return self._bytes_at(offset, size)

    def _list(self, child: Any, indexes: Any) -> list[Value]:
        return [child(index) for index in indexes]

    def _tuple(self, child: Any, indexes: Any) -> tuple[Value, ...]:
        return tuple(child(index) for index in indexes)

    def _set(self, child: Any, indexes: Any) -> set[Value]:
        members = [child(index) for index in indexes]
        _check_hashes(members)
        return set(members)

    def _dict(self, child: Any, pairs: Any) -> dict[Value, Value]:
        held = [(child(key), child(item)) for key, item in pairs]
        _check_hashes(key for key, _ in held)
        return dict(held)

    def _array(
        self, child: Any, origin: Any, dtype: Any, shape: Any, offset: Any, size: Any
    ) -> Tensor:
        if origin not in ("torch", "numpy") or dtype not in ITEM_BYTES:
            raise ProtocolViolation("an array of unknown origin or dtype")
        if not isinstance(shape, list) or len(shape) > MAX_DIMS:
            raise ProtocolViolation("an array has too many dimensions")
        count = 1
        for length in shape:
            if type(length) is not int or length < 0:
                raise ProtocolViolation("an array has a malformed shape")
            count *= length
        if size != count * ITEM_BYTES[dtype]:
            raise ProtocolViolation("an array's bytes do not match its shape")
        raw = self._bytes_at(offset, size)
        if dtype == "bool" and any(byte > 1 for byte in set(raw)):
            raise ProtocolViolation("a bool array holds other bytes than 0 and 1")
        if dtype == "bfloat16":
            array = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<"))
        return Tensor(array.reshape(shape), dtype, origin)

    def _table(self, child: Any, columns: Any, data: Any, index: Any) -> Table:
        names = child(columns)
        if not isinstance(names, list) or len(names) != len(data):
            raise ProtocolViolation("a table's names do not match its columns")
        return Table(names, [child(column) for column in data], child(index))

    def _formula(self, child: Any, offset: Any, size: Any) -> Formula:
        return Formula(self._str(child, offset, size))

    def _opaque(self, child: Any, kind: Any, name: Any, offset: Any, size: Any) -> Opaque:
        if kind not in ("function", "class", "module", "object") or not isinstance(name, str):
            raise ProtocolViolation("an opaque value of unknown kind")
        return Opaque(kind, name, self._str(child, offset, size))


def _check_hashes(members: Iterable[Value]) -> None:
    """Numbers can be chosen so that all have one hash, which would make a dict of them slow."""
    if max(Counter(map(hash, members)).values(), default=0) > MAX_ALIKE:
        raise ProtocolViolation("too many members of a set or keys of a dict have one hash")


#: The tags that a node may carry: `_Decoder` has a method for each.
TAGS = frozenset(
    name.removeprefix("_")
    for name in vars(_Decoder)
    if name.startswith("_") and not name.startswith("__") and name != "_bytes_at"
)
