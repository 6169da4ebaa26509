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
from typing import Any

import dask.config
import distributed
from distributed.scheduler import KilledWorker
from rich.console import Console

from grader.cluster.guard import guarded
from grader.cluster.messages import Ran, Request, Worker, read_reply
from grader.cluster.station import describe, execute_box
from grader.cluster.trust import security
from grader.errors import InputError, ProtocolViolation, SandboxFault
from grader.execute import Run, execute
from grader.frames import FrameReader
from grader.plan import Limits, Plan
from grader.sandbox.base import Stopped
from grader.submission import Submission

CONNECT_S = 20
EXAMINE_S = 60
WITHOUT_WORKERS_S = 60.0
"""How long a cluster may have no worker at all before the batch is stopped."""


def needs(limits: Limits) -> dict[str, float]:
    """What an execution takes of a worker's resources: processors, memory in MiB, GPUs."""
    told = {"sandbox": float(max(1, limits.threads)), "MiB": float(limits.memory_mib)}
    return told | ({"GPU": 1.0} if limits.gpu else {})


def room(has: dict[str, float], limits: Limits) -> int:
    """How many executions fit a worker at a time."""
    return min(int(has.get(name, 0) // amount) for name, amount in needs(limits).items())


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
            needed = ", ".join(f"{name} {amount:g}" for name, amount in needs(limits).items())
            raise InputError(f"--cluster {self.address}: no worker has what is needed: {needed}")
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
        """See `Executor.execute`; the workers have folders of their own, known by their digests."""
        return execute(submission, plan, FarSandbox(self, plan), None)

    def close(self) -> None:
        """Let go of everything; workers stop what nobody waits for any more."""
        self._closing.set()
        self._client.close()

    def ask(self, request: Request, box: bytes) -> Ran:
        """Have a worker run a box, and wait.

        Raises:
            Fault: a worker met one, or was lost.
            InputError: a worker refused, or there is none any more.
            WorkerBug: see there.
        """
        future: distributed.Future[Any] = self._client.submit(
            execute_box,
            request.written(),
            box,
            key=f"execution-{uuid.uuid4().hex}",  # says nothing of whose it is
            pure=False,
            resources=needs(request.limits),
        )
        try:
            return read_reply(self._awaited(future), request.limits)
        except KilledWorker as lost:
            raise SandboxFault("a worker was lost while it had this") from lost
        except CancelledError as gone:
            if self._closing.is_set():
                raise SandboxFault("the cluster was let go of") from gone
            raise InputError(f"the scheduler at {self.address} is gone") from gone
        finally:
            future.release()

    def _awaited(self, future: distributed.Future[Any]) -> object:
        without = 0
        while True:
            try:
                return future.result(timeout=WITHOUT_WORKERS_S / 2)
            except TimeoutError:
                without = 0 if self._resources() else without + 1
            if without == 2:
                raise InputError(f"no worker is left at {self.address}: start some and go on")

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
                found.setdefault(Worker.read(future.result(timeout=EXAMINE_S)), at)
            except (TimeoutError, KeyError, KilledWorker, ProtocolViolation) as error:
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

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        """All workers are alike, so it is known what it will be."""
        self._cluster, self._plan = cluster, plan
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
        ran = self._cluster.ask(request, box)
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
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)  # we say what matters
    quiet = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}  # boxes hold weights
    with dask.config.set(quiet), guarded(), contextlib.ExitStack() as stack:
        try:
            client = distributed.Client(
                address, security=trusted, timeout=CONNECT_S, set_as_default=False
            )
        except OSError as error:
            raise InputError(f"--cluster: no scheduler answers at {address}") from error
        stack.callback(client.close)
        found = Cluster(client, address)
        many = "s" if found.workers > 1 else ""
        console.print(f"cluster {address}: {found.workers} worker{many}", highlight=False)
        yield found
