"""A course's database: on SQLite and on a PostgreSQL server, nothing is lost on the way into it."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from postgres import Server
from sqlalchemy import func, insert, inspect, select
from test_grades import ROWS, grade_of

import grader.database.opening as opening
import grader.database.steps as steps
from grader.database.opening import Database
from grader.database.steps import STEPS, Step
from grader.database.tables import COURSE, DECISIONS, META, SCORES, SCORINGS
from grader.errors import InputError, StoreFault
from grader.grades.store import open_grades
from grader.store import Entry, Store


def decision(student: str = "s01", **fields: str) -> dict[str, str]:
    blank = dict.fromkeys(("submission", "key", "plan", "fault", "at"), "")
    return {"journal": "hw", "student": student, **blank, **fields}


def test_the_tables_have_the_columns_that_are_asked_of_them(
    tmp_path: Path, database_url: str
) -> None:
    with Database(tmp_path, database_url).writing() as connection:
        there = inspect(connection)
        assert set(there.get_table_names()) == set(META.tables)
        for table in META.sorted_tables:
            found = {column["name"] for column in there.get_columns(table.name)}
            assert found == {column.name for column in table.columns}, table.name


def test_any_text_comes_back_as_it_went_in(tmp_path: Path, database_url: str) -> None:
    texts = ["", "plain", "caf\u00e9 \U0001f600", "not \udcff UTF-8", "a\0b", "\x1a[1]", "%s :name"]
    told = [decision(f"s{number}", fault=text) for number, text in enumerate(texts)]
    database = Database(tmp_path, database_url)
    with database.writing() as connection:
        connection.execute(insert(DECISIONS), told)
    with database.reading() as connection:
        asked = select(DECISIONS.c.fault).order_by(DECISIONS.c.number)
        assert list(connection.scalars(asked)) == texts


def test_what_is_raised_undoes_the_transaction(tmp_path: Path, database_url: str) -> None:
    database = Database(tmp_path, database_url)

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(insert(DECISIONS), decision())
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        fail()
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(DECISIONS)) == 0


def test_of_two_who_write_the_second_sees_what_the_first_did(
    tmp_path: Path, database_url: str
) -> None:
    database, counted = Database(tmp_path, database_url), []
    with database.writing():
        pass  # it is made, so that both begin alike
    start = threading.Barrier(8)

    def count() -> None:
        start.wait()
        with database.writing() as connection:
            found = connection.scalar(select(func.count()).select_from(DECISIONS))
            connection.execute(insert(DECISIONS), decision())
            counted.append(found)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == list(range(8))


def test_a_database_is_made_once_by_many_who_come_at_once(
    tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "hw.jsonl").write_text(json.dumps(line("s01")) + "\n")
    start, found = threading.Barrier(6), []

    def read() -> None:
        start.wait()
        with Database(tmp_path, database_url).reading() as connection:
            found.append(connection.scalar(select(func.count()).select_from(DECISIONS)))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 6


def test_what_is_only_read_waits_for_nobody_who_writes(tmp_path: Path, database_url: str) -> None:
    database = Database(tmp_path, database_url)
    with database.writing() as connection:
        connection.execute(insert(DECISIONS), decision("s01"))
    with database.writing() as writing:
        writing.execute(insert(DECISIONS), decision("s02"))
        with database.reading() as connection:
            assert list(connection.scalars(select(DECISIONS.c.student))) == ["s01"]


def test_what_is_only_read_can_write_nothing_on_a_server(
    tmp_path: Path, postgres_server: Server
) -> None:
    database = Database(tmp_path, postgres_server.new())
    with (
        pytest.raises(StoreFault, match="cannot execute INSERT in a read-only transaction"),
        database.reading() as connection,
    ):
        connection.execute(insert(DECISIONS), decision())


def journal_of(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "grader.db")) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_sqlite_writes_ahead_and_leaves_one_file(tmp_path: Path) -> None:
    with Database(tmp_path).writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
    assert [path.name for path in tmp_path.iterdir()] == ["grader.db"]


def test_sqlite_needs_no_shared_memory_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "course").mkdir()
    with Database(tmp_path / "course").writing():
        pass
    assert journal_of(tmp_path / "course") == "wal"

    # The same course, now reached through NFS. No file server is at hand: the mount is made up.
    opening._server.cache_clear()
    part = psutil.disk_partitions()[0]
    mounts = [part, part._replace(mountpoint=str(tmp_path), fstype="nfs4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    with Database(tmp_path / "course").writing() as connection:
        connection.execute(insert(DECISIONS), decision())
    opening._server.cache_clear()
    assert journal_of(tmp_path / "course") == "delete"


def test_a_log_that_a_killed_grader_left_is_read(tmp_path: Path) -> None:
    writes = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import insert
from grader.database.opening import Database
from grader.database.tables import COURSE, DECISIONS
database = Database(Path(sys.argv[1]))
with database.reading():
    with database.writing() as connection:
        blank = dict.fromkeys(("submission", "key", "plan", "fault", "at"), "")
        connection.execute(insert(DECISIONS), {"journal": "hw", "student": "s01", **blank})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", writes, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "grader.db-wal").stat().st_size > 0
    with Database(tmp_path).reading() as connection:
        assert list(connection.scalars(select(DECISIONS.c.student))) == ["s01"]
    assert [path.name for path in tmp_path.iterdir()] == ["grader.db"]


def test_an_older_database_is_brought_up_to_date_and_a_newer_one_refused(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path, database_url)
    with database.writing() as connection:
        connection.execute(insert(DECISIONS), decision())
    later = Step(both=("CREATE TABLE later (number {numbered}, name TEXT)",))
    with monkeypatch.context() as patched:
        for module in (steps, opening):
            patched.setattr(module, "STEPS", (*STEPS, later))
        with database.reading() as connection:
            assert inspect(connection).has_table("later")
            assert connection.scalar(select(func.count()).select_from(DECISIONS)) == 1
    says = "expected a database of version 1 or older, found 2: use the newer grader"
    with pytest.raises(InputError, match=says), database.reading():
        pass


def test_a_damaged_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "grader.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreFault, match="file is not a database"), Database(tmp_path).reading():
        pass


def test_a_server_that_does_not_answer_is_a_fault_and_no_password_is_said(tmp_path: Path) -> None:
    database = Database(tmp_path, "postgresql://ann:secret@127.0.0.1:1/course")
    with pytest.raises(StoreFault, match="cannot be used") as raised, database.reading():
        pass
    assert "secret" not in str(raised.value)
    assert "postgresql://127.0.0.1:1/course cannot" in str(raised.value)


@pytest.mark.slow
def test_a_server_that_starts_anew_is_waited_for(tmp_path: Path, postgres_server: Server) -> None:
    store = Store(tmp_path, postgres_server.new())
    store.note("hw", Entry(student="s01", submission="x"))
    postgres_server.stop()
    try:
        starting = threading.Timer(2, postgres_server.start)
        starting.start()
        store.note("hw", Entry(student="s02", submission="x"))
        assert set(store.entries("hw")) == {"s01", "s02"}
    finally:
        starting.join()
        postgres_server.wait()


@pytest.mark.parametrize(
    "url",
    ["mysql://h/db", "no url", "postgresql://h:port/db", "sqlite:///here.db", "sqlite://"],
    ids=["no server of ours", "no URL", "no port", "another file in every folder", "memory"],
)
def test_a_url_of_no_known_server_is_refused(tmp_path: Path, url: str) -> None:
    says = "--database: expected postgresql://user@host/name or sqlite:////folder/file"
    with pytest.raises(InputError, match=says), Database(tmp_path, url).reading():
        pass


# --- what was there before -----------------------------------------------------------------------


def line(student: str, key: str = "k", fault: str = "") -> dict[str, str]:
    return {"student": student, "submission": "d", "key": key, "plan": "p", "fault": fault}


OLD = (
    """CREATE TABLE grades (
        number INTEGER PRIMARY KEY, row TEXT NOT NULL, assignment TEXT NOT NULL,
        student TEXT NOT NULL, question TEXT NOT NULL, "check" TEXT NOT NULL,
        kind TEXT NOT NULL, points TEXT NOT NULL, max_points REAL NOT NULL,
        comment TEXT NOT NULL, "by" TEXT NOT NULL, at TEXT NOT NULL,
        text TEXT NOT NULL, submission TEXT NOT NULL)""",
    """CREATE TRIGGER grades_stay BEFORE UPDATE ON grades
        BEGIN SELECT RAISE(ABORT, 'a grade is never changed'); END""",
    """CREATE TABLE expected (
        row TEXT PRIMARY KEY, assignment TEXT NOT NULL, student TEXT NOT NULL,
        question TEXT NOT NULL, "check" TEXT NOT NULL, kind TEXT NOT NULL,
        max_points REAL NOT NULL, text TEXT NOT NULL, submission TEXT NOT NULL)""",
    "PRAGMA user_version = 1",
)


def write_earlier(state: Path) -> None:
    """What a grader kept that had no database of its own: as it was released."""
    state.mkdir(exist_ok=True)
    with sqlite3.connect(state / "grades.db") as old:
        for statement in OLD:
            old.execute(statement)
        for row in ROWS[:2]:
            fields = (row.id, "hw", row.student, row.question, row.check, row.kind)
            digests = (row.version.text, row.version.submission)
            old.execute(
                "INSERT INTO expected VALUES (?,?,?,?,?,?,?,?,?)",
                (*fields, row.max_points, *digests),
            )
            for points in ("0.5", "1"):
                given = (points, row.max_points, "Why.", "ann", "2026-01-02", *digests)
                old.execute(
                    f"INSERT INTO grades VALUES (NULL{',?' * 13})",  # noqa: S608
                    (*fields, *given),
                )
    old.close()
    (state / "runs").mkdir()
    told = [line("s01", "old"), line("s01", "new"), line("s02", "", "it broke")]
    text = "\n" + "\n\n".join(map(json.dumps, told)) + '\n{"student": "s03", "subm'
    (state / "runs" / "hw.jsonl").write_text(text)
    (state / "runs" / "hw.starter.jsonl").write_text(json.dumps(line("(template)")) + "\n")


def test_what_earlier_graders_kept_is_taken_over_once_and_whole(
    tmp_path: Path, database_url: str
) -> None:
    write_earlier(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    store = Store(tmp_path, database_url)
    for _ in range(2):
        assert store.entries("hw") == {
            "s01": Entry(**line("s01", "new")),
            "s02": Entry(**line("s02", "", "it broke")),
        }
        assert store.entries("hw.starter") == {"(template)": Entry(**line("(template)"))}
        with open_grades(tmp_path, database_url, reading=True) as grades:
            assert [(g.row, g.points, g.by) for g in grades.history("hw")] == [
                (row, points, "ann") for row in ROWS[:2] for points in ("0.5", "1")
            ]
            assert set(grades.expected("hw")) == {row.id for row in ROWS[:2]}
    new = grade_of(ROWS[0], "0")
    with open_grades(tmp_path, database_url) as grades:
        grades.add([new])
    with open_grades(tmp_path, database_url, reading=True) as grades:
        assert grades.current("hw")[ROWS[0].id] == new
        assert grades.last == 5
    assert {path: path.read_bytes() for path in before} == before


def test_grades_of_a_version_that_nobody_knows_are_not_passed_over(tmp_path: Path) -> None:
    write_earlier(tmp_path)
    with sqlite3.connect(tmp_path / "grades.db") as old:
        old.execute("PRAGMA user_version = 7")
    old.close()
    for _ in range(2):
        with pytest.raises(InputError, match="expected version 1, found 7"):
            Store(tmp_path).entries("hw")


def all_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a database, by table."""
    (store.root / "database").unlink(missing_ok=True)
    with store.database.reading() as connection:
        tables = [table for table in META.sorted_tables if table is not COURSE]
        asked = {table.name: select(table).order_by(*table.primary_key) for table in tables}
        return {name: [tuple(row) for row in connection.execute(of)] for name, of in asked.items()}


def test_a_course_moves_to_a_server_with_all_that_it_has(
    tmp_path: Path, postgres_server: Server
) -> None:
    write_earlier(tmp_path)
    here = Store(tmp_path)
    here.note("hw", Entry(student="s09", submission="x", key="y"))
    scoring = dict.fromkeys(("at", "grader", "rubric", "questions", "reference", "data"), "")
    score = {"scoring": 1, "student": "s09", "submission": "", "evidence": "", "status": ""}
    with here.database.writing() as connection:
        connection.execute(insert(SCORINGS), {**scoring, "assignment": "hw", "last_grade": 0})
        connection.execute(insert(SCORES), {**score, "total": 0.1, "score": "{}"})
    there = Store(tmp_path, postgres_server.new())
    assert all_of(there) == all_of(here)
    there.note("hw", Entry(student="s10", submission="x", key="y"))
    assert "s10" in there.entries("hw")


def test_no_course_comes_into_the_database_of_another(
    tmp_path: Path, postgres_server: Server
) -> None:
    there = postgres_server.new()
    ours, theirs = Store(tmp_path / "ours", there), Store(tmp_path / "theirs", there)
    ours.note("hw", Entry(student="s01", submission="x"))
    Store(tmp_path / "theirs").note("hw", Entry(student="s02", submission="y"))
    says = "expected a database of this course's own, found another course's in postgresql"
    for asked in (
        lambda: theirs.entries("hw"),
        lambda: theirs.note("hw", Entry(student="s03", submission="z")),
    ):
        with pytest.raises(InputError, match=says):
            asked()
    assert set(ours.entries("hw")) == {"s01"}
    # Nor has the other course lost anything, or become bound to a database that is not its own.
    assert set(Store(tmp_path / "theirs").entries("hw")) == {"s02"}
    # A copy of the course's folder is the same course.
    shutil.copytree(tmp_path / "ours", tmp_path / "copy")
    assert set(Store(tmp_path / "copy", there).entries("hw")) == {"s01"}


def test_the_file_in_another_courses_folder_is_that_courses(tmp_path: Path) -> None:
    ours, file = tmp_path / "ours", tmp_path / "ours" / "grader.db"
    Store(ours).note("hw", Entry(student="s01", submission="x"))
    says = "expected a database of this course's own, found another course's in sqlite"
    with pytest.raises(InputError, match=says):
        Store(tmp_path / "theirs", f"sqlite:///{file}").entries("hw")
    Store(ours, f"sqlite:///{file}").note("hw", Entry(student="s02", submission="x"))
    assert set(Store(ours).entries("hw")) == {"s01", "s02"}


def test_a_database_whose_first_transaction_failed_is_claimed_by_the_next(
    tmp_path: Path, database_url: str
) -> None:
    database = Database(tmp_path, database_url or f"sqlite:///{tmp_path}/there.db")
    with pytest.raises(ZeroDivisionError), database.writing():
        raise ZeroDivisionError
    with database.writing() as connection:
        (found,) = connection.scalars(select(COURSE.c.id))
    assert (tmp_path / "course").read_text().strip() == found


def test_a_course_that_moved_is_not_begun_anew_by_whoever_forgets_where(
    tmp_path: Path, postgres_server: Server
) -> None:
    there = postgres_server.new()
    Store(tmp_path, there).note("hw", Entry(student="s01", submission="x"))
    for url in ("", postgres_server.new()):
        with pytest.raises(InputError, match="expected the course's database, postgresql"):
            Store(tmp_path, url).entries("hw")
    (tmp_path / "database").write_text("")  # as a grader that was killed might leave it
    Store(tmp_path, there).note("hw", Entry(student="s02", submission="x"))
    with pytest.raises(InputError, match="expected the course's database, postgresql"):
        Store(tmp_path).entries("hw")
    (tmp_path / "database").unlink()
    assert Store(tmp_path).entries("hw") == {}
    assert set(Store(tmp_path, there).entries("hw")) == {"s01", "s02"}
