"""One process that judges: what it is asked, and what its silence means."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.child import Child
from grader.errors import Fault
from grader.judging.opening import OUT_OF_MEMORY, Limits, Opening
from grader.judging.page import Page
from grader.verdict import Score
from grader.verdict_json import from_json

WORKER = "grader.judging.worker"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer about a submission."""

    score: Score | None
    """None where there is nothing to score: it was never executed as it is now."""
    bugs: tuple[str, ...] = ()
    """Tracebacks of errors of ours that nothing expected."""
    page: Page | None = None
    """None where nobody asked for one."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: the process is of no use any more."""

    why: str
    digest: str = ""
    """Of the submission, if the process came as far as that."""


class Process:
    """One process; opening the assignment goes on while nobody asks yet.

    Its environment is the grader's own, because a reference must draw the same inputs there.

    Args:
        opening: Which assignment it judges, within what limits.
        module: What it runs.

    Raises:
        Fault: it cannot be started.
    """

    def __init__(self, opening: Opening, module: str = WORKER) -> None:
        """Start it."""
        self._limits, self._ready, self._late = opening.limits, False, False
        self._child = Child(module, environment=dict(os.environ), group=True)
        self._child.tell(opening.to_json())

    def judge(self, student: str, folder: Path) -> Told | Failed:
        """Have one submission judged; after a failure the process must be stopped.

        Raises:
            Fault: the assignment cannot be opened.
        """
        self._wait_until_ready()
        self._child.tell(json.dumps({"student": student, "folder": str(folder.absolute())}))
        end, digest = time.monotonic() + self._limits.wall_s, ""
        try:
            if (read := self._hear(end)) is None:
                return Failed(self._why())
            digest = _text(read, "read")
            if (answer := self._hear(end)) is None:
                return Failed(self._why(), digest)
            score = None if answer["score"] is None else from_json(_text(answer, "score"))
            return Told(score, tuple(str(bug) for bug in answer["bugs"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return Failed(f"what its judging gave cannot be read: {error}", digest)

    def page(self, question: str) -> Page | Failed:
        """Have the page made of what was judged last; after a failure it must be stopped.

        Args:
            question: One line of JSON: what is to be shown.
        """
        self._child.tell(question)
        try:
            answer = self._hear(time.monotonic() + self._limits.wall_s)
            return Failed(self._why()) if answer is None else Page.read(answer)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return Failed(f"the page that its judging gave cannot be read: {error}")

    def kill(self) -> None:
        """Kill it, while another thread may be waiting for its answer."""
        self._child.kill()

    def stop(self) -> None:
        """Kill it, and close what belonged to it."""
        self._child.stop()

    def _wait_until_ready(self) -> None:
        if self._ready:
            return
        told = self._hear(time.monotonic() + self._limits.start_s)
        if told is None or not told.get("ready"):
            late = f"it took more than {self._limits.start_s:g} s" if self._late else ""
            why = told.get("fault") if told else late or self._child.complaint or self._why()
            raise Fault(f"the process that judges did not start: {why}")
        self._ready = True

    def _hear(self, end: float) -> Mapping[str, Any] | None:
        """The next line, or None if it does not come in time or at all."""
        line = self._child.hear(max(0.0, end - time.monotonic()))
        if not line:
            self._late = line is None
            return None
        told = json.loads(line)
        if not isinstance(told, dict):
            raise ValueError("expected an object")
        return told

    def _why(self) -> str:
        """Why there is no answer."""
        if self._late:
            return f"judging it took more than {self._limits.wall_s:g} s"
        told = self._child.complaint
        return _says(self._child.stop(), self._limits, told)


def _says(status: int, limits: Limits, told: str) -> str:
    """What an exit status means, and the last line of what was told before it."""
    if status == OUT_OF_MEMORY:
        return f"judging it took more than {limits.memory_mib} MiB of memory"
    if status == -signal.SIGXCPU:
        return f"judging it took more than {limits.cpu_s} s of processor time"
    if status < 0:
        return f"the process that judged it died: {signal.Signals(-status).name}"
    return f"the process that judged it died: {told.splitlines()[-1] if told else status}"


def _text(told: Mapping[str, Any], name: str) -> str:
    found = told[name]
    if type(found) is not str:
        raise ValueError(f"{name}: expected text")
    return found
