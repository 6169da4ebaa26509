"""What one hostile student hands in, and what must be seen afterwards.

    attack(
        "RS-01",
        "an object that equals everything",
        last="class Yes:\\n    def __eq__(self, other): return True\\nanswer = Yes()",
    )

hands in the wrong answers of `course.WRONG` with one more cell at the end, and says that it earns
what the wrong answers earn. Entries are those of `catalogue.yaml`. The cells of the trick must run
to their ends, or end as `ends` says: a trick that fails by itself shows nothing. In the text of
cells, `@HOST@` stands for a folder of the host that holds `secret.txt`, `@PORT@` for a port on
which the host listens, `@LEFT@` for a name and `@KEY@` for a number under which the host left
things in its kernel, and `@COURSE@` for the folder of the course.
"""

from __future__ import annotations

import importlib
import pkgutil
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from small_course import notebook

from grader.evidence import CellReceipt, CellStatus, Evidence
from grader.values import Value
from grader.verdict import Score, Status
from hostile.course import RIGHT, SLUG, WRONG

SANDBOXES = ("docker", "docker-warm", "bubblewrap", "process")
#: A sandbox that isolates runs what would harm the machine; `process` must not.
ISOLATING = ("docker", "docker-warm", "bubblewrap")
HERE = Path(__file__).parent
CATALOGUE = frozenset(yaml.safe_load((HERE / "catalogue.yaml").read_text()))


@dataclass(frozen=True, kw_only=True)
class Host:
    """What lies on the host for student code to find."""

    folder: Path
    secret: str
    """Random text in `secret.txt` there, and in the environment of the grader."""
    port: int
    mode: int = 0
    """Rights of `secret.txt`."""
    left: str = ""
    """Name of an abstract socket, and of a key in the user's keyring, that are the host's."""
    number: int = 0
    """Number of a segment of shared memory that is the host's."""
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
    changed: tuple[str, ...] = ()
    """Files of the course that are not as they were before anything ran."""

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

    def cell(self, index: int) -> CellReceipt:
        """The receipt of one cell."""
        assert self.evidence is not None, self.score
        (receipt,) = [cell for cell in self.evidence.cells if cell.index == index]
        return receipt


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
    tricks: tuple[int, ...]
    """Which cells are the trick."""
    ends: frozenset[CellStatus]
    """How the last of them may end; the others run to their ends."""
    holds: Holds
    """Called with what was seen, and with what the same answers show without the trick."""
    sandboxes: tuple[str, ...]
    unresisted: Mapping[str, str]
    """Why a sandbox does not resist it; it must then succeed there, so that no reason outlives its
    cause."""
    x86: bool
    """Whether it names system calls by their numbers."""

    @property
    def student(self) -> str:
        """The name of its folder."""
        return "".join(c if c.isascii() and c.isalnum() else "-" for c in self.name)[:60]

    @property
    def elsewhere(self) -> str:
        """Why it cannot be tried on this machine, or nothing."""
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        return "its numbers of system calls are those of x86-64" if self.x86 and not x86 else ""

    def was_tried(self, seen: Seen) -> None:
        """The cells of the trick ended as they must, else nothing was shown."""
        for index in self.tricks:
            receipt = seen.cell(index)
            may = self.ends if index == self.tricks[-1] else {CellStatus.OK}
            assert receipt.status in may, receipt


ATTACKS: dict[str, Attack] = {}


def find_attacks() -> None:
    """Import every module of this folder that may add attacks."""
    for found in pkgutil.iter_modules([str(HERE)]):
        if not found.name.startswith(("test_", "conftest")):
            importlib.import_module(f"hostile.{found.name}")


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
    ends: str = "ok",
    holds: Holds = earns_what_its_answers_earn,
    sandboxes: tuple[str, ...] = SANDBOXES,
    unresisted: Mapping[str, str] | None = None,
    x86: bool = False,
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
        ends: How the trick's last cell ends: words of `CellStatus`, separated by spaces.
        holds: What must be seen; by default that the points are those of the same answers.
        sandboxes: Where it is run; `ISOLATING` where it would harm the machine.
        unresisted: By sandbox, why it succeeds there.
        x86: Whether it names system calls by their numbers on x86-64.

    Raises:
        ValueError: the name is taken, or there is no such entry.
    """
    if unknown := set(ids.split()) - CATALOGUE:
        raise ValueError(f"{name!r}: catalogue.yaml has no {', '.join(sorted(unknown))}")
    sources, replaced = {"right": RIGHT, "wrong": WRONG}[onto], dict(instead or {})
    told = {"first": first, **(sources | replaced), "last": last}
    cells = {which: cell for which, cell in told.items() if cell}
    own = {"first", "last", *replaced}

    def hand_in_cells(folder: Path, host: Host) -> None:
        course = folder.parents[2] if len(folder.parents) > 2 else folder
        text = filled(notebook(*cells.values()), host).replace("@COURSE@", str(course))
        handed = {f"{SLUG}.ipynb": text, **(files or {})}
        for path, content in handed.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            raw = content if isinstance(content, bytes) else content.encode()
            (folder / path).write_bytes(raw)

    made = Attack(
        ids=tuple(ids.split()),
        name=name,
        make=make or hand_in_cells,
        onto=onto,
        tricks=() if make else tuple(n for n, which in enumerate(cells) if which in own),
        ends=frozenset(map(CellStatus, ends.split())),
        holds=holds,
        sandboxes=sandboxes,
        unresisted=dict(unresisted or {}),
        x86=x86,
    )
    if made.student in {known.student for known in ATTACKS.values()}:
        raise ValueError(f"two attacks are called {name!r}")
    ATTACKS[name] = made


def filled(text: str, host: Host) -> str:
    """Put the places of the host into the text of cells."""
    places = {"@HOST@": host.folder, "@PORT@": host.port, "@LEFT@": host.left, "@KEY@": host.number}
    for place, told in places.items():
        text = text.replace(place, str(told))
    return text
