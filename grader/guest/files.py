"""Files that were handed in beside the notebook: laid out in the working folder, before any cell.

Paths were checked when the box was read: relative, with slashes, and nothing that is ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DATA, LIB = "data", ".lib"
"""The course's own folders in the working folder, which no file may enter."""


@dataclass(frozen=True, slots=True)
class File:
    """A handed-in file."""

    path: str
    data: memoryview


def checked(path: str) -> str:
    """The same path, if it stays in the working folder and out of what is ours.

    Raises:
        ValueError: it does not.
    """
    parts = path.split("/")
    own = parts[0] in (DATA, LIB)
    odd = any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts)
    if own or odd or PurePosixPath(path).is_absolute() or ":" in parts[0]:
        raise ValueError(f"a file cannot lie at {path!r}")
    return path


def lay_out(files: Iterable[File], folder: Path) -> None:
    """Write files below a folder.

    Raises:
        OSError: there is no room, or something stands there already; links are not followed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):  # none is everywhere
        flags |= getattr(os, name, 0)
    real = folder.resolve()
    for file in files:
        path = real / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.resolve() != path.parent:
            raise FileExistsError(f"{path.parent} is a link")
        with os.fdopen(os.open(path, flags, 0o644), "wb") as stream:
            stream.write(file.data)
