"""Run the guest in a container of its own, one for each submission.

Covers: everything that the policy in `grader/sandbox/policy.py` names. No network, no rights, no
host files but folders of the course (read-only), a read-only root, and limits on memory, processes,
CPU, scratch space and open files that the host's kernel holds; all processes die with the box.

Does not cover: a bug in the host's kernel or in runc (another `runtime`, such as gVisor, narrows
that), timing channels between boxes, and what a student's program finds in GPU memory.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from docker.errors import APIError

from grader.errors import EngineAway, InputError, SandboxFault
from grader.frames import FrameReader
from grader.plan import Limits
from grader.sandbox import environment, owner
from grader.sandbox.base import Cause, Stopped
from grader.sandbox.engine import (
    ENGINE_ERRORS,
    Attached,
    answers,
    answers_again,
    connect,
    translated,
    unreadable,
)
from grader.sandbox.environment import DATA, LIB
from grader.sandbox.graphics import run_on_gpu
from grader.sandbox.image import runner_image
from grader.sandbox.lending import Gpus
from grader.sandbox.pipes import Conversation, Tail, start
from grader.sandbox.policy import Request, assert_policy
from grader.sandbox.seccomp import profile_text

PYTHON = "/opt/grader/bin/python"
COMMAND = (PYTHON, *environment.GUEST_FLAGS, environment.GUEST)
RUN_LABEL, DEADLINE_LABEL = "grader.run", "grader.deadline"
AWAY_S = 120.0
"""How long an engine that answered before may be away; starting it anew takes a few seconds."""
GRACE_S = 60.0
"""How long past its last possible moment a container may stay before anybody's start removes it."""


def why_not() -> str:
    """Say why there is no usable engine, or nothing if there is one."""
    try:
        connect().close()
    except SandboxFault as fault:
        return str(fault)
    return ""


class DockerSandbox:
    """Containers on one engine; see the module's docstring for what they cover.

    Args:
        gpus: Lends those that submissions may use, if there are any.
        runtime: Name of another runtime that the engine knows, such as `runsc`.
        say: Gets a line for each step of building the runner image.
        command: The guest, to run another one in tests.
    """

    name = "docker"
    watch_memory = False

    def __init__(
        self,
        *,
        gpus: Gpus | None = None,
        runtime: str | None = None,
        say: Callable[[str], None] = lambda line: None,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        """Connect, remove what a crash of ours left behind, and find or build the image."""
        self.command, self.runtime, self._gpus = command, runtime, gpus
        self._readable: set[Path] = set()
        self._run_id = uuid.uuid4().hex
        self._closed, self._closing = False, threading.Lock()
        self._client = connect()
        self._owner = owner.Owner(self._run_id)
        try:
            with translated("the engine cannot be used"):
                self._check_runtime()
                self.reap()
                self.image = runner_image(self._client, say)
                described = self._api.inspect_image(self.image)
        except BaseException:
            self._owner.close()
            self._client.close()
            raise
        # A name without a value takes a variable of the image away.
        self._inherited = [text.split("=", 1)[0] for text in described["Config"]["Env"] or ()]
        self._seccomp = profile_text()

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

        def attempt(gpu: str | None) -> Stopped:
            begun = reader.started = time.monotonic()
            request = self._request(limits, {DATA: data, LIB: lib}, gpu)
            container = self._create(request)
            try:
                if self._closed:  # looked at after it was made: `close` removes what it finds
                    raise SandboxFault("the sandbox is closed")
                return self._converse(container, request, box, reader, begun)
            finally:
                self._remove_quietly(container)

        with self._engine_there():
            return run_on_gpu(self._gpus, limits, reader, attempt)

    def reap(self) -> int:
        """Remove containers of earlier runs that nobody waits for any more; returns how many.

        Their grader is gone, or, where that cannot be known, their last moment has passed.
        """
        reaped, gone = 0, set(owner.runs_that_are_gone())
        for found in self._api.containers(all=True, filters={"label": DEADLINE_LABEL}):
            deadline = found["Labels"].get(DEADLINE_LABEL, "")
            late = deadline.isdecimal() and int(deadline) < time.time()
            if late or found["Labels"].get(RUN_LABEL) in gone:
                self._remove_quietly(found["Id"])
                reaped += 1
        for run in gone:
            owner.forget(run)
        return reaped

    def close(self) -> None:
        """Remove every container of this run, so that whoever waits for one returns at once."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if self._gpus:
            self._gpus.close()
        left = True
        with contextlib.suppress(*ENGINE_ERRORS):
            ours = {"label": f"{RUN_LABEL}={self._run_id}"}
            for found in self._api.containers(all=True, filters=ours):
                self._remove_quietly(found["Id"])
            left = bool(self._api.containers(all=True, filters=ours))
        self._owner.close(left=left)
        self._client.close()

    @contextlib.contextmanager
    def _engine_there(self) -> Iterator[None]:
        """Let no fault out while the engine is away: it would be everybody's, one by one.

        Raises:
            EngineAway: it was away.
            InputError: it does not come back.
        """
        try:
            yield
        except SandboxFault as fault:
            if self._closed or answers(self._client):
                raise
            if not answers_again(self._client, AWAY_S, lambda: self._closed):
                says = f"the engine has not answered for {AWAY_S:.0f} s ({fault})"
                raise InputError(f"{says}: start it; the same command goes on") from fault
            raise EngineAway(str(fault)) from fault

    @property
    def _api(self) -> Any:
        """The SDK's own calls, without the objects that ask once more for each."""
        return self._client.api

    def _check_runtime(self) -> None:
        """Refuse a runtime that the engine does not know; it cannot list those with a dot."""
        if self.runtime is None or "." in self.runtime:
            return
        known = self._client.info().get("Runtimes") or {}
        if self.runtime not in known:
            raise InputError(
                f"--runtime: this engine knows no {self.runtime!r}, only "
                f"{', '.join(sorted(known))}; register it in the engine's daemon.json"
            )

    def _request(
        self, limits: Limits, course: Mapping[str, Path | None], gpu: str | None
    ) -> Request:
        longest_s = limits.start_s + limits.total_s + limits.slack_s + GRACE_S
        variables = environment.variables(
            work=environment.WORK,
            path=environment.DOCKER_PATH,
            threads=limits.threads,
            gpu=limits.gpu,
        )
        return Request(
            image=self.image,
            command=self.command,
            environment=variables,
            inherited=tuple(name for name in self._inherited if name not in variables),
            limits=limits,
            seccomp=self._seccomp,
            shown={name: self._checked(folder) for name, folder in course.items() if folder},
            runtime=self.runtime,
            gpu=gpu,
            labels={
                RUN_LABEL: self._run_id,
                DEADLINE_LABEL: str(int(time.time() + longest_s)),
            },
        )

    def _checked(self, folder: Path) -> Path:
        """Refuse a folder that the student's user cannot read; it would look like their doing."""
        whole = folder.resolve()
        if whole not in self._readable:
            if barred := unreadable(whole):
                raise InputError(
                    f"{barred}: other users cannot read this, and a sandbox is one: "
                    f"chmod -R o+rX {whole}"
                )
            self._readable.add(whole)
        return whole

    def _create(self, request: Request) -> str:
        with translated("the engine made no container"):
            return str(self._api.create_container_from_config(request.config())["Id"])

    def _open(self, container: str, request: Request) -> Attached:
        """Check a created container, start it, and give the connection to its first process."""
        api = self._api
        with translated("the engine did not start a container"):
            assert_policy(api.inspect_container(container), request)
            # Attached before the start, so that no byte is lost.
            attached = api.attach_socket(
                container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            connection = Attached(attached)
            try:
                api.start(container)
            except BaseException:
                connection.close()
                raise
        return connection

    def _converse(
        self, container: str, request: Request, box: bytes, reader: FrameReader, begun: float
    ) -> Stopped:
        connection = self._open(container, request)
        conversation, tail = Conversation(reader), Tail()
        try:
            start(lambda: connection.send(box))
            conversation.listen(connection.stdout(tail))
            cause = conversation.wait()
        finally:
            # First: while nobody drains the connection, the engine can neither kill nor remove.
            connection.close()
        if conversation.problem:
            raise SandboxFault(f"the engine hung up on us: {conversation.problem}")
        return Stopped(
            cause=cause,
            wall_s=time.monotonic() - begun,
            log_tail=str(tail),
            violation=conversation.violation,
            **self._autopsy(container, cause, reader),
        )

    def _autopsy(self, container: str, cause: Cause, reader: FrameReader) -> dict[str, Any]:
        """Wait for the first process to be gone, or see to it, and ask how it ended."""
        api = self._api
        with translated("the engine lost a container"):
            if cause is Cause.EXITED:
                self._wait(container, reader)
            else:
                self._kill(container)
            state = api.inspect_container(container)["State"]
        # The engine counts a kill of any process in the box. The count in the control group itself
        # is gone by now; the guest, which lives in that group, has read it for its last receipt.
        return {"exit_code": state["ExitCode"], "oom_killed": bool(state["OOMKilled"])}

    def _wait(self, container: str, reader: FrameReader) -> None:
        """Wait for a guest that has closed its output; kill it if it stays nevertheless."""
        left_s = max(1.0, reader.deadline() - time.monotonic())
        try:
            self._api.wait(container, timeout=left_s)
        except requests.RequestException:  # the SDK's way of saying that the time is over
            self._kill(container)

    def _kill(self, container: str) -> None:
        with contextlib.suppress(APIError):  # it has just ended by itself
            self._api.kill(container)

    def _remove_quietly(self, container: str) -> None:
        """Remove a container that may be gone or going already.

        One that stays in spite of this must not cost the evidence of a run that is over, nor keep
        the next from being removed: its deadline label has it removed at a later start.
        """
        with contextlib.suppress(*ENGINE_ERRORS):
            self._api.remove_container(container, v=True, force=True)
