"""docs/new-assignment.md: the course that it describes is made and verified."""

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from test_batch import Listened

from grader.course import Course
from grader.sandbox.process import ProcessSandbox
from grader.symbolic import Symbolic
from grader.verify import verify

PAGE = (Path(__file__).parents[1] / "docs" / "new-assignment.md").read_text()
FILES = re.findall(r"```(?:python|yaml) (\S+)\n(.*?)```", PAGE, re.DOTALL)


def notebook(text: str) -> str:
    """A notebook from cells that begin with `# %%`."""
    cells: list[dict[str, Any]] = []
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        kind, _, source = part.partition("\n")
        if kind.strip() == "[markdown]":
            cells.append({"cell_type": "markdown", "metadata": {}, "source": source})
        else:
            code: dict[str, Any] = {"cell_type": "code", "metadata": {}, "source": source}
            cells.append(code | {"outputs": [], "execution_count": None})
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


@pytest.mark.slow
def test_the_assignment_of_the_page_proves_itself(tmp_path: Path) -> None:
    for name, text in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notebook(text) if path.suffix == ".ipynb" else text)
    course = Course(tmp_path)
    with Symbolic() as symbolic, closing(ProcessSandbox()) as sandbox:
        proof = verify(
            course, course.open("logistic", symbolic), sandbox, jobs=1, listener=Listened()
        )
    assert proof.problems == ()
    assert proof.verified == 3


def test_the_rubric_of_the_page_is_short() -> None:
    rubric = dict(FILES)["rubrics/logistic.yaml"]
    assert len(rubric.splitlines()) < 30
