"""Whose containers are whose: a grader holds a lock as long as it lives, by the id of its run.

The lock is on a file in the temporary folder, `grader-<run>.lock`. Where it is free, the grader
that made the containers of this run is gone, however it went, and nobody waits for them. Where
there is no such file, nothing is known: they may be of another machine's grader.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from grader.locks import claim, locked


class Owner:
    """Holds the lock of a run until it is closed, or this process ends."""

    def __init__(self, run: str) -> None:
        """Take it.

        Another grader's start may remove the file before it is locked; then it is made again.

        Raises:
            OSError: there is no place for the file.
        """
        self._path = _path(run)
        file = claim(self._path)
        if file is None:
            raise OSError(f"{self._path} is another's")
        self._file = file

    def close(self, *, left: bool = False) -> None:
        """Let go of it; if the run has left something behind, so that others see it is nobody's."""
        if not left:
            self._path.unlink(missing_ok=True)
        self._file.close()


def is_gone(run: str) -> bool:
    """Whether the grader that owned a run has ended without a close."""
    path = _path(run)
    with suppress(OSError):
        if run.isalnum() and os.name == "posix" and path.lstat().st_uid == os.getuid():
            with locked(path, wait=False) as free:
                return free
    return False


def forget(run: str) -> None:
    """Remove the file of a run whose owner is gone, and of which nothing is left."""
    with suppress(OSError):
        _path(run).unlink(missing_ok=True)


def runs_that_are_gone() -> list[str]:
    """All runs whose owner is gone, with or without containers."""
    files = Path(tempfile.gettempdir()).glob("grader-*.lock")
    runs = (path.name.removeprefix("grader-").removesuffix(".lock") for path in files)
    return [run for run in runs if is_gone(run)]


def _path(run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"grader-{run}.lock"
