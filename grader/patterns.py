"""Regular expressions that staff write and that are looked for in what students write.

RE2 reads them, not `re`: it needs time linear in the text, so that no line of a student, however
long, holds the grader up. Its syntax is nearly that of `re`; look-ahead and back-references, which
cost `re` its time, are missing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import re2


def found(pattern: str, text: str) -> bool:
    """Whether a text has it anywhere; `^` and `$` also stand for the ends of a line.

    Raises:
        ValueError: the pattern cannot be read.
    """
    return _compiled(pattern).search(_bytes(text)) is not None


def check(pattern: str) -> None:
    """Have a pattern read.

    Raises:
        ValueError: it is no regular expression, or one that takes more than linear time.
    """
    _compiled(pattern)


@cache
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_bytes(f"(?m){pattern}"), options)
    except re2.error as error:
        (why,) = error.args
        raise ValueError(why.decode("utf-8", "replace")) from error


def _bytes(text: str) -> bytes:
    """A notebook may hold half of a surrogate pair, which has no bytes."""
    return text.encode("utf-8", "replace")
