"""Probes put to a student's namespace, in their kernel, after their last cell.

Operations, each a dict from the host:

* `capture`: what a name holds.
* `figures`: what was drawn; see `figures.py`.
* `call`: a function (or model) called with given arguments. With `build`, a class, of which an
  object is made first; with `method`, that method of it; with `repeat`, so many times, and the
  result is the list of what came back.
* `model`: a class built, given weights, run and differentiated; see `model.py`.
* `predict`: a function or model called on inputs in batches, without gradients; see
  `predicting.py`.
* `counts`: how many parameters the models of a class have that the run left; see `layers.py`.
* `scaling`: a call timed at growing sizes of its input; see `scaling.py`.

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

import torch

from . import layers, model, plain, predicting, scaling
from .answer import write_reply
from .calling import (
    build_array,
    build_function,
    describe,
    invoke,
    kept,
    maker,
    on_its_device,
    seed_all,
)
from .wire import TooLarge, decode

Make = Callable[[], dict[str, Any]]


def answer(
    namespace: Mapping[str, Any],
    *,
    ask: str,
    reply: str,
    seed: int,
    value_bytes: int,
    time_s: float = 20.0,
) -> None:
    """Answer the probe in one file by writing another.

    Args:
        namespace: The student's names.
        ask: Path of the encoded request.
        reply: Path of the reply, see `answer.py`; must not exist.
        seed: For all random generators, before the student's code runs.
        value_bytes: Size that the answer may have.
        time_s: Seconds after which the host gives up.
    """
    request = Path(ask).read_bytes()
    payload = b""

    def fresh() -> dict[str, Any]:
        return dict(decode(request, build_array, build_function, maker(namespace)))

    try:
        name, *classes = names_asked(request)
        missing = [of for of in classes if of not in namespace]
        if name not in namespace:
            header = {"status": "missing"}
        elif missing:
            header = {"status": "missing", "ename": "NameError", "evalue": missing[0]}
        else:
            seed_all(seed)
            value = perform(namespace, name, fresh, time_s)
            payload = plain.encode(value, value_bytes)
            header = {"status": "ok"}
    except TooLarge:
        header = {"status": "too_large"}
    except BaseException as error:  # noqa: BLE001  student code may raise SystemExit and worse
        header = {"status": "error", **describe(error)}
    write_reply(Path(reply), header, payload)


def names_asked(request: bytes) -> list[str]:
    """What a request needs of the namespace: the name it asks about, and classes to make."""
    made: list[str] = []
    told = decode(request, build_array, build_function, lambda of, _: made.append(of))
    return [told["name"], *made]


def perform(namespace: Mapping[str, Any], name: str, fresh: Make, time_s: float) -> Any:
    """Do what a request asks with the object it names.

    Args:
        namespace: The student's names.
        name: The one that the request is about.
        fresh: Builds the request anew, with tensors that share nothing with earlier ones.
        time_s: Seconds that it may take.
    """
    request, target = fresh(), namespace[name]
    operation = request["op"]
    if operation == "capture":
        return target
    if operation == "figures":
        return target()
    if operation == "call":
        return call(target, fresh)
    if operation == "predict":
        return predicting.examine(target, request)
    if operation == "counts":
        return layers.counts(namespace, target)
    if operation == "model":
        with torch.inference_mode(False), torch.enable_grad():  # a notebook may leave them so
            return model.examine(target, fresh)
    if operation == "scaling":
        return scaling.examine(made(target, request), request, time_s)
    raise ValueError(f"unknown operation {operation!r}")


def call(target: Any, fresh: Make) -> Any:
    """Call a function, a model or a method with what a request holds, once or several times."""
    request = fresh()
    owner, method = made(target, request), request.get("method", "")

    def once() -> Any:
        return on_its_device(owner, lambda: dict(fresh()["args"]), method)

    if "repeat" not in request:
        return once()
    return [kept(once()) for _ in range(request["repeat"])]


def made(target: Any, request: Mapping[str, Any]) -> Any:
    """The object whose call is asked: made of a class if the request has arguments for that."""
    return invoke(target, request["build"]) if "build" in request else target
