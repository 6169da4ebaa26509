"""Locks on files, which the system lets go of when a process ends, and what is written under one.

So whoever finds a lock free knows that nobody is at work there. On Windows, and on a file system
that knows no locks, nothing is ever locked, and nothing is ever known to be nobody's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from grader.errors import StoreFault


def take(file: TextIOWrapper, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until it is closed; whether it is certain that we have the lock."""
    if sys.platform == "win32":
        return False
    import fcntl  # not on Windows

    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file.fileno(), how if wait else how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on a file that is there for nothing else; whether it is certain that we have it.

    Raises:
        OSError: the file cannot be made.
    """
    with path.open("a+") as file:  # NFS locks nothing shared that cannot be read
        yield take(file, shared=shared, wait=wait)


def claim(path: Path) -> TextIOWrapper | None:
    """Open a file that says that somebody is at work there; None while somebody else is.

    Whoever has it removes it before closing it. Where nothing is ever locked, everybody gets it.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        file = path.open("a")
        if _is_held(file):
            file.close()
            return None
        if _is_at(file, path):
            return file
        file.close()


def open_alone(path: Path) -> TextIOWrapper:
    """Open a file for writing, empty, while nobody else writes one of this name; waits for them.

    Nobody but its owner may read it.

    Once it was renamed or removed, the next who waits makes another.

    Args:
        path: In a folder in which nobody else can plant links.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        # Appending, for "w" would empty what somebody else is writing.
        file = open(path, "a", encoding="utf-8", newline="", opener=_private)  # noqa: SIM115
        take(file)
        if _is_at(file, path):
            file.truncate(0)
            return file
        file.close()


@contextmanager
def atomically(path: Path) -> Iterator[TextIO]:
    """Write a text file so that readers see the old text or the new, nothing between.

    What a killed grader left of one is the beginning of the next.

    Raises:
        StoreFault: it could not be written; the old text stands.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_alone(beside) as file:
            try:
                yield file
                file.flush()
                beside.chmod(0o644)
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StoreFault(f"{path} cannot be written: {error}") from error


def _is_held(file: TextIOWrapper) -> bool:
    """Lock an open file until it is closed; whether somebody else certainly has it locked."""
    if sys.platform == "win32":
        return False
    import fcntl  # not on Windows

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_at(file: TextIOWrapper, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
