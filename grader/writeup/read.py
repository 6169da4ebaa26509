"""The write-up among a student's files: which file it is, read once, split by question."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from grader.submission import File
from grader.writeup.handed import (
    ABOUT,
    ABOUT_SUFFIXES,
    MAX_LOOKED,
    PLAIN,
    READ,
    Chosen,
    Code,
    choose,
    stem,
    suffix,
)
from grader.writeup.latex import read_latex
from grader.writeup.lines import Document, Line
from grader.writeup.markdown import read_markdown
from grader.writeup.pdf import read_pdf
from grader.writeup.split import Split, split

#: How a file is read, by suffix.
READERS: dict[str, Callable[[bytes], Document]] = {
    **dict.fromkeys(READ, read_markdown),
    ".tex": read_latex,
    ".pdf": read_pdf,
}
#: Of what is kept of a PDF; another version is read anew.
VERSION = 4
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
    partial: bool = False
    """Whether there may be more in it than its lines."""

    @property
    def lines(self) -> Iterator[Line]:
        """All lines but empty ones."""
        groups = (self.split.unplaced, *self.sections)
        return (line for lines in groups for line in lines if line.text.strip())

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
        """Whether a file may hold what no machine could read."""
        return any(part.problem or part.partial for part in self.parts)

    def may_hold(self, question: str, given: WriteUp | None = None) -> bool:
        """Whether an answer may be in it that was not found.

        It may be in what is not read, in a picture, or in words without a heading: students name
        questions in ways that nobody has thought of. A person looks once too often.

        Args:
            question: Its id or heading.
            given: What students were given to write in: what stands there as well is no answer.
        """
        own = list(self._beyond(given))
        shown = any(line.picture for line in own)
        return self.unread or shown or (bool(own) and self.section(question) is None)

    def _beyond(self, given: WriteUp | None) -> Iterator[Line]:
        """The lines that students were not given, a line as often as they have it more often."""
        theirs = [line for part in given.parts for line in part.lines] if given else []
        known = Counter(line.text.strip() for line in theirs)
        for line in (line for part in self.parts for line in part.lines):
            text = line.text.strip()
            if known[text]:
                known[text] -= 1
            else:
                yield line

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
            code: Source of the notebook: files that it works with are no theory.
            data: Stems of tables and plain texts that are data likewise.
            left_out: Paths of what was handed in and not taken, each with why.

        Raises:
            Fault: the process that reads PDFs cannot be started.
        """
        key = (tuple(files), tuple(questions), code, tuple(data), tuple(left_out))
        if self._last[0] != key:
            known = Code(code, data)
            maybe, unseen = _sorted_out(files, known, questions)
            lost = [one for one in left_out if not known.works_with(one[0])]
            chosen = choose(maybe, [*lost, *unseen])
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
            parts.append(Part(file.path, divided, document.problem, document.partial))
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


def _sorted_out(
    files: Sequence[File], code: Code, questions: Sequence[str]
) -> tuple[list[File], list[tuple[str, str]]]:
    """The files that may be theory, and paths of those that nobody has looked into, with why.

    A plain text that answers a question is theory, whatever its name.
    """
    others = {file.path for file in files if _is_about(file) or code.works_with(file.path)}
    texts = [f for f in files if f.path in others and (_is_about(f) or suffix(f.path) in PLAIN)]
    answers = {file.path for file in texts[:MAX_LOOKED] if _names_some(file, questions)}
    why = f"the code works with more than {MAX_LOOKED} texts"
    maybe = [file for file in files if file.path not in others - answers]
    return maybe, [(file.path, why) for file in texts[MAX_LOOKED:]]


def _is_about(file: File) -> bool:
    return stem(file.path) in ABOUT and suffix(file.path) in ABOUT_SUFFIXES


def _names_some(file: File, questions: Sequence[str]) -> bool:
    return bool(split(read_markdown(file.data).lines, questions).sections)


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
        lines=tuple(_lines(told["lines"])),
        problem=told["problem"],
        notes=tuple(told["notes"]),
        partial=told["partial"],
    )


def _lines(told: list[dict[str, object]]) -> Iterator[Line]:
    for one in told:
        labels = one["labels"]
        assert isinstance(labels, list)  # noqa: S101 - we wrote it
        yield Line(str(one["text"]), page=int(str(one["page"])), labels=tuple(map(str, labels)))
