"""Which of a student's files may hold theory: those that are read, and those that a person opens.

A file that nobody can read costs no points: as long as one is there, a missing answer is left to a
person. So this list would rather be too long than too short.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grader.submission import File

#: What is read, by suffix; the first of a stem counts, because it says most.
READ = (".tex", ".md", ".pdf", ".txt")
#: What is not read, by suffix, in words.
UNREAD = {
    **dict.fromkeys((".doc", ".docx", ".docm"), "a Word file"),
    **dict.fromkeys((".odt", ".odp", ".fodt"), "an OpenDocument file"),
    **dict.fromkeys((".rtf", ".pages", ".wpd", ".xps", ".djvu", ".epub", ".ps"), "a document"),
    **dict.fromkeys((".ppt", ".pptx", ".key", ".one", ".gdoc"), "a document"),
    **dict.fromkeys((".xls", ".xlsx", ".ods", ".numbers"), "a spreadsheet"),
    **dict.fromkeys((".html", ".htm", ".mhtml"), "a web page"),
    **dict.fromkeys((".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp"), "a picture"),
    **dict.fromkeys((".heic", ".heif", ".avif", ".tif", ".tiff", ".svg", ".eps"), "a picture"),
    **dict.fromkeys((".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"), "an archive"),
}
#: A file of this name is the write-up, whatever lies beside it.
NAMED = ("writeup", "write-up", "write_up")
#: Texts that are about other files.
ABOUT = ("readme", "requirements", "license", "licence")
#: Files that are read; what is beyond them is left to a person.
MAX_FILES = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """The files of a write-up."""

    read: tuple[File, ...]
    unread: tuple[tuple[str, str], ...]
    """Paths of the others, each with why it is not read, in words that follow its name."""


def choose(files: Sequence[File], left_out: Iterable[tuple[str, str]] = ()) -> Chosen:
    """Find the write-up among files: those so named, else all that are prose.

    Of `theory.tex` and `theory.pdf` only the first is read.

    Args:
        files: All that was handed in beside the notebook.
        left_out: Paths of what was not taken, each with why.
    """
    prose = [file for file in files if suffix(file.path) in READ and stem(file.path) not in ABOUT]
    named = [file for file in prose if stem(file.path) in NAMED]
    first: dict[str, File] = {}
    for file in sorted(named or prose, key=lambda file: READ.index(suffix(file.path))):
        first.setdefault(_document(file.path), file)
    read = sorted(first.values(), key=lambda file: file.path)
    why = f"was not read, because {named[0].path} is there" if named else ""
    return Chosen(
        read=tuple(read[:MAX_FILES]),
        unread=(
            *((file.path, "was not read: too many files") for file in read[MAX_FILES:]),
            *((file.path, why) for file in prose if named and _document(file.path) not in first),
            *_unreadable(files, first),
            *((path, f"was left out: {why}") for path, why in left_out if _may_be(path)),
        ),
    )


def names(code: str, path: str) -> bool:
    """Whether code names a file, as what works with it does."""
    name = path.rpartition("/")[2]
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?!\w)", code) is not None


def suffix(path: str) -> str:
    """The ending of a file's name from the last dot on, in small letters."""
    return os.path.splitext(path)[1].casefold()


def stem(path: str) -> str:
    """A file's name without folders and ending, in small letters."""
    return os.path.splitext(path.rpartition("/")[2])[0].casefold()


def _document(path: str) -> str:
    """What the forms of one document have in common; a plain text is a document of its own."""
    plain = suffix(path) == ".txt"
    return path.casefold() if plain else os.path.splitext(path)[0].casefold()


def _unreadable(files: Sequence[File], read: dict[str, File]) -> Iterator[tuple[str, str]]:
    """Files that no machine reads, but those of which the PDF is there, and why."""
    for file in files:
        kind = UNREAD.get(suffix(file.path), "")
        known = kind or (suffix(file.path) not in READ and stem(file.path) in NAMED)
        alike = read.get(_document(file.path))
        made = alike is not None and suffix(alike.path) == ".pdf" and kind != "a picture"
        if known and not made:
            yield file.path, f"is {kind or 'a file'}, which is not read: a person opens it"


def _may_be(path: str) -> bool:
    """Whether something that was left out may hold theory; a folder has no suffix."""
    ending = suffix(path)
    return ending in (*READ, *UNREAD, "") or stem(path) in NAMED
