"""What is noted beside the frames of a run: what the host saw, and under what circumstances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from grader.execute import Run
from grader.plan import Plan
from grader.sandbox.base import Cause, Stopped

#: A record of another version counts as none.
VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Under what a submission was executed: all of a plan that can change what it shows."""

    image: str
    data: str
    """Digest of the data that the notebook found."""
    lib: str | None
    """Digest; None where earlier graders did not note it, as for the seed."""
    seed: int | None
    limits: dict[str, Any]
    asked: dict[str, str]
    """Digest of every probe that was put, by id."""

    @classmethod
    def of(cls, plan: Plan, asked: Mapping[str, str]) -> Self:
        """Under what circumstances a plan has submissions executed."""
        return cls(
            image=plan.image,
            data=plan.data_digest,
            lib=plan.lib_digest,
            seed=plan.seed,
            limits=asdict(plan.limits),
            asked=dict(asked),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Beside the frames of a run."""

    under: Circumstances
    plan: str
    """Its digest."""
    sandbox: str
    stopped: Stopped
    key: bytes
    """With which the guest signed its frames."""
    frames: str
    """Digest of all that it wrote."""

    @classmethod
    def of(cls, run: Run, plan: Plan, asked: Mapping[str, str]) -> Self:
        """The record of a run."""
        return cls(
            under=Circumstances.of(plan, asked),
            plan=plan.digest,
            sandbox=run.sandbox,
            stopped=run.stopped,
            key=run.reader.key,
            frames=hashlib.sha256(run.reader.raw).hexdigest(),
        )

    def to_json(self) -> str:
        """As it is kept."""
        told = {
            **asdict(self.under),
            "version": VERSION,
            "plan": self.plan,
            "sandbox": self.sandbox,
            "stopped": asdict(self.stopped),
            "key": self.key.hex(),
            "frames": self.frames,
        }
        return json.dumps(told)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """As it was kept.

        Raises:
            ValueError: it is damaged, or of another version.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            if told["version"] != VERSION:
                raise ValueError(f"expected version {VERSION}, found {told['version']}")
            stopped = told["stopped"]
            return cls(
                under=_circumstances(told),
                plan=str(told["plan"]),
                sandbox=str(told["sandbox"]),
                stopped=Stopped(**{**stopped, "cause": Cause(stopped["cause"])}),
                key=bytes.fromhex(told["key"]),
                frames=str(told["frames"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"it cannot be read: {error!r}") from error


def _circumstances(told: Mapping[str, Any]) -> Circumstances:
    return Circumstances(
        image=told["image"],
        data=told["data"],
        lib=told.get("lib"),
        seed=told.get("seed"),
        limits=dict(told["limits"]),
        asked=dict(told["asked"]),
    )
