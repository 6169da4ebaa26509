"""Notebooks as files that anybody may have written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fuzz.target import Made, Target, check_words, encoded, nasty
from grader.errors import SubmissionError
from grader.intake.notebook import MAX_CELLS, MAX_SOURCE_BYTES, parse_notebook
from grader.submission import Submission


def run(data: bytes) -> None:
    """Read a notebook; its cells can be hashed, and so sent to a sandbox."""
    try:
        found = parse_notebook(data, "hw.ipynb")
    except SubmissionError as refused:
        check_words(str(refused), most=200)
        return
    assert len(found.cells) <= MAX_CELLS
    assert sum(len(cell.source) for cell in found.cells) <= MAX_SOURCE_BYTES
    assert len(Submission(student="s", assignment="hw", cells=found.cells).digest) == 64
    assert all(tag.encode() is not None for cell in found.cells for tag in cell.tags)


WORDS = ("cells", "cell_type", "source", "metadata", "nbformat", "worksheets", "input", "tags")
CODE = {"cell_type": "code", "source": ["x = 1\n", "y = 2"], "metadata": {"tags": ["a"]}}
MARKDOWN = {"cell_type": "markdown", "source": "# 1a\nwords"}
SEEDS = (
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [CODE, MARKDOWN]},
    {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}]},
    {"nbformat": 4, "cells": [{"cell_type": "heading", "level": 2, "source": "1"}, CODE]},
)


def written(found: Any) -> str:
    """Like `json.dumps`, where a list of pairs marked as an object may hold a key twice."""
    if isinstance(found, dict) and "twice" in found:
        pairs = [f"{json.dumps(key)}: {written(item)}" for key, item in found["twice"]]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(found, dict):
        pairs = [f"{json.dumps(key)}: {written(item)}" for key, item in found.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(found, list | tuple):
        return "[" + ", ".join(map(written, found)) + "]"
    if isinstance(found, Raw):
        return str(found)
    return json.dumps(found)


class Raw(str):
    """JSON as it stands, such as a number that Python would not write."""


RAW = [Raw(text) for text in ("NaN", "-Infinity", "9" * 5000, "1e999", "-0.0", "[" * 3000, '"\\u')]


def oddities() -> st.SearchStrategy[Any]:
    """What stands where something else is expected."""
    plain = st.one_of(st.none(), st.booleans(), st.integers(), nasty(), st.sampled_from(RAW))
    pairs = st.lists(st.tuples(st.sampled_from(WORDS), plain), max_size=3)
    return st.one_of(plain, st.lists(plain, max_size=3), st.builds(lambda p: {"twice": p}, pairs))


def _made() -> Made:
    sources = st.one_of(nasty(), st.lists(nasty(), max_size=3), oddities())
    cells = st.one_of(
        st.fixed_dictionaries(
            {"cell_type": st.one_of(st.sampled_from(("code", "markdown", "raw")), oddities())},
            optional={
                "source": sources,
                "input": sources,
                "level": oddities(),
                "metadata": st.one_of(oddities(), st.fixed_dictionaries({"tags": oddities()})),
            },
        ),
        oddities(),
    )
    several = st.one_of(st.lists(cells, max_size=4), oddities())
    sheets = st.lists(st.one_of(st.fixed_dictionaries({"cells": several}), oddities()), max_size=2)
    return st.fixed_dictionaries(
        {"nbformat": st.one_of(st.sampled_from((3, 4)), oddities())},
        optional={"cells": several, "worksheets": st.one_of(sheets, oddities())},
    ).map(lambda found: encoded(written(found)))


TARGET = Target(
    name="notebook",
    reads="notebooks that were handed in",
    run=run,
    seeds=[json.dumps(seed).encode() for seed in SEEDS],
    made=_made(),
    tokens=[json.dumps(word).encode() for word in (*WORDS, "code", "markdown", "heading")],
)
