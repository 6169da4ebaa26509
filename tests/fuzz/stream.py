"""The stream of frames: whoever holds the key may write anything into it.

An input is a list of frames, `flags | u16 length of the header | u16 length of the payload | header
| payload`, which are sealed with the right key; or raw bytes, where it begins as a stream does.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from frames_of import Writer
from hypothesis import strategies as st

from fuzz.target import Made, Target, nasty
from grader.codec import encode
from grader.errors import ProtocolViolation, SandboxFault
from grader.execute import conclude
from grader.frames import KINDS, MAC_BYTES, MAGIC, PREFIX, FrameReader
from grader.plan import Limits
from grader.sandbox.base import Cause, Stopped

KEY = b"k" * 32
LIMITS = Limits(value_mib=1, evidence_mib=1)
ASKED = ("1/1/value", "2/1/call")
SHAPE = struct.Struct(">BHH")
#: Flags of a frame: its number is put right, its last receipt is put right, its seal is broken.
NUMBERED, SUMMED, UNSEALED = 1, 2, 4
PLAYED = Stopped(cause=Cause.EXITED, exit_code=0, wall_s=1.0)


def run(data: bytes) -> None:
    """Read a stream and conclude from it as after a run."""
    reader = FrameReader(KEY, LIMITS)
    with contextlib.suppress(ProtocolViolation):
        if data.startswith(MAGIC):
            reader.feed(data)
        for flags, head, payload in _frames(data):
            reader.feed(_sealed(reader, flags, head, payload))
        reader.close()
    assert len(reader.raw) <= (LIMITS.evidence_mib << 20) + (1 << 17)
    assert [frame.header["seq"] for frame in reader.frames] == [*range(len(reader.frames))]
    with contextlib.suppress(ProtocolViolation, SandboxFault):
        evidence = conclude(reader, PLAYED, ASKED, "fuzz")
        assert set(evidence.observations) <= set(ASKED)


def _frames(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    if data.startswith(MAGIC):
        return
    at = 0
    while at + SHAPE.size <= len(data):
        flags, head, payload = SHAPE.unpack_from(data, at)
        at += SHAPE.size
        yield flags, data[at : at + head], data[at + head : at + head + payload]
        at += head + payload


def _sealed(reader: FrameReader, flags: int, head: bytes, payload: bytes) -> bytes:
    with contextlib.suppress(ValueError, RecursionError):
        header = json.loads(head)
        if isinstance(header, dict) and flags & NUMBERED:
            header["seq"] = len(reader.frames)
        if isinstance(header, dict) and flags & SUMMED:
            header |= {"frames": len(reader.frames), "digest": reader._digest.hexdigest()}
        head = json.dumps(header).encode()
    signed = PREFIX.pack(MAGIC, len(head), len(payload))[4:] + head + payload
    mac = hmac.new(KEY, signed, hashlib.sha256).digest()[:MAC_BYTES]
    return MAGIC + signed + (b"\0" * MAC_BYTES if flags & UNSEALED else mac)


def packed(frames: Sequence[tuple[int, Any, bytes]]) -> bytes:
    """Write frames as `run` reads them; payloads longer than a length can say are cut."""
    told = bytearray()
    for flags, header, payload in frames:
        head = json.dumps(header).encode()[:0xFFFF]
        told += SHAPE.pack(flags, len(head), len(payload[:0xFFFF])) + head + payload[:0xFFFF]
    return bytes(told)


BOTH = NUMBERED | SUMMED
READY = (NUMBERED, {"kind": "ready", "guest": "1"}, b"")
CELL = (NUMBERED, {"kind": "cell", "index": 0, "status": "ok", "wall_s": 0.5}, encode({"text": ""}))
RAISED = encode({"ename": "ValueError", "evalue": "no", "where": "1"})
PROBE = (NUMBERED, {"kind": "probe", "id": ASKED[0], "status": "ok"}, encode([1, 2.5, {"a": None}]))
FAILED = (NUMBERED, {"kind": "probe", "id": ASKED[1], "status": "error"}, RAISED)
END = (BOTH, {"kind": "end", "ending": "complete", "peak_mib": 1.5}, b"")
SEEDS = (
    packed([READY, CELL, PROBE, FAILED, END]),
    packed([READY, (NUMBERED, {"kind": "restart", "reason": "died"}, b""), END]),
    bytes(Writer(KEY).ready().write("cell", {"text": "a"}, index=0, status="ok").end().out),
)


def _headers() -> st.SearchStrategy[dict[str, Any]]:
    numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.just(10**4000))
    odd = st.one_of(st.none(), numbers, nasty(), st.lists(numbers, max_size=2))
    known = ("ok", "error", "missing", "timeout", "skipped", "left_out", "complete", "died")
    return st.fixed_dictionaries(
        {"kind": st.one_of(st.sampled_from(KINDS), odd)},
        optional={
            "seq": odd,
            "index": odd,
            "id": st.one_of(st.sampled_from(ASKED), odd),
            "status": st.one_of(st.sampled_from(known), odd),
            "ending": st.one_of(st.sampled_from(known), odd),
            "wall_s": odd,
            "peak_mib": odd,
            "frames": odd,
            "digest": odd,
        },
    )


def _made() -> Made:
    payloads = st.sampled_from(
        (b"", CELL[2], PROBE[2], RAISED, encode(5), encode({"ename": 10**900}))
    )
    frames = st.tuples(st.sampled_from((0, NUMBERED, BOTH)), _headers(), payloads)
    some = st.lists(st.one_of(frames, st.sampled_from((CELL, PROBE, FAILED))), max_size=4)
    return st.builds(lambda f, last: packed([READY, *f, *last]), some, st.sampled_from(([], [END])))


TARGET = Target(
    name="stream",
    reads="frames of a sandbox, and the evidence in them",
    run=run,
    seeds=SEEDS,
    made=_made(),
    tokens=tuple(json.dumps(word).encode() for word in (*KINDS, "seq", "status", "wall_s", "id")),
)
