"""No secret is in a byte that enters or leaves a sandbox, in the image, or in what students get.

Each of our assignments is copied with canaries in its reference, rubric, submissions, environment,
database and secret, and graded for real: what earns everything, a sample with mistakes in it, and a
notebook that repeats all that it is given and searches every file it can read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from boxes import Opener

from grader.assignment import Assignment
from grader.checks import KINDS, metric
from grader.execute import build_box
from grader.plan import Plan
from grader.readable import to_json
from grader.release import release, self_check
from grader.sandbox import docker as engine
from grader.submission import Submission
from grader.symbolic import Symbolic
from grader.values import Tensor
from hostile.canaries import (
    Forms,
    Markers,
    labels,
    number_forms,
    numbers_found,
    sequence_forms,
    squeezed,
    telling,
    text_forms,
)
from hostile.planting import Graded, Planted, grade, plant

#: Samples whose mistakes the rubric knows, so that something is said of them.
SAMPLES = {"cs224n_a5": "s09", "iith_a5": "s09", "nyu_hw2": "s06", "nyu_hw4": "s09"}
RUNS = 6
"""So many runs of numbers are looked for of each probe."""
WHO = ("right", "telling", "wrong")
#: Checks whose results are inputs of a later check: they must have been asked before it.
HANDED_ON = {"cs224n_a5": {"2g/rotary/1"}}
Full = Callable[[str, str], tuple[Planted, Graded]]


def cases(*threats: str) -> pytest.MarkDecorator:
    """Every assignment, where student code is shut in; without a Docker engine also where not."""
    found = []
    for name in ("docker", "bubblewrap"):
        marks = [getattr(pytest.mark, name), pytest.mark.threat(*threats)]
        found += [pytest.param(name, slug, marks=marks, id=f"{name}: {slug}") for slug in SAMPLES]
    found += [pytest.param("process", slug, id=f"process: {slug}") for slug in SAMPLES]
    return pytest.mark.parametrize(("sandbox", "slug"), found)


@pytest.fixture(scope="module")
def full(opened: Opener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    """Each assignment with its canaries, graded once."""
    kept: dict[tuple[str, str], tuple[Planted, Graded]] = {}
    with Symbolic(wall_s=20) as symbolic:

        def give(sandbox: str, slug: str) -> tuple[Planted, Graded]:
            if sandbox == "process" and not engine.why_not():
                pytest.skip("Docker is there, which shows more")
            if (sandbox, slug) not in kept:
                box, root = opened(sandbox), tmp_path_factory.mktemp(slug)
                root.chmod(0o755)
                made = plant(root, slug, SAMPLES[slug])
                kept[sandbox, slug] = made, grade(made, box, symbolic)
            return kept[sandbox, slug]

        yield give


# --- the search itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("before", range(4))
def test_a_text_is_found_however_it_is_written(before: int) -> None:
    markers = Markers()
    text = markers.new("here")
    lead = "x" * before
    for written in (
        json.dumps({"a": lead + text}).encode(),
        repr([lead + text]).encode(),
        (lead + text + "y").encode("utf-16"),
        (lead + text + "y").encode("utf-32-be"),
        base64.b64encode((lead + text + "yz").encode()),
        base64.urlsafe_b64encode((lead + text).encode()),
        (lead + text).encode().hex().encode(),
        b"\0\xff" + text.encode() + b"\0",
    ):
        assert markers.found(written) == {"here"}, written
    assert markers.found(b"canary-" + bytes(50)) == set()


def test_forms_of_a_text_are_long_enough_to_mean_something() -> None:
    markers = Markers()
    assert min(map(len, text_forms(markers.new("x")))) >= 20


def test_numbers_are_found_however_they_are_written() -> None:
    run = np.array([0.1234567, -1.7654321, 2.5555511], np.float32)
    assert [one.tolist() for one in telling({"x": [Tensor(run, "float32")]})] == [run.tolist()]
    forms = {"run": [sequence_forms(run)], "one": [number_forms(0.123456789)]}
    for written in (
        b"\1" + run.tobytes(),
        run.astype(">f8").tobytes(),
        squeezed(str(run.tolist())),
        squeezed("tensor([ 0.1235, -1.7654,  2.5556])"),
    ):
        assert numbers_found(forms, written) == {"run"}, written
    for written in (b"0.123456789", b"<td>0.123457</td>", np.float64(0.123456789).tobytes()):
        assert numbers_found(forms, written) == {"one"}, written
    assert numbers_found(forms, b"0.1234 and 0.12") == set()


# --- what goes in, and what comes out -------------------------------------------------------------


@pytest.mark.slow
@cases("AL-01", "AL-08", "XS-01")
def test_a_sandbox_sees_no_secret_and_nobody_elses_work(
    sandbox: str, slug: str, full: Full
) -> None:
    made, graded = full(sandbox, slug)
    for kind in (graded.boxes, graded.frames):
        found = sorted(sorted(made.markers.found(held)) for held in kind)
        assert found == [[who] for who in WHO]
        assert [numbers_found(rubric_numbers(made), held) for held in kind] == [set()] * len(WHO)


@pytest.mark.slow
@cases("AL-01", "AL-09")
def test_no_expected_result_is_in_what_a_sandbox_is_asked(
    sandbox: str, slug: str, full: Full
) -> None:
    _, graded = full(sandbox, slug)
    plan, known = graded.assignment.plan("image"), results(graded.assignment)
    asked, hidden = box_of(plan), inputs(graded.assignment)
    assert hidden
    assert numbers_found(hidden, asked) == set(hidden)  # or this would see nothing
    found = numbers_found(known, asked)
    assert {place.rpartition("/")[0] for place in found} == HANDED_ON.get(slug, set())
    order = [probe.id for probe in plan.probes]
    for place in found:
        so_far = replace(plan, probes=plan.probes[: order.index(place) + 1])
        assert numbers_found({place: known[place]}, box_of(so_far)) == set()


def box_of(plan: Plan) -> bytes:
    """What goes into a sandbox beside what was handed in."""
    nobody = Submission(student="nobody", assignment=plan.assignment)
    return build_box(nobody, plan, bytes(32), watch_memory=False)


# --- what students get ----------------------------------------------------------------------------


@pytest.mark.slow
@cases("AL-05", "XS-01")
def test_nothing_for_students_holds_a_secret(sandbox: str, slug: str, full: Full) -> None:
    made, graded = full(sandbox, slug)
    for who, files in graded.told.items():
        assert set(files) == {".csv", ".html"}
        said = " ".join(
            getattr(check.conclusion, "says", "")
            for question in graded.scores[who].questions
            for check in question.checks
        )
        # A known mistake is explained to whoever made it.
        matched = {"says"} if made.markers.of["says"] in said else set()
        assert bool(matched) == (who == "wrong")
        for held in files.values():
            assert made.markers.found(held) - {who, f"name of {who}"} == matched
            assert numbers_found(rubric_numbers(made), held) == set()


@pytest.mark.slow
@cases("AL-05")
def test_hidden_inputs_and_results_are_told_to_no_student(
    sandbox: str, slug: str, full: Full
) -> None:
    _, graded = full(sandbox, slug)
    hidden = inputs(graded.assignment)
    hidden |= {f"result of {place}": kept for place, kept in results(graded.assignment).items()}
    (leaks,) = [held for held in graded.frames if b"LEAK" in held]
    told_back = numbers_found(hidden, squeeze(leaks))
    assert told_back  # the notebook did tell, or this would see nothing
    for who, files in graded.told.items():
        for held in files.values():
            found = numbers_found(hidden, held) | numbers_found(hidden, squeeze(held))
            assert found == set(), who


@pytest.mark.slow
@cases("AL-06", "AL-10")
def test_the_released_self_check_holds_no_secret(sandbox: str, slug: str, full: Full) -> None:
    made, graded = full(sandbox, slug)
    given = json.dumps(self_check(graded.assignment), ensure_ascii=False)
    assert made.markers.found(given.encode()) == set()
    hidden = {**inputs(graded.assignment), **results(graded.assignment)}
    assert numbers_found(hidden, squeezed(given)) == set()
    asked = json.dumps([to_json(one) for one in graded.assignment.requests.values()])
    assert numbers_found(inputs(graded.assignment), squeezed(asked))  # or this would see nothing


@pytest.mark.slow
@cases("AL-01", "XS-01")
def test_kept_evidence_holds_no_secret(sandbox: str, slug: str, full: Full) -> None:
    made, _ = full(sandbox, slug)
    folders = sorted((made.course.state / "evidence").iterdir())
    found = [
        {place for path in folder.iterdir() for place in made.markers.found(path.read_bytes())}
        for folder in folders
    ]
    assert sorted(map(sorted, found)) == [[who] for who in WHO]


def squeeze(held: bytes) -> bytes:
    return squeezed(held.decode("utf-8", "replace"))


def rubric_numbers(made: Planted) -> dict[str, list[Forms]]:
    return {place: [number_forms(number)] for place, number in made.numbers.items()}


def inputs(assignment: Assignment) -> dict[str, list[Forms]]:
    """Numbers that hidden probes hand to students' code, by probe."""
    found = {
        f"{check}/{local}": [sequence_forms(run) for run in islice(telling(request), RUNS)]
        for check, asked in assignment.requests.items()
        for local, request in asked.items()
        if not local.startswith("public")
    }
    return {place: forms for place, forms in found.items() if forms}


def results(assignment: Assignment) -> dict[str, list[Forms]]:
    """Numbers that the reference gives for hidden probes, and labels of withheld data."""
    found: dict[str, list[Forms]] = {}
    for check in assignment.rubric.checks:
        asked, kind = assignment.requests[check.id], KINDS[check.kind]
        known = kind.answers(check.params, asked, assignment.context, check.id) or {}
        for local, value in known.items():
            if not local.startswith("public"):
                # At position 0, or from one token alone, some answers are what was asked about, and
                # a network whose hidden units are all cut off gives its last bias.
                put = [asked[local].get(part) for part in ("args", "weights")]
                given = [run.tobytes() for run in telling(put, every=True)]
                runs = [run for run in telling(value) if run.tobytes() not in given]
                found[f"{check.id}/{local}"] = [sequence_forms(run) for run in runs[:RUNS]]
        if isinstance(check.params, metric.Params):
            seed = assignment.context.inputs.seed(f"{check.id}/withheld") % 2**31
            _, right = assignment.context.reference.call(check.params.data, {"seed": seed})
            shown = list(labels(right))
            assert shown, check.id
            found[f"{check.id}/labels"] = shown
    return {place: forms for place, forms in found.items() if forms}


@pytest.mark.slow
@pytest.mark.threat("AL-10")
def test_a_released_template_holds_nothing_that_tools_left_behind(tmp_path: Path) -> None:
    made = plant(tmp_path, "nyu_hw4", "s09")
    given, marker = made.course.template("nyu_hw4"), made.markers.of["reference"]
    notebook = json.loads(given.read_text())
    notebook["metadata"] |= {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook["metadata"]["authors"] = notebook["metadata"]["solution"] = [marker]
    for cell in notebook["cells"]:
        cell["metadata"] = {"tags": ["kept"], "solution": marker, "collapsed": False}
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": marker}]
    given.write_text(json.dumps(notebook))
    for left in (".ipynb_checkpoints/a-checkpoint.ipynb", "__pycache__/a.pyc", ".git/config", ".a"):
        (given.parent / left).parent.mkdir(exist_ok=True)
        (given.parent / left).write_text(marker)
    with Symbolic(wall_s=20) as symbolic:
        release(made.course, made.course.open("nyu_hw4", symbolic), tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [path for path in files if made.markers.found(path.read_bytes())] == []
    told = json.loads((tmp_path / "out" / "nyu_hw4" / "nyu_hw4.ipynb").read_text())
    assert told["metadata"]["kernelspec"]["name"] == "python3"
    assert {str(cell["metadata"]) for cell in told["cells"]} == {"{'tags': ['kept']}"}
