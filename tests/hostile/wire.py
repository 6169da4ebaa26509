"""A socket in front of a real engine's, which breaks where it is told to.

It stands for an engine that stops, fails or loses its connections, and needs no rights.
"""

from __future__ import annotations

import os
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from grader.sandbox import engine

REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD) \S+ HTTP/1")
CONTAINER = re.compile(rb'"Id":"([0-9a-f]{64})"')


#: Requests, by the first line of each.
CREATE, START, ATTACH = r"POST \S*/create", r"POST \S*/start", r"POST \S*/attach"
INSPECT = r"GET \S*/containers/\w+/json"


@dataclass(kw_only=True)
class Break:
    """What goes wrong with the answer to one kind of request."""

    where: str
    """Pattern of the request's first line."""
    after: int = 0
    """Bytes of the answer that come through all the same."""
    then: bytes | Callable[[], None] = b""
    """Comes in place of the rest before the connection is cut; or is called with no cut."""
    times: int = 1


@dataclass
class Wire:
    """Passes on what a client and the engine say.

    Args:
        path: Where to listen.
        engine: The engine's own socket.
    """

    path: Path
    engine: str
    breaks: list[Break] = field(default_factory=list)
    containers: list[str] = field(default_factory=list)
    """Those that were made by way of this wire, the last one last."""
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: socket.socket | None = None

    def up(self) -> None:
        """Begin to listen."""
        self.path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen(64)
        start(self._accept, self._server)

    def down(self) -> None:
        """Cut every connection, and take no more."""
        if self._server is not None:
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self.path.unlink(missing_ok=True)
        with self._lock:
            still = list(self._open)
        for connection in still:
            cut(connection)

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(self.engine)
        line = Line(self, client, upstream)
        with self._lock:
            self._open |= {client, upstream}
        start(line.answers)
        line.requests()
        with self._lock:
            self._open -= {client, upstream}

    def broken(self, request: str) -> Break | None:
        """What is to go wrong with this request, if anything is."""
        with self._lock:
            for found in self.breaks:
                if found.times and re.search(found.where, request):
                    found.times -= 1
                    return found
        return None


@contextmanager
def wire_to_engine() -> Iterator[Wire]:
    """Lay a wire to the engine of this machine; `path` is what DOCKER_HOST must name."""
    told = os.environ.get("DOCKER_HOST") or engine._usual_place(os.environ)
    assert told.startswith("unix://"), "these tests need an engine at a local socket"
    with tempfile.TemporaryDirectory() as folder:
        made = Wire(Path(folder) / "engine.sock", told.removeprefix("unix://"))
        made.up()
        try:
            yield made
        finally:
            made.down()


@dataclass
class Line:
    """One connection of a client, and the one that it goes on by."""

    wire: Wire
    client: socket.socket
    upstream: socket.socket
    fault: Break | None = None
    _request: str = ""
    _passed: int = 0

    def requests(self) -> None:
        """Pass on what the client says, until it or the engine ends."""
        with suppress(OSError):
            while data := self.client.recv(1 << 16):
                found = REQUEST.match(data)
                if found:
                    self._request = found[0].decode("ascii", "replace")
                    self.fault, self._passed = self.wire.broken(self._request), 0
                self.upstream.sendall(data)
            self.upstream.shutdown(socket.SHUT_WR)

    def answers(self) -> None:
        """Pass on what the engine says, or what is to come in its place."""
        with suppress(OSError):
            while data := self.upstream.recv(1 << 16):
                if re.search(CREATE, self._request):
                    self.wire.containers += [made.decode() for made in CONTAINER.findall(data)]
                if self.fault is None:
                    self.client.sendall(data)
                elif not self._spoiled(data, self.fault):
                    break
        cut(self.client)
        cut(self.upstream)

    def _spoiled(self, data: bytes, fault: Break) -> bool:
        """Pass on as much as comes through; returns whether the connection stays."""
        before, self._passed = self._passed, self._passed + len(data)
        if self._passed < fault.after:
            self.client.sendall(data)
            return True
        self.client.sendall(data[: fault.after - before])
        if isinstance(fault.then, bytes):
            self.client.sendall(fault.then)
            return False
        fault.then()
        self.fault = None
        self.client.sendall(data[fault.after - before :])
        return True


def start(work: Callable[..., None], *told: object) -> None:
    threading.Thread(target=work, args=told, daemon=True).start()


def cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
