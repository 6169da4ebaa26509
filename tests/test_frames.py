from typing import Any

import pytest
from frames_of import Writer, frame

from grader.errors import ProtocolViolation
from grader.frames import FrameReader
from grader.plan import Limits

KEY = b"k" * 32


def reader(**limits: Any) -> FrameReader:
    return FrameReader(KEY, Limits(**limits))


def run_of_three() -> Writer:
    writer = Writer(KEY).ready().write("cell", {"text": "hi"}, index=0, status="ok", attempt=1)
    return writer.end()


def test_frames_arrive_in_any_pieces() -> None:
    whole, pieces = reader(), reader()
    data = bytes(run_of_three().out)
    whole.feed(data)
    for byte in data:
        pieces.feed(bytes([byte]))
    assert [f.header for f in whole.frames] == [f.header for f in pieces.frames]
    assert [f.kind for f in whole.frames] == ["ready", "cell", "end"]
    assert whole.ended
    assert bytes(whole.raw) == data


def test_a_forged_frame_is_a_violation() -> None:
    forged = Writer(b"x" * 32).ready()
    with pytest.raises(ProtocolViolation, match="not written by our guest"):
        reader().feed(bytes(forged.out))


def test_text_in_the_stream_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="does not start as frames do"):
        reader().feed(b"hello from a student's print")


@pytest.mark.threat("RX-06")
def test_sizes_are_checked_before_anything_is_read() -> None:
    head = b"NGE1" + (10).to_bytes(4, "big") + (1 << 60).to_bytes(8, "big")
    with pytest.raises(ProtocolViolation, match="larger than the plan allows"):
        reader().feed(head)


@pytest.mark.threat("RX-06")
def test_the_evidence_as_a_whole_is_capped() -> None:
    some = reader(value_mib=1, evidence_mib=1)
    writer = Writer(KEY).ready()
    for number in range(3):
        writer.write("probe", b"x" * 500_000, id=str(number), status="ok")
    with pytest.raises(ProtocolViolation, match="evidence is larger"):
        some.feed(bytes(writer.out))


def test_a_missing_frame_is_a_violation() -> None:
    writer = Writer(KEY).ready()
    writer.seq = 5
    writer.write("cell", {}, index=0, status="ok")
    with pytest.raises(ProtocolViolation, match="out of order"):
        reader().feed(bytes(writer.out))


def test_an_end_that_counts_or_sums_wrongly_is_a_violation() -> None:
    writer = Writer(KEY).ready()
    data = bytes(writer.out)
    short = frame(KEY, {"seq": 1, "kind": "end", "frames": 7, "digest": "", "ending": "complete"})
    with pytest.raises(ProtocolViolation, match="counts other frames"):
        reader().feed(data + short)
    wrong = frame(KEY, {"seq": 1, "kind": "end", "frames": 1, "digest": "00", "ending": "complete"})
    with pytest.raises(ProtocolViolation, match="digest does not match"):
        reader().feed(data + wrong)


def test_nothing_may_follow_the_end() -> None:
    some = reader()
    writer = run_of_three().write("cell", {}, index=1, status="ok")
    with pytest.raises(ProtocolViolation, match="follows the last"):
        some.feed(bytes(writer.out))
    assert some.ended


def test_ready_is_first_and_only_once() -> None:
    with pytest.raises(ProtocolViolation, match="first frame"):
        reader().feed(bytes(Writer(KEY).write("cell", {}, index=0, status="ok").out))
    with pytest.raises(ProtocolViolation, match="first frame"):
        reader().feed(bytes(Writer(KEY).ready().ready().out))


def test_the_backstop_counts_from_ready() -> None:
    some = reader(start_s=5, total_s=100, slack_s=10)
    assert some.deadline() == some.started + 5
    some.feed(bytes(Writer(KEY).ready().out))
    assert some.ready_at is not None
    assert some.deadline() == some.ready_at + 110


def test_each_of_two_restarts_moves_the_backstop() -> None:
    some, writer = reader(total_s=100, slack_s=10), Writer(KEY).ready()
    for _ in range(3):
        writer.write("restart", reason="died", phase="cells", without=[])
    some.feed(bytes(writer.out))
    assert some.ready_at is not None
    assert some.deadline() == some.ready_at + 130
