"""Where a course keeps its things, found from wherever a command is run.

<root>/rubrics/<slug>.yaml            what is asked, what is right, what it is worth
<root>/reference/<slug>/reference.py  trusted code that knows what is right
<root>/reference/<slug>/student/      what students get: <slug>.ipynb or other files; beside them
                                      data/, and lib/: packages that stand in for missing ones
<root>/reference/<slug>/solution/     the same files as students would hand in to earn everything
<root>/submissions/<slug>/<student>/  what students hand in
<root>/.grader/                       secret, evidence, what is known, and the database if it is in
                                      no other place
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from grader.assignment import Assignment, layout_of, look_closer, read_rubric
from grader.checks.base import Context
from grader.errors import InputError
from grader.inputs import Inputs
from grader.intake.folders import assignments_in, read_submission
from grader.known import Known
from grader.locks import open_alone
from grader.reference import Reference
from grader.rehearse import refuse
from grader.submission import Layout, Submission
from grader.symbolic import Symbolic
from grader.writeup.read import WriteUps

SECRET_BYTES = 32
#: The environment variable that says where a course's database is.
DATABASE = "GRADER_DATABASE"
#: In the place of a student's name, for what students were given.
STARTER = "(template)"


@dataclass(frozen=True, slots=True)
class Course:
    """A course's folders.

    Args:
        root: The folder that holds `rubrics/`.
    """

    root: Path
    database: str = ""
    """Where its database is, as a URL; in its folder if empty."""

    @property
    def state(self) -> Path:
        """Where the grader keeps evidence, runs and the secret."""
        return self.root / ".grader"

    @property
    def known(self) -> Known:
        """What references gave and how formulas compared, from earlier runs."""
        return Known(self.state / "known.sqlite")

    @property
    def slugs(self) -> list[str]:
        """The assignments that have a rubric."""
        return sorted(path.stem for path in (self.root / "rubrics").glob("*.yaml"))

    def rubric_path(self, slug: str) -> Path:
        """The rubric of an assignment.

        Raises:
            InputError: it has none.
        """
        path = self.root / "rubrics" / f"{slug}.yaml"
        if not path.is_file():
            known = ", ".join(self.slugs) or "none"
            raise InputError(f"expected a rubric at {self.shown(path)}, found rubrics for: {known}")
        return path

    def handed_in(self, given: Path) -> list[tuple[str, Path]]:
        """The assignments in a folder, or the one whose name is given in its place.

        Args:
            given: A folder of assignments, one assignment's folder of students, or its slug.

        Raises:
            InputError: there is none that has a rubric.
        """
        named = not given.exists() and str(given) in self.slugs
        return assignments_in(self.root / "submissions" / given if named else given, self.slugs)

    def solution(self, slug: str) -> Path:
        """The notebook that earns everything."""
        return self.root / "reference" / slug / "solution" / f"{slug}.ipynb"

    def template(self, slug: str) -> Path:
        """The notebook that students are given."""
        return self.root / "reference" / slug / "student" / f"{slug}.ipynb"

    def layout(self, slug: str) -> Layout:
        """Which files are handed in for an assignment.

        Raises:
            RubricError: with every problem of the rubric.
        """
        path = self.rubric_path(slug)
        return layout_of(read_rubric(path, self.shown(path)), self._lib(slug))

    def read(self, folder: Path, slug: str, layout: Layout, name: str) -> Submission:
        """Read a folder of the course's own as if somebody had handed it in.

        Args:
            folder: Such as `reference/<slug>/solution/`.
            slug: The assignment.
            layout: Its files.
            name: Stands in the place of the student's.
        """
        if not folder.is_dir():
            return Submission(student=name, assignment=slug, problem="nothing there", missing=True)
        return replace(read_submission(folder, slug, layout), student=name)

    def _lib(self, slug: str) -> Path | None:
        lib = self.root / "reference" / slug / "student" / "lib"
        return lib if lib.is_dir() else None

    def open(self, slug: str, symbolic: Symbolic, rubric_path: Path | None = None) -> Assignment:
        """Read and check an assignment's rubric beside its reference.

        Args:
            slug: The assignment.
            symbolic: Does the mathematics on formulas.
            rubric_path: Another rubric than the course's own.

        Raises:
            RubricError: with every problem found.
            ReferenceFault: the reference cannot be loaded.
        """
        path = rubric_path or self.rubric_path(slug)
        shown = self.shown(path)
        rubric = read_rubric(path, shown)
        if rubric.assignment != slug:
            says = f"{shown}: assignment: expected {slug!r}, found {rubric.assignment!r}"
            raise InputError(f"{says}: the name of the rubric and of the folder are the same")
        folder = self.root / "reference" / slug
        lib = self._lib(slug)
        given = self.read(folder / "student", slug, layout_of(rubric, lib), STARTER)
        if given.problem and self.template(slug).is_file():
            raise InputError(f"{self.shown(folder / 'student')}: {given.problem}")
        context = Context(
            reference=Reference(folder / "reference.py", symbolic.known),
            inputs=Inputs(self.secret(), slug, rubric.round),
            symbolic=symbolic,
            template=given.cells,
            writeups=WriteUps(self.state / "writeups"),
        )
        look_closer(rubric, context, path, shown)
        data = folder / "student" / "data"
        assignment = Assignment(
            rubric, context, data if data.is_dir() else None, lib, None if given.missing else given
        )
        refuse(assignment, path, shown)
        return assignment

    def secret(self) -> bytes:
        """The secret that all inputs are drawn from, made on first use; keep it from students.

        Raises:
            InputError: it cannot be read or made.
        """
        path = self.state / "secret"
        try:
            if not path.exists():
                self._make_secret(path)
            found = bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.shown(path)}: expected the course's secret: {error}"
            ) from error
        if len(found) != SECRET_BYTES:
            says = f"expected {2 * SECRET_BYTES} hexadecimal digits, found {2 * len(found)}"
            raise InputError(f"{self.shown(path)}: {says}; remove it to draw other inputs")
        return found

    def _make_secret(self, path: Path) -> None:
        """Write it whole beside and rename it, so that of two first runs both read the same."""
        self.state.mkdir(exist_ok=True)
        beside = path.with_name("secret.new")
        with open_alone(beside) as file:
            if path.exists():  # another run was first: its secret counts
                beside.unlink()
                return
            file.write(secrets.token_hex(SECRET_BYTES))
            file.flush()
            beside.replace(path)

    def shown(self, path: Path) -> str:
        """A path as messages write it: relative to the working folder where that is shorter."""
        try:
            return str(path.resolve().relative_to(Path.cwd()))
        except ValueError:
            return str(path)


def find_course(near: Path, explicit: Path | None = None) -> Course:
    """Find the course: the nearest folder at or above `near`, else at or above the working folder.

    Its database is where the environment says; `--database` has put it there.

    Raises:
        InputError: no such folder holds `rubrics/`.
    """
    database = os.environ.get(DATABASE, "")
    if explicit is not None:
        if not (explicit / "rubrics").is_dir():
            raise InputError(f"expected a folder with rubrics/ in it, found {explicit}")
        return Course(explicit.resolve(), database)
    for start in (near.resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / "rubrics").is_dir():
                return Course(folder, database)
    where = f"{near} or the working folder"
    raise InputError(
        f"expected a folder rubrics/ at or above {where}, found none: use --course DIR"
    )
