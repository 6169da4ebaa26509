"""The `grader` command's outermost boundary; `python -m grader` is the same."""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path

import click
from rich.console import Console

from grader import __version__
from grader.cli import grader
from grader.errors import Fault, InputError, ReferenceFault, RubricError
from grader.options import BAD_INPUT, INTERRUPTED, OUR_BUG


def main() -> None:
    """Run the command; the one boundary where errors become sentences and exit codes."""
    stderr = Console(stderr=True, highlight=False)
    try:
        code = grader(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        stderr.print("\n[bold]interrupted[/]: what is finished is kept; the same command goes on")
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = BAD_INPUT
    except InputError as error:
        for problem in error.problems if isinstance(error, RubricError) else [str(error)]:
            stderr.print(problem, markup=False, soft_wrap=True)
        code = BAD_INPUT
    except ReferenceFault as error:
        stderr.print(f"{error}: mend the reference", markup=False, soft_wrap=True)
        code = BAD_INPUT
    except Fault as error:
        stderr.print(f"fault: {error}", markup=False, soft_wrap=True)
        code = OUR_BUG
    except Exception:  # noqa: BLE001 - the last boundary: a bug of ours becomes a file to send us
        says = f"a bug of the grader: please report {_crash_log()}"
        stderr.print(says, markup=False, soft_wrap=True)
        code = OUR_BUG
    sys.exit(code if isinstance(code, int) else 0)


def _crash_log() -> str:
    """Where all of it is written down; all of it, where nothing can be written."""
    path = Path(f"grader-crash-{time.strftime('%Y%m%d-%H%M%S')}.log")
    told = {"version": __version__, "argv": sys.argv[1:], "python": sys.version}
    text = json.dumps(told) + "\n" + traceback.format_exc()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError:
        return text
    return str(path)


if __name__ == "__main__":
    main()
