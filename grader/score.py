"""Score evidence under a rubric with a reference. Pure: the same three give the same score.

Nothing of a student runs here; whatever the reference or the rubric does wrong makes a check
broken, with its reason, and takes nobody's points.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.assignment import Assignment
from grader.checks import KINDS
from grader.checks.base import Seen, cell_says
from grader.elsewhere import elsewhere
from grader.errors import Fault, InputError
from grader.evidence import CellStatus, Evidence
from grader.rubric import Check, Rubric
from grader.starter import NO_STARTER, Starter
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
    *,
    starter: Starter = NO_STARTER,
) -> Score:
    """Score one submission.

    Args:
        evidence: What its run showed.
        submission: The notebook itself, for what is read from its cells.
        assignment: Rubric and reference.
        answers: Digests of the probes that the evidence answers; a check whose question has
            changed since then is broken until the notebook is executed anew. None: all are alike.
        bugs: Gets the traceback of every error that nothing expected; its check is broken.
        starter: What is known of the starter's own run.

    Raises:
        MemoryError: which says nothing about the student.
    """
    run = seen_in(evidence, submission, assignment, starter)

    def conclude(check: Check) -> Conclusion:
        asked = assignment.asked(check)
        if answers is not None and any(answers.get(p) != d for p, d in asked.items()):
            return Broken(reason="the question has changed since this was executed: grader run")
        seen = seen_of(check, run, evidence, assignment)
        try:
            judged = KINDS[check.kind].judge(check.params, seen, assignment.context)
            found = elsewhere(check, judged, seen, assignment)
        except (Fault, InputError) as fault:
            return Broken(reason=str(fault))
        except MemoryError:
            raise  # nothing that is judged after it can be relied on
        except Exception as error:  # noqa: BLE001 - one check's bug must not cost the others
            if bugs is not None:
                bugs.append("".join(traceback.format_exception(error)))
            return Broken(reason=f"a bug of the grader: {type(error).__name__}: {error}")
        lost = isinstance(found, Finding) and found.credit == 0
        reason = (seen.blameless() or _unread(submission, found)) if lost else ""
        return Pending(reason=reason) if reason else found

    return Score(
        student=submission.student,
        assignment=submission.assignment,
        submission=submission.whole_digest,
        status=Status(evidence.ending.value),
        questions=_questions(
            assignment.rubric, {c.id: conclude(c) for c in assignment.rubric.checks}
        ),
        note=summary(
            [
                *on_cpu(assignment.rubric, evidence),
                *_notes(submission, evidence, starter, run.environment),
            ]
        ),
        cap=assignment.rubric.cap,
    )


def on_cpu(rubric: Rubric, evidence: Evidence) -> list[str]:
    """What is said of a run that had no GPU, though the rubric prefers one."""
    if rubric.gpu_preferred and not evidence.environment.get("gpu"):
        return ["ran on the CPU, because there was no GPU for it"]
    return []


def _notes(
    submission: Submission, evidence: Evidence, starter: Starter, ours: frozenset[int]
) -> list[str]:
    """What staff and student read beside the points, the most telling first."""
    cells = submission.cells
    failed = [r for r in evidence.cells if r.status not in (CellStatus.OK, CellStatus.LEFT_OUT)]
    left_out = [r for r in evidence.cells if r.status is CellStatus.LEFT_OUT]
    return [
        starter.note(cells),
        *submission.notes,
        *(cell_says(r, cells) for r in failed if r.index not in ours),
        *(f"{cell_says(r, cells)}, {starter.likeness}" for r in failed if r.index in ours),
        *(cell_says(r, cells) for r in left_out),
    ]


def _unread(submission: Submission, found: Conclusion) -> str:
    """Why a person looks at what is not there: it may be in a file that could not be taken."""
    if not submission.unread or not isinstance(found, Finding) or found.answered:
        return ""
    why = "; ".join(submission.unread.values())
    return f"{found.says} It may be in what was not taken ({why}): a person will look."


def seen_of(check: Check, run: Seen, evidence: Evidence, assignment: Assignment) -> Seen:
    """What a check may see of a run, of which `seen_in` says what is the same for all checks."""
    mine = assignment.requests[check.id]
    return replace(
        run,
        check_id=check.id,
        requests=mine,
        observations={local: evidence.observed(f"{check.id}/{local}") for local in mine},
    )


def seen_in(
    evidence: Evidence,
    submission: Submission,
    assignment: Assignment,
    starter: Starter = NO_STARTER,
) -> Seen:
    """What every check may see of a run; put together once, as it takes as long as many checks."""
    return Seen(
        check_id="",
        requests={},
        observations={},
        cells=submission.cells,
        receipts={receipt.index: receipt for receipt in evidence.cells},
        environment=starter.blameless(submission.cells, evidence.cells),
        taken=assignment.names,
        absent=submission.absent,
        writeup=assignment.writeup(submission),
        given_writeup=assignment.given_writeup,
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
        submission=submission.whole_digest,
        status=status,
        questions=_questions(rubric, dict.fromkeys((c.id for c in rubric.checks), conclusion)),
        note=summary([submission.problem or reason, *submission.notes]),
        cap=rubric.cap,
    )


def summary(notes: Sequence[str]) -> str:
    """The first few notes in one line."""
    notes = [note for note in notes if note]
    shown = notes[:3]
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
