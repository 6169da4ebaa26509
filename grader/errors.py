"""Every exception this package raises on purpose.

* GraderError
  + InputError          somebody's file or option: mend it and run again (exit 2)
    - RubricError       a rubric; carries every problem found, each as `file:line: path: ...`
    - UnknownGenerator  an input of a rubric calls what is no generator
    - SubmissionError   one submission cannot be read; the batch goes on without it
  + Fault               ours or the machine's: nothing was learned about the student, never scored
    - SandboxFault      the sandbox did not start, vanished, or was stopped by our backstop
                        (EngineAway: because its engine was away, which answers again)
    - ProtocolViolation what came out of the sandbox is not what the guest writes
    - ReferenceFault    the reference raised (ReferenceRaised), or cannot be compared
    - StoreFault        evidence or a report cannot be written or read

A student's failure (their code raised, ran out of time or memory) is never an exception: it is
data inside the evidence. So whoever catches a `Fault` may conclude nothing about the student.
"""

from collections.abc import Sequence


class GraderError(Exception):
    """Base of every exception raised on purpose."""


class InputError(GraderError):
    """A file or an option that somebody wrote cannot be used as it stands."""


class RubricError(InputError):
    """A rubric has problems; all of them are listed, not only the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep every problem, each already worded as `file:line: path: expected, found`."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SubmissionError(InputError):
    """One submission cannot be read as a notebook; the student hears why, the batch goes on."""


class UnknownGenerator(InputError):
    """Text of a rubric looks like a call of an input generator, but is none."""


class Fault(GraderError):
    """We failed, so nothing was learned about the student; never scored."""


class SandboxFault(Fault):
    """The sandbox did not start, or vanished before the guest could say how it ended."""


class EngineAway(SandboxFault):
    """The engine was away and is back: nobody's doing, and no reason to look at a submission."""


class ProtocolViolation(Fault):
    """Bytes that came from a sandbox are not what our guest writes."""


class ReferenceFault(Fault):
    """The reference raised or gave something that cannot be compared: the check is broken."""


class ReferenceRaised(ReferenceFault):
    """What the reference defines raised an exception, which may be for what it was given."""


class StoreFault(Fault):
    """Evidence or a report cannot be written or read: a full disk, a damaged file."""
