"""What one hostile student hands in, and what must be seen afterwards.

    attack(
        "RS-01",
        "an object that equals everything",
        last="class Yes:\\n    def __eq__(self, other): return True\\nanswer = Yes()",
    )

hands in the wrong answers of `course.WRONG` with one more cell at the end, and says that it earns
what the wrong answers earn. Entries are those of `catalogue.yaml`. In the text of cells, `@HOST@`
stands for a folder of the host that holds `secret.txt`, and `@PORT@` for a port on which the host
listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from small_course import notebook

from grader.evidence import Evidence
from grader.values import Value
from grader.verdict import Score, Status
from hostile.course import RIGHT, SLUG, WRONG

SANDBOXES = ("docker", "docker-warm", "bubblewrap", "process")
#: A sandbox that isolates runs what would harm the machine; `process` must not.
ISOLATING = ("docker", "docker-warm", "bubblewrap")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What lies on the host for student code to find."""

    folder: Path
    secret: str
    """Random text in `secret.txt` there, and in the environment of the grader."""
    port: int
    reached: list[str] = field(default_factory=list)
    """Who connected to the port."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What grading one submission showed."""

    sandbox: str
    score: Score
    evidence: Evidence | None
    host: Host
    told: str
    """All that the student is shown: table and page."""
    left: bytes
    """What came out of the sandbox."""

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.score.status

    @property
    def points(self) -> dict[str, float | None]:
        """Points by question, without `found`, which only carries what a notebook saw."""
        return {q.id: q.points for q in self.score.questions if q.id != "found"}

    @property
    def student_s(self) -> float:
        """Seconds that cells and probes took, without our own start."""
        assert self.evidence is not None, self.score
        probes = (o.wall_s for o in self.evidence.observations.values())
        return sum(cell.wall_s for cell in self.evidence.cells) + sum(probes)

    @property
    def found(self) -> Value:
        """The value of `found` after the last cell."""
        assert self.evidence is not None, self.score
        (value,) = [o.value for i, o in self.evidence.observations.items() if "found" in i]
        return value


Holds = Callable[[Seen, Seen], None]


def earns_what_its_answers_earn(seen: Seen, twin: Seen) -> None:
    """The trick changes no points."""
    assert (seen.points, seen.status) == (twin.points, Status.COMPLETE)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One hostile submission."""

    ids: tuple[str, ...]
    """Entries of the catalogue."""
    name: str
    make: Callable[[Path, Host], None]
    """Write what is handed in to a folder."""
    onto: str
    """Whose answers it has beside the trick: right or wrong."""
    holds: Holds
    """Called with what was seen, and with what the same answers show without the trick."""
    sandboxes: tuple[str, ...]
    unresisted: Mapping[str, str]
    """Why a sandbox does not resist it; it must then succeed there, so that no reason outlives its
    cause."""

    @property
    def student(self) -> str:
        """The name of its folder."""
        return "".join(c if c.isascii() and c.isalnum() else "-" for c in self.name)[:60]


ATTACKS: dict[str, Attack] = {}


def attack(
    ids: str,
    name: str,
    *,
    first: str = "",
    last: str = "",
    instead: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    make: Callable[[Path, Host], None] | None = None,
    onto: str = "wrong",
    holds: Holds = earns_what_its_answers_earn,
    sandboxes: tuple[str, ...] = SANDBOXES,
    unresisted: Mapping[str, str] | None = None,
) -> None:
    """Add an attack.

    Args:
        ids: Entries of the catalogue, separated by spaces.
        name: Words for the table; no two alike.
        first: A cell before all others.
        last: A cell after all others.
        instead: Cells in place of those that answer these questions.
        files: Beside the notebook, or in its place.
        make: Writes everything itself.
        onto: Whose answers the other cells have: right or wrong.
        holds: What must be seen; by default that the points are those of the same answers.
        sandboxes: Where it is run; `ISOLATING` where it would harm the machine.
        unresisted: By sandbox, why it succeeds there.
    """
    sources = {"right": RIGHT, "wrong": WRONG}[onto]
    cells = [first, *(sources | dict(instead or {})).values(), last]

    def hand_in_cells(folder: Path, host: Host) -> None:
        text = notebook(*(cell for cell in cells if cell))
        handed = {f"{SLUG}.ipynb": filled(text, host), **(files or {})}
        for path, content in handed.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            raw = content if isinstance(content, bytes) else content.encode()
            (folder / path).write_bytes(raw)

    made = Attack(
        ids=tuple(ids.split()),
        name=name,
        make=make or hand_in_cells,
        onto=onto,
        holds=holds,
        sandboxes=sandboxes,
        unresisted=dict(unresisted or {}),
    )
    if made.student in {known.student for known in ATTACKS.values()}:
        raise ValueError(f"two attacks are called {name!r}")
    ATTACKS[name] = made


def filled(text: str, host: Host) -> str:
    """Put the places of the host into the text of cells."""
    return text.replace("@HOST@", str(host.folder)).replace("@PORT@", str(host.port))
