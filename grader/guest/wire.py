"""Bytes out and in: frames on standard output, and encoded values, which the box holds too.

value := u32 JSON length | JSON list of nodes | blobs; node 0 is the root, children follow parents
frame := "NGE1" | u32 header length | u64 payload length | header | payload | 16 bytes HMAC-SHA256
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

MAGIC = b"NGE1"
MAC_BYTES = 16
MAX_NODES = 200_000
FUNCTIONS = frozenset(
    ("torch.relu", "torch.sigmoid", "torch.tanh", "torch.sin", "torch.exp", "identity")
)
"""The functions that a request may hold."""


class TooLarge(Exception):
    """A value is larger, longer or more deeply nested than may cross."""


class FrameWriter:
    """Writes numbered, authenticated frames as things happen.

    Args:
        stream: Where frames go; nothing else may write there.
        key: Known to the host and this process only.
    """

    def __init__(self, stream: BinaryIO, key: bytes) -> None:
        """Start at frame 0."""
        self._stream, self._key = stream, key
        self._digest = hashlib.sha256()
        self.count = 0
        self.bytes_written = 0

    def write(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Write one frame and flush it."""
        head = json.dumps(
            {"seq": self.count, "kind": kind, **header}, ensure_ascii=True, separators=(",", ":")
        ).encode("ascii")
        signed = struct.pack(">IQ", len(head), len(payload)) + head + payload
        mac = hmac.new(self._key, signed, hashlib.sha256).digest()[:MAC_BYTES]
        self._stream.write(MAGIC + signed + mac)
        self._stream.flush()
        self._digest.update(head + payload)
        self.count += 1
        self.bytes_written += len(MAGIC) + len(signed) + len(mac)

    def end(self, **header: Any) -> None:
        """Write the last frame, with the count and digest of all before it."""
        digest = self._digest.hexdigest()
        self.write("end", frames=self.count, digest=digest, **header)


class Builder:
    """Collects the nodes and blobs of one value.

    Args:
        limit_bytes: Size that the encoded value must not exceed.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Start empty."""
        self._limit_bytes = limit_bytes
        self._nodes: list[Any] = []
        self._blobs = bytearray()

    def reserve(self) -> int:
        """Take the next node's index, so that a parent stands before its children."""
        if len(self._nodes) >= MAX_NODES:
            raise TooLarge(f"more than {MAX_NODES} parts")
        self._nodes.append(None)
        return len(self._nodes) - 1

    def fill(self, index: int, node: list[Any]) -> None:
        """Write a reserved node."""
        self._nodes[index] = node

    def check_room(self, size: int) -> None:
        """Refuse early what would not fit, before it is copied.

        Raises:
            TooLarge: it would not fit.
        """
        if len(self._blobs) + size > self._limit_bytes:
            raise TooLarge(f"more than {self._limit_bytes / 2**20:g} MiB")

    def blob(self, data: bytes | memoryview) -> list[int]:
        """Append bytes; returns their offset and length."""
        size = len(data)
        self.check_room(size)
        self._blobs += data
        return [len(self._blobs) - size, size]

    def text(self, string: str) -> list[int]:
        """Append text; lone surrogates, which UTF-8 cannot hold, are escaped."""
        self.check_room(len(string))
        return self.blob(string.encode("utf-8", "backslashreplace"))

    def finish(self) -> bytes:
        """The encoded value.

        Raises:
            TooLarge: nodes and blobs together exceed the limit.
        """
        head = json.dumps(self._nodes, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        if 4 + len(head) + len(self._blobs) > self._limit_bytes:
            raise TooLarge(f"more than {self._limit_bytes / 2**20:g} MiB")
        return struct.pack(">I", len(head)) + head + bytes(self._blobs)


def encode_texts(texts: dict[str, str]) -> bytes:
    """Encode a dict of strings, the payload of cell and error frames."""
    builder = Builder(1 << 30)
    root = builder.reserve()
    pairs = []
    for key, text in texts.items():
        pair = []
        for string in (key, text):
            pair.append(builder.reserve())
            builder.fill(pair[-1], ["str", *builder.text(string)])
        pairs.append(pair)
    builder.fill(root, ["dict", pairs])
    return builder.finish()


def decode(
    data: bytes,
    array: Callable[[str, str, list[int], memoryview], Any],
    function: Callable[[str], Any],
    make: Callable[[str, dict[str, Any]], Any],
) -> Any:
    """Read a value that the host wrote, so without the checks an untrusted side would need.

    Args:
        data: An encoded value: Python scalars and containers, arrays, formulas (as text), the
            functions of `FUNCTIONS`, and objects to make.
        array: Builds a tensor from origin, dtype, shape and little-endian bytes.
        function: Finds a function by its name.
        make: Makes an object from the name of its class and arguments by name.
    """
    (length,) = struct.unpack(">I", data[:4])
    nodes = json.loads(data[4 : 4 + length])
    blobs = memoryview(data)[4 + length :]

    def text(offset: int, size: int) -> str:
        return bytes(blobs[offset : offset + size]).decode("utf-8")

    def value(index: int) -> Any:
        tag, *rest = nodes[index]
        if tag == "null":
            return None
        if tag == "bool":
            return rest[0]
        if tag == "int":
            return int(rest[0])
        if tag == "float":
            return float.fromhex(rest[0])
        if tag == "complex":
            return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
        if tag in ("str", "formula"):
            return text(*rest)
        if tag == "bytes":
            return bytes(blobs[rest[0] : rest[0] + rest[1]])
        if tag in ("list", "tuple", "set"):
            return {"list": list, "tuple": tuple, "set": set}[tag](value(i) for i in rest[0])
        if tag == "dict":
            return {value(key): value(item) for key, item in rest[0]}
        if tag == "array":
            origin, dtype, shape, offset, size = rest
            return array(origin, dtype, shape, blobs[offset : offset + size])
        if tag == "made":
            return make(value(rest[0]), value(rest[1]))
        if tag == "opaque" and rest[1] in FUNCTIONS:
            return function(rest[1])
        raise ValueError(f"a request cannot hold a {tag}")

    return value(0)
