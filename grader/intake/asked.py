"""What is asked for, found among what was handed in: it may lie elsewhere or have another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import SubmissionError
from grader.intake.files import LITTER, Listed
from grader.submission import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: where it was found, and what was not.

    Args:
        modules: Asked path to the path where it lies.
        notebooks: Asked name to the name under which it was handed in, in order.
        absent: What was not found.
        unread: Why something that is there was not taken, by asked name.
        notes: What was taken for what.
        optional: Whether the rest is graded without a notebook.
        several: Whether a cell's number alone does not say where it stands.
    """

    modules: Mapping[str, str]
    notebooks: Mapping[str, str]
    absent: tuple[str, ...]
    unread: Mapping[str, str]
    notes: tuple[str, ...]
    optional: bool
    several: bool


def find_asked(
    root: Path,
    names: Sequence[str],
    usual: Sequence[str],
    *,
    layout: Layout,
    listed: Listed,
    notebook: str = "",
) -> Asked:
    """Find the asked modules and notebooks.

    Args:
        root: The student's folder.
        names: What lies in it.
        usual: Names of the notebooks that make a submission.
        layout: Which files are asked for.
        listed: The files below the folder.
        notebook: Name of the one notebook to read, whatever it is called.

    Raises:
        SubmissionError: nothing of it is there, or it is not clear which notebook is meant.
    """
    places = _with_lone_notebook(names, root)
    optional = bool(layout.files) and not (layout.notebooks or notebook)
    wanted = [] if optional and not any(map(_is_notebook, places)) else list(usual)
    modules = _modules(layout.files, listed)
    notebooks = _Found(there={wanted[0]: notebook}) if notebook else _notebooks(wanted, places)
    doubtful = {**modules.doubtful, **notebooks.doubtful}
    if notebooks.doubtful and not optional:
        raise SubmissionError("; ".join(notebooks.doubtful.values()))
    asked = [*layout.files, *wanted]
    found = {*modules.there, *notebooks.there, *doubtful}
    absent = tuple(name for name in asked if name not in found)
    if len(absent) == len(asked):
        some = ", ".join([name for name in places if not name.startswith(".")][:5])
        what = "nothing that is asked for" if layout.files else "no notebook"
        raise SubmissionError(f"{what}: expected {', '.join(asked)}, found {some}")
    return Asked(
        modules=modules.there,
        notebooks=notebooks.there,
        absent=absent,
        unread=doubtful,
        notes=tuple(
            f"{at} was taken for {path}" for path, at in modules.there.items() if at != path
        ),
        optional=optional,
        several=len(wanted) > 1 or bool(layout.files),
    )


def counts(name: str) -> bool:
    """Whether a name in a folder may be a student's: neither hidden nor what tools leave behind."""
    return not name.startswith(".") and name not in LITTER


@dataclass(frozen=True, slots=True)
class _Found:
    """Where asked things lie, and why it is not clear which file others are."""

    there: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)


def _is_notebook(name: str) -> bool:
    return name.endswith(".ipynb") and not name.startswith(".")


def _with_lone_notebook(names: Sequence[str], root: Path) -> list[str]:
    """The names in a folder, and the one notebook one level below if none lies in it itself."""
    inner = [path for path in sorted(root.glob("*/*.ipynb")) if _is_own(path)]
    if any(map(_is_notebook, names)) or len(inner) != 1:
        return list(names)
    return [*names, inner[0].relative_to(root).as_posix()]


def _is_own(path: Path) -> bool:
    """Whether it is a file of the student's, in a folder that counts."""
    linked = path.is_symlink() or path.parent.is_symlink()
    return path.is_file() and not linked and counts(path.parent.name) and path.name[0] != "."


def _notebooks(wanted: Sequence[str], names: Sequence[str]) -> _Found:
    """The names under which the asked notebooks were handed in; one may have another name."""
    there = {name: name for name in wanted if name in names}
    lacking = [name for name in wanted if name not in names]
    others = [name for name in names if _is_notebook(name) and name not in wanted]
    if len(lacking) == 1 and len(others) == 1:
        there[lacking[0]] = others[0]
    elif lacking and others:
        listed, named = ", ".join(others[:5]), " or ".join(lacking)
        says = f"several notebooks and none is named {named}: {listed}"
        return _Found(there, dict.fromkeys(lacking[:1], says))
    return _Found({name: there[name] for name in wanted if name in there})


def _modules(wanted: Sequence[str], listed: Listed) -> _Found:
    """Where the asked modules lie; of those that lie elsewhere, the shallowest is taken.

    Where a copy in a folder of the asked name lies deeper, neither is.
    """
    found = _Found({path: path for path in wanted if path in listed.sizes})
    for path in wanted:
        alike = [at for at in listed.sizes if _name(at) == _name(path)]
        alike = [at for at in alike if at not in found.there.values()]
        if path in found.there or not alike:
            continue
        best = _likeliest(alike, path)
        if len(best) == 1:
            found.there[path] = best[0]
        else:
            places = " and ".join(best[:5])
            found.doubtful[path] = f"{path} is not there, but {len(best)} like it: {places}"
    return _Found(
        {path: found.there[path] for path in wanted if path in found.there}, found.doubtful
    )


def _likeliest(alike: Sequence[str], path: str) -> list[str]:
    """The shallowest, of several those in a folder of the asked name; or whatever may be meant."""
    depth = min(_folders(at, path) for at in alike)
    shallow = [at for at in alike if _folders(at, path) == depth]
    in_place = [at for at in alike if at.endswith(f"/{path}")]
    both = [at for at in shallow if at in in_place]
    return both or (shallow if not in_place else [*shallow, *in_place])


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folders(at: str, path: str) -> int:
    """How many folders a file lies in, beyond those in which it is asked for."""
    return at.removesuffix(path if at.endswith(f"/{path}") else _name(path)).count("/")
