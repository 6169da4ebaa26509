"""Points: alternatives, all or nothing, caps, and what is not decided yet."""

from dataclasses import replace

import pytest

from grader.verdict import (
    ALL_OR_NOTHING,
    SETTLED,
    Broken,
    CheckScore,
    Conclusion,
    Finding,
    Outcome,
    Pending,
    QuestionScore,
    Score,
    Status,
)

WAITING = Pending(reason="A person grades this.")


def right(credit: float = 1.0) -> Finding:
    return Finding(credit=credit, says="Right." if credit == 1 else "Wrong.")


def check(conclusion: Conclusion, alternative: str = "", max_points: float = 2) -> CheckScore:
    return CheckScore(
        check="x",
        kind="value",
        max_points=max_points,
        conclusion=conclusion,
        reveal=False,
        alternative=alternative,
    )


def question(*checks: CheckScore, all_or_nothing: bool = False) -> QuestionScore:
    whole = sum(c.max_points for c in checks)
    return QuestionScore(id="1", max_points=whole, checks=checks, all_or_nothing=all_or_nothing)


@pytest.mark.parametrize(
    ("first", "second", "counts", "points"),
    [
        (right(0.5), right(), "b", 2),
        (right(), right(0.5), "a", 2),
        (right(0.5), right(0.5), "a", 1),
        (right(0), WAITING, "b", None),
        (WAITING, right(), "b", 2),
        (right(), WAITING, "a", 2),
        (Broken(reason="the reference raised"), right(0.5), "a", None),
    ],
    ids=["better", "worse", "equal", "open", "open first", "settled first", "broken"],
)
def test_the_best_alternative_counts(
    first: Conclusion, second: Conclusion, counts: str, points: float | None
) -> None:
    found = question(check(first, "a"), check(second, "b"))
    assert ({c.alternative for c in found.counted}, found.points) == ({counts}, points)


def test_all_checks_of_an_alternative_count_together() -> None:
    found = question(
        check(right(), "a"), check(right(0), "a"), check(right(), "b", 3), check(right(0), "b", 1)
    )
    assert [c.alternative for c in found.counted] == ["b", "b"]
    assert found.points == 3


def test_a_question_of_all_or_nothing_earns_nothing_for_one_wrong_check() -> None:
    found = question(check(right()), check(right(0.5)), all_or_nothing=True)
    assert found.points == 0
    assert [(c.points, c.outcome, c.feedback) for c in found.counted] == [
        (0, Outcome.NONE, f"Right. {ALL_OR_NOTHING}"),
        (0, Outcome.NONE, f"Wrong. {ALL_OR_NOTHING}"),
    ]


def test_a_question_of_all_or_nothing_earns_all_when_all_is_right() -> None:
    assert question(check(right()), check(right()), all_or_nothing=True).points == 4


def test_a_question_of_all_or_nothing_waits_only_while_it_can_earn_something() -> None:
    assert question(check(right()), check(WAITING), all_or_nothing=True).points is None
    lost = question(check(right(0)), check(WAITING), all_or_nothing=True)
    assert lost.points == 0
    assert [c.outcome for c in lost.counted] == [Outcome.NONE, Outcome.NONE]


@pytest.mark.parametrize("open_", [WAITING, Broken(reason="the reference raised")])
def test_nobody_is_promised_to_look_at_what_is_decided(open_: Conclusion) -> None:
    lost = question(check(right(0)), check(open_), all_or_nothing=True)
    assert [c.feedback for c in lost.counted] == ["Wrong.", SETTLED]
    alone = question(check(right()), check(open_), all_or_nothing=True)
    promised = "The grader could not judge this; a person will."
    said = WAITING.reason if open_ == WAITING else promised
    assert [c.feedback for c in alone.counted] == ["Right.", said]


def test_a_detail_that_begins_with_the_sentence_stands_for_it() -> None:
    told = Finding(
        credit=0.0, says="At n = 2 yours gives 4.", detail="At n = 2 yours gives 4, not 3."
    )
    shown = replace(check(told), reveal=True)
    assert (shown.feedback, check(told).feedback) == (told.detail, told.says)


@pytest.mark.parametrize(("cap", "total"), [(None, 4), (5, 4), (3, 3)])
def test_a_total_is_at_most_the_cap(cap: float | None, total: float) -> None:
    bonus = QuestionScore(id="2", max_points=2, checks=(check(right()),), bonus=True)
    found = Score(
        student="s01",
        assignment="hw",
        status=Status.COMPLETE,
        questions=(question(check(right())), bonus),
        cap=cap,
    )
    assert (found.total, found.max_points, found.percent) == (total, 2, 50 * total)
