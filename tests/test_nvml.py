"""NVIDIA's own binding, our code above it, and below it a library of ours in place of the driver's.

So nothing of ours or NVIDIA's is replaced but the driver. Each case runs in a process of its own,
because the binding loads its library once for good.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_course import RUBRIC, SOLUTION, make_course, write

from grader.sandbox.lending import quarantined

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")

SOURCE = Path(__file__).parent / "standin_nvml" / "nvml.c"
TWO = "GPU-aaaa 16384 1000 0 1\nGPU-bbbb 8192 100 -1 1\n"
LISTS = """
from grader.sandbox.nvml import Nvml
nvml = Nvml()
devices = map(nvml.device, range(nvml.count()))
"""
LENDS = """
import pathlib, sys
from grader.gpus import Need
from grader.sandbox.lending import Gpus
from grader.sandbox.nvml import Nvml
nvml, driver = Nvml(), pathlib.Path(sys.argv[1])
devices, folder = [nvml.device(n) for n in range(nvml.count())], pathlib.Path(sys.argv[2])
gpus = Gpus(devices, nvml, folder, print, 0.5)
def now(*lines): driver.write_text("".join(line + "\\n" for line in lines))
"""


class Driver:
    """The library, and the file that it reads."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.file, self.quarantine = folder / "driver", folder / "state" / "gpus"
        self.environ = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library.parent),
            "STANDIN_NVML": str(self.file),
        }

    def has(self, text: str) -> None:
        self.file.write_text(text)

    def run(self, program: str) -> str:
        """What a program prints, or the last line of what it raises."""
        command = [sys.executable, "-c", program, str(self.file), str(self.quarantine)]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    def grader(self, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "grader", *args]
        environ = {**self.environ, "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler here to build a stand-in for the driver's library")
    made = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(made), str(SOURCE)], check=True
    )
    return made


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> Driver:
    return Driver(library, tmp_path)


def test_the_inventory_is_what_the_driver_says(driver: Driver) -> None:
    driver.has(TWO)
    program = f"{LISTS}for d in devices: print(d, d.id, d.memory_mib, d.free_mib)"
    assert driver.run(program).splitlines() == [
        "GPU 0 (Stand-in) GPU-aaaa 16384 15384",
        "GPU 1 (Stand-in) GPU-bbbb 8192 8092",
    ]


def test_memory_and_errors_are_measured(driver: Driver) -> None:
    driver.has(TWO)
    program = f"{LISTS}for d in devices: print(nvml.used_mib(d), nvml.lost_bits(d))"
    assert driver.run(program).splitlines() == ["1000 0", "100 0"]


def test_a_gpu_that_is_lost_says_so_and_spoils_no_other(driver: Driver) -> None:
    driver.has("GPU-aaaa 16384 0 0 1\nGPU-bbbb 8192 0 0 0\n")
    assert driver.run(f"{LISTS}for d in devices: print(d.id)\n") == "GPU-aaaa"
    assert driver.run(f"{LISTS}nvml.device(1)") == (
        "grader.errors.InputError: GPU 1 does not answer: GPU is lost"
    )


def test_a_machine_without_a_driver_is_said_in_a_sentence(driver: Driver) -> None:
    assert driver.run(LISTS) == (
        "grader.errors.InputError: no NVIDIA driver answers here: Driver Not Loaded"
    )


@pytest.mark.slow
def test_a_gpu_is_quarantined_by_what_the_driver_says_of_its_memory(driver: Driver) -> None:
    driver.has(TWO)
    program = f"""{LENDS}
with gpus.lend(Need()) as loan:
    now("GPU-aaaa 16384 9000 0 1", "GPU-bbbb 8192 100 0 1")
print(gpus.why_never(Need(memory_mib=9000)))
"""
    why = "it keeps 8000 MiB of memory after a submission has ended"
    assert driver.run(program).splitlines() == [
        f"GPU 0 (Stand-in) is quarantined, no submission gets it any more: {why}",
        "9000 MiB of a GPU are asked for, and GPU 1 (Stand-in) has 8092",
    ]
    assert quarantined(driver.quarantine) == {"GPU-aaaa": why}


def test_a_gpu_that_is_lost_under_a_loan_is_noticed(driver: Driver) -> None:
    driver.has(TWO)
    program = f"""{LENDS}
with gpus.lend(Need()) as loan:
    now("GPU-aaaa 16384 1000 0 0", "GPU-bbbb 8192 100 0 1")
    print(gpus.failure(loan))
"""
    assert driver.run(program).splitlines()[0] == "it does not answer: GPU is lost"


def test_another_gpu_in_its_place_is_not_taken_for_it(driver: Driver) -> None:
    driver.has(TWO)
    program = f"""{LENDS}
with gpus.lend(Need()) as loan:
    now("GPU-bbbb 8192 100 0 1")
    print(gpus.failure(loan))
"""
    says = "it is no longer number 0 of the driver's list"
    assert driver.run(program).splitlines()[0] == says


def test_an_error_that_the_gpu_counted_is_noticed(driver: Driver) -> None:
    driver.has(TWO)
    program = f"""{LENDS}
with gpus.lend(Need()) as loan:
    now("GPU-aaaa 16384 1000 1 1", "GPU-bbbb 8192 100 0 1")
    print(gpus.failure(loan))
"""
    says = "its memory had an error that could not be corrected"
    assert driver.run(program).splitlines()[0] == says


def course(folder: Path, gpu: str) -> Path:
    make_course(folder, ada=SOLUTION)
    text = RUBRIC.replace("memory: 1 GiB}", f"memory: 1 GiB, gpu: {gpu}}}")
    write(folder / "rubrics" / "hw.yaml", text)
    return folder


RUN = ("run", "submissions", "--sandbox", "process", "--trust-students")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "gpus", "says"),
    [
        ("required", "none", "hw asks for a GPU: --gpus names none ("),
        ("required", "3", "--gpus: expected numbers of GPUs that are here (0, 1): 3"),
        ("20 GiB", "all", "20480 MiB of a GPU are asked for, and GPU 0 (Stand-in) has 15384"),
    ],
    ids=["none named", "not there", "too small"],
)
def test_a_rubric_that_requires_a_gpu_runs_nothing_without(
    driver: Driver, tmp_path: Path, gpu: str, gpus: str, says: str
) -> None:
    driver.has(TWO)
    done = driver.grader(*RUN, "--gpus", gpus, cwd=course(tmp_path / "course", gpu))
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "course" / "reports").exists()


@pytest.mark.slow
def test_a_rubric_that_prefers_a_gpu_runs_on_the_cpu_and_the_report_says_so(
    driver: Driver, tmp_path: Path
) -> None:
    done = driver.grader(*RUN, cwd=course(tmp_path / "course", "preferred"))
    assert "hw prefers a GPU and runs on the CPU: --gpus names none" in done.stdout
    line = (tmp_path / "course" / "reports" / "hw" / "scores.csv").read_text().splitlines()[1]
    assert line.startswith("ada,complete,")
    assert "ran on the CPU, because there was no GPU for it" in line


@pytest.mark.slow
def test_a_gpu_that_torch_cannot_find_is_a_fault_and_nobodys_zero(
    driver: Driver, tmp_path: Path
) -> None:
    """The driver's library promises GPUs; whatever torch is installed here sees none."""
    driver.has(TWO)
    done = driver.grader(*RUN, "--gpus", "all", cwd=course(tmp_path / "course", "required"))
    assert done.returncode == 1
    with (tmp_path / "course" / "reports" / "hw" / "scores.csv").open() as file:
        line = file.read().splitlines()[1]
    assert line.startswith("ada,needs_person,")
    staff = (tmp_path / "course" / "reports" / "hw" / "staff.csv").read_text()
    assert "the plan asks for a GPU, and torch finds none" in staff


@pytest.mark.slow
def test_status_names_gpus_in_quarantine(driver: Driver, tmp_path: Path) -> None:
    folder = course(tmp_path / "course", "required")
    write(folder / ".grader" / "gpus" / "GPU-aaaa", "it failed its self-test: broken\n")
    done = driver.grader("status", "submissions", cwd=folder)
    says = "quarantined: GPU-aaaa: it failed its self-test: broken: grader doctor"
    assert says in done.stdout
