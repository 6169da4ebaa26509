"""Verify, release and check with real kernels on this machine: the notebooks are ours."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from frames_of import FakeSandbox
from small_course import SOLUTION, TEMPLATE, WRONG, frames, make_course, notebook, write
from test_batch import Listened

from grader.assignment import Assignment
from grader.course import Course
from grader.errors import InputError
from grader.execute import build_box
from grader.readable import to_json
from grader.release import release, self_check
from grader.sandbox.process import ProcessSandbox
from grader.selfcheck import Line, check, read_self_check
from grader.submission import Submission
from grader.symbolic import Symbolic
from grader.verify import Proof, verify

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ProcessSandbox]:
    made = ProcessSandbox()
    yield made
    made.close()


def expect(course: Course, told: str) -> None:
    write(course.root / "submissions" / "hw" / "expected.yaml", told)


def prove(course: Course, symbolic: Symbolic, sandbox: ProcessSandbox) -> Proof:
    return verify(course, course.open("hw", symbolic), sandbox, jobs=2, listener=Listened())


@pytest.mark.slow
def test_a_rubric_proves_itself(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    course = make_course(tmp_path, s01=SOLUTION, s02=WRONG)
    expect(
        course,
        "s01: {status: complete, points: {1: 1, 2: 2, 3: pending}}\n"
        "s02: {status: complete, points: {1: 0, 2: 0.5, 3: 0}}\n",
    )
    proof = prove(course, symbolic, sandbox)
    assert (proof.problems, proof.verified, proof.bugs) == ((), 4, ())


@pytest.mark.slow
def test_every_disagreement_is_named(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    course = make_course(tmp_path, s01=SOLUTION, s02=WRONG)
    expect(
        course,
        "s01: {status: time_limit, points: {1: 1, 2: 2, 3: pending}}\n"
        "s03: {status: complete, points: {}}\n",
    )
    write(tmp_path / "reference/hw/solution/hw.ipynb", notebook(*SOLUTION[1:]))
    write(tmp_path / "reference/hw/student/hw.ipynb", notebook("count = 'n*(n+1)/2'", *TEMPLATE))
    assert list(prove(course, symbolic, sandbox).problems) == [
        "the solution, 1 count: expected full, found not_run: count is not defined.",
        "s01: expected status time_limit, found complete ()",
        "s02: expected.yaml does not say what it must earn",
        "s03: expected.yaml names it, but there is no such submission",
    ]


@pytest.mark.slow
def test_single_checks_may_be_stated_too(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    course = make_course(tmp_path, s01=SOLUTION, s02=WRONG)
    expect(
        course,
        "s01: {status: complete, points: {1: 1, 1 count: 1, 2: 2, 3: pending, 3 written: 1}}\n"
        "s02: {status: complete, points: {1: 0, 1 count: 0.5, 1 counts: 1, 2: 0.5, 3: 0}}\n",
    )
    assert list(prove(course, symbolic, sandbox).problems) == [
        "s01, 3 written: expected 1, found None (A person grades this.)",
        "s02, 1 count: expected 0.5, found 0.0 (Every pair was counted. At n = 2 yours gives 4, "
        "expected 3.)",
        "s02, 1 counts: expected 1, found no such check",
    ]


@pytest.mark.slow
def test_a_solution_that_never_ran_proves_nothing(tmp_path: Path, symbolic: Symbolic) -> None:
    course = make_course(tmp_path)
    assignment = course.open("hw", symbolic)
    right = frames(assignment.plan("fake image").probes, "n*(n+1)/2", 2)
    proof = verify(course, assignment, FakeSandbox([], [], right), jobs=1, listener=Listened())
    assert proof.problems[0].startswith(
        "the solution: expected status complete, found needs_person (the guest never became ready"
    )


@pytest.mark.slow
def test_verifying_needs_a_solution(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    course = make_course(tmp_path)
    course.solution("hw").unlink()
    with pytest.raises(InputError, match=r"solution/hw\.ipynb, found none"):
        prove(course, symbolic, sandbox)


CLAIMS = """\
assignment: hw
points: 6
questions:
  - {id: 1, points: 1, value: accuracy, at_least: 80}
  - {id: 2, points: 1, value: six, equals: 6}
  - {id: 3, points: 1, metric: typed, data: labels_alone, credit: {0: 0, 1: 1}}
  - {id: 4, points: 1, metric: predict, data: withheld, credit: {0: 0, 1: 1}}
  - id: 5
    points: 2
    checks: [{curve: losses, steps: 3, reaches: 1}, {function: double, cases: [{x: 2}]}]
"""
CLAIMS_REFERENCE = """\
import torch
def labels_alone(seed): return None, torch.zeros(3, dtype=torch.long)
def withheld(seed): return torch.ones(3, 1), torch.zeros(3, dtype=torch.long)
def double(x): return 2 * x
"""


@pytest.mark.slow
def test_what_rests_on_a_students_word_is_listed(tmp_path: Path, symbolic: Symbolic) -> None:
    course = make_course(tmp_path)
    write(tmp_path / "rubrics/hw.yaml", CLAIMS)
    write(tmp_path / "reference/hw/reference.py", CLAIMS_REFERENCE)
    proof = verify(
        course, course.open("hw", symbolic), FakeSandbox([], []), jobs=1, listener=Listened()
    )
    assert proof.testimony == (
        "1 accuracy (value): 1 points",
        "3 typed (metric): 1 points",
        "5 losses (curve): 1 points",
    )


# --- what students get ----------------------------------------------------------------------------


def released(course: Course, symbolic: Symbolic) -> Path:
    release(course, course.open("hw", symbolic), course.root / "release")
    return course.root / "release" / "hw"


def checked(folder: Path, symbolic: Symbolic, sandbox: ProcessSandbox) -> list[Line]:
    told = read_self_check(folder / "hw.check.json")
    return check(folder / "hw.ipynb", told, sandbox, symbolic)


@pytest.mark.slow
def test_a_right_notebook_checks_out(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    folder = released(make_course(tmp_path), symbolic)
    write(folder / "hw.ipynb", notebook(*SOLUTION))
    assert [(line.question, line.ok, line.says) for line in checked(folder, symbolic, sandbox)] == [
        ("1", True, "a formula in n: is there"),
        ("2", True, "a function double(x): 1 public case right"),
        ("3", True, "a few sentences under the heading 3: is there"),
    ]


@pytest.mark.slow
def test_what_is_wrong_is_said_without_the_answer(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    folder = released(make_course(tmp_path), symbolic)
    write(
        folder / "hw.ipynb", notebook("count = 'n*(n+1'", "1/0", "def double(x):\n    return 3*x")
    )
    cell, count, double, words = checked(folder, symbolic, sandbox)
    assert (cell.name, cell.says) == (
        "cell 2",
        "cell 2 raised ZeroDivisionError: division by zero.",
    )
    assert count.says.startswith("count cannot be read as a formula:")
    assert double.says.startswith("A public case is wrong: 2 of 2 values differ")
    assert words.says == "There is no heading 3."
    assert not any(line.ok for line in (cell, count, double, words))


@pytest.mark.slow
@pytest.mark.threat("AL-06")
def test_a_wrong_formula_in_the_right_form_is_not_given_away(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    folder = released(make_course(tmp_path), symbolic)
    write(folder / "hw.ipynb", notebook("count = 'n**5'", *SOLUTION[1:]))
    assert all(line.ok for line in checked(folder, symbolic, sandbox))


@pytest.mark.slow
def test_of_alternatives_only_the_chosen_one_is_looked_at(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    course = make_course(tmp_path)
    rubric = """\
assignment: hw
limits: {cell: 5 s, total: 60 s, probe: 5 s, memory: 1 GiB}
questions:
  - id: 1
    points: 1
    alternatives:
      named: [{choice: order, options: [linear, quadratic], equals: linear}]
      counted:
        - {expression: count, equals: n*(n+1)/2, symbols: {n: positive integer}}
        - {function: double, public: [{x: 2}], cases: [{x: 3}]}
"""
    write(tmp_path / "rubrics" / "hw.yaml", rubric)
    folder = released(course, symbolic)
    write(folder / "hw.ipynb", notebook(*SOLUTION))
    lines = checked(folder, symbolic, sandbox)
    assert [(line.question, line.name, line.ok) for line in lines] == [
        ("1", "count", True),
        ("1", "double", True),
    ]
    write(folder / "hw.ipynb", notebook("order = 'linear'"))
    lines = checked(folder, symbolic, sandbox)
    assert [(line.question, line.name, line.ok) for line in lines] == [("1", "order", True)]


def test_a_self_check_of_another_kind_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "hw.check.json", '{"version": 99}')
    with pytest.raises(InputError, match="expected version 1"):
        read_self_check(tmp_path / "hw.check.json")
    write(tmp_path / "hw.check.json", "oops")
    with pytest.raises(InputError, match="expected the file that came with the assignment"):
        read_self_check(tmp_path / "hw.check.json")


# --- canaries: no answer half reaches a student or a sandbox --------------------------------------


def answers_of(assignment: Assignment) -> list[str]:
    """Texts of the answer halves that nobody outside may read."""
    found: list[str] = []
    for check_ in assignment.rubric.checks:
        params = check_.params
        found += [mistake.says for mistake in params.mistakes]
        if check_.kind == "choice":
            continue  # its options are the question
        found += [str(m.equals) for m in params.mistakes if isinstance(m.equals, str)]
        found += [str(m.reference) for m in params.mistakes if m.reference is not None]
        equals = getattr(params, "equals", None)
        found += [equals] if isinstance(equals, str) else []
        for name in ("reference", "data"):
            of = getattr(params, name, None)
            found += [of] if of and of != params.of else []  # what is asked for is no secret
        found += [str(item) for item in getattr(params.of, "items", ())]
    return [text for text in found if len(text) > 3]


@pytest.mark.slow
@pytest.mark.threat("AL-01", "AL-06")
@pytest.mark.parametrize("slug", sorted(path.stem for path in (ROOT / "rubrics").glob("*.yaml")))
def test_no_answer_leaves_the_trusted_side(slug: str, symbolic: Symbolic) -> None:
    assignment = Course(ROOT).open(slug, symbolic)
    answers = answers_of(assignment)
    assert len(answers) > 10
    plan = assignment.plan("image")
    empty = Submission(student="s01", assignment=slug)
    box = build_box(empty, plan, b"k" * 32, watch_memory=False)
    bundle = json.dumps(self_check(assignment)).encode()
    for answer in answers:
        assert answer.encode() not in box, f"{answer!r} would enter a sandbox"
        assert answer.encode() not in bundle, f"{answer!r} would be given to students"


@pytest.mark.threat("AL-06")
def test_hidden_cases_and_labels_stay_here(symbolic: Symbolic) -> None:
    assignment = Course(ROOT).open("nyu_hw4", symbolic)
    bundle = json.dumps(self_check(assignment))
    hidden = [
        json.dumps(to_json(request["args"]["x"]))
        for asked in assignment.requests.values()
        for local, request in asked.items()
        if local.startswith("case") and "x" in request["args"]
    ]
    assert hidden
    assert [case for case in hidden if case in bundle] == []
    seed = assignment.context.inputs.seed("3/3/withheld") % 2**31
    tokens, labels = assignment.context.reference.call("withheld_sequences", {"seed": seed})
    assert json.dumps(tokens.array[:8].tolist()) not in bundle
    nothing = Submission(student="s01", assignment="nyu_hw4")
    box = build_box(nothing, assignment.plan("image"), b"k" * 32, watch_memory=False)
    assert tokens.array.tobytes() in box
    assert labels.array.tobytes() not in box


MODEL_RUBRIC = """\
assignment: hw
limits: {cell: 10 s, total: 60 s, probe: 20 s, memory: 2 GiB}
questions:
  - {id: 1, points: 1, model: Net, inputs: [{x: 'normal(4, 3)'}], compare: [outputs]}
"""
NET = """\
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {name} = nn.Linear(3, 2)
    def forward(self, x):
        return {returns}
"""
RIGHT = {"name": "self.fc", "returns": "self.fc(x)"}
MISFITS = {
    "nothing": (RIGHT | {"returns": "None"}, "Expected an output of shape [4, 2], found None."),
    "a shape": (
        RIGHT | {"returns": "self.fc(x).sum(1)"},
        "Expected an output of shape [4, 2], found one of shape [4].",
    ),
    "a dict": (
        RIGHT | {"returns": "{'y': 1}"},
        "Expected an output of shape [4, 2], found no tensor.",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("net", "says"), MISFITS.values(), ids=MISFITS)
def test_what_a_model_returns_is_said_in_words(
    net: dict[str, str], says: str, tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    course = make_course(tmp_path)
    write(tmp_path / "rubrics" / "hw.yaml", MODEL_RUBRIC)
    write(tmp_path / "reference" / "hw" / "reference.py", NET.format(**RIGHT))
    folder = released(course, symbolic)
    write(folder / "hw.ipynb", notebook(NET.format(**net)))
    assert [line.says for line in checked(folder, symbolic, sandbox)] == [says]


@pytest.mark.slow
def test_what_a_cell_says_ends_once(
    tmp_path: Path, symbolic: Symbolic, sandbox: ProcessSandbox
) -> None:
    folder = released(make_course(tmp_path), symbolic)
    write(folder / "hw.ipynb", notebook("raise OSError('That is all.')", *SOLUTION))
    assert checked(folder, symbolic, sandbox)[0].says == "cell 1 raised OSError: That is all."
