"""Handed-in files in the guest: modules that import each other, and cells that are left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from guest_driver import Ran, capture, module, run_guest

from grader.guest.files import File, checked, lay_out
from grader.submission import Cell, CellKind


def said(ran: Ran) -> list[str]:
    return [str(receipt.raised) for receipt in ran.receipts]


@pytest.mark.slow
def test_every_way_to_import_a_module_gives_the_same_class(tmp_path: Path) -> None:
    files = {
        "src/model.py": "from .attention import Attention\nclass Model:\n    part = Attention",
        "src/attention.py": "from src.tools import Base\nclass Attention(Base): ...",
        "src/tools.py": "class Base: ...",
        "src/trainer.py": "import attention\nimport src.attention as other\n"
        "import src\nalike = [attention.Attention, other.Attention, src.attention.Attention]",
    }
    use = "import tools\nones = [c is Attention for c in alike] + [Model.part is Attention]\n"
    use += "ones += [issubclass(Attention, tools.Base)]"
    cells = [module(f"src/{name}.py") for name in ("model", "attention", "tools", "trainer")]
    ran = run_guest(*cells, use, files=files, cwd=tmp_path, probes=capture("ones"))
    assert ran.statuses == ["ok"] * 5, said(ran)
    assert ran.seen() == {"ones": [True] * 5}


@pytest.mark.slow
def test_a_module_that_fails_says_where_and_gives_what_it_had_defined(tmp_path: Path) -> None:
    files = {
        "syntax.py": "x = 1\ny = (\n",
        "src/uses.py": "first = 1\nimport broken\n",
        "src/broken.py": "\n\nimport nowhere_to_be_found\n",
        "args.py": "import argparse\np = argparse.ArgumentParser()\np.add_argument('name')\n"
        "early = 2\nargs = p.parse_args()\n",
        "argv.py": "import sys\nname = sys.argv[1]\n",
        "slow.py": "print('loading')\nwhile True: pass\n",
        "last.py": "from argparse import Namespace\nfine = 3\n",
    }
    names = ("syntax", "src/uses", "args", "argv", "slow", "last")
    cells = [module(f"{name}.py") for name in names]
    ran = run_guest(
        *cells, files=files, cwd=tmp_path, cell_s=2, probes=capture("first", "early", "fine")
    )
    assert ran.statuses == ["error", "error", "error", "error", "timeout", "ok"]
    assert said(ran)[:4] == [
        "SyntaxError: '(' was never closed (line 2)",
        "ModuleNotFoundError: No module named 'nowhere_to_be_found' (src/broken.py, line 3)",
        "SystemExit: it ended the program with 2 while it was loaded (line 5)",
        "IndexError: list index out of range (line 2)",
    ]
    assert "usage: args.py [-h] name" in ran.texts[2]
    assert ran.texts[4] == "loading\n"
    assert ran.seen() == {"first": 1, "early": 2, "fine": 3}


@pytest.mark.slow
def test_modules_are_loaded_again_after_a_kernel_died(tmp_path: Path) -> None:
    files = {"src/model.py": "class Model: ...", "src/dies.py": "import os\nos._exit(0)"}
    ran = run_guest(
        *(module("src/model.py"), module("src/dies.py"), "made = type(Model()).__name__"),
        files=files,
        cwd=tmp_path,
        probes=capture("made"),
    )
    assert ran.statuses == ["ok", "died", "ok"]
    assert ran.seen() == {"made": "Model"}


@pytest.mark.slow
def test_a_module_does_not_take_the_place_of_an_installed_one(tmp_path: Path) -> None:
    files = {"src/torch.py": "mine = 1", "src/inspect.py": "mine = 2"}
    use = "import torch, inspect\nours = torch.ones(2).sum().item(), inspect.isclass(int), mine"
    ran = run_guest(
        *(module("src/torch.py"), module("src/inspect.py"), use),
        files=files,
        cwd=tmp_path,
        probes=capture("ours"),
    )
    assert ran.statuses == ["ok"] * 3, said(ran)
    assert ran.seen() == {"ours": (2.0, True, 2)}


@pytest.mark.slow
def test_a_cell_that_is_left_out_has_a_receipt_and_is_not_run(tmp_path: Path) -> None:
    left_out = Cell(CellKind.CODE, "a = 2", left_out="tagged skip-grading")
    die = "import os; os._exit(0)"
    ran = run_guest("a = 1", left_out, die, "b = a", left_out, probes=capture("a", "b"))
    assert ran.statuses == ["ok", "left_out", "died", "ok", "left_out"]
    assert ran.seen() == {"a": 1, "b": 1}
    assert ran.restarts == [{"reason": "died", "phase": "cells", "without": [2]}]


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "..", "a/../b", "./a", "", "a//b", "data/x", "data", ".lib/x", "c:/x", "a\\b"],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="a file cannot lie at"):
        checked(path)


def test_files_are_written_new_and_through_no_link(tmp_path: Path) -> None:
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    work.mkdir()
    elsewhere.mkdir()
    lay_out([File("a/b.txt", memoryview(b"1"))], work)
    assert (work / "a" / "b.txt").read_bytes() == b"1"
    (work / "link").symlink_to(elsewhere)
    (work / "gone.txt").symlink_to(elsewhere / "gone.txt")
    for path in ("a/b.txt", "link/x.txt", "gone.txt"):
        with pytest.raises(FileExistsError):
            lay_out([File(path, memoryview(b"2"))], work)
    assert list(elsewhere.iterdir()) == []
