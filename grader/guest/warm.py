"""A warm worker: everything is imported once, then each box runs in a fork, one after another.

    first process      imports everything, and never reads a box
      nursery          enters new namespaces, then forks processes into them; never reads one either
        guest          first process in the namespaces: reads the box, writes the frames
          kernel       the student's; forked from the nursery, so nothing of the box is in it

The next submission's namespaces, guest and kernel are made before its box comes. When a submission
has ended and the host is content, it sends `ASKED`; we look for anything that was left behind or
went wrong, and either answer `RESTED` and go on, or end, and everything with us. We also end when
the host sends anything else. Whoever of us is killed ends all with the code of a killed first
process, as that of a fresh sandbox would end.

Source: prctl(2), pid_namespaces(7): the end of the first process in a namespace is the end of all.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch._dynamo  # noqa: F401 - what a notebook's first optimizer imports, 800 modules

# All that a kernel or a guest will need: imported here, it is there in every fork.
from . import kernel
from .child import Child
from .memory import GROUP, Counts, counts, look_from, own_limit_reached
from .namespaces import Scratch, enter, lock, settle
from .serving import serve

ASKED, RESTED = b"?", b"!"
PR_SET_DUMPABLE = 4
SEE_OFF_S = 1.0
BROKEN = 3
"""Exit code: the machine did not do its part."""
SHORT = 4096
"""Bytes that a message between nursery and guest may have."""


class Forked:
    """The part of `subprocess.Popen` that `Child` uses, for a kernel that was forked."""

    def __init__(self, pid: int, output: BinaryIO) -> None:
        """Take over a process that is our child by now."""
        self.pid, self.stdout = pid, output
        self._end = os.pidfd_open(pid)

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        polled = select.poll()
        polled.register(self._end, select.POLLIN)
        if not polled.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        with contextlib.suppress(ChildProcessError):  # somebody else has collected it
            os.waitpid(self.pid, os.WNOHANG)

    def kill(self) -> None:
        """Kill it."""
        signal.pidfd_send_signal(self._end, signal.SIGKILL)


def work(frames: int, scratch: Scratch) -> int:
    """Serve boxes until the host or something irregular ends it; returns the exit code.

    Args:
        frames: Descriptor of the standard output that only guests and we write to.
        scratch: Room of each submission.
    """
    gc.freeze()  # what is imported stays, and must not be touched: it is shared by all forks
    gc.enable()
    while True:
        before = counts()
        code = in_fork(partial(nurse, frames, scratch))
        if code != 0:
            return code
        if os.read(0, len(ASKED)) != ASKED or not undisturbed(before):
            return 0
        os.write(frames, RESTED)


def undisturbed(before: Counts) -> bool:
    """Whether nothing is left of a submission, and it met no limit of the control group."""
    until = time.monotonic() + SEE_OFF_S
    while not (back := counts().is_back_at(before)) and time.monotonic() < until:
        time.sleep(0.005)  # the system may still be taking down what it left
    return back and not own_limit_reached() and not has_children()


def has_children() -> bool:
    """Whether any process was left to us."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        return True
    return False


def in_fork(task: Callable[[], int]) -> int:
    """Do something in a child; returns its exit code."""
    child = os.fork()
    if child == 0:
        end_with(task)
    return ended(child)


def ended(child: int) -> int:
    """Wait for the end of a child; returns its exit code, as shells count if it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def end_with(task: Callable[[], int]) -> None:
    """As a child that has just been forked: do something, and end with its exit code."""
    code = BROKEN
    try:
        code = task()
    except BaseException as error:  # noqa: BLE001 - nothing may run on in the parent's place
        said = f"guest: {type(error).__name__}: {error}\n"
        os.write(2, said.encode(errors="replace"))  # `sys.stderr` may be the student's by now
    finally:
        os._exit(code)


def nurse(frames: int, scratch: Scratch) -> int:
    """Make a place for one submission, and the processes that it asks for; returns an exit code."""
    with contextlib.suppress(FileNotFoundError):  # nothing is counted
        look_from(os.open(GROUP, os.O_PATH | os.O_DIRECTORY))
    enter(scratch)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guest = os.fork()
    if guest == 0:
        ours.close()
        end_with(partial(be_guest, frames, theirs))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # boxes and frames are the guest's alone
    os.close(frames)
    theirs.close()
    lock()
    while True:
        told, descriptors, _, _ = socket.recv_fds(ours, SHORT, 1)
        if not told:
            break  # the guest has ended
        ours.send(str(bear(Path(told.decode()), descriptors[0])).encode())
        os.close(descriptors[0])
    return ended(guest)


def be_guest(frames: int, nursery: socket.socket) -> int:
    """Be the first process of the namespaces: from here on all is as in a fresh sandbox."""
    settle()
    lock()
    start = partial(Child.start, partial(ask_for_kernel, nursery))
    first = start()
    select.select([0], [], [])  # what comes before the box is nobody's time
    started = time.monotonic()
    with os.fdopen(frames, "wb") as stream:
        return serve(sys.stdin.buffer, stream, first, start=start, started=started, own_group=False)


def ask_for_kernel(nursery: socket.socket, folder: Path) -> Forked:
    """As the guest: have a kernel forked that holds nothing of what we hold.

    Raises:
        OSError: the nursery is gone, or could not.
    """
    output, theirs = os.pipe()
    try:
        socket.send_fds(nursery, [str(folder).encode()], [theirs])
        pid = int(nursery.recv(SHORT) or 0)
        if pid == 0:
            raise OSError("no kernel could be forked")
        return Forked(pid, os.fdopen(os.dup(output), "rb"))
    finally:
        os.close(output)
        os.close(theirs)


def bear(folder: Path, output: int) -> int:
    """As the nursery: fork a kernel that the guest adopts; returns its number there, 0 for none."""
    told, tell = os.pipe()
    with contextlib.suppress(OSError):  # no room for one more process
        middle = os.fork()
        if middle == 0:
            end_with(partial(leave, folder, output, tell))
        os.waitpid(middle, 0)
    os.close(tell)
    with os.fdopen(told, "rb") as stream:
        return int(stream.read() or 0)


def leave(folder: Path, output: int, tell: int) -> int:
    """Fork a kernel and end, so that it becomes the child of the first process in its namespace."""
    pid = os.fork()
    if pid == 0:
        end_with(partial(be_kernel, folder, output))
    os.write(tell, str(pid).encode())
    return 0


def be_kernel(folder: Path, output: int) -> int:
    """Be the student's kernel: nothing that is open here is open there."""
    while os.getppid() != 1:  # the end of any other parent would be taken for the guest's
        time.sleep(0.0005)
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after a start from a file
    kernel.main(folder)
    return 0
