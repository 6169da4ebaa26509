"""`save_file` and `load_file`, written from the description of the format.

A file is the length of its header (8 bytes, little-endian), the header as JSON (name to dtype,
shape and where its bytes begin and end), then the bytes of all tensors.
"""

from __future__ import annotations

import json
import os

import torch

DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
}
CODES = {dtype: code for code, dtype in DTYPES.items()}


def save_file(
    tensors: dict[str, torch.Tensor],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write tensors by name."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    parts: list[bytes] = []
    end = 0
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().flatten()
        parts.append(bytes(flat.view(torch.uint8).numpy().data) if flat.numel() else b"")
        begin, end = end, end + len(parts[-1])
        told = {"dtype": CODES[tensor.dtype], "shape": list(tensor.shape)}
        header[name] = {**told, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(filename, "wb") as file:
        file.writelines([len(text).to_bytes(8, "little"), text, *parts])


def load_file(
    filename: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> dict[str, torch.Tensor]:
    """Read tensors by name."""
    with open(filename, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        content = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors: dict[str, torch.Tensor] = {}
    for name, told in header.items():
        begin, end = told["data_offsets"]
        dtype = DTYPES[told["dtype"]]
        part = content[begin:end]
        read = torch.frombuffer(part, dtype=dtype) if part else torch.empty(0, dtype=dtype)
        tensors[name] = read.reshape(told["shape"]).to(device)
    return tensors
