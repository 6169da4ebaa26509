"""A copy of one of our assignments with canaries in all that is secret, and who hands in what."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from reporting import Quiet, pages_here

from grader.assignment import Assignment
from grader.batch import Batch, score_all
from grader.course import Course
from grader.executor import Local
from grader.frames import FrameReader
from grader.grades.desk import Desk
from grader.grades.rows import Grade, Row, Version
from grader.grades.store import open_grades
from grader.intake.folders import Handed
from grader.plan import Limits
from grader.report.publish import Publisher
from grader.report.tables import file_names, write_reports
from grader.rubric.yaml import Document
from grader.sandbox.base import Sandbox, Stopped
from grader.store import Store
from grader.symbolic import Symbolic
from grader.verdict import Score
from hostile.canaries import START, Markers

ROOT = Path(__file__).parents[2]
LOOSER = 1.0007
"""Tolerances and thresholds get odd digits by this factor, and are met as before."""
TOLERANCES = ("rtol", "atol", "falls_to", "lowest_falls_to")

#: Everything that a student's code is given, told back by print and by exceptions. Functions do
#: their work once: what they raise over a public case may be shown, and hides what follows.
TELLS = """
import types
def _telling(of, calls):
    def told(*args, **named):
        if calls:
            calls.pop()
            return of(*args, **named)
        given = (*args, *named.values())
        given = [one.tolist() if hasattr(one, "tolist") else one for one in given]
        print("LEAK", given)
        raise ValueError(f"LEAK {given}")
    return told
for _name, _held in list(globals().items()):
    if isinstance(_held, types.FunctionType) and not _name.startswith("_"):
        globals()[_name] = _telling(_held, [1])
    elif isinstance(_held, type) and "forward" in vars(_held):
        _held.forward = _telling(_held.forward, [])
"""
#: Looks for canaries by their form in all that a notebook can read.
WALKS = f"""
import os, re
_form = re.compile(b"{START[:3]}" + b"{START[3:]}" + b"[0-9a-f]{{16}}")
_mine, _paths, _own = open("mine.txt", "rb").read().strip(), [], []
for _top in (".", "/tmp", "/dev/shm", "/home", "/srv", "/root", "/run", "/mnt"):
    for _at, _folders, _names in os.walk(_top):
        _folders[:] = [one for one in _folders if one != "site-packages"]
        _paths += [os.path.join(_at, one) for one in _names]
for _pid in filter(str.isdigit, os.listdir("/proc")):
    _paths += [f"/proc/{{_pid}}/{{one}}" for one in ("environ", "cmdline")]
for _path in _paths:
    try:
        if _path.startswith("/proc") or os.path.isfile(_path) and os.path.getsize(_path) < 1 << 22:
            _seen = _form.findall(open(_path, "rb").read())
            _own += [one for one in _seen if one == _mine]
            print([one for one in _seen if one != _mine])
    except OSError: pass
assert _own  # or it would see nothing
"""


class Recorder:
    """A sandbox that keeps what goes into another one, and what comes out of it."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner, self.name, self.image = inner, inner.name, inner.image
        self.watch_memory = inner.watch_memory
        self.boxes: list[bytes] = []
        self.frames: list[bytes] = []
        self._lock = threading.Lock()

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """Run it there."""
        stopped = self.inner.run(box, reader, limits=limits, data=data, lib=lib)
        with self._lock:
            self.boxes.append(box)
            self.frames.append(bytes(reader.raw) + stopped.log_tail.encode())
        return stopped

    def close(self) -> None:
        """Whoever opened the other one closes it."""


@dataclass
class Planted:
    """A course with one assignment in it, full of canaries."""

    course: Course
    slug: str
    markers: Markers = field(default_factory=Markers)
    numbers: dict[str, float] = field(default_factory=dict)
    """Of the rubric, by where they stand."""

    @property
    def submissions(self) -> Path:
        """What students hand in."""
        return self.course.root / "submissions" / self.slug


def plant(root: Path, slug: str, sample: str) -> Planted:
    """Copy an assignment and plant.

    Args:
        root: An empty folder.
        slug: One of ours.
        sample: Folder of a sample whose answers are wrong in part.
    """
    made = Planted(Course(root), slug)
    ours = shutil.ignore_patterns("notebooks", "__pycache__")
    shutil.copytree(ROOT / "reference" / slug, root / "reference" / slug, ignore=ours)
    _into_reference(made)
    (root / "rubrics").mkdir()
    _into_rubric(made)
    right, wrong = root / "reference" / slug / "solution", ROOT / "submissions" / slug / sample
    for who, folder, last in (
        ("right", right, ""),
        ("wrong", wrong, ""),
        ("telling", right, TELLS),
    ):
        _hand_in(made, who, folder, last)
    made.markers.add("secret", made.course.secret().hex())
    _into_database(made)
    return made


@contextmanager
def environment_of(made: Planted) -> Iterator[None]:
    """A marker among the variables of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_TEST_CANARY", made.markers.new("environment"))
        yield


def _into_reference(made: Planted) -> None:
    marker = made.markers.new("reference")
    folder = made.course.root / "reference" / made.slug
    for path in folder.glob("*.py"):
        name = marker.replace("-", "_")
        more = (
            f'# {marker}\n{name} = "{marker}"\n\n\ndef of_{name}() -> None:\n    """{marker}"""\n'
        )
        path.write_text(f"{path.read_text()}\n\n{more}")
    (folder / "notes.txt").write_text(marker)


def _into_rubric(made: Planted) -> None:
    rubric = Document(ROOT / "rubrics" / f"{made.slug}.yaml", made.slug).data
    for question in rubric["questions"]:
        _into(question, made, str(question["id"]))
    told = yaml.safe_dump(rubric, sort_keys=False, allow_unicode=True, width=1000)
    path = made.course.root / "rubrics" / f"{made.slug}.yaml"
    path.write_text(f"# {made.markers.new('rubric')}\n{told}")


def _into(part: Any, made: Planted, place: str) -> None:
    """Change everything that says what is right: items, mistakes, tolerances, thresholds."""
    if isinstance(part, list):
        for number, one in enumerate(part):
            _into(one, made, f"{place}/{number}")
    if not isinstance(part, dict):
        return
    if isinstance(part.get("items"), list):
        part["items"] = [f"{item} {made.markers.new('rubric')}" for item in part["items"]]
    if isinstance(part.get("mistakes"), list):
        _into_mistakes(part, made, place)
    for name in TOLERANCES:
        if isinstance(part.get(name), float):
            part[name] = _odd(part[name], made, f"{place} {name}")
    if isinstance(part.get("credit"), dict):
        at = f"{place} credit"
        part["credit"] = {
            _odd(known, made, f"{at} {known}", 1 / LOOSER) if isinstance(known, float) else known: x
            for known, x in part["credit"].items()
        }
    for name in ("checks", "alternatives"):
        inner = part.get(name, [])
        for key, one in inner.items() if isinstance(inner, dict) else enumerate(inner):
            _into(one, made, f"{place}/{key}")


def _into_mistakes(part: dict[str, Any], made: Planted, place: str) -> None:
    marker = made.markers.new("says")
    for mistake in part["mistakes"]:
        mistake["says"] = f"{mistake['says']} {marker}"
    if "expression" in part and isinstance(part.get("equals"), str):
        number = 10**9 + secrets.randbelow(10**9)
        made.numbers[f"{place} mistake"] = number
        known = f"{next(iter(part['symbols']))} + {number}"
        part["mistakes"].append({"equals": known, "says": made.markers.new("rubric")})


def _odd(number: float, made: Planted, place: str, factor: float = LOOSER) -> float:
    found = number * factor * (1 + secrets.randbelow(10**6) * 1e-10)
    made.numbers[place] = found
    return found


def _hand_in(made: Planted, who: str, folder: Path, last: str) -> None:
    """A copy of a folder; the name, the code, the output and a file of its own hold a marker."""
    marker, name = made.markers.new(who), f"{who}-{secrets.token_hex(8)}"
    made.markers.add(f"name of {who}", name)
    there = made.submissions / name
    shutil.copytree(folder, there, ignore=shutil.ignore_patterns("__pycache__"))
    (there / "mine.txt").write_text(marker)
    path = there / f"{made.slug}.ipynb"
    notebook = json.loads(path.read_text())
    for source in (f"# {marker}\nprint('{marker}')", last):
        cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
        notebook["cells"].append(cell | {"execution_count": None})
    path.write_text(json.dumps(notebook))


def _into_database(made: Planted) -> None:
    marker = made.markers.new("database")
    row = Row(
        assignment=made.slug,
        student=next(made.submissions.glob("wrong-*")).name,
        question="2c",
        check=marker,
        kind="written",
        max_points=1.0,
        version=Version(text="", submission=marker),
    )
    with open_grades(made.course.state) as grades:
        at = "2025-01-01T00:00:00+00:00"
        grades.add([Grade(row=row, points="1", comment=marker, by=marker, at=at)])


@dataclass(frozen=True)
class Graded:
    """What became of all that was handed in."""

    assignment: Assignment
    scores: dict[str, Score]
    """By who it is, without the random part of the name."""
    boxes: list[bytes]
    frames: list[bytes]
    told: dict[str, dict[str, bytes]]
    """Files that a student gets, by suffix, by who it is."""


def grade(made: Planted, sandbox: Sandbox, symbolic: Symbolic) -> Graded:
    """Execute, score and publish."""
    bugs: list[str] = []
    recorder, store = Recorder(sandbox), Store(made.course.state)
    if sandbox.name != "process":
        _let_it_walk(made)
    assignment = made.course.open(made.slug, symbolic)
    handed = Handed(made.submissions, made.slug, assignment.layout)
    batch = Batch(
        assignment=assignment,
        plan=assignment.plan(recorder.image),
        executor=Local(recorder),
        store=store,
        jobs=3,
        listener=Quiet(),
        load=handed.read,
    )
    with environment_of(made):
        batch.execute(map(handed.read, handed.students))
    out = made.course.root / "reports"
    desk = Desk(store.root, assignment.rubric)
    scores = list(desk.graded(score_all(assignment, handed, store, bugs)))
    page_of = pages_here(assignment, handed, store, bugs)
    publisher = Publisher(assignment.rubric, page_of, out)
    published = publisher.published(scores, handed.students)
    write_reports(published, handed.students, assignment.rubric, out)
    desk.write(out)
    assert (batch.bugs, bugs) == ([], [])
    told: dict[str, dict[str, bytes]] = {}
    for student, name in file_names(handed.students).items():
        files = sorted((out / made.slug / "students").glob(f"{name}.*"))
        told[_who(student)] = {path.suffix: path.read_bytes() for path in files}
    return Graded(
        assignment=assignment,
        scores={_who(score.student): score for score in scores},
        boxes=recorder.boxes,
        frames=recorder.frames,
        told=told,
    )


def _who(student: str) -> str:
    return student.partition("-")[0]


def _let_it_walk(made: Planted) -> None:
    """Where a sandbox shuts student code in, that which tells everything looks around first."""
    (path,) = made.submissions.glob(f"telling-*/{made.slug}.ipynb")
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["source"] = WALKS + TELLS
    path.write_text(json.dumps(notebook))
