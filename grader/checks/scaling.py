"""`scaling`: how the time and the memory of a call grow with the size of its input.

The guest measures at growing sizes, until it is done or time or memory is at risk; the exponents of
growth are judged here. Only the form of the result counts: whether it is right is for `function`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from grader.checks.base import Context, Problem, Released, Request, Seen, no_mistakes, no_name
from grader.checks.fitted import Misfit, fitted
from grader.checks.function import bad_inputs, exception, hidden_failure
from grader.checks.growth import LEAST, Reply, growth, read_reply
from grader.errors import ReferenceFault
from grader.rubric.model import CheckParams, Identifier, Strict
from grader.values import Value
from grader.verdict import Finding, Pending

#: What stands for the size in a case.
SIZE = "n"


class AtMost(Strict):
    """Exponents of growth; what is left out is not looked at."""

    time: Annotated[float, Field(ge=0)] | None = None
    memory: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _any(self) -> Self:
        if self.time is None and self.memory is None:
            raise ValueError("time or memory, or both")
        return self


class Params(CheckParams):
    """`scaling: linear_attention`."""

    of: Identifier
    reference: Identifier | None = None
    """A function or class of the reference; the one of the same name if left out."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=3)
    """Sizes to measure at, each larger than the one before."""
    case: dict[str, Any] = Field(min_length=1)
    """Arguments of the call, where `n` stands for the size: `normal(n, 32)`, or `n` itself."""
    build: dict[str, Any] | None = None
    """Arguments that an object of the class `of` is made with; it is called in its place."""
    method: Identifier | None = None
    """Which method to call; the object itself if left out."""
    at_most: AtMost

    @property
    def right(self) -> str:
        """Name of what knows what is right."""
        return self.reference or self.of

    @property
    def limits(self) -> dict[str, float]:
        """The exponents that are asked, by `time` and `memory`."""
        return self.at_most.model_dump(exclude_none=True)


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Always: the inputs are ours, but the clock is read in the student's process."""
    return True


def asks(params: Params) -> str:
    """What the student must define."""
    limits = [f"whose {name} grows at most like n^{x:g}" for name, x in params.limits.items()]
    return f"a function {params.of}({', '.join(params.case)}), {', '.join(limits)}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, inputs that nothing can draw, sizes that do not grow."""
    yield from no_mistakes(params)
    yield from no_name(params.right, context, ("reference",) if params.reference else ("of",))
    yield from bad_inputs(params.build or {}, ("build",), context)
    yield from bad_inputs(at_size(params.case, params.sizes[0]), ("case",), context)
    if list(params.sizes) != sorted(set(params.sizes)):
        yield ("sizes",), "expected sizes that grow"
    if at_size(params.case, 1) == at_size(params.case, 2):
        yield ("case",), f"expected {SIZE} somewhere, which stands for the size"


def at_size(case: Mapping[str, Any], size: int) -> dict[str, Any]:
    """A case with its size written out: `normal(n, 32)` becomes `normal(64, 32)`."""
    return {name: _sized(written, size) for name, written in case.items()}


def _sized(written: Any, size: int) -> Any:
    if not isinstance(written, str):
        return written
    if written.strip() == SIZE:
        return size
    try:
        tree = ast.parse(written.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return written
    if not isinstance(tree.body, ast.Call):
        return written
    return ast.unparse(_Sized(size).visit(tree))


class _Sized(ast.NodeTransformer):
    def __init__(self, size: int) -> None:
        self.size = size

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(self.size) if node.id == SIZE else node


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Measure at all sizes."""
    return {"growth": _request(params, context, check_id, list(params.sizes))}


def _request(params: Params, context: Context, place: str, sizes: list[int]) -> Request:
    cases = [context.case(at_size(params.case, n), f"{place}/size{n}") for n in sizes]
    asked: Request = {"op": "scaling", "name": params.of, "sizes": sizes, "cases": cases}
    if params.build is not None:
        asked["build"] = context.case(params.build, f"{place}/build")
    return asked | ({"method": params.method} if params.method else {})


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it could be measured at all."""
    looked = _looked(params, seen)
    return looked if isinstance(looked, Finding) else None


def _looked(params: Params, seen: Seen) -> Reply | Finding:
    """What was measured, or what kept that from being."""
    nothing = hidden_failure(seen, params.of, "growth")
    if nothing:
        return nothing
    reply = read_reply(seen.observations["growth"].value, seen.args("growth", "sizes"))
    if reply is None:
        return Finding(credit=0.0, says="The measurement's reply makes no sense.")
    if reply.result is None:
        return Finding(credit=0.0, says=f"{params.of} returns None.", answered=False)
    if reply.stopped == "died":
        says = f"{params.of} ended its process at {SIZE} = {reply.at}."
        return Finding(credit=0.0, says=says)
    if reply.stopped == "error":
        raised = exception(reply.raised.partition(":")[0])
        says = f"{params.of} raised {raised} at {SIZE} = {reply.at}."
        return Finding(credit=0.0, says=says, detail=reply.raised)
    return reply


def release(params: Params, context: Context, check_id: str) -> Released:
    """The smallest size, with inputs of its own: to see that it runs."""
    told = {"of": params.of}
    few = _request(params, context, f"{check_id}/public", list(params.sizes[:1]))
    return Released(params=told, requests={"growth": few})


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """The reference's own result at the smallest size, and growth just as it is asked."""
    request = asked["growth"]
    shares = [(n, n / request["sizes"][0]) for n in request["sizes"]]
    limits = {"time": 0.0, "memory": 0.0} | params.limits

    def measured(name: str, share: float) -> float:
        return float(LEAST[name] * share ** limits[name])

    rows = [[n, measured("time", x), int(measured("memory", x))] for n, x in shares]
    result = _own(params, request, context)
    told = {"measured": rows, "stopped": "", "at": shares[-1][0], "error": None, "limit": 1}
    return {"growth": {**told, "result": result}}


def judge(params: Params, seen: Seen, context: Context) -> Finding | Pending:
    """Give full credit when nothing grows faster than asked, none otherwise."""
    looked = _looked(params, seen)
    if isinstance(looked, Finding):
        return looked
    try:
        fitted(looked.result, _own(params, seen.requests["growth"], context))
    except Misfit as misfit:
        says = "The result is of another kind or shape than asked."
        return Finding(credit=0.0, says=says, detail=f"{misfit}.")
    found = {name: growth(looked, name) for name in params.limits}
    fast = [name for name, limit in params.limits.items() if found[name].exceeds(limit)]
    told = _told(looked)
    if fast:
        grows = " and ".join(f"{name} {found[name]}" for name in fast)
        asked = " and ".join(dict.fromkeys(f"n^{params.limits[name]:g}" for name in fast))
        says = f"It grows too fast: {grows}, where at most {asked} is asked.{_end(looked)}"
        return Finding(credit=0.0, says=says, detail=told)
    if looked.stopped and not any(one.sizes for one in found.values()):
        says = "Its growth could not be measured: a person looks."
        return Pending(reason=says, detail=told + _end(looked))
    said = ", ".join(f"{name} {one}" for name, one in found.items())
    return Finding(credit=1.0, says=f"Grows as asked: {said}.", detail=told)


def _own(params: Params, request: Request, context: Context) -> Value:
    """What the reference gives at the smallest size.

    Raises:
        ReferenceFault: it raised, or gives None.
    """
    called: Request = {part: request[part] for part in ("build", "method") if part in request}
    own = context.reference.answer(params.right, {**called, "args": request["cases"][0]})
    if own is None:
        raise ReferenceFault(f"expected {params.right} to give a result, found None")
    return own


def _end(reply: Reply) -> str:
    return f" It ran out of memory at {SIZE} = {reply.at}." if reply.stopped == "memory" else ""


def _told(reply: Reply) -> str:
    """The measurements, for people."""
    used = dict(reply.points["memory"])
    rows = [
        f"{SIZE} = {n}: {s * 1e3:.3g} ms" + (f", {used[n] / 2**20:.3g} MiB" if n in used else "")
        for n, s in reply.points["time"]
    ]
    return "; ".join(rows) + "."
