"""A small assignment with one question of each kind that student code answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from small_course import notebook, write

from grader.course import Course

SLUG = "hw"
RUBRIC = """\
assignment: hw
title: What students try
limits: {cell: 5 s, total: 25 s, probe: 5 s, memory: 768 MiB}
questions:
  - {id: number, points: 1, value: answer, equals: 1234.5}
  - {id: formula, points: 1, expression: count, equals: n*(n+1)/2, symbols: {n: positive integer}}
  - id: function
    points: 2
    function: scaled
    public: [{x: 'tensor([1.0, 2.0])'}]
    cases: [{x: 'normal(3)'}, {x: 'normal(5)'}]
  - {id: network, points: 2, model: Net, inputs: [{x: 'normal(64, 3)'}]}
  - {id: measured, points: 1, metric: predict, data: signs, credit: {0.9: 0, 1: 1}}
  - {id: curve, points: 1, curve: losses, steps: 5, falls_to: 0.5}
  - {id: printed, points: 1, output: 'accuracy {}', equals: 87.5}
  - id: by_hand
    points: 1
    checks:
      - {function: shares, cases: [{x: 'normal(5)'}], weight: 1}
      - {source: {avoids: [softmax]}, weight: 1}
  - id: quick
    points: 1
    scaling: summed
    sizes: [300, 600, 1200]
    case: {n: n}
    at_most: {time: 1}
  - {id: found, points: 1, value: found, equals: []}
"""
REFERENCE = """\
import torch
from torch import nn

def scaled(x):
    return 3.25 * x - 1

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
    def forward(self, x):
        return torch.relu(self.inner(x))

def shares(x):
    return x.exp() / x.exp().sum()

def summed(n):
    return sum(range(n))

def signs(seed):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(seed))
    return x, (x.sum(1) > 0).long()
"""
NET = """\
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
    def forward(self, x):
        return {returned}
"""
RIGHT = {
    "number": "answer = 1234.5",
    "formula": "count = 'n*(n+1)/2'",
    "function": "def scaled(x):\n    return 3.25 * x - 1",
    "network": NET.format(returned="torch.relu(self.inner(x))"),
    "measured": "def predict(x):\n    return (x.sum(1) > 0).long()",
    "curve": "losses = [1.0, 0.8, 0.6, 0.4, 0.3]",
    "printed": "print('accuracy 87.5')",
    "by_hand": "def shares(x):\n    return x.exp() / x.exp().sum()",
    "quick": "def summed(n):\n    return sum(range(n))",
    "found": "found = []",
}
QUADRATIC = """\
def summed(n):
    total = 0
    for a in range(n):
        for b in range(n):
            total += a == b and a
    return total
"""
WRONG = {
    "number": "answer = 1.0",
    "formula": "count = 'n'",
    "function": "def scaled(x):\n    return 2.0 * x",
    "network": NET.format(returned="self.inner(x)"),
    "measured": "def predict(x):\n    return torch.zeros(len(x)).long()",
    "curve": "losses = [1.0, 1.0]",
    "printed": "print('accuracy 10.0')",
    "by_hand": "def shares(x):\n    import torch\n    return 0 * torch.softmax(x, 0)",
    "quick": QUADRATIC,
    "found": "found = []",
}
EMPTY = {
    "number": "answer = None",
    "formula": "count = None",
    "function": "def scaled(x):\n    return None",
    "network": "class Net:\n    pass",
    "measured": "def predict(x):\n    return None",
    "curve": "losses = None",
    "printed": "print('accuracy')",
    "by_hand": "def shares(x):\n    return None",
    "quick": "def summed(n):\n    return None",
    "found": "found = None",
}


def make_course(root: Path) -> Course:
    """Write the course without submissions."""
    write(root / "rubrics" / f"{SLUG}.yaml", RUBRIC)
    folder = root / "reference" / SLUG
    write(folder / "reference.py", REFERENCE)
    write(folder / "student" / f"{SLUG}.ipynb", notebook(*EMPTY.values()))
    write(folder / "solution" / f"{SLUG}.ipynb", notebook(*RIGHT.values()))
    (root / "submissions" / SLUG).mkdir(parents=True)
    return Course(root)


def marked(text: str, metadata: Mapping[str, object]) -> str:
    """A notebook with this metadata in itself and in every cell."""
    made = json.loads(text)
    made["metadata"] = dict(metadata)
    for cell in made["cells"]:
        cell["metadata"] = dict(metadata)
    return json.dumps(made)
