"""The box on standard input: what to run, and within which limits.

box := 32 byte key | u64 JSON length | JSON | u64 blob length | blobs
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from .files import File, checked
from .wire import FUNCTIONS

KEY_BYTES = 32
PROTOCOL = 1
SENT = frozenset(
    (
        *("null", "bool", "int", "float", "complex", "str", "formula", "bytes"),
        *("list", "tuple", "set", "dict", "array", "made"),
    )
)
"""The kinds of nodes that a request may hold, beside the functions of `wire.FUNCTIONS`."""


class BoxError(Exception):
    """Standard input did not hold a box that this guest can read."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell or a module, and its place in the submission."""

    index: int
    source: str
    module: str = ""
    """Path of the file to load in place of a source."""
    left_out: bool = False
    """Whether it is only counted, not run."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question for the namespace: an encoded request, and seconds to answer it."""

    id: str
    time_s: float
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings of the run: seconds, mebibytes, kibibytes."""

    cell_s: float
    total_s: float
    memory_mib: float
    value_mib: float
    evidence_mib: float
    text_kib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """All that the host sends, once, before the first cell."""

    key: bytes
    cells: tuple[Cell, ...]
    files: tuple[File, ...]
    lib: bool
    """Whether the course brings packages of its own."""
    probes: tuple[Probe, ...]
    limits: Limits
    seed: int
    threads: int
    gpu: bool
    gpu_mib: int
    """GPU memory that it may use; 0 for all."""
    watch_memory: bool


def read_box(stream: BinaryIO) -> Box:
    """Read the whole box.

    Raises:
        BoxError: the stream ended early, or speaks another protocol.
    """

    def take(size: int) -> bytes:
        data = stream.read(size)
        if len(data) != size:
            raise BoxError(f"the box is cut short: expected {size} more bytes, found {len(data)}")
        return data

    key = take(KEY_BYTES)
    head = take(struct.unpack(">Q", take(8))[0])
    blob = take(struct.unpack(">Q", take(8))[0])
    try:
        return _box(key, json.loads(head), blob)
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise BoxError(f"the box is malformed: {type(error).__name__}: {error}") from error


def _box(key: bytes, told: dict[str, Any], blob: bytes) -> Box:
    if told["protocol"] != PROTOCOL:
        raise BoxError(f"expected protocol {PROTOCOL}, found {told['protocol']!r}")
    probes = (
        Probe(p["id"], float(p["time_s"]), blob[p["offset"] : p["offset"] + p["size"]])
        for p in told["probes"]
    )
    return Box(
        key=key,
        cells=tuple(
            Cell(c["index"], c["source"], c["module"], c["left_out"]) for c in told["cells"]
        ),
        # Not copied: they may be large, and are let go of when they lie in the working folder.
        files=tuple(
            File(checked(f["path"]), memoryview(blob)[f["offset"] : f["offset"] + f["size"]])
            for f in told["files"]
        ),
        lib=told["lib"],
        probes=tuple(map(_possible, probes)),
        limits=Limits(**{name: told["limits"][name] for name in Limits.__dataclass_fields__}),
        seed=told["seed"],
        threads=told["threads"],
        gpu=told["gpu"],
        gpu_mib=told["gpu_mib"],
        watch_memory=told["watch_memory"],
    )


def _possible(probe: Probe) -> Probe:
    """The same probe; one that no kernel could decode is a mistake of the host's, told at once."""
    (length,) = struct.unpack(">I", probe.request[:4])
    for tag, *rest in json.loads(probe.request[4 : 4 + length]):
        function = tag == "opaque" and rest[0] == "function" and rest[1] in FUNCTIONS
        if tag not in SENT and not function:
            raise ValueError(f"a request cannot hold {' '.join([tag, *map(str, rest[:2])])}")
    return probe
