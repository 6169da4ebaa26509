"""Handed-in weights: where they lie, and under which names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from guest_driver import Put, ask, run_guest, tensor
from safetensors.torch import save, save_file
from torch import nn

from grader.guest import predicting

TABLE = torch.arange(6.0).reshape(3, 2)
REQUEST: dict[str, Any] = {"inputs": {"x": tensor([0, 2], "int64")}, "batch": 2}
REQUEST |= {"build": {"classes": 2}, "weights": "weights.safetensors"}


class Plain(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.table = nn.Embedding(3, classes)

    def forward(self, x: torch.Tensor) -> Any:
        return self.table(x)


class Wrapper(nn.Module):
    """A student's own model that calls its part `module`, as torch calls what it wraps."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.module = Plain(classes)

    def forward(self, x: torch.Tensor) -> Any:
        return self.module(x)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Wrapper, "module.table.weight"),
        (Wrapper, "module.module.table.weight"),
        (Wrapper, "_orig_mod.module.table.weight"),
        (Plain, "module.table.weight"),
        (Plain, "_orig_mod.module.table.weight"),
        (Plain, "module._orig_mod.table.weight"),
    ],
)
def test_names_are_taken_as_they_are_before_anything_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: type[nn.Module], name: str
) -> None:
    monkeypatch.setattr(predicting, "FOLDER", tmp_path)
    save_file({name: TABLE}, tmp_path / "weights.safetensors")
    (seen,) = Put(tmp_path)({"Net": model}, {"op": "predict", "name": "Net", **REQUEST})
    np.testing.assert_array_equal(seen.array, TABLE[[0, 2]])


CELL = """\
import os, torch
class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.table = torch.nn.Embedding(3, classes)
    def forward(self, x):
        return self.table(x)
os.makedirs("runs")
os.chdir("runs")
"""


@pytest.mark.slow
def test_weights_are_found_whatever_folder_the_notebook_went_to(tmp_path: Path) -> None:
    handed = {"weights.safetensors": save({"table.weight": TABLE})}
    ran = run_guest(CELL, probes=[ask("predict", "Net", **REQUEST)], cwd=tmp_path, files=handed)
    (seen,) = ran.seen()["Net"]
    np.testing.assert_array_equal(seen.array, TABLE[[0, 2]])
