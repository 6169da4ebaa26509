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
    """Whether every name can be passed by keyword, `**rest` included.

    Not to `(*args, **rest)`: that passes on what it gets to a function whose names it hides.
    """
    asked = target.forward if isinstance(target, torch.nn.Module) else target
    try:
        signature = inspect.signature(asked)
        signature.bind(**names)
    except (TypeError, ValueError):
        return False
    hides = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())
    return not hides or all(name in signature.parameters for name in names)


def on_its_device(target: Any, fresh: Callable[[], dict[str, Any]], method: str = "") -> Any:
    """Call a model in evaluation mode on its device; a function with arguments that it can take.

    A function may work with NumPy's arrays, in double precision, or on a GPU, which shows when it
    mixes our tensors with its own.

    Args:
        target: A callable. A model's arguments take its precision as well, see `suited`.
        fresh: Makes the arguments, on the CPU, sharing nothing with earlier ones.
        method: Which method of `target` to call; `target` itself if empty.
    """
    called = getattr(target, method) if method else target
    if isinstance(target, torch.nn.Module):
        target.eval()
        return invoke(called, suited(fresh(), target))
    try:
        return invoke(called, fresh())
    except MISFITS as error:
        for retake in (on_gpu, *RETAKES) if torch.cuda.is_available() else RETAKES:
            try:
                return invoke(called, retake(fresh()))
            except MISFITS:
                continue
        raise error


def doubled(item: Any) -> Any:
    """The same value with floating-point tensors in double precision."""
    return moved(item, torch.device("cpu"), torch.float64)


def as_arrays(item: Any) -> Any:
    """The same value with NumPy's arrays for tensors."""
    if isinstance(item, torch.Tensor):
        return item.numpy() if item.dtype is not torch.bfloat16 else item
    if type(item) is dict:
        return {key: as_arrays(value) for key, value in item.items()}
    if type(item) in (list, tuple):
        return type(item)(as_arrays(value) for value in item)
    return item


def as_tensors(item: Any) -> Any:
    """The same value with tensors for NumPy's arrays."""
    if isinstance(item, np.ndarray) and item.dtype.kind in "biuf":
        return torch.from_numpy(item)
    if type(item) is dict:
        return {key: as_tensors(value) for key, value in item.items()}
    if type(item) in (list, tuple):
        return type(item)(as_tensors(value) for value in item)
    return item


def on_gpu(item: Any) -> Any:
    """The same value on the GPU."""
    return moved(item, torch.device("cuda"))


#: What is raised where arguments and a function's own values do not go together.
MISFITS = (RuntimeError, TypeError, ValueError, AttributeError)
#: Other forms of the arguments, in the order in which they are tried; on a GPU first, if any.
RETAKES = (doubled, as_arrays, as_tensors)


def kept(item: Any) -> Any:
    """The same value, with tensors that a later call cannot change."""
    if isinstance(item, torch.Tensor):
        return item.detach().clone()
    if isinstance(item, np.ndarray):
        return item.copy()
    if type(item) in (list, tuple):
        return type(item)(kept(value) for value in item)
    if type(item) is dict:
        return {key: kept(value) for key, value in item.items()}
    return item


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


def maker(namespace: Mapping[str, Any]) -> Callable[[str, dict[str, Any]], Any]:
    """How inputs are made of a student's classes: from the name of one, and its arguments."""
    return lambda of, args: invoke(namespace[of], args)


def seed_all(seed: int) -> None:
    """Seed Python, NumPy, torch and CUDA."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def describe(error: BaseException) -> dict[str, str]:
    """What was raised, and the last line of the student's own code that it passed through."""
    said = {
        "ename": type(error).__name__,
        "evalue": _said(error),
        "where": "",
        "code": code_of(error),
    }
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        # ipykernel names the file of a cell after its process: /tmp/ipykernel_12/3456.py
        if "ipykernel_" in frame.filename:
            line = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
            said["where"] = f"line {frame.lineno} of its cell: {line}"[:MAX_ERROR_CHARS]
            break
    return said


def code_of(error: BaseException) -> str:
    """CUDA's number of an error, as torch notes it on its exceptions; empty without one."""
    code = vars(error).get("error_code") if isinstance(error, RuntimeError) else None
    return str(code) if type(code) is int else ""


def _said(error: BaseException) -> str:
    try:
        return str(error)[:MAX_ERROR_CHARS]
    except Exception:  # noqa: BLE001  a student's exception may fail to print itself
        return ""
