"""Rubrics: staff write them, and the mistakes in them are told, never raised."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from fuzz.target import Made, Target, check_words, encoded, nasty, scratch
from grader.assignment import read_rubric
from grader.checks import KINDS
from grader.errors import RubricError

FOLDER = scratch("rubrics")


def run(data: bytes) -> None:
    """Read a rubric; its points are numbers that can be added."""
    path = FOLDER / "hw.yaml"
    path.write_bytes(data)
    try:
        rubric = read_rubric(path, "hw.yaml")
    except RubricError as refused:
        check_words(*map(ascii, refused.problems), most=5000)
        return
    assert all(math.isfinite(check.max_points) for check in rubric.checks)
    assert math.isfinite(rubric.limits.total_s + rubric.limits.cell_s + rubric.limits.probe_s)


SEED = """\
assignment: hw
points: 3
limits: {cell: 10 s, total: 2 min, memory: 1 GiB}
skip: {matching: ['trainer\\.train']}
questions:
  - id: 1a
    points: 1
    expression: count
    equals: n*(n+1)/2
    symbols: {n: positive integer}
    mistakes: [{equals: n**2, says: No.}]
  - id: 2
    points: 2
    checks:
      - function: mask
        weight: 3
        cases: [{n: 3}]
      - curve: losses
        falls_to: 0.5
"""
BOMBS = (
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "a: &a {x: 1}\nb: {<<: *a}\n",
    "!!python/object/apply:os.system [id]\n",
    "? [1, 2]\n: 3\n",
)
PLAIN = (
    *(".inf", "-.inf", ".nan", "1e400", "0x" + "f" * 5000, "9" * 5000, "0o777", "~", "yes", "1e-3"),
    *("2020-01-01", "'a\nb'", '"\\ud800"', "{}", "[]", "|-\n  a", "*x", "&x", "!!str", "<<", "- a"),
    *("10 s", "1e9 min", "9" * 400 + " s", "1.2.3 s", "'('", "'(a+)+$'", "'a{99999999999}'"),
)


def _made() -> Made:
    keys = [*KINDS, "equals", "cases", "symbols", "weight", "mistakes", "of", "credit", "reference"]
    words = st.one_of(st.sampled_from(PLAIN), nasty().map(_quoted), st.integers().map(str))
    settings = st.dictionaries(st.one_of(st.sampled_from(keys), nasty().map(_quoted)), words)
    flow = settings.map(_flow)
    question = st.builds(
        lambda points, check, own: f"  - id: 1\n    points: {points}\n    {check}\n{own}",
        words,
        st.one_of(
            st.sampled_from([f"{kind}: x" for kind in KINDS]), flow.map("checks: [{}]".format)
        ),
        settings.map(lambda s: "".join(f"    {key}: {item}\n" for key, item in s.items())),
    )
    top = st.dictionaries(
        st.sampled_from(("points", "cap", "limits", "round", "title", "files", "skip", "reveal")),
        st.one_of(words, flow),
        max_size=3,
    )
    whole = st.builds(_whole, top, st.lists(question, min_size=1, max_size=2))
    deep = st.builds(lambda sign, n: sign * n, st.sampled_from(("[", "{a: ", "- ")), st.just(2000))
    return st.one_of(whole, whole, st.sampled_from(BOMBS), deep).map(encoded)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _flow(settings: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {item}" for key, item in settings.items()) + "}"


def _whole(top: dict[str, Any], questions: list[str]) -> str:
    head = "".join(f"{key}: {item}\n" for key, item in top.items())
    return f"assignment: hw\n{head}questions:\n{''.join(questions)}"


TARGET = Target(
    name="rubric",
    reads="rubrics",
    run=run,
    seeds=[SEED.encode()],
    made=_made(),
    tokens=[word.encode() for word in (*KINDS, *BOMBS, *PLAIN[:4], *PLAIN[21:])],
)
