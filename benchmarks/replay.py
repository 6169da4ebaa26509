"""A sandbox that runs one notebook for real and then replays what came out for all others."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from pathlib import Path

from grader.frames import MAC_BYTES, PREFIX, FrameReader
from grader.plan import Limits
from grader.sandbox.base import Sandbox, Stopped

KEY_BYTES = 32


class Replay:
    """Records the frames of its first run, and gives every later run the same, freshly signed.

    So everything outside the sandbox is real: frames are read and checked, evidence is kept, scored
    and reported. Only what a notebook would have worked in its sandbox is left out.

    Args:
        inner: Runs the first notebook.
    """

    def __init__(self, inner: Sandbox) -> None:
        """Record nothing yet."""
        self._inner = inner
        self.name, self.image = inner.name, inner.image
        self.watch_memory = inner.watch_memory
        self._frames = b""
        self._stopped: Stopped | None = None
        self._recording = threading.Lock()

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
        with self._recording:
            if self._stopped is None:
                self._stopped = self._inner.run(box, reader, limits=limits, data=data, lib=lib)
                self._frames = bytes(reader.raw)
                return self._stopped
        reader.feed(signed(self._frames, box[:KEY_BYTES]))
        reader.close()
        return self._stopped

    def close(self) -> None:
        """Close the real sandbox."""
        self._inner.close()


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
