"""Assignments of several files, from end to end: modules, notebooks in a row, packages of ours.

With real kernels on this machine: the code is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from small_course import notebook, write
from test_batch import Listened

from grader.course import Course
from grader.errors import InputError, RubricError
from grader.release import release
from grader.sandbox.process import ProcessSandbox
from grader.selfcheck import Line, check, read_self_check
from grader.submission import Layout
from grader.symbolic import Symbolic
from grader.verify import Proof, verify

RUBRIC = """\
assignment: hw
limits: {cell: 10 s, total: 60 s, probe: 5 s, memory: 1 GiB}
files: [src/layer.py, src/model.py]
skip: {tags: [slow], matching: ['\\.fit\\(']}
questions:
  - id: 1
    points: 1
    function: double
    public: [{x: 'tensor([1.0, 2.0])'}]
    cases: [{x: 'normal(3)'}]
  - id: 2
    points: 1
    function: run_model
    cases: [{x: 'normal(3)'}]
  - id: 3
    points: 1
    value: answer
    equals: 42
"""
REFERENCE = "def double(x):\n    return 2 * x\ndef run_model(x):\n    return 2 * x + 1\n"
LAYER = "def double(x):\n    return {}\n"
MODEL = "from layer import double\nfrom pretend import ONE\ndef run_model(x):\n    return {}\n"
BOOK = ["from layer import double", "answer = {}", "model.fit(1)"]


def hand_in(folder: Path, layer: str, model: str, answer: object) -> Path:
    write(folder / "src" / "layer.py", LAYER.format(layer))
    write(folder / "src" / "model.py", MODEL.format(model))
    cells = [source.format(answer) for source in BOOK]
    write(folder / "hw.ipynb", notebook(*cells))
    return folder


def right(folder: Path) -> Path:
    return hand_in(folder, "x + x", "double(x) + ONE", "open('notes.txt').read() and 42")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    write(tmp_path / "rubrics" / "hw.yaml", RUBRIC)
    own = tmp_path / "reference" / "hw"
    write(own / "reference.py", REFERENCE)
    hand_in(own / "student", "None", "None", "None")
    write(own / "student" / "lib" / "pretend.py", "ONE = 1")
    write(own / "student" / "data" / "train.txt", "1")
    write(right(own / "solution") / "notes.txt", "some")
    (tmp_path / "submissions" / "hw").mkdir(parents=True)
    return Course(tmp_path)


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ProcessSandbox]:
    made = ProcessSandbox()
    yield made
    made.close()


def prove(course: Course, symbolic: Symbolic, sandbox: ProcessSandbox) -> Proof:
    return verify(course, course.open("hw", symbolic), sandbox, jobs=2, listener=Listened())


@pytest.mark.slow
def test_folders_of_modules_are_graded(
    course: Course, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    samples = course.root / "submissions" / "hw"
    write(right(samples / "s01") / "notes.txt", "some")
    lacks = right(samples / "s02")
    (lacks / "src" / "layer.py").unlink()
    flat = right(samples / "s03")
    for name in ("layer.py", "model.py"):
        (flat / "src" / name).rename(flat / name)
    (flat / "hw.ipynb").unlink()
    write(right(samples / "s04") / "hw.ipynb", "{")
    copied = right(samples / "s05")
    write(copied / "notes.txt", "some")
    for place in ("new", "old"):
        write(copied / place / "model.py", (copied / "src" / "model.py").read_text())
    (copied / "src" / "model.py").unlink()
    expected = {
        "s01": {"status": "complete", "points": {"1": 1, "2": 1, "3": 1}},
        "s02": {"status": "complete", "points": {"1": 0, "2": 0, "3": 0}},
        "s03": {"status": "complete", "points": {"1": 1, "2": 1, "3": 0}},
        "s04": {"status": "complete", "points": {"1": 1, "2": 1, "3": "pending"}},
        "s05": {"status": "complete", "points": {"1": 1, "2": "pending", "3": 1}},
    }
    write(samples / "expected.yaml", json.dumps(expected))
    proof = prove(course, symbolic, sandbox)
    assert (proof.problems, proof.bugs, proof.verified) == ((), (), 7)


def test_a_solution_without_a_file_proves_nothing(
    course: Course, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    (course.root / "reference" / "hw" / "solution" / "src" / "model.py").unlink()
    with pytest.raises(InputError, match=r"expected a notebook at .*src/model\.py, found none"):
        prove(course, symbolic, sandbox)


def test_a_solution_whose_notebook_is_broken_proves_nothing(
    course: Course, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    write(course.root / "reference" / "hw" / "solution" / "hw.ipynb", "")
    with pytest.raises(InputError, match=r"expected a notebook at .*, found hw\.ipynb is empty"):
        prove(course, symbolic, sandbox)


def test_packages_of_the_course_change_the_plan(course: Course, symbolic: Symbolic) -> None:
    before = course.open("hw", symbolic).plan("image").digest
    write(course.root / "reference" / "hw" / "student" / "lib" / "pretend.py", "ONE = 2")
    after = course.open("hw", symbolic)
    assert before != after.plan("image").digest
    assert after.layout == Layout(
        files=("src/layer.py", "src/model.py"),
        tags=("slow",),
        matching=(r"\.fit\(",),
        ours=("data", "lib"),
    )


@pytest.mark.slow
def test_students_get_the_whole_folder_and_check_it(
    course: Course, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    written = release(course, course.open("hw", symbolic), course.root / "out")
    folder = course.root / "out" / "hw"
    names = ["hw.ipynb", "src/layer.py", "src/model.py", "hw.check.json"]
    assert [path.relative_to(folder).as_posix() for path in written] == names
    assert (folder / "lib" / "pretend.py").is_file()
    assert (folder / "data" / "train.txt").is_file()

    hand_in(folder, "x * 3", "double(", "41 + missing")
    told = read_self_check(folder / "hw.check.json")
    model = "src/model.py raised SyntaxError: '(' was never closed (line 4)."
    cell = "cell 2 of hw.ipynb raised NameError: name 'missing' is not defined."
    assert check(folder, told, sandbox, symbolic) == [
        Line(question="", name="src/model.py", ok=False, says=model),
        Line(
            question="2",
            name="run_model",
            ok=False,
            says=f"run_model is not defined: {model}",
            cause="src/model.py",
        ),
        Line(question="", name="cell 2 of hw.ipynb", ok=False, says=cell),
        Line(
            question="3",
            name="answer",
            ok=False,
            says=f"answer is not defined: {cell}",
            cause="cell 2 of hw.ipynb",
        ),
        Line(
            question="",
            name="cell 3 of hw.ipynb",
            ok=True,
            says="cell 3 of hw.ipynb was not run at grading: "
            r"the assignment leaves out cells with \.fit\(.",
        ),
        Line(
            question="1",
            name="double",
            ok=False,
            says="A public case is wrong: 2 of 2 values differ (100.0%). largest error 2 at [1]: "
            "expected 4, found 6 (allowed 1e-05 + 1.3e-06 x |expected|)",
        ),
    ]
    (folder / "src" / "model.py").unlink()
    first = check(folder / "hw.ipynb", told, sandbox, symbolic)[0]
    assert asdict(first) == {
        "question": "",
        "name": "src/model.py",
        "ok": False,
        "says": "is not there.",
        "cause": "",
    }


@pytest.mark.slow
def test_code_in_the_notebook_instead_of_a_file_checks_out(
    course: Course, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    release(course, course.open("hw", symbolic), course.root / "out")
    folder = course.root / "out" / "hw"
    right(folder)
    write(folder / "notes.txt", "some")
    (folder / "src" / "model.py").unlink()
    own = "from pretend import ONE\ndef run_model(x):\n    return double(x) + ONE"
    cells = [source.format("42") for source in BOOK]
    write(folder / "hw.ipynb", notebook(cells[0], own, *cells[1:]))
    (folder / "link.txt").symlink_to(folder / "notes.txt")
    told = read_self_check(folder / "hw.check.json")
    lines = [(line.name, line.ok, line.says) for line in check(folder, told, sandbox, symbolic)]
    assert lines == [
        ("src/model.py", True, "is not there, but every asked name is."),
        ("files", True, "link.txt was left out: a link."),
        (
            "cell 4 of hw.ipynb",
            True,
            "cell 4 of hw.ipynb was not run at grading: "
            r"the assignment leaves out cells with \.fit\(.",
        ),
        ("double", True, "a function double(x): 1 public case right"),
        ("run_model", True, "a function run_model(x): is there"),
        ("answer", True, "a value answer: is there"),
    ]
    write(folder / "hw.ipynb", "{")
    lines = [(line.name, line.ok, line.says) for line in check(folder, told, sandbox, symbolic)]
    broken = "hw.ipynb is damaged: its text breaks off or is no JSON (line 1): save it anew."
    assert lines[:2] == [
        ("src/model.py", False, "is not there."),
        ("hw.ipynb", False, broken),
    ]


@pytest.mark.slow
def test_notebooks_follow_each_other_in_one_kernel(
    course: Course, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    rubric = RUBRIC.replace("files: [src/layer.py, src/model.py]", "notebooks: [part1, part2]")
    write(course.root / "rubrics" / "hw.yaml", rubric)
    own = course.root / "reference" / "hw"
    for part, cells in {
        "part1": [LAYER.format("2 * x")],
        "part2": ["from pretend import ONE", "def run_model(x):\n    return double(x) + ONE"],
    }.items():
        write(own / "solution" / f"{part}.ipynb", notebook(*cells, "answer = 42"))
        write(own / "student" / f"{part}.ipynb", notebook("answer = None"))
    late = course.root / "submissions" / "hw" / "s01"
    write(late / "part2.ipynb", notebook("answer = 42", "1 / 0"))
    told = "s01: {status: complete, points: {1: 0, 2: 0, 3: 1}}"
    write(course.root / "submissions" / "hw" / "expected.yaml", told)
    assert prove(course, symbolic, sandbox).problems == ()


WRONG = {
    "files: [../layer.py]": "files[0]: expected",
    "files: [/layer.py]": "files[0]: expected",
    "files: [layer.txt]": "files[0]: expected",
    "notebooks: [a/b]": "notebooks[0]: expected",
    "skip: {matching: ['(']}": "skip.matching[0]: expected a regular expression",
    "skip: {tag: [x]}": "skip.tag: unknown key; did you mean tags?",
}


@pytest.mark.parametrize(("line", "says"), WRONG.items(), ids=WRONG)
def test_a_wrong_layout_is_reported(
    line: str, says: str, course: Course, symbolic: Symbolic
) -> None:
    kept = [old for old in RUBRIC.splitlines() if not old.startswith(("files", "skip"))]
    write(course.root / "rubrics" / "hw.yaml", "\n".join([*kept, line]))
    with pytest.raises(RubricError) as caught:
        course.open("hw", symbolic)
    assert says in caught.value.problems[0]
