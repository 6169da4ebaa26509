"""Score evidence under a rubric with a reference. Pure: the same three give the same score.

Nothing of a student runs here; whatever the reference or the rubric does wrong makes a check
broken, with its reason, and takes nobody's points.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence

from grader.assignment import Assignment
from grader.checks import KINDS
from grader.checks.base import Seen, cell_says
from grader.errors import Fault, InputError
from grader.evidence import CellStatus, Evidence
from grader.rubric import Check, Rubric
from grader.submission import Submission
from grader.verdict import (
    Broken,
    CheckScore,
    Conclusion,
    Finding,
    Pending,
    QuestionScore,
    Score,
    Status,
)


def score(
    evidence: Evidence,
    submission: Submission,
    assignment: Assignment,
    answers: Mapping[str, str] | None = None,
    bugs: list[str] | None = None,
) -> Score:
    """Score one submission.

    Args:
        evidence: What its run showed.
        submission: The notebook itself, for what is read from its cells.
        assignment: Rubric and reference.
        answers: Digests of the probes that the evidence answers; a check whose question has
            changed since then is broken until the notebook is executed anew. None: all are alike.
        bugs: Gets the traceback of every error that nothing expected; its check is broken.
    """
    receipts = {receipt.index: receipt for receipt in evidence.cells}

    def conclude(check: Check) -> Conclusion:
        asked = assignment.asked(check)
        if answers is not None and any(answers.get(p) != d for p, d in asked.items()):
            return Broken(reason="the question has changed since this was executed: grader run")
        mine = assignment.requests[check.id]
        seen = Seen(
            check_id=check.id,
            requests=mine,
            observations={local: evidence.observed(f"{check.id}/{local}") for local in mine},
            cells=submission.cells,
            receipts=receipts,
        )
        try:
            return KINDS[check.kind].judge(check.params, seen, assignment.context)
        except (Fault, InputError) as fault:
            return Broken(reason=str(fault))
        except Exception as error:  # noqa: BLE001 - one check's bug must not cost the others
            if bugs is not None:
                bugs.append("".join(traceback.format_exception(error)))
            return Broken(reason=f"a bug of the grader: {type(error).__name__}: {error}")

    failed = [receipt for receipt in evidence.cells if receipt.status is not CellStatus.OK]
    notes = [*submission.notes, *(cell_says(receipt) for receipt in failed)]
    return Score(
        student=submission.student,
        assignment=submission.assignment,
        status=Status(evidence.ending.value),
        questions=_questions(
            assignment.rubric, {c.id: conclude(c) for c in assignment.rubric.checks}
        ),
        note=summary(notes),
        cap=assignment.rubric.cap,
    )


def unexecuted(submission: Submission, rubric: Rubric, reason: str = "") -> Score:
    """The score of a submission without evidence.

    What was not handed in earns zeros; what cannot be read, or failed through us, is not scored.
    """
    conclusion: Conclusion
    if submission.missing:
        status, conclusion = (
            Status.MISSING,
            Finding(credit=0.0, says=submission.problem, answered=False),
        )
    elif submission.problem:
        status, conclusion = Status.UNREADABLE, Pending(reason=submission.problem)
    else:
        says = "The grader could not run this; a person will look."
        status, conclusion = Status.NEEDS_PERSON, Pending(reason=says, detail=reason)
    return Score(
        student=submission.student,
        assignment=submission.assignment,
        status=status,
        questions=_questions(rubric, dict.fromkeys((c.id for c in rubric.checks), conclusion)),
        note=summary([submission.problem or reason, *submission.notes]),
        cap=rubric.cap,
    )


def summary(notes: Sequence[str]) -> str:
    """The first few notes in one line."""
    shown = [note for note in notes if note][:3]
    more = len(notes) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _questions(rubric: Rubric, conclusions: Mapping[str, Conclusion]) -> tuple[QuestionScore, ...]:
    return tuple(
        QuestionScore(
            id=question.id,
            max_points=question.points,
            bonus=question.bonus,
            all_or_nothing=question.all_or_nothing,
            checks=tuple(
                CheckScore(
                    check=check.name,
                    kind=check.kind,
                    max_points=check.max_points,
                    conclusion=conclusions[check.id],
                    reveal=check.reveal,
                    alternative=check.alternative,
                )
                for check in question.checks
            ),
        )
        for question in rubric.questions
    )
