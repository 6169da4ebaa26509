"""Warm workers: what follows in one container shares what the documents say, and nothing else."""

from __future__ import annotations

import json
import platform
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker as sdk
import pytest
from boxes import Boxed, Opener, plan_of, run
from conftest import require
from guest_driver import submission_of

from grader.errors import InputError
from grader.evidence import Ending
from grader.execute import execute
from grader.guest import namespaces
from grader.guest.namespaces import ALLOW, CALLS, KILL, REFUSE, refusing
from grader.sandbox import docker, seccomp, warm
from grader.sandbox.base import Sandbox
from grader.sandbox.docker import RUN_LABEL
from grader.sandbox.engine import Attached
from grader.sandbox.warm import WarmDockerSandbox

#: Forks of one process have their modules at the same addresses, so this tells workers apart.
WHO = "import torch\nworker = id(torch)"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    require("docker", docker.why_not())
    with closing(WarmDockerSandbox()) as made:
        yield made


def worker(ran: Boxed) -> Any:
    assert ran.end["ending"] == "complete", ran.frames
    return ran.seen()["worker"]


def next_worker(sandbox: Sandbox, **limits: Any) -> Any:
    return worker(run(sandbox, WHO, ask=("worker",), **limits))


@pytest.mark.docker
@pytest.mark.slow
def test_submissions_that_end_well_follow_each_other_in_one_worker(sandbox: Sandbox) -> None:
    assert len({next_worker(sandbox) for _ in range(3)}) == 1


SPOILT = {
    "its kernel died": "import os\nos._exit(1)",
    "it ran out of time": "while True: pass",
    "it met the limit of memory": "kept = [bytearray(b'x') * (64 << 20) for _ in range(60)]",
    "a child of it was killed for memory": """
import os
if os.fork() == 0:
    kept = [bytearray(b"x") * (64 << 20) for _ in range(60)]
os.wait()
""",
    "it met the limit of processes": """
import os, signal, time
children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(60)
        children.append(child)
except OSError:
    pass
for child in children:
    os.kill(child, signal.SIGKILL)
""",
}


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("cell", SPOILT.values(), ids=SPOILT)
def test_a_worker_is_replaced_after_anything_irregular(sandbox: Sandbox, cell: str) -> None:
    limits: dict[str, Any] = {"cell_s": 5, "processes": 60}
    before = next_worker(sandbox, **limits)
    run(sandbox, cell, **limits)
    assert next_worker(sandbox, **limits) != before


@pytest.mark.docker
@pytest.mark.slow
def test_a_worker_is_replaced_after_its_share_of_submissions(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "MOST_SUBMISSIONS", 2)
    first, second, third = (next_worker(sandbox) for _ in range(3))
    assert (first == second, second == third) == (True, False)


@pytest.mark.docker
@pytest.mark.slow
def test_other_limits_get_another_worker(sandbox: Sandbox) -> None:
    first = next_worker(sandbox)
    assert next_worker(sandbox, memory_mib=900) != first


LEAVE = """
import ctypes, os, socket
mounts = [line.split() for line in open("/proc/self/mountinfo")]
places = sorted({fields[4] for fields in mounts} | {"/dev/pts", "/run", "/var/tmp", "/work"})
found, left = [], []
for place in places:
    path = os.path.join(place, "left-by-me")
    if os.path.exists(path):
        found.append(path)
    try:
        open(path, "w").close()
        left.append(place)
    except OSError:
        pass
libc = ctypes.CDLL(None)
found += ["shared memory"] if libc.shmget(4711, 4096, 0) >= 0 else []
found += ["semaphores"] if libc.semget(4711, 1, 0) >= 0 else []
libc.shmget(4711, 4096, 0o1666), libc.semget(4711, 1, 0o1666)
taken = socket.socket(socket.AF_UNIX)
try:
    taken.bind("\\0left-by-me")
except OSError:
    found.append("socket")
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in (1, os.getpid())]
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("XS-01", "XS-02", where="docker-warm")
def test_nothing_is_left_for_the_next_in_the_same_worker(sandbox: Sandbox) -> None:
    asked = ("worker", "found", "left", "others")
    first, second = (run(sandbox, WHO, LEAVE, ask=asked) for _ in range(2))
    assert worker(first) == worker(second)
    expected = {"found": [], "left": ["/dev/shm", "/tmp", "/work"], "others": []}  # noqa: S108
    assert [ran.seen() | {"worker": 0} for ran in (first, second)] == [expected | {"worker": 0}] * 2


#: What is looked for is in no string of the notebook itself, nor in what it makes while it looks.
SEARCH = """
import re
pattern = re.compile(rb"wanted-[x]yz-canary")
found = 0
for line in open("/proc/self/maps"):
    place, rights = line.split()[:2]
    begin, end = (int(number, 16) for number in place.split("-"))
    if rights[0] != "r" or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
        continue
    with open("/proc/self/mem", "rb") as memory:
        try:
            memory.seek(begin)
            found += len(pattern.findall(memory.read(end - begin)))
        except (OSError, OverflowError, ValueError):
            pass
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("AL-09", where="docker-warm")
def test_a_kernel_that_replaces_a_dead_one_has_seen_nothing_of_the_box(sandbox: Sandbox) -> None:
    hidden = run(sandbox, "import os\nos._exit(1)", SEARCH, ask=("found", "wanted-xyz-canary"))
    assert hidden.statuses == ["died", "ok"]
    assert hidden.seen()["found"] == 0
    shown = run(sandbox, "known = 'wanted-xyz' + '-canary'", SEARCH, ask=("found",))
    assert shown.seen()["found"] > 0


COUNTERS = """
import os
shown = [os.path.join(at, name) for at, _, names in os.walk("/sys/fs/cgroup") for name in names]
shown = sorted(os.path.relpath(path, "/sys/fs/cgroup") for path in shown)
writable = [path for path in ["/sys/fs/cgroup", *shown] if os.access(path, os.W_OK)]
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("XS-04", where="docker-warm")
def test_no_counter_tells_of_those_before(sandbox: Sandbox) -> None:
    seen = run(sandbox, COUNTERS, ask=("shown", "writable")).seen()
    assert set(seen["shown"]) <= set(namespaces.TOLD)
    assert ("cpu.max" in seen["shown"] or "cpu/cpu.cfs_quota_us" in seen["shown"]) is True
    assert seen["writable"] == []


SHARED = """
import os
maps = [line.split() for line in open("/proc/self/maps")]
shared = [fields for fields in maps if "w" in fields[1] and fields[1].endswith("s")]
opened = sorted({os.readlink(f"/proc/self/fd/{name}").split(":")[0] for name in range(3)})
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
ignored = int(status["SigIgn"], 16), int(status["SigBlk"], 16)
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("RS-13", where="docker-warm")
def test_a_kernel_shares_no_memory_and_no_stream_with_those_who_forked_it(
    sandbox: Sandbox, opened: Opener
) -> None:
    asked = ("shared", "opened", "ignored")
    seen, fresh = (run(one, SHARED, ask=asked).seen() for one in (sandbox, opened("docker")))
    assert (seen["shared"], seen["opened"]) == ([], ["/dev/null", "pipe"])
    assert seen == fresh


#: Memory that belongs to no process: the system frees it a while after the last of them.
SEGMENT = """
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
held = libc.shmget(1, {mib} << 20, 0o1600)
ctypes.memset(ctypes.c_void_p(libc.shmat(held, None, 0)), 1, {mib} << 20)
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("RX-03", "XS-02", where="docker-warm")
def test_memory_that_one_submission_held_is_there_for_the_next(sandbox: Sandbox) -> None:
    first = run(sandbox, SEGMENT.format(mib=600))
    needs = "import torch\nkept = torch.ones(700 << 18)"
    assert [ran.end["ending"] for ran in (first, run(sandbox, needs))] == ["complete"] * 2


#: Fills what is free the moment the kernel is killed, so that no other has room to start.
FILLER = """
import subprocess, sys, time
filler = '''
for folder in ("/dev/shm", "/work", "/tmp"):
    try:
        with open(folder + "/big", "wb", buffering=0) as file:
            while True: file.write(b"x" * (1 << 20))
    except OSError: pass
'''
subprocess.Popen([sys.executable, "-I", "-S", "-c", filler])
time.sleep(30)
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("RX-03")
@pytest.mark.parametrize("name", ["docker", "docker-warm"])
def test_memory_that_no_kill_frees_ends_as_the_memory_limit(opened: Opener, name: str) -> None:
    hold = submission_of(FILLER, "a = 1")
    assert execute(hold, plan_of(("a",)), opened(name), None).ending is Ending.MEMORY_LIMIT


ENDED = """
import os, signal
from grader.guest import warm
def die(): os.kill(os.getpid(), signal.SIGKILL)
def fail(): raise OSError("no")
print(warm.in_fork(lambda: 0), warm.in_fork(die), warm.in_fork(fail))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.system() != "Linux", reason="workers are Linux containers")
def test_whoever_is_killed_ends_the_worker_with_the_code_of_that() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "137", "3"]


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("RE-04", where="docker-warm")
def test_a_worker_that_dies_between_submissions_costs_nobody_anything(sandbox: Sandbox) -> None:
    next_worker(sandbox)
    kill_containers(sandbox)
    next_worker(sandbox)


def kill_containers(sandbox: Sandbox) -> None:
    with closing(sdk.from_env()) as engine:
        ours = f"{RUN_LABEL}={sandbox._run_id}"  # type: ignore[attr-defined]
        (found,) = engine.containers.list(filters={"label": ours})
        found.kill()
        found.wait()


@pytest.mark.docker
@pytest.mark.slow
def test_a_worker_that_is_too_old_serves_nobody(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = next_worker(sandbox)
    monkeypatch.setattr(warm, "LIFETIME_S", 0.0)
    assert next_worker(sandbox) != before


@pytest.mark.parametrize("then", ["says something", "hangs up", "is let go of"])
def test_a_connection_is_silent_until_something_happens(then: str) -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        connection = Attached(ours)
        assert connection.is_silent() is True
        if then == "says something":
            theirs.sendall(b"?")
        elif then == "hangs up":
            theirs.close()
        else:
            connection.close()
        assert connection.is_silent() is False


GRADER = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from boxes import run
from grader.sandbox.warm import WarmDockerSandbox
sandbox = WarmDockerSandbox()
run(sandbox, "a = 1")
print(sandbox._run_id, flush=True)
time.sleep(600)
"""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("RE-07", where="docker-warm")
def test_a_worker_does_not_outlive_a_grader_that_is_killed(opened: Opener) -> None:
    opened("docker-warm")
    with closing(sdk.from_env()) as engine:
        grader = subprocess.Popen([sys.executable, "-c", GRADER], stdout=subprocess.PIPE, text=True)
        assert grader.stdout is not None
        with grader.stdout:
            run_id = grader.stdout.readline().strip()
        ours: dict[str, Any] = {"label": f"{RUN_LABEL}={run_id}"}
        assert len(engine.containers.list(filters=ours)) == 1
        grader.kill()
        grader.wait(20)
        until = time.monotonic() + 20
        while engine.containers.list(filters=ours) and time.monotonic() < until:
            time.sleep(0.1)
        assert engine.containers.list(filters=ours) == []  # it has ended by itself
        with closing(WarmDockerSandbox()):
            assert engine.containers.list(all=True, filters=ours) == []


@pytest.mark.docker
def test_evidence_of_warm_workers_is_none_of_containers_of_their_own(
    sandbox: Sandbox, opened: Opener
) -> None:
    assert sandbox.image == f"{opened('docker').image} warm"


@pytest.mark.docker
def test_a_gpu_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="no warm worker gets a GPU"):
        run(sandbox, "a = 1", gpu=True)


def names(profile: str) -> list[str]:
    return sorted(name for rule in json.loads(profile)["syscalls"] for name in rule["names"])


def test_a_warm_process_may_make_three_calls_more_and_namespaces_only_all_at_once() -> None:
    more = names(seccomp.warm_profile_text())
    for name in names(seccomp.profile_text()):
        more.remove(name)
    assert more == ["capset", "mount", "unshare"]
    rules = json.loads(seccomp.warm_profile_text())["syscalls"]
    (rule,) = (rule for rule in rules if "unshare" in rule["names"])
    assert [arg["value"] for arg in rule["args"]] == [namespaces.NAMESPACES]


def verdict(program: bytes, architecture: int, call: int) -> int:
    """What a filter says of a system call, as the kernel would read it."""
    steps = list(struct.iter_unpack("HBBI", program))
    loaded, at = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == namespaces.RETURN:
            return int(value)
        if code == namespaces.LOAD:
            loaded = {0: call, 4: architecture}[value]
        elif code == namespaces.EQUAL:
            at += yes if loaded == value else no
        else:
            at += yes if loaded >= value else no


@pytest.mark.threat("HE-05", where="docker-warm")
@pytest.mark.parametrize("machine", CALLS)
def test_a_submission_may_make_none_of_them(machine: str) -> None:
    program, (architecture, calls) = refusing(machine), CALLS[machine]
    refused = {call for call in range(1000) if verdict(program, architecture, call) != ALLOW}
    assert refused == set(calls)
    assert {verdict(program, architecture, call) for call in calls} == {REFUSE}
    assert verdict(program, architecture, 0x40000000 | 1) == REFUSE
    assert verdict(program, 0x40000003, 1) == KILL


@pytest.mark.skipif(platform.machine() not in CALLS, reason="no numbers are known for it")
@pytest.mark.skipif(bool(seccomp.why_not()), reason=seccomp.why_not())
def test_the_numbers_of_system_calls_are_those_of_this_machine() -> None:
    library = seccomp._load()
    known = [library.seccomp_syscall_resolve_name(n) for n in (b"unshare", b"mount", b"capset")]
    assert tuple(known) == CALLS[platform.machine()][1]


def test_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match="not riscv64"):
        refusing("riscv64")
