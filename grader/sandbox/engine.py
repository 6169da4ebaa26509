"""The Docker engine: the way to it, its errors in our words, and the stream of a container."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException

from grader.errors import SandboxFault
from grader.sandbox.pipes import CHUNK_BYTES, Tail

ENGINE_ERRORS = (DockerException, requests.RequestException)
CONNECTIONS = 64
SYSTEM_SOCKET = Path("/var/run/docker.sock")
STREAM_HEADER = struct.Struct(">BxxxI")
STDOUT, STDERR = 1, 2

#: The engine's own words, and what a person should do about them.
ADVICE = {
    "no space left": "the engine's disk is full; `docker system df` shows on what",
    "could not select device driver": "this engine cannot hand out GPUs; install the NVIDIA "
    "container toolkit, or leave out --gpus",
    "bind source path": "the course's data must be on the machine where the engine runs",
    "no such image": "the runner image is gone; run again, and it is built",
    "runtime": "the engine refuses the runtime that --runtime names",
}


def connect(environ: Mapping[str, str] = os.environ) -> docker.DockerClient:
    """Connect to the engine that DOCKER_HOST names, or to one at the usual places.

    Raises:
        SandboxFault: no engine answers.
    """
    told = {"DOCKER_HOST": _usual_place(environ), **environ}
    try:
        _knock(told["DOCKER_HOST"])
        return docker.DockerClient.from_env(
            environment=told, max_pool_size=CONNECTIONS, version="auto"
        )
    except (*ENGINE_ERRORS, OSError) as error:
        raise SandboxFault(
            f"no Docker engine answers at {told['DOCKER_HOST']} ({_sentence(error)}); "
            "start it, or join the group docker"
        ) from error


def _usual_place(environ: Mapping[str, str]) -> str:
    """Find the engine's socket: the system's, or rootless Docker's, or Docker Desktop's."""
    if os.name == "nt":
        return "npipe:////./pipe/docker_engine"
    rootless = Path(environ.get("XDG_RUNTIME_DIR", "/nowhere"), "docker.sock")
    sockets = [SYSTEM_SOCKET, rootless, Path.home() / ".docker" / "run" / "docker.sock"]
    return f"unix://{next((path for path in sockets if path.exists()), SYSTEM_SOCKET)}"


def _knock(host: str) -> None:
    """Try a local socket once; the SDK wraps what is wrong with it in four other errors."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as trial:
            trial.connect(host.removeprefix("unix://"))


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into faults that say what happened and what to do.

    Args:
        what: What did not happen, as the start of a sentence.

    Raises:
        SandboxFault: the engine failed or refused.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        said = _sentence(error)
        advice = next((do for words, do in ADVICE.items() if words in said.lower()), "")
        raise SandboxFault(f"{what}: {said}" + (f" ({advice})" if advice else "")) from error


def _sentence(error: Exception) -> str:
    said = str(getattr(error, "explanation", None) or error).strip().rstrip(".")
    return said if len(said) <= 300 else said[:300] + "…"


def answers(client: docker.DockerClient) -> bool:
    """Whether an engine answers."""
    with contextlib.suppress(*ENGINE_ERRORS):
        client.ping()
        return True
    return False


def answers_again(
    client: docker.DockerClient, wall_s: float, is_enough: Callable[[], bool]
) -> bool:
    """Whether an engine answers in a while; True as well once nobody wants to know.

    Args:
        client: A connection to it.
        wall_s: How long it may take, in seconds.
        is_enough: Says that nobody waits any more.
    """
    end = time.monotonic() + wall_s
    while not is_enough() and not answers(client):
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


class Attached:
    """The engine's connection to a container's standard streams."""

    def __init__(self, attached: Any) -> None:
        """Take over what the SDK's `attach_socket` returned."""
        self._owner = attached
        self._socket = getattr(attached, "_sock", attached)
        self._socket.settimeout(None)

    def send(self, box: bytes) -> None:
        """Write the box and close the guest's standard input, where the connection can."""
        self.write(box)
        with contextlib.suppress(OSError):
            if hasattr(self._socket, "shutdown"):  # a named pipe of Windows has no half-close
                self._socket.shutdown(socket.SHUT_WR)

    def write(self, data: bytes) -> None:
        """Write something that more may follow."""
        with contextlib.suppress(OSError):  # the guest is gone; its output says so
            self._socket.sendall(data)

    def stdout(self, tail: Tail) -> Iterator[bytes]:
        """Yield the guest's standard output as it comes; its standard error goes to the tail.

        The engine mixes both in one stream: a header with the stream's number and a length, then
        as many bytes. Nothing is collected here, however long a piece claims to be.
        """
        header, stream, left = bytearray(), STDERR, 0
        while data := memoryview(self._socket.recv(CHUNK_BYTES)):
            while data:
                if left == 0:
                    taken = STREAM_HEADER.size - len(header)
                    header += data[:taken]
                    data = data[taken:]
                    if len(header) == STREAM_HEADER.size:
                        stream, left = STREAM_HEADER.unpack(header)
                        header.clear()
                    continue
                piece, data = bytes(data[:left]), data[left:]
                left -= len(piece)
                if stream == STDOUT:
                    yield piece
                else:
                    tail.add(piece)

    def is_silent(self) -> bool:
        """Whether it is open, and nothing has come that nobody has read."""
        if not hasattr(self._socket, "shutdown"):
            return True  # a named pipe of Windows cannot be asked
        with selectors.DefaultSelector() as waiting:
            try:
                waiting.register(self._socket, selectors.EVENT_READ)
            except (OSError, ValueError):  # it is closed
                return False
            return not waiting.select(0)

    def close(self) -> None:
        """Let go, whoever still reads or writes."""
        with contextlib.suppress(OSError):  # the other side was faster
            if hasattr(self._socket, "shutdown"):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._owner.close()
        self._socket.close()


def unreadable(folder: Path) -> Path | None:
    """Find something in a folder that other users of the machine cannot read."""
    for root, _, files in os.walk(folder):
        if not _open_to_all(Path(root), stat.S_IROTH | stat.S_IXOTH):
            return Path(root)
        for name in files:
            if not _open_to_all(Path(root, name), stat.S_IROTH):
                return Path(root, name)
    return None


def _open_to_all(path: Path, rights: int) -> bool:
    try:
        return path.stat().st_mode & rights == rights
    except OSError:  # a link to nowhere is nowhere in the sandbox too
        return path.is_symlink()
