"""Between plain values and torch: what a reference is given, and what it gives back.

This module imports torch, which takes more than a second; `grader/reference.py` imports it when a
reference is first called.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from grader.errors import ReferenceFault
from grader.values import Formula, Made, Opaque, Table, Tensor, Value

#: NumPy's numbers that hold less than Python's.
FEW_DIGITS = ("float16", "float32", "complex64")

Find = Callable[[str], Any]
"""Gives what the reference defines under a name."""


def answer(target: Any, request: Mapping[str, Value], name: str, find: Find) -> Value:
    """What a call gives, with all seeds at zero; see `Reference.answer`."""
    _seed()
    owner = invoke(target, request["build"], find) if "build" in request else target
    if isinstance(owner, torch.nn.Module):
        owner.eval()
    called = getattr(owner, request["method"]) if "method" in request else owner
    times = range(request.get("repeat", 1))
    results = [plain(invoke(called, request["args"], find), name) for _ in times]
    return results if "repeat" in request else results[0]


def holds(predicate: Any, result: Value, args: Mapping[str, Value], find: Find) -> bool | str:
    """What a predicate says of a result; see `Reference.holds`."""
    _seed()
    first, taken = _taken(predicate, args)
    given = {name: live(args[name], find) for name in taken if name != first}
    return _verdict(predicate(live(result, find), **given))


def agrees(predicate: Any, args: Mapping[str, Value], find: Find) -> bool | str:
    """What a predicate says that takes all it needs by name; see `Reference.agrees`."""
    _seed()
    _, taken = _taken(predicate, args)
    return _verdict(predicate(**{name: live(args[name], find) for name in taken}))


def _taken(predicate: Any, args: Mapping[str, Value]) -> tuple[str, list[str]]:
    """The name of a predicate's first parameter, and which arguments it takes."""
    parameters = inspect.signature(predicate).parameters.values()
    everything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    names = [parameter.name for parameter in parameters]
    return names[0] if names else "", [name for name in args if everything or name in names]


def _verdict(said: Any) -> bool | str:
    if isinstance(said, str) and said.strip():
        return said
    if isinstance(said, bool | np.bool_) or (isinstance(said, torch.Tensor) and said.numel() == 1):
        return bool(said)
    raise ReferenceFault(f"expected True, False or a sentence, found {said!r}")


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    # `torch.manual_seed` takes a millisecond, for devices that nobody has touched.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(0)


def invoke(target: Any, arguments: Mapping[str, Value], find: Find) -> Any:
    """Call by keyword if the callable has all these names, else by position, as the guest does.

    Args:
        target: A callable of the reference.
        arguments: Plain values by name.
        find: Where the classes of objects to be made come from.
    """
    given = {name: live(value, find) for name, value in arguments.items()}
    asked = target.forward if isinstance(target, torch.nn.Module) else target
    try:
        signature = inspect.signature(asked)
        signature.bind(**given)
    except (TypeError, ValueError):  # some of what is written in C has no signature
        return target(*given.values())
    hides = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())
    if not hides or all(name in signature.parameters for name in given):
        return target(**given)
    return target(*given.values())


def live(value: Value, find: Find) -> Any:
    """Turn a plain value into what Python code works with: torch tensors, numpy arrays, objects."""
    match value:
        case Tensor(origin="torch"):
            array = torch.from_numpy(np.array(value.array))
            return array.to(torch.bfloat16) if value.dtype == "bfloat16" else array
        case Tensor():
            return np.array(value.array)
        case Made():
            return invoke(find(value.of), value.args, find)
        case Opaque(kind="function", name=name) if name.startswith("torch."):
            return getattr(torch, name.removeprefix("torch."))
        case list() | tuple() | set():
            return type(value)(live(item, find) for item in value)
        case dict():
            return {key: live(item, find) for key, item in value.items()}
    return value


def plain(found: Any, name: str) -> Value:
    """Turn what the reference returned into a plain value.

    Raises:
        ReferenceFault: it is of a type that does not cross the border of a sandbox.
    """
    match found:
        case np.generic():  # before float: NumPy's own double is one
            return _scalar(found, name)
        case None | bool() | int() | float() | complex() | str() | bytes():
            return found
        case torch.Tensor():
            return _tensor(found)
        case np.ndarray():
            return Tensor(found, str(found.dtype), "numpy")
        case list() | tuple() | set():
            kind = list if isinstance(found, list) else set if isinstance(found, set) else tuple
            return kind(plain(item, name) for item in found)
        case dict():
            return {_key(key): plain(item, name) for key, item in found.items()}
        case pd.DataFrame():
            columns = [plain(found[column].to_list(), name) for column in found.columns]
            return Table(list(found.columns), columns, plain(found.index.to_list(), name))
    if type(found).__module__.startswith("sympy."):
        return Formula(str(found))
    raise ReferenceFault(f"the reference {name} gave a {type(found).__name__}, no plain value")


def _scalar(found: np.generic, name: str) -> Value:
    """One of NumPy's numbers; of few digits it stays a tensor, which keeps its tolerance."""
    if str(found.dtype) in FEW_DIGITS:
        return Tensor(np.asarray(found), str(found.dtype), "numpy")
    if isinstance(found, np.longdouble):
        return float(found)
    return plain(found.item(), name)


def _key(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key


def _tensor(tensor: torch.Tensor) -> Tensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.detach().cpu()
    array = (tensor.float() if dtype == "bfloat16" else tensor).numpy()
    return Tensor(array, dtype, "torch")
