"""`grader cluster`: the parts of a cluster that `grader run --cluster` sends executions to."""

from __future__ import annotations

from pathlib import Path

import click

from grader.cli_options import (
    EXIT_CODES,
    cluster_installed,
    sandbox_option,
    tls_option,
    trust_option,
)
from grader.display import console
from grader.sandbox.choose import Wish


@click.group()
def cluster() -> None:
    """Execute on several machines (docs/scaling.md)."""


@cluster.command(epilog=EXIT_CODES)
@click.argument("address")
@tls_option
def scheduler(address: str, tls: Path | None) -> int:
    """Be the scheduler at ADDRESS, such as tls://0.0.0.0:8786, until stopped."""
    with cluster_installed():
        from grader.cluster.serve import schedule
    schedule(address, tls, console())
    return 0


@cluster.command(epilog=EXIT_CODES)
@click.argument("address")
@tls_option
@sandbox_option
@trust_option
@click.option(
    "--given",
    type=click.Path(path_type=Path),
    help="Folder that `grader release` wrote: data/ and lib/ of each assignment.",
)
@click.option("--jobs", type=click.IntRange(1), help="Submissions at a time; one a processor.")
@click.option("--memory", type=click.IntRange(256), help="MiB for all of them; what is free.")
@click.option("--gpus", default="none", show_default=True, help="all, none, or numbers: 0,1")
@click.option("--runtime", help="Docker runtime, such as runsc for gVisor.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Where the scheduler reaches this worker; any that is free.",
)
def worker(
    address: str,
    tls: Path | None,
    sandbox: str,
    trust_students: bool,
    given: Path | None,
    jobs: int | None,
    memory: int | None,
    gpus: str,
    runtime: str | None,
    port: int | None,
) -> int:
    """Be a worker of the scheduler at ADDRESS, until stopped.

    It needs a sandbox and what students were given. It needs no rubric and no reference: keep them
    away from it.
    """
    with cluster_installed():
        from grader.cluster.serve import Offer, work
    wish = Wish(name=sandbox, gpus=gpus, runtime=runtime, trusted=trust_students)
    offer = Offer(wish=wish, given=given, jobs=jobs or 0, memory_mib=memory or 0)
    work(address, tls, offer.station(console()), offer.resources(), console(), port=port or 0)
    return 0
