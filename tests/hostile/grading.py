"""Grade what hostile students hand in together with honest ones, in a real sandbox."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_course import notebook, write

from grader.batch import Batch, Silent, execute_starter, score_all
from grader.course import Course
from grader.errors import Fault
from grader.evidence import Evidence
from grader.executor import Local
from grader.intake.folders import Handed
from grader.report.publish import Publisher
from grader.report.tables import file_names, write_reports
from grader.sandbox.base import Sandbox
from grader.store import Store
from grader.symbolic import Symbolic
from hostile.attack import ATTACKS, Host, Seen
from hostile.course import RIGHT, SLUG, WRONG, make_course

TWINS = {"right": RIGHT, "wrong": WRONG}
VARIABLE = "GRADER_TEST_CANARY"


@contextmanager
def host_at(folder: Path) -> Iterator[Host]:
    """Canaries of the host, and a port that listens."""
    secret = "canary-" + secrets.token_hex(8)
    folder.mkdir()
    (folder / "secret.txt").write_text(secret)
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        patch.setenv(VARIABLE, secret)
        host = Host(folder=folder, secret=secret, port=server.getsockname()[1])
        threading.Thread(target=_listen, args=(server, host), daemon=True).start()
        yield host
        server.shutdown(socket.SHUT_RDWR)


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
    seen = _graded(course, sandbox, host, jobs)
    students = {name: ATTACKS[name].student for name in names} | {who: who for who in plain}
    return {name: seen[student] for name, student in students.items()}


def _graded(course: Course, sandbox: Sandbox, host: Host, jobs: int) -> dict[str, Seen]:
    bugs: list[str] = []
    store, out = Store(course.state), course.root / "reports"
    with Symbolic() as symbolic:
        assignment = course.open(SLUG, symbolic)
        handed = Handed(course.root / "submissions" / SLUG, SLUG, assignment.layout)
        plan = assignment.plan(sandbox.image)
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
        scores = list(score_all(assignment, handed, store, bugs))
        publisher = Publisher(assignment, store, handed.read, out, bugs)
        write_reports(
            publisher.published(scores, handed.students), handed.students, assignment.rubric, out
        )
    assert bugs == []
    names = file_names(handed.students)
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
