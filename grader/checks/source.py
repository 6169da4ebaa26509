"""`source`: the code itself uses, avoids or defines certain names, read from its syntax tree."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping

from grader.checks.base import Context, Problem, Released, Request, Seen, no_mistakes
from grader.evidence import CellStatus
from grader.rubric.model import CheckParams, Strict
from grader.submission import CellKind
from grader.verdict import Finding, Pending

#: So many parts of a dotted name are read, from its end: chains of attributes may be endless.
MOST_DOTS = 10
#: What only IPython reads: `softmax?`, and `files = !ls` or `best = %timeit -o f()`.
QUESTION = re.compile(r"\s*+[\w.*]++\?{1,2}\s*+")
ASSIGNED = re.compile(r"^(\s*+[\w, ]++=\s*+)[!%].*")


class Wanted(Strict):
    """Names as they are written: `softmax`, `F.softmax`, `nn.MultiheadAttention`."""

    uses: tuple[str, ...] = ()
    avoids: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()


class Params(CheckParams):
    """`source: {avoids: [nn.MultiheadAttention]}`."""

    of: Wanted


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Always: names in source text can be hidden in many ways; this advises."""
    return True


def asks(params: Params) -> str:
    """What the student must write."""
    wanted = params.of
    parts = [("uses", wanted.uses), ("avoids", wanted.avoids), ("defines", wanted.defines)]
    return "code that " + " and ".join(f"{verb} {', '.join(n)}" for verb, n in parts if n)


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """A check that anything passes."""
    if not (params.of.uses or params.of.avoids or params.of.defines):
        yield ("of",), "expected uses, avoids or defines, found none of them"
    yield from no_mistakes(params)


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Nothing is asked of the namespace."""
    return {}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Any code will do."""
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """Nothing: the sheet says what code to use."""
    return Released(params={}, requests={})


def answers(params: Params, asked: Mapping[str, Request], context: Context, check_id: str) -> None:
    """None: no reference has source text to show."""


def judge(params: Params, seen: Seen, context: Context) -> Finding | Pending:
    """Give full credit when the code is as asked, none otherwise.

    What stands only in cells that are not run has shown nothing, and may be right: a person looks.
    """
    code = {n: cell for n, cell in enumerate(seen.cells) if cell.kind is CellKind.CODE}
    trees = {n: _tree(cell.source) for n, cell in code.items()}
    for n, tree in trees.items():
        if tree is None and n in seen.receipts and seen.receipts[n].status is CellStatus.OK:
            where = code[n].place or f"cell {n + 1}"
            return Pending(reason=f"The code of {where} ran and cannot be read: a person looks.")
    run = _names(tree for n, tree in trees.items() if tree and not code[n].left_out)
    left_out = _names(tree for n, tree in trees.items() if tree and code[n].left_out)
    every = run[0] | left_out[0], run[1] | left_out[1]
    lacks = _lacks(params.of, *every)
    unwanted = _unwanted(params.of, run[0])
    if lacks or unwanted:
        says = [f"The code lacks {', '.join(lacks)}."] if lacks else []
        says += [f"The code uses {', '.join(unwanted)}."] if unwanted else []
        return Finding(credit=0.0, says=" ".join(says))
    unseen = _lacks(params.of, *run) + _unwanted(params.of, left_out[0])
    if unseen:
        where = "only in a cell that is not run at grading"
        return Pending(reason=f"{', '.join(unseen)} stands {where}: a person looks.")
    return Finding(credit=1.0, says="The code is as asked.")


def _unwanted(wanted: Wanted, names: set[str]) -> list[str]:
    """Names that are to be avoided, and that are mentioned."""
    return [name for name in wanted.avoids if _mentions(names, name)]


def _lacks(wanted: Wanted, names: set[str], defined: set[str]) -> list[str]:
    """Names that are asked for, and that are not used or defined."""
    unused = [name for name in wanted.uses if not _mentions(names, name)]
    return unused + [name for name in wanted.defines if name not in defined]


def _mentions(names: set[str], wanted: str) -> bool:
    return any(name == wanted or name.endswith(f".{wanted}") for name in names)


def _names(code: Iterable[ast.AST]) -> tuple[set[str], set[str]]:
    """All dotted names that cells mention, and those that they define."""
    names: set[str] = set()
    defined: set[str] = set()
    for tree in code:
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name):
                    names.add(name)
                    if isinstance(node.ctx, ast.Store):
                        defined.add(name)
                case ast.Attribute():
                    names.add(_dotted(node))
                case (
                    ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    defined.add(name)
                case ast.ImportFrom(module=module, names=aliases):
                    names |= {f"{module}.{alias.name}" for alias in aliases}
    return names, defined


def _dotted(node: ast.expr) -> str:
    """The end of a dotted name, in a loop: a chain may be long. What is no name stays empty."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < MOST_DOTS:
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def _tree(source: str) -> ast.AST | None:
    """The tree of a cell, without what only IPython understands; None when it is no Python."""
    for text in (source, "\n".join(map(_plain, source.splitlines()))):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            return ast.parse(text)
    return None


def _plain(line: str) -> str:
    """A line of Python: magics, shell lines and questions are blanked, `x = !ls` gives None."""
    if line.lstrip().startswith(("!", "%", "?")) or QUESTION.fullmatch(line):
        return ""
    return ASSIGNED.sub(r"\1None", line)
