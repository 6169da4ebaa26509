"""The kernel process: started, interrupted, killed, and heard of when it dies.

<private folder>/       0700, one for each kernel, removed with it
  kernel.json           connection file: transport, addresses, message key
  k-1 .. k-5            sockets (Linux)
  ipython/              settings folder of IPython, fresh for each kernel
  <random>.ask|.reply   one probe each, gone when it is answered
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANNELS = ("shell", "iopub", "stdin", "hb", "control")
LOG_TAIL_BYTES = 4096
DEATH_S = 10.0
BEHIND = 19
"""Niceness of what a student runs: any number of processes leave the first one its turn."""


class Child:
    """One kernel process with its private folder.

    Its process is a `subprocess.Popen`, or in a warm worker a `warm.Forked`: all that is used of it
    is `pid`, `wait()`, `kill()` and `stdout`.
    """

    def __init__(self, process: Any, folder: Path, connection: dict[str, Any]) -> None:
        """Wrap a process that serves, or will serve, `connection`."""
        self.process, self.folder, self.connection = process, folder, connection
        self.log_tail = b""
        self.killed_for_memory = False
        if process.stdout is not None:
            threading.Thread(target=self._drain, daemon=True).start()

    @classmethod
    def start(cls, launch: Callable[[Path], Any]) -> Child:
        """Start a fresh kernel; returns at once.

        Args:
            launch: Starts the process that serves `kernel.json` in a private folder.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="k"))
        except OSError:  # a student has filled or removed it: a restart must work all the same
            folder = Path(tempfile.mkdtemp(prefix="k", dir=Path.cwd()))
        connection = _addresses(folder)
        file = os.open(folder / "kernel.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as stream:
            json.dump(connection, stream)
        return cls(launch(folder), folder, connection)

    def _drain(self) -> None:
        """Keep only the tail of what reaches the kernel's own output; it may be endless."""
        descriptor = self.process.stdout.fileno()
        with contextlib.suppress(OSError):
            while data := os.read(descriptor, 1 << 16):
                self.log_tail = (self.log_tail + data)[-LOG_TAIL_BYTES:]

    def watch(self) -> asyncio.Event:
        """Returns an event of the running loop that is set as soon as the process is dead."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()

        def wait() -> None:
            self.process.wait()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(gone.set)

        threading.Thread(target=wait, daemon=True).start()
        return gone

    def step_back(self) -> None:
        """Let the first process go first, so that its clock works whatever the kernel starts.

        Only for a sandbox with a control group of its own: elsewhere the whole host would go first.
        """
        if sys.platform != "linux":
            return
        threads: list[str] = []
        with contextlib.suppress(OSError):  # it has just died
            threads = os.listdir(f"/proc/{self.process.pid}/task")
        for thread in threads:
            with contextlib.suppress(OSError):  # this one has
                os.setpriority(os.PRIO_PROCESS, int(thread), BEHIND)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in what runs, as the stop button of a notebook does."""
        if sys.platform == "win32":
            from jupyter_client.win_interrupt import send_interrupt  # Windows only

            send_interrupt(self.process.win32_interrupt_event)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the kernel and whatever it started, however far that ran away."""
        if os.getpid() == 1 and sys.platform == "linux":
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # everything in this PID namespace but ourselves
            return
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.process.kill()
        kill_descendants()

    def clean(self) -> None:
        """Wait for the end of a killed kernel and its family, and remove its private folder."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(DEATH_S)
        see_off(DEATH_S)
        shutil.rmtree(self.folder, ignore_errors=True)


def reap(kernel_pid: int) -> None:
    """Collect dead processes that a student's daemons left to us, but not the kernel itself."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid == kernel_pid:
                return
            os.waitpid(found.si_pid, os.WNOHANG)


def see_off(limit_s: float) -> None:
    """Wait until all that was killed below us is gone.

    Hundreds of processes take seconds to die, and until then they hold the memory and the places
    among processes that a new kernel needs.
    """
    if sys.platform != "linux":
        return
    until = time.monotonic() + limit_s
    with contextlib.suppress(ChildProcessError):  # there are no more
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)


def kill_descendants() -> None:
    """Kill every process below this one, whatever session it moved to."""
    import psutil  # 50 ms to import, and needed only outside a PID namespace of our own

    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()


def _addresses(folder: Path) -> dict[str, Any]:
    """Choose where the kernel listens: sockets in the folder on Linux, free ports elsewhere."""
    common = {"key": secrets.token_hex(32), "signature_scheme": "hmac-sha256", "kernel_name": ""}
    if sys.platform == "linux":
        ports = {f"{name}_port": number for number, name in enumerate(CHANNELS, 1)}
        return {"transport": "ipc", "ip": str(folder / "k"), **ports, **common}
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in CHANNELS]
    ports = {
        f"{name}_port": server.getsockname()[1]
        for name, server in zip(CHANNELS, taken, strict=True)
    }
    for server in taken:
        server.close()
    return {"transport": "tcp", "ip": "127.0.0.1", **ports, **common}


def spawn(program: Path, folder: Path) -> Any:
    """Start a process for a kernel.

    Args:
        program: Path of `main.py`.
        folder: The kernel's private folder.
    """
    # Neither -I nor -P: a kernel must see PYTHONHASHSEED, and modules beside the notebook.
    command = [sys.executable, str(program), "kernel", str(folder)]
    environment = os.environ | {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")}
    output: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
    }
    if sys.platform == "win32":
        from jupyter_client.launcher import launch_kernel  # makes the event that interrupts it

        return launch_kernel(command, env=environment, **output)
    if sys.platform != "linux":  # there the kernel asks to die with us, see kernel.py
        environment["JPY_PARENT_PID"] = str(os.getpid())
    # The command is this interpreter and our own file.
    return subprocess.Popen(command, env=environment, start_new_session=True, **output)  # noqa: S603
