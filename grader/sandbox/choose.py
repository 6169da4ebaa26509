"""Choose the sandbox that a command asked for, or the best that this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from grader.errors import InputError
from grader.sandbox.base import Sandbox
from grader.sandbox.bubblewrap import BubblewrapSandbox
from grader.sandbox.bubblewrap import why_not as why_no_bubblewrap
from grader.sandbox.docker import DockerSandbox
from grader.sandbox.docker import why_not as why_no_docker
from grader.sandbox.lending import Gpus, chosen
from grader.sandbox.nvml import Nvml
from grader.sandbox.process import ProcessSandbox
from grader.sandbox.warm import WarmDockerSandbox

WORKER_STATE = Path.home() / ".cache" / "grader"
"""Where a worker of a cluster writes its quarantine down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a command asked for."""

    name: str
    """auto, docker, docker-warm, bubblewrap or process."""
    gpus: str = "none"
    """all, none, or numbers such as `0,1`."""
    runtime: str | None = None
    """Docker runtime, such as `runsc`."""
    trusted: bool = False
    """Whether the sandbox that isolates nothing may be used."""
    quiet: bool = False


def lendable(wish: Wish) -> int:
    """How many GPUs were asked for.

    Raises:
        InputError: one of them is not here.
    """
    if wish.gpus == "none":
        return 0
    with closing(Nvml()) as nvml:
        return len(chosen(wish.gpus, nvml.count()))


@contextmanager
def lending(wish: Wish, state: Path, console: Console) -> Iterator[Gpus | None]:
    """Lend the GPUs that were asked for, if any were.

    Args:
        wish: What was asked for.
        state: The course's `.grader/`, where quarantine is written down.
        console: For GPUs that fail.

    Raises:
        InputError: a GPU that was asked for is not here.
    """
    if wish.gpus == "none":
        yield None
        return
    with closing(Nvml()) as nvml:  # open until the last run has ended, which `choose` sees to
        devices = [nvml.device(number) for number in chosen(wish.gpus, nvml.count())]

        def say(line: str) -> None:
            console.print(f"  {line}", style="yellow", markup=False, highlight=False)

        yield Gpus(devices, nvml, state / "gpus", say)


@contextmanager
def choose(wish: Wish, console: Console, gpus: Gpus | None = None) -> Iterator[Sandbox]:
    """Make a sandbox, and close it at the end.

    Args:
        wish: What was asked for.
        console: For the progress of building an image, and for warnings.
        gpus: What `lending` gave.

    Raises:
        InputError: this machine cannot make it; says what is missing and what to do.
    """
    name = _best() if wish.name == "auto" else wish.name
    if name != "docker" and wish.runtime:
        raise InputError(f"--runtime needs --sandbox docker, not {name}")
    sandbox = _make(name, wish, console, gpus)
    try:
        yield sandbox
    finally:
        sandbox.close()


@contextmanager
def on_worker(wish: Wish, console: Console) -> Iterator[Sandbox]:
    """Make a sandbox of a cluster's worker, which has no course; see `lending` and `choose`."""
    with lending(wish, WORKER_STATE, console) as gpus, choose(wish, console, gpus) as sandbox:
        yield sandbox


def _best() -> str:
    """Docker if an engine answers, else bubblewrap if it can make namespaces.

    Raises:
        InputError: neither; `process` isolates nothing and is never chosen for anybody.
    """
    no_docker = why_no_docker()
    if not no_docker:
        return "docker"
    no_bubblewrap = why_no_bubblewrap()
    if not no_bubblewrap:
        return "bubblewrap"
    raise InputError(
        f"no sandbox here: docker: {no_docker}; bubblewrap: {no_bubblewrap}. "
        "--sandbox process would run student code with your rights, files and network"
    )


def _make(name: str, wish: Wish, console: Console, gpus: Gpus | None) -> Sandbox:
    def say(line: str) -> None:
        console.print(f"  {line}", highlight=False, markup=False)

    if name in ("docker", "docker-warm"):
        missing = why_no_docker()
        if missing:
            raise InputError(f"--sandbox {name}: {missing}")
        if name == "docker-warm":
            if gpus:
                raise InputError("--gpus needs --sandbox docker: warm workers have no GPU")
            return WarmDockerSandbox(say=say)
        return DockerSandbox(gpus=gpus, runtime=wish.runtime, say=say)
    if name == "bubblewrap":
        missing = why_no_bubblewrap()
        if missing:
            raise InputError(f"--sandbox bubblewrap: {missing}")
        return BubblewrapSandbox(gpus=gpus)
    if not wish.trusted:
        raise InputError(
            "--sandbox process isolates nothing: several students' code would run with your "
            "rights and could change each other's work; --trust-students if you do trust them"
        )
    if not wish.quiet:
        console.print("[bold red]no sandbox[/]: student code runs here with your rights")
    return ProcessSandbox(gpus=gpus)
