"""Right and wrong formulas, in the forms that students write, through rubric and check.

`tests/answers/` was written from the handout, by someone who had not read the rubric.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.assignment import read_rubric
from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.evidence import Observation, ProbeStatus
from grader.inputs import Inputs
from grader.reference import Reference
from grader.rubric import Check, Rubric
from grader.symbolic import Symbolic
from grader.verdict import Finding

ROOT = Path(__file__).parents[1]
ANSWERS = Path(__file__).parent / "answers"


def answers(kind: str) -> list[Any]:
    cases = []
    for path in sorted(ANSWERS.glob("*.yaml")):
        for question, by_kind in yaml.safe_load(path.read_text()).items():
            for text in by_kind.get(kind, []):
                name = f"{path.stem}-{question}-{text}"
                cases.append(pytest.param(path.stem, question, text, id=name))
    return cases


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    with Symbolic(wall_s=20) as symbolic:
        yield Context(
            reference=Reference(Path("none")), inputs=Inputs(b"", "hw", 1), symbolic=symbolic
        )


def check_of(slug: str, question: str) -> Check:
    rubric: Rubric = read_rubric(ROOT / "rubrics" / f"{slug}.yaml", slug)
    question, _, name = question.partition(" ")
    checks = next(q for q in rubric.questions if q.id == question).checks
    formulas = [check for check in checks if check.kind in ("expression", "complexity")]
    return next(check for check in formulas if name in ("", check.name))


def judged(slug: str, question: str, text: str, context: Context) -> Finding:
    """Judge a formula; for `1a [rnn, time, train]` or `2a [0]`, in an answer right otherwise.

    Where a question asks for several formulas, its name follows: `2g_ii vanilla_cost`.
    """
    question, _, entry = question.rstrip("]").partition(" [")
    check = check_of(slug, question)
    params: Any = check.params
    seen = Seen(
        check_id=check.id,
        requests={"value": {"op": "capture", "name": check.name}},
        observations={
            "value": Observation(
                status=ProbeStatus.OK, value=filled(params.equals, entry, text) if entry else text
            )
        },
        cells=(),
        receipts={},
    )
    conclusion = KINDS[check.kind].judge(check.params, seen, context)
    assert isinstance(conclusion, Finding), conclusion
    return replace(conclusion, credit=of_entry(conclusion.credit, params)) if entry else conclusion


def filled(equals: Any, entry: str, text: str) -> Any:
    """The right answer, with another text in one entry of the dict or list."""
    if isinstance(equals, dict):
        return equals | {entry: text}
    return [text if str(i) == entry else formula for i, formula in enumerate(equals)]


def of_entry(credit: float, params: Any) -> float:
    """Credit of the only entry that may be wrong."""
    return round(1 - (1 - credit) * len(params.equals), 9)


def unreadable(finding: Finding) -> bool:
    """Whether it says so, of a lone formula or of an entry."""
    return "cannot be read" in finding.says or "Cannot read the formula" in finding.says


@pytest.mark.slow
@pytest.mark.parametrize(("slug", "question", "text"), answers("right"))
def test_a_right_answer_earns_everything(
    slug: str, question: str, text: str, context: Context
) -> None:
    finding = judged(slug, question, text, context)
    assert finding.credit == 1.0, finding.says


@pytest.mark.parametrize(("slug", "question", "text"), answers("wrong"))
def test_a_wrong_answer_earns_nothing(
    slug: str, question: str, text: str, context: Context
) -> None:
    finding = judged(slug, question, text, context)
    assert finding.credit == 0.0
    assert not unreadable(finding)


@pytest.mark.slow
@pytest.mark.parametrize(("slug", "question", "text"), answers("unclear"))
def test_what_is_no_formula_is_said_to_be_none(
    slug: str, question: str, text: str, context: Context
) -> None:
    finding = judged(slug, question, text, context)
    assert finding.credit == 0.0
    assert unreadable(finding)
