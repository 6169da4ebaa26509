"""Write frames as the guest does, for tests that replay a run without a sandbox."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Any

from grader.codec import encode
from grader.errors import ProtocolViolation
from grader.frames import MAC_BYTES, MAGIC, PREFIX, FrameReader
from grader.plan import Limits
from grader.sandbox.base import Cause, Stopped
from grader.values import Value

NOTHING = object()


def frame(key: bytes, header: dict[str, Any], payload: bytes = b"") -> bytes:
    head = json.dumps(header).encode()
    signed = PREFIX.pack(MAGIC, len(head), len(payload))[4:] + head + payload
    return MAGIC + signed + hmac.new(key, signed, hashlib.sha256).digest()[:MAC_BYTES]


class Writer:
    """Collects the frames of one run."""

    def __init__(self, key: bytes) -> None:
        self.key, self.seq, self.out = key, 0, bytearray()
        self.digest = hashlib.sha256()

    def write(self, kind: str, value: Value = NOTHING, **header: Any) -> Writer:
        header = {"seq": self.seq, "kind": kind, **header}
        payload = b"" if value is NOTHING else encode(value)
        self.out += frame(self.key, header, payload)
        self.digest.update(json.dumps(header).encode() + payload)
        self.seq += 1
        return self

    def ready(self) -> Writer:
        return self.write("ready", guest="test", torch="2", gpu=None)

    def end(self, ending: str = "complete") -> Writer:
        told = {"frames": self.seq, "digest": self.digest.hexdigest()}
        return self.write("end", ending=ending, peak_mib=1.0, **told)


def cells_in(box: bytes) -> list[int]:
    """The numbers of the cells that a box holds."""
    (length,) = struct.unpack(">Q", box[32:40])
    return [cell["index"] for cell in json.loads(box[40 : 40 + length])["cells"]]


class FakeSandbox:
    """Replays recorded frames: a list of (kind, value, header) for every run, by its number.

    Unless the recording is `exact`, cells that are sent and not recorded were run in silence, and
    recorded ones that are not sent are left out.
    """

    name, image, watch_memory = "fake", "fake image", False

    def __init__(
        self, *runs: list[tuple[str, Value, dict[str, Any]]], exact: bool = False, **stopped: Any
    ) -> None:
        self.runs, self.exact, self.stopped, self.count = runs, exact, stopped, 0

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        writer = Writer(box[:32])
        recorded = self.runs[min(self.count, len(self.runs) - 1)]
        silent = set() if self.exact else set(cells_in(box))
        for kind, value, header in recorded:
            if kind == "cell" and not self.exact and header.get("index", 0) not in silent:
                continue  # of another submission, or told already
            if kind == "end":
                for index in sorted(silent):
                    writer.write("cell", {"text": ""}, index=index, status="ok", wall_s=0.1)
                writer.end(**header)
            else:
                silent.discard(header.get("index", -1) if kind == "cell" else -1)
                writer.write(kind, value, **header)
        self.count += 1
        try:
            reader.feed(bytes(writer.out))
        except ProtocolViolation as violation:
            return Stopped(
                cause=Cause.VIOLATION, exit_code=None, wall_s=0.1, violation=str(violation)
            )
        return Stopped(**{"cause": Cause.EXITED, "exit_code": 0, "wall_s": 0.1, **self.stopped})

    def close(self) -> None: ...
