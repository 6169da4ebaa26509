"""Answers to probes that no honest run gives, judged by every kind of check.

An input is the number of a check, the number of a probe of its that goes well whatever follows (or
none), and an encoded value that answers all others; for printed text, the text itself.
"""

from __future__ import annotations

import atexit
import functools
from typing import Any

from asking import Asked, Asker
from hypothesis import strategies as st
from test_hostile_values import ANSWERS, CHECKS, REFERENCE

from fuzz.target import Made, Target, decoded, nasty, scratch
from fuzz.value import values
from grader.checks.base import Seen
from grader.codec import decode, encode
from grader.errors import ProtocolViolation
from grader.evidence import CellReceipt, CellStatus, Observation, ProbeStatus
from grader.submission import Cell, CellKind
from grader.verdict import Broken, Conclusion, Finding, Pending

MORE = """
def is_split(parts, n): return sum(parts) == n
def split(n): return [1] * n
"""
SCALING: dict[str, Any] = {
    "of": "double",
    "sizes": [4, 16, 64, 256, 1024],
    "case": {"x": "normal(n)"},
    "at_most": {"time": 1, "memory": 1},
}
DRAWN: dict[str, Any] = {"lines": {"variable": "losses"}, "at_least_points": 3, "labels": ["title"]}
ALL: dict[str, dict[str, Any]] = {
    **CHECKS,
    "property": {"of": "split", "cases": [{"n": 6}], "holds": "is_split"},
    "scaling": SCALING,
    "figure": {"of": 1, **DRAWN},
    "figure by words": {"of": "loss", "images": {"reference": "numbers"}, "labels": ["x", "y"]},
    "output": {"of": "accuracy: {} %", "equals": 93.1},
    "output of two": {"of": "{} of {}", "equals": [3, 4]},
}
NAMES = tuple(ALL)
FUNCTION = Observation(status=ProbeStatus.OK, value=decode(encode(ANSWERS["function"])))


@functools.cache
def asked(name: str) -> Asked:
    """A check over a reference of its own; the process that compares formulas ends with ours."""
    asker = _asker()
    return asker(name.split()[0], **ALL[name])


@functools.cache
def _asker() -> Asker:
    made = Asker(scratch("answers"), REFERENCE + MORE)
    atexit.register(made.context.symbolic.close)
    return made


def run(data: bytes) -> None:
    """Judge one answer: a conclusion comes of it, and never an exception."""
    if len(data) < 2:
        return
    name, defined, told = NAMES[data[0] % len(NAMES)], data[1], data[2:]
    check = asked(name)
    if name.startswith("output"):
        _fits(check.kind.judge(check.params, printed(decoded(told)), check.context))
        return
    try:
        observed = Observation(status=ProbeStatus.OK, value=decode(told))
    except ProtocolViolation:
        observed = Observation(status=ProbeStatus.MALFORMED)
    replied = dict.fromkeys(check.requests, observed)
    if defined < len(replied):
        replied[[*replied][defined]] = FUNCTION
    _fits(check.judge_replies(**replied))
    form = check.kind.form(check.params, check.seen(replied), check.context)
    assert form is None or 0 <= form.credit <= 1


def printed(text: str) -> Seen:
    """What a check sees of a cell that printed a text."""
    return Seen(
        check_id="1/1",
        requests={},
        observations={},
        cells=(Cell(CellKind.CODE, "show()"),),
        receipts={0: CellReceipt(index=0, status=CellStatus.OK, wall_s=0.1, text=text)},
    )


def _fits(found: Conclusion) -> None:
    match found:
        case Finding():
            assert 0 <= found.credit <= 1
            assert found.says
        case Pending() | Broken():
            assert found.reason


def packed(name: str, defined: int, told: bytes) -> bytes:
    """Write an input as `run` reads it."""
    return bytes([NAMES.index(name), defined]) + told


def _seeds() -> list[bytes]:
    """Right answers, where the reference has any."""
    found = [packed("output", 0, b"accuracy: 93.1 %"), packed("output of two", 0, b"3 of 4")]
    for name in NAMES:
        value = ANSWERS["model, fair" if name.startswith("model") else "vector"]
        found.append(packed(name, 0, encode(value)))
    return found


def _made() -> Made:
    told = st.one_of(values(), st.sampled_from(list(ANSWERS.values()))).map(encode)
    values_ = st.builds(packed, st.sampled_from(NAMES), st.sampled_from((0, 1, 255)), told)
    texts = st.sampled_from(
        ("accuracy: ", " %", "3", " of ", "1e99", "tensor(", ",)", "-", "9" * 99)
    )
    printed = st.lists(st.one_of(texts, nasty()), max_size=9).map("".join)
    said = st.builds(
        lambda name, text: packed(name, 0, text.encode("utf-8", "surrogatepass")),
        *(st.sampled_from(("output", "output of two")), printed),
    )
    return st.one_of(values_, values_, values_, said)


TARGET = Target(
    name="answer",
    reads="answers to probes, as checks judge them",
    run=run,
    seeds=_seeds(),
    made=_made(),
)
