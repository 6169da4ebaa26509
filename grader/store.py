"""What was executed, kept by digest, so that nothing is executed twice without need.

    .grader/evidence/<key>/frames.bin    the guest's frames, byte for byte
    .grader/evidence/<key>/record.json   what the host saw; it is there last
    .grader/runs/<slug>.jsonl            a line for every decision; the last counts

A key is the digest of submission and plan. Folders appear whole (written beside, then renamed), and
reading goes through the same strict reader as the sandbox's own output.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from grader.errors import StoreFault
from grader.evidence import Evidence
from grader.execute import Run, conclude
from grader.frames import FrameReader
from grader.plan import Limits, Plan
from grader.sandbox.base import Cause, Stopped
from grader.submission import Submission

#: Of `record.json`; evidence of another version counts as none.
VERSION = 2
#: Age in seconds at which a half-written folder is nobody's any more.
STALE_S = 3600
#: Start of the names of folders that are being written.
NEW = ".new-"


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

    def has(self, key: str) -> bool:
        """Whether there is whole evidence under a key."""
        try:
            record = _read_record(self._folder(key))
            return bool((self._folder(key) / "frames.bin").stat().st_size == record["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def keep(self, key: str, run: Run, plan: Plan, asked: dict[str, str]) -> None:
        """Write a run's evidence, whole or not at all.

        Raises:
            StoreFault: it could not be written.
        """
        record = {
            "version": VERSION,
            "key": run.reader.key.hex(),
            "sandbox": run.sandbox,
            "plan": plan.digest,
            "image": plan.image,
            "limits": asdict(plan.limits),
            "asked": asked,
            "stopped": asdict(run.stopped),
            "data": plan.data_digest,
            "bytes": len(run.reader.raw),
            "frames": hashlib.sha256(run.reader.raw).hexdigest(),
        }
        evidence = self.root / "evidence"
        try:
            evidence.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=NEW, dir=evidence) as beside:
                whole = Path(beside) / "whole"
                whole.mkdir()
                (whole / "frames.bin").write_bytes(run.reader.raw)
                (whole / "record.json").write_text(json.dumps(record))
                self._put(whole, key)
        except OSError as error:
            raise StoreFault(f"evidence cannot be written to {evidence}: {error}") from error

    def _put(self, whole: Path, key: str) -> None:
        """Move finished evidence to its place; what stands there (an earlier run) gives way."""
        folder = self._folder(key)
        if folder.exists():
            folder.rename(whole.parent / "earlier")
        whole.rename(folder)

    def load(self, key: str) -> Kept:
        """Read evidence back.

        Raises:
            StoreFault: it is not there or damaged.
            ProtocolViolation: it was never what our guest writes.
        """
        folder = self._folder(key)
        try:
            record = _read_record(folder)
            raw = (folder / "frames.bin").read_bytes()
            stopped = Stopped(**{**record["stopped"], "cause": Cause(record["stopped"]["cause"])})
            reader = FrameReader(bytes.fromhex(record["key"]), Limits(**record["limits"]))
            whole = hashlib.sha256(raw).hexdigest() == record["frames"]
            asked, sandbox, data = dict(record["asked"]), str(record["sandbox"]), record["data"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreFault(f"evidence {key[:12]} cannot be read: grader run ({error})") from error
        if not whole:
            raise StoreFault(f"evidence {key[:12]} is damaged: grader run --fresh")
        reader.feed(raw)
        evidence = conclude(reader, stopped, asked, sandbox)
        return Kept(evidence=evidence, asked=asked, data=data)

    def note(self, slug: str, entry: Entry) -> None:
        """Append a decision about a student.

        Raises:
            StoreFault: it could not be written.
        """
        path = self._journal(slug)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                # Begun with a newline, because a crash may have left half a line.
                file.write("\n" + json.dumps(asdict(entry)) + "\n")
        except OSError as error:
            raise StoreFault(f"{path} cannot be written: {error}") from error

    def entries(self, slug: str) -> dict[str, Entry]:
        """The last decision about every student."""
        return {entry.student: entry for entry in self._lines(slug)}

    def clean(self) -> None:
        """Remove what a killed run left half written; another run may be writing right now."""
        for left in (self.root / "evidence").glob(f"{NEW}*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > STALE_S:
                    shutil.rmtree(left, ignore_errors=True)

    def _lines(self, slug: str) -> Iterator[Entry]:
        path = self._journal(slug)
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                # The last line may be torn when the machine went down while it was written.
                with suppress(ValueError, TypeError):
                    fields: dict[str, Any] = json.loads(line)
                    yield Entry(**fields)

    def _folder(self, key: str) -> Path:
        return self.root / "evidence" / key

    def _journal(self, slug: str) -> Path:
        return self.root / "runs" / f"{slug}.jsonl"


def _read_record(folder: Path) -> dict[str, Any]:
    """Read `record.json`; ValueError when it is of another version."""
    record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    if record["version"] != VERSION:
        raise ValueError(f"it is of version {record['version']}, not {VERSION}")
    return record


@contextmanager
def atomically(path: Path) -> Iterator[TextIO]:
    """Write a text file so that readers see the old text or the new, nothing between.

    Raises:
        StoreFault: it could not be written; the old text stands.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        beside = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                yield file
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreFault(f"{path} cannot be written: {error}") from error
