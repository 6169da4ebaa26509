"""What only containers have: a memory limit of the kernel, runtimes, GPUs, remains of a crash."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import docker as sdk
import pytest
import standin
from boxes import Opener, Place, run
from docker.errors import NotFound
from gpus_of import Lent

from grader.errors import InputError, SandboxFault
from grader.sandbox import engine
from grader.sandbox.base import Cause
from grader.sandbox.docker import DEADLINE_LABEL, RUN_LABEL, DockerSandbox

pytestmark = pytest.mark.docker

EATS = f"{standin.SPEAKS}\nready()\nkept = []\nwhile True: kept.append(b'x' * (16 << 20))"
CHILD_EATS = f"""{standin.SPEAKS}
ready()
if os.fork() == 0:
    kept = []
    while True: kept.append(b'x' * (16 << 20))
os.wait()
end()
"""


@pytest.fixture
def place(opened: Opener, tmp_path: Path) -> Place:
    opened("docker")
    return Place(name="docker", opened=opened, folder=tmp_path, surveys={})


@pytest.fixture
def client(place: Place) -> Iterator[sdk.DockerClient]:
    with closing(engine.connect()) as connection:
        yield connection


def test_a_guest_that_takes_all_memory_is_killed_and_that_is_seen(place: Place) -> None:
    ran = place.standin(EATS, memory_mib=128)
    assert (ran.stopped.cause, ran.exit_code) == (Cause.EXITED, 137)
    assert (ran.stopped.oom_killed, ran.ready, ran.ended) == (True, True, False)


def test_a_child_that_is_killed_for_memory_is_seen_although_the_guest_ends_well(
    place: Place,
) -> None:
    ran = place.standin(CHILD_EATS, memory_mib=128)
    assert (ran.exit_code, ran.ended, ran.stopped.oom_killed) == (0, True, True)


def test_nothing_is_left_of_a_run(place: Place, client: sdk.DockerClient) -> None:
    with closing(DockerSandbox()) as sandbox:
        run(sandbox, "a = 1")
        ours = {"label": f"{RUN_LABEL}={sandbox._run_id}"}
        assert client.api.containers(all=True, filters=ours) == []


def test_the_next_start_removes_what_a_killed_grader_left_and_nobody_elses(
    place: Place, client: sdk.DockerClient
) -> None:
    starts = "import time\nfrom grader.sandbox.docker import DockerSandbox\n"
    starts += "mine = DockerSandbox()\nprint(mine._run_id, flush=True)\ntime.sleep(600)"
    made = []
    try:
        for _ in range(2):
            grader = subprocess.Popen(
                [sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True
            )
            assert grader.stdout
            labels = {RUN_LABEL: grader.stdout.readline().strip()}
            labels[DEADLINE_LABEL] = str(int(time.time() + 1000))
            image = place.sandbox.image
            made.append((grader, client.containers.create(image, labels=labels)))
        killed, living = made
        killed[0].kill()
        killed[0].wait()
        with closing(DockerSandbox()):
            left = {one["Id"] for one in client.api.containers(all=True)}
        assert killed[1].id not in left
        assert living[1].id in left
    finally:
        for grader, container in made:
            grader.kill()
            grader.communicate()
            with suppress(NotFound):
                container.remove(force=True)


@pytest.mark.parametrize(("age_s", "left"), [(-10, 0), (1000, 1)], ids=["overdue", "running"])
def test_what_a_crash_left_is_removed_when_it_is_overdue(
    place: Place, client: sdk.DockerClient, age_s: int, left: int
) -> None:
    sandbox = place.sandbox
    assert isinstance(sandbox, DockerSandbox)
    labels = {RUN_LABEL: "of-a-crash", DEADLINE_LABEL: str(int(time.time() + age_s))}
    made = client.containers.create(sandbox.image, labels=labels)
    try:
        with closing(DockerSandbox()):
            ours: dict[str, Any] = {"label": f"{RUN_LABEL}=of-a-crash"}
            assert len(client.api.containers(all=True, filters=ours)) == left
    finally:
        if left:
            made.remove(force=True)


def test_a_notebook_runs_under_another_runtime_of_the_engine(place: Place) -> None:
    with closing(DockerSandbox(runtime="io.containerd.runc.v2")) as sandbox:
        assert run(sandbox, "a = 1", ask=("a",)).seen() == {"a": 1}


def test_a_runtime_that_the_engine_lacks_is_said_before_anything_runs(place: Place) -> None:
    with pytest.raises(InputError, match=r"--runtime: this engine knows no 'no-such', only .*runc"):
        DockerSandbox(runtime="no-such")


def test_a_plan_that_asks_for_a_gpu_needs_one_to_be_named(place: Place) -> None:
    with pytest.raises(SandboxFault, match="the plan asks for a GPU, and --gpus names none"):
        run(place.sandbox, "a = 1", gpu=True)


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has a GPU")
def test_an_engine_without_gpus_says_so_and_none_is_quarantined_for_it(place: Place) -> None:
    lent = Lent(place.folder / "gpus")
    with (
        closing(DockerSandbox(gpus=lent.gpus)) as sandbox,
        pytest.raises(SandboxFault, match="this engine cannot hand out GPUs"),
    ):
        run(sandbox, "a = 1", gpu=True)
    assert lent.said == []


def test_an_image_that_is_gone_is_a_fault_that_says_what_to_do(place: Place) -> None:
    with closing(DockerSandbox()) as sandbox:
        sandbox.image = "sha256:" + "0" * 64
        with pytest.raises(SandboxFault, match="the runner image is gone; run again"):
            run(sandbox, "a = 1")


def test_data_that_the_students_user_cannot_read_is_refused(place: Place) -> None:
    data = place.folder / "data"
    data.mkdir(mode=0o755)
    (data / "labels.csv").write_text("1")
    (data / "labels.csv").chmod(0o600)
    with pytest.raises(InputError, match=r"labels\.csv: other users cannot read this"):
        run(place.sandbox, "a = 1", data=data)
