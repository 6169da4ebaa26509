"""What a picture says more shortly than a sentence: masks, tensors and curves, by kind of check.

Here it is decided what is drawn of a check, from numbers alone; `grader/report/drawing.py` draws.
A student sees the results of public cases, and lists that they made; results for hidden inputs and
what was expected of them are for staff, and for students where the rubric reveals them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.checks.growth import read_reply as read_growth
from grader.checks.model_reply import read_reply
from grader.evidence import ProbeStatus
from grader.report.beside import beside, cloud_of, leaves_of, numbers_of, series_of
from grader.report.picture import Curves, Grid, Growth, Numbers2D, Picture
from grader.rubric import Check
from grader.values import Value
from grader.verdict import CheckScore, Finding

#: Entries of a matrix from which on it is chosen for its picture.
TELLING = 9
#: Classes up to which predictions are counted in a table.
MOST_CLASSES = 12


@dataclass(frozen=True, slots=True)
class Subject:
    """A check of one student, as a picture may look at it.

    Args:
        check: What was asked.
        score: What was concluded.
        seen: What was seen.
        context: Reference and inputs.
        open: Whether the reader may see expected values and hidden inputs.
    """

    check: Check
    score: CheckScore
    seen: Seen
    context: Context
    open: bool

    @property
    def lost(self) -> bool:
        """Whether something is wrong."""
        found = self.score.conclusion
        return isinstance(found, Finding) and found.credit < 1

    def value(self, local: str) -> Value:
        """What a probe brought back; None if nothing."""
        seen = self.seen.observations.get(local)
        return seen.value if seen and seen.status is ProbeStatus.OK else None

    def answers(self) -> dict[str, Value]:
        """What the reference would have given, by local name.

        Raises:
            ReferenceFault: it failed.
        """
        check = self.check
        kind = KINDS[check.kind]
        return kind.answers(check.params, self.seen.requests, self.context, check.id) or {}


def pictures(subject: Subject) -> list[Picture]:
    """The pictures of one check; none for most.

    Raises:
        ReferenceFault: the reference failed.
    """
    draw = BY_KIND.get(subject.check.kind)
    decided = isinstance(subject.score.conclusion, Finding)
    with np.errstate(all="ignore"):  # what a student computed may be anything
        return list(draw(subject)) if draw and decided else []


def _cases(subject: Subject) -> Iterator[Picture]:
    """A wrong public case, and a wrong hidden one."""
    if not subject.lost:
        return
    answers = subject.answers()
    params: Any = subject.check.params
    for public in (True, False) if subject.open else (True,):
        wrong = [
            picture
            for local, case in params.named_cases.items()
            if local.startswith("public") == public
            and (picture := _case(subject, answers, local, params.shown(case)))
        ]
        # One number in a frame is no picture: a larger case says more.
        yield from [*filter(_is_telling, wrong), *wrong][:1]


def _case(subject: Subject, answers: dict[str, Value], local: str, called: str) -> Picture | None:
    told = called if local.startswith("public") else f"{called} (hidden)"
    return beside(subject.value(local), answers.get(local), told, subject.check.params)


def _is_telling(picture: Picture) -> bool:
    return (
        not isinstance(picture, Grid)
        or min(panel.values.size for panel in picture.panels) >= TELLING
    )


def _value(subject: Subject) -> Iterator[Picture]:
    """A wrong tensor or list beside the right one."""
    if subject.lost and subject.open:
        right = subject.answers().get("value")
        of = str(subject.check.params.of)
        picture = beside(subject.value("value"), right, of, subject.check.params)
        if picture:
            yield picture


def _model(subject: Subject) -> Iterator[Picture]:
    """Outputs against the reference's, and how far off each gradient is."""
    told = subject.seen.observations.get("model") if subject.lost and subject.open else None
    reply = read_reply(told) if told and told.status is ProbeStatus.OK else None
    right = subject.answers().get("model") if reply else None
    if reply is None or not isinstance(right, dict):
        return
    pairs = zip(leaves_of(reply.outputs), leaves_of(right.get("outputs")), strict=False)
    alike = [(s.ravel(), e.ravel()) for s, e in pairs if s.shape == e.shape and s.size]
    if alike:
        seen, expected = (np.concatenate(part) for part in zip(*alike, strict=True))
        yield cloud_of(f"All outputs of {subject.check.params.of}", seen, expected)
    if isinstance(right.get("gradients"), dict) and reply.gradients:
        yield from _gradients(reply.gradients, right["gradients"])


def _gradients(seen: dict[Value, Value], expected: dict[Value, Value]) -> Iterator[Picture]:
    rows = []
    for name, right in expected.items():
        given, wanted = numbers_of(seen.get(name)), numbers_of(right)
        if wanted is None:
            continue
        largest = f"{np.abs(wanted).max(initial=0):.3g}"
        if given is None or given.shape != wanted.shape:
            rows.append((str(name), str(wanted.shape), "missing", largest))
            continue
        error = np.abs(given - wanted).max(initial=0)
        rows.append((str(name), str(wanted.shape), f"{error:.3g}", largest))
    if rows:
        head = ("Parameter", "Shape", "Largest error", "Largest value")
        yield Numbers2D(caption="Gradients", head=head, rows=tuple(rows[:40]))


def _curve(subject: Subject) -> Iterator[Picture]:
    """The student's own list; the sentence beside it says what was asked of it."""
    numbers = numbers_of(subject.value("value"))
    if numbers is not None and numbers.ndim == 1 and numbers.size > 2:
        of = str(subject.check.params.of)
        yield Curves(
            caption=f"{of} over its {numbers.size} entries", series=(series_of(of, numbers),)
        )


def _metric(subject: Subject) -> Iterator[Picture]:
    """Predictions against withheld labels: counts by class, or a cloud."""
    labels = leaves_of(subject.answers().get("value")) if subject.lost and subject.open else []
    batches = leaves_of(subject.value("value"))
    if not labels or not batches:
        return
    expected = np.concatenate([one.reshape(-1) for one in labels])
    seen = np.concatenate([one.reshape(-1) for one in batches])
    if seen.shape != expected.shape:
        return
    classes = np.unique(np.concatenate([seen, expected]))
    if classes.size > MOST_CLASSES or not np.equal(classes, np.round(classes)).all():
        yield cloud_of("Predictions", seen, expected)
        return
    counts = [[str(int(((expected == e) & (seen == s)).sum())) for s in classes] for e in classes]
    names = [f"{one:g}" for one in classes]
    yield Numbers2D(
        caption="How often each label (row) was predicted as what (column)",
        head=("Label", *names),
        rows=tuple((name, *row) for name, row in zip(names, counts, strict=True)),
    )


def _scaling(subject: Subject) -> Iterator[Picture]:
    """Time and memory over the size of the input."""
    params: Any = subject.check.params
    sizes = list(params.sizes)
    reply = read_growth(subject.value("growth"), sizes) if subject.open else None
    for name, exponent in params.limits.items() if reply else ():
        scale, unit = (1e3, "ms") if name == "time" else (2**-20, "MiB")
        points = tuple((n, scale * y) for n, y in reply.points[name] if y > 0) if reply else ()
        if len(points) > 1:
            caption = f"{name.capitalize()} in {unit} over n, both on scales of powers"
            yield Growth(caption=caption, unit=unit, points=points, exponent=exponent)


BY_KIND: dict[str, Callable[[Subject], Iterator[Picture]]] = {
    "function": _cases,
    "value": _value,
    "model": _model,
    "curve": _curve,
    "metric": _metric,
    "scaling": _scaling,
}
