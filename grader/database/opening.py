"""Transactions on a course's database: SQLite in `.grader/grader.db`, or a server by its URL.

SQLite keeps a write-ahead log, so that who reads and who writes need not wait for each other. The
log needs memory that all programs share, which a network file system does not have: a database on
one keeps the rollback journal (https://www.sqlite.org/wal.html, section 1).

Whoever writes first takes the one lock for writing and holds it for a moment: of two graders, two
imports of grades, the second sees what the first did.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from grader.database.earlier import take_over
from grader.database.identity import claim, is_claimed
from grader.database.steps import STEPS, bring_up_to_date, version_of
from grader.errors import InputError, StoreFault
from grader.locks import atomically

#: Milliseconds that one waits for another to have written.
WAIT_MS = 20_000
#: Seconds that a server may be away which answered before; a run of hours must not end by that.
AWAY_S = 60.0
#: Of the lock for writing in PostgreSQL, which knows it by a number.
LOCK = 0x67726164
FILE = "grader.db"
#: How the types of file systems begin that other machines may have mounted too.
SHARED = (
    *("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "gluster"),
    *("virtiofs", "vboxsf", "ocfs2", "gfs2", "fuse."),
)
#: What of a URL's options says where a database is.
PLACE = ("host", "port", "options")
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


@dataclass(frozen=True, slots=True)
class Database:
    """A course's database.

    Args:
        state: The course's `.grader/`.
        url: Where it is, as `postgresql://user@host/name`; a file in `state` if empty.
    """

    state: Path
    url: str = ""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: kept at the end, undone when something is raised.

        Raises:
            InputError: the URL is none, or a newer version of the grader wrote the database.
            StoreFault: it cannot be read or written.
        """
        with self._transaction(reading=False) as connection:
            new = version_of(connection) < len(STEPS) and bring_up_to_date(connection)
            if self._is_elsewhere:
                is_ours = new or self._noted == self._shown
                claim(connection, self.state, self._shown, is_ours=is_ours)
            if new:
                take_over(connection, self.state, FILE if self._is_elsewhere else "")
            yield connection
        if self._is_elsewhere and not self._noted:
            with atomically(self._note) as file:
                file.write(self._shown + "\n")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A view of one moment, for which nobody has to wait.

        Raises:
            InputError: likewise.
            StoreFault: likewise.
        """
        if not self._is_up_to_date():
            with self.writing():
                pass
        with self._transaction(reading=True) as connection:
            yield connection

    def _is_up_to_date(self) -> bool:
        if not self._is_elsewhere and not (self.state / FILE).is_file():
            return False
        with self._transaction(reading=True) as connection:
            if version_of(connection) < len(STEPS):
                return False
            return not self._is_elsewhere or is_claimed(connection, self.state, self._shown)

    @contextmanager
    def _transaction(self, *, reading: bool) -> Iterator[Connection]:
        self._refuse_another()
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            server = _server(self._url, reading=reading)
            with server.connected() as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, OSError) as error:
            said = str(getattr(error, "orig", None) or error).strip()
            raise StoreFault(f"{self._shown} cannot be used: {said}") from error

    @property
    def _url(self) -> URL:
        if not self.url:
            return URL.create("sqlite", database=str(self.state / FILE))
        try:
            url = make_url(self.url)
            found = url.set(drivername=DRIVERS[url.get_backend_name()])
            if found.drivername == "sqlite" and not Path(found.database or "").is_absolute():
                raise ValueError("it would be another file in every folder")
            return found
        except (ArgumentError, KeyError, ValueError) as error:
            says = "expected postgresql://user@host/name or sqlite:////folder/file"
            raise InputError(f"--database: {says}") from error

    @property
    def _shown(self) -> str:
        """Where it is, for messages: neither who asks nor a password."""
        if not self._is_elsewhere:
            return str(self.state / FILE)
        url = self._url
        place = {name: url.query[name] for name in PLACE if name in url.query}
        server = url.get_backend_name()
        shown = URL.create(server, host=url.host, port=url.port, database=url.database, query=place)
        return shown.render_as_string()

    @property
    def _is_elsewhere(self) -> bool:
        return bool(self.url) and self._url.database != str(self.state / FILE)

    @property
    def _note(self) -> Path:
        """Says where a course's database is that is not in its folder."""
        return self.state / "database"

    @property
    def _noted(self) -> str:
        return self._note.read_text().strip() if self._note.is_file() else ""

    def _refuse_another(self) -> None:
        """Whoever forgets the URL must not begin a second database, without anybody's grades.

        Raises:
            InputError: the course has its database somewhere else.
        """
        noted = self._noted
        if noted and noted != (self._shown if self._is_elsewhere else ""):
            says = f"expected the course's database, {noted}, found {self._shown}"
            do = f"GRADER_DATABASE or --database; remove {self._note} if the course has moved"
            raise InputError(f"{says}: {do}")


@dataclass(slots=True)
class _Server:
    """How to connect; it holds no connection, but statements that were put together before."""

    engine: Engine
    answered: bool = False

    def connected(self) -> Connection:
        """A connection; a server that answered before is waited for while it starts anew."""
        end = time.monotonic() + AWAY_S
        while True:
            try:
                connection = self.engine.connect()
            except OperationalError:
                is_file = self.engine.dialect.name == "sqlite"
                if is_file or not self.answered or time.monotonic() > end:
                    raise
                time.sleep(1)
            else:
                self.answered = True
                return connection


@cache
def _server(url: URL, *, reading: bool) -> _Server:
    try:
        engine = create_engine(url, poolclass=NullPool)
    except ImportError as error:
        raise InputError("--database: PostgreSQL needs psycopg: pip install psycopg") from error
    begin = _begin_sqlite if url.get_backend_name() == "sqlite" else _begin_postgresql
    begin(engine, reading=reading)
    return _Server(engine)


def _file_system(path: Path) -> str:
    """The type of the file system that a file lies on, or is going to; empty if it is not known."""
    folder = path.resolve().parent
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "")


def _begin_sqlite(engine: Engine, *, reading: bool) -> None:
    found = _file_system(Path(engine.url.database or ""))
    journal = "delete" if not found or found.startswith(SHARED) else "wal"

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # else the driver begins by itself, and later
        connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
        if connection.execute("PRAGMA journal_mode").fetchone() != (journal,):
            # Somebody else is at it: the file remembers the journal, so the next one may change it.
            with suppress(sqlite3.OperationalError):
                connection.execute(f"PRAGMA journal_mode = {journal}")

    @event.listens_for(engine, "begin")
    def _start(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _begin_postgresql(engine: Engine, *, reading: bool) -> None:
    @event.listens_for(engine, "begin")
    def _start(connection: Connection) -> None:
        if reading:
            told = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
            connection.exec_driver_sql(told)
            return
        # Every statement after the lock sees what others wrote before: READ COMMITTED.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {WAIT_MS}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
