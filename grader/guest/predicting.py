"""The `predict` operation: a function or model called on inputs, many or one at a time."""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .calling import describe, invoke, kept, on_its_device

FOLDER = Path.cwd()
"""The working folder, where handed-in files lie: taken before a student's code can leave it."""
ARRAYS = (torch.Tensor, np.ndarray)
WRAPPERS = ("module.", "_orig_mod.")
"""What torch puts before the names of a model that was trained in parallel, or compiled."""


def examine(target: Any, request: Mapping[str, Any]) -> Any:
    """Predict as a request asks: what each call gave, or how no model came to be.

    Args:
        target: A callable; with `build`, a class, of which a model is made first.
        request: `inputs` by name, `batch` (0 for one input a call), and where there is a model to
            be made `build` and `weights`, a file of parameters beside the notebook (or empty).
    """
    if "build" not in request:
        return predict(target, request["inputs"], request["batch"])
    stage = "build"
    try:
        model = invoke(target, request["build"])
        stage = "weights"
        if request["weights"]:
            load_file(model, request["weights"])
    except Exception as error:  # noqa: BLE001  the student's code may raise anything
        said = describe(error)
        return {"stage": stage, "ename": said["ename"], "evalue": said["evalue"]}
    return predict(model, request["inputs"], request["batch"])


def load_file(model: torch.nn.Module, path: str) -> None:
    """Load handed-in parameters, which are all that the model has, under one of their names.

    Args:
        model: What takes them.
        path: A file, as seen from `FOLDER`.

    Raises:
        KeyError: a parameter is not in the file, or the file has others.
    """
    from safetensors.torch import load_file as read  # only where weights are handed in

    known = model.state_dict(keep_vars=True)
    held = {_unwrapped(name, known): tensor for name, tensor in read(FOLDER / path).items()}
    found = model.load_state_dict(held, strict=False)
    named = list(model.named_parameters(remove_duplicate=False))
    loaded = {id(parameter) for name, parameter in named if name in held}
    missing = [name for name, parameter in named if id(parameter) not in loaded]
    if missing or found.unexpected_keys:
        raise KeyError(f"missing: {missing[:8]}; too many: {found.unexpected_keys[:8]}")


def _unwrapped(name: str, known: Container[str]) -> str:
    """A name as it is if the model knows it, else without what torch has put before it."""
    wrapper = next((one for one in WRAPPERS if name.startswith(one)), "")
    if name in known or not wrapper:
        return name
    return _unwrapped(name.removeprefix(wrapper), known)


def predict(target: Any, inputs: dict[str, Any], batch: int) -> list[Any]:
    """Call a function or model on parts of its inputs.

    Args:
        target: A callable.
        inputs: Tensors and arrays of shape (count, ...), lists of as many, and other arguments,
            passed as they are.
        batch: How many of `count` to pass at a time; 0 for one, without its dimension.
    """
    counts = [len(item) for item in inputs.values() if _has_parts(item)]
    count = counts[0] if counts else 1

    def given(start: int) -> dict[str, Any]:
        split = {n: x for n, x in inputs.items() if _has_parts(x) and len(x) == count}
        return {n: _part(split[n], start, batch) if n in split else x for n, x in inputs.items()}

    with torch.no_grad():
        return [
            kept(on_its_device(target, functools.partial(given, start)))
            for start in range(0, count, batch or 1)
        ]


def _has_parts(item: Any) -> bool:
    return isinstance(item, list) or (isinstance(item, ARRAYS) and item.ndim > 0)


def _part(item: Any, start: int, batch: int) -> Any:
    """A slice, or one item of a whole, that shares no memory with it."""
    piece = item[start : start + batch] if batch else item[start]
    if isinstance(piece, torch.Tensor):
        return piece.clone()
    return piece.copy() if isinstance(piece, np.ndarray | np.generic | list) else piece
