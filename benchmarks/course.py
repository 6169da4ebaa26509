"""A made-up course for measurements: one short torch assignment, and as many students as wanted.

    <root>/rubrics/short.yaml
    <root>/reference/short/reference.py
    <root>/submissions/short/<student>/short.ipynb

Every notebook has the same four cells but for one number, so that no two are identical: identical
files would be executed once only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SLUG = "short"

RUBRIC = """\
assignment: short
title: A short torch notebook
points: 3
limits: {cell: 60 s, total: 2 min, probe: 10 s, memory: 2 GiB}

questions:
  - id: "1"
    title: A function of a tensor
    points: 1
    function: halved
    cases: [{x: "normal(2, 3)"}, {x: "normal(4)"}]
  - id: "2"
    title: Size of the model
    points: 1
    value: parameters
    equals: 577
  - id: "3"
    title: The model
    points: 1
    model: Net
    inputs: [{x: "normal(2, 16)"}]
"""

FUNCTION = """\
def halved(x):
    return x / 2 + 1
"""

MODEL = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(16, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))
"""

TRAINING = """\
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(256, 16)
y = x.sum(dim=1, keepdim=True)
for step in range(300):
    loss = ((model(x) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
parameters = sum(p.numel() for p in model.parameters())
print(f"loss {loss.item():.4f}, {parameters} parameters")
"""

REFERENCE = f'"""What is right."""\n\nimport torch\nfrom torch import nn\n\n\n{FUNCTION}\n\n{MODEL}'


def cells_of(number: int) -> list[str]:
    """The four cells of a student, by the student's number."""
    start = (
        f"import torch\nfrom torch import nn\n\nstudent = {number}\ntorch.manual_seed(student)\n"
    )
    return [start, FUNCTION, MODEL, TRAINING]


def student(number: int) -> str:
    """The id of a student, by number."""
    return f"student{number:04d}"


def write_course(root: Path, count: int) -> Path:
    """Write the course with so many students.

    Returns:
        The folder of submissions.
    """
    _write(root / "rubrics" / f"{SLUG}.yaml", RUBRIC)
    _write(root / "reference" / SLUG / "reference.py", REFERENCE)
    folder = root / "submissions" / SLUG
    for number in range(count):
        path = folder / student(number) / f"{SLUG}.ipynb"
        write_notebook(path, [code(source) for source in cells_of(number)])
    return folder


def code(source: str, **metadata: Any) -> dict[str, Any]:
    """A code cell as notebook files hold it."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def write_notebook(path: Path, cells: list[dict[str, Any]]) -> None:
    """Write a notebook file and the folders above it."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    named = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
    _write(
        path, json.dumps({"cells": named, "metadata": about, "nbformat": 4, "nbformat_minor": 5})
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
