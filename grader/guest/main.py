"""First process of the sandbox; start it as `python -I -P main.py`.

It reads the box from standard input and writes frames to standard output, and is the only process
that can: student code runs in a child (`main.py kernel FOLDER`) whose output goes elsewhere, and on
Linux the child cannot look into this process or its descriptors. Started as `python main.py warm
JSON`, it serves one box after another: see `warm.py`.

Exit codes: 0 the end frame was written; 2 the box could not be read; 3 the machine or the kernel
did not do its part (a line on standard error says what); 4 the host went away; 5 the host ran out
of memory; 6 the GPU failed its self-test.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


def harden() -> None:
    """Keep student code, which runs under the same user, from reading or stopping this process.

    Covers: memory and descriptors (Linux), polite signals. Does not cover: SIGKILL when this is not
    process 1 of its PID namespace; anything on macOS and Windows, where nobody hostile is graded.
    """
    if sys.platform == "linux":
        import ctypes  # only Linux has prctl, and this must precede every slow import

        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # daemons of students become ours to kill
    if sys.platform != "win32":
        for name in IGNORED:
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def claim_stdout() -> int:
    """Take standard output for frames alone; what else prints goes to standard error."""
    frames = os.dup(1)  # a duplicate is not inherited by child processes
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt  # exists on Windows only

        msvcrt.setmode(frames, os.O_BINARY)
        msvcrt.setmode(0, os.O_BINARY)
    return frames


def load_package() -> None:
    """Make this folder importable as `guest` without putting any folder on the import path."""
    here = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "guest", here / "__init__.py", submodule_search_locations=[str(here)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package in {here}")
    sys.modules["guest"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["guest"])


def guest() -> int:
    """Run one box from standard input; returns the exit code."""
    started = time.monotonic()
    harden()
    frames = os.fdopen(claim_stdout(), "wb")
    load_package()
    # Imports stand here, not on top: the kernel takes longest, and boots while we import the rest.
    child = importlib.import_module("guest.child")
    start = partial(child.Child.start, partial(child.spawn, Path(__file__).resolve()))
    first = start()
    serving = importlib.import_module("guest.serving")
    return int(serving.serve(sys.stdin.buffer, frames, first, start=start, started=started))


def warm(told: str) -> int:
    """Serve one box after another, each in a fork; returns the exit code.

    Args:
        told: The room of each submission, as JSON: see `namespaces.Scratch`.
    """
    harden()
    frames = claim_stdout()
    leave_own_folder()
    load_package()
    scratch = importlib.import_module("guest.namespaces").Scratch(**json.loads(told))
    return int(importlib.import_module("guest.warm").work(frames, scratch))


def leave_own_folder() -> None:
    """Take this folder, which Python put first, off the import path."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [path for path in sys.path if path != here]


def kernel(folder: str) -> None:
    """Be the kernel that the first process started."""
    leave_own_folder()
    load_package()
    importlib.import_module("guest.kernel").main(Path(folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["kernel"]:
        kernel(sys.argv[2])
    else:
        code = warm(sys.argv[2]) if sys.argv[1:2] == ["warm"] else guest()
        sys.stderr.flush()
        os._exit(code)  # threads of ours may still wait on pipes of the dead kernel
