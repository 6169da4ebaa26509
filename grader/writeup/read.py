"""The write-up among a student's files: which file it is, read once, split by question."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from grader.submission import File
from grader.writeup.handed import Chosen, choose, names, stem, suffix
from grader.writeup.latex import read_latex
from grader.writeup.lines import Document, Line
from grader.writeup.markdown import read_markdown
from grader.writeup.pdf import read_pdf
from grader.writeup.split import Split, split

#: How a file is read, by suffix.
READERS: dict[str, Callable[[bytes], Document]] = {
    ".tex": read_latex,
    ".md": read_markdown,
    ".pdf": read_pdf,
    ".txt": read_markdown,
}
#: Of what is kept of a PDF; another version is read anew.
VERSION = 2
#: Files that are named; of the others it is said how many they are.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one question."""

    text: str
    source: str
    """Such as `writeup.pdf, page 2`."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a write-up."""

    name: str
    split: Split
    problem: str = ""
    """Why there is no text; empty if there is."""

    @property
    def sections(self) -> tuple[tuple[Line, ...], ...]:
        """The lines under every name that was found."""
        return tuple(self.split.sections.values())


@dataclass(frozen=True, slots=True)
class WriteUp:
    """A student's write-up, by question."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    """What could not be read or was left out, in sentences."""

    @property
    def name(self) -> str:
        """Its files."""
        return _listed([part.name for part in self.parts])

    @property
    def unread(self) -> bool:
        """Whether a file holds nothing that a machine could read."""
        return any(part.problem for part in self.parts)

    def may_hold(self, question: str) -> bool:
        """Whether an answer may be in it that was not found: no heading, or a file unread.

        Students name questions in ways that nobody has thought of; a person looks once too often.
        """
        words = self.unplaced or any(_text(lines) for p in self.parts for lines in p.sections)
        return self.unread or (self.section(question) is None and bool(words))

    def section(self, question: str) -> Section | None:
        """What stands under a question, with words or without; None without such a heading."""
        found = [(part, part.split.under(question)) for part in self.parts]
        told = [(part, lines) for part, lines in found if lines is not None]
        if not told:
            return None
        texts = [_text(lines) for _, lines in told]
        sources = [_source(part.name, lines) for part, lines in told]
        return Section("\n\n".join(filter(None, texts)), "; ".join(sources))

    @property
    def unplaced(self) -> str:
        """What stands under no question."""
        return "\n\n".join(filter(None, (_text(part.split.unplaced) for part in self.parts)))


class WriteUps:
    """Reads write-ups; a PDF is read once, and what came of it is kept.

    Args:
        kept: Folder for what was read of PDFs; None keeps nothing.
    """

    def __init__(self, kept: Path | None = None) -> None:
        """Read nothing yet."""
        self._kept = kept
        self._last: tuple[object, WriteUp | None] = (None, None)

    def read(
        self,
        files: Sequence[File],
        questions: Sequence[str],
        *,
        code: str = "",
        data: Collection[str] = (),
        left_out: Sequence[tuple[str, str]] = (),
    ) -> WriteUp | None:
        """Read the write-up among files; None if there is none.

        Args:
            files: All that was handed in beside the notebook.
            questions: Ids and headings that it may be split by.
            code: Source of the notebook: a plain text that it names and that names no question
                is data.
            data: Stems of plain texts that are data likewise.
            left_out: Paths of what was handed in and not taken, each with why.

        Raises:
            Fault: the process that reads PDFs cannot be started.
        """
        key = (tuple(files), tuple(questions), code, tuple(data), tuple(left_out))
        if self._last[0] != key:
            prose = [file for file in files if not _is_data(file, code, data, questions)]
            chosen = choose(prose, left_out)
            some = chosen.read or chosen.unread
            self._last = (key, self._read(chosen, questions) if some else None)
        return self._last[1]

    def _read(self, chosen: Chosen, questions: Sequence[str]) -> WriteUp:
        parts, notes = [], []
        for file in chosen.read:
            document = self._document(file)
            said = [document.problem] if document.problem else list(document.notes)
            notes += [f"{file.path} {one}." for one in said]
            divided = split(document.lines, questions)
            parts.append(Part(file.path, divided, document.problem))
        parts += [Part(path, Split({}, ()), why) for path, why in chosen.unread]
        notes += [f"{path} {why}." for path, why in chosen.unread[:MOST_NAMED]]
        more = len(chosen.unread) - MOST_NAMED
        notes += [f"Nor were {more} more files read."] if more > 0 else []
        return WriteUp(tuple(parts), tuple(notes))

    def _document(self, file: File) -> Document:
        ending = suffix(file.path)
        if ending != ".pdf" or self._kept is None:
            return READERS[ending](file.data)
        digest = hashlib.sha256(file.data).hexdigest()
        path = self._kept / f"{digest}.{VERSION}.json"
        with suppress(OSError, ValueError, KeyError, TypeError):  # not there, or damaged
            return _from_json(path.read_text(encoding="utf-8"))
        document = read_pdf(file.data)
        if not document.hurried:
            _keep(path, json.dumps(asdict(document)))
        return document


def _is_data(file: File, code: str, data: Collection[str], questions: Sequence[str]) -> bool:
    """Whether a plain text is what the notebook works with, and no answer to a question."""
    if suffix(file.path) != ".txt" or not (stem(file.path) in data or names(code, file.path)):
        return False
    return not split(read_markdown(file.data).lines, questions).sections


def _listed(found: Sequence[str]) -> str:
    more = len(found) - MOST_NAMED
    return ", ".join(found[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _text(lines: Sequence[Line]) -> str:
    return "\n".join(line.text.rstrip() for line in lines).strip()


def _source(name: str, lines: Sequence[Line]) -> str:
    pages = sorted({line.page for line in lines if line.page})
    if not pages:
        return name
    return f"{name}, page {pages[0]}" + (f" to {pages[-1]}" if len(pages) > 1 else "")


def _keep(path: Path, text: str) -> None:
    """Write whole or not at all; without it the file is read again next time."""
    beside = path.with_name(f"{path.name}-{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)


def _from_json(text: str) -> Document:
    told = json.loads(text)
    return Document(
        lines=tuple(_lines(told["lines"])), problem=told["problem"], notes=tuple(told["notes"])
    )


def _lines(told: list[dict[str, object]]) -> Iterator[Line]:
    for one in told:
        labels = one["labels"]
        assert isinstance(labels, list)  # noqa: S101 - we wrote it
        yield Line(str(one["text"]), page=int(str(one["page"])), labels=tuple(map(str, labels)))
