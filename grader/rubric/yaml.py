"""YAML with line numbers: plain data, and the line on which every part of it stands.

Plain words are read by the core schema of YAML 1.2: `1e-3` is a number, `yes`, `on` and dates are
text, and only `true` and `false` are truth values.

Source: YAML 1.2.2, section 10.3.2, https://yaml.org/spec/1.2.2/#1032-tag-resolution
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from grader.errors import RubricError

Place: TypeAlias = tuple[str | int, ...]
"""Where something stands in a document: keys and list indexes from the root."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_DIGITS = 1000
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASES = {"0o": 8, "0x": 16}


class _Loader(yaml.SafeLoader):
    """Leaves plain words as they are written; `Document` reads them."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as the base class has it


class Document:
    """One YAML file: its data, and `line(place)` for messages."""

    def __init__(self, path: Path, shown: str) -> None:
        """Read a file.

        Args:
            path: The file.
            shown: How messages name it.

        Raises:
            RubricError: it is no YAML, holds a duplicate key, an alias or a tag of its own.
        """
        self.shown = shown
        self._lines: dict[Place, int] = {}
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RubricError(
                [f"{shown}: expected a text file that can be read: {error}"]
            ) from error
        self.problems: list[str] = []
        self.data = self._construct(self._compose(), ())
        if self.problems:
            raise RubricError(self.problems)

    def line(self, place: Place) -> int:
        """Line (from 1) of a place, or of the nearest part around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def problem(self, place: Place, says: str) -> str:
        """Word a problem as `file:line: path: what was expected, what was found`."""
        at = f"{self.shown}:{self.line(place)}: "
        return at + (f"{dotted(place)}: " if place else "") + says

    def _compose(self) -> yaml.Node:
        if len(self.text) > MAX_BYTES:
            raise RubricError([f"{self.shown}: expected at most 1 MiB"])
        try:
            depth = 0
            for event in yaml.parse(self.text, Loader=_Loader):
                at = f"{self.shown}:{_line(event.start_mark)}"
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:
                    raise RubricError([f"{at}: expected at most {MAX_DEPTH} levels"])
                if isinstance(event, yaml.AliasEvent):
                    raise RubricError([f"{at}: write it out: aliases are not read"])
                if getattr(event, "tag", None):
                    raise RubricError([f"{at}: expected a plain value: tags are not read"])
            node = yaml.compose(self.text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line = _line(error.problem_mark)
            raise RubricError([f"{self.shown}:{line}: expected YAML: {error.problem}"]) from error
        except yaml.YAMLError as error:
            raise RubricError([f"{self.shown}:1: expected YAML: {error}"]) from error
        if node is None:
            raise RubricError([f"{self.shown}:1: the file is empty"])
        return node

    def _construct(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, _line(node.start_mark))
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(child, (*place, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101  for mypy: there is no other kind
        if len(place) == 3 and (place[0], place[2]) == ("questions", "id"):
            return node.value  # it is text, even where it looks like a number (3, 1e2)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            at = (*place, key if isinstance(key, int) else str(key))
            self._lines[at] = _line(key_node.start_mark)
            if key is None:
                self.problems.append(self.problem(at, "expected a plain word or number as a key"))
            elif key in found:
                self.problems.append(self.problem(at, "stands here twice"))
            else:
                found[key] = self._construct(value_node, at)
        return found

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.style is not None:  # between quotation marks, or a block: text
            return node.value
        try:
            return _word(node.value)
        except ValueError as error:
            line = _line(node.start_mark)
            raise RubricError([f"{self.shown}:{line}: expected a plain value: {error}"]) from error


def _word(text: str) -> Any:
    """What a plain word stands for.

    Raises:
        ValueError: It is a number out of all bounds.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"{text[:20]}… is too large a number")
        return int(text, _BASES.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text[:20]} is too large a number")
        return number
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


def _line(mark: Any) -> int:
    """Line (from 1) of a mark that the parser may not have set."""
    return int(mark.line) + 1 if mark else 1


def dotted(place: Place) -> str:
    """Write a place as people do: `questions[2].checks[0].rtol`."""
    written = ""
    for part in place:
        written += f"[{part}]" if isinstance(part, int) else f".{part}" if written else str(part)
    return written
