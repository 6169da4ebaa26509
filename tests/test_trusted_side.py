"""On the trusted side nothing that a student touched becomes code: a lint rule, and what it misses.

The rule is in pyproject.toml: ruff's `banned-api` (TID251) and its security rules (S). Ruff follows
names; a method of an object that came from elsewhere, a dangerous option and a built-in function it
does not see, so a walk over the syntax tree looks for these. The trusted side is grader/ without
grader/guest.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODES = {"TID251", "S102", "S202", "S301", "S302", "S307", "S506", "S602", "S604", "S605", "S614"}
CODES |= {f"S{number}" for number in range(313, 321)}
"""Rules of ruff that make up this one."""

#: Every line that may do it nevertheless: file, code, and the reason, which stands in the line too.
EXCEPTIONS = {
    ("grader/reference.py", "TID251", "the course's own reference"),
    ("grader/sandbox/image.py", "TID251", "writes the build context, reads nothing"),
}

METHODS = {
    "extractall": "an archive may write anywhere",
    "unpack_archive": "an archive may write anywhere",
    "get_archive": "the engine's archive calls follow what a container left behind",
    "put_archive": "the engine's archive calls follow what a container left behind",
    "exec_run": "runs in a container beside the guest",
    "read_pickle": "unpickling runs code",
    "sympify": "evals text",
    "parse_expr": "evals text",
    "lambdify": "makes code from text",
    "unsafe_load": "makes any object",
    "exec_module": "runs a file",
}
"""Names of methods, whatever object has them."""
METHODS_ALLOWED = {("grader/reference.py", "exec_module")}
BUILT_IN = {"eval", "exec", "compile", "__import__", "__builtins__"}
OPTIONS = {"allow_pickle": "unpickling runs code", "shell": "goes through a shell"}
"""Options that nothing but a plain False may be given to."""

CAUGHT_BY_RUFF = [
    "import pickle",
    "import pickle as harmless",
    "from pickle import loads",
    "import _pickle",
    "import marshal",
    "import shelve",
    "import dill",
    "import cloudpickle",
    "import joblib",
    "from multiprocessing import Pipe",
    "import torch\ntorch.load('f', weights_only=True)",
    "from torch import load\nload('f')",
    "from torch.serialization import load\nload('f')",
    "import torch\ntorch.jit.load('f')",
    "import numpy as np\nnp.load('f', allow_pickle=True)",
    "import numpy as np\nnp.load('f')",
    "import pandas as pd\npd.read_pickle('f')",
    "import sympy\nsympy.sympify('f')",
    "import sympy\nsympy.S('f')",
    "from sympy import sympify",
    "from sympy.core.sympify import sympify",
    "from sympy.parsing.sympy_parser import parse_expr",
    "from sympy.parsing.latex import parse_latex",
    "import sympy\nsympy.lambdify('x', 'x')",
    "eval('1')",
    "exec('1')",
    "import builtins\nbuiltins.eval('1')",
    "from builtins import compile",
    "import importlib\nimportlib.import_module('pickle')",
    "import runpy",
    "import yaml\nyaml.load('f', Loader=yaml.SafeLoader)",
    "import yaml\nyaml.unsafe_load('f')",
    "import yaml\nyaml.full_load('f')",
    "from yaml import UnsafeLoader",
    "import xml.etree.ElementTree",
    "from xml.etree import ElementTree",
    "from xml.dom import minidom",
    "import xml.sax",
    "import lxml.etree",
    "import tarfile\ntarfile.open('f').extractall()",
    "from zipfile import ZipFile",
    "import shutil\nshutil.unpack_archive('f')",
    "import os\nos.system('f')",
    "import os\nos.popen('f')",
    "import subprocess\nsubprocess.run('f', shell=True)",
    "import subprocess\nsubprocess.getoutput('f')",
]
CAUGHT_BY_THE_WALK = [
    "def f(archive):\n    archive.extractall('there')",
    "def f(container):\n    container.get_archive('/work')",
    "def f(api, data):\n    api.put_archive('id', '/', data)",
    "def f(expression):\n    expression.sympify('f')",
    "def f(frames):\n    frames.read_pickle('f')",
    "def f(load, path):\n    return load(path, allow_pickle=True)",
    "def f(load, path, maybe):\n    return load(path, allow_pickle=maybe)",
    "def f(run, words, maybe):\n    run(words, shell=maybe)",
    "compile('1', 'f', 'eval')",
    "__import__('os')",
    "f = eval",
    "f = __builtins__",
    "def f(options):\n    return {'shell': True, **options}",
    "f = getattr(archive, 'extractall')",
]
HARMLESS = [
    "def f(model):\n    model.eval()",
    "import re\nre.compile('f')",
    "import yaml\nyaml.parse('f')",
    "def f(run, words):\n    run(words, shell=False)",
    "import torch\ntorch.zeros(1)",
    "import sympy\nsympy.Symbol('x')",
]


def found_by_ruff(source: str, name: str = "grader/snippet.py") -> set[str]:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json"]
    ran = subprocess.run(
        [*command, "--stdin-filename", name, "-"],
        input=source,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stderr
    return {problem["code"] for problem in json.loads(ran.stdout)} & CODES


def found_by_the_walk(source: str) -> Iterator[str]:
    """Names of forbidden methods and options in a source, however they are reached."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)) if name in METHODS:
                yield name
            case ast.Name(id=name) if name in BUILT_IN:
                yield name
            case ast.keyword(arg=str(name), value=value) if name in OPTIONS:
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield name
            case ast.Constant(value=str(name)) if name in OPTIONS:
                yield name


def trusted() -> list[Path]:
    guest = ROOT / "grader" / "guest"
    return [path for path in sorted((ROOT / "grader").rglob("*.py")) if guest not in path.parents]


@pytest.mark.parametrize("source", CAUGHT_BY_RUFF)
def test_ruff_catches_what_makes_code_of_data(source: str) -> None:
    assert found_by_ruff(source)


@pytest.mark.parametrize("source", CAUGHT_BY_THE_WALK)
def test_the_walk_catches_what_ruff_cannot_see(source: str) -> None:
    assert found_by_ruff(source) == set()
    assert list(found_by_the_walk(source))


@pytest.mark.parametrize("source", HARMLESS)
def test_what_is_harmless_passes_both(source: str) -> None:
    assert found_by_ruff(source) == set()
    assert list(found_by_the_walk(source)) == []


def test_the_guest_is_not_the_trusted_side() -> None:
    assert "TID251" not in found_by_ruff("import pickle", "grader/guest/snippet.py")


def test_no_file_of_the_trusted_side_escapes_ruff() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files", "grader"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert set(map(Path, listed.stdout.splitlines())) >= set(trusted())


@pytest.mark.parametrize("path", trusted(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_walk_finds_nothing_on_the_trusted_side(path: Path) -> None:
    where = str(path.relative_to(ROOT))
    found = set(found_by_the_walk(path.read_text("utf-8")))
    assert {name for name in found if (where, name) not in METHODS_ALLOWED} == set()


def test_every_exception_is_a_listed_line_with_its_reason() -> None:
    seen = set()
    for path in trusted():
        for line in path.read_text("utf-8").splitlines():
            if quiet := re.search(r"# noqa: ([A-Z0-9, ]+?)(?: - (.*))?$", line):
                codes = {code.strip() for code in quiet[1].split(",")} & CODES
                seen |= {(str(path.relative_to(ROOT)), code, quiet[2]) for code in codes}
    assert seen == EXCEPTIONS


def test_no_file_or_folder_is_excepted_as_a_whole() -> None:
    for path in trusted():
        text = path.read_text("utf-8")
        assert not re.search(r"# (ruff|flake8): ?noqa|# noqa(?!: [A-Z]+[0-9])", text), path
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]
    ignored = ruff["lint"]["per-file-ignores"]
    whole = {files for files, codes in ignored.items() if CODES & set(codes)}
    assert whole == {"tests/**", "{benchmarks,docker,grader/guest,reference,scripts}/**"}
    assert "ignore" not in ruff["lint"]
