"""Talk with a guest: give it the box, pass on what it writes, stop at the end or too late.

Reading, writing and waiting are threads of their own, because a guest may write before it has read
everything, and because waiting on pipes works the same way on Linux, macOS and Windows only so.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, cast

from grader.errors import ProtocolViolation
from grader.frames import FrameReader
from grader.sandbox.base import Cause, Stopped

CHUNK_BYTES = 1 << 16
TAIL_BYTES = 8 * 1024
JOIN_S = 10.0
"""How long to wait for the last bytes of a guest that is dead."""


@dataclass(slots=True)
class Tail:
    """The end of what the guest wrote to its standard error; the rest is dropped."""

    _kept: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        """Keep the last bytes."""
        self._kept += data
        del self._kept[:-TAIL_BYTES]

    def __str__(self) -> str:
        """The kept bytes as text."""
        return self._kept.decode("utf-8", "replace")


@dataclass(slots=True)
class Conversation:
    """One guest's output on its way to one reader.

    Args:
        reader: Takes the frames, and says until when to wait.
    """

    reader: FrameReader
    violation: str = ""
    problem: Exception | None = None
    """What broke the connection, if it was neither the guest nor we."""
    _over: bool = False

    def listen(self, chunks: Iterable[bytes]) -> threading.Thread:
        """Pass chunks on, from a thread of its own that ends when they do."""
        return start(lambda: self._listen(chunks))

    def wait(self) -> Cause:
        """Wait for the end, for the reader's deadline or for a violation, whichever is first."""
        with self.reader.changed:
            while not self._over:
                left_s = self.reader.deadline() - time.monotonic()
                if left_s <= 0:
                    self._over = True  # what still comes is no longer passed on
                    return Cause.BACKSTOP
                self.reader.changed.wait(left_s)
        return Cause.VIOLATION if self.violation else Cause.EXITED

    def _listen(self, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                self._pass_on(chunk)
            self._pass_on(b"")
        except (OSError, ValueError) as broken:  # ValueError: a pipe that we have closed
            self._end(broken)

    def _pass_on(self, chunk: bytes) -> None:
        """Feed the reader; the deadline may have moved, so whoever waits looks again."""
        with self.reader.changed:
            if self._over:
                return  # drained, so that whoever writes can end
            try:
                if chunk:
                    self.reader.feed(chunk)
                else:
                    self.reader.close()
                    self._over = True
            except ProtocolViolation as violation:
                self.violation = str(violation)
                self._over = True
            self.reader.changed.notify_all()

    def _end(self, problem: Exception) -> None:
        with self.reader.changed:
            if not self._over:
                self.problem, self._over = problem, True
            self.reader.changed.notify_all()


def start(work: Callable[[], None]) -> threading.Thread:
    """Run something beside us; it never keeps the program from ending."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def converse(
    process: subprocess.Popen[bytes], box: bytes, reader: FrameReader, kill: Callable[[], None]
) -> Stopped:
    """Give a subprocess its box, pass on what it writes, and see it dead.

    Args:
        process: A guest with pipes at its standard streams.
        box: All of its standard input.
        reader: Takes its standard output.
        kill: Ends it and all that belongs to it.
    """
    reader.started = time.monotonic()
    stdin, stdout, stderr = cast(tuple[IO[bytes], ...], _streams(process))
    conversation, tail = Conversation(reader), Tail()
    threads = [
        start(lambda: write_all(stdin, box)),
        start(lambda: keep_tail(stderr, tail)),
        conversation.listen(read_all(stdout)),
    ]
    try:
        cause = conversation.wait()
        if cause is Cause.EXITED:  # it closed its output; its last steps are in its own time
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(1.0, reader.deadline() - time.monotonic()))
    finally:
        kill()
        exit_code = process.wait()
        for thread in threads:
            thread.join(JOIN_S)
    return Stopped(
        cause=cause,
        exit_code=exit_code,
        wall_s=time.monotonic() - reader.started,
        log_tail=str(tail),
        violation=conversation.violation,
    )


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes] | None, ...]:
    return process.stdin, process.stdout, process.stderr


def read_all(pipe: IO[bytes]) -> Iterator[bytes]:
    """Yield what comes out of a pipe as soon as it comes, and close it at its end."""
    read: Callable[[int], bytes] = getattr(pipe, "read1", pipe.read)
    with pipe:
        while chunk := read(CHUNK_BYTES):
            yield chunk


def write_all(pipe: IO[bytes], box: bytes) -> None:
    """Write the box and say that nothing follows.

    What became of a guest that did not want its box shows on its standard output and error.
    """
    with contextlib.suppress(OSError):  # it died, or was killed
        pipe.write(box)
    with contextlib.suppress(OSError):
        pipe.close()


def keep_tail(pipe: IO[bytes], tail: Tail) -> None:
    """Drain a guest's standard error, however much it is."""
    for chunk in read_all(pipe):
        tail.add(chunk)
