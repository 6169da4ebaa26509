"""Refuse, in the grader's own process, what a worker could send to become code there.

Dask reads pickles off its connections. A pickle does harm only through what it names: a class or a
function that is looked up and called. Python tells of every such look-up before it is done (the
audit event `pickle.find_class`), and a hook that raises prevents it. What Dask needs is short.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grader.errors import ProtocolViolation

ALLOWED = {
    ("builtins", "bytes"),  # the type of our own messages
    # What a scheduler says of a worker that was lost: plain records, which do nothing when made.
    ("distributed.scheduler", "KilledWorker"),
    ("distributed.scheduler", "WorkerState"),
    ("distributed.core", "Status"),
    ("collections", "deque"),
    ("collections", "defaultdict"),
    ("builtins", "int"),
}


@contextmanager
def guarded() -> Iterator[None]:
    """Refuse the rest, in all threads but the main one, where only trusted code runs.

    An audit hook stays for the life of the process; at the end this one falls silent.
    """
    on = threading.Event()
    on.set()

    def hook(event: str, told: tuple[Any, ...]) -> None:
        if event != "pickle.find_class" or not on.is_set():
            return
        if threading.current_thread() is not threading.main_thread() and told not in ALLOWED:
            raise ProtocolViolation(f"something on the cluster sent a {'.'.join(map(str, told))}")

    sys.addaudithook(hook)
    try:
        yield
    finally:
        on.clear()
