"""Sandboxes that record what comes out of real runs, and that replay it for other students.

So everything outside the sandbox is real: frames are read and checked, evidence is kept, scored and
reported. Only what a notebook would have worked in its sandbox is left out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from grader.frames import MAC_BYTES, PREFIX, FrameReader
from grader.plan import Limits
from grader.sandbox.base import Cause, Sandbox, Stopped

KEY_BYTES = 32
MARK = re.compile(rb"student \d{5}")
"""The only difference between two notebooks of the same kind; always as long."""


class Recorder:
    """Runs everything in another sandbox, and writes down what came out.

    Args:
        inner: Runs the notebooks.
        folder: Takes the recordings.
    """

    def __init__(self, inner: Sandbox, folder: Path) -> None:
        """Write down what sandbox this is."""
        self._inner, self._folder = inner, folder
        self.name, self.image, self.watch_memory = inner.name, inner.image, inner.watch_memory
        folder.mkdir(exist_ok=True)
        about = {"name": self.name, "image": self.image, "watch_memory": self.watch_memory}
        (folder / "about.json").write_text(json.dumps(about))

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """See `Sandbox.run`."""
        stopped = self._inner.run(box, reader, limits=limits, data=data, lib=lib)
        kind = kind_of(box)
        (self._folder / f"{kind}.frames").write_bytes(bytes(reader.raw))
        (self._folder / f"{kind}.json").write_text(json.dumps(asdict(stopped)))
        return stopped

    def close(self) -> None:
        """Close the real sandbox."""
        self._inner.close()


class Replay:
    """Gives every run the recorded frames of its kind, freshly signed, and executes nothing.

    Args:
        folder: What a `Recorder` wrote.
    """

    def __init__(self, folder: Path) -> None:
        """Pass for the sandbox that was recorded."""
        self._folder = folder
        about = json.loads((folder / "about.json").read_text())
        self.name, self.image = str(about["name"]), str(about["image"])
        self.watch_memory = bool(about["watch_memory"])

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """See `Sandbox.run`."""
        kind = kind_of(box)
        told = json.loads((self._folder / f"{kind}.json").read_text())
        reader.feed(signed((self._folder / f"{kind}.frames").read_bytes(), box[:KEY_BYTES]))
        reader.close()
        return Stopped(**told | {"cause": Cause(told["cause"])})

    def close(self) -> None:
        """Nothing is open."""


def kind_of(box: bytes) -> str:
    """What a box has in common with those of all students whose notebooks are of the same kind."""
    return hashlib.sha256(MARK.sub(b"", box[KEY_BYTES:])).hexdigest()


def signed(frames: bytes, key: bytes) -> bytes:
    """Sign recorded frames with another key.

    Args:
        frames: What a guest wrote, whole frames only.
        key: The key of the run that they are replayed to.
    """
    out = bytearray()
    for body in _bodies(frames):
        mac = hmac.new(key, body[4:], hashlib.sha256).digest()[:MAC_BYTES]
        out += body + mac
    return bytes(out)


def _bodies(frames: bytes) -> Iterator[bytes]:
    """Cut frames apart, without their signatures."""
    start = 0
    while start < len(frames):
        _magic, header_bytes, payload_bytes = PREFIX.unpack_from(frames, start)
        end = start + PREFIX.size + header_bytes + payload_bytes
        yield frames[start:end]
        start = end + MAC_BYTES
