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

#: Start of the names of folders that are being written.
NEW = ".new-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Evidence as it was kept, with the questions that it answers."""

    evidence: Evidence
    asked: dict[str, str]
    """Digest of every probe that was put, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The last decision about a student: evidence, or the fault that stands in its place."""

    student: str
    submission: str
    key: str = ""
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
        """Whether there is evidence under a key."""
        return (self._folder(key) / "record.json").is_file()

    def keep(self, key: str, run: Run, plan: Plan, asked: dict[str, str]) -> None:
        """Write a run's evidence, whole or not at all.

        Raises:
            StoreFault: it could not be written.
        """
        record = {
            "version": 1,
            "key": run.key.hex(),
            "sandbox": run.evidence.sandbox,
            "plan": plan.digest,
            "image": plan.image,
            "limits": asdict(plan.limits),
            "asked": asked,
            "stopped": asdict(run.stopped),
            "frames": hashlib.sha256(run.raw).hexdigest(),
        }
        evidence = self.root / "evidence"
        try:
            evidence.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=NEW, dir=evidence))
            (beside / "frames.bin").write_bytes(run.raw)
            (beside / "record.json").write_text(json.dumps(record))
            self._put(beside, key)
        except OSError as error:
            raise StoreFault(f"evidence cannot be written to {evidence}: {error}") from error

    def _put(self, beside: Path, key: str) -> None:
        """Move finished evidence to its place; what stands there (an earlier run) gives way."""
        folder = self._folder(key)
        if folder.exists():
            aside = Path(tempfile.mkdtemp(prefix=NEW, dir=folder.parent))
            folder.rename(aside / "old")
            beside.rename(folder)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            beside.rename(folder)

    def load(self, key: str) -> Kept:
        """Read evidence back.

        Raises:
            StoreFault: it is not there or damaged.
            ProtocolViolation: it was never what our guest writes.
        """
        folder = self._folder(key)
        try:
            record = json.loads((folder / "record.json").read_text())
            raw = (folder / "frames.bin").read_bytes()
            stopped = {**record["stopped"], "cause": Cause(record["stopped"]["cause"])}
            reader = FrameReader(bytes.fromhex(record["key"]), Limits(**record["limits"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreFault(f"evidence {key[:12]} cannot be read: {error}") from error
        if hashlib.sha256(raw).hexdigest() != record["frames"]:
            raise StoreFault(f"evidence {key[:12]} is damaged: grader run --fresh")
        reader.feed(raw)
        evidence = conclude(reader, Stopped(**stopped), record["asked"], record["sandbox"])
        return Kept(evidence=evidence, asked=record["asked"])

    def note(self, slug: str, entry: Entry) -> None:
        """Append a decision about a student.

        Raises:
            StoreFault: it could not be written.
        """
        path = self._journal(slug)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")
        except OSError as error:
            raise StoreFault(f"{path} cannot be written: {error}") from error

    def entries(self, slug: str) -> dict[str, Entry]:
        """The last decision about every student."""
        return {entry.student: entry for entry in self._lines(slug)}

    def clean(self) -> None:
        """Remove what a killed run left half written."""
        for left in (self.root / "evidence").glob(f"{NEW}*"):
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
