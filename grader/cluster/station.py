"""What a worker has: a sandbox of its own, and the folders that students were given.

    <given>/<slug>/data/    the course's data
    <given>/<slug>/lib/     packages that stand in for what is not installed

`grader release` writes such a folder, and nothing that lies in it is a secret. A worker runs
student code nowhere but in its sandbox, and reads what comes out as strictly as the grader does.

`grader cluster worker` starts one. Where something else starts Dask's own workers (Slurm, an
operator of Kubernetes), `--preload grader.cluster.station` makes one of them, with settings from
the environment: `GRADER_SANDBOX` (docker if not set), `GRADER_GIVEN`, `GRADER_GPUS`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import distributed
from distributed.diagnostics.plugin import WorkerPlugin
from rich.console import Console

from grader.cluster.messages import Kind, Request, Worker, failed, ran
from grader.errors import Fault, InputError
from grader.frames import FrameReader
from grader.known import folder_digest
from grader.sandbox.base import Sandbox
from grader.sandbox.choose import Wish, on_worker

NAME = "grader"
KEY_BYTES = 32
"""Of the box: what the guest authenticates its frames with."""


@dataclass(slots=True)
class Running:
    """Executions that are under way, by Dask's key, so that they can be stopped."""

    readers: dict[str, FrameReader] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def noted(self, key: str, reader: FrameReader) -> Any:
        """Keep a reader for the time of its run."""
        with self.lock:
            self.readers[key] = reader
        try:
            yield
        finally:
            with self.lock:
                self.readers.pop(key, None)

    def stop(self, key: str) -> None:
        """Have a run's sandbox killed, if there is one."""
        with self.lock:
            reader = self.readers.get(key)
        if reader:
            reader.stop()


class Station(WorkerPlugin):
    """Makes a Dask worker one that executes submissions.

    Args:
        opening: Makes the sandbox; called once, when the worker starts.
        given: Folder with what students were given for each assignment, or None.
    """

    name = NAME

    def __init__(
        self, opening: Callable[[], contextlib.AbstractContextManager[Sandbox]], given: Path | None
    ) -> None:
        """Make the sandbox, which may build an image."""
        self._given, self._running = given, Running()
        self._stack = contextlib.ExitStack()
        self.sandbox = self._stack.enter_context(opening())
        self._closed = False
        self._digest = cache(folder_digest)

    def teardown(self, worker: distributed.Worker) -> None:
        """Stop what runs; what was under way is given to another worker."""
        self._closed = True
        self._stack.close()

    def transition(self, key: Any, start: Any, finish: Any, **more: Any) -> None:
        """Stop an execution that nobody waits for any more: cancelled, or the grader is gone."""
        if start in ("executing", "long-running") and finish in ("cancelled", "released"):
            self._running.stop(str(key))

    def execute(self, request: Request, box: bytes, key: str) -> bytes:
        """Run one box, and say what came of it."""
        try:
            return self._run(request, box, key)
        except InputError as refused:
            return failed(Kind.REFUSED, f"{_address()}: {refused}")
        except Fault as fault:
            if self._closed:
                raise distributed.Reschedule from fault
            return failed(Kind.FAULT, f"{_address()}: {fault}")
        except Exception:  # noqa: BLE001 - as text, because nothing else may travel
            return failed(Kind.BUG, f"{_address()}: {traceback.format_exc()}")

    def _run(self, request: Request, box: bytes, key: str) -> bytes:
        if request.image != self.sandbox.image:
            raise InputError(f"expected the environment {request.image}, have {self.sandbox.image}")
        data = self._folder(request.slug, "data", request.data)
        lib = self._folder(request.slug, "lib", request.lib)
        reader = FrameReader(box[:KEY_BYTES], request.limits)
        with self._running.noted(key, reader):
            stopped = self.sandbox.run(box, reader, limits=request.limits, data=data, lib=lib)
        return ran(stopped, bytes(reader.raw))

    def _folder(self, slug: str, name: str, digest: str) -> Path | None:
        """A folder that students were given, if the assignment has it.

        Raises:
            InputError: it is not here, or holds something else than at home.
        """
        if not digest:
            return None
        mend = f"copy what `grader release {slug}` writes to every worker"
        if self._given is None:
            raise InputError(f"{slug} needs {name}/, and the worker was started without --given")
        folder = self._given / slug / name
        if not folder.is_dir():
            raise InputError(f"expected {folder}, found none: {mend}")
        if self._digest(folder) != digest:
            self._digest.cache_clear()  # it may have been mended while the worker runs
        if (found := self._digest(folder)) != digest:
            says = f"expected {folder} with the digest {digest[:12]}, found {found[:12]}"
            raise InputError(f"{says}: {mend}")
        return folder


def execute_box(request: bytes, box: bytes) -> bytes:
    """One execution, as Dask calls it on a worker."""
    key = str(distributed.get_worker().get_current_task())
    return _station().execute(Request.read(request), box, key)


def describe() -> bytes:
    """What the worker is, as Dask calls it there."""
    if NAME not in distributed.get_worker().plugins:
        return b"{}\n"  # which is no worker of ours
    sandbox = _station().sandbox
    told = Worker(sandbox=sandbox.name, image=sandbox.image, watch_memory=sandbox.watch_memory)
    return told.written()


def _station() -> Station:
    found = distributed.get_worker().plugins[NAME]
    assert isinstance(found, Station)  # noqa: S101 - for mypy; nobody else has this name
    return found


def _address() -> str:
    return str(distributed.get_worker().address)


async def dask_setup(worker: distributed.Worker) -> None:
    """Make one of Dask's own workers a station; called by `--preload`."""
    given = os.environ.get("GRADER_GIVEN")
    wish = Wish(
        name=os.environ.get("GRADER_SANDBOX", "docker"), gpus=os.environ.get("GRADER_GPUS", "none")
    )
    station = Station(lambda: on_worker(wish, Console(stderr=True)), Path(given) if given else None)
    await worker.plugin_add(plugin=station, name=NAME)
