"""The stream of frames that a guest writes, read strictly and under caps.

frame  := "NGE1" | u32 header length | u64 payload length | header | payload | HMAC-SHA256[:16]
header := JSON object, ASCII: `seq` counts from 0, `kind` is ready, cell, restart, probe or end

Lengths are checked before anything is allocated. The code (MAC) is made with a key that only the
guest holds, so nobody else in the sandbox can speak in its name; it does not make what the
student's kernel says true, and nothing here relies on that.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from grader.codec import parse_json
from grader.errors import ProtocolViolation
from grader.plan import Limits

MAGIC = b"NGE1"
PREFIX = struct.Struct(">4sIQ")
MAC_BYTES = 16
MAX_HEADER_BYTES = 64 * 1024
MAX_FRAMES = 10_000
KINDS = ("ready", "cell", "restart", "probe", "end")
RESTART_S = 10.0
"""How much longer a run may take for each restart of the kernel: that is our own time."""
MAX_RESTARTS = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One receipt of the guest: its header, and an encoded value or nothing."""

    header: dict[str, Any]
    payload: bytes

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return str(self.header["kind"])


@dataclass(slots=True)
class FrameReader:
    """Takes bytes as they come and keeps whole, checked frames.

    Args:
        key: 32 bytes that went to the guest at the start of its standard input.
        limits: Caps on the size of one value and of all the evidence; times for `deadline`.
    """

    key: bytes
    limits: Limits
    frames: list[Frame] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    ready_at: float | None = None
    ended: bool = False
    restarts: int = 0
    raw: bytearray = field(default_factory=bytearray)
    """Every byte of the frames accepted so far, as the evidence store keeps them."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    """Held while bytes are passed on; notified when the deadline may have moved."""
    _stopped: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _digest: Any = field(default_factory=hashlib.sha256)

    def deadline(self) -> float:
        """Moment (monotonic, seconds) at which the backstop stops the sandbox."""
        if self._stopped:
            return self.started
        if self.ready_at is None:
            return self.started + self.limits.start_s
        ours_s = RESTART_S * min(self.restarts, MAX_RESTARTS)
        return self.ready_at + self.limits.total_s + ours_s + self.limits.slack_s

    def stop(self) -> None:
        """Let the deadline be over: whoever waits for the sandbox kills it; from any thread."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            ProtocolViolation: they are not what our guest writes; the frames before still stand.
        """
        self._buffer += data
        while self._take_one():
            pass

    def close(self) -> None:
        """Say that no more bytes will come.

        Raises:
            ProtocolViolation: a frame is cut in the middle although `end` came before it.
        """
        if self.ended and self._buffer:
            raise ProtocolViolation("bytes follow the end frame")

    def _take_one(self) -> bool:
        if len(self._buffer) < PREFIX.size:
            return False
        magic, header_len, payload_len = PREFIX.unpack_from(self._buffer)
        self._check_sizes(magic, header_len, payload_len)
        total = PREFIX.size + header_len + payload_len + MAC_BYTES
        if len(self._buffer) < total:
            return False
        whole = bytes(self._buffer[:total])
        del self._buffer[:total]
        mac = hmac.new(self.key, whole[4:-MAC_BYTES], hashlib.sha256).digest()[:MAC_BYTES]
        if not hmac.compare_digest(mac, whole[-MAC_BYTES:]):
            raise ProtocolViolation("a frame was not written by our guest")
        start = PREFIX.size + header_len
        self._accept(whole, whole[PREFIX.size : start], whole[start:-MAC_BYTES])
        return True

    def _check_sizes(self, magic: bytes, header_len: int, payload_len: int) -> None:
        if magic != MAGIC:
            raise ProtocolViolation("a frame does not start as frames do")
        if header_len > MAX_HEADER_BYTES or payload_len > self.limits.value_mib << 20:
            raise ProtocolViolation("a frame is larger than the plan allows")
        if len(self.raw) + payload_len > self.limits.evidence_mib << 20:
            raise ProtocolViolation("the evidence is larger than the plan allows")
        if self.ended or len(self.frames) >= MAX_FRAMES:
            raise ProtocolViolation("a frame follows the last one that is allowed")

    def _accept(self, whole: bytes, head: bytes, payload: bytes) -> None:
        header = parse_json(head)
        if not isinstance(header, dict) or header.get("kind") not in KINDS:
            raise ProtocolViolation("a frame of unknown kind")
        if header.get("seq") != len(self.frames):
            raise ProtocolViolation("a frame is missing or out of order")
        if (header["kind"] == "ready") != (len(self.frames) == 0):
            raise ProtocolViolation("the first frame, and no other, is `ready`")
        if header["kind"] == "ready":
            self.ready_at = time.monotonic()
        if header["kind"] == "end":
            self._check_end(header)
        self.restarts += header["kind"] == "restart"
        self._digest.update(head + payload)
        self.frames.append(Frame(header, payload))
        self.raw += whole

    def _check_end(self, header: dict[str, Any]) -> None:
        if header.get("frames") != len(self.frames):
            raise ProtocolViolation("the end frame counts other frames than arrived")
        if header.get("digest") != self._digest.hexdigest():
            raise ProtocolViolation("the end frame's digest does not match what arrived")
        self.ended = True
