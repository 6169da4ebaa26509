"""A process of ours that answers line by line, and may be killed at any time.

It is started from a module of this package, reads one line of standard input for every question and
answers each with one line. The clock is kept here; other limits are the child's own to set.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import grader
from grader.errors import Fault

#: What Python needs of the environment, and no more.
NEEDED = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP")
LINE_CHARS = 64 << 20
"""A longer line ends the talk, as the child's death does."""


class Child:
    """One process, and the thread that reads its answers."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: dict[str, str],
        group: bool = False,
        line_chars: int = LINE_CHARS,
    ) -> None:
        """Start it; whether it is ready it says itself.

        Args:
            module: What is run, such as `grader.symbolic.worker`.
            arguments: Its command line.
            environment: All of its environment, but where this package lies.
            group: Whether it leads a group of processes, which is killed as one; Ctrl-C in a
                terminal does not reach it then.
            line_chars: The most that one answer may have.

        Raises:
            Fault: the process cannot be started.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop
        self._group = group and sys.platform != "win32"
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own module, no shell
                [sys.executable, "-P", "-m", module, *arguments],  # -P: not the working folder's
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                encoding="ascii",
                errors="replace",
                env=package_first(environment),
                start_new_session=self._group,
            )
        except OSError as error:
            self._errors.close()
            raise Fault(f"the process {module} cannot be started: {error}") from error
        assert self._process.stdin is not None  # noqa: S101  for mypy: both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        # A thread, because Windows cannot wait on a pipe with a time limit.
        told = (self._stdout, self._lines, line_chars)
        self._reader = threading.Thread(target=_forward, args=told, daemon=True)
        self._reader.start()
        self._ending = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def complaint(self) -> str:
        """The end of what it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read()[-500:].decode(errors="replace").strip()

    def tell(self, line: str) -> bool:
        """Write a line; False if nobody reads any more."""
        try:
            self._stdin.write(line + "\n")
            self._stdin.flush()
        except (BrokenPipeError, ValueError):  # dead, or stopped by another thread
            return False
        return True

    def hear(self, wall_s: float) -> str | None:
        """The next line; empty when there is none to come, None if none came in time."""
        try:
            line = self._lines.get(timeout=wall_s)
        except queue.Empty:
            return None
        if not line:
            self._lines.put(line)  # whoever asks a dead process again need not wait
        return line

    def kill(self) -> None:
        """Kill the process, and its group if it leads one; another thread may be hearing."""
        with self._ending:
            self._kill()

    def stop(self) -> int:
        """Kill the process and close what belonged to it; return its exit status."""
        with self._ending:
            self._kill()
            status = self._process.wait()
        self._reader.join()
        for stream in (self._stdin, self._stdout):
            try:
                stream.close()
            except BrokenPipeError:
                continue
        self._errors.close()
        return status

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return  # waited for: its number may be another's by now
        if self._group and sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):  # macOS, where the leader is dead
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()


def needed_environment() -> dict[str, str]:
    """What Python needs of our environment, for a child that needs nothing else of it."""
    return {name: os.environ[name] for name in NEEDED if name in os.environ}


def package_first(environment: dict[str, str]) -> dict[str, str]:
    """The environment with the folder of this package first where modules are found."""
    ours, more = str(Path(grader.__file__).parent.parent), environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": os.pathsep.join([ours, *([more] if more else [])])}


def _forward(stream: IO[str], lines: queue.SimpleQueue[str], most: int) -> None:
    while (line := stream.readline(most)).endswith("\n"):
        lines.put(line)
    lines.put("")
