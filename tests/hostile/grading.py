"""Grade what hostile students hand in together with honest ones, in a real sandbox."""

from __future__ import annotations

import ctypes
import hashlib
import secrets
import socket
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from small_course import notebook, write

from grader.batch import Batch, Silent, execute_starter
from grader.course import Course
from grader.errors import Fault
from grader.evidence import Evidence
from grader.executor import Local
from grader.grades.rows import Grade, Row, Version
from grader.grades.store import open_grades
from grader.intake.folders import Handed
from grader.judging.judges import Judges
from grader.report.author import question
from grader.report.publish import Publisher
from grader.report.tables import file_names, write_reports
from grader.run import WITH_PAGES
from grader.sandbox.base import Sandbox
from grader.store import Entry, Store
from grader.symbolic import Symbolic
from hostile.attack import ATTACKS, Host, Seen
from hostile.course import RIGHT, SLUG, WRONG, make_course

TWINS = {"right": RIGHT, "wrong": WRONG}
VARIABLE = "GRADER_TEST_CANARY"
IPC_CREAT, IPC_EXCL, IPC_RMID = 0o1000, 0o2000, 0


@contextmanager
def host_at(folder: Path) -> Iterator[Host]:
    """Canaries of the host, a port that listens, and what others may leave in a kernel."""
    secret = "canary-" + secrets.token_hex(8)
    folder.mkdir()
    (folder / "secret.txt").write_text(secret)
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as server,
        ExitStack() as stack,
    ):
        patch.setenv(VARIABLE, secret)
        host = Host(
            folder=folder,
            secret=secret,
            port=server.getsockname()[1],
            mode=(folder / "secret.txt").stat().st_mode,
            left="left-" + secrets.token_hex(8),
            number=secrets.randbits(30) + 1,
        )
        _leave_in_the_kernel(host, stack)
        threading.Thread(target=_listen, args=(server, host), daemon=True).start()
        yield host
        server.shutdown(socket.SHUT_RDWR)


def _leave_in_the_kernel(host: Host, stack: ExitStack) -> None:
    """An abstract socket, and a segment of shared memory that everybody may read."""
    if sys.platform != "linux":
        return
    abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
    abstract.bind(f"\0{host.left}")
    abstract.listen()
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(host.number, 4096, IPC_CREAT | IPC_EXCL | 0o666)
    assert segment >= 0, ctypes.get_errno()
    stack.callback(libc.shmctl, segment, IPC_RMID, None)
    with socket.socket(socket.AF_UNIX) as other:  # or nothing would be there to be found
        other.connect(f"\0{host.left}")
    assert libc.shmget(host.number, 4096, 0) == segment


def _listen(server: socket.socket, host: Host) -> None:
    while True:
        try:
            connection, where = server.accept()
        except OSError:
            return
        connection.close()
        host.reached.append(str(where))


def grade(
    root: Path,
    host: Host,
    sandbox: Sandbox,
    names: Collection[str],
    *,
    honest: Mapping[str, str] | None = None,
    jobs: int = 2,
) -> dict[str, Seen]:
    """Grade these attacks and their twins in one batch, as `grader run` and `grader report` do.

    Args:
        root: Of the course, which is made.
        host: What lies on this machine.
        sandbox: Where they run.
        names: Of attacks.
        honest: Notebooks of more students, by their names.
        jobs: How many run at once.

    Returns:
        What was seen, by the attack's name, by `right` and `wrong` for the twins, and by the names
        of honest students.
    """
    course = make_course(root)
    submissions = root / "submissions" / SLUG
    twins = {twin: notebook(*cells.values()) for twin, cells in TWINS.items()}
    plain = twins | dict(honest or {})
    for student, text in plain.items():
        write(submissions / student / f"{SLUG}.ipynb", text)
    for name in names:
        folder = submissions / ATTACKS[name].student
        folder.mkdir()
        ATTACKS[name].make(folder, host)
    _of_earlier_rounds(course)
    before = digests(root) | kept(course)
    seen = _graded(course, sandbox, host, jobs)
    after = digests(root) | kept(course)
    changed = tuple(path for path in before if after.get(path) != before[path])
    seen = {who: replace(one, changed=changed) for who, one in seen.items()}
    students = {name: ATTACKS[name].student for name in names} | {who: who for who in plain}
    return {name: seen[student] for name, student in students.items()}


def _of_earlier_rounds(course: Course) -> None:
    """A grade that a person gave, and the journal of another assignment."""
    row = Row(
        assignment=SLUG,
        student="right",
        question="number",
        check="number/1",
        kind="written",
        max_points=1.0,
        version=Version(text="", submission="earlier"),
    )
    with open_grades(course.state) as grades:
        at = "2025-01-01T00:00:00+00:00"
        grades.add([Grade(row=row, points="1", comment="", by="a person", at=at)])
    Store(course.state).note("earlier", Entry(student="right", submission="a", key="b"))
    course.secret()


def kept(course: Course) -> dict[str, str]:
    """What the database has of earlier rounds; the grader itself adds to it in this one."""
    with open_grades(course.state, reading=True) as grades:
        given = repr(grades.history(SLUG))
    return {"grades": given, "decisions": repr(Store(course.state).entries("earlier"))}


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, but for the database."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "grader.db"
    }


def _graded(course: Course, sandbox: Sandbox, host: Host, jobs: int) -> dict[str, Seen]:
    bugs: list[str] = []
    store, out = Store(course.state, course.database), course.root / "reports"
    with Symbolic() as symbolic:
        assignment = course.open(SLUG, symbolic)
        handed = Handed(course.root / "submissions" / SLUG, SLUG, assignment.layout)
        plan, names = assignment.plan(sandbox.image), file_names(handed.students)
        execute_starter(assignment, plan, Local(sandbox), store, bugs)
        batch = Batch(
            assignment=assignment,
            plan=plan,
            executor=Local(sandbox),
            store=store,
            jobs=jobs,
            listener=Silent(),
            load=handed.read,
        )
        batch.execute(map(handed.read, handed.students))
        bugs += batch.bugs
        with Judges(course, SLUG, jobs=jobs, module=WITH_PAGES) as judges:
            told = judges.scores(
                assignment.rubric,
                handed.folders,
                bugs,
                lambda score: question(score, names[score.student]),
            )
            publisher = Publisher(assignment.rubric, judges.page, out)
            scores = list(publisher.published(told, handed.students))
        write_reports(scores, handed.students, assignment.rubric, out)
    assert bugs == [], bugs[:1]
    found = {}
    for score in scores:
        key = store.entries(SLUG)[score.student].key if score.student in store.entries(SLUG) else ""
        files = sorted((out / SLUG / "students").glob(f"{names[score.student]}.*"))
        found[score.student] = Seen(
            sandbox=sandbox.name,
            score=score,
            evidence=_evidence(store, key),
            host=host,
            told="\n".join(path.read_text() for path in files),
            left=_frames(store, key),
        )
    return found


def _evidence(store: Store, key: str) -> Evidence | None:
    try:
        return store.load(key).evidence if key else None
    except Fault:
        return None


def _frames(store: Store, key: str) -> bytes:
    path = store.root / "evidence" / key / "frames.bin"
    return path.read_bytes() if key and path.is_file() else b""
