"""From standard input to an exit code: one box, one run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import BinaryIO

from .box import BoxError, read_box
from .child import Child
from .runner import GpuFailed, HostStarved, NotReady, Run


def serve(
    stdin: BinaryIO,
    stdout: BinaryIO,
    first: Child,
    *,
    start: Callable[[], Child],
    started: float,
    own_group: bool = True,
) -> int:
    """Run the box from `stdin`, write frames to `stdout`; returns the exit code of the process.

    Args:
        stdin: Holds one box; may end after it.
        stdout: Takes frames and nothing else.
        first: A kernel that boots already, so that it does while we import and read.
        start: Starts another.
        started: When this process began (monotonic, seconds).
        own_group: Whether our control group has held nothing but this box.
    """
    run: Run | None = None
    try:
        run = Run(read_box(stdin), stdout, first, start)
        run.own_group = own_group
        # zmq needs a selector loop, which is not what Windows gives by itself.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as loop:
            loop.run(run.everything(started))
    except BoxError as error:
        return complain(2, str(error))
    except GpuFailed as error:
        return complain(6, str(error))
    except NotReady as error:
        return complain(3, str(error))
    except HostStarved as error:
        return complain(5, str(error))
    except (BrokenPipeError, ConnectionResetError):
        return complain(4, "the host closed its end")
    finally:
        (run.child if run else first).kill()
        (run.child if run else first).clean()
    return 0


def complain(code: int, why: str) -> int:
    """Say why on standard error; returns the exit code."""
    print(f"guest: {why}", file=sys.stderr)  # noqa: T201
    return code
