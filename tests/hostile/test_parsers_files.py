"""Files that are handed in beside a notebook are carried and never opened on the trusted side."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_course import notebook

from grader.codec import decode, encode
from grader.errors import ProtocolViolation
from grader.intake.folders import read_submission
from grader.values import Tensor
from hostile.parsing import Evil, encoded, quickly

# --- TP-02, TP-03, TP-04, TP-13: files of formats that nobody here opens -------------------------


def safetensors(header: Any, data: bytes = b"") -> bytes:
    """A file of weights, with a header that may be anything."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def weight(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    """One entry of such a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HEADERS: dict[str, bytes] = {
    "a key twice": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
    ),
    "a huge shape": safetensors({"a": weight(shape=[0, 2**40], offsets=(0, 0))}),
    "shapes that overflow": safetensors({"a": weight(shape=[2**32, 2**32], offsets=(0, 0))}),
    "a negative shape": safetensors({"a": weight(shape=[-1])}, bytes(4)),
    "many entries": safetensors({str(n): weight() for n in range(50_000)}, bytes(4)),
    "a name that is a path": safetensors({"../../etc/passwd": weight()}, bytes(4)),
    "a zero byte in a name": safetensors({"a\0b": weight()}, bytes(4)),
    "a name from right to left": safetensors({"\u202ea": weight()}, bytes(4)),
    "bfloat16": safetensors({"a": weight("BF16", offsets=(0, 2))}, bytes(2)),
    "eight bits": safetensors({"a": weight("F8_E4M3", offsets=(0, 1))}, bytes(1)),
    "bytes outside": safetensors({"a": weight(offsets=(0, 2**60))}, bytes(4)),
    "bytes that overlap": safetensors({"a": weight(), "b": weight(offsets=(2, 6))}, bytes(6)),
    "a header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header that is no JSON": safetensors(b"[" * 100_000),
}


def saved(save: Callable[[Any], object]) -> bytes:
    """What is written to a file in memory."""
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    """An archive of one file, compressed."""

    def save(file: Any) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)

    return saved(save)


def npy(header: str) -> bytes:
    """A NumPy file without data."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def png(width: int, height: int) -> bytes:
    """A picture of one colour, whose data are left out."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def files(canary: Path) -> dict[str, tuple[str, bytes]]:
    """Entry of the catalogue and content, by name of the file."""
    evil = Evil(canary)
    told = {f"{name.replace(' ', '-')}.safetensors": ("TP-03", h) for name, h in HEADERS.items()}
    objects = np.array([evil], dtype=object)
    mib = bytes(1 << 20)
    return {
        **told,
        "checkpoint.pt": ("TP-02", saved(lambda file: torch.save({"a": evil}, file))),
        "old.pth": ("TP-02", pickle.dumps(evil)),
        "deflated.pt": ("RX-07", zipped("archive/data.pkl", mib * 16)),
        "strided.pt": (
            "RX-07",
            saved(lambda file: torch.save(torch.zeros(1).expand(1 << 30), file)),
        ),
        "objects.npy": ("TP-04", saved(lambda file: np.save(file, objects, allow_pickle=True))),
        "huge.npy": (
            "TP-04",
            npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**40},)}}"),
        ),
        "bomb.npz": ("TP-04", zipped("a.npy", mib * 16)),
        "table.csv.gz": ("TP-13", gzip.compress(mib * 16)),
        "table.csv": ("TP-13", b"a,b\n=cmd(),@x\n" + b"http://127.0.0.1:9/x.csv\n" * 9),
        "picture.png": ("TP-13", png(60_000, 60_000)),
        "drawing.svg": ("TP-13", b"<svg xmlns='x'><script>alert(1)</script></svg>"),
        "laughs.xml": ("TP-06", b'<!DOCTYPE l [<!ENTITY a "&b;&b;"><!ENTITY b "ha">]><l>&a;</l>'),
        "laughs.yaml": ("TP-06", b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
    }


def cases() -> list[Any]:
    found = files(Path("canary"))
    return [pytest.param(n, marks=pytest.mark.threat(e), id=n) for n, (e, _) in found.items()]


@pytest.mark.parametrize("file", cases())
def test_a_file_beside_the_notebook_is_carried_and_not_opened(file: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    data = files(canary)[file][1]
    (tmp_path / "s01").mkdir()
    (tmp_path / "s01" / "hw.ipynb").write_text(notebook("x = 1"))
    (tmp_path / "s01" / file).write_bytes(data)
    with quickly(peak_mib=2 + 4 * len(data) / 2**20):
        read = read_submission(tmp_path / "s01", "hw")
        assert [(one.path, one.data) for one in read.carried] == [(file, data)]
        assert len(read.digest) == 64
    assert not canary.exists()


ARRAY = ["array", "torch", "float32"]
GAMES: dict[str, tuple[bytes, Any]] = {
    "a huge shape without elements": (
        encoded([[*ARRAY, [0, 2**40], 0, 0]]),
        Tensor(np.zeros((0, 2**40), np.float32), "float32"),
    ),
    "a huge shape with one": (encoded([[*ARRAY, [1, 2**40], 0, 4]], bytes(4)), None),
    "shapes that overflow": (encoded([[*ARRAY, [2**32, 2**32], 0, 0]]), None),
    "a shape beyond all": (encoded([[*ARRAY, [0, 10**19], 0, 0]]), None),
    "a negative shape": (encoded([[*ARRAY, [-1, -1], 0, 4]], bytes(4)), None),
    "a shape that is true": (encoded([[*ARRAY, [True], 0, 4]], bytes(4)), None),
    "a shape that is no whole number": (encoded([[*ARRAY, [1.0], 0, 4]], bytes(4)), None),
    "nine dimensions": (encoded([[*ARRAY, [1] * 9, 0, 4]], bytes(4)), None),
    "fewer bytes than elements": (encoded([[*ARRAY, [2], 0, 4]], bytes(4)), None),
    "bytes outside": (encoded([[*ARRAY, [1], 2**60, 4]], bytes(4)), None),
    "eight bits": (encoded([["array", "torch", "float8_e4m3fn", [1], 0, 1]], bytes(1)), None),
    "objects": (encoded([["array", "numpy", "O", [1], 0, 8]], bytes(8)), None),
    "a dtype that is a list": (encoded([["array", "numpy", ["f4"], [1], 0, 4]], bytes(4)), None),
    "a name that is a path": (
        encode({"../../etc/passwd\0\u202e": Tensor(np.zeros(1), "float64")}),
        {"../../etc/passwd\0\u202e": Tensor(np.zeros(1), "float64")},
    ),
}


@pytest.mark.threat("TP-03", "RX-07")
@pytest.mark.parametrize("game", GAMES)
def test_a_tensor_is_what_its_header_says_or_refused(game: str) -> None:
    data, means = GAMES[game]
    with quickly(cpu_s=0.5, peak_mib=2):
        if means is not None:
            assert decode(data) == means
            return
        with pytest.raises(ProtocolViolation):
            decode(data)
