"""What goes to a worker beside the box, and what comes back: bytes, written and read strictly.

Dask pickles what it carries, but of bytes a pickle holds nothing but the bytes. Both messages are
a line of JSON; what a worker saw is followed by the guest's frames.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from grader.codec import parse_json
from grader.errors import InputError, ProtocolViolation, SandboxFault
from grader.plan import Limits
from grader.sandbox.base import Cause, Stopped

MAX_HEAD_BYTES = 256 * 1024
"""Of a reply's first line; the longest thing in it is the end of what a guest wrote to stderr."""
FIELDS: dict[str, tuple[type, ...]] = {
    "cause": (str,),
    "exit_code": (int, type(None)),
    "wall_s": (float, int),
    "oom_killed": (bool,),
    "log_tail": (str,),
    "violation": (str,),
}


class Kind(StrEnum):
    """What a reply is."""

    RAN = "ran"
    FAULT = "fault"
    """The worker's machinery failed."""
    REFUSED = "refused"
    """Somebody must mend the worker, or the submission's assignment."""
    BUG = "bug"
    """Something in the worker that nothing expected; what it says is the traceback."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A sandbox did its part: what the worker saw of it, and the guest's frames as they came."""

    stopped: Stopped
    raw: bytes


class WorkerBug(Exception):
    """A bug of ours on a worker; its words are the traceback there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One execution, without the box."""

    slug: str
    """Names the folder of what students were given."""
    image: str
    """The environment that must run it."""
    data: str
    """Digest of what must lie in `data/`; empty for nothing."""
    lib: str
    """Digest of what must lie in `lib/`; empty for nothing."""
    limits: Limits

    def written(self) -> bytes:
        """The message."""
        return json.dumps(asdict(self)).encode("ascii")

    @classmethod
    def read(cls, message: bytes) -> Request:
        """Read what `written` wrote; the grader at home is trusted."""
        told: dict[str, Any] = json.loads(message)
        return cls(**told | {"limits": Limits(**told["limits"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker says of itself."""

    sandbox: str
    image: str
    watch_memory: bool

    def written(self) -> bytes:
        """The message."""
        return _line(asdict(self))

    @classmethod
    def read(cls, message: object) -> Worker:
        """Read what a worker wrote.

        Raises:
            ProtocolViolation: it is no such message.
        """
        told, _ = _parts(message, MAX_HEAD_BYTES)
        kinds = {name: type(value) for name, value in told.items()}
        if kinds != {"sandbox": str, "image": str, "watch_memory": bool}:
            raise ProtocolViolation("a worker does not say what it is")
        return cls(**told)


def ran(stopped: Stopped, raw: bytes) -> bytes:
    """Write the reply about a sandbox that did its part, whatever the guest did."""
    return _line({"kind": Kind.RAN, **asdict(stopped)}) + raw


def failed(kind: Kind, says: str) -> bytes:
    """Write the reply in the place of that."""
    return _line({"kind": kind, "says": says[: MAX_HEAD_BYTES // 8]})


def read_reply(reply: object, limits: Limits) -> Ran:
    """Read a reply strictly; of the frames it holds nothing is looked at yet.

    Args:
        reply: Whatever came back.
        limits: For how large it may be.

    Raises:
        Fault: the worker met one, or this is no reply.
        InputError: the worker refused.
        WorkerBug: the worker met a bug.
    """
    told, raw = _parts(reply, (limits.evidence_mib + limits.value_mib) << 20)
    kind = told.pop("kind", None)
    if kind == Kind.RAN:
        return Ran(_stopped(told), raw)
    says = str(told.get("says"))
    match kind:
        case Kind.FAULT:
            raise SandboxFault(says)
        case Kind.REFUSED:
            raise InputError(says)
        case Kind.BUG:
            raise WorkerBug(says)
    raise ProtocolViolation("a worker's reply is of no kind that we know")


def _parts(message: object, longest: int) -> tuple[dict[str, Any], bytes]:
    """Split a message into its first line and the rest."""
    if type(message) is not bytes or len(message) > longest:
        raise ProtocolViolation("what a worker sent is no message of ours")
    end = message.find(b"\n", 0, MAX_HEAD_BYTES)
    told = parse_json(message[:end]) if end >= 0 else None
    if not isinstance(told, dict):
        raise ProtocolViolation("what a worker sent does not start as our messages do")
    return told, message[end + 1 :]


def _stopped(told: dict[str, Any]) -> Stopped:
    if told.keys() != FIELDS.keys() or any(type(told[f]) not in FIELDS[f] for f in FIELDS):
        raise ProtocolViolation("a worker's reply does not say how the sandbox ended")
    try:
        return Stopped(**told | {"cause": Cause(told["cause"])})
    except ValueError as error:
        raise ProtocolViolation("a worker's reply names no cause that we know") from error


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode("ascii") + b"\n"
