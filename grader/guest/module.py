"""Loads a handed-in file as a module and gives its names to the notebook and the probes.

The module has a name of its own, so that what it does only as a program is not run. It is known by
its stem and by its path with dots, and its folder comes first on the import path: whether another
module says `import attention`, `from .attention import X` or `from src.attention import X`, it gets
the same classes.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from .calling import describe


def load(path: str, folder: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Load a file as a module, once; what it defines before it fails is given all the same.

    Args:
        path: Where the file lies, below the folder.
        folder: The working folder when the run began.
        namespace: Gets the public names that the module defines or imports, without modules.

    Returns:
        The fields of a kernel's reply to a cell: `status`, and for an error `ename`, `evalue` with
        the line, and `traceback`.
    """
    file = Path(folder, path)
    home = str(file.parent)
    if home not in sys.path:
        sys.path.insert(0, home)
    arguments, sys.argv = sys.argv, [path]  # what a program that is started by itself finds there
    try:
        _load(file, path, namespace)
    except BaseException as error:  # noqa: BLE001  student code may raise SystemExit and worse
        return _failure(error, Path(folder), path)
    finally:
        sys.argv = arguments
    return {"status": "ok"}


def _load(file: Path, path: str, namespace: dict[str, Any]) -> None:
    parts = path.removesuffix(".py").split("/")
    named = all(part.isidentifier() for part in parts)
    dotted, stem = ".".join(parts) if named else parts[-1], parts[-1]
    if named and len(parts) > 1:
        with contextlib.suppress(Exception):  # a package's own start is not what is asked for
            importlib.import_module(".".join(parts[:-1]))
    names = [name for name in (dotted, stem) if name not in sys.modules or _is(name, file)]
    module = next((sys.modules[name] for name in names if name in sys.modules), None)
    if module is not None:
        sys.modules |= dict.fromkeys(names, module)
        _publish(module, namespace)
        return
    spec = importlib.util.spec_from_file_location(dotted, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules |= dict.fromkeys(names, module)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for name in names:
            sys.modules.pop(name, None)
        raise
    finally:
        _publish(module, namespace)


def _is(name: str, file: Path) -> bool:
    """Whether a module of this name was loaded from this file."""
    found = getattr(sys.modules[name], "__file__", None)
    return isinstance(found, str) and Path(found).resolve() == file.resolve()


def _publish(module: types.ModuleType, namespace: dict[str, Any]) -> None:
    for name, value in list(vars(module).items()):
        if not name.startswith("_") and not isinstance(value, types.ModuleType):
            namespace[name] = value


def _failure(error: BaseException, folder: Path, path: str) -> dict[str, Any]:
    where = _where(error, folder, path)
    said = error.msg if isinstance(error, SyntaxError) else describe(error)["evalue"]
    if isinstance(error, SystemExit):
        said = f"it ended the program with {error.code!r} while it was loaded"
    trace = error.__traceback__
    while trace is not None and not _below(trace.tb_frame.f_code.co_filename, folder):
        trace = trace.tb_next
    return {
        "status": "error",
        "ename": type(error).__name__,
        "evalue": f"{said} ({where})".lstrip() if where else said,
        "traceback": traceback.format_exception(type(error), error, trace),
    }


def _where(error: BaseException, folder: Path, path: str) -> str:
    """The last line of a handed-in file that took part, and which file if it is another."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(f.filename, f.lineno) for f in frames if _below(f.filename, folder)]
    if isinstance(error, SyntaxError) and error.filename and _below(error.filename, folder):
        places.append((error.filename, error.lineno))
    if not places:
        return ""
    name, line = places[-1]
    shown = Path(name).resolve().relative_to(folder.resolve()).as_posix()
    return f"line {line}" if shown == path else f"{shown}, line {line}"


def _below(name: str, folder: Path) -> bool:
    return Path(name).resolve().is_relative_to(folder.resolve())
