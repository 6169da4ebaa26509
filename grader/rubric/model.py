"""What a rubric holds once it is read: questions, and checks of the kinds in `grader/checks/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from grader import patterns
from grader.plan import Limits
from grader.submission import USUAL, Layout

UNITS_S = {"s": 1, "sec": 1, "min": 60, "h": 3600}
UNITS_MIB = {"MiB": 1, "GiB": 1024, "MB": 1, "GB": 1024}


def _quantity(units: dict[str, int], example: str) -> BeforeValidator:
    def read(given: Any) -> float:
        found = (
            re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]+)\s*", given)
            if isinstance(given, str)
            else None
        )
        if not found or found[2] not in units:
            raise ValueError(f"a quantity such as {example}")
        return float(found[1]) * units[found[2]]

    return BeforeValidator(read)


#: More than any course gives, and few enough to be added up.
MOST_POINTS = 1e9
Seconds = Annotated[float, _quantity(UNITS_S, "60 s or 10 min"), Field(gt=0, le=1e7)]
Mebibytes = Annotated[int, _quantity(UNITS_MIB, "2 GiB or 512 MiB"), Field(gt=0)]
Text = Annotated[str, BeforeValidator(lambda g: str(g) if type(g) in (int, float) else g)]
Points = Annotated[float, Field(gt=0, le=MOST_POINTS)]
Share = Annotated[float, Field(ge=0, le=1)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")]


class Strict(BaseModel):
    """Base of all models of people's files: unknown keys are errors, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


GPU_WORDS = ("none", "preferred", "required")


class GpuModel(Strict):
    """What a submission needs of a GPU; `none`, `preferred`, `required` or a size is short for it.

    `preferred` runs on the CPU where there is no GPU.
    """

    need: Literal["none", "preferred", "required"] = "required"
    memory: Annotated[int, _quantity(UNITS_MIB, "6 GiB"), Field(ge=1024)] | None = None
    """Memory of the GPU that a submission may use; all of it, and nobody beside, if left out."""
    share: bool = False
    """Whether others may use the rest of the GPU meanwhile."""

    @model_validator(mode="before")
    @classmethod
    def _long(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"need": given} if given in GPU_WORDS else {"memory": given}
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.share and self.memory is None:
            raise ValueError("memory beside share: how much of the GPU a submission may use")
        return self


class LimitsModel(Strict):
    """The `limits` of a rubric; what is left out keeps the default of `grader.plan.Limits`."""

    cell: Seconds = 60.0
    total: Seconds = 600.0
    probe: Seconds = 20.0
    memory: Mebibytes = 2048
    gpu: GpuModel = GpuModel(need="none")

    def limits(self) -> Limits:
        """The limits as the plan states them."""
        return Limits(
            cell_s=self.cell,
            total_s=self.total,
            probe_s=self.probe,
            memory_mib=self.memory,
            gpu=self.gpu.need == "required",
            gpu_mib=self.gpu.memory or 0,
            gpu_share=self.gpu.share,
        )


def checked_pattern(given: Any) -> Any:
    """A regular expression that is looked for in what students write, as it was given.

    Raises:
        ValueError: it is none that takes linear time.
    """
    try:
        patterns.check(str(given))
    except ValueError as error:
        raise ValueError(f"a regular expression as RE2 reads it ({error})") from error
    return given


Module = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.py$")]
Pattern = Annotated[str, BeforeValidator(checked_pattern)]


class SkipModel(Strict):
    """Which cells are not run at grading."""

    tags: tuple[str, ...] = USUAL.tags
    """Tags of a notebook's cells."""
    matching: tuple[Pattern, ...] = ()
    """Regular expressions that are looked for in the source of a cell."""


class Mistake(Strict):
    """A known wrong answer: a reference of its own, a sentence of feedback, and partial credit."""

    equals: Any = None
    """The wrong answer itself, written as `equals` of the check is."""
    reference: Identifier | None = None
    """Or the name of a wrong function or model in the reference."""
    says: str
    """What a student reads who made it."""
    credit: Share = 0.0


class CheckParams(Strict):
    """What checks of every kind have in common; each kind adds its own."""

    of: Any
    """What the student defines: the value behind the kind's own key."""
    name: str | None = None
    """What reports call the check; the student's name for it if left out."""
    weight: Points = 1.0
    """Share of the question's points, beside the weights of its other checks."""
    reveal: bool | None = None
    """Whether students may read expected values; the rubric's own `reveal` if None."""
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a question."""

    id: str
    """`<question>/<number from 1>`, or with an alternative `<question>/<alternative>/<number>`.

    The ids of its probes start with it.
    """
    kind: str
    params: CheckParams
    max_points: float
    reveal: bool
    alternative: str = ""
    """Which of the question's alternatives it belongs to, if it has any."""

    @property
    def name(self) -> str:
        """What reports call it."""
        named = self.params.of if isinstance(self.params.of, str) else self.kind
        return self.params.name or named


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its points are shared by its checks in proportion to their weights.

    Where it has alternatives, each of them shares the whole of the points.
    """

    id: str
    title: str
    points: float
    bonus: bool
    checks: tuple[Check, ...]
    """All checks, of every alternative."""
    all_or_nothing: bool = False


@dataclass(frozen=True, slots=True)
class Rubric:
    """One assignment's rubric."""

    assignment: str
    title: str
    round: int
    limits: Limits
    """Of a run on a GPU, if the rubric wants one."""
    questions: tuple[Question, ...]
    source: str
    """The text it was read from."""
    cap: float | None = None
    """The most that a student's total can be, bonus included."""
    layout: Layout = USUAL
    """Which files are handed in, and which cells are not run."""
    gpu_preferred: bool = False
    """Whether it runs on a GPU where there is one, and else on the CPU."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks in order."""
        return tuple(check for question in self.questions for check in question.checks)


Alternative = Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]


class QuestionModel(Strict):
    """A question as it is written."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    title: str = ""
    points: Points
    bonus: bool = False
    """Whether its points come on top of those that the assignment adds up to."""
    all_or_nothing: bool = False
    """Whether its checks earn points only together."""
    checks: tuple[dict[str, Any], ...] = ()
    alternatives: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Alternative] = {}
    """In place of `checks`: several ways to answer, by name, of which the best one counts."""

    @model_validator(mode="after")
    def _has_checks(self) -> Self:
        if self.checks and self.alternatives:
            raise ValueError("either checks or alternatives, not both")
        if not (self.checks or self.alternatives):
            raise ValueError("at least one check")
        return self


class RubricModel(Strict):
    """A rubric as it is written; the checks are validated by their kinds."""

    assignment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    title: str = ""
    points: Points | None = None
    """What the questions that are no bonus must add up to, if stated."""
    cap: Points | None = None
    """The most that a student's total can be, bonus included."""
    round: int = 1
    """Changing it draws new inputs for all probes."""
    reveal: bool | None = None
    """Whether students may read expected values; by default only counterexamples of formulas."""
    limits: LimitsModel = LimitsModel()
    notebooks: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ...] = ()
    """Names of the notebooks, without suffix, in order; the assignment's own if left out."""
    files: tuple[Module, ...] = ()
    """Modules that are loaded, in order, into what checks look at."""
    skip: SkipModel = SkipModel()
    questions: tuple[QuestionModel, ...] = Field(min_length=1)

    def layout(self) -> Layout:
        """What is handed in, as intake needs it."""
        return Layout(
            notebooks=self.notebooks,
            files=self.files,
            tags=self.skip.tags,
            matching=self.skip.matching,
        )
