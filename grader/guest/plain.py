"""Objects of a student's namespace -> plain data, by exact type.

A subclass may lie about what it is (a float that subtracts to 0, a tensor that equals everything),
so it is not data: it becomes a note of its type. What is data is read with the base types' own
methods. Types of which only the contents count become their plain kind: an OrderedDict a dict, a
named tuple a tuple, a range or a view a list, a NumPy scalar a 0-d array.
"""

from __future__ import annotations

import collections
import datetime
import functools
import inspect
import math
import sys
import types
from typing import Any

import numpy as np
import torch

from .wire import Builder, TooLarge

MAX_DEPTH = 16
MAX_DIMS = 8
MAX_INT_BITS = 3320  # 1000 digits: what the reader takes
MAX_NAME_CHARS = 200
MAX_DETAIL_CHARS = 2000

LISTS: tuple[type, ...] = (
    list,
    range,
    collections.deque,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
    type(collections.OrderedDict().keys()),
    type(collections.OrderedDict().values()),
    type(collections.OrderedDict().items()),
)
TUPLES = (tuple, torch.Size)
SETS = (set, frozenset)
DICTS = (
    dict,
    collections.OrderedDict,
    collections.defaultdict,
    collections.Counter,
    types.MappingProxyType,
)
FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
    np.ufunc,
)
SCALARS = frozenset(np.sctypeDict.values())
NUMPY_DTYPES = {
    np.dtype(name): name
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
TORCH_DTYPES = {getattr(torch, name): name for name in (*NUMPY_DTYPES.values(), "bfloat16")}


def encode(value: Any, limit_bytes: int) -> bytes:
    """Encode an object of the student's.

    Raises:
        TooLarge: it has too many bytes, parts or levels, or contains itself.
    """
    builder = Builder(limit_bytes)
    Encoder(builder).add(value)
    return builder.finish()


class Encoder:
    """Adds one object and all it holds to a value."""

    def __init__(self, builder: Builder) -> None:
        """Add to `builder`."""
        self.builder = builder

    def add(self, item: Any, depth: int = 0) -> int:
        """Add an object; returns the index of its node."""
        if depth > MAX_DEPTH:
            raise TooLarge(f"more than {MAX_DEPTH} levels")
        index = self.builder.reserve()
        self.builder.fill(index, self.node(item, depth + 1))
        return index

    def key(self, item: Any, depth: int) -> int:
        """Add what stands as a key or in a set, so that it can do so on the other side as well."""
        if type(item) in SCALARS:
            item = item.item()
        elif type(item) in (range, frozenset):
            item = tuple(sorted(item, key=repr))
        index = self.builder.reserve()
        if type(item) in TUPLES or _is_record(type(item)):
            children = [self.key(child, depth + 1) for child in tuple.__iter__(item)]
            self.builder.fill(index, ["tuple", children])
            return index
        node = self.node(item, depth + 1)
        unhashable = node[0] in ("list", "set", "dict", "table")
        self.builder.fill(index, self.opaque(item) if unhashable else node)
        return index

    def node(self, item: Any, depth: int) -> list[Any]:
        """The node of an object whose children stand at `depth`."""
        kind = type(item)
        scalar = self.scalar(item, kind)
        if scalar is not None:
            return scalar
        if kind in LISTS:
            return ["list", [self.add(child, depth) for child in item]]
        if kind in TUPLES or _is_record(kind):
            return ["tuple", [self.add(child, depth) for child in tuple.__iter__(item)]]
        if kind in SETS:
            return ["set", [self.key(child, depth) for child in item]]
        if kind in DICTS:
            pairs = types.MappingProxyType(item).items() if kind is dict else item.items()
            return ["dict", [[self.key(k, depth), self.add(v, depth)] for k, v in pairs]]
        if kind in (torch.Tensor, torch.nn.Parameter):
            return self.tensor(item)
        if kind is np.ndarray or kind in SCALARS:
            return self.array(np.asarray(item), depth)
        return self.foreign(item, depth) or self.opaque(item)

    def scalar(self, item: Any, kind: type) -> list[Any] | None:
        """The node of a Python scalar, or None for anything else."""
        if item is None:
            return ["null"]
        if kind is bool:
            return ["bool", item]
        if kind is int:
            if item.bit_length() > MAX_INT_BITS:
                return self.note("object", "int", "more than 1000 digits")
            return ["int", str(item)]
        if kind is float:
            return ["float", item.hex()]
        if kind is complex:
            return ["complex", item.real.hex(), item.imag.hex()]
        if kind is str:
            return ["str", *self.builder.text(item)]
        if kind in (bytes, bytearray):
            return ["bytes", *self.builder.blob(bytes(item))]
        return None

    def tensor(self, item: Any) -> list[Any]:
        """The node of a torch tensor, dense and on the CPU; dtypes we cannot write are widened."""
        shape = list(item.shape)
        if item.is_meta or item.is_nested or len(shape) > MAX_DIMS:
            return self.note("object", "Tensor", "a tensor without plain data")
        self.builder.check_room(math.prod(shape) * item.element_size())
        with torch.no_grad():
            plain = item.detach()
            if plain.is_quantized:
                plain = plain.dequantize()
            if plain.layout is not torch.strided:
                plain = plain.to_dense()
            if plain.dtype not in TORCH_DTYPES:
                plain = plain.to(torch.complex64 if plain.is_complex() else torch.float32)
            plain = plain.cpu().resolve_conj().resolve_neg().contiguous()
        name = TORCH_DTYPES[plain.dtype]
        if name == "bfloat16":  # NumPy has none, so its bits travel
            plain = plain.view(torch.int16)
        return ["array", "torch", name, shape, *self.bits(plain.numpy())]

    def array(self, item: Any, depth: int) -> list[Any]:
        """The node of a NumPy array; one of objects or strings becomes a nested list."""
        name = NUMPY_DTYPES.get(item.dtype.newbyteorder("="))
        if name is None and item.dtype.kind in "OUS":
            self.builder.check_room(item.size)
            return self.node(item.tolist(), depth)
        if name is None or item.ndim > MAX_DIMS:
            return self.note("object", "ndarray", f"of dtype {item.dtype}, {item.ndim} dimensions")
        return ["array", "numpy", name, list(item.shape), *self.bits(item)]

    def bits(self, item: Any) -> list[int]:
        """Append an array's elements in C order, little endian."""
        self.builder.check_room(item.nbytes)
        flat = np.ascontiguousarray(item)
        if flat.dtype == np.bool_:  # other bytes than 0 and 1 can hide in one
            flat = flat.view(np.uint8) != 0
        little = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
        return self.builder.blob(little.tobytes())

    def foreign(self, item: Any, depth: int) -> list[Any] | None:
        """The node of an object of pandas or sympy, or None; only if the student imported them."""
        kind = type(item)
        pandas = sys.modules.get("pandas")
        if pandas is not None:
            if kind is getattr(pandas, "DataFrame", None):
                return self.table(item, depth)
            if kind in (getattr(pandas, "Series", None), getattr(pandas, "Index", None)):
                return self.column(item, depth)
            if kind is getattr(pandas, "RangeIndex", None):
                return self.node(list(item), depth)
            if item is getattr(pandas, "NA", item) or item is getattr(pandas, "NaT", item):
                return ["null"]
        if isinstance(item, datetime.date):
            return ["str", *self.builder.text(item.isoformat())]
        sympy = sys.modules.get("sympy")
        if sympy is not None and _is_of_sympy(kind):
            if isinstance(item, sympy.MatrixBase):
                return self.node(item.tolist(), depth)
            if isinstance(item, (sympy.Basic, sympy.logic.boolalg.Boolean)):
                return ["formula", *self.builder.text(str(item))]
        return None

    def table(self, frame: Any, depth: int) -> list[Any]:
        """The node of a DataFrame: names, columns, index."""
        names = self.add(list(frame.columns), depth)
        columns = []
        for position in range(frame.shape[1]):
            columns.append(self.builder.reserve())
            self.builder.fill(columns[-1], self.column(frame.iloc[:, position], depth + 1))
        return ["table", names, columns, self.add(list(frame.index), depth)]

    def column(self, series: Any, depth: int) -> list[Any]:
        """The node of a Series: an array if its dtype is NumPy's, else a list."""
        if isinstance(series.dtype, np.dtype) and series.dtype in NUMPY_DTYPES:
            return self.array(series.to_numpy(), depth)
        return self.node(series.tolist(), depth)

    def opaque(self, item: Any) -> list[Any]:
        """The note that stands for what is no data."""
        kind = type(item)
        if kind in FUNCTIONS:
            return self.note("function", getattr(item, "__name__", kind.__name__), signature(item))
        if isinstance(item, type):
            return self.note("class", type.__getattribute__(item, "__name__"), signature(item))
        if kind is types.ModuleType:
            return self.note("module", getattr(item, "__name__", ""), "")
        bases = (torch.Tensor, np.ndarray, bool, int, float, complex, str, bytes, list, tuple, dict)
        honest = [base for base in kind.__mro__[1:] if base in bases]
        names = {torch.Tensor: "torch.Tensor", np.ndarray: "numpy.ndarray"}
        detail = f"subclass of {names.get(honest[0], honest[0].__name__)}" if honest else ""
        return self.note("object", kind.__name__, detail)

    def note(self, kind: str, name: Any, detail: str) -> list[Any]:
        """An opaque node."""
        name = name[:MAX_NAME_CHARS] if type(name) is str else ""
        return ["opaque", kind, name, *self.builder.text(detail[:MAX_DETAIL_CHARS])]


def signature(item: Any) -> str:
    """The parameters of a function or class as text, empty if it has none to show."""
    try:
        return str(inspect.signature(item))
    except (TypeError, ValueError, AttributeError, NameError):
        return ""


def _is_record(kind: type) -> bool:
    """Whether it is a named tuple, of Python's or of torch's own kind."""
    return issubclass(kind, tuple) and (hasattr(kind, "_fields") or hasattr(kind, "n_fields"))


def _is_of_sympy(kind: type) -> bool:
    """Whether a class is sympy's own, or one that sympy makes for `Function("f")`."""
    if type(kind).__name__ == "UndefinedFunction" and _is_of_sympy(type(kind)):
        return True
    home = sys.modules.get(kind.__module__ or "")
    named = (kind.__module__ or "").split(".")[0] == "sympy"
    return named and getattr(home, kind.__name__, None) is kind
