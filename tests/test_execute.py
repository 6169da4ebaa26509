"""The ending table: whose doing the end of a run was."""

from dataclasses import replace
from typing import Any

import pytest
from frames_of import NOTHING, FakeSandbox

from grader.errors import ProtocolViolation, SandboxFault
from grader.evidence import CellStatus, Ending, ProbeStatus
from grader.execute import execute
from grader.plan import Limits, Plan, Probe
from grader.sandbox.base import Cause
from grader.submission import Cell, CellKind, Submission

SUBMISSION = Submission(student="s01", assignment="hw", cells=(Cell(CellKind.CODE, "x = 1"),))
PLAN = Plan(
    assignment="hw",
    limits=Limits(),
    probes=(Probe(id="1/1/value", request={"op": "capture", "name": "x"}, time_s=5),),
    seed=0,
)
READY: tuple[str, Any, dict[str, Any]] = ("ready", NOTHING, {"guest": "1"})
CELL = ("cell", {"text": "hi"}, {"index": 0, "status": "ok", "attempt": 1, "wall_s": 0.5})
PROBE = ("probe", 1, {"id": "1/1/value", "status": "ok", "wall_s": 0.1})


def end(ending: str) -> tuple[str, Any, dict[str, Any]]:
    return ("end", NOTHING, {"ending": ending})


@pytest.mark.parametrize("ending", list(Ending))
def test_the_ending_is_what_the_guest_wrote(ending: Ending) -> None:
    evidence = execute(
        SUBMISSION, PLAN, FakeSandbox([READY, CELL, PROBE, end(ending)]), None
    ).evidence()
    assert evidence.ending is ending
    assert evidence.cells[0].status is CellStatus.OK
    assert evidence.observed("1/1/value").value == 1


def test_an_oom_kill_that_the_host_counted_is_the_memory_limit() -> None:
    complete = FakeSandbox([READY, CELL, PROBE, end("complete")], oom_killed=True)
    assert execute(SUBMISSION, PLAN, complete, None).evidence().ending is Ending.MEMORY_LIMIT
    cut = FakeSandbox([READY, CELL], oom_killed=True, exit_code=137)
    evidence = execute(SUBMISSION, PLAN, cut, None).evidence()
    assert evidence.ending is Ending.MEMORY_LIMIT
    assert evidence.observed("1/1/value").status is ProbeStatus.SKIPPED


@pytest.mark.parametrize("stopped", [{"cause": Cause.BACKSTOP, "exit_code": 137}, {"exit_code": 5}])
def test_an_oom_kill_of_another_process_does_not_explain_a_missing_end(stopped: Any) -> None:
    hung = FakeSandbox([READY, CELL], oom_killed=True, **stopped)
    with pytest.raises(SandboxFault, match="no last receipt"):
        execute(SUBMISSION, PLAN, hung, None)


@pytest.mark.parametrize("oom_killed", [False, True])
@pytest.mark.parametrize("cause", [Cause.EXITED, Cause.BACKSTOP])
def test_nothing_before_ready_is_the_students(cause: Cause, oom_killed: bool) -> None:
    with pytest.raises(SandboxFault, match="never became ready"):
        execute(SUBMISSION, PLAN, FakeSandbox([], cause=cause, oom_killed=oom_killed), None)


@pytest.mark.parametrize("cause", [Cause.EXITED, Cause.BACKSTOP])
def test_a_missing_last_receipt_is_ours(cause: Cause) -> None:
    with pytest.raises(SandboxFault, match="no last receipt"):
        execute(SUBMISSION, PLAN, FakeSandbox([READY, CELL, PROBE], cause=cause), None)


def test_an_unknown_ending_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="no ending"):
        execute(SUBMISSION, PLAN, FakeSandbox([READY, end("full_marks")]), None)


@pytest.mark.parametrize(
    "receipt",
    [
        ("probe", 1, {"id": "9/9/other", "status": "ok"}),
        ("probe", 1, {"id": "1/1/value", "status": "full_marks"}),
        ("cell", {}, {"status": "ok"}),
        ("cell", 3, {"index": 0, "status": "ok"}),
    ],
    ids=["unasked", "unknown status", "no index", "no dict"],
)
def test_a_receipt_that_no_guest_writes_is_a_violation(receipt: Any) -> None:
    with pytest.raises(ProtocolViolation):
        execute(SUBMISSION, PLAN, FakeSandbox([READY, receipt, end("complete")]), None)


def test_two_answers_to_one_probe_are_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="asked once"):
        execute(SUBMISSION, PLAN, FakeSandbox([READY, PROBE, PROBE, end("complete")]), None)


@pytest.mark.parametrize(
    ("receipts", "says"),
    [
        ([CELL], "without a receipt for 1/1/value"),
        ([PROBE], "without a receipt for cell 0"),
        ([CELL, ("cell", {}, {"index": 1, "status": "ok"}), PROBE], r"were not sent: \[1\]"),
    ],
)
def test_an_end_without_exactly_the_receipts_that_are_due_is_a_violation(
    receipts: list[Any], says: str
) -> None:
    told = FakeSandbox([READY, *receipts, end("complete")], exact=True)
    with pytest.raises(ProtocolViolation, match=says):
        execute(SUBMISSION, PLAN, told, None)


def test_what_probes_answered_is_not_decoded_before_it_is_asked_for() -> None:
    class Forging(FakeSandbox):
        def run(self, box: bytes, reader: Any, **more: Any) -> Any:
            stopped = super().run(box, reader, **more)
            reader.frames[2] = replace(reader.frames[2], payload=b"junk")
            return stopped

    for status, told in (("ok", ProbeStatus.MALFORMED), ("error", None)):
        probe = ("probe", 1, {"id": "1/1/value", "status": status})
        run = execute(SUBMISSION, PLAN, Forging([READY, CELL, probe, end("complete")]), None)
        assert run.ending is Ending.COMPLETE
        if told:
            assert run.evidence().observed("1/1/value").status is told
        else:
            with pytest.raises(ProtocolViolation):
                run.evidence()
