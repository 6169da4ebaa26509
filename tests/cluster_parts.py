"""Start the parts of a real cluster on this machine, as processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
GRADER = (sys.executable, "-m", "grader")
PROCESS = ("--sandbox", "process", "--trust-students", "--jobs", "1", "--memory", "4096")
#: The grader, which waits for workers a few seconds and not a minute.
HASTY = (
    sys.executable,
    "-c",
    "import grader.cluster.far as far; far.WITHOUT_WORKERS_S = 4.0\n"
    "from grader.__main__ import main; main()",
)
START_S = 90


class Parts:
    """Processes of a cluster; `close` ends them and all that they started."""

    def __init__(self, folder: Path, tls: bool = True) -> None:
        self.folder, self.tls = folder, tls
        self.temporary: Path | None = None
        """Where they have their temporary files, if it matters."""
        self.running: list[subprocess.Popen[bytes]] = []
        if tls:
            subprocess.run([ROOT / "scripts" / "cluster-key", folder / "tls"], check=True)
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{free_port()}"

    @property
    def trust(self) -> tuple[str, ...]:
        return ("--tls", str(self.folder / "tls")) if self.tls else ()

    def scheduler(self) -> None:
        self.start([*GRADER, "cluster", "scheduler", self.address, *self.trust])

    def workers(self, count: int, *options: str) -> list[subprocess.Popen[bytes]]:
        command = [*GRADER, "cluster", "worker", self.address, *self.trust, *options]
        started = [self.start(command, wait=False) for _ in range(count)]
        for one in started:
            self.wait_for(one, "ready at")
        return started

    def start(self, command: list[str], *, wait: bool = True) -> subprocess.Popen[bytes]:
        with (self.folder / f"part-{len(self.running)}.log").open("wb") as log:
            at = {"TMPDIR": str(self.temporary)} if self.temporary else {}
            part = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment() | at, cwd=ROOT
            )
        self.running.append(part)
        if wait:
            self.wait_for(part, "ready at")
        return part

    def wait_for(self, part: subprocess.Popen[bytes], words: str) -> None:
        log = self.folder / f"part-{self.running.index(part)}.log"
        deadline = time.monotonic() + START_S
        while words not in log.read_text():
            assert part.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def close(self) -> None:
        for part in reversed(self.running):
            end(part)


def lose(part: subprocess.Popen[bytes]) -> None:
    """Kill a part and nothing else; what it started is left to itself."""
    part.kill()
    part.wait()


def end(part: subprocess.Popen[bytes]) -> None:
    """Tell a part to stop, and end what is left of what it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(part.pid).children(recursive=True)
        part.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            part.wait(20)
        for left in [*children, psutil.Process(part.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
    part.wait()


def guests(part: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What a worker executes right now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(part.pid).children() if _is_guest(child)]
    return []


def working(parts: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """A worker that executes something, as soon as there is one."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if found := next((part for part in parts if guests(part)), None):
            return found
        time.sleep(0.05)
    raise AssertionError("no worker executes anything")


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that is dead may wait for the system to note it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def families(started: list[psutil.Process]) -> list[psutil.Process]:
    """Processes, and all that they started."""
    found = list(started)
    for one in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += one.children(recursive=True)
    return found


def _is_guest(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
        return "main.py" in " ".join(process.cmdline())
    return False


def run(root: Path, *options: str, program: tuple[str, ...] = GRADER) -> subprocess.Popen[str]:
    """`grader run` on a course's submissions, its words readable as they come."""
    command = [*program, "run", str(root / "submissions"), "--out", str(root / "reports"), *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=root,
    )


def lines(process: subprocess.Popen[str], until: str = "") -> Iterator[str]:
    """What it says, up to a line that has these words, or to its end."""
    assert process.stdout
    for line in process.stdout:
        yield line.rstrip()
        if until and re.search(until, line):
            return
    process.stdout.close()


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
