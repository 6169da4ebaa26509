"""What can be said of a model without running it: its layers, its parameters' other names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import torch

MAX_LAYERS = 2000
MAX_ATTRIBUTES = 64
MAX_TEXT_CHARS = 200
MAX_ITEMS = 16
MAX_INT_BITS = 63
MAX_MODELS = 256
MAX_HELD = 1000
MAX_HELD_ITEMS = 64
MAX_HELD_DEPTH = 3
PLAIN = (type(None), int, float, complex, str, bytes, torch.Tensor)
NEVER_HOLD = (*PLAIN, type, ModuleType, FunctionType, BuiltinFunctionType)


def layers(module: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """Sub-modules by path: names of their classes, own class first, and plain attributes."""
    named = module.named_modules(remove_duplicate=False)
    return {
        path: {"classes": _classes(type(layer)), "attributes": dict(_attributes(layer))}
        for path, layer in islice(named, MAX_LAYERS)
    }


def _classes(kind: type) -> list[str]:
    """Names of a class and what it is derived from, up to `Module`."""
    names = [one.__name__ for one in kind.__mro__]
    return names[: names.index("Module")][:MAX_ITEMS] if "Module" in names else names[:1]


def _attributes(layer: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """Attributes that are plain, and of each parameter whether there is one."""
    own = vars(layer)
    plain = ((n, v) for n, v in own.items() if not n.startswith("_") and n != "training")
    there = ((name, value is not None) for name, value in own.get("_parameters", {}).items())
    found = ((name, value) for name, value in (*there, *plain) if _is_plain(value))
    yield from islice(found, MAX_ATTRIBUTES)


def _is_plain(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= MAX_TEXT_CHARS
    if type(value) is int:
        return value.bit_length() <= MAX_INT_BITS
    if type(value) in (tuple, list, torch.Size):
        few = len(value) <= MAX_ITEMS
        return few and all(type(item) in (bool, float, int) and _is_plain(item) for item in value)
    return type(value) in (bool, float, type(None))


def aliases(module: torch.nn.Module) -> dict[str, str]:
    """Further names of parameters that have several -> the name that torch lists."""
    listed = {id(parameter): name for name, parameter in module.named_parameters()}
    named = module.named_parameters(remove_duplicate=False)
    return {name: listed[id(p)] for name, p in named if listed[id(p)] != name}


def counts(namespace: Mapping[str, Any], of: Any) -> dict[str, list[list[int]]]:
    """How many parameters the models of a namespace have: all, and those that are trained.

    Args:
        namespace: The student's names.
        of: A class; what is no class makes every model count.

    Returns:
        `found`: of the objects of this class; `others`: of models that are none.
    """
    kind = of if isinstance(of, type) else torch.nn.Module
    models = list(islice(_models(namespace), MAX_MODELS))
    found = [model for model in models if _is_a(model, kind)] or [
        part for model in models for part in model.modules() if _is_a(part, kind)
    ]
    others = [model for model in models if not _is_a(model, kind)]
    return {
        "found": [_counted(model) for model in found[:MAX_MODELS]],
        "others": [_counted(model) for model in others],
    }


def _is_a(model: torch.nn.Module, kind: type) -> bool:
    """Whether it is of a class, or of one of the same name: of a cell that ran before again."""
    return isinstance(model, kind) or type(model).__name__ == kind.__name__


def _models(namespace: Mapping[str, Any]) -> Iterator[torch.nn.Module]:
    """Models that names hold, or lists, dicts and objects that they hold; the nearest first."""
    level, seen, looked = list(namespace.values()), set[int](), 0
    for depth in range(MAX_HELD_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, NEVER_HOLD) or id(item) in seen:
                continue
            seen.add(id(item))
            if isinstance(item, torch.nn.Module):
                yield item
            elif depth < MAX_HELD_DEPTH and looked < MAX_HELD:
                held = _held(item)
                looked += len(held)
                below += held
        level = below


def _held(item: Any) -> list[Any]:
    """The first few objects that a container or an object holds."""
    if isinstance(item, list | tuple):
        return list(item[:MAX_HELD_ITEMS])
    held = item if isinstance(item, dict) else _attributes_of(item)
    return list(islice(dict.values(held), MAX_HELD_ITEMS))


def _attributes_of(item: Any) -> dict[str, Any]:
    try:
        found = object.__getattribute__(item, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _counted(model: torch.nn.Module) -> list[int]:
    lazy = torch.nn.parameter.UninitializedParameter
    parameters = [p for p in model.parameters() if not isinstance(p, lazy)]
    return [
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
    ]
