"""`grader check`: what students learn before they upload.

Does the notebook run from top to bottom in a fresh kernel within the limits, is every asked name
there with the right kind and shape, do the public cases pass? It knows no answer to anything hidden
and needs no Docker. The notebook runs on the student's own machine, as if they had pressed Run All.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.checks import KINDS
from grader.checks.base import Context, Seen, cell_says
from grader.compare import compare
from grader.errors import InputError, ReferenceFault
from grader.evidence import CellStatus, Evidence, ProbeStatus
from grader.execute import execute
from grader.inputs import Inputs
from grader.intake.notebook import read_notebook, read_regular
from grader.plan import Limits, Plan, Probe
from grader.readable import from_json
from grader.reference import Reference
from grader.release import VERSION
from grader.sandbox.base import Sandbox
from grader.submission import Cell, CellKind, Submission
from grader.symbolic import Symbolic
from grader.values import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the self-check: a cell that failed, or an asked name."""

    question: str
    """Empty for a line about a cell."""
    name: str
    ok: bool
    says: str


def read_self_check(path: Path) -> dict[str, Any]:
    """Read the self-check file that came with the assignment.

    Raises:
        InputError: it is no such file.
    """
    try:
        found = json.loads(read_regular(path))
    except ValueError as error:
        raise InputError(f"{path}: expected the file that came with the assignment") from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise InputError(f"{path}: expected version {VERSION} of the self-check file: get it anew")
    return found


def check(notebook: Path, told: dict[str, Any], sandbox: Sandbox, symbolic: Symbolic) -> list[Line]:
    """Run a notebook and look at every asked name.

    Args:
        notebook: The student's file; `data/` beside it is what the notebook finds as `data/`.
        told: The self-check, from `read_self_check` or `grader.release.self_check`.
        sandbox: Where to run it.
        symbolic: Reads formulas.

    Raises:
        SubmissionError: the file is no notebook.
        SandboxFault: it could not be run, through no fault of the notebook.
    """
    cells = read_notebook(notebook).cells
    submission = Submission(student="you", assignment=str(told["assignment"]), cells=cells)
    data = notebook.parent / "data"
    plan = _plan(told, sandbox.image)
    run = execute(submission, plan, sandbox, data if data.is_dir() else None)
    context = _context(told, symbolic)
    lines = [
        Line(question="", name=f"cell {r.index + 1}", ok=False, says=f"{cell_says(r)}.")
        for r in run.evidence.cells
        if r.status is not CellStatus.OK
    ]
    return lines + [_look(one, cells, run.evidence, context) for one in told["checks"]]


def _plan(told: dict[str, Any], image: str) -> Plan:
    limits = Limits(**told["limits"])
    probes = [
        Probe(id=f"{one['id']}/{local}", request=from_json(request), time_s=limits.probe_s)
        for one in told["checks"]
        for local, request in one["requests"].items()
    ]
    slug = str(told["assignment"])
    return Plan(assignment=slug, limits=limits, probes=tuple(probes), seed=0, image=image)


def _context(told: dict[str, Any], symbolic: Symbolic) -> Context:
    """What `form` may use on a student's machine: no reference, no secret."""
    template = tuple(Cell(CellKind.MARKDOWN, source) for source in told["template"])
    slug = str(told["assignment"])
    nowhere = Reference(Path("not on this machine"))
    inputs = Inputs(b"", slug, 0)
    return Context(reference=nowhere, inputs=inputs, symbolic=symbolic, template=template)


def _look(
    one: dict[str, Any], cells: tuple[Cell, ...], evidence: Evidence, context: Context
) -> Line:
    kind = KINDS[one["kind"]]
    params = _params(kind.Params, from_json(one["params"]))
    requests = {local: from_json(request) for local, request in one["requests"].items()}
    seen = Seen(
        check_id=one["id"],
        requests=requests,
        observations={local: evidence.observed(f"{one['id']}/{local}") for local in requests},
        cells=cells,
        receipts={receipt.index: receipt for receipt in evidence.cells},
    )
    question = str(one["id"]).rpartition("/")[0]
    try:
        wrong = kind.form(params, seen, context)
    except ReferenceFault as error:
        raise InputError(
            f"the self-check file does not fit this version of grader: {error}"
        ) from error
    says = wrong.says if wrong else _public(one, params, seen)
    name = str(one["name"])
    return Line(question=question, name=name, ok=not says, says=says or _fine(one))


def _params(model: Any, told: dict[str, Any]) -> Any:
    """Settings without their answers, which the model itself would insist on."""
    fields = {name: told[name] for name in told if name in model.model_fields}
    inner = model.model_fields["of"].annotation
    if isinstance(fields.get("of"), dict) and hasattr(inner, "model_validate"):
        fields["of"] = inner.model_validate(fields["of"])
    return model.model_construct(**fields)


def _public(one: dict[str, Any], params: Any, seen: Seen) -> str:
    """What is wrong in a public case or a model's output shapes; empty when nothing is."""
    for local, written in one["expected"].items():
        observed = seen.observations[local]
        if observed.status is not ProbeStatus.OK:
            return f"A public case {Seen.failed(observed)}."
        found = compare(observed.value, from_json(written), rtol=params.rtol, atol=params.atol)
        if found:
            return f"A public case is wrong: {found.summary}. {found.detail}".strip()
    return _misfit(one, seen) if one["kind"] == "model" else ""


def _misfit(one: dict[str, Any], seen: Seen) -> str:
    """The first parameter or output of a model that is missing or has another shape than asked."""
    reply = seen.observations["model"].value
    theirs = reply["parameters"]
    for name, shape in one["parameters"].items():
        if theirs.get(name) != shape:
            found = theirs.get(name, ", ".join(theirs) or "no parameters")
            return f"Expected a parameter {name} of shape {shape}, found {found}."
    shapes = [list(o.shape) if isinstance(o, Tensor) else None for o in reply["outputs"]]
    if shapes != one["shapes"]:
        return f"Expected outputs of shapes {one['shapes']}, found {shapes}."
    return ""


def _fine(one: dict[str, Any]) -> str:
    count = len(one["expected"])
    if count:
        return f"{one['asks']}: {count} public case{'' if count == 1 else 's'} right"
    return f"{one['asks']}: is there"
