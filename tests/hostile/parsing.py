"""What the tests of readers share: clocks, values and frames written by hand, and a pickle."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grader.frames import MAC_BYTES, MAGIC, PREFIX

KEY = b"k" * 32


@contextmanager
def quickly(cpu_s: float = 2.0, peak_mib: float | None = None) -> Iterator[None]:
    """What it encloses takes little processor time and, where that is asked, little memory."""
    if peak_mib is not None:
        tracemalloc.start()
    began = time.process_time()
    try:
        yield
        took = time.process_time() - began
        peak = tracemalloc.get_traced_memory()[1] / 2**20 if peak_mib is not None else 0.0
    finally:
        tracemalloc.stop()
    # Counting memory makes Python several times slower.
    assert took < (cpu_s if peak_mib is None else 5 * cpu_s)
    assert peak_mib is None or peak < peak_mib


def encoded(nodes: Any, blobs: bytes = b"") -> bytes:
    """A value whose nodes are written by hand; text is taken for the nodes' JSON."""
    head = (nodes if isinstance(nodes, str) else json.dumps(nodes)).encode()
    return struct.pack(">I", len(head)) + head + blobs


class Evil:
    """Unpickling it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


def sealed(head: bytes) -> bytes:
    """A frame with any bytes as its header, as whoever holds the key may write it."""
    signed = PREFIX.pack(MAGIC, len(head), 0)[4:] + head
    return MAGIC + signed + hmac.new(KEY, signed, hashlib.sha256).digest()[:MAC_BYTES]
