"""Run a submission on a borrowed GPU, and tell a GPU that fails from code that does."""

from __future__ import annotations

import time
from collections.abc import Callable

from grader.cuda import driver_error, raised_in
from grader.errors import SandboxFault
from grader.frames import FrameReader
from grader.gpus import Need
from grader.plan import Limits
from grader.sandbox.base import Stopped
from grader.sandbox.lending import Gpus, Loan

SELF_TEST_FAILED = 6
"""Exit code of a guest whose GPU computed nothing, or something wrong."""


def need_of(limits: Limits) -> Need:
    """What a submission under these limits needs of a GPU."""
    return Need(memory_mib=limits.gpu_mib, share=limits.gpu_share)


def run_on_gpu(
    gpus: Gpus | None,
    limits: Limits,
    reader: FrameReader,
    attempt: Callable[[str | None], Stopped],
) -> Stopped:
    """Borrow a GPU for one run; take another if one fails before any code of a student ran.

    Args:
        gpus: Who lends, if anybody does.
        limits: What is needed; without a GPU, nothing is borrowed.
        reader: Takes what the guest writes.
        attempt: Starts a guest that sees the GPU of this id or none, and waits for its end.

    Raises:
        SandboxFault: no GPU will do, one failed under the submission, or it ran out of memory that
            others beside it may have taken.
    """
    if not limits.gpu:
        return attempt(None)
    if gpus is None:
        raise SandboxFault("the plan asks for a GPU, and --gpus names none")
    while True:
        with gpus.lend(need_of(limits)) as loan:
            reader.started = time.monotonic()  # waiting for a GPU is nobody's time
            stopped = attempt(loan.device.id)
            if reader.ready_at is not None:
                _assert_sound(gpus, loan, reader)
                return stopped
            if stopped.exit_code != SELF_TEST_FAILED:
                loan.suspect = True
                return stopped
            tail = stopped.log_tail.strip().splitlines()[-1:] or ["no reason given"]
            loan.broken = f"it failed its self-test: {tail[0].removeprefix('guest: ')}"


def _assert_sound(gpus: Gpus, loan: Loan, reader: FrameReader) -> None:
    """Refuse to conclude anything about a student whose GPU failed, or was too full."""
    raised = list(raised_in(reader.frames))
    loan.broken = gpus.failure(loan)
    if why := loan.broken or driver_error(raised):
        loan.suspect = True
        raise SandboxFault(f"{loan.device} failed under the submission: {why}")
    loan.suspect = not reader.ended
    if gpus.crowded(loan) and any(one.of_gpu_memory for one in raised):
        raise SandboxFault(f"{loan.device} ran out of memory while others used it, too")
