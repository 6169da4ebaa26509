"""`grader check`: what students learn before they upload.

Does the notebook run from top to bottom in a fresh kernel within the limits, is every asked name
there with the right kind and shape, do the public cases pass? It knows no answer to anything hidden
and needs no Docker. The notebook runs on the student's own machine, as if they had pressed Run All.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.checks.culprit import because, cell_says, name_of
from grader.compare import compare
from grader.errors import InputError, ReferenceFault, SubmissionError
from grader.evidence import CellStatus, Evidence, ProbeStatus
from grader.execute import execute
from grader.inputs import Inputs
from grader.intake.folders import read_submission
from grader.intake.notebook import read_regular
from grader.plan import Limits, Plan, Probe
from grader.readable import from_json
from grader.reference import Reference
from grader.release import VERSION
from grader.sandbox.base import Sandbox
from grader.submission import Cell, CellKind, Layout, Submission
from grader.symbolic import Symbolic
from grader.values import Tensor, Value

#: Names of parameters that a line tells.
MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the self-check: a cell that failed, or an asked name."""

    question: str
    """Empty for a line about a cell."""
    name: str
    ok: bool
    says: str
    cause: str = ""
    """The name of the cell whose failure led to this one; empty for a first cause."""


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


def check(path: Path, told: dict[str, Any], sandbox: Sandbox, symbolic: Symbolic) -> list[Line]:
    """Run a notebook, or what else a folder holds, and look at every asked name.

    Args:
        path: The student's notebook or folder; what lies beside the notebook is there when it runs,
            and `data/` as what the course gives.
        told: The self-check, from `read_self_check` or `grader.release.self_check`.
        sandbox: Where to run it.
        symbolic: Reads formulas.

    Raises:
        SubmissionError: the file is no notebook, or the folder lacks all that is asked for.
        SandboxFault: it could not be run, through no fault of the notebook.
    """
    submission = _read(path, told)
    if submission.problem:
        raise SubmissionError(submission.problem)
    data, lib = (_folder(path, name) for name in ("data", "lib"))
    plan = _plan(told, sandbox.image, lib)
    evidence = execute(submission, plan, sandbox, data, lib).evidence()
    context = _context(told, symbolic)
    taken = frozenset(map(str, told.get("names", ())))
    looked = [_look(one, submission, evidence, context, taken) for one in told["checks"]]
    asked = list(_of_the_best(looked))
    lines = [
        *_file_lines(submission, lacks=_lacks(asked, told, evidence)),
        *_cell_lines(submission.cells, evidence),
        *asked,
    ]
    return list(_grouped(lines))


def _lacks(asked: Sequence[Line], told: dict[str, Any], evidence: Evidence) -> bool:
    """Whether an asked name is not defined, and no cell that failed is the cause."""
    missing = {
        (str(one["id"]).partition("/")[0], str(one["name"]))
        for one in told["checks"]
        for local in one["requests"]
        if evidence.observed(f"{one['id']}/{local}").status is ProbeStatus.MISSING
    }
    return any((line.question, line.name) in missing and not line.cause for line in asked)


def _file_lines(submission: Submission, *, lacks: bool) -> Iterator[Line]:
    """What is to say of files: those that are absent matter only where a name is missing."""
    absent = "is not there." if lacks else "is not there, but every asked name is."
    for name in submission.absent:
        yield Line(question="", name=name, ok=not lacks, says=absent)
    for name, why in submission.unread.items():
        yield Line(question="", name=name, ok=False, says=f"{why}.")
    for note in submission.notes:
        if " left out: " in note:
            yield Line(question="", name="files", ok=True, says=f"{note}.")


def _of_the_best(lines: list[Line]) -> Iterator[Line]:
    """The same lines without those of alternatives that the student did not choose.

    Which one was chosen is what has the largest share in order, the first of equals.
    """
    fine: dict[str, dict[str, float]] = {}
    for line in lines:
        question, _, alternative = line.question.partition("/")
        tried = [other.ok for other in lines if other.question == line.question]
        fine.setdefault(question, {})[alternative] = sum(tried) / len(tried)
    for line in lines:
        question, _, alternative = line.question.partition("/")
        if alternative == max(fine[question], key=fine[question].__getitem__):
            yield replace(line, question=question)


def _read(path: Path, told: dict[str, Any]) -> Submission:
    slug = str(told["assignment"])
    layout = replace(
        Layout(**{name: tuple(words) for name, words in told.get("layout", {}).items()}),
        ours=("data", "lib") if _folder(path, "lib") else ("data",),
    )
    if path.is_dir():
        return read_submission(path, slug, layout)
    one = path.name if len(layout.notebooks) < 2 else ""
    return read_submission(path.parent, slug, layout, one)


def _folder(path: Path, name: str) -> Path | None:
    folder = (path if path.is_dir() else path.parent) / name
    return folder if folder.is_dir() else None


def _cell_lines(cells: tuple[Cell, ...], evidence: Evidence) -> Iterator[Line]:
    receipts = {receipt.index: receipt for receipt in evidence.cells}
    for index, receipt in receipts.items():
        if receipt.status is CellStatus.OK:
            continue
        causes = because(receipt, cells, receipts)
        yield Line(
            question="",
            name=name_of(index, cells),
            ok=receipt.status is CellStatus.LEFT_OUT,
            says=f"{cell_says(receipt, cells).rstrip('.')}.",
            cause=name_of(causes[-1], cells) if causes else "",
        )


def _grouped(lines: Sequence[Line]) -> Iterator[Line]:
    """The same lines; what follows from a cell's failure stands right behind it."""
    causes = {line.name for line in lines if not line.question and not line.cause}
    for line in lines:
        if line.cause in causes:
            continue
        yield line
        if not line.question:
            yield from (other for other in lines if other.cause == line.name)


def _plan(told: dict[str, Any], image: str, lib: Path | None) -> Plan:
    limits = Limits(**told["limits"])
    probes = [
        Probe(id=f"{one['id']}/{local}", request=from_json(request), time_s=limits.probe_s)
        for one in told["checks"]
        for local, request in one["requests"].items()
    ]
    slug = str(told["assignment"])
    return Plan(
        assignment=slug,
        limits=limits,
        probes=tuple(probes),
        seed=0,
        lib_digest="theirs" if lib else "",
        image=image,
    )


def _context(told: dict[str, Any], symbolic: Symbolic) -> Context:
    """What `form` may use on a student's machine: no reference, no secret."""
    template = tuple(Cell(CellKind.MARKDOWN, source) for source in told["template"])
    slug = str(told["assignment"])
    nowhere = Reference(Path("not on this machine"))
    inputs = Inputs(b"", slug, 0)
    return Context(reference=nowhere, inputs=inputs, symbolic=symbolic, template=template)


def _look(
    one: dict[str, Any],
    submission: Submission,
    evidence: Evidence,
    context: Context,
    taken: frozenset[str],
) -> Line:
    kind = KINDS[one["kind"]]
    params = _params(kind.Params, from_json(one["params"]))
    requests = {local: from_json(request) for local, request in one["requests"].items()}
    seen = Seen(
        check_id=one["id"],
        requests=requests,
        observations={local: evidence.observed(f"{one['id']}/{local}") for local in requests},
        cells=submission.cells,
        receipts={receipt.index: receipt for receipt in evidence.cells},
        taken=taken,
        absent=submission.absent,
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
    cause = seen.cause() if says else None
    return Line(
        question=question,
        name=name,
        ok=not says,
        says=says or _fine(one),
        cause="" if cause is None else name_of(cause, submission.cells),
    )


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
            found = theirs.get(name, _some(list(theirs)) or "no parameters")
            return f"Expected a parameter {name} of shape {shape}, found {found}."
    outputs, shapes = reply["outputs"], one["shapes"]
    if shapes and len(outputs) != len(shapes):
        return f"Expected {len(shapes)} outputs, found {len(outputs)}."
    for output, shape in zip(outputs, shapes, strict=False):
        if not isinstance(output, Tensor) or list(output.shape) != shape:
            return f"Expected an output of shape {shape}, found {_kind(output)}."
    return ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _kind(output: Value) -> str:
    """What a model returned, in a word or by its shape."""
    if isinstance(output, Tensor):
        return f"one of shape {list(output.shape)}"
    return "None" if output is None else "no tensor"


def _fine(one: dict[str, Any]) -> str:
    count = len(one["expected"])
    if count:
        return f"{one['asks']}: {count} public case{'' if count == 1 else 's'} right"
    return f"{one['asks']}: is there"
