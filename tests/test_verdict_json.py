"""Scores as JSON: what is written reads back the same, and nothing else is read."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.verdict import (
    Broken,
    CheckScore,
    Conclusion,
    Finding,
    Pending,
    QuestionScore,
    Score,
    Status,
    Work,
)
from grader.verdict_json import MAX_CHARS, from_json, to_json

#: Surrogates too: a notebook may hold half a character.
words = st.text(st.characters(codec=None), max_size=30)
shares = st.floats(0, 1)
points = st.floats(0, 1e9) | st.integers(0, 100)
works = st.builds(
    Work,
    text=words,
    own=words,
    source=words,
    unplaced=words,
    read=words,
    proposed=st.none() | shares,
)
conclusions: st.SearchStrategy[Conclusion] = st.one_of(
    st.builds(Finding, credit=shares, says=words, detail=words, answered=st.booleans()),
    st.builds(Pending, reason=words, detail=words, work=works),
    st.builds(Broken, reason=words),
)
checks = st.builds(
    CheckScore,
    check=words,
    kind=words,
    max_points=points,
    conclusion=conclusions,
    reveal=st.booleans(),
    alternative=words,
    withheld=st.booleans(),
)
questions = st.builds(
    QuestionScore,
    id=words,
    max_points=points,
    checks=st.lists(checks, max_size=4).map(tuple),
    bonus=st.booleans(),
    all_or_nothing=st.booleans(),
)
scores = st.builds(
    Score,
    student=words,
    assignment=words,
    status=st.sampled_from(Status),
    questions=st.lists(questions, max_size=3).map(tuple),
    note=words,
    cap=st.none() | points,
    submission=words,
)

ONE = Score(
    student="s01",
    assignment="hw",
    status=Status.COMPLETE,
    questions=(
        QuestionScore(
            id="1",
            max_points=2.0,
            checks=(
                CheckScore(
                    check="loss",
                    kind="value",
                    max_points=2.0,
                    conclusion=Finding(credit=0.5, says="Nearly."),
                    reveal=False,
                ),
            ),
        ),
    ),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(scores)
def test_what_is_written_reads_back_the_same(score: Score) -> None:
    text = to_json(score)
    assert text.isascii()
    assert "\n" not in text
    assert repr(from_json(text)) == repr(score)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_score_of_which_anything_was_replaced_is_refused_or_read_whole(data: Any) -> None:
    told = json.loads(to_json(ONE))
    places = list(_places(told))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(
        st.none() | st.booleans() | st.integers() | words | st.lists(st.integers(), max_size=2)
    )
    try:
        read = from_json(json.dumps(told))
    except ValueError:
        return
    assert json.loads(to_json(read)) == told


def _places(told: Any) -> Any:
    pairs = told.items() if isinstance(told, dict) else enumerate(told)
    for key, value in pairs:
        yield told, key
        if isinstance(value, dict | list):
            yield from _places(value)


def changed(*path: Any, to: Any) -> str:
    told = json.loads(to_json(ONE))
    place = told
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return json.dumps(told)


CHECK = ("score", "questions", 0, "checks", 0)
AT = "score.questions[0].checks[0]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed(*CHECK, "conclusion", "credit", to=1.5), f"{AT}.conclusion.credit: expected a "
         "number from 0 to 1, found 1.5"),
        (changed(*CHECK, "conclusion", "credit", to=True), f"{AT}.conclusion.credit: expected a "
         "number from 0 to 1, found True"),
        (changed(*CHECK, "conclusion", "credit", to=10**400), f"{AT}.conclusion.credit: expected a "
         "number from 0 to 1, found 1000"),
        (changed(*CHECK, "conclusion", "credit", to=float("nan")), "expected a finite number, "
         "found NaN"),
        (changed(*CHECK, "max_points", to=-1), f"{AT}.max_points: expected a number from 0 to "
         "1e+09, found -1"),
        (changed(*CHECK, "conclusion", "is", to="full"), f"{AT}.conclusion: expected is: one of "
         "finding, pending, broken, found {'is': 'full'"),
        (changed(*CHECK, "conclusion", to=[]), f"{AT}.conclusion: expected is: one of"),
        (changed(*CHECK, "reveal", to=1), f"{AT}.reveal: expected true or false, found 1"),
        (changed(*CHECK, "check", to=None), f"{AT}.check: expected text, found None"),
        (changed(*CHECK, "more", to=1), f"{AT}: expected the fields check, kind, max_points"),
        (changed("score", "questions", to={}), "score.questions: expected a list, found {}"),
        (changed("score", "status", to="fine"), "score.status: expected one of complete, "),
        (changed("score", "cap", to="4"), "score.cap: expected a number from 0 to 1e+09"),
        (changed("version", to=True), "expected version 1, found True"),
        (changed("version", to=2), "expected version 1, found 2"),
        (changed("more", to=2), "expected version and score"),
        ('{"version": 1, "version": 1, "score": {}}', "expected every field once"),
        ('{"version": 1, "score": {"cap": 1e999}}', "score: expected the fields student"),
        ("[" * 200_000, "found objects in objects without end"),
        ("", "Expecting value"),
        ("[]", "expected version and score"),
        (" " * (MAX_CHARS + 1), f"expected at most {MAX_CHARS} characters"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are compared
        from_json(text)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_number_that_is_not_finite_is_never_written() -> None:
    question = ONE.questions[0]
    check = question.checks[0]
    bad = CheckScore(
        check="loss",
        kind="value",
        max_points=float("inf"),
        conclusion=check.conclusion,
        reveal=False,
    )
    score = Score(
        student="s01",
        assignment="hw",
        status=Status.COMPLETE,
        questions=(QuestionScore(id="1", max_points=2, checks=(bad,)),),
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(score)
