"""All targets by name."""

from __future__ import annotations

from fuzz import (
    answers,
    formulas,
    notebooks,
    printable,
    rubrics,
    selfchecks,
    sheets,
    stream,
    value,
    writeups,
)
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        stream.TARGET,
        value.TARGET,
        answers.TARGET,
        notebooks.TARGET,
        formulas.TARGET,
        formulas.COMPARING,
        rubrics.TARGET,
        sheets.TARGET,
        writeups.TARGET,
        writeups.PDF,
        printable.TARGET,
        selfchecks.TARGET,
    )
}
