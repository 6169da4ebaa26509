"""Run the guest in namespaces of its own, without a daemon: bubblewrap, on Linux, not as root.

Covers: no network, no rights, no host files but `/usr`, this Python and folders of the course (all
read-only), fixed environment, limits on processes, open files and scratch space; the same list of
system calls as in a container; all processes die with the box.

Does not cover: memory as a whole (there is no control group: the guest watches the sum, and each
process has a limit that stops a sudden burst), the number of files in the scratch space, the share
of CPU, and other kernels' bugs. The host's `/usr` is the image, so students see the host's programs
and versions. Before Linux 5.14 the limit on processes counts all of the user's.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from grader.errors import InputError, SandboxFault
from grader.frames import FrameReader
from grader.plan import Limits
from grader.sandbox import environment, seccomp
from grader.sandbox.base import Stopped
from grader.sandbox.graphics import run_on_gpu
from grader.sandbox.lending import Gpus
from grader.sandbox.pipes import converse

COMMAND = (sys.executable, *environment.GUEST_FLAGS, environment.GUEST)
OLDEST = (0, 8)
"""The first version with `--disable-userns`."""
USER = "10001"
TMP_MIB, SHM_MIB = 256, 512
OPEN_FILES = 4096
PROBE_S = 20.0

ISOLATION = (
    *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
    *("--unshare-uts", "--unshare-cgroup", "--die-with-parent", "--new-session", "--as-pid-1"),
    *("--clearenv", "--hostname", "box", "--cap-drop", "ALL", "--uid", USER, "--gid", USER),
)


def why_not() -> str:
    """Say why bubblewrap cannot be used here, or nothing if it can; tries it for real."""
    if sys.platform != "linux":
        return "it needs Linux"
    if os.geteuid() == 0:
        return (
            "root is refused, because what breaks out of its namespaces would be root; use docker"
        )
    program, tool = shutil.which("bwrap"), shutil.which("prlimit")
    if program is None or tool is None:
        missing = "bubblewrap" if program is None else "util-linux"
        return f"{missing} is not installed (Debian and Ubuntu: apt install {missing})"
    if os.stat(program).st_mode & stat.S_ISUID:
        return f"{program} runs as root for everybody (setuid), which this does not rely on"
    if missing := seccomp.why_not():
        return missing
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    if tuple(map(int, re.findall(r"\d+", said)[:2])) < OLDEST:
        return f"version 0.8 or newer is needed, found {said.strip()}"
    try:
        return _try(program)
    except InputError as error:
        return str(error)


def _try(program: str) -> str:
    """Start a Python that does nothing, in a box like any other."""
    filter_fd = _as_file(seccomp.compiled(seccomp.profile_text()))
    try:
        flags = arguments(Limits(), {}, filter_fd, visible())
        command = [program, *flags, "--", sys.executable, "-I", "-c", "pass"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            pass_fds=(filter_fd,),
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"an empty box did not end within {PROBE_S:.0f} s"
    finally:
        os.close(filter_fd)
    if done.returncode == 0:
        return ""
    return (
        f"no namespaces here: {done.stderr.strip()[-300:]} (an administrator may have to allow "
        "unprivileged user namespaces; Ubuntu since 23.10 restricts them by AppArmor)"
    )


class BubblewrapSandbox:
    """Namespaces made by bubblewrap; see the module's docstring for what they cover.

    Args:
        command: The guest, to run another one in tests.
        gpus: Lends those that submissions may use, if there are any; code can reach the others.

    Raises:
        InputError: this machine or user cannot make them; says what is missing.
    """

    name = "bubblewrap"
    watch_memory = True

    def __init__(self, *, command: tuple[str, ...] = COMMAND, gpus: Gpus | None = None) -> None:
        """Try once whether it works."""
        if reason := why_not():
            raise InputError(f"bubblewrap: {reason}")
        self.command, self._gpus = command, gpus
        self.image = environment.identity_of_this_python()
        self._filter = seccomp.compiled(seccomp.profile_text())
        self._visible = visible()
        self._running: set[subprocess.Popen[bytes]] = set()
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
        shown = _shown(data, lib)
        for folder in shown.values():
            if not os.access(folder, os.R_OK | os.X_OK):
                raise SandboxFault(f"{folder}: this folder of the course cannot be read")

        def attempt(gpu: str | None) -> Stopped:
            with self._lock:  # so that `close` misses nothing
                if self._closed:
                    raise SandboxFault("the sandbox is closed")
                process = self._start(limits, shown, gpu)
                self._running.add(process)
            try:
                return converse(process, box, reader, process.kill)
            finally:
                with self._lock:
                    self._running.discard(process)

        return run_on_gpu(self._gpus, limits, reader, attempt)

    def close(self) -> None:
        """Kill what still runs."""
        with self._lock:
            self._closed = True
            if self._gpus:
                self._gpus.close()
            running = list(self._running)
        for process in running:
            process.kill()

    def _start(
        self, limits: Limits, shown: Mapping[str, Path], gpu: str | None
    ) -> subprocess.Popen[bytes]:
        filter_fd = _as_file(self._filter)
        flags = arguments(limits, shown, filter_fd, self._visible)
        flags += ["--setenv", "CUDA_VISIBLE_DEVICES", gpu] if gpu else []
        inner = ["prlimit", f"--nproc={limits.processes}", "--", *self.command]
        try:
            return subprocess.Popen(
                [*_outer_limits(limits), "bwrap", *flags, "--", *inner],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(filter_fd,),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxFault(f"bubblewrap cannot be started: {error}") from error
        finally:
            os.close(filter_fd)


def _outer_limits(limits: Limits) -> list[str]:
    told = ["prlimit", "--core=0", f"--nofile={OPEN_FILES}"]
    if not limits.gpu:  # CUDA reserves far more than it uses
        # Far above the watched sum: it stops a burst between two looks of the guest.
        told.append(f"--data={(2 * limits.memory_mib + 1024) << 20}")
    return [*told, "--"]


def arguments(
    limits: Limits, shown: Mapping[str, Path], filter_fd: int, visible: Iterable[Path]
) -> list[str]:
    """Give bubblewrap's options for one box, in the order in which it obeys them.

    Args:
        limits: For scratch space, threads and GPU.
        shown: Folders of the course, by their names in the working folder.
        filter_fd: Open file with the compiled filter of system calls.
        visible: Folders of the host to show, read-only, under their own names.
    """
    told = list(ISOLATION)
    for folder in visible:
        told += ["--ro-bind", str(folder), str(folder)]
    told += _links_of_the_root()
    told += [
        "--ro-bind",
        str(environment.GUEST_ON_HOST.parent),
        str(Path(environment.GUEST).parent),
    ]
    told += ["--proc", "/proc", "--dev", "/dev", *_space("/dev/shm", SHM_MIB, "1777")]  # noqa: S108
    if limits.gpu:
        for device in sorted(Path("/dev").glob("nvidia*")):
            told += ["--dev-bind", str(device), str(device)]
    # `--dev` itself is a writable file system of half the memory.
    told += ["--remount-ro", "/dev", *_space("/tmp", TMP_MIB, "1777")]  # noqa: S108 - inside
    told += _space(environment.WORK, limits.scratch_mib, "0700")
    for name, folder in shown.items():
        told += ["--ro-bind", str(folder.resolve()), f"{environment.WORK}/{name}"]
    variables = environment.variables(
        work=environment.WORK,
        path=os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        threads=limits.threads,
        gpu=limits.gpu,
    )
    for name, text in variables.items():
        told += ["--setenv", name, text]
    return [*told, "--chdir", environment.WORK, "--remount-ro", "/", "--seccomp", str(filter_fd)]


def visible() -> tuple[Path, ...]:
    """Name the folders of the host that a box shows: the system's programs, and this Python.

    Raises:
        InputError: this Python's folder also holds a home or the folder we work in.
    """
    usr = Path("/usr")
    pythons = {Path(sys.prefix), Path(sys.base_prefix)}
    outside = sorted(path for path in pythons if not path.is_relative_to(usr))
    for folder in outside:
        for private in (Path.home(), Path.cwd()):
            if private.is_relative_to(folder):
                raise InputError(
                    f"this Python is installed in {folder}, so a box that shows it would show "
                    f"{private} too; make a virtual environment in a folder of its own"
                )
    return (usr, *outside)


def _shown(data: Path | None, lib: Path | None) -> dict[str, Path]:
    named = {environment.DATA: data, environment.LIB: lib}
    return {name: folder for name, folder in named.items() if folder is not None}


def _links_of_the_root() -> list[str]:
    """Show /bin, /lib and their like as the host has them, and where libraries are found."""
    told: list[str] = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            told += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            told += ["--ro-bind", str(path), str(path)]
    for file in ("/etc/ld.so.cache", "/etc/alternatives"):
        told += ["--ro-bind-try", file, file]
    return told


def _space(folder: str, mib: int, mode: str) -> list[str]:
    return ["--perms", mode, "--size", str(mib << 20), "--tmpfs", folder]


def _as_file(content: bytes) -> int:
    """Put bytes into a file without a name, open at its start."""
    file = os.memfd_create("filter")
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file
