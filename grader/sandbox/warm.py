"""Run the guest in a container whose first process is warm: one submission after another in it.

That process has imported torch and the kernel. For each submission it forks into new namespaces of
users, processes, mounts, network, messages and names, with fresh scratch, and gives up all rights
before any student's code runs (`grader/guest/warm.py`). A container serves one submission at a time
and is removed after anything but a clean, complete end.

Covers: what `docker.py` covers, for each submission.

Does not cover: what that does not; and submissions that follow each other in one container share
its control group, the streams that their guests have one after another, the layout of the warm
process's memory, which the kernel of every student is a copy of, and the kernel's code that makes
user namespaces, which is run for them but not by them. So what was executed here counts as executed
in another environment. GPUs: no warm worker gets one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader.errors import InputError, SandboxFault
from grader.frames import FrameReader
from grader.plan import Limits
from grader.sandbox import environment
from grader.sandbox.base import Cause, Stopped
from grader.sandbox.docker import DEADLINE_LABEL, PYTHON, DockerSandbox
from grader.sandbox.engine import Attached
from grader.sandbox.pipes import Conversation, Tail, start
from grader.sandbox.policy import SHM_MIB, TMP_MIB, Request
from grader.sandbox.seccomp import warm_profile_text

ASKED, RESTED, DISMISSED = b"?", b"!", b"."
"""What passes between the host and a warm process, besides boxes and frames."""
MOST_SUBMISSIONS = 40
LIFETIME_S = 3600.0
"""After so many submissions, or so long, a container is replaced, whatever it looks like."""


@dataclass(slots=True, eq=False)
class Worker:
    """One container, between submissions or with one."""

    container: str
    request: Request
    connection: Attached
    tail: Tail = field(default_factory=Tail)
    hired: float = field(default_factory=time.monotonic)
    served: int = 0
    rested: bool = False
    """Whether it said, after the last submission, that nothing is left of it."""
    fit: bool = False
    """Whether it may take another submission."""
    _output: Iterator[bytes] | None = None

    def chunks(self, reader: FrameReader) -> Iterator[bytes]:
        """Yield what the guest writes for one submission, until the worker rests or ends.

        Whatever follows the last frame, unless it is our answer, goes to the reader too, which
        then refuses it.
        """
        self._output = self._output or self.connection.stdout(self.tail)
        asked = False
        for chunk in self._output:
            if asked and chunk == RESTED:
                self.rested = True
                return
            yield chunk
            if reader.ended and not asked:
                asked = True
                self.connection.write(ASKED if self._may_go_on(reader) else DISMISSED)

    @property
    def is_young(self) -> bool:
        """Whether it has a submission more in it."""
        return time.monotonic() < self.hired + LIFETIME_S and self.served < MOST_SUBMISSIONS

    def may_serve(self, request: Request) -> bool:
        """Whether it rests, and is what a request asks for."""
        same = replace(self.request, labels=request.labels) == request
        return same and self.is_young and self.connection.is_silent()

    def _may_go_on(self, reader: FrameReader) -> bool:
        end = reader.frames[-1].header
        return self.is_young and end.get("ending") == "complete" and not str(self.tail)


class WarmDockerSandbox(DockerSandbox):
    """Containers that are used again; see the module's docstring for what they cover.

    Args:
        say: Gets a line for each step of building the runner image.
        command: The first process in place of a warm one, for tests.
    """

    name = "docker-warm"

    def __init__(
        self,
        *,
        say: Callable[[str], None] = lambda line: None,
        command: tuple[str, ...] = (),
    ) -> None:
        """See `DockerSandbox`; no container is made before the first submission."""
        super().__init__(say=say, command=command)
        self._seccomp = warm_profile_text()
        # Part of the plan's digest: see the top of this module.
        self._runner, self.image = self.image, f"{self.image} warm"
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """See `Sandbox.run`."""
        if limits.gpu:
            raise InputError("no warm worker gets a GPU: use --sandbox docker")
        begun = reader.started = time.monotonic()
        course = {environment.DATA: data, environment.LIB: lib}
        with self._engine_there():
            worker = self._hire(self._request(limits, course, None))
            try:
                return self._serve(worker, box, reader, begun)
            finally:
                self._let_go(worker)

    def close(self) -> None:
        """See `DockerSandbox.close`."""
        super().close()
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.connection.close()

    def _request(
        self, limits: Limits, course: Mapping[str, Path | None], gpu: str | None
    ) -> Request:
        fresh = super()._request(limits, course, gpu)
        room = {
            "work": environment.WORK,
            "work_mib": limits.scratch_mib,
            "tmp_mib": TMP_MIB,
            "shm_mib": SHM_MIB,
        }
        # Not -I: kernels are forks of this process, and must see PYTHONHASHSEED.
        command = self.command or (PYTHON, environment.GUEST, "warm", json.dumps(room))
        deadline = str(int(fresh.labels[DEADLINE_LABEL]) + int(LIFETIME_S))
        labels = {**fresh.labels, DEADLINE_LABEL: deadline}
        return replace(fresh, image=self._runner, command=command, labels=labels, warm=True)

    def _hire(self, request: Request) -> Worker:
        """Take a resting worker that was made for the same limits and folders, or make one."""
        if resting := self._resting(request):
            return resting
        container = self._create(request)
        try:
            if self._closed:  # looked at after it was made: `close` removes what it finds
                raise SandboxFault("the sandbox is closed")
            return Worker(container, request, self._open(container, request))
        except BaseException:
            self._remove_quietly(container)
            raise

    def _resting(self, request: Request) -> Worker | None:
        """Take a worker that may serve this; dismiss all that serve no more.

        That are the old ones; those of other limits or folders, which have changed for good with
        the assignment; and those that ended or said something while nobody had asked.
        """
        with self._lock:
            fit = [worker for worker in self._idle if worker.may_serve(request)]
            unfit = [worker for worker in self._idle if worker not in fit]
            hired, self._idle = fit[:1], fit[1:]
        for worker in unfit:
            self._dismiss(worker)
        return hired[0] if hired else None

    def _serve(self, worker: Worker, box: bytes, reader: FrameReader, begun: float) -> Stopped:
        conversation = Conversation(reader)
        worker.rested, worker.fit, worker.served = False, False, worker.served + 1
        start(lambda: worker.connection.write(box))
        conversation.listen(worker.chunks(reader))
        cause = conversation.wait()
        if worker.rested and cause is Cause.EXITED:
            worker.fit = True
            seen: dict[str, Any] = {"exit_code": 0}
        else:
            worker.connection.close()  # first, as for a fresh container
            if conversation.problem:
                raise SandboxFault(f"the engine hung up on us: {conversation.problem}")
            seen = self._autopsy(worker.container, cause, reader)
        return Stopped(
            cause=cause,
            wall_s=time.monotonic() - begun,
            log_tail=str(worker.tail),
            violation=conversation.violation,
            **seen,
        )

    def _let_go(self, worker: Worker) -> None:
        """Keep a worker that is fit for the next submission; remove any other."""
        with self._lock:
            if worker.fit and not self._closed:
                self._idle.append(worker)
                return
        self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> None:
        worker.connection.close()
        self._remove_quietly(worker.container)
