"""The reply of a kernel to a probe: a file in the private folder, read with distrust.

reply := u32 header length | JSON header | encoded value; the header holds `status`, and for an
error `ename`, `evalue`, `where` and `code`; if a class for an input is missing, its name in
`evalue`. Student code could have written it: that costs only the student.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import struct
from pathlib import Path
from typing import Any, NamedTuple

from .wire import encode_texts

ERROR_TEXTS = ("ename", "evalue", "where", "code")
STATUSES = ("ok", "missing", "error", "too_large")
MAX_HEADER_BYTES = 1 << 17
MAX_TEXT_CHARS = 8192


class Answer(NamedTuple):
    """Status and payload of a probe frame."""

    status: str
    payload: bytes


def write_reply(path: Path, header: dict[str, Any], payload: bytes) -> None:
    """Write a reply; runs in the kernel."""
    head = json.dumps(header, ensure_ascii=True).encode("ascii")
    with open(path, "xb") as stream:
        stream.write(struct.pack(">I", len(head)) + head)
        stream.write(payload)


def read_reply(path: Path, room_bytes: int) -> Answer:
    """Read and remove a reply.

    Args:
        path: Where the kernel was told to write it; may be missing, a link, a pipe or nonsense.
        room_bytes: Size that the value may have.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # none is everywhere
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        return failure("NoReply", f"the notebook's kernel gave no answer: {error.strerror}")
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        return failure("NoReply", "the notebook's kernel answered with no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        if about.st_size > room_bytes + MAX_HEADER_BYTES:
            answer = Answer("too_large", b"")
        else:
            answer = _parse(stream.read(room_bytes + MAX_HEADER_BYTES), room_bytes)
    with contextlib.suppress(OSError):
        path.unlink()
    return answer


def failure(ename: str, evalue: str, where: str = "", code: str = "") -> Answer:
    """An answer that says what was raised."""
    texts = {"ename": ename, "evalue": evalue, "where": where, "code": code}
    return Answer(
        "error", encode_texts({key: text[:MAX_TEXT_CHARS] for key, text in texts.items()})
    )


def _parse(data: bytes, room_bytes: int) -> Answer:
    try:
        (length,) = struct.unpack(">I", data[:4])
        header = json.loads(data[4 : 4 + min(length, MAX_HEADER_BYTES)])
        status = header["status"]
    except (ValueError, LookupError, TypeError, RecursionError, struct.error):
        status = None
    if status not in STATUSES:
        return failure("NoReply", "the notebook's kernel gave an answer that makes no sense")
    if status == "error" or (status == "missing" and "ename" in header):
        said = failure(*(str(header.get(key, "")) for key in ERROR_TEXTS))
        return said._replace(status=status)
    payload = data[4 + length :] if status == "ok" else b""
    return Answer("too_large", b"") if len(payload) > room_bytes else Answer(status, payload)
