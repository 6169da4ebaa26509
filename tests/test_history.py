"""Scorings are kept where they made something new, and every changed point has its reason."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_course import REFERENCE, RUBRIC, SOLUTION, make_course, write

from grader.assignment import Assignment
from grader.cli import grader
from grader.course import Course
from grader.database.opening import Database
from grader.difference import UNKNOWN, Change, Moment, basis_changes, changes
from grader.errors import InputError
from grader.grades.rows import Grade, Row, Version
from grader.grades.store import open_grades
from grader.history import Basis, History, Scoring, basis_of
from grader.symbolic import Symbolic
from grader.verdict import CheckScore, Finding, Pending, QuestionScore, Score, Status, Work

BASIS = Basis(rubric="r", questions={"1": "a", "2": "b"}, reference="f", data="")


def score_of(student: str, *points: float | None, submission: str = "s") -> Score:
    """A score with a question for each number of points; None waits for a person."""
    pending = Pending(reason="A person grades this.", work=Work(text="Long words."))
    questions = (
        QuestionScore(
            id=str(number),
            max_points=1,
            checks=(
                CheckScore(
                    check="c",
                    kind="value",
                    max_points=1,
                    conclusion=pending if given is None else Finding(credit=given, says="So."),
                    reveal=False,
                ),
            ),
        )
        for number, given in enumerate(points, 1)
    )
    return Score(
        student=student,
        assignment="hw",
        status=Status.COMPLETE,
        questions=tuple(questions),
        submission=submission,
    )


def grade_of(student: str, question: str) -> Grade:
    row = Row(
        assignment="hw",
        student=student,
        question=question,
        check="c",
        kind="written",
        max_points=1,
        version=Version.of("Long words.", "s"),
    )
    return Grade(row=row, points="1", comment="", by="ann", at="2026-01-02")


class Kept:
    """A history on a database, which makes scorings."""

    def __init__(self, root: Path, url: str = "") -> None:
        self.database = Database(root, url)

    @property
    def history(self) -> History:
        return History(self.database, "hw")

    def keep(
        self, *scores: Score, basis: Basis = BASIS, last: int = 0, **evidence: str
    ) -> Scoring | None:
        history = self.history
        list(history.passing(scores, evidence))
        return history.keep(basis, last)[1]

    def changes(self) -> list[Change]:
        """What changed between the last two scorings."""
        before, after = self.history.scorings()[-2:]
        then, now = (Moment(scoring=s, scores=self.history.at(s)) for s in (before, after))
        return list(changes(then, now, self.history.graded(before, after)))


def test_a_scoring_is_kept_only_where_it_made_something_new(
    tmp_path: Path, database_url: str
) -> None:
    kept = Kept(tmp_path, database_url)
    ann, bob = score_of("ann", 1, 0.5), score_of("bob", 0, None)
    first = kept.keep(ann, bob)
    assert kept.keep(ann, bob) is None
    better = score_of("bob", 1, None)
    second = kept.keep(ann, better)
    third = kept.keep(ann, better, basis=replace(BASIS, reference="g"))
    assert [first, second, third] == kept.history.scorings()
    assert first
    assert second
    without = replace(
        bob.questions[1].checks[0], conclusion=Pending(reason="A person grades this.")
    )
    bare = (bob.questions[0], replace(bob.questions[1], checks=(without,)))
    assert {name: one.score for name, one in kept.history.at(first).items()} == {
        "ann": ann,
        "bob": replace(bob, questions=bare),
    }
    assert kept.history.at(second)["bob"].score == replace(
        better, questions=(better.questions[0], bare[1])
    )


def test_other_assignments_have_scorings_of_their_own(tmp_path: Path, database_url: str) -> None:
    kept = Kept(tmp_path, database_url)
    kept.keep(score_of("ann", 1))
    other = History(kept.database, "hw2")
    list(other.passing([score_of("ann", 0)], {}))
    before, after = other.keep(BASIS, 0)
    assert before is None
    assert after
    assert [one.number for one in kept.history.scorings()] == [1]
    assert kept.keep(score_of("ann", 1)) is None


def test_every_reason_is_told_that_concerns_the_question(tmp_path: Path, database_url: str) -> None:
    kept = Kept(tmp_path, database_url)
    names = ["ann", "bob", "cy", "dan", "eve"]
    kept.keep(*(score_of(name, 0, None) for name in names), ann="e1", bob="e1", cy="e1")
    with open_grades(tmp_path, database_url) as grades:
        grades.add([grade_of("dan", "2")])
        last = grades.last
    after = [
        score_of("ann", 1, None, submission="t"),
        score_of("bob", 1, None),
        score_of("cy", 1, 0.5),
        score_of("dan", 0, 1),
        score_of("fay", 1),
    ]
    basis = replace(BASIS, questions={"1": "a", "2": "other"}, rubric="q")
    kept.keep(*after, basis=basis, last=last, ann="e2", bob="e2", cy="e1")
    first, second = kept.history.scorings()
    assert kept.history.changed(first, second) == {"ann", "bob", "cy", "dan", "eve", "fay"}
    assert kept.history.changed(second, second) == set()

    def change(
        student: str, question: str, was: float | None, now: float | None, *why: str
    ) -> Change:
        return Change(student=student, question=question, before=was, after=now, why=why)

    gone = "has no score now: new or changed, and not executed"
    assert kept.changes() == [
        change("ann", "1", 0, 1, "handed in anew"),
        change("bob", "1", 0, 1, "executed anew"),
        change("cy", "1", 0, 1, UNKNOWN),
        change("cy", "2", None, 0.5, "rubric"),
        change("dan", "2", None, 1, "graded by ann", "rubric"),
        change("eve", "1", 0, None, gone),
        change("fay", "1", None, 1, "scored for the first time"),
    ]


def test_what_is_judged_by_other_rules_is_said() -> None:
    other = Basis(rubric="q", questions={"1": "z", "3": "n"}, reference="g", data="d", grader="9")
    assert list(basis_changes(replace(BASIS, grader="8"), other)) == [
        "the rubric says something else of 1, 3",
        "the rubric asks 2 no more",
        "the reference changed",
        "data/ changed",
        "grader 8 became 9",
    ]
    comment = replace(BASIS, rubric="with a comment")
    assert list(basis_changes(BASIS, comment)) == ["the rubric changed, but no question of it"]
    assert list(basis_changes(BASIS, BASIS)) == []


def test_of_two_who_score_at_once_everybody_has_one_current_score(
    tmp_path: Path, database_url: str
) -> None:
    kept = Kept(tmp_path, database_url)
    kept.keep(score_of("ann", 0), score_of("bob", 0))
    start = threading.Barrier(4)

    def score() -> None:
        start.wait()
        kept.keep(score_of("ann", 1), score_of("bob", 0))

    threads = [threading.Thread(target=score) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = kept.history.scorings()[-1]
    assert len(kept.history.scorings()) == 2, "the second to come found nothing new"
    assert {name: one.score for name, one in kept.history.at(last).items()} == {
        "ann": score_of("ann", 1),
        "bob": score_of("bob", 0),
    }


# --- of an assignment -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


@pytest.mark.slow
def test_a_basis_says_which_question_changed_and_whether_the_reference_did(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    course = make_course(tmp_path, s01=SOLUTION)

    def now() -> Basis:
        assignment: Assignment = course.open("hw", symbolic)
        return basis_of(assignment)

    before = now()
    assert before == now()
    write(tmp_path / "reference" / "hw" / "solution" / "notes.txt", "no part of the reference")
    assert now() == before
    write(tmp_path / "rubrics" / "hw.yaml", RUBRIC.replace("credit: 0.25", "credit: 0.5"))
    assert list(basis_changes(before, now())) == ["the rubric says something else of 2"]
    write(tmp_path / "reference" / "hw" / "reference.py", REFERENCE + "# more\n")
    assert "the reference changed" in list(basis_changes(before, now()))


def told_by(course: Course, *args: str) -> tuple[int, list[str]]:
    told = ["diff", *args, "--course", str(course.root)]
    done = CliRunner().invoke(grader, told, standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.return_value, [" ".join(line.split()) for line in done.output.splitlines()]


def test_the_command_shows_the_last_two_or_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    course = make_course(tmp_path)
    kept = Kept(course.state)
    kept.keep(score_of("ann", 0, 1))
    with pytest.raises(Exception, match=r"hw: expected two scorings to compare, found 1 scoring$"):
        told_by(course, "hw")
    nothing = "no assignment has two scorings yet to compare: grader diff --list"
    assert told_by(course) == (0, [nothing])
    kept.keep(score_of("ann", 0.5, 1), basis=replace(BASIS, reference="g"))
    kept.keep(score_of("ann", 0.5, 0), basis=replace(BASIS, reference="g"), ann="e")
    code, lines = told_by(course, "hw")
    assert (code, lines[1:]) == (
        0,
        [
            "student question before after why",
            "ann 2 1 0 executed",
            "1 question of 1 student changed",
        ],
    )
    code, lines = told_by(course, "hw", "--from", "1", "--to", "2")
    assert lines[0].startswith("hw: scoring 1 (20")
    assert lines[1:] == [
        "the reference changed",
        "student question before after why",
        "ann 1 0 0.5 reference",
        "1 question of 1 student changed",
    ]
    assert told_by(course)[1] == told_by(course, "hw")[1]
    listed = told_by(course, "hw", "--list")[1]
    assert [line.split(" ", 3)[-1] for line in listed[2:]] == [
        "the first",
        "the reference changed",
        "evidence or grades",
    ]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("hw --to 9", "--to: expected a scoring (1, 2, 3), found 9"),
        ("hw --to 1", "--to: expected a scoring after the first, found 1"),
        ("hw --from 3 --to 2", "--from: expected a scoring before 2 (1), found 3"),
        ("hw --from 3", "--from: expected a scoring before 3 (1, 2), found 3"),
        ("hw --from 0", "--from: expected a scoring before 3 (1, 2), found 0"),
        ("--from 1", "expected an assignment beside --from and --to: grader diff SLUG"),
    ],
)
def test_scorings_that_cannot_be_compared_are_refused(
    asked: str, says: str, tmp_path: Path
) -> None:
    course = make_course(tmp_path)
    kept = Kept(course.state)
    for points in (0, 0.5, 1):
        kept.keep(score_of("ann", points))
    with pytest.raises(InputError, match=f"^{re.escape(says)}$"):
        told_by(course, *asked.split())


def test_an_assignment_that_was_never_scored_is_listed_as_such(tmp_path: Path) -> None:
    assert told_by(make_course(tmp_path), "--list") == (0, ["hw: not scored yet"])
