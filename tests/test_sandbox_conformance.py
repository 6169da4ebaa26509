"""What every sandbox must do, put to the real things; what one cannot do is named in `KNOWN`.

A case is a function that asserts. Where `KNOWN` names it for a sandbox it must fail there, so that
no exception outlives its reason.
"""

from __future__ import annotations

import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import standin
from boxes import CANARY, LIMITS, Boxed, Opener, Place, finish, plan_of, run
from conftest import engine_of, open_sandbox
from guest_driver import module, submission_of

from grader.errors import SandboxFault
from grader.execute import execute
from grader.frames import FrameReader
from grader.sandbox import docker, environment
from grader.sandbox.base import Cause

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these cases look into /proc")

ROOT = os.geteuid() == 0

NOTHING = "it isolates nothing: the notebook has the user's files, rights and network"
KNOWN: dict[str, dict[str, str]] = {
    "docker": {},
    "docker-warm": {},
    "bubblewrap": {},
    "process": dict.fromkeys(
        (
            "it reaches no network",
            "it sees no file of the host",
            "it writes nowhere but to its scratch space",
            "it has no rights",
            "dangerous system calls are refused",
            "scratch space is limited",
            "processes are limited",
            "killing the guest does no harm",
            "two runs share no files",
        ),
        NOTHING,
    ),
}
AS_ROOT = (
    "the kernel cannot look into the guest",
    "the data is there and cannot be changed",
    "packages of the course cannot be changed",
)
if ROOT:
    KNOWN["process"] |= dict.fromkeys(AS_ROOT, "run as root, and root may do anything")

#: Entries of hostile/catalogue.yaml that a case proves to get nowhere.
PROVES: dict[str, tuple[str, ...]] = {
    "it reaches no network": ("AL-03",),
    "it is told nothing but the fixed environment": ("RS-15",),
    "it sees no variable of the host": ("AL-08",),
    "it sees no file of the host": ("AL-01", "XS-01"),
    "it writes nowhere but to its scratch space": ("RX-04", "XS-02"),
    "it has no rights": ("HE-05", "HE-06"),
    "dangerous system calls are refused": ("HE-05", "AL-04", "XS-04"),
    "the kernel cannot look into the guest": ("RS-13",),
    "scratch space is limited": ("RX-04",),
    "processes are limited": ("RX-02",),
    "too much memory ends as that": ("RX-03",),
    "a kernel that exits costs one cell": ("RE-01",),
    "an endless loop ends with its cell": ("RX-01",),
    "a guest that hangs is stopped from outside": ("RX-01",),
    "a missing end is seen": ("RE-06",),
    "a flood is cut at once": ("RX-05",),
    "a flood of errors is drained and ends in time": ("RX-05",),
    "a forged frame is refused": ("RS-07",),
    "bytes after the end are refused": ("RS-07",),
    "what a notebook prints is text and bounded": ("RS-07", "RX-05"),
    "a grandchild does not outlive the run": ("RX-08",),
    "killing the guest does no harm": ("RE-05",),
    "two runs share no files": ("XS-02",),
    "the data is there and cannot be changed": ("XS-02",),
    "packages of the course cannot be changed": ("XS-02",),
    "no file lies where it must not": ("HE-03",),
    "a guest that cannot start is a fault": ("RE-04",),
    "several at once do not mix": ("XS-01",),
}


Case = Callable[[Place], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """Keep a case under the sentence that its name makes."""
    CASES[function.__name__.replace("_", " ")] = function
    return function


@case
def a_good_notebook_completes(place: Place) -> None:
    ran = run(place.sandbox, "import torch\nx = torch.ones(3)", "y = x.sum().item()", ask=("y",))
    assert (ran.kinds, ran.exit_code) == (["ready", "cell", "cell", "probe", "end"], 0), ran.log
    assert (ran.stopped.cause, ran.end["ending"]) == (Cause.EXITED, "complete")
    assert ran.seen() == {"y": 3.0}


@case
def it_reaches_no_network(place: Place) -> None:
    seen = place.survey()
    assert (seen["interfaces"], seen["reached"], seen["resolved"]) == (["lo"], [], None)


@case
def it_is_told_nothing_but_the_fixed_environment(place: Place) -> None:
    told = place.survey()["environment"]
    work = told["HOME"]
    fixed = environment.variables(work=work, path=told["PATH"], threads=2, gpu=False)
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(Path(work).parent / "tmp"))
    added = {"docker": {"HOSTNAME": "box"}, "bubblewrap": {"PWD": "/work"}, "process": temporary}
    assert told == fixed | added[engine_of(place.name)]


@case
def it_sees_no_variable_of_the_host(place: Place) -> None:
    seen = place.survey()
    if place.name == "process":  # the environments of other processes are theirs to see
        assert CANARY not in str(seen["environment"])
    else:
        assert CANARY not in str(seen["environments"])


@case
def it_sees_no_file_of_the_host(place: Place) -> None:
    files = place.survey()["files"]
    assert {path: text for path, text in files.items() if text.strip() != "box"} == {}


@case
def it_writes_nowhere_but_to_its_scratch_space(place: Place) -> None:
    assert place.survey()["written"] == []


@case
def it_has_no_rights(place: Place) -> None:
    none = "0" * 16
    assert place.survey()["status"] == {
        "Uid": "10001",
        "CapEff": none,
        "CapBnd": none,
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }


@case
def dangerous_system_calls_are_refused(place: Place) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the numbers of system calls are those of x86-64")
    calls = place.survey()["calls"]
    assert calls == dict.fromkeys(calls, "EPERM") | {"clone3": "ENOSYS"}


@case
def the_kernel_cannot_look_into_the_guest(place: Place) -> None:
    assert place.survey()["opened"] == []


@case
def scratch_space_is_limited(place: Place) -> None:
    fill = """
written = 0
try:
    with open("big", "wb") as file:
        for _ in range(128):
            written += file.write(bytes(1 << 20)) >> 20
            file.flush()
except OSError as error:
    print(error)
import os
os.unlink("big")
"""
    ran = run(place.sandbox, fill, "ok = True", ask=("written", "ok"), scratch_mib=64)
    assert ran.seen() == {"written": pytest.approx(63, abs=2), "ok": True}
    assert "No space left" in ran.texts[0]


@case
def processes_are_limited(place: Place) -> None:
    fork = """
import os, signal, time
children = []
try:
    for _ in range(120):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        children.append(child)
except OSError as error:
    print(error)
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
count = len(children)
"""
    ran = run(place.sandbox, fork, "ok = True", ask=("count", "ok"), processes=100)
    seen = ran.seen()
    assert seen["ok"] is True
    assert 20 < seen["count"] < 100


@case
def too_much_memory_ends_as_that(place: Place) -> None:
    balloon = """
import time
kept = []
for _ in range(60):
    kept.append(bytearray(b"x") * (32 << 20))
    time.sleep(0.02)
"""
    ran = run(place.sandbox, "early = 1", balloon, "late = 2", ask=("early", "late"))
    assert ran.statuses == ["ok", "memory", "ok"], (ran.frames, ran.stopped)
    assert ran.ended
    assert ran.seen() == {"early": 1, "late": 2}


@case
def a_kernel_that_exits_costs_one_cell(place: Place) -> None:
    ran = run(place.sandbox, "a = 1", "import os; os._exit(0)", "b = 2", ask=("a", "b"))
    assert ran.statuses == ["ok", "died", "ok"]
    assert (ran.seen(), ran.ended) == ({"a": 1, "b": 2}, True)


@case
def an_endless_loop_ends_with_its_cell(place: Place) -> None:
    ran = run(place.sandbox, "a = 1", "while True: pass", ask=("a",), cell_s=1)
    assert ran.statuses == ["ok", "timeout"]
    assert (ran.seen(), ran.ended) == ({"a": 1}, True)
    assert ran.stopped.wall_s < 20


@case
def a_guest_that_hangs_is_stopped_from_outside(place: Place) -> None:
    ran = place.standin(standin.HANGS, total_s=0.5, slack_s=0.5)
    assert (ran.stopped.cause, ran.ready, ran.ended) == (Cause.BACKSTOP, True, False)
    assert ran.stopped.wall_s < 10


@case
def a_guest_that_never_starts_is_stopped_from_outside(place: Place) -> None:
    ran = place.standin(standin.NEVER_READY, start_s=1)
    assert (ran.stopped.cause, ran.ready) == (Cause.BACKSTOP, False)
    assert ran.stopped.wall_s < 10


@case
def a_guest_that_closes_its_output_but_stays_is_stopped(place: Place) -> None:
    ran = place.standin(standin.SILENT_BUT_ALIVE, total_s=0.5, slack_s=0.5)
    assert (ran.ended, ran.stopped.wall_s < 10) == (True, True)


@case
def a_missing_end_is_seen(place: Place) -> None:
    ran = place.standin(standin.DIES)
    assert (ran.stopped.cause, ran.exit_code) == (Cause.EXITED, 3)
    assert (ran.ready, ran.ended, ran.log) == (True, False, "what it said last")


@case
def a_flood_is_cut_at_once(place: Place) -> None:
    ran = place.standin(standin.FLOODS)
    assert (ran.stopped.cause, ran.kinds) == (Cause.VIOLATION, ["ready"])
    assert ran.stopped.violation == "a frame does not start as frames do"
    assert ran.stopped.wall_s < 10


@case
def a_flood_of_errors_is_drained_and_ends_in_time(place: Place) -> None:
    ran = place.standin(standin.FLOODS_ERRORS, total_s=1, slack_s=0.5)
    assert (ran.stopped.cause, len(ran.log)) == (Cause.BACKSTOP, 8192)
    assert ran.stopped.wall_s < 15


@case
def a_forged_frame_is_refused(place: Place) -> None:
    ran = place.standin(standin.FORGES)
    assert ran.stopped.cause is Cause.VIOLATION
    assert (ran.kinds, ran.ended) == (["ready"], False)
    assert ran.stopped.violation == "a frame was not written by our guest"


@case
def bytes_after_the_end_are_refused(place: Place) -> None:
    ran = place.standin(standin.SAYS_TOO_MUCH)
    assert ran.stopped.cause is Cause.VIOLATION


@case
def what_a_notebook_prints_is_text_and_bounded(place: Place) -> None:
    flood = """
import os
os.write(1, b"NGE1" + bytes(28))
for _ in range(1000):
    print("x" * 100_000)
"""
    ran = run(place.sandbox, flood, "a = 1", ask=("a",))
    assert (ran.statuses, ran.seen()) == (["ok", "ok"], {"a": 1})
    assert len(ran.texts[0]) < 3 * LIMITS.text_kib << 10


@case
def much_goes_in_and_out_at_once(place: Place) -> None:
    size = 20 << 20
    ran = place.standin(standin.BOTH_WAYS, box=bytes(size))
    assert (ran.stopped.cause, ran.ended, ran.frames[-2].header["size"]) == (
        Cause.EXITED,
        True,
        size,
    )
    assert sum(len(frame.payload) for frame in ran.frames) == 20 << 20
    assert ran.stopped.wall_s < 20


@case
def a_grandchild_does_not_outlive_the_run(place: Place) -> None:
    seconds = f"86{secrets.randbelow(10**6):06}"
    escape = f"""
import os, subprocess, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        os.execv("/bin/sleep", ["sleep", "{seconds}"])
    os._exit(0)
time.sleep(0.5)
alive = any(
    b"{seconds}" in open(f"/proc/{{pid}}/cmdline", "rb").read()
    for pid in os.listdir("/proc") if pid.isdigit()
)
"""
    ran = run(place.sandbox, escape, ask=("alive",))
    assert ran.seen() == {"alive": True}
    assert [
        p for p in psutil.process_iter(["cmdline"]) if seconds in (p.info["cmdline"] or ())
    ] == []


@case
def killing_the_guest_does_no_harm(place: Place) -> None:
    signals = ["KILL"] if place.name == "process" else ["KILL", "STOP", "TERM"]
    kill = f"""
import os, signal
for name in {signals}:
    os.kill(os.getppid(), getattr(signal, "SIG" + name))
"""
    ran = run(place.sandbox, kill, "a = 1", ask=("a",))
    assert (ran.ended, ran.seen()) == (True, {"a": 1})


@case
def two_runs_share_no_files(place: Place) -> None:
    name = f"left-{secrets.token_hex(8)}"
    places = [f"{folder}/{name}" for folder in (".", "/tmp", "/dev/shm")]  # noqa: S108
    try:
        first = run(place.sandbox, f"for path in {places}: open(path, 'w').write('mine')")
        assert first.statuses == ["ok"]
        look = f"import os\nfound = [path for path in {places} if os.path.exists(path)]"
        assert run(place.sandbox, look, ask=("found",)).seen() == {"found": []}
    finally:
        for path in places[1:]:
            Path(path).unlink(missing_ok=True)


@case
def the_data_is_there_and_cannot_be_changed(place: Place) -> None:
    data = place.folder / "data"
    (data / "inner").mkdir(parents=True)
    (data / "inner" / "numbers.txt").write_text("1 2 3")
    change = """
import os
text, changed = open("data/inner/numbers.txt").read(), []
for name, try_it in {
    "write": lambda: open("data/inner/numbers.txt", "w"),
    "create": lambda: open("data/new", "w"),
    "remove": lambda: os.unlink("data/inner/numbers.txt"),
    "rename": lambda: os.rename("data/inner", "data/other"),
}.items():
    try:
        try_it()
        changed.append(name)
    except OSError:
        pass
"""
    ran = run(place.sandbox, change, ask=("text", "changed"), data=data)
    assert (data / "inner" / "numbers.txt").read_text() == "1 2 3"
    assert ran.seen() == {"text": "1 2 3", "changed": []}


@case
def files_lie_beside_the_notebook(place: Place) -> None:
    files: dict[str, str | bytes] = {
        "weights.bin": bytes(range(256)),
        "inner/deep/words.txt": "one\n",
        "own.py": "x = 5",
    }
    read = """
from own import x
weights = open("weights.bin", "rb").read() == bytes(range(256))
words = open("inner/deep/words.txt").read()
open("words.txt", "w").write(words)
open("own.py", "w").write("x = 6")
"""
    ran = run(place.sandbox, read, files=files, ask=("x", "weights", "words"))
    assert ran.statuses == ["ok"], ran.receipts
    assert ran.seen() == {"x": 5, "weights": True, "words": "one\n"}


@case
def many_mebibytes_of_files_leave_room_for_the_notebook(place: Place) -> None:
    files = {f"part{number}.bin": bytes(60 << 20) for number in range(2)}
    use = "import os, torch\nsize = os.path.getsize('part1.bin')\nkept = torch.ones(300 << 18)"
    ran = run(place.sandbox, use, files=files, ask=("size",))
    assert (ran.statuses, ran.end["ending"]) == (["ok"], "complete"), ran.log
    assert ran.seen() == {"size": 60 << 20}


@case
def no_file_lies_where_it_must_not(place: Place) -> None:
    data = place.folder / "data"
    data.mkdir()
    for path in ("../x", "/srv/x", "a/../../x", "data/x", ".lib/x", "a//x", "a\\b"):
        with pytest.raises(SandboxFault, match="a file cannot lie at"):
            execute(submission_of("a = 1", files={path: "x"}), plan_of(), place.sandbox, data)
    assert list(data.iterdir()) == []


@case
def files_are_loaded_as_modules(place: Place) -> None:
    files = {
        "src/model.py": "from attention import Attention\nclass GPT:\n    part = Attention\n"
        "if __name__ == '__main__':\n    raise SystemExit('run as a program')\n",
        "src/attention.py": "import torch\nclass Attention: ...\n_private = 1\n",
        "src/wrong.py": "early = 1\n\nlate = missing\n",
    }
    cells = [module("src/model.py"), module("src/attention.py"), module("src/wrong.py")]
    use = """
import attention
same = attention.Attention is Attention is GPT.part
names = sorted(n for n in ("torch", "_private", "early", "late") if n in globals())
called = __name__, GPT.__module__
"""
    ran = run(place.sandbox, *cells, use, files=files, ask=("same", "names", "called"))
    assert ran.statuses == ["ok", "ok", "error", "ok"], ran.receipts
    raised = ran.receipts[2].raised
    assert str(raised) == "NameError: name 'missing' is not defined (line 3)"
    assert ran.seen() == {"same": True, "names": ["early"], "called": ("__main__", "src.model")}


@case
def packages_of_the_course_come_after_what_is_installed(place: Place) -> None:
    lib = place.folder / "lib"
    for package in ("torch", "pretend"):
        (lib / package).mkdir(parents=True)
        (lib / package / "__init__.py").write_text("whose = 'ours'")
    use = "import pretend, torch\nmine = pretend.whose, hasattr(torch, 'whose')"
    die, again = "import os; os._exit(0)", "import pretend\nagain = pretend.whose"
    ran = run(place.sandbox, use, die, again, lib=lib, ask=("mine", "again"))
    assert ran.seen() == {"mine": ("ours", False), "again": "ours"}


@case
def packages_of_the_course_cannot_be_changed(place: Place) -> None:
    lib = place.folder / "lib"
    lib.mkdir()
    (lib / "pretend.py").write_text("whose = 'ours'")
    change = """
import pretend
try:
    open(pretend.__file__, "a").write("whose = 'mine'")
    changed = True
except OSError:
    changed = False
"""
    assert run(place.sandbox, change, lib=lib, ask=("changed",)).seen() == {"changed": False}
    assert (lib / "pretend.py").read_text() == "whose = 'ours'"


@case
def a_guest_that_cannot_start_is_a_fault(place: Place) -> None:
    sandbox = place.opened(place.name, "raise SystemExit('no such thing')")
    with pytest.raises(SandboxFault, match=r"never became ready .*no such thing"):
        execute(submission_of("a = 1"), plan_of(), sandbox, None)


@case
def several_at_once_do_not_mix(place: Place) -> None:
    place.opened(place.name, standin.BOTH_WAYS)
    with ThreadPoolExecutor(6) as threads:
        sizes = [number << 10 for number in range(6)]
        runs = list(threads.map(lambda n: place.standin(standin.BOTH_WAYS, box=bytes(n)), sizes))
    assert [ran.frames[-2].header["size"] for ran in runs] == sizes
    assert [ran.ended for ran in runs] == [True] * 6


@case
def closing_it_stops_what_runs(place: Place) -> None:
    place.opened(place.name)  # skips where there is none
    sandbox = open_sandbox(place.name, standin.HANGS)
    plan = plan_of()
    reader = FrameReader(key := secrets.token_bytes(32), plan.limits)
    finished: list[Boxed | SandboxFault] = []

    def work() -> None:
        try:
            finished.append(finish(sandbox, key, reader, plan))
        except SandboxFault as fault:
            finished.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    while reader.ready_at is None:
        time.sleep(0.01)
    begun = time.monotonic()
    sandbox.close()
    thread.join(20)
    assert (len(finished), time.monotonic() - begun < 10, reader.ended) == (1, True, False)
    sandbox.close()
    with pytest.raises(SandboxFault, match="closed"):
        finish(sandbox, key, FrameReader(key, plan.limits), plan)


def parameters() -> list[Any]:
    found = []
    for name in KNOWN:
        marks = [getattr(pytest.mark, engine_of(name))] if name != "process" else []
        for sentence in CASES:
            told = [*marks, *threats(name, sentence)]
            found.append(pytest.param(name, sentence, marks=told, id=f"{name}: {sentence}"))
    return found


def threats(name: str, sentence: str) -> list[pytest.MarkDecorator]:
    """What the table of attacks is told; the same whoever runs the tests."""
    elsewhere = (*AS_ROOT, "it sees no variable of the host")  # there it says less
    if sentence not in PROVES or (name == "process" and sentence in elsewhere):
        return []
    return [pytest.mark.threat(*PROVES[sentence], unresisted=KNOWN[name].get(sentence))]


@pytest.fixture(scope="session")
def surveys() -> dict[str, dict[str, Any]]:
    """What notebooks found in each kind of sandbox, for the cases that ask about it."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sentence"), parameters())
def test_a_sandbox_keeps_its_promises(
    name: str,
    sentence: str,
    opened: Opener,
    surveys: dict[str, dict[str, Any]],
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    place = Place(name=name, opened=opened, folder=tmp_path, surveys=surveys)
    place.sandbox  # noqa: B018 - skips where there is none
    if sentence not in KNOWN[name]:
        CASES[sentence](place)
        return
    with pytest.raises(AssertionError):
        CASES[sentence](place)


def test_every_known_exception_and_every_proof_names_a_case() -> None:
    assert {s for known in KNOWN.values() for s in known} | set(PROVES) <= set(CASES)


@pytest.mark.docker
def test_a_program_that_the_image_lacks_is_a_fault(opened: Opener) -> None:
    opened("docker")
    said = "the engine did not start a container: .*no such file"
    with (
        closing(docker.DockerSandbox(command=("/no/such/python",))) as sandbox,
        pytest.raises(SandboxFault, match=said),
    ):
        run(sandbox, "a = 1")
