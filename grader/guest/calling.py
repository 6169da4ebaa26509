"""Calling what a student wrote: how arguments are bound, where they live, what was raised."""

from __future__ import annotations

import inspect
import linecache
import operator
import random
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

MAX_ERROR_CHARS = 4000


def invoke(target: Any, arguments: Mapping[str, Any]) -> Any:
    """Call by keyword if the callable has all these names, else by position."""
    if takes(target, arguments):
        return target(**arguments)
    return target(*arguments.values())


def takes(target: Any, names: Mapping[str, Any]) -> bool:
    """Whether every name can be passed by keyword."""
    asked = target.forward if isinstance(target, torch.nn.Module) else target
    try:
        parameters = inspect.signature(asked).parameters
    except (TypeError, ValueError):
        return False
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return all(name in parameters and parameters[name].kind in by_keyword for name in names)


def on_its_device(target: Any, fresh: Callable[[], dict[str, Any]]) -> Any:
    """Call a model in evaluation mode on its device; a function where its tensors turn out to be.

    Args:
        target: A callable. A model's arguments take its precision as well, see `suited`.
        fresh: Makes the arguments, on the CPU, sharing nothing with earlier ones.
    """
    if isinstance(target, torch.nn.Module):
        target.eval()
        return invoke(target, suited(fresh(), target))
    try:
        return invoke(target, fresh())
    except RuntimeError:  # torch's word for tensors on different devices, among others
        if not torch.cuda.is_available():
            raise
    return invoke(target, moved(fresh(), torch.device("cuda")))


def device_of(module: torch.nn.Module) -> torch.device:
    """Where a model's first parameter or buffer lives."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def suited(item: Any, module: torch.nn.Module) -> Any:
    """The same value with every tensor where a model lives, floating-point ones in its precision.

    A notebook that sets another default dtype has models of that, and inputs of its own alike.
    """
    kinds = (p.dtype for p in module.parameters() if p.is_floating_point())
    return moved(item, device_of(module), next(kinds, None))


def moved(item: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """The same value with every tensor on a device, and every floating-point one of a dtype."""
    if isinstance(item, torch.Tensor):
        return item.to(device, dtype if item.is_floating_point() else None)
    if isinstance(item, dict):
        return {key: moved(value, device, dtype) for key, value in item.items()}
    if type(item) in (list, tuple):
        return type(item)(moved(value, device, dtype) for value in item)
    return item


def build_array(origin: str, dtype: str, shape: list[int], data: memoryview) -> Any:
    """Make a tensor or array from little-endian bytes, owning its memory."""
    if dtype == "bfloat16":  # NumPy has none
        bits = torch.from_numpy(np.frombuffer(data, "<i2").astype(np.int16))
        return bits.view(torch.bfloat16).reshape(shape)
    array = np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
    return torch.from_numpy(array) if origin == "torch" else array


def build_function(name: str) -> Callable[[Any], Any]:
    """The function of torch of this name, one of `wire.FUNCTIONS`; or the identity."""
    if name == "identity":
        return lambda x: x
    found: Callable[[Any], Any] = operator.attrgetter(name.removeprefix("torch."))(torch)
    return found


def seed_all(seed: int) -> None:
    """Seed Python, NumPy, torch and CUDA."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def describe(error: BaseException) -> dict[str, str]:
    """What was raised, and the last line of the student's own code that it passed through."""
    said = {"ename": type(error).__name__, "evalue": _said(error), "where": ""}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        # ipykernel names the file of a cell after its process: /tmp/ipykernel_12/3456.py
        if "ipykernel_" in frame.filename:
            line = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
            said["where"] = f"line {frame.lineno} of its cell: {line}"[:MAX_ERROR_CHARS]
            break
    return said


def _said(error: BaseException) -> str:
    try:
        return str(error)[:MAX_ERROR_CHARS]
    except Exception:  # noqa: BLE001  a student's exception may fail to print itself
        return ""
