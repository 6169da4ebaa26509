"""Probes put to a student's namespace, in their kernel, after their last cell.

Four operations, each a dict from the host:

* `capture`: what a name holds.
* `call`: a function (or model) called with given arguments.
* `model`: a class built, given weights, run and differentiated; see `model.py`.
* `predict`: a function or model called on inputs in batches, without gradients.

Arguments are passed by keyword if the callable has all these names, else by position. They are made
afresh for each call, so that one that changes its argument changes nothing of ours. Random
generators are seeded alike before each call. A model is called in evaluation mode, its inputs moved
to its device and precision; a function that fails because its tensors live on a GPU is called again
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import model, plain
from .answer import write_reply
from .calling import build_array, build_function, describe, on_its_device, seed_all
from .wire import TooLarge, decode

Make = Callable[[], dict[str, Any]]
ARRAYS = (torch.Tensor, np.ndarray)


def answer(
    namespace: Mapping[str, Any], *, ask: str, reply: str, seed: int, value_bytes: int
) -> None:
    """Answer the probe in one file by writing another.

    Args:
        namespace: The student's names.
        ask: Path of the encoded request.
        reply: Path of the reply, see `answer.py`; must not exist.
        seed: For all random generators, before the student's code runs.
        value_bytes: Size that the answer may have.
    """
    request = Path(ask).read_bytes()
    payload = b""

    def fresh() -> dict[str, Any]:
        return dict(decode(request, build_array, build_function))

    try:
        name = fresh()["name"]
        if name in namespace:
            seed_all(seed)
            value = perform(namespace[name], fresh)
            payload = plain.encode(value, value_bytes)
        header = {"status": "ok" if name in namespace else "missing"}
    except TooLarge:
        header = {"status": "too_large"}
    except BaseException as error:  # noqa: BLE001  student code may raise SystemExit and worse
        header = {"status": "error", **describe(error)}
    write_reply(Path(reply), header, payload)


def perform(target: Any, fresh: Make) -> Any:
    """Do what a request asks with the object it names.

    Args:
        target: The student's object.
        fresh: Builds the request anew, with tensors that share nothing with earlier ones.
    """
    request = fresh()
    operation = request["op"]
    if operation == "capture":
        return target
    if operation == "call":
        return on_its_device(target, lambda: dict(fresh()["args"]))
    if operation == "predict":
        return predict(target, request["inputs"], request["batch"])
    if operation == "model":
        with torch.inference_mode(False), torch.enable_grad():  # a notebook may leave them so
            return model.examine(target, fresh)
    raise ValueError(f"unknown operation {operation!r}")


def predict(target: Any, inputs: dict[str, Any], batch: int) -> list[Any]:
    """Call a function or model on slices of its inputs along dimension 0.

    Args:
        target: A callable.
        inputs: Tensors and arrays of shape (count, ...), and other arguments, passed as they are.
        batch: How many of `count` to pass at a time.
    """
    counts = [len(item) for item in inputs.values() if isinstance(item, ARRAYS) and item.ndim > 0]
    count = counts[0] if counts else 1

    def part(item: Any, start: int) -> Any:
        if not isinstance(item, ARRAYS) or item.ndim == 0 or len(item) != count:
            return item
        piece = item[start : start + batch]
        return piece.clone() if isinstance(piece, torch.Tensor) else piece.copy()

    def call(start: int) -> Any:
        return on_its_device(target, lambda: {n: part(x, start) for n, x in inputs.items()})

    with torch.no_grad():
        return [call(start) for start in range(0, count, batch)]
