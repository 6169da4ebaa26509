"""Run the guest as a plain process on this machine: for one's own notebooks only.

Covers: a fresh working folder that is removed afterwards, an environment of fixed variables, time
limits, and the end of every process that was started. Memory is watched by the guest.

Does not cover: anything else. The notebook has the user's rights, files and network; it can read
and change what the user can, leave things behind, fill the disk, and look into the grader. So it
is right for a student's self-check and for the project's own samples, and never for a class.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from grader.errors import InputError, SandboxFault
from grader.frames import FrameReader
from grader.locks import locked
from grader.plan import Limits
from grader.sandbox import environment
from grader.sandbox.base import Stopped
from grader.sandbox.graphics import run_on_gpu
from grader.sandbox.lending import Gpus
from grader.sandbox.pipes import converse

COMMAND = (sys.executable, *environment.GUEST_FLAGS, str(environment.GUEST_ON_HOST))
#: Start of the name of a run's folder, and the file in it that is locked while the run goes on.
FOLDER, OWNER = "grader-", "owner"
LONGEST_TEMPORARY = 107 - len("/grader-12345678/tmp/k12345678/k-5")
"""Bytes of the temporary folder's path: a socket's may have 107 on Linux, see unix(7)."""
NEW_GROUP_ON_WINDOWS = 0x200  # subprocess.CREATE_NEW_PROCESS_GROUP, which only Windows has
NEEDED_ON_WINDOWS = ("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS")


class ProcessSandbox:
    """Plain processes; see the module's docstring for how little they cover.

    Files of one run, removed at its end::

        <temporary>/grader-*/
          work/        working folder and home; copies of the course's folders in `data/`, `.lib/`
          tmp/         temporary files
          owner        locked while the run goes on

    Args:
        command: The guest, to run another one in tests.
        gpus: Lends those that submissions may use, if there are any; code can reach the others.
    """

    name = "process"
    watch_memory = True

    def __init__(self, *, command: tuple[str, ...] = COMMAND, gpus: Gpus | None = None) -> None:
        """Nothing is started before the first run; what killed graders left is removed.

        Raises:
            InputError: the path of the temporary folder is too long.
        """
        temporary = tempfile.gettempdir()
        if sys.platform == "linux" and len(os.fsencode(temporary)) > LONGEST_TEMPORARY:
            raise InputError(
                f"TMPDIR: expected a folder whose path has at most {LONGEST_TEMPORARY} bytes, as "
                f"sockets below it can have no longer name; found {temporary}"
            )
        remove_leftovers()
        self.command, self._gpus = command, gpus
        # What ran without isolation is not evidence for a sandbox that isolates.
        self.image = f"{environment.identity_of_this_python()} process"
        self._running: dict[int, str] = {}
        self._lock, self._closed = threading.Lock(), False

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

        def attempt(gpu: str | None) -> Stopped:
            with _folder({environment.DATA: data, environment.LIB: lib}) as base:
                work = str(base / "work")
                with self._lock:  # so that `close` misses nothing
                    if self._closed:
                        raise SandboxFault("the sandbox is closed")
                    process = self._start(variables(base, limits, gpu), base)
                    self._running[process.pid] = work
                try:
                    return converse(process, box, reader, lambda: kill_all(process.pid, work))
                finally:
                    with self._lock:
                        del self._running[process.pid]

        return run_on_gpu(self._gpus, limits, reader, attempt)

    def close(self) -> None:
        """Kill what still runs."""
        with self._lock:
            self._closed = True
            if self._gpus:
                self._gpus.close()
            running = list(self._running.items())
        for pid, work in running:
            kill_all(pid, work)

    def _start(self, told: dict[str, str], base: Path) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=base / "work",
                env=told,
                # In a group of its own, so that Ctrl-C reaches only us and we decide what it means.
                start_new_session=os.name == "posix",
                creationflags=NEW_GROUP_ON_WINDOWS if os.name == "nt" else 0,
            )
        except OSError as error:
            raise SandboxFault(f"the guest cannot be started: {error}") from error


def variables(base: Path, limits: Limits, gpu: str | None = None) -> dict[str, str]:
    """Give the whole environment of the guest.

    Args:
        base: The folder of this run.
        limits: For threads and GPU.
        gpu: Id of the one that CUDA shows.
    """
    work, scripts = str(base / "work"), str(Path(sys.executable).parent)
    told = environment.variables(
        work=work,
        path=os.pathsep.join([scripts, os.defpath]),
        threads=limits.threads,
        gpu=limits.gpu,
    )
    if gpu:
        told["CUDA_VISIBLE_DEVICES"] = gpu
    told |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(base / "tmp"))
    if os.name == "nt":
        told["USERPROFILE"] = work
        told |= {name: os.environ[name] for name in NEEDED_ON_WINDOWS if name in os.environ}
    return told


def kill_all(pid: int, work: str) -> None:
    """Kill a guest and everything that it or the student started.

    Args:
        pid: The guest, which leads a process group of its own where there are such.
        work: Home of this run. A process that cut all ties of kinship still carries it in its
            environment.
    """
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        guest = psutil.Process(pid)
        family = [guest, *guest.children(recursive=True)]
    if family and os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    for process in [*family, *_strays(work)]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _strays(work: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # somebody else's, or just gone
            if process.environ().get("HOME") == work:
                yield process


@contextlib.contextmanager
def _folder(course: Mapping[str, Path | None]) -> Iterator[Path]:
    """Make the files of one run.

    Args:
        course: Folders of the course, by their names in the working folder.

    Raises:
        SandboxFault: the disk is full, or one of the folders cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True) as name,
        locked(Path(name) / OWNER),
    ):
        base = Path(name)
        try:
            (base / "work").mkdir()
            (base / "tmp").mkdir()
            for shown, folder in course.items():
                if folder is not None:
                    _copy(folder, base / "work" / shown)
        except (OSError, shutil.Error) as error:
            raise SandboxFault(f"the working folder cannot be made: {error}") from error
        try:
            yield base
        finally:  # `owner` goes last: without it nobody would remove what a kill leaves now
            _empty(base)


def remove_leftovers() -> None:
    """Remove the folders of graders that were killed, and kill what still runs in them."""
    if os.name != "posix":
        return
    for base in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        owner = base / OWNER
        with contextlib.suppress(OSError):
            if owner.lstat().st_uid == os.getuid():
                with locked(owner, wait=False) as nobodys:
                    if nobodys:
                        _remove(base)


def _remove(base: Path) -> None:
    for process in _strays(str(base / "work")):
        with contextlib.suppress(psutil.Error):
            process.kill()
    _empty(base)
    shutil.rmtree(base, ignore_errors=True)


def _empty(base: Path) -> None:
    """Remove all but `owner`."""
    with contextlib.suppress(OSError):  # a student's process may be at work in it still
        for root, _, _ in os.walk(base):
            Path(root).chmod(0o700)  # copies of the course's folders take no changes
    for name in ("work", "tmp"):
        shutil.rmtree(base / name, ignore_errors=True)


def _copy(folder: Path, there: Path) -> None:
    """Copy a folder, which a link would let a notebook change, and take the rights to write."""
    shutil.copytree(folder, there)
    for root, _, files in os.walk(there):
        for name in files:
            Path(root, name).chmod(0o444)
        Path(root).chmod(0o555)
