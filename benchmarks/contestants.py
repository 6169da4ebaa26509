"""Whom `overhead.py` compares: each prepares a folder of its own, then runs as one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.course import SLUG, cells_of, code, student, write_course, write_notebook

ROOT = Path(__file__).resolve().parents[1]
OTTER_CONFIG = {"show_stdout": False, "pdf": False}
OTTER_TEST = """\
OK_FORMAT = True
test = {
    "name": "q1",
    "points": 3,
    "suites": [{"scored": True, "setup": "", "teardown": "", "type": "doctest", "cases": [
        {"code": ">>> float(halved(torch.ones(2)).sum())\\n3.0", "hidden": False, "locked": False},
        {"code": ">>> parameters\\n577", "hidden": False, "locked": False},
        {"code": ">>> tuple(Net()(torch.ones(2, 16)).shape)\\n(2, 1)", "hidden": False,
         "locked": False},
    ]}],
}
"""
NBGRADER_TEST = """\
assert float(halved(torch.ones(2)).sum()) == 3.0
assert parameters == 577
assert tuple(Net()(torch.ones(2, 16)).shape) == (2, 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is to do, and how many at a time."""

    notebooks: int
    workers: int


class Contestant(Protocol):
    """Executes (and perhaps grades) the notebooks of a folder that it prepared."""

    @property
    def name(self) -> str:
        """As the table shows it."""
        ...

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        ...

    def prepare(self, folder: Path, size: Size) -> None:
        """Write everything that is needed; not measured."""
        ...

    def command(self, folder: Path, size: Size) -> list[str]:
        """The command that does the whole work, every time anew."""
        ...


def environment(python: str, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a contestant: one thread for each notebook, as our sandboxes give.

    Args:
        python: Its interpreter; the programs beside it are found first.
        base: The environment of this process.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    path = f"{Path(python).absolute().parent}{os.pathsep}{base.get('PATH', os.defpath)}"
    told = {"PYTHONPATH": str(ROOT), "PATH": path, "PYTHONWARNINGS": "ignore"}
    return {**base, **dict.fromkeys(names, "1"), **told}


@dataclass(frozen=True, slots=True)
class Ours:
    """`grader run`: a fresh sandbox for each notebook, probes, scores and reports included."""

    sandbox: str
    python: str = sys.executable

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"grader run, {self.sandbox}"

    def prepare(self, folder: Path, size: Size) -> None:
        """Write the course."""
        write_course(folder, size.notebooks)

    def command(self, folder: Path, size: Size) -> list[str]:
        """Execute everything anew."""
        told = ["--sandbox", self.sandbox, "--jobs", str(size.workers), "--fresh"]
        told += ["--trust-students"] if self.sandbox == "process" else []
        where = [str(folder / "submissions"), "--course", str(folder)]
        return [
            *(self.python, "-m", "grader", "run", *where, *told),
            *("--out", str(folder / "reports")),
        ]


@dataclass(frozen=True, slots=True)
class Nbclient:
    """Plain nbclient, the yardstick, or one that kills kernels as we do.

    Args:
        shutdown: How it ends a kernel: graceful, which is its own default, or immediate.
    """

    shutdown: str = "graceful"
    python: str = sys.executable

    @property
    def name(self) -> str:
        """As the table shows it."""
        return "plain nbclient" if self.shutdown == "graceful" else "nbclient, kernels killed"

    def prepare(self, folder: Path, size: Size) -> None:
        """Write the same notebooks."""
        write_course(folder, size.notebooks)

    def command(self, folder: Path, size: Size) -> list[str]:
        """Execute them in a pool of processes."""
        where = [str(folder / "submissions"), str(size.workers), self.shutdown]
        return [self.python, "-m", "benchmarks.plain_nbclient", *where]


@dataclass(frozen=True, slots=True)
class Nbgrader:
    """`nbgrader autograde`; it has no option to run several at a time.

    Args:
        python: Interpreter of an environment with nbgrader, ipykernel and torch.
    """

    python: str
    name: str = "nbgrader autograde"

    def prepare(self, folder: Path, size: Size) -> None:
        """Write the course with a cell of tests, and make the assignment known to nbgrader."""
        for number in range(size.notebooks):
            place = folder / "submitted" / student(number) / SLUG / f"{SLUG}.ipynb"
            write_notebook(place, self._cells(number))
        write_notebook(folder / "source" / SLUG / f"{SLUG}.ipynb", self._cells(0))
        told = [self.python, "-m", "nbgrader", "generate_assignment", SLUG]
        command = [*told, "--course-dir", str(folder)]
        env = environment(self.python)
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)  # noqa: S603

    def command(self, folder: Path, size: Size) -> list[str]:
        """Grade everything anew."""
        told = [self.python, "-m", "nbgrader", "autograde", SLUG, "--force"]
        return [*told, "--course-dir", str(folder)]

    @staticmethod
    def _cells(number: int) -> list[dict[str, object]]:
        about = {
            "schema_version": 3,
            "grade": True,
            "solution": False,
            "locked": True,
            "task": False,
            "grade_id": "test-1",
            "points": 3,
        }
        return [*map(code, cells_of(number)), code(NBGRADER_TEST, nbgrader=about)]


@dataclass(frozen=True, slots=True)
class Otter:
    """`otter run`, once for each notebook, in a process and not in its container.

    Args:
        python: Interpreter of an environment with otter-grader, ipykernel and torch.
    """

    python: str
    name: str = "otter run"

    def prepare(self, folder: Path, size: Size) -> None:
        """Write the notebooks and the autograder's zip."""
        for number in range(size.notebooks):
            cells = [code(source) for source in cells_of(number)]
            write_notebook(folder / student(number) / f"{SLUG}.ipynb", cells)
        with zipfile.ZipFile(folder / "autograder.zip", "w") as archive:
            archive.writestr("otter_config.json", json.dumps(OTTER_CONFIG))
            archive.writestr("tests/q1.py", OTTER_TEST)

    def command(self, folder: Path, size: Size) -> list[str]:
        """Run otter on every notebook, so many processes at a time."""
        each = f'"$3" -m otter run --no-logo -a "$1/autograder.zip" -o {{}} {{}}/{SLUG}.ipynb'
        line = f'find "$1"/* -type d -print0 | xargs -0 -P "$2" -I{{}} {each}'
        return ["sh", "-c", line, "sh", str(folder), str(size.workers), self.python]


def lacks(python: str, package: str) -> str:
    """Say why an interpreter cannot take part, or nothing if it can."""
    wanted = f"import {package}, ipykernel, torch"
    try:
        found = subprocess.run([python, "-c", wanted], capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        return f"{python}: {error.strerror}"
    last = found.stderr.strip().splitlines()[-1:]
    return f"{python}: {last[0] if last else 'it fails'}" if found.returncode else ""
