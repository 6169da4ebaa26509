"""Everything else in a student's folder: read under caps, without following links."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import SubmissionError
from grader.intake.notebook import read_regular
from grader.submission import File

MIB = 1 << 20
MAX_FILE_MIB, MAX_TOTAL_MIB = 64, 128
MAX_FILES = 1000
MAX_DEPTH = 8
MAX_PATH_CHARS = 240
#: Names of a folder that are looked at; what holds more is no homework.
MAX_ENTRIES = 20_000
#: What tools leave behind.
LITTER = frozenset(
    ("__pycache__", "__MACOSX", "node_modules", "site-packages", "Thumbs.db", "desktop.ini")
)
#: Made anew whenever the code runs.
COMPILED = ".pyc"


@dataclass(frozen=True, slots=True)
class Listed:
    """The files below a folder that a submission may have, by relative path, and what was left out.

    Args:
        sizes: Relative path to size in bytes, in order.
        left_out: Why, and the paths that it concerns.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, path: str, why: str) -> None:
        """Note that a file is not taken."""
        self.left_out.setdefault(why, []).append(path)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for every reason why files were left out."""
        return tuple(_note(paths, why) for why, paths in self.left_out.items())

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Every path that was left out, as it can be shown, and why."""
        told = ((path, why) for why, paths in self.left_out.items() for path in paths)
        return tuple((_shown(path), why) for path, why in told)


def list_files(root: Path, ours: Sequence[str]) -> Listed:
    """Find all files below a folder, without hidden ones, litter and links.

    Args:
        root: The student's folder.
        ours: Names at its top that are the course's.

    Raises:
        SubmissionError: a folder cannot be read.
    """
    found = Listed()
    for looked, (path, entry) in enumerate(_entries(root, "", ours)):
        if looked >= MAX_ENTRIES:
            found.leave_out("the rest", f"more than {MAX_ENTRIES} names")
            break
        if entry.is_symlink():
            found.leave_out(path, "a link")
        elif entry.is_dir(follow_symlinks=False):
            found.leave_out(path, f"more than {MAX_DEPTH} folders deep")
        elif not entry.is_file(follow_symlinks=False):
            found.leave_out(path, "no regular file")
        elif why := _unusable(path):
            found.leave_out(path, why)
        else:
            found.sizes[path] = entry.stat(follow_symlinks=False).st_size
    return found


def read_files(root: Path, found: Listed, needed: Sequence[str]) -> tuple[File, ...]:
    """Read the files that fit; those that are needed come first, spare notebooks last.

    Args:
        root: The student's folder.
        found: What lies there; gets what is left out.
        needed: Paths of files that are asked for.

    Raises:
        SubmissionError: a file that is needed cannot be read or is too large.
    """
    files: dict[str, File] = {}
    room = MAX_TOTAL_MIB * MIB
    for path in sorted(found.sizes, key=lambda p: (p not in needed, p.endswith(".ipynb"), p)):
        too_large = f"at most {MAX_FILE_MIB} MiB a file and {MAX_TOTAL_MIB} in all are taken"
        why = "" if found.sizes[path] <= min(MAX_FILE_MIB * MIB, room) else too_large
        if len(files) >= MAX_FILES:
            why = f"at most {MAX_FILES} files are taken"
        if why and path in needed:
            raise SubmissionError(f"{path} was left out: {why}")
        try:
            data = b"" if why else read_regular(root / path, at_most_mib=MAX_FILE_MIB)
        except SubmissionError as error:
            if path in needed:
                raise
            why = str(error)
        if why:
            found.leave_out(path, why)
            continue
        room -= len(data)
        files[path] = File(path, data)
    return tuple(files[path] for path in sorted(files))


def _entries(
    folder: Path, start: str, ours: Sequence[str]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for entry in _sorted(folder):
        path = start + entry.name
        if entry.name.startswith(".") or entry.name in LITTER or path in ours:
            continue
        if entry.is_dir(follow_symlinks=False):
            inner = Path(entry.path)
            if path.count("/") >= MAX_DEPTH:
                yield path, entry
            elif not (inner / "pyvenv.cfg").exists():
                yield from _entries(inner, f"{path}/", ours)
        elif not entry.name.endswith(COMPILED) or entry.is_symlink():
            yield path, entry


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    def name(entry: os.DirEntry[str]) -> str:
        return entry.name

    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=name)
    except OSError as error:
        raise SubmissionError(f"{folder.name} cannot be read: {error.strerror}") from error


def _unusable(path: str) -> str:
    """Why no sandbox could hold a file of this name; empty if it could."""
    if len(path) > MAX_PATH_CHARS:
        return f"a path of more than {MAX_PATH_CHARS} characters"
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "a name in no encoding that we know"
    return "a name that not every system allows" if set(path) & set('\\:*?"<>|\n') else ""


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


def _note(paths: Sequence[str], why: str) -> str:
    shown = [_shown(path) for path in paths[:3]]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    verb = "was" if len(paths) == 1 else "were"
    return f"{', '.join(shown)}{more} {verb} left out: {why}"
