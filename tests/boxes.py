"""Notebooks and stand-in guests in real sandboxes; what a notebook finds when it looks around."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from guest_driver import Ran, capture, submission_of

from grader.execute import build_box
from grader.frames import FrameReader
from grader.plan import Limits, Plan
from grader.sandbox.base import Sandbox, Stopped
from grader.sandbox.docker import RUN_LABEL
from grader.submission import Cell

LIMITS = Limits(cell_s=20, total_s=60, memory_mib=1024, slack_s=5)
Opener = Callable[..., Sandbox]

LOOK = """
import ctypes, errno, os, socket, sys
seen = {}
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
asked = ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
seen["status"] = {name: status[name].split("\\t")[0] for name in asked}
lines = open("/proc/self/environ").read().split("\\0")
seen["environment"] = dict(line.split("=", 1) for line in lines if line)
seen["environments"] = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        seen["environments"].append(open(f"/proc/{pid}/environ").read())
    except OSError:
        pass
seen["interfaces"] = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
seen["reached"] = []
for host, port in [("127.0.0.1", PORT), ("169.254.169.254", 80), ("10.0.0.1", 80)]:
    try:
        socket.create_connection((host, port), timeout=0.5).close()
        seen["reached"].append(host)
    except OSError:
        pass
try:
    seen["resolved"] = socket.getaddrinfo("example.org", 80)[0][4][0]
except OSError:
    seen["resolved"] = None
seen["files"] = {}
for path in FILES:
    try:
        seen["files"][path] = open(path).read()
    except OSError:
        pass
seen["written"] = []
folders = ["/", "/usr", "/etc", "/opt", "/home", "/root", "/var/tmp", "/dev", "/proc", "/sys"]
for folder in [*folders, sys.prefix]:
    path = os.path.join(folder, "grader-test-canary")
    try:
        open(path, "w").close()
        os.unlink(path)
        seen["written"].append(folder)
    except OSError:
        pass
guest, seen["opened"] = os.getppid(), []
modes = {"mem": "r+b", "fd/0": "rb", "fd/1": "wb", "fd/3": "wb", "environ": "rb"}
for name, mode in modes.items():
    try:
        open(f"/proc/{guest}/{name}", mode).close()
        seen["opened"].append(name)
    except PermissionError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *map(ctypes.c_long, arguments))
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]
seen["calls"] = {
    "ptrace": call(101, 0, 0, 0, 0),
    "unshare": call(272, 0x10000000),
    "mount": call(165, 0, 0, 0, 0, 0),
    "bpf": call(321, 0, 0, 0),
    "io_uring_setup": call(425, 1, 0),
    "keyctl": call(250, 0, 0),
    "userfaultfd": call(323, 0),
    "perf_event_open": call(298, 0, 0, -1, -1, 0),
    "process_vm_readv": call(310, guest, 0, 0, 0, 0, 0),
    "pidfd_getfd": call(438, 0, 0, 0),
    "setns": call(308, 0, 0),
    "clock_settime": call(227, 0, 0),
    "vsock": call(41, 40, 1, 0),
    "raw": call(41, 17, 3, 0),
    "prlimit of the guest": call(302, guest, 7, 0, 0),
    "scheduling of the guest": call(144, guest, 5, ctypes.addressof(ctypes.c_int(0))),
    "scheduling of the guest, in 33 bits": call(144, guest | 1 << 32, 5, 0),
    "parameters of the guest": call(142, guest, ctypes.addressof(ctypes.c_int(0))),
    "priority of the guest": call(141, 0, guest, 19),
    "priority of all": call(141, 2, 0, 19),
    "clone3": call(435, 0, 0),
}
"""
CANARY = "canary-" + secrets.token_hex(8)


@dataclass(frozen=True, kw_only=True)
class Boxed(Ran):
    """What came out of one sandbox."""

    stopped: Stopped
    ended: bool
    ready: bool


def run(
    sandbox: Sandbox,
    *cells: str | Cell,
    files: Mapping[str, str | bytes] | None = None,
    ask: tuple[str, ...] = (),
    data: Path | None = None,
    lib: Path | None = None,
    **limits: Any,
) -> Boxed:
    """Run code cells in a sandbox, and capture the asked names."""
    plan = replace(plan_of(ask, **limits), lib_digest="some" if lib else "")
    reader = FrameReader(key := secrets.token_bytes(32), plan.limits)
    submission = submission_of(*cells, files=files)
    box = build_box(submission, plan, key, watch_memory=sandbox.watch_memory)
    return finish(sandbox, box, reader, plan, data, lib)


def finish(
    sandbox: Sandbox,
    box: bytes,
    reader: FrameReader,
    plan: Plan,
    data: Path | None = None,
    lib: Path | None = None,
) -> Boxed:
    stopped = sandbox.run(box, reader, limits=plan.limits, data=data, lib=lib)
    return Boxed(
        plan=plan,
        frames=reader.frames,
        exit_code=-1 if stopped.exit_code is None else stopped.exit_code,
        log=stopped.log_tail,
        stopped=stopped,
        ended=reader.ended,
        ready=reader.ready_at is not None,
    )


def plan_of(ask: tuple[str, ...] = (), **limits: Any) -> Plan:
    probes = tuple(capture(*ask))
    return Plan(assignment="t", limits=replace(LIMITS, **limits), probes=probes, seed=7)


@dataclass(frozen=True, kw_only=True)
class Place:
    """One kind of sandbox, and what the cases need around it."""

    name: str
    opened: Opener
    folder: Path
    """Fresh and on the host."""
    surveys: dict[str, dict[str, Any]]
    """By name of the sandbox, kept for a session."""

    @property
    def sandbox(self) -> Sandbox:
        """With our own guest."""
        return self.opened(self.name)

    def standin(self, source: str, *, box: bytes = b"", **limits: Any) -> Boxed:
        """Run a guest that misbehaves."""
        plan = plan_of(**limits)
        reader = FrameReader(key := secrets.token_bytes(32), plan.limits)
        framed = key + struct.pack(">Q", len(box)) + box  # standard input may stay open
        return finish(self.opened(self.name, source), framed, reader, plan)

    def survey(self) -> dict[str, Any]:
        """What a notebook finds when it looks around; one run for many cases."""
        if self.name not in self.surveys:
            self.surveys[self.name] = survey(self.sandbox, self.folder)
        return self.surveys[self.name]


def survey(sandbox: Sandbox, folder: Path) -> dict[str, Any]:
    secret = folder / "answers.txt"
    secret.write_text(CANARY)
    files = [str(secret), str(Path(__file__).resolve()), "/etc/hostname"]
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        patch.setenv("GRADER_TEST_CANARY", CANARY)
        told = f"PORT = {server.getsockname()[1]}\nFILES = {files!r}"
        ran = run(sandbox, told, LOOK, ask=("seen",), threads=2)
    assert ran.statuses == ["ok", "ok"], (ran.receipts, ran.log)
    seen: dict[str, Any] = ran.seen()["seen"]
    return seen


def runs_with_containers(client: DockerClient) -> set[str]:
    """Ids of the runs that have any on this engine; others' runs may be among them."""
    found = client.api.containers(all=True, filters={"label": RUN_LABEL})
    return {one["Labels"][RUN_LABEL] for one in found}
