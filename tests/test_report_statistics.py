"""Numbers about a class: difficulty, discrimination, mistakes, and what looks broken."""

from dataclasses import replace

import numpy as np
import pytest
from test_tables import RUBRIC, score_of

from grader.report.statistics import Tally, binned, discrimination, spread
from grader.verdict import Broken, CheckScore, Conclusion, Finding, Pending, QuestionScore

RIGHT, WRONG = Finding(credit=1, says="Right."), Finding(credit=0, says="Wrong.")


def tally_of(*pairs: tuple[Conclusion, Conclusion]) -> Tally:
    tally = Tally(RUBRIC)
    for number, (first, second) in enumerate(pairs):
        tally.add(score_of(f"s{number}", first, second), f"s{number}", 1.0, 2.0)
    return tally


def test_discrimination_is_the_correlation_with_the_other_questions() -> None:
    first = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=float)
    second = np.array([1, 1, 1, 1, 0, 1, 0, 0, 0, 0], dtype=float)
    shares = np.stack([first, second], axis=1)
    # By hand: both have mean 1/2; they agree in 8 of 10 places.
    assert discrimination(shares, 0) == pytest.approx(0.6)


def test_discrimination_agrees_with_the_point_biserial_formula() -> None:
    rng = np.random.default_rng(0)
    rest = rng.random(40)
    right = (rest + rng.normal(0, 0.3, 40) > 0.5).astype(float)
    p = right.mean()
    gap = rest[right == 1].mean() - rest[right == 0].mean()
    by_formula = gap / rest.std() * np.sqrt(p * (1 - p))
    found = discrimination(np.stack([right, rest], axis=1), 0)
    assert found == pytest.approx(by_formula)


@pytest.mark.parametrize(
    "shares",
    [np.eye(2)[[0, 1] * 4], np.ones((20, 2)), np.full((20, 2), np.nan), np.zeros((0, 2))],
    ids=["few", "alike", "undecided", "nobody"],
)
def test_discrimination_is_not_guessed(shares: np.ndarray) -> None:
    assert discrimination(shares, 0) is None


def test_what_is_undecided_is_no_zero() -> None:
    pending = Pending(reason="A person grades this.")
    first, second = tally_of((RIGHT, pending), (RIGHT, pending), (WRONG, WRONG)).items()
    assert (first.decided, first.full, first.nothing) == (3, 2, 1)
    assert first.mean == pytest.approx(2 / 3)
    # Only who wrote nothing is decided, which says nothing of the question.
    assert (second.decided, second.mean) == (1, None)


def test_questions_that_look_broken_are_named() -> None:
    nothing = Finding(credit=0, says="count is not defined.", answered=False)
    everybody, nobody = tally_of(*[(RIGHT, nothing)] * 6).items()
    assert everybody.remarks == ("Everybody earns all points.",)
    assert nobody.remarks == (
        "Nobody earns a point: is the question clear, and is the check right?",
        "For half of the students there was nothing to judge: do names agree?",
    )
    broken, upside_down = tally_of(
        (Broken(reason="the reference raised"), RIGHT), *[(RIGHT, WRONG), (WRONG, RIGHT)] * 6
    ).items()
    assert broken.remarks[0] == (
        "The grader could not judge the answers of 1 of 13 students: mend it, then score again."
    )
    assert upside_down.remarks == (
        "Those who do well elsewhere do worse here: is the check right?",
    )


def checked(*names: str, empty: str) -> QuestionScore:
    """A question of several checks; one of them finds nothing to judge."""
    nothing = Finding(credit=0, says="It is not defined.", answered=False)
    return QuestionScore(
        id="1a",
        max_points=2,
        checks=tuple(
            CheckScore(
                check=name,
                kind="value",
                max_points=2 / len(names),
                conclusion=nothing if name == empty else RIGHT,
                reveal=False,
            )
            for name in names
        ),
    )


def remarks_on(questions: list[QuestionScore]) -> tuple[str, ...]:
    tally = Tally(RUBRIC)
    for number, question in enumerate(questions):
        whole = score_of(f"s{number}", RIGHT, RIGHT)
        tally.add(replace(whole, questions=(question, whole.questions[1])), f"s{number}", 1.0, 2.0)
    return tally.items()[0].remarks


def test_half_of_the_class_is_counted_in_students() -> None:
    half = "For half of the students there was nothing to judge: do names agree?"
    # Every student lacks one of four names, a quarter of the checks.
    alike = [checked("a", "b", "c", "d", empty="a")] * 8
    assert half in remarks_on(alike)
    others = [checked("a", "b", "c", "d", empty="abcd"[n % 4]) for n in range(8)]
    assert half not in remarks_on(others)


def test_sentences_that_differ_in_numbers_alone_are_one() -> None:
    falls = [Finding(credit=0, says=f"x2 goes from {n}.5 to {n}e-3.") for n in (1, 2)]
    tally = tally_of((falls[0], WRONG), (falls[1], RIGHT))
    assert [(s.question, s.count, s.says) for s in tally.sentences()] == [
        ("1a", 2, "x2 goes from … to …."),
        ("2", 1, "Wrong."),
    ]
    assert [row.student for row in tally.sentences()[0].students] == ["s0", "s1"]


def test_a_distribution_counts_everybody_once() -> None:
    labels, counts = binned([0, 0.9, 1, 9.99, 10, 12], 10)
    assert labels == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    assert counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    found = spread([1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert (found.low, found.quarter, found.median, found.mean, found.high) == (
        1,
        1.75,
        2.5,
        2.5,
        4,
    )
    assert spread([]) is None
