"""Faults of the machine, met by the real command: a full disk, no file handles, a killed grader.

Whatever breaks, no table shows a score from it, and a plain run afterwards shows the right one.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import docker as sdk
import psutil
import pytest
from boxes import Opener
from conftest import require
from small_course import notebook, write

from grader.options import ALL_SCORED, NEEDS_PERSON, OUR_BUG
from grader.sandbox import engine
from grader.sandbox.docker import RUN_LABEL, DockerSandbox
from hostile.course import RIGHT, SLUG, make_course
from hostile.wire import ATTACH, Break, Wire, wire_to_engine

if sys.platform == "win32":
    pytest.skip("Windows has neither of these limits", allow_module_level=True)
import resource

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "grader", "run", "submissions", "--jobs", "1")
#: Mounts a file system of 16 pages on the folder `$0`, fills it, and runs the rest in its sight.
FULL_DISK = """
mount -t tmpfs -o size=64k tmpfs "$0" || exit 99
head -c 1000000 /dev/zero > "$0/filling" 2> /dev/null
exec "$@"
"""
IN_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
QUESTIONS = tuple(RIGHT)
SLEEPS = "import time\ntime.sleep(4)"
OVERDUE_S = 2.0
ENDS_S = {"bubblewrap": 2.0, "process": 30.0}
"""What a box may take to end when nobody listens any more; a process hears it at its next word."""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course with one student, who has everything right."""
    make_course(tmp_path)
    write(tmp_path / "submissions" / SLUG / "s01" / f"{SLUG}.ipynb", notebook(*RIGHT.values()))
    return tmp_path


def run(
    course: Path,
    *prefix: str,
    sandbox: str = "process",
    before: Callable[[], None] | None = None,
) -> int:
    """Run the command in the course; returns its exit code."""
    done = subprocess.run(
        [*prefix, *COMMAND, "--sandbox", sandbox],
        cwd=course,
        # Where files cannot grow, Python would leave half of its own bytecode, and read it later.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(done.stdout, done.stderr)  # noqa: T201 - pytest shows it if the test fails
    return done.returncode


def row(course: Path) -> dict[str, str]:
    """What the table says of the student; empty if there is none."""
    table = course / "reports" / SLUG / "scores.csv"
    if not table.is_file():
        return {}
    with table.open(newline="") as file:
        return next(iter(csv.DictReader(file)), {})


def no_score(course: Path) -> None:
    """There is no row, or one that says that a person must look."""
    found = row(course)
    if found:
        assert found["status"] == "needs_person"
        assert {found[question] for question in (*QUESTIONS, "total")} == {""}


def is_right(course: Path) -> None:
    found = row(course)
    assert (found["status"], found["total"], found["percent"]) == ("complete", "12", "100"), found


@cache
def why_no_full_disk() -> str:
    """Say why no file system can be mounted here, or nothing if one can."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    command = [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


@pytest.mark.threat("RE-04", "RE-06", "RX-04", where="grader")
@pytest.mark.parametrize(
    ("full", "code"),
    [(".grader/evidence", OUR_BUG), (".grader/sql", OUR_BUG), ("reports", OUR_BUG)],
)
def test_a_full_disk_gives_no_score_until_a_plain_run(
    full: str, code: int, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_DATABASE", f"sqlite:///{course}/.grader/sql/grader.db")
    (course / ".grader" / "sql").mkdir(parents=True)
    require("bubblewrap", why_no_full_disk())  # which takes the same namespaces
    (course / full).mkdir(parents=True, exist_ok=True)
    assert run(course, *IN_A_NAMESPACE, "sh", "-c", FULL_DISK, full) == code
    no_score(course)
    assert run(course) == ALL_SCORED
    is_right(course)


@pytest.mark.threat("RE-04", "RE-06", where="grader")
def test_files_that_cannot_grow_give_no_score_until_a_plain_run(course: Path) -> None:
    limit = 2048  # enough for the table, neither for evidence nor for the database
    code = run(course, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert code in (NEEDS_PERSON, OUR_BUG)
    no_score(course)
    assert run(course) == ALL_SCORED
    is_right(course)


@pytest.mark.threat("RE-04", "RE-06", where="grader")
@pytest.mark.parametrize("handles", [12, 16])
def test_a_lack_of_file_handles_gives_no_score_until_a_plain_run(
    handles: int, course: Path
) -> None:
    code = run(
        course, before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))
    )
    assert code != ALL_SCORED
    no_score(course)
    assert run(course) == ALL_SCORED
    is_right(course)


@pytest.mark.docker
@pytest.mark.threat("RE-07")
@pytest.mark.parametrize("sandbox", ["docker", "docker-warm"])
def test_a_later_start_removes_what_a_killed_grader_left(
    sandbox: str, course: Path, opened: Opener
) -> None:
    opened(sandbox)
    # What students were given is executed first.
    template = course / "reference" / SLUG / "student" / f"{SLUG}.ipynb"
    template.write_text(notebook(SLEEPS))
    with wire_to_engine() as wire, closing(engine.connect()) as client:
        grader = start_grader(course, wire, sandbox)
        wire.breaks.append(Break(where=ATTACH, after=300, then=grader.kill))
        grader.wait(120)
        (left,) = wire.containers
        assert left in containers(client)
        time.sleep(OVERDUE_S + 1)
        with closing(DockerSandbox()):
            assert left not in containers(client)
    no_score(course)
    assert run(course, sandbox=sandbox) == ALL_SCORED
    is_right(course)


@pytest.mark.parametrize(
    "sandbox", [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap), "process"]
)
@pytest.mark.threat("RE-07")
def test_what_a_killed_grader_ran_ends_without_it(
    sandbox: str, course: Path, opened: Opener
) -> None:
    opened(sandbox)
    template = course / "reference" / SLUG / "student" / f"{SLUG}.ipynb"
    template.write_text(notebook(SLEEPS))
    grader = subprocess.Popen([*COMMAND, "--sandbox", sandbox], cwd=course)
    boxes = wait_for_a_kernel(psutil.Process(grader.pid))
    grader.kill()
    grader.wait(120)
    _, left = psutil.wait_procs(boxes, timeout=ENDS_S[sandbox])
    assert left == []
    no_score(course)
    assert run(course, sandbox=sandbox) == ALL_SCORED
    is_right(course)


def wait_for_a_kernel(grader: psutil.Process) -> list[psutil.Process]:
    """The processes of a box, as soon as student code can run in it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = [one for one in grader.children(recursive=True) if is_of_a_box(one)]
        if any("kernel" in one.cmdline() for one in found):
            return found
        time.sleep(0.1)
    raise AssertionError("no kernel was started")


def is_of_a_box(process: psutil.Process) -> bool:
    try:
        told = process.cmdline()
    except psutil.Error:  # it has just ended
        return False
    return process.name() == "bwrap" or any(part.endswith("guest/main.py") for part in told)


def start_grader(course: Path, wire: Wire, sandbox: str) -> subprocess.Popen[bytes]:
    """Start the command, whose containers are overdue soon after they were made."""
    program = (
        "import grader.sandbox.docker as docker\n"
        f"docker.GRACE_S = {OVERDUE_S} - (120 + 25 + 10)\n"  # the limits of the course
        "from grader.__main__ import main\n"
        "main()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *COMMAND[3:], "--sandbox", sandbox],
        cwd=course,
        env=os.environ | {"DOCKER_HOST": f"unix://{wire.path}"},
    )


def containers(client: sdk.DockerClient) -> set[str]:
    found = client.api.containers(all=True, filters={"label": RUN_LABEL})
    return {one["Id"] for one in found}
