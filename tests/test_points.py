"""docs/points.md: the worked table is graded."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import Assignment, read_rubric
from grader.checks.base import Context
from grader.evidence import Ending, Evidence, Observation, ProbeStatus
from grader.inputs import Inputs
from grader.reference import Reference
from grader.score import score
from grader.submission import Submission
from grader.symbolic import Symbolic

DOCS = (Path(__file__).parents[1] / "docs" / "points.md").read_text()
RUBRIC = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[-1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in DOCS.splitlines()
    if line.startswith("| `count")
]


def defined(row: list[str]) -> dict[str, Any]:
    call = ast.parse(f"dict({row[0].strip('`')})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}


@pytest.fixture
def assignment(tmp_path: Path) -> Iterator[Assignment]:
    (tmp_path / "points.yaml").write_text(RUBRIC)
    (tmp_path / "reference.py").write_text("")
    with Symbolic() as symbolic:
        context = Context(
            reference=Reference(tmp_path / "reference.py"),
            inputs=Inputs(b"secret", "points", 1),
            symbolic=symbolic,
        )
        yield Assignment(read_rubric(tmp_path / "points.yaml", "points.yaml"), context, None)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=["first", "second", "third"])
def test_the_worked_table_is_what_grading_gives(row: list[str], assignment: Assignment) -> None:
    names = defined(row)
    observations = {
        f"{check}/{local}": Observation(status=ProbeStatus.OK, value=names[request["name"]])
        if request["name"] in names
        else Observation(status=ProbeStatus.MISSING)
        for check, asked in assignment.requests.items()
        for local, request in asked.items()
    }
    evidence = Evidence(
        sandbox="process", ending=Ending.COMPLETE, cells=(), observations=observations
    )
    found = score(evidence, Submission(student="s01", assignment="points"), assignment)
    shown = [*(question.points for question in found.questions), found.total, found.percent]
    assert shown == [float(cell) for cell in row[1:]]
