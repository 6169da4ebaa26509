"""The notebooks and tests that peers are given, and how what they do is judged; no peer is run."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from attack_table import Row, render
from hostile.attack import ATTACKS, Host, find_attacks
from hostile.course import RIGHT, SLUG, WRONG
from small_course import notebook

from benchmarks.attacks_on_peers import ours
from benchmarks.peers.course import NEIGHBOUR, QUESTIONS, files_of, otter_tests, source
from benchmarks.peers.verdict import ATTACKER, NEIGHBOUR_ID, Result, judged, kept_of, no_sense, rows

find_attacks()

NAME = "an object that equals everything"
TWIN = dict.fromkeys(("number", "formula", "function", "network", "measured", "curve"), 0.0)
FULL = dict.fromkeys(TWIN, 1.0)
SECRET = "canary-0123"  # noqa: S105


def handed(tmp_path: Path, name: str = NAME) -> dict[str, bytes]:
    host = Host(folder=Path("/work/host"), secret=SECRET, port=1)
    ATTACKS[name].make(tmp_path, host)
    return {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def sources(made: bytes) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(made)["cells"]]


def test_the_notebook_for_nbgrader_is_the_attack_and_then_tests_without_hidden_ones(
    tmp_path: Path,
) -> None:
    written = handed(tmp_path)
    own = sources(written[f"{SLUG}.ipynb"])
    made = sources(files_of("s1", "nbgrader", written)[f"{SLUG}.ipynb"])
    assert made[: len(own)] == own
    assert '"/work/found/s1.json"' in made[len(own)]
    assert made[len(own) + 1 :] == [question.public for question in QUESTIONS]


def test_the_notebook_for_otter_is_the_attack_and_no_test(tmp_path: Path) -> None:
    written = handed(tmp_path)
    made = sources(files_of("s1", "otter", written)[f"{SLUG}.ipynb"])
    assert made[:-1] == sources(written[f"{SLUG}.ipynb"])


def answers(cells: dict[str, str]) -> dict[str, Any]:
    names: dict[str, Any] = {"torch": torch}
    for cell in cells.values():
        exec(cell, names)  # noqa: S102 - our own answers
    return names


def passed(test: str, names: dict[str, Any]) -> bool:
    try:
        exec(test, names)  # noqa: S102 - our own tests
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: str(question.id))
def test_the_assertions_pass_the_right_answers_and_fail_the_wrong_ones(question: Any) -> None:
    whole = f"{question.public}\n{question.hidden}"
    assert passed(whole, answers(RIGHT))
    assert not passed(whole, answers(WRONG))


def test_the_source_for_nbgrader_gives_each_question_a_point_and_hides_its_hidden_tests() -> None:
    tests = [cell for cell in source()["cells"] if "nbgrader" in cell["metadata"]]
    about = [
        (c["metadata"]["nbgrader"]["grade_id"], c["metadata"]["nbgrader"]["points"]) for c in tests
    ]
    assert about == [(name, 1) for name in TWIN]
    for cell, question in zip(tests, QUESTIONS, strict=True):
        before, hidden = cell["source"].split("### BEGIN HIDDEN TESTS\n")
        assert before == f"{question.public}\n"
        assert hidden == f"{question.hidden}\n### END HIDDEN TESTS"


def test_the_tests_for_otter_are_doctests_that_pass_the_right_answers() -> None:
    found = otter_tests()
    for question in QUESTIONS:
        told: dict[str, Any] = {}
        exec(found[f"tests/{question.id}.py"], told)  # noqa: S102 - our own
        (suite,) = told["test"]["suites"]
        assert [case["hidden"] for case in suite["cases"]] == [False, True]
        for case in suite["cases"]:
            parsed = doctest.DocTestParser().get_doctest(case["code"], answers(RIGHT), "t", None, 0)
            assert doctest.DocTestRunner(verbose=False).run(parsed).failed == 0


def seen(**told: Any) -> dict[str, Any]:
    neighbour = dict.fromkeys(NEIGHBOUR, 1.0)
    plain = {
        "over": ["0"],
        "found": {},
        "told": {},
        "left": [],
        "host_changed": False,
        "reached": 0,
        "points": {ATTACKER: TWIN, NEIGHBOUR_ID: neighbour},
    }
    return plain | told


def verdict(name: str, twin: dict[str, float], **told: Any) -> str:
    one = ATTACKS[name]
    kept = kept_of(one, list({"right": RIGHT, "wrong": WRONG}[one.onto].values()))
    result = judged(one, seen(**told), twin, kept, SECRET)
    assert result.succeeded is bool(result.reason)
    return result.reason


NEIGHBOURS = {NEIGHBOUR_ID: dict.fromkeys(NEIGHBOUR, 1.0)}
CRASH = "a segmentation fault"


@pytest.mark.parametrize(
    ("name", "told", "reason"),
    [
        (NAME, {}, ""),
        (
            NAME,
            {"points": NEIGHBOURS | {ATTACKER: TWIN | {"number": 1.0}}},
            "it earns 1 of 6 points, its answers 0",
        ),
        (NAME, {"points": NEIGHBOURS}, ""),
        (NAME, {"points": {ATTACKER: TWIN}}, "the next student gets no result"),
        (
            NAME,
            {"points": {ATTACKER: TWIN, NEIGHBOUR_ID: TWIN}},
            "the next student's right answers earn less",
        ),
        (NAME, {"left": ["sleep"]}, "processes of the notebook still run afterwards"),
        (NAME, {"found": {ATTACKER: [SECRET]}}, "a file or token of the grading user is read"),
        (NAME, {"found": {ATTACKER: 3}}, ""),
        (NAME, {"host_changed": True}, "a file of the grading user is changed"),
    ],
)
def test_what_a_grading_leaves_behind_is_judged(
    name: str, told: dict[str, Any], reason: str
) -> None:
    assert verdict(name, TWIN, **told) == reason


def test_right_answers_before_a_crash_must_keep_their_points() -> None:
    lost = "right answers of earlier cells get no result"
    assert verdict(CRASH, FULL, points=NEIGHBOURS | {ATTACKER: FULL}) == ""
    assert verdict(CRASH, FULL, points=NEIGHBOURS) == lost
    less = NEIGHBOURS | {ATTACKER: FULL | {"curve": 0.0}}
    assert verdict(CRASH, FULL, points=less) == "right answers of earlier cells earn less"


def test_an_answer_that_an_attack_replaced_is_not_counted_as_lost() -> None:
    one = ATTACKS["an answer that takes for ever"]
    cells = [*RIGHT.values()]
    cells[list(RIGHT).index("function")] = "def scaled(x):\n    while True: pass"
    kept = kept_of(one, cells)
    assert kept == frozenset(RIGHT) - {"function"}
    told = seen(points=NEIGHBOURS | {ATTACKER: FULL | {"function": 0.0}})
    assert judged(one, told, FULL, kept, SECRET) == Result(succeeded=False)


def test_what_only_the_container_would_answer_is_not_applicable() -> None:
    assert no_sense(ATTACKS["sockets of every other family"])
    assert no_sense(ATTACKS["limits set on the harness"])
    assert not no_sense(ATTACKS[NAME])


def test_a_row_counts_the_ways_and_gives_one_reason() -> None:
    through = Result(succeeded=True, reason="it earns 1 of 6 points, its answers 0")
    found = {
        "nbgrader": {NAME: through, "text that equals every formula": Result(succeeded=False)},
        "otter-grader": {NAME: Result(succeeded=None, reason="no reason")},
    }
    lines = rows(found, {"RS-01": "Objects", "RS-02": "Tensors"}, {"RS-01": "resisted"})
    assert lines == [
        "| | attack | nbgrader | otter-grader | ours |",
        "|---|---|---|---|---|",
        "| RS-01 | Objects | succeeded (1 of 2 ways): it earns 1 of 6 points, its answers 0"
        " | not applicable: no reason | resisted |",
    ]


def test_our_own_column_is_what_the_published_table_says() -> None:
    rows: dict[str, Row] = {"RS-01": Row(), "RS-16": Row(), "RX-03": Row(), "XS-01": Row()}
    rows["RS-01"].resisted["docker"] = 3
    rows["RS-16"].resisted["docker"] = 2
    rows["RS-16"].succeeded["docker"].append("names are not enough")
    rows["RX-03"].succeeded["docker"].append("nobody counts")
    rows["XS-01"].resisted["process"] = 1
    assert ours(render(rows)) == {
        "RS-01": "resisted",
        "RS-16": "succeeded (not in 2 other ways): names are not enough.",
        "RX-03": "succeeded: nobody counts.",
    }


def test_the_neighbour_is_honest_and_needs_no_torch() -> None:
    assert "torch" not in notebook(*NEIGHBOUR.values())
    assert {RIGHT[name] for name in NEIGHBOUR} == set(NEIGHBOUR.values())
