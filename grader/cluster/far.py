"""The grader's end of a cluster: sends boxes, takes back frames, believes nobody.

Sent: the box (code cells, files that were handed in, probes, limits) and what `Request` holds. Kept
here: names, rubric, reference, evidence, scores. What comes back is read by the same strict reader
as the output of a sandbox of this machine.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, NoReturn

import dask.config
import distributed
from rich.console import Console

from grader.cluster.guard import guarded
from grader.cluster.messages import Ran, Request, Worker, read_reply
from grader.cluster.room import in_words, needs, room
from grader.cluster.station import describe, execute_box
from grader.cluster.trust import security
from grader.errors import Fault, InputError, SandboxFault
from grader.execute import Run, execute
from grader.frames import FrameReader
from grader.plan import Limits, Plan
from grader.sandbox.base import Stopped
from grader.submission import Submission

CONNECT_S = 20
EXAMINE_S = 60
WITHOUT_WORKERS_S = 60.0
"""How long a cluster may have no worker with room before the batch is stopped."""


def _sent(future: distributed.Future[Any], wall_s: float) -> object:
    """What a worker sent.

    Raises:
        TimeoutError: not yet.
        CancelledError: nobody will.
        SandboxFault: it was lost, or failed where our own code on it catches everything.
    """
    try:
        return future.result(timeout=wall_s)
    except Exception as error:  # of which kind is the word of whoever sent it
        if future.status != "error":
            raise
        raise SandboxFault("a worker was lost while it had this") from error


def _let_go(client: distributed.Client) -> None:
    """Close a connection, even one on which nothing is heard any more."""
    if client._handle_report_task and client._handle_report_task.done():
        client._handle_report_task = None  # Dask would raise once more what ended it
    client.close()


class Cluster:
    """Executes on the workers of a Dask cluster; a `grader.executor.Executor`.

    Args:
        client: A connection to the scheduler.
        address: Where that is, for messages.
    """

    def __init__(self, client: distributed.Client, address: str) -> None:
        """Ask every worker what it is.

        Raises:
            InputError: there is none, or they are not alike.
        """
        self._client, self.address = client, address
        self._closing = threading.Event()
        self._failed_on: dict[str, str] = {}  # addresses of workers, by the submission's digest
        self.workers = 0
        self.worker = self._examined()

    @property
    def name(self) -> str:
        """See `Executor.name`."""
        return self.worker.sandbox

    @property
    def image(self) -> str:
        """See `Executor.image`."""
        return self.worker.image

    def at_once(self, limits: Limits) -> int:
        """As many as the workers have room for, and one more for each, so that none waits for us.

        Raises:
            InputError: no worker has room for one.
        """
        rooms = [room(has, limits) for has in self._resources().values()]
        if not sum(rooms):
            says = f"no worker has what is needed: {in_words(limits)}"
            raise InputError(f"--cluster {self.address}: {says}")
        return sum(rooms) + sum(map(bool, rooms))

    def why_no_gpu(self, limits: Limits) -> str:
        """See `Executor.why_no_gpu`; workers lend their GPUs whole."""
        found = any(has.get("GPU") for has in self._resources().values())
        return "" if found else f"--cluster {self.address}: no worker has one"

    def execute(
        self,
        submission: Submission,
        plan: Plan,
        *,
        data: Path | None,
        lib: Path | None,
        alone: bool = False,
    ) -> Run:
        """See `Executor.execute`; the workers have folders of their own, known by their digests.

        What failed on a worker runs elsewhere the second time, if there is an elsewhere: one sick
        worker has always time, and would else be given every submission of the class. Likewise one
        worker that must be mended stops the batch only if it is the only one.
        """
        there = FarSandbox(self, plan, but=self._failed_on.pop(submission.digest, ""))
        try:
            return execute(submission, plan, there, None, alone=alone)
        except (Fault, InputError) as error:
            at = "" if alone else self._sender(there.sent)
            if not at or not self._with_room(plan.limits, but=at):
                raise
            self._failed_on[submission.digest] = at
            raise SandboxFault(str(error)) from error
        finally:
            if there.sent:
                there.sent.release()

    def close(self) -> None:
        """Let go of everything; workers stop what nobody waits for any more."""
        self._closing.set()
        _let_go(self._client)

    def send(self, request: Request, box: bytes, but: str = "") -> distributed.Future[Any]:
        """Have a worker run a box.

        Args:
            request: What it needs beside the box.
            box: What the guest reads.
            but: Address of a worker that shall not, if another one has room.
        """
        others = self._with_room(request.limits, but) if but else []
        return self._client.submit(
            execute_box,
            request.written(),
            box,
            key=f"execution-{uuid.uuid4().hex}",  # says nothing of whose it is
            pure=False,
            resources=needs(request.limits),
            workers=others or None,
        )

    def answer(self, future: distributed.Future[Any], limits: Limits, but: str = "") -> Ran:
        """Wait for what a worker says of a box that was sent with the same `limits` and `but`.

        Raises:
            Fault: a worker met one, or was lost.
            InputError: a worker refused, or there is none any more.
            WorkerBug: see there.
        """
        without = 0
        while True:
            try:
                return read_reply(_sent(future, WITHOUT_WORKERS_S / 2), limits)
            except TimeoutError:
                self._assert_heard()
                without = 0 if self._with_room(limits, but) else without + 1
            except CancelledError as gone:
                if self._closing.is_set():
                    raise SandboxFault("the cluster was let go of") from gone
                raise InputError(f"the scheduler at {self.address} is gone") from gone
            if without == 2:
                self._say_who_is_left(limits)

    def _assert_heard(self) -> None:
        """Refuse to wait for words that would not be heard.

        Raises:
            InputError: something was sent that the guard refused, so that Dask listens no more.
        """
        listening = self._client._handle_report_task
        if listening and listening.done() and not self._closing.is_set():
            why = "" if listening.cancelled() else listening.exception()
            says = "a worker may have been taken over (docs/scaling.md)"
            raise InputError(f"--cluster {self.address}: nothing is heard any more: {why}: {says}")

    def _say_who_is_left(self, limits: Limits) -> NoReturn:
        if self._with_room(limits):
            raise SandboxFault("no worker is left but the one on which this failed")
        says = f"no worker is left at {self.address} with {in_words(limits)}"
        raise InputError(f"{says}: start some and go on")

    def _sender(self, future: distributed.Future[Any] | None) -> str:
        """Address of the worker that answered; empty if none did."""
        if future is None or future.status != "finished" or self._closing.is_set():
            return ""
        with contextlib.suppress(OSError):
            return next((at for held in self._client.who_has([future]).values() for at in held), "")
        return ""

    def _with_room(self, limits: Limits, but: str = "") -> list[str]:
        """Addresses of the workers that have room for an execution, but for one of them."""
        has = self._resources()
        return [at for at in has if at != but and room(has[at], limits)]

    def _resources(self) -> dict[str, dict[str, float]]:
        """What every worker has, by its address."""
        try:
            told = self._client.scheduler_info(n_workers=-1)["workers"]
        except OSError as error:
            raise InputError(f"the scheduler at {self.address} is gone") from error
        return {str(at): dict(worker["resources"]) for at, worker in told.items()}

    def _examined(self) -> Worker:
        asked = {
            at: self._client.submit(describe, workers=[at], pure=False) for at in self._resources()
        }
        self.workers, found = len(asked), dict[Worker, str]()
        for at, future in asked.items():
            try:
                found.setdefault(Worker.read(_sent(future, EXAMINE_S)), at)
            except (TimeoutError, Fault) as error:
                says = f"{at} is no worker of the grader's: start it with `grader cluster worker`"
                raise InputError(says) from error
        if not found:
            start = f"grader cluster worker {self.address}"
            raise InputError(f"--cluster: {self.address} has no workers: {start}")
        if len(found) > 1:
            each = "; ".join(f"{at} has {w.sandbox} {w.image}" for w, at in found.items())
            says = "copy one image to all (docker save IMAGE | ssh WORKER docker load)"
            raise InputError(f"--cluster: expected the same environment everywhere: {each}: {says}")
        return next(iter(found))


class FarSandbox:
    """Whichever sandbox a worker has; a `grader.sandbox.base.Sandbox` for one plan."""

    def __init__(self, cluster: Cluster, plan: Plan, but: str = "") -> None:
        """All workers are alike, so it is known what it will be; `but` is not to be it."""
        self._cluster, self._plan, self._but = cluster, plan, but
        self.sent: distributed.Future[Any] | None = None
        self.name, self.image = cluster.worker.sandbox, cluster.worker.image
        self.watch_memory = cluster.worker.watch_memory

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """See `Sandbox.run`; the reader gets everything at once, at the end."""
        request = Request(
            slug=self._plan.assignment,
            image=self.image,
            data=self._plan.data_digest,
            lib=self._plan.lib_digest,
            limits=limits,
        )
        self.sent = self._cluster.send(request, box, self._but)
        ran = self._cluster.answer(self.sent, limits, self._but)
        reader.feed(ran.raw)
        return ran.stopped

    def close(self) -> None:
        """Keep the connection: it is the cluster's."""


@contextlib.contextmanager
def cluster(address: str, tls: Path | None, console: Console) -> Iterator[Cluster]:
    """Execute on a cluster.

    Args:
        address: Of the scheduler, such as `tls://grader.example.org:8786`.
        tls: Folder with `cert.pem` and `key.pem`, or None for a cluster of this machine alone.
        console: Hears what was found there.

    Raises:
        InputError: nobody answers there, or it may not be trusted.
    """
    trusted = security(address, tls)
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # we say what matters
    quiet = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}  # boxes hold weights
    with dask.config.set(quiet), guarded(), contextlib.ExitStack() as stack:
        try:
            client = distributed.Client(
                address, security=trusted, timeout=CONNECT_S, set_as_default=False
            )
        except OSError as error:
            raise InputError(f"--cluster: no scheduler answers at {address}") from error
        stack.callback(_let_go, client)
        found = Cluster(client, address)
        many = "s" if found.workers > 1 else ""
        console.print(f"cluster {address}: {found.workers} worker{many}", highlight=False)
        yield found
