"""What a rubric may say of a model, and what is wrong with how it says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from grader.checks.base import Context, Problem, no_name
from grader.checks.function import bad_inputs, bad_mistakes
from grader.checks.model_layers import parse_layer
from grader.errors import ReferenceFault
from grader.rubric.model import CheckParams, Identifier, Strict
from grader.values import Tensor

Part = Literal["parameters", "count", "shapes", "outputs", "gradients"]
Rename = dict[str, str]
#: Parts that weights of ours are needed for.
WEIGHED: tuple[Part, ...] = ("outputs", "gradients")


class Band(Strict):
    """How many parameters are plausible."""

    at_least: Annotated[int, Field(ge=0)] | None = None
    at_most: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("at_least or at_most")
        return self


class Params(CheckParams):
    """`model: SelfAttention`."""

    of: Identifier
    reference: Identifier | None = None
    """A class of the reference; the one of the same name if left out."""
    also: tuple[Identifier, ...] = ()
    """Further classes of the reference that are right too; the first that agrees counts."""
    build: dict[str, Any] = Field(default_factory=dict)
    """Arguments that the class is built with."""
    inputs: tuple[dict[str, Any], ...] = ()
    """Arguments of each forward pass, by name."""
    method: Identifier | None = None
    """A method that is called in place of the forward pass."""
    item: Annotated[int, Field(ge=0)] | None = None
    """Which item counts where a list or tuple is returned; anything else counts as it is."""
    mode: Literal["eval", "train"] = "eval"
    compare: tuple[Part, ...] = ("outputs", "gradients")
    """What must be as the reference's; `shapes` are those of the outputs."""
    count: Band | None = None
    """A band for the number of parameters, in place of the reference's own number."""
    loss: Annotated[int, Field(ge=0)] | None = None
    """Place of the output, a scalar, whose gradients are compared; else those of a fixed scalar."""
    rename: Rename | tuple[Rename, ...] = ()
    """The student's parameter names to the reference's; several maps where several are usual."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Parameters that are given one number throughout, by the reference's names."""
    shake: Annotated[float, Field(ge=0)] = 0.0
    """Size of the noise on the weights that a model starts with, where none are loaded."""
    causal: str | None = None
    """An input that, changed from a place on, changes no output before that place."""
    batch: bool = False
    """Whether an item's output must not depend on the others of its batch."""
    permutes: str | None = None
    """An input whose order the outputs follow."""
    ignores_order: str | None = None
    """An input whose order the outputs do not depend on."""
    has: dict[str, str] = Field(default_factory=dict)
    """Layers by path, in which `*` is any name: `bn: BatchNorm1d(momentum=0.01)`."""
    deterministic: bool = False
    """Whether the same input must give the same output twice."""
    dropout: bool = False
    """Whether in training mode it must not."""
    holds: Identifier | None = None
    """A predicate of the reference: (outputs, inputs, parameters, count), those that it takes."""
    credit: Literal["all", "per_part"] = "all"
    rtol: Annotated[float, Field(ge=0)] = 1e-4
    atol: Annotated[float, Field(ge=0)] = 1e-5

    @property
    def right(self) -> str:
        """Name of the class that knows what is right."""
        return self.reference or self.of

    @property
    def renames(self) -> tuple[Rename, ...]:
        """All maps of names."""
        if isinstance(self.rename, dict):
            return (self.rename,) if self.rename else ()
        return self.rename

    @property
    def loads(self) -> bool:
        """Whether weights of ours are loaded; else the student's own layout is free."""
        compared = bool(self.inputs) and any(part in WEIGHED for part in self.compare)
        return compared or bool(self.weights)

    @property
    def counted(self) -> bool:
        """Whether the number of parameters is looked at."""
        return self.count is not None or "count" in self.compare

    @property
    def runs(self) -> bool:
        """Whether anything is looked at that takes a forward pass."""
        orders = (self.causal, self.permutes, self.ignores_order)
        once = self.batch or self.deterministic or self.dropout or any(orders)
        return once or bool({"shapes", *WEIGHED} & {*self.compare})

    @property
    def anything(self) -> bool:
        """Whether anything is looked at at all."""
        return self.runs or self.counted or bool(self.compare or self.has or self.holds)


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, inputs that nothing can draw, nothing to look at."""
    yield from no_name(params.right, context, ("reference",) if params.reference else ("of",))
    for number, name in enumerate(params.also):
        yield from no_name(name, context, ("also", number))
    yield from no_name(params.holds, context, ("holds",))
    yield from _bad_mistakes(params, context)
    yield from bad_inputs(params.build, ("build",), context)
    for number, one in enumerate(params.inputs):
        yield from bad_inputs(one, ("inputs", number), context)
    if not params.anything:
        yield ("compare",), "expected something to look at, found nothing"
    if params.runs and not params.inputs:
        yield ("inputs",), "expected inputs, without which outputs cannot be looked at"
    if params.loss is not None and "gradients" not in params.compare:
        yield ("loss",), "expected gradients to be compared, which it is the loss of"
    if params.item is not None and "gradients" in params.compare:
        yield ("item",), "expected gradients not to be compared: they are of all that is returned"
    if params.shake and params.loads:
        yield ("shake",), "expected no weights to be loaded: drawn weights are shaken already"
    yield from _bad_layers(params)
    yield from _bad_orders(params)
    yield from _bad_weights(params, context)


def _bad_mistakes(params: Params, context: Context) -> Iterator[Problem]:
    yield from bad_mistakes(params, context)
    if params.mistakes and not params.compare:
        yield ("mistakes",), "expected something to compare, by which a mistake is recognised"


def _bad_layers(params: Params) -> Iterator[Problem]:
    for path, written in params.has.items():
        try:
            parse_layer(written)
        except ValueError as error:
            yield ("has", path), str(error)


def _bad_orders(params: Params) -> Iterator[Problem]:
    """Inputs to be changed that no forward pass has."""
    given = {name for one in params.inputs for name in one}
    for key in ("causal", "permutes", "ignores_order"):
        name = getattr(params, key)
        if name is not None and name not in given:
            yield (key,), f"expected a name of the inputs, found {name!r}"


def _bad_weights(params: Params, context: Context) -> Iterator[Problem]:
    """Constants for parameters that the reference does not have."""
    if not params.weights or params.right not in context.reference.names:
        return
    try:
        drawn = draw(params, context, "")[0]
    except ReferenceFault:
        return  # the rehearsal will say so
    for name in params.weights:
        if name not in drawn:
            yield ("weights", name), f"expected a parameter of {params.right}, found {name!r}"


def draw(
    params: Params, context: Context, check_id: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights that are loaded, and the statistics, by the reference's names.

    Raises:
        ReferenceFault: the reference failed.
    """
    seed = context.inputs.seed(f"{check_id}/weights") % 2**31
    build = context.case(params.build, f"{check_id}/build")
    weights, statistics = context.reference.weights(params.right, build, seed)
    for name, number in params.weights.items():
        if name in weights:
            held = weights[name]
            array = held.array * 0 + held.array.dtype.type(number)
            weights[name] = Tensor(array, held.dtype, held.origin)
    return weights, statistics
