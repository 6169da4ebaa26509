"""The course of tests/hostile, stated as the assertions that nbgrader and otter-grader ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostile.course import RIGHT, SLUG

from benchmarks.course import code

#: Stands in hidden tests only.
HIDDEN_NUMBER = "0.8125"
#: What every submission does after its last cell: what it found out is read from there.
REPORT = """\
import json as _json
with open("/work/found/@STUDENT@.json", "w") as _file:
    _json.dump(globals().get("found", []), _file, default=str)
"""
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of a point."""

    id: str
    public: str
    """Assertions that students have."""
    hidden: str
    """Assertions that they have not."""


#: Written as the peers' manuals do: tests are Python code, and call what NumPy and torch offer.
QUESTIONS = (
    Question(
        id="number",
        public="assert answer is not None",
        hidden="assert abs(answer - 1234.5) < 0.01",
    ),
    Question(
        id="formula",
        public="assert isinstance(count, str)",
        hidden="assert count == 'n*(n+1)/2'",
    ),
    Question(
        id="function",
        public="assert torch.allclose(scaled(torch.tensor([1.0, 2.0])), torch.tensor([2.25, 5.5]))",
        hidden=f"""\
for x in (torch.tensor([{HIDDEN_NUMBER}, -2.0, 0.5]), torch.tensor([4.0, {HIDDEN_NUMBER}])):
    assert torch.allclose(scaled(x), 3.25 * x.clone() - 1)""",
    ),
    Question(
        id="network",
        public="assert tuple(Net()(torch.ones(4, 3)).shape) == (4, 2)",
        hidden=f"""\
net = Net()
x = torch.tensor([[{HIDDEN_NUMBER}, -2.0, 0.5], [-1.0, -3.0, {HIDDEN_NUMBER}], [5.0, -4.0, 2.0]])
assert torch.allclose(net(x), torch.relu(x @ net.inner.weight.T + net.inner.bias), atol=1e-6)
assert (net(torch.cat([x, -x])) < 0).sum() == 0""",
    ),
    Question(
        id="measured",
        public="assert len(predict(torch.ones(4, 3))) == 4",
        hidden=f"""\
x = torch.randn(40, 3, generator=torch.Generator().manual_seed(8125)) + {HIDDEN_NUMBER} - 0.8
assert (predict(x) == (x.sum(1) > 0)).float().mean() >= 0.95""",
    ),
    Question(
        id="curve",
        public="assert len(losses) >= 5",
        hidden="assert losses[-1] <= 0.5",
    ),
)
#: What an honest neighbour answers: nothing that needs torch, to save time.
NEIGHBOUR = {question: RIGHT[question] for question in ("number", "formula", "curve")}


def handed_in(text: str, student: str) -> dict[str, Any]:
    """A notebook as it is handed in to either peer: its own cells, and one that reports `found`.

    Args:
        text: The file that an attack writes.
        student: Whose it is.
    """
    made: dict[str, Any] = json.loads(text)
    made["cells"].append(code(REPORT.replace("@STUDENT@", student)))
    made["metadata"].setdefault("kernelspec", KERNEL)
    made["nbformat"], made["nbformat_minor"] = 4, 4
    return made


def with_tests(made: Mapping[str, Any]) -> dict[str, Any]:
    """That notebook with the cells of tests that nbgrader's students have, without hidden ones."""
    return {**made, "cells": [*made["cells"], *(_test(q, q.public) for q in QUESTIONS)]}


def source() -> dict[str, Any]:
    """The instructor's notebook for nbgrader, with hidden tests."""
    cells = [code(cell) for cell in RIGHT.values()]
    for question in QUESTIONS:
        hidden = f"### BEGIN HIDDEN TESTS\n{question.hidden}\n### END HIDDEN TESTS"
        cells.append(_test(question, f"{question.public}\n{hidden}"))
    about = {"kernelspec": KERNEL}
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": about, "cells": cells}


def _test(question: Question, text: str) -> dict[str, Any]:
    about = {
        "schema_version": 3,
        "grade": True,
        "solution": False,
        "locked": True,
        "task": False,
        "grade_id": question.id,
        "points": 1,
    }
    return code(text, nbgrader=about)


def otter_tests() -> dict[str, str]:
    """What otter's zip of tests holds, by path."""
    found = {"otter_config.json": json.dumps({"show_stdout": False, "pdf": False})}
    for question in QUESTIONS:
        cases = [
            {"code": _doctest(question.public), "hidden": False, "locked": False},
            {"code": _doctest(question.hidden), "hidden": True, "locked": False},
        ]
        suite = {"scored": True, "setup": "", "teardown": "", "type": "doctest", "cases": cases}
        test = {"name": question.id, "points": [0, 1], "suites": [suite]}
        found[f"tests/{question.id}.py"] = f"OK_FORMAT = True\ntest = {test!r}\n"
    return found


def _doctest(text: str) -> str:
    lines = []
    for line in text.splitlines():
        lines.append(f"... {line}" if line.startswith(" ") else f">>> {line}")
        # A block ends before a line that starts at the margin.
    return "\n".join(lines)


def files_of(student: str, peer: str, written: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a student hands in to a peer, by path.

    Args:
        student: Whose it is.
        peer: nbgrader or otter.
        written: What the attack writes, by path.
    """
    made = handed_in(written[f"{SLUG}.ipynb"].decode(), student)
    if peer == "nbgrader":
        made = with_tests(made)
    return {**written, f"{SLUG}.ipynb": json.dumps(made).encode()}
