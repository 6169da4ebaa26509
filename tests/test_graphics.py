"""A GPU that fails is told from code that does: with real processes, and GPUs that are made up.

The guests here are stand-ins that behave as ours does on a GPU that works or fails. What CUDA
itself does is tested where there is a GPU: see docs/gpu.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import standin
from boxes import Boxed, run
from gpus_of import Lent

from grader.codec import encode
from grader.cuda import DRIVER_ERRORS, driver_error, raised_in
from grader.errors import SandboxFault
from grader.evidence import Raised, read_cells
from grader.frames import Frame
from grader.gpus import Need
from grader.sandbox.lending import quarantined
from grader.sandbox.process import ProcessSandbox

SEES = f"{standin.SPEAKS}\ngpu = os.environ.get('CUDA_VISIBLE_DEVICES')"
WORKS = f"{SEES}\nready()\nframe('restart', seen=gpu)\nend()"
FAILS_ON_ONE = f"""{SEES}
if gpu == "GPU-0":
    print("guest: a matrix product failed on cuda: misaligned", file=sys.stderr)
    sys.exit(6)
{WORKS.removeprefix(SEES)}"""


def raising(ename: str, code: str, then: str = "end()") -> str:
    """A guest whose student's first cell raises."""
    payload = encode({"ename": ename, "evalue": "CUDA error", "code": code})
    told = "index=0, status='error', wall_s=0.1, seen=gpu"
    return f"{SEES}\nready()\nframe('cell', {payload!r}, {told})\n{then}"


def process(guest: str, lent: Lent) -> ProcessSandbox:
    return ProcessSandbox(command=(sys.executable, "-I", "-c", guest), gpus=lent.gpus)


def on(lent: Lent, guest: str, **limits: Any) -> Boxed:
    return run(process(guest, lent), "a = 1", gpu=True, **limits)


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    return Lent(tmp_path / "gpus")


def test_a_submission_sees_the_gpu_that_it_got(lent: Lent) -> None:
    assert [on(lent, WORKS).frames[1].header["seen"] for _ in range(3)] == [
        "GPU-0",
        "GPU-1",
        "GPU-0",
    ]


def test_a_submission_on_a_gpu_computes_with_all_digits(lent: Lent) -> None:
    guest = f"{SEES}\nready()\nframe('restart', seen=os.environ['NVIDIA_TF32_OVERRIDE'])\nend()"
    assert on(lent, guest).frames[1].header["seen"] == "0"


def test_a_submission_that_asks_for_no_gpu_gets_none(lent: Lent) -> None:
    ran = run(process(WORKS, lent), "a = 1")
    assert ran.frames[1].header["seen"] is None


def test_a_gpu_that_fails_its_self_test_is_quarantined_and_another_one_taken(lent: Lent) -> None:
    ran = on(lent, FAILS_ON_ONE)
    assert ran.frames[1].header["seen"] == "GPU-1"
    why = "it failed its self-test: a matrix product failed on cuda: misaligned"
    assert quarantined(lent.folder) == {"GPU-0": why}
    assert lent.said == [f"GPU 0 (T4) is quarantined, no submission gets it any more: {why}"]


def test_when_every_gpu_fails_its_self_test_it_is_a_fault_that_names_all(lent: Lent) -> None:
    guest = f"{SEES}\nprint('guest: broken', file=sys.stderr)\nsys.exit(6)"
    with pytest.raises(SandboxFault) as caught:
        on(lent, guest)
    each = "it failed its self-test: broken"
    assert str(caught.value) == f"no GPU is left: GPU 0 (T4): {each}; GPU 1 (T4): {each}"


def test_a_box_that_fails_otherwise_before_its_student_runs_spoils_no_gpu(lent: Lent) -> None:
    ran = on(lent, f"{SEES}\nsys.exit(3)")
    assert (ran.ready, ran.exit_code, quarantined(lent.folder)) == (False, 3, {})


@pytest.mark.parametrize("code", [46, 214, 999])
def test_a_driver_error_is_ours_and_the_next_run_takes_another_gpu(lent: Lent, code: int) -> None:
    with pytest.raises(SandboxFault) as caught:
        on(lent, raising("AcceleratorError", str(code)))
    says = f"GPU 0 (T4) failed under the submission: CUDA error {code}: {DRIVER_ERRORS[code]}"
    assert str(caught.value) == says
    # What a student's kernel says takes no GPU from the others, but they come later to it.
    assert quarantined(lent.folder) == {}
    assert on(lent, WORKS).frames[1].header["seen"] == "GPU-1"
    assert on(lent, WORKS).frames[1].header["seen"] == "GPU-1"


@pytest.mark.parametrize(
    ("ename", "code"),
    [
        ("OutOfMemoryError", ""),
        ("AcceleratorError", "2"),
        ("AcceleratorError", "700"),
        ("AcceleratorError", "710"),
        ("RuntimeError", ""),
        ("AcceleratorError", "999999"),
        ("AcceleratorError", "nine"),
    ],
    ids=["memory", "memory beside torch", "address", "assertion", "plain", "unheard of", "no code"],
)
def test_what_a_wrong_program_causes_is_its_own(lent: Lent, ename: str, code: str) -> None:
    ran = on(lent, raising(ename, code))
    assert (ran.ended, quarantined(lent.folder)) == (True, {})


def test_out_of_memory_is_said_in_a_sentence() -> None:
    for guest_says in ({"ename": "OutOfMemoryError"}, {"ename": "AcceleratorError", "code": "2"}):
        head = {"kind": "cell", "index": 0, "status": "error", "wall_s": 1.0}
        payload = encode({"evalue": "Tried to allocate 20.00 GiB. GPU 0 has ...", **guest_says})
        (cell,) = read_cells([Frame(head, payload)])
        assert str(cell.raised) == f"{guest_says['ename']}: the memory of the GPU was used up"


def test_an_error_of_the_gpus_own_memory_is_ours(lent: Lent) -> None:
    lent.readings.bits["GPU-0"] = [4, 5]
    with pytest.raises(SandboxFault) as caught:
        on(lent, WORKS)
    why = "its memory had an error that could not be corrected"
    assert str(caught.value) == f"GPU 0 (T4) failed under the submission: {why}"
    assert quarantined(lent.folder) == {"GPU-0": why}


def test_out_of_memory_beside_others_concludes_nothing(tmp_path: Path) -> None:
    lent = Lent(tmp_path / "gpus", 8000)
    guest = raising("OutOfMemoryError", "")
    share: dict[str, Any] = {"gpu_mib": 3000, "gpu_share": True}
    with (
        lent.gpus.lend(Need(memory_mib=3000, share=True)),
        pytest.raises(SandboxFault) as caught,
    ):
        on(lent, guest, **share)
    assert str(caught.value) == "GPU 0 (T4) ran out of memory while others used it, too"
    assert on(lent, guest, **share).ended  # nobody else was there


@pytest.mark.parametrize("need", [{}, {"gpu_mib": 6000}], ids=["whole", "a part"])
def test_out_of_memory_beside_a_program_of_somebody_else_concludes_nothing(
    need: dict[str, int], tmp_path: Path
) -> None:
    lent = Lent(tmp_path / "gpus", 8000)
    guest = raising("OutOfMemoryError", "")
    lent.readings.used["GPU-0"] = [3000]
    with pytest.raises(SandboxFault) as caught:
        on(lent, guest, **need)
    assert str(caught.value) == "GPU 0 (T4) ran out of memory while others used it, too"
    assert on(lent, WORKS, **need).ended, "who had enough is not asked"
    lent.readings.used["GPU-0"] = [100]
    assert on(lent, guest, **need).ended, "the program has gone"
    assert quarantined(lent.folder) == {}


def test_a_guest_that_ends_without_a_last_receipt_makes_its_gpu_wait(lent: Lent) -> None:
    assert not on(lent, raising("AcceleratorError", "700", then="sys.exit(6)")).ended
    assert quarantined(lent.folder) == {}
    assert on(lent, WORKS).frames[1].header["seen"] == "GPU-1"
    assert on(lent, WORKS).frames[1].header["seen"] == "GPU-1"


def test_what_makes_no_sense_in_a_receipt_is_no_error_of_a_driver() -> None:
    head = {"kind": "cell", "index": 0, "status": "error"}
    odd = [Frame(head, b"nonsense"), Frame(head, b""), Frame(head, encode(["ename"]))]
    assert list(raised_in(odd)) == []
    fine = Frame({**head, "kind": "probe"}, encode({"ename": "E", "code": "46"}))
    ready = Frame({"kind": "ready"}, encode({"ename": "E", "code": "46"}))
    assert list(raised_in([*odd, ready, fine])) == [Raised(ename="E", evalue="", code="46")]
    assert driver_error(raised_in([fine])) == "CUDA error 46: the device is busy or unavailable"
    assert driver_error([]) == ""
