"""Lines of LaTeX: sections, bold starts of lines, and items of lists, which LaTeX would count."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from grader.writeup.lines import MAX_LABEL_CHARS, Document, Line, decoded

_COMMENT = re.compile(r"(?<!\\)%.*")
_BEGIN = re.compile(r"\\begin\{document\}")
_HEADING = re.compile(
    r"\s*\\(?:part|chapter|(?:sub){0,2}section|(?:sub)?paragraph|question|titledquestion|problem"
    r"|exercise|task)\*?\s*(?:\[[^\[\]]*\])?\s*(?=\{)"
)
_ENVIRONMENT = re.compile(
    r"\s*\\begin\{(?:question|problem|exercise|solution|answer|homeworkProblem)\}\s*"
    r"(?=[\[{])"
)
_BOLD = re.compile(
    r"\s*(?:\\noindent\s*|\\(?:large|Large)\s*)*(?:\\(?:textbf|underline)\s*\{|\{\\(?:bf|bfseries)\b)"
)
_ITEM = re.compile(r"\s*\\item\b\s*")
_COUNTED = re.compile(r"\s*\\(question|part|subpart)\b(?!\s*\{)\s*(?:\[[^\[\]]*\])?\s*")
_LIST = re.compile(
    r"\\(begin|end)\s*\{(enumerate|itemize|description|parts|subparts|questions)\*?\}"
)
_PICTURE = re.compile(r"\\include(?:graphics|svg)\b")
_OTHER_FILE = re.compile(
    r"\\(?:(?:sub)?(?:input|include|import)|subfile|includepdf|verbatiminput|lstinputlisting)\b"
)
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?|.)\s?")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


@dataclass(slots=True)
class _Counters:
    """Lists that are open, each with its items so far, and the exam class's counters."""

    lists: list[tuple[str, int]] = field(default_factory=list)
    exam: dict[str, int] = field(default_factory=dict)

    def follow(self, line: str) -> None:
        """Open and close lists."""
        for found in _LIST.finditer(line):
            if found[1] == "begin":
                self.lists.append((found[2], 0))
            elif self.lists:
                self.lists.pop()

    def item(self) -> tuple[str, ...]:
        """What an item that names nothing may be called."""
        if not self.lists or self.lists[-1][0] != "enumerate":
            return ()
        kind, count = self.lists[-1]
        self.lists[-1] = (kind, count + 1)
        return _names(count)

    def counted(self, command: str) -> tuple[str, ...]:
        r"""What `\question`, `\part` or `\subpart` count up to."""
        order = ("question", "part", "subpart")
        count = self.exam.get(command, 0)
        self.exam = {c: n for c, n in self.exam.items() if order.index(c) < order.index(command)}
        self.exam[command] = count + 1
        names = {"question": f"{count + 1}.", "part": _letter(count), "subpart": _roman(count)}
        return (names[command],)


def read_latex(data: bytes) -> Document:
    r"""Read a LaTeX file; what stands before `\begin{document}` is no answer."""
    text, notes = decoded(data)
    begin = _BEGIN.search(text)
    counters, lines, partial = _Counters(), [], bool(notes)
    for line in (text[begin.end() :] if begin else text).splitlines():
        code = _COMMENT.sub("", line)
        partial = partial or _OTHER_FILE.search(code) is not None
        read = _line(code, line, counters)
        lines.append(replace(read, picture=True) if _PICTURE.search(code) else read)
    return Document(lines=tuple(lines), notes=notes, partial=partial)


def _line(code: str, line: str, counters: _Counters) -> Line:
    start = code[:MAX_LABEL_CHARS]
    counted, item = _COUNTED.match(start), _ITEM.match(start)
    counters.follow(code)
    heading = _HEADING.match(start) or _ENVIRONMENT.match(start)
    if heading:
        return Line(line, labels=(_plain(start[heading.end() :]),), heading=True)
    if counted:
        return Line(line, labels=counters.counted(counted[1]), heading=True, counted=True)
    if item:
        return _item(line, start[item.end() :], counters)
    if _PICTURE.match(start.lstrip()) or _OTHER_FILE.match(start.lstrip()):
        return Line(line)  # the name of a file is no heading: `1b.png`
    return Line(line, labels=(_plain(start),), heading=_BOLD.match(start) is not None)


def _item(line: str, rest: str, counters: _Counters) -> Line:
    """An item: named by its own label or bold start, else by its place in the list."""
    named = re.match(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", rest)
    if named:
        return Line(line, labels=(_plain(named[1]),), heading=True, counted=True)
    if _BOLD.match(rest):
        return Line(line, labels=(_plain(rest), *counters.item()), heading=True, counted=True)
    return Line(line, labels=(_plain(rest), *counters.item()), counted=True)


def _plain(code: str) -> str:
    """Code without commands and braces."""
    return re.sub(r"[{}$\[]|\](?=\W|$)", "", _COMMAND.sub("", code)).strip()


def _names(count: int) -> tuple[str, ...]:
    return (_letter(count), _roman(count), f"{count + 1}.")


def _letter(count: int) -> str:
    return f"({_LETTERS[count]})" if count < len(_LETTERS) else ""


def _roman(count: int) -> str:
    return f"({_ROMAN[count]})" if count < len(_ROMAN) else ""
