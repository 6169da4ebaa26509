"""One check put to what a student defined, through the guest's own probes, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.checks import KINDS
from grader.checks.base import Context, Kind, Request, Seen
from grader.codec import encode
from grader.evidence import Observation, ProbeStatus, read_observations
from grader.frames import Frame
from grader.guest import answer as replies
from grader.guest import probe
from grader.inputs import Inputs
from grader.reference import Reference
from grader.submission import Cell, CellKind
from grader.symbolic import Symbolic
from grader.values import Value
from grader.verdict import Conclusion, Finding

ROOM = 1 << 20
CELLS = (Cell(CellKind.CODE, "x = 1"), Cell(CellKind.MARKDOWN, "## 2c\n*Your answer.*"))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A check as a rubric writes it, with a reference of its own."""

    kind: Kind
    params: Any
    context: Context
    folder: Path

    @property
    def requests(self) -> dict[str, Request]:
        """What is asked of the student's namespace."""
        return self.kind.requests(self.params, self.context, "1/1")

    @property
    def problems(self) -> list[tuple[tuple[str | int, ...], str]]:
        """What is wrong with the check as it is written."""
        return list(self.kind.problems(self.params, self.context))

    def seen(self, observations: Mapping[str, Observation]) -> Seen:
        """What the check may see when its probes were answered so."""
        return Seen(
            check_id="1/1",
            requests=self.requests,
            observations=observations,
            cells=CELLS,
            receipts={},
        )

    def judge(self, **defined: Any) -> Conclusion:
        """The conclusion about a namespace."""
        seen = self.seen({local: self._put(defined, r) for local, r in self.requests.items()})
        return self.kind.judge(self.params, seen, self.context)

    def judge_replies(self, **replied: Observation) -> Conclusion:
        """The conclusion about answers that no honest guest need have given."""
        return self.kind.judge(self.params, self.seen(replied), self.context)

    def _put(self, namespace: dict[str, Any], request: Request) -> Observation:
        ask, reply = self.folder / "a.ask", self.folder / "a.reply"
        ask.write_bytes(encode(request))
        probe.answer(namespace, ask=str(ask), reply=str(reply), seed=3, value_bytes=ROOM)
        status, payload = replies.read_reply(reply, ROOM)
        frame = Frame({"kind": "probe", "id": "p", "status": status}, payload)
        return read_observations([frame], {"p"})["p"]


class Asker:
    """Makes checks over one reference, given as source."""

    def __init__(self, folder: Path, reference: str) -> None:
        self.folder = folder
        path = folder / "reference.py"
        path.write_text(reference)
        self.context = Context(
            reference=Reference(path),
            inputs=Inputs(b"secret", "hw", 1),
            symbolic=Symbolic(),
            template=CELLS[1:],
        )

    def __call__(self, kind: str, of: Any, **settings: Any) -> Asked:
        module = KINDS[kind]
        params = module.Params.model_validate({"of": of, **settings})
        return Asked(kind=module, params=params, context=self.context, folder=self.folder)


def found(conclusion: Conclusion) -> Finding:
    """What was concluded, which must be a finding."""
    assert isinstance(conclusion, Finding), conclusion
    return conclusion


def said(conclusion: Conclusion) -> tuple[float, str]:
    """Credit and sentence of a finding."""
    finding = found(conclusion)
    return finding.credit, finding.says


def ok(value: Value) -> Observation:
    """An answer as a sandbox may give it."""
    return Observation(status=ProbeStatus.OK, value=value)


def raiser(name: str, *told: Any) -> Any:
    """A function that raises an exception of this name, and tells what it was given."""

    def tell(*args: Any, **kwargs: Any) -> Any:
        raise type(name, (Exception,), {})(*told, args, kwargs)

    return tell
