"""Which of a student's files may hold theory: those that are read, and those that a person opens.

A file that nobody can read costs no points: as long as one is there, a missing answer is left to a
person. So what may hold no theory is listed here, and not what may.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from grader.submission import File

#: Texts without any markup.
PLAIN = (".txt", ".text")
#: What is read, by suffix; the first of a stem counts, because it says most.
READ = (".tex", ".md", ".markdown", ".rmd", ".qmd", ".rst", ".org", ".pdf", *PLAIN)
#: Code and data: nobody writes theory in them.
DATA = frozenset(
    (
        *(".py", ".pyi", ".pyx", ".sh", ".bat", ".ps1", ".c", ".h", ".cc", ".cpp", ".cu", ".so"),
        *(".js", ".css", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".xml"),
        *(".npy", ".npz", ".mat", ".pkl", ".pickle", ".joblib", ".h5", ".hdf5", ".parquet"),
        *(".feather", ".arrow", ".db", ".sqlite", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx"),
        *(".bin", ".model", ".vocab", ".pb", ".index", ".log", ".lock"),
    )
)
#: Tables and archives, which are data where the code names them.
PERHAPS_DATA = frozenset(
    (".csv", ".tsv", ".xls", ".xlsx", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", *PLAIN)
)
#: A file of this name is the write-up, whatever lies beside it.
NAMED = ("writeup", "write-up", "write_up")
#: Texts about other files, unless they answer a question.
ABOUT = ("readme", "requirements", "license", "licence", "makefile")
ABOUT_SUFFIXES = (".md", *PLAIN, "")
#: Files that are read; what is beyond them is left to a person.
MAX_FILES = 5
#: Plain texts that the code works with, in which a question may be answered all the same; what is
#: beyond them is left to a person.
MAX_LOOKED = 20

_COMMENT = re.compile(r"#[^\n]*")
_QUOTED = re.compile(r"[\"'/\\]([^\"'/\\\n]{1,200})(?=[\"'])")
_SHELL = re.compile(r"^[ \t]{0,40}[!%]([^\n]{0,400})", re.MULTILINE)
_WRITING = re.compile(r"(?:save|write)\w{0,20}\(\s{0,99}+([^\n]{0,200})")


class Code:
    """What tells data from theory: files that the code works with, and those a rubric asks for.

    Args:
        source: What the code cells hold.
        asked: Stems of files that a rubric asks for.
    """

    def __init__(self, source: str, asked: Collection[str]) -> None:
        """Look through the code once."""
        code = _COMMENT.sub("", source)
        shell = (token for line in _SHELL.findall(code) for token in re.findall(r"[\w.-]+", line))
        self._named = {*_QUOTED.findall(code), *shell}
        self._written = {n for call in _WRITING.findall(code) for n in _QUOTED.findall(call)}
        self._asked = asked

    def works_with(self, path: str) -> bool:
        """Whether a file is code or data.

        Tables, archives and plain texts are where the code names them. Of anything else the code
        may show what a student drew, so that it is data only where it is saved.
        """
        ending, name = suffix(path), path.rpartition("/")[2]
        if stem(path) in NAMED:
            return False
        if ending in PERHAPS_DATA:
            return stem(path) in self._asked or name in self._named
        markup = ending in READ and ending != ".pdf"
        return ending in DATA or (name in self._written and not markup)


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
        files: All that was handed in and may be theory.
        left_out: Paths of what was not taken and may be theory, each with why.
    """
    prose = [file for file in files if suffix(file.path) in READ]
    named = [file for file in prose if stem(file.path) in NAMED]
    first: dict[str, File] = {}
    for file in sorted(named or prose, key=lambda file: READ.index(suffix(file.path))):
        first.setdefault(_document(file.path), file)
    read = sorted(first.values(), key=lambda file: file.path)
    return Chosen(
        read=tuple(read[:MAX_FILES]),
        unread=(
            *((file.path, "was not read: too many files") for file in read[MAX_FILES:]),
            *((file.path, _why(file, first, named)) for file in files if file not in read),
            *((path, f"was left out: {why}") for path, why in left_out),
        ),
    )


def _why(file: File, first: dict[str, File], named: Sequence[File]) -> str:
    """Why a file is not read."""
    ending = suffix(file.path)
    if ending not in READ:
        kind = f"a {ending} file" if ending else "a file without an ending"
        return f"is {kind}, which is not read: a person opens it"
    beside = first.get(_document(file.path)) or named[0]
    return f"was not read, because {beside.path} is there"


def suffix(path: str) -> str:
    """The ending of a file's name from the last dot on, in small letters."""
    return os.path.splitext(path)[1].casefold()


def stem(path: str) -> str:
    """A file's name without folders and ending, in small letters."""
    return os.path.splitext(path.rpartition("/")[2])[0].casefold()


def _document(path: str) -> str:
    """What the forms of one document have in common; a plain text is a document of its own."""
    plain = suffix(path) in PLAIN
    return path.casefold() if plain else os.path.splitext(path)[0].casefold()
