"""`grader cluster scheduler` and `grader cluster worker`: be a part of a cluster until stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask.config
import psutil
from distributed import Scheduler
from distributed import Worker as DaskWorker
from distributed.core import Server
from rich.console import Console

from grader.cluster.station import Station
from grader.cluster.trust import security
from grader.errors import InputError
from grader.options import SPARE_MIB, processors
from grader.sandbox.choose import WORKER_STATE, Wish, lendable, on_worker

LOSSES = 0
"""How often a scheduler gives an execution whose worker was lost to another by itself: the grader
counts, and after the second loss a person looks."""
QUIET: dict[str, Any] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""No pages: they would be there for everybody who reaches the machine."""
PRIVATE: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a worker offers."""

    wish: Wish
    given: Path | None
    jobs: int
    """Submissions at a time; 0 for one a processor."""
    memory_mib: int
    """For all of them; 0 for what is free, but for a reserve."""

    def station(self, console: Console) -> Station:
        """Make the sandbox, and what else a worker has.

        Raises:
            InputError: this machine cannot make it, or the folder is not there.
        """
        if self.given and not self.given.is_dir():
            raise InputError(f"--given: expected a folder, found none: {self.given}")
        return Station(partial(on_worker, self.wish, console), self.given)

    def resources(self) -> dict[str, float]:
        """As Dask counts them."""
        free = psutil.virtual_memory().available // 2**20 - SPARE_MIB
        told = {
            "sandbox": self.jobs or len(processors()),
            "MiB": self.memory_mib or max(0, free),
            "GPU": lendable(self.wish),
        }
        return {name: float(amount) for name, amount in told.items() if amount}


def schedule(address: str, tls: Path | None, console: Console) -> None:
    """Be the scheduler at an address, until SIGINT or SIGTERM.

    Raises:
        InputError: the address cannot be used.
    """
    trusted, at = security(address, tls), urlsplit(address)

    async def begin() -> Server:
        server: Server = await Scheduler(
            protocol=f"{at.scheme}://",
            host=at.hostname,
            port=at.port or 8786,
            security=trusted,
            allowed_failures=LOSSES,
            **QUIET,
        )
        return server

    _serve(begin, console)


def work(
    address: str,
    tls: Path | None,
    station: Station,
    resources: dict[str, float],
    console: Console,
    *,
    port: int = 0,
) -> None:
    """Be a worker of the scheduler at an address, until SIGINT or SIGTERM.

    Args:
        address: Of the scheduler.
        tls: Folder of the cluster's key, or None.
        station: What executes.
        resources: What Dask may count on; see `Offer.resources`.
        console: Hears what the worker is.
        port: Where the scheduler reaches it; 0 for any that is free.

    Raises:
        InputError: the address cannot be used.
    """
    trusted, at = security(address, tls), urlsplit(address)
    told = ", ".join(f"{name} {amount:g}" for name, amount in resources.items())
    console.print(f"sandbox {station.sandbox.name} {station.sandbox.image}", highlight=False)
    console.print(f"offers {told}", highlight=False)

    says = "if nothing follows, nobody answers there, or with another key"
    console.print(f"joining {address}: {says}", highlight=False)

    async def begin() -> Server:
        server: Server = await DaskWorker(
            address,
            protocol=f"{at.scheme}://",
            # Without TLS nobody but this machine may reach its port either.
            host="127.0.0.1" if tls is None else None,
            port=port,
            nthreads=int(resources["sandbox"]) + 1,  # one is free to answer what the worker is
            resources=resources,
            security=trusted,
            plugins=(station,),
            memory_limit=0,  # executions have limits of their own
            # The same for all, so that the next worker removes what a killed one has left there.
            local_directory=str(WORKER_STATE / "worker"),
            **QUIET,
        )
        return server

    _serve(begin, console)


def _serve(begin: Callable[[], Awaitable[Server]], console: Console) -> None:
    """Run a part of a cluster until it is told to stop, or stops by itself."""

    async def served() -> None:
        try:
            server = await begin()
        except (OSError, RuntimeError) as error:  # Dask wraps the first in the second
            raise InputError(f"the cluster cannot be joined: {error.__cause__ or error}") from error
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        console.print(f"ready at {server.address}", highlight=False)
        ends = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(server.finished())}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await server.close()

    logging.getLogger("distributed").setLevel(logging.WARNING)
    with dask.config.set(PRIVATE):
        asyncio.run(served())
