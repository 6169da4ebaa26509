"""What was worked out before, kept by digest in `.grader/known.sqlite`, so that it is done once.

What a reference gives for its inputs, what its predicates say of a result, and how two formulas
compare: a key is made of the question and of all that answers it, our own code and the installed
packages among it. So nothing here goes out of date, and the file may be removed at any time: it is
a shortcut and no record. What cannot be read back counts as not known. Values are plain bytes;
nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import grader

#: A larger value is worked out anew by every process.
MOST_BYTES = 4 << 20
#: A file that has grown so far begins anew; a process that judges may write 64 MiB at most.
FILE_MIB = 48
PAGE_BYTES = 4096
WAIT_S = 5.0


class Known:
    """A memory that processes share; without a file it knows nothing. Safe to use from threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Open nothing yet.

        Args:
            path: The file, or None.
        """
        self._path = path
        self._new: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    @property
    def remembers(self) -> bool:
        """Whether there is any use in asking."""
        return self._path is not None

    def key(self, *parts: bytes) -> bytes:
        """The key of a question, by all that it is made of and that its answer rests on."""
        digest = hashlib.sha256(self._by)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def get(self, key: bytes) -> bytes | None:
        """What was found before, if it reads as it was written."""
        with self._lock, suppress(sqlite3.Error):
            if key in self._new:
                return self._new[key]
            if self._file:
                asked = "SELECT value, sum FROM known WHERE key = ?"
                value, told = self._file.execute(asked, (key,)).fetchone() or (None, None)
                if type(value) is bytes and told == _sum(key, value):
                    return value
        return None

    def put(self, key: bytes, value: bytes) -> None:
        """Remember what was found; others know it after `keep`."""
        if self.remembers and len(value) <= MOST_BYTES:
            with self._lock:
                self._new[key] = value

    def keep(self) -> None:
        """Write what is new; a file that takes nothing is no reason to stop."""
        with self._lock:
            rows = [(key, value, _sum(key, value)) for key, value in self._new.items()]
            self._new = {}
            if rows and self._file:
                with suppress(sqlite3.Error), self._file:
                    self._file.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Write what is new and close the file; a later question opens it again."""
        self.keep()
        with self._lock, suppress(sqlite3.Error):
            if file := self.__dict__.pop("_file", None):
                file.close()

    @cached_property
    def _by(self) -> bytes:
        """Digest of what answers: Python, the packages that it finds, and our own code."""
        found = (path.name for place in sys.path for path in Path(place).glob("*.dist-info"))
        told = [sys.version, sys.platform, *sorted(set(found))]
        ours = folder_digest(Path(grader.__file__).parent)
        return hashlib.sha256("\n".join([*told, ours]).encode()).digest()

    @cached_property
    def _file(self) -> sqlite3.Connection | None:
        """The open file; None where there is none to be had."""
        if self._path is None:
            return None
        with suppress(OSError):
            if self._path.stat().st_size > FILE_MIB << 20:
                self._path.unlink()
        with suppress(OSError, sqlite3.Error):
            try:
                return _opened(self._path)
            except sqlite3.OperationalError:  # locked, or not ours to write
                return None
            except sqlite3.DatabaseError:  # damaged
                self._path.unlink()
                return _opened(self._path)
        return None


def folder_digest(folder: Path, without: Sequence[str] = ()) -> str:
    """Digest of names and contents of all files below a folder, but for some folders in it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" in path.parts or path.relative_to(folder).parts[0] in without:
            continue
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False)
    file.execute("PRAGMA synchronous = OFF")  # a crash may cost what can be worked out again
    # Room for what comes last, so that a full file is larger than what begins anew.
    file.execute(f"PRAGMA max_page_count = {((FILE_MIB << 20) + 2 * MOST_BYTES) // PAGE_BYTES}")
    file.execute("CREATE TABLE IF NOT EXISTS known (key BLOB PRIMARY KEY, value BLOB, sum BLOB)")
    file.execute("SELECT count(*) FROM (SELECT key FROM known LIMIT 1)")
    return file


def _sum(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(key + value).digest()


NOTHING = Known()
"""Remembers nothing."""
