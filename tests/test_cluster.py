"""Submissions are executed on other machines as they are here, and no lost worker costs points."""

import csv
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxes import runs_with_containers
from cluster_parts import (
    GRADER,
    HASTY,
    PROCESS,
    ROOT,
    Parts,
    environment,
    families,
    free_port,
    guests,
    lines,
    lives,
    lose,
    run,
    working,
)
from frames_of import FakeSandbox
from gpus_of import Lent
from small_course import SOLUTION, frames, make_course, write
from sqlalchemy import select

from grader.cluster.far import FarSandbox
from grader.cluster.messages import Kind, Ran, Request, Worker, WorkerBug, failed, ran, read_reply
from grader.cluster.room import needs, room
from grader.cluster.station import Station
from grader.cluster.trust import security
from grader.database.tables import DECISIONS
from grader.errors import InputError, ProtocolViolation, SandboxFault
from grader.execute import execute
from grader.frames import FrameReader
from grader.intake.folders import Handed
from grader.known import folder_digest
from grader.plan import Limits
from grader.sandbox.base import Cause, Sandbox, Stopped
from grader.sandbox.engine import connect
from grader.sandbox.process import ProcessSandbox
from grader.store import Store
from grader.symbolic import Symbolic

STOPPED = Stopped(cause=Cause.EXITED, exit_code=0, wall_s=1.5, log_tail="ü")
REQUEST = Request(slug="hw", image="fake image", data="", lib="", limits=Limits(memory_mib=512))
SLEEP = "import time; time.sleep(4)"
ENDS_S = 30.0
"""What a box may take to end without its worker: it hears of that at its next word."""


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path)
    try:
        yield made
    finally:
        made.close()


def decided(root: Path) -> list[tuple[str, str]]:
    """Every decision that was ever noted: the student, and the fault if it was one."""
    columns = (DECISIONS.c.student, DECISIONS.c.fault)
    asked = select(*columns).where(DECISIONS.c.journal == "hw")
    with Store(root / ".grader").database.reading() as connection:
        return sorted((student, fault) for student, fault in connection.execute(asked))


def kept(root: Path) -> int:
    """How many runs there is evidence of."""
    return len(list((root / ".grader" / "evidence").glob("*/record.json")))


def totals(root: Path) -> dict[str, str]:
    with (root / "reports" / "hw" / "scores.csv").open() as file:
        return {row["student"]: row["total"] for row in csv.DictReader(file)}


# --- a real cluster -------------------------------------------------------------------------------


@pytest.mark.slow
def test_of_three_workers_one_is_killed_and_every_submission_is_scored_once(
    parts: Parts, tmp_path: Path, scratch: Path
) -> None:
    parts.temporary = scratch
    root = tmp_path / "course"
    students = {f"s{n:02}": [*SOLUTION, f"{SLEEP}  # {n}"] for n in range(6)}
    make_course(root, **students)
    write(root / "reference" / "hw" / "student" / "data" / "train.csv", "1,2")
    write(parts.folder / "given" / "hw" / "data" / "train.csv", "1,2")
    parts.scheduler()
    workers = parts.workers(3, *PROCESS, "--given", str(parts.folder / "given"))
    grading = run(root, "--cluster", parts.address, *parts.trust)
    said = list(lines(grading, r"\[1/6\]"))
    busy = working(workers)
    alone = families(guests(busy))
    lose(busy)
    end = time.monotonic() + ENDS_S
    while any(map(lives, alone)):
        assert time.monotonic() < end, "what it ran ends without it"
        time.sleep(0.05)
    said += lines(grading)
    assert grading.wait() == 1, said  # question 3 waits for a person
    assert f"cluster {parts.address}: 3 workers" in said
    assert any("retry" in line and "a worker was lost while it had this" in line for line in said)
    assert totals(root) == dict.fromkeys(students, "3")
    assert decided(root) == [(student, "") for student in sorted(students)], "decided once"
    assert kept(root) == 1 + len(students)
    assert len(list(scratch.glob("grader-*"))) == 1, "the files of what it ran"
    parts.workers(1, *PROCESS)
    assert list(scratch.glob("grader-*")) == [], "the next worker removes them"


@pytest.mark.slow
def test_a_submission_that_lost_two_workers_waits_for_a_person(
    parts: Parts, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    make_course(root, s01=[*SOLUTION, SLEEP])
    parts.scheduler()
    workers = parts.workers(2, *PROCESS)
    grading = run(root, "--cluster", parts.address, *parts.trust)
    wait_until(lambda: kept(root))  # what students were given
    for _ in workers:
        lose(working(workers))
    said = list(lines(grading))
    assert grading.wait() == 1, said
    lost = "a worker was lost while it had this"
    assert [line for line in said if f"s01: {lost}" in line] == [f"  retry s01: {lost}"]
    assert f"[1/1] s01: needs a person: {lost}" in said
    assert (totals(root), decided(root)) == ({"s01": ""}, [("s01", lost)])


@pytest.mark.slow
def test_an_interrupt_stops_the_workers_and_keeps_what_is_finished(
    parts: Parts, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    make_course(root, **{f"s{n:02}": [SLEEP, SLEEP, f"x = {n}"] for n in range(4)})
    parts.scheduler()
    port = str(free_port())
    workers = [*parts.workers(1, *PROCESS, "--port", port), *parts.workers(1, *PROCESS)]
    assert f":{port}\n" in (parts.folder / "part-1.log").read_text()
    grading = run(root, "--cluster", parts.address, *parts.trust)
    said = list(lines(grading, r"\[2/4\]"))
    wait_until(lambda: all(map(guests, workers)))
    grading.send_signal(signal.SIGINT)
    said += lines(grading)
    assert grading.wait() == 130, said
    assert said[-1] == "interrupted: what is finished is kept; the same command goes on"
    wait_until(lambda: not any(map(guests, workers)))
    assert [fault for _, fault in decided(root)] == ["", ""]
    again = run(root, "--cluster", parts.address, *parts.trust)
    assert "hw: 2 to execute, 2 known from before" in list(lines(again, "known from before"))
    again.kill()  # nobody waits for the rest any more
    again.communicate()
    wait_until(lambda: not any(map(guests, workers)))


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["workers", "scheduler"])
def test_without_anybody_to_execute_the_batch_stops_and_keeps_what_is_finished(
    lost: str, parts: Parts, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    make_course(root, s01=[SLEEP, "1"], s02=[SLEEP, "2"])
    parts.scheduler()
    (worker,) = parts.workers(1, *PROCESS)
    grading = run(root, "--cluster", parts.address, *parts.trust, program=HASTY)
    said = list(lines(grading, r"\[1/2\]"))
    wait_until(lambda: guests(worker))
    lose(worker if lost == "workers" else parts.running[0])
    said += lines(grading)
    assert grading.wait() == 2, said
    says = {
        "scheduler": f"the scheduler at {parts.address} is gone",
        "workers": f"no worker is left at {parts.address} with sandbox 1, MiB 1280: "
        "start some and go on",
    }
    assert " ".join(said).endswith(says[lost]), said
    assert [fault for _, fault in decided(root)] == [""]
    wait_until(lambda: worker.poll() is not None)


def wait_until(fact: Any, wall_s: float = 60) -> None:
    deadline = time.monotonic() + wall_s
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.docker
@pytest.mark.slow
def test_a_worker_executes_in_containers(parts: Parts, tmp_path: Path) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION)
    parts.scheduler()
    parts.workers(1, "--sandbox", "docker", "--jobs", "1", "--memory", "4096")
    grading = run(root, "--cluster", parts.address, *parts.trust)
    said = list(lines(grading))
    assert (grading.wait(), totals(root)) == (1, {"s01": "3"}), said
    assert "sandbox docker, 2 at a time" in said


@pytest.mark.docker
@pytest.mark.slow
def test_the_next_worker_removes_the_containers_of_a_killed_one(
    parts: Parts, tmp_path: Path, scratch: Path
) -> None:
    root = tmp_path / "course"
    make_course(root, s01=[*SOLUTION, SLEEP])
    parts.temporary = scratch
    parts.scheduler()
    options = ("--sandbox", "docker", "--jobs", "1", "--memory", "4096")
    (worker,) = parts.workers(1, *options)
    (owner,) = scratch.glob("grader-*.lock")
    its_own = owner.stem.removeprefix("grader-")
    with closing(connect()) as client:
        grading = run(root, "--cluster", parts.address, *parts.trust)
        wait_until(lambda: its_own in runs_with_containers(client))
        lose(worker)
        assert its_own in runs_with_containers(client), "nobody has removed it yet"
        parts.workers(1, *options)
        assert its_own not in runs_with_containers(client)
    assert not owner.exists()
    said = list(lines(grading))
    assert (grading.wait(), totals(root)) == (1, {"s01": "3"}), said


@pytest.mark.slow
def test_without_the_key_nobody_answers(parts: Parts, tmp_path: Path) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION)
    parts.scheduler()
    stranger = Parts(tmp_path / "course")
    grading = run(root, "--cluster", parts.address, *stranger.trust)
    assert list(lines(grading))[-1] == f"--cluster: no scheduler answers at {parts.address}"
    assert grading.wait() == 2


def told(*command: str) -> tuple[int, str]:
    ran = subprocess.run(
        [*GRADER, *command], capture_output=True, text=True, cwd=ROOT, env=environment()
    )
    return ran.returncode, ran.stderr.splitlines()[-1]


@pytest.mark.slow
def test_an_address_that_cannot_be_used_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, says = told("cluster", "scheduler", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert code == 2
    assert says.startswith("the cluster cannot be joined: ")
    assert "Address already in use" in says


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--sandbox=docker", "--gpus=all", "--runtime=runsc"])
def test_what_a_worker_decides_is_not_said_to_grader_run(option: str, tmp_path: Path) -> None:
    make_course(tmp_path, s01=SOLUTION)
    at = "tcp://127.0.0.1:1"
    says = "--sandbox, --gpus and --runtime are said to `grader cluster worker`"
    submissions = str(tmp_path / "submissions")
    assert told("run", submissions, "--cluster", at, option) == (2, f"--cluster {at}: {says}")


#: A worker of which a part was replaced, by the text that is put in.
OTHERWISE = """
import os
import sys
import grader.cluster.station as station
from distributed.protocol import Serialize
from distributed.worker_state_machine import TaskErredMsg
from grader.errors import InputError, SandboxFault
from rich.console import Console
from grader.cluster.serve import Offer, work
from grader.sandbox.choose import Wish

class Bomb(Exception):
    def __reduce__(self):
        elsewhere = f"__import__('os').getpid() == {os.getpid()} or open({sys.argv[2]!r}, 'w')"
        return (eval, (elsewhere,))

def fails(*args, **more):
    raise SandboxFault("its engine is ill")

def refuses(*args, **more):
    raise InputError("nobody gave me data/")

def answers(request, box):
    return Bomb()

def raises(request, box):
    raise Bomb

def tells(message):
    return whole(message) | {"exception": Serialize(Bomb())}

whole = TaskErredMsg.to_dict

{put_in}
offer = Offer(wish=Wish(name="process", trusted=True), given=None, jobs=1, memory_mib=4096)
work(sys.argv[1], None, offer.station(Console()), offer.resources(), Console())
"""


@pytest.fixture
def open_parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path, tls=False)
    try:
        made.scheduler()
        yield made
    finally:
        made.close()


def otherwise(parts: Parts, put_in: str) -> None:
    program = OTHERWISE.replace("{put_in}", put_in)
    parts.start([sys.executable, "-c", program, parts.address, str(parts.folder / "made")])


@pytest.mark.slow
@pytest.mark.parametrize("does", ["answers", "raises"])
def test_a_worker_that_was_taken_over_runs_nothing_here(
    does: str, open_parts: Parts, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION)
    otherwise(open_parts, f"station.execute_box = {does}")
    grading = run(root, "--cluster", open_parts.address)
    said = list(lines(grading))
    assert grading.wait() == 1, said
    assert not (tmp_path / "made").exists()
    assert totals(root) == {"s01": ""}, "a fault of ours is no zero"


@pytest.mark.slow
def test_a_worker_that_makes_the_grader_deaf_stops_it(open_parts: Parts, tmp_path: Path) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION)
    otherwise(open_parts, "station.execute_box = raises; TaskErredMsg.to_dict = tells")
    grading = run(root, "--cluster", open_parts.address, program=HASTY)
    said = list(lines(grading))
    assert grading.wait() == 2, said
    assert said[-1].endswith(
        "nothing is heard any more: "
        "something on the cluster sent a tblib.pickling_support.unpickle_exception: "
        "a worker may have been taken over (docs/scaling.md)"
    )
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_a_worker_of_somebody_elses_is_none_of_ours(open_parts: Parts, tmp_path: Path) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION)
    theirs = (sys.executable, "-m", "distributed.cli.dask_worker", open_parts.address)
    worker = open_parts.start([*theirs, "--no-nanny", "--no-dashboard"], wait=False)
    open_parts.wait_for(worker, "Registered to")
    said = list(lines(grading := run(root, "--cluster", open_parts.address)))
    assert grading.wait() == 2, said
    assert said[-1].endswith("is no worker of the grader's: start it with `grader cluster worker`")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("does", "told"),
    [("fails", "its engine is ill"), ("refuses", "nobody gave me data/")],
)
def test_what_one_worker_cannot_do_another_one_does(
    does: str, told: str, open_parts: Parts, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    students = {f"s{n}": [*SOLUTION, f"x = {n}"] for n in range(6)}
    make_course(root, **students)
    otherwise(open_parts, f"station.Station._run = {does}")
    open_parts.workers(1, *PROCESS)
    grading = run(root, "--cluster", open_parts.address)
    said = list(lines(grading))
    assert grading.wait() == 1, said  # question 3 waits for a person
    assert any("retry" in line and told in line for line in said), said
    assert totals(root) == dict.fromkeys(students, "3")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_what_fails_on_every_worker_waits_for_a_person(
    count: int, open_parts: Parts, tmp_path: Path
) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION)
    for _ in range(count):
        otherwise(open_parts, "station.Station._run = fails")
    grading = run(root, "--cluster", open_parts.address)
    said = list(lines(grading))
    assert grading.wait() == 1, said
    assert totals(root) == {"s01": ""}, "a fault of ours is no zero"
    ((student, fault),) = decided(root)
    assert (student, fault.split(": ", 1)[1]) == ("s01", "its engine is ill")
    told = [
        re.search(r" s01: (?:needs a person: )?(tcp://\S+): its engine is ill$", line)
        for line in said
    ]
    assert len({found[1] for found in told if found}) == count, said


@pytest.mark.slow
def test_what_no_worker_can_do_is_said_once(open_parts: Parts, tmp_path: Path) -> None:
    root = tmp_path / "course"
    make_course(root, s01=SOLUTION, s02=[*SOLUTION, "x = 1"])
    for _ in range(2):
        otherwise(open_parts, "station.Station._run = refuses")
    grading = run(root, "--cluster", open_parts.address)
    said = list(lines(grading))
    assert grading.wait() == 2, said
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+: nobody gave me data/", said[-1])


# --- what travels ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_worker_gets_names_no_student_and_holds_no_answer(tmp_path: Path) -> None:
    course = make_course(tmp_path, canary_student=["x = 1"])
    with Symbolic(wall_s=20) as symbolic:
        assignment = course.open("hw", symbolic)
    plan = assignment.plan("fake image")
    sent: list[bytes] = []

    class Recording:
        worker = Worker(sandbox="fake", image="fake image", watch_memory=False)

        def send(self, request: Request, box: bytes, but: str) -> bytes:
            sent.extend([request.written(), box])
            reader = FrameReader(box[:32], request.limits)
            told = FakeSandbox(frames(plan.probes, "n^2", 1))
            stopped = told.run(box, reader, limits=request.limits, data=None)
            return ran(stopped, bytes(reader.raw))

        def answer(self, future: bytes, limits: Limits, but: str) -> Ran:
            return read_reply(future, limits)

    cluster: Any = Recording()
    (submission,) = Handed(tmp_path / "submissions" / "hw", "hw")
    run_there = execute(submission, plan, FarSandbox(cluster, plan), None)
    run_here = execute(submission, plan, FakeSandbox(frames(plan.probes, "n^2", 1)), None)
    assert run_there.evidence() == run_here.evidence()
    travelled = b"".join(sent)
    assert b"x = 1" in travelled
    for secret in (b"canary", b"n*(n+1)", b"2 * x", b"squared", b"Because", b"Every pair"):
        assert secret not in travelled


def test_a_request_arrives_as_it_was_written() -> None:
    assert Request.read(REQUEST.written()) == REQUEST


def test_a_reply_arrives_as_it_was_written() -> None:
    reply = ran(STOPPED, b"frames\nand more")
    assert read_reply(reply, Limits()) == Ran(STOPPED, b"frames\nand more")


@pytest.mark.parametrize(
    ("kind", "raised"),
    [(Kind.FAULT, SandboxFault), (Kind.REFUSED, InputError), (Kind.BUG, WorkerBug)],
)
def test_what_a_worker_could_not_do_is_raised_here(kind: Kind, raised: type[Exception]) -> None:
    with pytest.raises(raised, match=r"^its words$"):
        read_reply(failed(kind, "its words"), Limits())


@pytest.mark.parametrize(
    "reply",
    [
        None,
        "text",
        b"",
        b"no line",
        b"[]\n",
        b'{"kind": "full_marks"}\n',
        b'{"kind": "ran"}\n',
        ran(STOPPED, b"").replace(b'"exit_code": 0', b'"exit_code": "0"'),
        ran(STOPPED, b"").replace(b'"exited"', b'"well"'),
        ran(STOPPED, b"").replace(b'"wall_s": 1.5', b'"wall_s": NaN'),
        ran(STOPPED, b"x" * ((1 << 20) + (1 << 20))),
    ],
)
def test_what_is_no_reply_is_a_fault(reply: object) -> None:
    with pytest.raises(ProtocolViolation):
        read_reply(reply, Limits(evidence_mib=1, value_mib=1))


@pytest.mark.parametrize("told", [b"{}\n", b'{"sandbox": 1, "image": "", "watch_memory": true}\n'])
def test_what_does_not_say_what_it_is_is_no_worker(told: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        Worker.read(told)


def test_a_worker_says_what_it_is() -> None:
    worker = Worker(sandbox="docker", image="sha256:1", watch_memory=False)
    assert Worker.read(worker.written()) == worker


def test_room_is_what_the_scarcest_resource_allows() -> None:
    limits = Limits(memory_mib=3000, threads=2)
    assert needs(limits) == {"sandbox": 2, "MiB": 3256}
    assert room({"sandbox": 8, "MiB": 10_000}, limits) == 3
    assert room({"sandbox": 4, "MiB": 10_000}, limits) == 2
    assert room({"sandbox": 8, "MiB": 10_000}, replace(limits, gpu=True)) == 0
    assert room({"sandbox": 8, "MiB": 10_000, "GPU": 1}, replace(limits, gpu=True)) == 1


# --- a worker, without Dask -----------------------------------------------------------------------


class Stationed:
    """A station over a fake sandbox, which shows the folders that it was given."""

    def __init__(self, given: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[Path | None] = []
        outer = self

        class Showing(FakeSandbox):
            closed = False

            def run(self, *args: Any, data: Path | None, **more: Any) -> Stopped:
                outer.shown.append(data)
                if self.closed:
                    raise SandboxFault("the sandbox is closed")
                return STOPPED

            def close(self) -> None:
                self.closed = True

        sandbox: Sandbox = Showing()
        monkeypatch.setattr("grader.cluster.station._address", lambda: "tcp://here")
        self.station = Station(lambda: closing(sandbox), given)

    def told(self, **change: Any) -> Any:
        reply = self.station.execute(replace(REQUEST, **change), bytes(40), "key")
        return read_reply(reply, Limits())


def test_a_worker_refuses_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    says = "tcp://here: expected the environment newer image, have fake image"
    with pytest.raises(InputError, match=says):
        Stationed(None, monkeypatch).told(image="newer image")


def test_a_worker_shows_what_students_were_given_if_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "hw" / "data" / "train.csv", "1,2")
    digest = folder_digest(tmp_path / "hw" / "data")
    at = Stationed(tmp_path, monkeypatch)
    assert at.told(data=digest) == Ran(STOPPED, b"")
    assert at.told() == Ran(STOPPED, b"")
    assert at.shown == [tmp_path / "hw" / "data", None]
    write(tmp_path / "hw" / "data" / "train.csv", "1,3")
    with pytest.raises(InputError, match="grader release hw"):
        Stationed(tmp_path, monkeypatch).told(data=digest)
    with pytest.raises(InputError, match="lib, found none: copy what `grader release hw` writes"):
        at.told(lib=digest)
    with pytest.raises(InputError, match="hw needs data/, and the worker was started without"):
        Stationed(None, monkeypatch).told(data=digest)


def test_a_worker_whose_gpus_are_in_quarantine_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "GPU-0", "it keeps 900 MiB")
    at, sandbox = Stationed(None, monkeypatch), ProcessSandbox(gpus=Lent(tmp_path, 8000).gpus)
    at.station.sandbox = sandbox
    with pytest.raises(SandboxFault, match=r"^tcp://here: .*it keeps 900 MiB"):
        at.told(image=sandbox.image, limits=replace(REQUEST.limits, gpu=True))


def test_a_reader_that_is_stopped_waits_no_longer() -> None:
    reader = FrameReader(bytes(32), Limits())
    assert reader.deadline() > time.monotonic()
    reader.stop()
    assert reader.deadline() <= time.monotonic()


# --- trust ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (
            "tcp://10.0.0.1:8786",
            "whoever reaches it runs code on the workers: tls:// and",
        ),
        ("tcp://0.0.0.0:8786", "whoever reaches it runs code on the workers: tls:// and"),
        ("tls://10.0.0.1:8786", "--tls DIR with cert.pem and key.pem is missing"),
        ("10.0.0.1:8786", "expected an address such as tls://HOST:8786, found 10.0.0.1:8786"),
    ],
)
def test_between_machines_there_is_no_cluster_without_a_key(address: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        security(address, None)


def test_a_key_is_not_used_in_the_open(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="with --tls the address begins with tls://"):
        security("tcp://127.0.0.1:1", tmp_path)


def test_a_missing_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cert\.pem cannot be read: No such file"):
        security("tls://10.0.0.1:8786", tmp_path)


GUARD = """
import copyreg, pickle, sys, threading
from collections import OrderedDict
from grader.cluster.guard import guarded
from grader.errors import ProtocolViolation

def read(data):
    try:
        found.append(pickle.loads(data))
    except ProtocolViolation as refused:
        found.append(str(refused))

def elsewhere(data):
    thread = threading.Thread(target=read, args=(data,))
    thread.start()
    thread.join()

found = []
evil = b"cos\\nsystem\\n(S'true'\\ntR."
with guarded():
    elsewhere(evil)
    elsewhere(pickle.dumps({"plain": [1, b"bytes"]}))
    elsewhere(pickle.dumps(OrderedDict()))
    read(pickle.dumps(OrderedDict()))
elsewhere(pickle.dumps(OrderedDict()))
print(found)
"""


def test_nothing_that_comes_from_a_cluster_is_looked_up() -> None:
    ran = subprocess.run([sys.executable, "-c", GUARD], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == (
        "['something on the cluster sent a os.system', {'plain': [1, b'bytes']}, "
        "'something on the cluster sent a collections.OrderedDict', OrderedDict(), OrderedDict()]"
    )
