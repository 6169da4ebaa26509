"""A PostgreSQL server for tests: the installed one, in a folder of its own, on a private socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
#: Who runs it where tests run as root, which it refuses to be run by.
UNPRIVILEGED = "postgres"
#: A test's database may go with the power.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=")


def why_not() -> str:
    """Why there is no server, or nothing."""
    if not BINARIES and not shutil.which("initdb"):
        return "it is not installed: apt-get install postgresql"
    return ""


class Server:
    """A server that runs; each database is made anew."""

    def __init__(self, folder: Path, binaries: Path, user: str | None) -> None:
        self._socket, self._binaries, self._user = folder, binaries, user
        self.start()

    def start(self) -> None:
        serve = [str(self._binaries / "postgres"), "-D", str(self._socket / "data")]
        serve += ["-k", str(self._socket), *(w for option in OPTIONS for w in ("-c", option))]
        with (self._socket / "log").open("a") as log:
            self._process = subprocess.Popen(
                serve, user=self._user, cwd=self._socket, stdout=log, stderr=log
            )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(600):
            asked = [str(self._binaries / "pg_isready"), "-h", str(self._socket), "-q"]
            if subprocess.run(asked, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise TimeoutError((self._socket / "log").read_text())

    def url(self, name: str) -> str:
        return f"postgresql://{UNPRIVILEGED}@/{name}?host={self._socket}"

    def new(self) -> str:
        """URL of an empty database."""
        name = f"course_{uuid4().hex}"
        engine = create_engine(
            self.url("postgres").replace("postgresql:", "postgresql+psycopg:"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def started() -> Iterator[Server]:
    """Start a server in a new folder; stop it and remove the folder at the end."""
    found = shutil.which("initdb")
    binaries = BINARIES[-1] if BINARIES else Path(str(found)).parent
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    # Not a folder of pytest's: the path of a socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="grader-pg-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        make = [str(binaries / "initdb"), "-D", str(data), "-U", UNPRIVILEGED]
        make += ["-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(make, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        server = Server(folder, binaries, user)
        try:
            server.wait()
            yield server
        finally:
            server.stop()
