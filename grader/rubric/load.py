"""Read a rubric; every problem is found at once and says where it is and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from grader.errors import RubricError
from grader.rubric.model import (
    Check,
    CheckParams,
    Question,
    QuestionModel,
    Rubric,
    RubricModel,
)
from grader.rubric.yaml import Document, Place

M = TypeVar("M", bound=BaseModel)


def load_rubric(path: Path, kinds: Mapping[str, type[CheckParams]], shown: str = "") -> Rubric:
    """Read and check a rubric.

    Args:
        path: The YAML file.
        kinds: Every kind of check by its key, with the model of its settings.
        shown: How messages name the file; the path if left out.

    Raises:
        RubricError: with every problem found.
    """
    document = Document(path, shown or str(path))
    if not isinstance(document.data, dict):
        raise RubricError([document.problem((), "expected keys such as `assignment:`")])
    _inline_checks(document.data)
    problems: list[str] = []
    model = _validate(RubricModel, document.data, (), document, problems)
    questions = _questions(document, kinds, problems)
    if model is not None and not problems:
        problems += _disagreements(document, model)
    if model is None or problems:
        raise RubricError(sorted(set(problems), key=problems.index))
    reveal = model.reveal
    return Rubric(
        assignment=model.assignment,
        title=model.title,
        round=model.round,
        limits=model.limits.limits(),
        questions=tuple(
            _question(written, checks, reveal)
            for written, checks in zip(model.questions, questions, strict=True)
        ),
        source=document.text,
        cap=model.cap,
        layout=model.layout(),
        gpu_preferred=model.limits.gpu.need == "preferred",
    )


Kinded = tuple[str, CheckParams]
Groups = dict[str, list[Kinded]]
"""The checks of a question by alternative; by the empty name if it has none."""


def _inline_checks(data: dict[str, Any]) -> None:
    """A question with one check may write it right into the question, without `checks:`."""
    questions = data.get("questions")
    for question in questions if isinstance(questions, list) else []:
        if isinstance(question, dict) and not {"checks", "alternatives"} & question.keys():
            own = {
                k: question.pop(k) for k in list(question) if k not in QuestionModel.model_fields
            }
            question["checks"] = [own] if own else []


def _questions(
    document: Document, kinds: Mapping[str, type[CheckParams]], problems: list[str]
) -> list[Groups]:
    found: list[Groups] = []
    questions = document.data.get("questions")
    for q, question in enumerate(questions if isinstance(questions, list) else []):
        found.append({})
        for name, place, checks in _groups(question, ("questions", q)):
            found[-1][name] = []
            for c, check in enumerate(checks if isinstance(checks, list) else []):
                if isinstance(check, dict):
                    kinded = _check(document, (*place, c), check, kinds, problems)
                    found[-1][name] += [kinded] if kinded else []
    return found


def _groups(question: Any, place: Place) -> Iterator[tuple[str, Place, Any]]:
    """The lists of checks of a question: name of the alternative or none, where, what."""
    if not isinstance(question, dict):
        return
    alternatives = question.get("alternatives")
    for name, checks in alternatives.items() if isinstance(alternatives, dict) else ():
        yield str(name), (*place, "alternatives", name), checks
    if "checks" in question:
        yield "", (*place, "checks"), question["checks"]


def _check(
    document: Document,
    place: Place,
    written: dict[str, Any],
    kinds: Mapping[str, type[CheckParams]],
    problems: list[str],
) -> Kinded | None:
    named = [key for key in written if key in kinds]
    if len(named) != 1:
        given = ", ".join(map(str, written)) or "nothing"
        known = ", ".join(kinds)
        hint = next((nearest(key, kinds) for key in written if nearest(key, kinds)), "")
        says = f"expected one kind of check ({known}), found {given}{hint}"
        problems.append(document.problem(place, says))
        return None
    kind = named[0]
    settings = {("of" if key == kind else key): value for key, value in written.items()}
    params = _validate(kinds[kind], settings, place, document, problems, of=kind)
    return (kind, params) if params is not None else None


def _question(written: QuestionModel, groups: Groups, reveal: bool | None) -> Question:
    return Question(
        id=written.id,
        title=written.title,
        points=written.points,
        bonus=written.bonus,
        all_or_nothing=written.all_or_nothing,
        checks=tuple(
            check for name in groups for check in _shared(written, name, groups[name], reveal)
        ),
    )


def _shared(
    written: QuestionModel, alternative: str, checks: Sequence[Kinded], reveal: bool | None
) -> Iterator[Check]:
    """Checks that share the question's points by their weights."""
    whole = sum(params.weight for _, params in checks)
    start = f"{written.id}/{alternative}" if alternative else written.id
    for number, (kind, params) in enumerate(checks, start=1):
        yield Check(
            id=f"{start}/{number}",
            kind=kind,
            params=params,
            max_points=written.points * params.weight / whole,
            reveal=_revealed(kind, params.reveal, reveal),
            alternative=alternative,
        )


def _revealed(kind: str, check: bool | None, rubric: bool | None) -> bool:
    """The check's choice, else the rubric's; else a wrong formula gets its counterexample."""
    chosen = rubric if check is None else check
    return kind == "expression" if chosen is None else chosen


def _disagreements(document: Document, model: RubricModel) -> list[str]:
    problems = []
    seen: dict[str, int] = {}
    for number, question in enumerate(model.questions):
        if question.id in seen:
            place = ("questions", number, "id")
            first = document.line(("questions", seen[question.id], "id"))
            says = f"expected an id of its own, found {question.id!r} again (first on line {first})"
            problems.append(document.problem(place, says))
        seen.setdefault(question.id, number)
    whole = sum(question.points for question in model.questions if not question.bonus)
    if model.points is not None and abs(whole - model.points) > 1e-9:
        says = f"expected the sum of the questions' points, {whole:g}, found {model.points:g}"
        problems.append(document.problem(("points",), says))
    return problems


def _validate(
    model: type[M],
    data: Any,
    place: Place,
    document: Document,
    problems: list[str],
    *,
    of: str = "",
) -> M | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            at = [of if part == "of" and of else part for part in one["loc"]]
            where = (*place, *at)
            problems.append(document.problem(where, _sentence(model, one, of)))
        return None


def _sentence(model: type[BaseModel], error: Any, of: str) -> str:
    if error["type"] == "extra_forbidden":
        known = [of if key == "of" else key for key in _keys(model, error["loc"][:-1])]
        hint = nearest(error["loc"][-1], known) or f"; known are {', '.join(known)}"
        return f"unknown key{hint}"
    if error["type"] == "missing":
        return "expected this key, found nothing"
    expected = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    found = repr(error["input"])
    return f"expected {expected}, found {found if len(found) < 60 else found[:60] + '…'}"


def _keys(model: type[BaseModel], place: Iterable[Any]) -> list[str]:
    """Keys of the model that stands at a place inside `model`."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
            model = inner or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inside if model), None)


def nearest(word: Any, known: Iterable[str]) -> str:
    """A hint that ends a sentence, `; did you mean X?`, or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
