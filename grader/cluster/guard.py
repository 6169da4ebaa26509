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

ALLOWED = {("builtins", "bytes")}
"""The type of our own messages. What Dask says of a lost worker is not read: that it says something
is enough, and its records name `getattr`, with which a pickle gets anywhere."""


class Refused(ProtocolViolation, AttributeError):
    """Something on the cluster sent a pickle that names what we do not read.

    An AttributeError, because with those Dask goes on: it takes the pickle for a record of a class
    that is not here.
    """


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
            raise Refused(f"something on the cluster sent a {'.'.join(map(str, told))}")

    sys.addaudithook(hook)
    try:
        yield
    finally:
        on.clear()
