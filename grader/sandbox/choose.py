"""Choose the sandbox that a command asked for, or the best that this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from grader.errors import InputError
from grader.sandbox.base import Sandbox
from grader.sandbox.bubblewrap import BubblewrapSandbox
from grader.sandbox.bubblewrap import why_not as why_no_bubblewrap
from grader.sandbox.docker import DockerSandbox
from grader.sandbox.docker import why_not as why_no_docker
from grader.sandbox.process import ProcessSandbox
from grader.sandbox.warm import WarmDockerSandbox


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


@contextmanager
def choose(wish: Wish, console: Console) -> Iterator[Sandbox]:
    """Make a sandbox, and close it at the end.

    Args:
        wish: What was asked for.
        console: For the progress of building an image, and for warnings.

    Raises:
        InputError: this machine cannot make it; says what is missing and what to do.
    """
    name = _best() if wish.name == "auto" else wish.name
    if name != "docker" and (wish.runtime or wish.gpus != "none"):
        raise InputError(f"--runtime and --gpus need --sandbox docker, not {name}")
    sandbox = _make(name, wish, console)
    try:
        yield sandbox
    finally:
        sandbox.close()


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


def _make(name: str, wish: Wish, console: Console) -> Sandbox:
    def say(line: str) -> None:
        console.print(f"  {line}", highlight=False, markup=False)

    if name in ("docker", "docker-warm"):
        missing = why_no_docker()
        if missing:
            raise InputError(f"--sandbox {name}: {missing}")
        if name == "docker-warm":
            return WarmDockerSandbox(say=say)
        return DockerSandbox(gpus=wish.gpus, runtime=wish.runtime, say=say)
    if name == "bubblewrap":
        missing = why_no_bubblewrap()
        if missing:
            raise InputError(f"--sandbox bubblewrap: {missing}")
        return BubblewrapSandbox()
    if not wish.trusted:
        raise InputError(
            "--sandbox process isolates nothing: several students' code would run with your "
            "rights and could change each other's work; --trust-students if you do trust them"
        )
    if not wish.quiet:
        console.print("[bold red]no sandbox[/]: student code runs here with your rights")
    return ProcessSandbox()
