"""Warm workers: what follows in one container shares what the documents say, and nothing else."""

from __future__ import annotations

import json
import platform
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import docker as sdk
import pytest
from boxes import Boxed, run
from conftest import require

from grader.errors import InputError
from grader.guest import namespaces
from grader.guest.namespaces import ALLOW, CALLS, KILL, REFUSE, refusing
from grader.sandbox import docker, seccomp, warm
from grader.sandbox.base import Sandbox
from grader.sandbox.docker import RUN_LABEL
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


@pytest.mark.docker
@pytest.mark.slow
def test_a_worker_that_dies_between_submissions_is_a_fault_and_not_used_again(
    sandbox: Sandbox,
) -> None:
    next_worker(sandbox)
    with closing(sdk.from_env()) as engine:
        ours = f"{RUN_LABEL}={sandbox._run_id}"  # type: ignore[attr-defined]
        for found in engine.containers.list(filters={"label": ours}):
            found.kill()
    lost = run(sandbox, "a = 1")
    assert (lost.ready, lost.exit_code) == (False, 137)
    next_worker(sandbox)


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
