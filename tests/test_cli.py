"""The command as people use it: every verb, every exit code, and the words that they read."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_course import SOLUTION, TEMPLATE, WRONG, make_course, notebook, write

ROOT = Path(__file__).parents[1]


def grader(*args: str | Path, cwd: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run_here(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run our own two notebooks without a sandbox."""
    return grader("run", "submissions", "--sandbox", "process", "--trust-students", *args, cwd=root)


@pytest.mark.slow
def test_help_teaches_without_waiting_for_torch(tmp_path: Path) -> None:
    done = grader("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "grader verify nyu_hw4" in done.stdout
    assert "Exit codes: 0 all scored; 1 some need a person" in done.stdout
    loaded = "import sys, grader.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded]).returncode == 0


VERBS = [
    "run",
    "score",
    "report",
    "check",
    "release",
    "verify",
    "doctor",
    "status",
    "diff",
    "rubric",
    "grades",
]


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, tmp_path: Path) -> None:
    assert "Usage:" in grader(verb, "--help", cwd=tmp_path).stdout


def test_run_then_score_then_status(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION, **{"=cmd()": WRONG})
    write(tmp_path / "submissions" / "hw" / "s03" / "hw.ipynb", "import torch")
    (tmp_path / "submissions" / "hw" / "s04").mkdir()
    (tmp_path / "submissions" / "hw" / "s05").symlink_to("s01")
    write(tmp_path / "submissions" / "hw" / "late.ipynb", notebook(*SOLUTION))
    first = run_here(tmp_path)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "no sandbox: student code runs here with your rights" in first.stdout
    assert "hw: 2 to execute" in first.stdout
    assert "left out late.ipynb: not a student's folder" in first.stdout
    found = {row["student"]: row for row in rows(tmp_path / "reports" / "hw" / "scores.csv")}
    assert {
        student: (row["status"], row["1"], row["2"], row["3"]) for student, row in found.items()
    } == {
        "'=cmd()": ("complete", "0", "0.5", "0"),
        "s01": ("complete", "1", "2", ""),
        "s03": ("unreadable", "", "", ""),
        "s04": ("missing", "0", "0", "0"),
        "s05": ("unreadable", "", "", ""),
    }
    assert "students/cmd-" in first.stdout

    second = run_here(tmp_path)
    assert "hw: 0 to execute, 2 known from before" in second.stdout

    rubric = tmp_path / "rubrics" / "hw.yaml"
    rubric.write_text(
        rubric.read_text().replace("points: 2\n", "points: 3\n").replace("points: 4", "points: 5")
    )
    again = grader("score", cwd=tmp_path)
    assert again.returncode == 1
    assert rows(tmp_path / "reports" / "hw" / "scores.csv")[1]["2"] == "3"

    status = grader("status", cwd=tmp_path)
    assert status.returncode == 0
    assert "executed" in status.stdout

    shutil.copytree(tmp_path / "submissions" / "hw" / "s01", tmp_path / "late" / "hw" / "s09")
    late = grader("score", "late", "--course", ".", cwd=tmp_path)
    says = "5 students of the scoring before have no folder in late/hw: =cmd(), s01, s03, s04, s05:"
    assert says in " ".join(late.stdout.split())
    assert "not executed: nothing was handed in" in status.stdout


@pytest.mark.slow
def test_identical_files_are_executed_once_and_the_command_says_so(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION, s02=SOLUTION, s03=WRONG)
    done = run_here(tmp_path)
    assert "hw: 3 to execute, 1 of them identical to another\n" in done.stdout, done.stderr
    table = rows(tmp_path / "reports" / "hw" / "scores.csv")
    assert [(row["student"], row["1"]) for row in table] == [
        ("s01", "1"),
        ("s02", "1"),
        ("s03", "0"),
    ]
    evidence = [path.name for path in (tmp_path / ".grader" / "evidence").iterdir()]
    assert len(evidence) == 3, "of s01, of s03 and of the starter"
    third = run_here(tmp_path)
    assert "hw: 0 to execute, 3 known from before\n" in third.stdout


@pytest.mark.slow
def test_what_the_starter_lacks_here_is_said_and_costs_no_points(tmp_path: Path) -> None:
    fetch = "import gone_for_good\ncount = gone_for_good.count"
    given = [TEMPLATE[0], fetch, *TEMPLATE[2:]]
    make_course(tmp_path, s01=[fetch, *SOLUTION[1:]], s02=given)
    write(tmp_path / "reference" / "hw" / "student" / "hw.ipynb", notebook(*given))
    done = run_here(tmp_path)
    lacks = "raised ModuleNotFoundError: No module named 'gone_for_good'"
    assert f"waits for a person: cell 2 {lacks}" in " ".join(done.stdout.split())
    table = {row["student"]: row for row in rows(tmp_path / "reports" / "hw" / "scores.csv")}
    assert (table["s01"]["1"], table["s01"]["2"]) == ("", "2")
    assert table["s01"]["note"] == f"cell 1 {lacks}, as in the starter"
    assert (table["s02"]["1"], table["s02"]["2"]) == ("0", "0")
    assert table["s02"]["note"] == f"the untouched starter; cell 2 {lacks}"


@pytest.mark.slow
def test_process_refuses_a_class(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION, s02=SOLUTION)
    done = grader("run", "submissions", "--sandbox", "process", cwd=tmp_path)
    assert done.returncode == 2
    assert "--sandbox process isolates nothing" in done.stderr


@pytest.mark.slow
def test_a_bad_rubric_stops_before_anything_runs(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION)
    rubric = tmp_path / "rubrics" / "hw.yaml"
    text = rubric.read_text().replace("function: double", "function: dubble")
    rubric.write_text(
        text.replace("reference: squared", "reference: squarred").replace(
            "positive integer", "round"
        )
    )
    done = run_here(tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "rubrics/hw.yaml:10: questions[0].symbols: n: expected words out of real, integer, "
        "positive, negative, nonnegative, nonzero, even, odd, found 'round'",
        "rubrics/hw.yaml:14: questions[1].function: expected a name of reference.py, "
        "found 'dubble'; did you mean double?",
        "rubrics/hw.yaml:17: questions[1].mistakes[0].reference: expected a name of reference.py, "
        "found 'squarred'; did you mean squared?",
    ]


@pytest.mark.slow
def test_bad_input_says_what_was_expected(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION)
    (tmp_path / "elsewhere").mkdir()
    for args, says in [
        (["run", "nowhere"], "expected a folder of submissions, found no folder nowhere"),
        (["run", "elsewhere"], "named like a rubric (hw), found none"),
        (
            ["rubric", "show", "nope"],
            "expected a rubric at rubrics/nope.yaml, found rubrics for: hw",
        ),
        (["run", "submissions", "--student", "s99", "--sandbox", "process"], "none for s99"),
        (["check", "gone.ipynb"], "expected a notebook, found no file gone.ipynb"),
        (["run", "submissions", "--sandbox", "moon"], "'moon' is not one of"),
    ]:
        done = grader(*args, cwd=tmp_path)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_a_reference_that_would_fail_its_own_rubric_stops_before_anything_runs(
    tmp_path: Path,
) -> None:
    make_course(tmp_path, s01=SOLUTION)
    reference = tmp_path / "reference" / "hw" / "reference.py"
    reference.write_text(reference.read_text().replace("2 * x", "x / nothing"))
    done = run_here(tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "rubrics/hw.yaml:12: questions[1]: the reference double raised NameError: "
        "name 'nothing' is not defined",
    ]


@pytest.mark.slow
def test_a_reference_that_cannot_be_used_says_where(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION)
    reference = tmp_path / "reference" / "hw" / "reference.py"
    reference.write_text("import nothing_like_this")
    done = run_here(tmp_path)
    assert done.returncode == 2
    assert (
        "hw/reference.py raised ModuleNotFoundError: No module named 'nothing_like_this'"
        in done.stderr
    )
    reference.unlink()
    gone = run_here(tmp_path)
    assert gone.returncode == 2
    assert "expected the reference at" in gone.stderr


@pytest.mark.slow
def test_a_command_outside_of_a_course_says_so(tmp_path: Path) -> None:
    done = grader("verify", cwd=tmp_path)
    assert done.returncode == 2
    assert "expected a folder rubrics/ at or above" in done.stderr


@pytest.mark.slow
def test_rubric_show_prints_resolved_points() -> None:
    done = grader("rubric", "show", "nyu_hw4", cwd=ROOT)
    assert done.returncode == 0
    assert "SelfAttention" in done.stdout
    assert done.stdout.split()[-2:] == ["all", "10"]


@pytest.mark.slow
def test_a_student_checks_without_the_course(tmp_path: Path) -> None:
    make_course(tmp_path / "course")
    assert grader("release", "hw", cwd=tmp_path / "course").returncode == 0
    home = shutil.copytree(tmp_path / "course" / "release" / "hw", tmp_path / "student")
    untouched = grader("check", "hw.ipynb", cwd=home)
    assert untouched.returncode == 1
    assert "count is still None" in untouched.stdout
    write(home / "my copy.ipynb", notebook(*SOLUTION))
    renamed = grader("check", "my copy.ipynb", cwd=home)
    assert renamed.returncode == 2
    assert "--assignment SLUG if the notebook has another name" in renamed.stderr
    right = grader("check", "my copy.ipynb", "--assignment", "hw", "--json", cwd=home)
    assert right.returncode == 0
    result = json.loads(right.stdout)
    assert (result["ok"], [line["name"] for line in result["lines"]]) == (
        True,
        ["count", "double", "written"],
    )


@pytest.mark.slow
def test_check_of_something_that_is_no_notebook(tmp_path: Path) -> None:
    make_course(tmp_path)
    write(tmp_path / "hw.ipynb", "import torch")
    done = grader("check", "hw.ipynb", cwd=tmp_path)
    assert done.returncode == 1
    assert "hw.ipynb is not a notebook: its text is not JSON (line 1)" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals work otherwise on Windows")
def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION, s02=["import time", *["time.sleep(3)"] * 4, *SOLUTION])
    command = [sys.executable, "-m", "grader", "run", "submissions", "--jobs", "1"]
    command += ["--sandbox", "process", "--trust-students"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "s01: complete" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted: what is finished is kept; the same command goes on" in stderr
    again = run_here(tmp_path)
    assert "1 to execute, 1 known from before" in again.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_bug_that_cannot_be_written_down_is_shown(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"import os, shutil; shutil.rmtree({str(gone)!r}); import grader.__main__ as cli; "
    program += "import sys; sys.argv = ['grader', 'status']; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=gone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("a bug of the grader: please report {")
    assert "FileNotFoundError" in done.stderr


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("slug", sorted(path.stem for path in (ROOT / "rubrics").glob("*.yaml")))
def test_a_rubric_proves_itself_in_docker(slug: str, docker_sandbox: object) -> None:
    done = grader("verify", slug, "--sandbox", "docker", cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "notebooks earn exactly what they must (sandbox docker)" in done.stdout


@pytest.mark.slow
def test_report_writes_pages_beside_the_tables(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION)
    assert run_here(tmp_path).returncode == 1
    done = grader("report", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pages: reports/hw/index.html" in done.stdout
    folder = tmp_path / "reports" / "hw"
    page = (folder / "students" / "s01.html").read_text()
    assert "<h1><bdi>s01</bdi></h1>" in page
    assert "return x + x" in page
    assert "staff/s01.html" in (folder / "index.html").read_text()
    assert (folder / "students" / "s01.csv").is_file()
    assert (
        "the pages are older than these tables: grader report"
        in grader("score", cwd=tmp_path).stdout
    )


@pytest.mark.slow
def test_what_a_change_costs_is_said(tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION, s02=WRONG)
    rubric = tmp_path / "rubrics" / "hw.yaml"
    assert "\n  2: never executed\n" in run_here(tmp_path).stdout
    rubric.write_text(rubric.read_text().replace("credit: 0.25", "credit: 0.5"))
    scored = grader("score", "hw", cwd=tmp_path).stdout
    assert "points of 1 student changed since" in scored
    assert "(the rubric says something else of 2): grader diff hw" in scored
    assert "no score is another than before" in grader("score", "submissions", cwd=tmp_path).stdout
    told = " ".join(grader("diff", "hw", cwd=tmp_path).stdout.split())
    assert "s02 2 0.5 1 rubric 1 question of 1 student changed" in told
    rubric.write_text(rubric.read_text().replace("normal(3)", "normal(4)"))
    rubric.write_text(rubric.read_text().replace("probe: 5 s", "probe: 6 s"))
    says = "2 asks something else, other limits (probe_s 5.0 -> 6.0)"
    told = f"grader run will execute 2 of them again: {says}\n"
    assert told in grader("score", "submissions", cwd=tmp_path).stdout
    again = run_here(tmp_path).stdout
    assert f"hw: 2 to execute\n  2: {says}\n" in again
    assert "again" not in grader("score", "submissions", cwd=tmp_path).stdout
    assert "hw: 0 to execute, 2 known from before" in run_here(tmp_path).stdout
