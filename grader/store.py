"""What was executed, kept by digest, so that nothing is executed twice without need.

    .grader/evidence/<key>/frames.bin    the guest's frames, byte for byte
    .grader/evidence/<key>/record.json   what the host saw; it is there last

A key is the digest of submission and plan. Folders appear whole (written beside, then renamed), and
reading goes through the same strict reader as the sandbox's own output. What became of each student
is noted in the course's database (`grader.database`); the last decision counts.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from grader.database.opening import Database
from grader.database.tables import DECISIONS
from grader.errors import StoreFault
from grader.evidence import Evidence
from grader.execute import Run, conclude
from grader.frames import FrameReader
from grader.locks import claim, locked
from grader.plan import Limits, Plan
from grader.record import Record
from grader.submission import Submission

FRAMES, RECORD = "frames.bin", "record.json"
#: What the system says when a folder is not empty that another should take the place of.
TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
#: How often one tries to put evidence into a place that others write to as well.
TRIES = 5
#: Age in seconds at which a half-written folder is nobody's any more, where no lock can tell.
STALE_S = 3600
#: Fewer students than that are looked up by name.
FEW = 100
#: Start of the names of folders with evidence that gives way to another.
EARLIER = "earlier-"
#: Starts of the names of folders that are being written, and of files that say what is executed.
NEW, CLAIM = ".new-", ".claim-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Evidence as it was kept, with the questions that it answers."""

    evidence: Evidence
    asked: dict[str, str]
    """Digest of every probe that was put, by id."""
    data: str
    """Digest of the data that the notebook found, as in the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The last decision about a student: evidence, or the fault that stands in its place."""

    student: str
    submission: str
    key: str = ""
    plan: str = ""
    """Digest of the plan under which it was decided."""
    fault: str = ""


FIELDS = tuple(field.name for field in fields(Entry))


def key_of(submission: Submission, plan: Plan) -> str:
    """The key of the evidence that a submission gives under a plan."""
    return hashlib.sha256(f"{submission.digest} {plan.digest}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """The grader's memory.

    Args:
        root: The course's `.grader/`.
    """

    root: Path
    url: str = ""
    """Where the course's database is; in `root` if empty."""

    @property
    def database(self) -> Database:
        """Where decisions are noted."""
        return Database(self.root, self.url)

    def record(self, key: str) -> Record | None:
        """What was noted of a run; None where there is no evidence under a key."""
        with suppress(OSError, ValueError):
            return Record.from_json((self._folder(key) / RECORD).read_text()) if key else None
        return None

    def has(self, key: str) -> bool:
        """Whether there is whole evidence under a key; every byte of it is looked at."""
        record = self.record(key)
        with suppress(OSError):
            if record:
                with (self._folder(key) / FRAMES).open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest() == record.frames
        return False

    def keep(
        self, key: str, run: Run, plan: Plan, asked: dict[str, str], *, anew: bool = False
    ) -> None:
        """Write a run's evidence, whole or not at all.

        Args:
            key: As `key_of` gives it.
            run: What was executed.
            plan: Under which plan.
            asked: Digest of every probe, by id.
            anew: Whether it takes the place of whole evidence. If not, what is there stands:
                another grader was first, and everybody is scored by the same.

        Raises:
            StoreFault: it could not be written.
        """
        evidence = self.root / "evidence"
        try:
            evidence.mkdir(parents=True, exist_ok=True)
            with (
                locked(self._writing, shared=True),
                tempfile.TemporaryDirectory(prefix=NEW, dir=evidence) as beside,
            ):
                whole = Path(beside) / "whole"
                whole.mkdir()
                (whole / FRAMES).write_bytes(run.reader.raw)
                (whole / RECORD).write_text(Record.of(run, plan, asked).to_json())
                self._put(whole, key, anew=anew)
        except OSError as error:
            raise StoreFault(f"evidence cannot be written to {evidence}: {error}") from error

    def _put(self, whole: Path, key: str, *, anew: bool) -> None:
        """Move finished evidence to its place; an earlier run there gives way, or is kept."""
        folder, gives_way = self._folder(key), anew
        for number in range(TRIES):  # another grader may put its own there at any moment
            if gives_way:
                with suppress(FileNotFoundError):
                    folder.rename(whole.parent / f"{EARLIER}{number}-{key}")
            try:
                whole.rename(folder)
                return
            except OSError as error:
                if error.errno not in TAKEN or number + 1 == TRIES:
                    self._put_back(whole.parent)
                    raise
            if not anew and self.has(key):
                return
            gives_way = True  # what is there is damaged

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """Be the only one of all graders who executes for a key; False while another does.

        Raises:
            StoreFault: nothing can be written there.
        """
        if sys.platform == "win32":  # which knows no such locks
            yield True
            return
        path = self.root / "evidence" / f"{CLAIM}{key}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = claim(path)
        except OSError as error:
            raise StoreFault(f"evidence cannot be written to {path.parent}: {error}") from error
        if file is None:
            yield False
            return
        with file:
            try:
                yield True
            finally:
                with suppress(OSError):
                    path.unlink()

    def load(self, key: str) -> Kept:
        """Read evidence back.

        Raises:
            StoreFault: it is not there or damaged.
            ProtocolViolation: it was never what our guest writes.
        """
        record = self.record(key)
        if record is None:
            raise StoreFault(f"evidence {key[:12]} is not there or cannot be read: grader run")
        try:
            raw = (self._folder(key) / FRAMES).read_bytes()
            reader = FrameReader(record.key, Limits(**record.under.limits))
        except (OSError, TypeError) as error:
            raise StoreFault(f"evidence {key[:12]} cannot be read: grader run ({error})") from error
        if hashlib.sha256(raw).hexdigest() != record.frames:
            raise StoreFault(f"evidence {key[:12]} is damaged: grader run")
        reader.feed(raw)
        asked = record.under.asked
        evidence = conclude(reader, record.stopped, asked, record.sandbox)
        return Kept(evidence=evidence, asked=asked, data=record.under.data)

    def note(self, journal: str, *entries: Entry) -> None:
        """Add decisions about students; one that stands already is not said again.

        Args:
            journal: Of which round of executing: an assignment's slug, or a name of its own.
            entries: At most one a student.

        Raises:
            StoreFault: they could not be written; none of them was.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with self.database.writing() as connection:
            few = [entry.student for entry in entries] if len(entries) < FEW else []
            known = _last_of(connection, journal, few)
            new = [entry for entry in entries if known.get(entry.student) != entry]
            told = [{"journal": journal, "at": at, **asdict(entry)} for entry in new]
            if told:
                connection.execute(insert(DECISIONS), told)

    def entries(self, journal: str) -> dict[str, Entry]:
        """The last decision about every student.

        Raises:
            StoreFault: they could not be read.
        """
        with self.database.reading() as connection:
            return _last_of(connection, journal)

    def clean(self) -> None:
        """Remove what a killed run left half written; another run may be writing right now."""
        evidence = self.root / "evidence"
        if not evidence.is_dir():
            return
        with suppress(OSError), locked(self._writing, wait=False) as alone:
            for left in evidence.glob(f"{NEW}*"):
                with suppress(OSError):
                    if alone or time.time() - left.stat().st_mtime > STALE_S:
                        self._put_back(left)
                        shutil.rmtree(left, ignore_errors=True)
            for left in evidence.glob(f"{CLAIM}*"):
                with suppress(StoreFault), self.claimed(left.name.removeprefix(CLAIM)):
                    pass

    def _put_back(self, left: Path) -> None:
        """Put evidence back that gave way to nothing: its grader was killed, or could not go on."""
        for earlier in left.glob(f"{EARLIER}*"):
            folder = self._folder(earlier.name.rpartition("-")[2])
            if not folder.exists():
                earlier.rename(folder)

    @property
    def _writing(self) -> Path:
        """Locked by all who write evidence, together, and by nobody else."""
        return self.root / "evidence.lock"

    def _folder(self, key: str) -> Path:
        return self.root / "evidence" / key


def _last_of(
    connection: Connection, journal: str, students: Sequence[str] = ()
) -> dict[str, Entry]:
    """The last decision about some students, or about all."""
    last = select(func.max(DECISIONS.c.number)).where(DECISIONS.c.journal == journal)
    if students:
        last = last.where(DECISIONS.c.student.in_(students))
    last = last.group_by(DECISIONS.c.student)
    asked = select(*(DECISIONS.c[name] for name in FIELDS)).where(DECISIONS.c.number.in_(last))
    rows = connection.execute(asked.order_by(DECISIONS.c.number)).mappings()
    return {row["student"]: Entry(**row) for row in rows}
