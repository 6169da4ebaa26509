"""A module may import only from floors below its own. One list, read top to bottom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "grader"

FLOORS = [
    {"errors", "patterns", "values", "__init__"},
    {"codec", "child", "known", "locks"},
    {"database"},
    {"submission", "plan", "verdict", "gpus"},
    {"frames", "verdict_json"},
    {"evidence", "rubric.yaml", "rubric.model", "intake", "intake.notebook", "sandbox"},
    {"rubric.load", "intake.files", "sandbox.base", "cuda"},
    {"intake.asked"},
    {"intake.folders"},
    {"rubric"},
    {"sandbox.environment", "sandbox.seccomp", "sandbox.lock", "sandbox.pipes", "sandbox.owner"},
    {"sandbox.policy", "sandbox.engine", "sandbox.hardening", "sandbox.wheels"}
    | {"sandbox.lending", "sandbox.nvml"},
    {"sandbox.image", "sandbox.graphics"},
    {"sandbox.docker", "sandbox.bubblewrap", "sandbox.process"},
    {"sandbox.warm"},
    {"sandbox.choose"},
    {"execute", "compare", "symbolic", "tensors", "inputs", "readable"},
    {"executor", "record"},
    {"writeup"},
    {"networks"},
    {"reference"},
    {"checks.culprit"},
    {"checks.base"},
    {"checks.reading", "checks.telling"},
    {"checks.given", "checks.blanks"},
    {"checks.entries", "checks.fitted", "checks.function", "checks.growth"},
    {"checks.model_reply", "checks.predictions"},
    {"checks.model_layers"},
    {"checks.model_settings"},
    {"checks.model_order", "checks.model_runs"},
    {"checks.model_parts"},
    {"checks.model_judging"},
    {f"checks.{kind}" for kind in ("value", "expression", "complexity", "choice", "model")}
    | {f"checks.{kind}" for kind in ("metric", "curve", "source", "written", "property", "scaling")}
    | {"checks.output", "checks.figure"},
    {"checks"},
    {"assignment", "starter"},
    {"elsewhere"},
    {"score", "rehearse"},
    {"course"},
    {"store", "schedule", "history"},
    {"difference", "explain"},
    {"judging"},
    {"grades", "grades.rows"},
    {"grades.store"},
    {"cluster", "cluster.messages", "cluster.guard", "cluster.trust", "cluster.room"},
    {"cluster.station"},
    {"cluster.far"},
    {"report", "report.tables", "report.inert", "report.excerpts", "report.picture"}
    | {"batch", "release", "trials"},
    {"report.beside", "report.markup", "report.statistics"},
    {"report.pictures", "report.charts"},
    {"report.drawing"},
    {"report.pages"},
    {"report.author"},
    {"report.publish", "report.worker"},
    {"grades.names", "grades.sheet", "report.written"},
    {"grades.importing", "grades.desk"},
    {"display", "verify", "selfcheck", "doctor", "options"},
    {"diffing"},
    {"run", "cluster.serve"},
    {"commands", "grading", "cli_options"},
    {"cli_grades", "cli_cluster"},
    {"cli"},
    {"__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

#: Below, yet forbidden: executing and scoring must not know each other.
NEVER = {
    ("execute", "rubric"),
    ("execute", "reference"),
    ("score", "execute"),
    ("score", "sandbox"),
    ("checks", "execute"),
    ("checks", "sandbox"),
}
#: Packages that are one floor each: what is inside them is theirs to order.
INNER = ("symbolic", "compare", "writeup", "judging", "database")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in INNER:
        return parts[0]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(path: Path) -> set[str]:
    """Names of our own modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level and path.is_relative_to(ROOT / "guest"):
                continue  # within the guest
            assert not node.level, f"{path}: write whole names"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {_module(name) for name in names if name.split(".")[0] == "grader"}
    return found - {name_of(path)}


def _module(dotted: str) -> str:
    name = dotted.removeprefix("grader").removeprefix(".") or "__init__"
    if name.split(".")[0] in INNER:
        return name.split(".")[0]
    while name and name not in FLOOR:
        name = name.rpartition(".")[0]
    return name or "__init__"


def modules() -> list[Path]:
    return [p for p in sorted(ROOT.rglob("*.py")) if p.relative_to(ROOT).parts[0] != "guest"]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_below(path: Path) -> None:
    floor = FLOOR[name_of(path)]
    assert [name for name in sorted(imports_of(path)) if FLOOR[name] >= floor] == []


def test_executing_and_scoring_do_not_know_each_other() -> None:
    pairs = {(name_of(path), name) for path in modules() for name in imports_of(path)}
    tops = {(importer.split(".")[0], name.split(".")[0]) for importer, name in pairs}
    assert tops & NEVER == set()


def test_the_guest_imports_nothing_of_ours() -> None:
    for path in (ROOT / "guest").rglob("*.py"):
        assert imports_of(path) == set(), f"{path} imports grader: the guest must stand alone"
