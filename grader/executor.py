"""Where the executions of a batch happen: in a sandbox of this machine, or of others.

A batch keeps as many threads as an executor takes submissions at a time, and each of them asks it
for one execution and waits. Whether the sandbox is here (`Local`) or on the workers of a cluster
(`grader.cluster.far.Cluster`), it is the same batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from grader.execute import Run, execute
from grader.plan import Limits, Plan
from grader.sandbox.base import Sandbox
from grader.sandbox.choose import Wish, choose, lending
from grader.sandbox.graphics import need_of
from grader.sandbox.lending import Gpus
from grader.submission import Submission


class Executor(Protocol):
    """Executes submissions; used by many threads at once."""

    @property
    def name(self) -> str:
        """The sandbox that every execution gets."""
        ...

    @property
    def image(self) -> str:
        """Identity of the environment, the same wherever a submission runs; part of the plan."""
        ...

    def why_no_gpu(self, limits: Limits) -> str:
        """Why no GPU here will ever do for such a submission; empty if one does."""
        ...

    def at_once(self, limits: Limits) -> int:
        """How many submissions to have under way; 0 if that is for this machine to say."""
        ...

    def execute(
        self,
        submission: Submission,
        plan: Plan,
        *,
        data: Path | None,
        lib: Path | None,
        alone: bool = False,
    ) -> Run:
        """Execute one submission and wait for it.

        Args:
            submission: What to run.
            plan: Probes and limits.
            data: The course's data here, or None.
            lib: The course's packages here, or None.
            alone: Whether it shares no GPU, whatever the plan says: for what failed once.

        Raises:
            Fault: nothing was learned about the student.
            InputError: something that staff must mend, which concerns every submission.
        """
        ...

    def close(self) -> None:
        """Stop what runs, so that whoever waits for it returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """Executes in a sandbox of this machine.

    Args:
        sandbox: Where code runs.
        gpus: What it lends, or None.
    """

    sandbox: Sandbox
    gpus: Gpus | None = None

    @property
    def name(self) -> str:
        """See `Executor.name`."""
        return self.sandbox.name

    @property
    def image(self) -> str:
        """See `Executor.image`."""
        return self.sandbox.image

    def at_once(self, limits: Limits) -> int:
        """See `Executor.at_once`."""
        return 0

    def why_no_gpu(self, limits: Limits) -> str:
        """See `Executor.why_no_gpu`."""
        return self.gpus.why_never(need_of(limits)) if self.gpus else "--gpus names none"

    def execute(
        self,
        submission: Submission,
        plan: Plan,
        *,
        data: Path | None,
        lib: Path | None,
        alone: bool = False,
    ) -> Run:
        """See `Executor.execute`."""
        return execute(submission, plan, self.sandbox, data, lib, alone=alone)

    def close(self) -> None:
        """See `Executor.close`."""
        self.sandbox.close()


@contextmanager
def local(wish: Wish, state: Path, console: Console) -> Iterator[Local]:
    """Execute on this machine, in the sandbox that was wished for.

    Args:
        wish: What a command asked for.
        state: The course's `.grader/`, where the quarantine of GPUs is written down.
        console: For progress and warnings.

    Raises:
        InputError: this machine cannot make it; says what is missing and what to do.
    """
    with lending(wish, state, console) as gpus, choose(wish, console, gpus) as sandbox:
        yield Local(sandbox, gpus)
