"""Namespaces of one submission in a warm worker: entered, filled with fresh scratch, and locked.

`enter` and `settle` leave what a fresh container would show: its own users, processes, network,
messages and host name, empty scratch folders, its own /proc with the same parts hidden. `lock`
gives up every right, and refuses the system calls that made this; it is inherited by all that is
forked afterwards. Every call is checked: one that fails ends the worker before it takes a box.

Source: namespaces(7), user_namespaces(7), capabilities(7), seccomp(2); linux/audit.h and
asm/unistd.h for the numbers; Docker 20.10 and 29 for what an engine hides.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from .files import DATA, LIB
from .memory import GROUP

NEW_MOUNTS, NEW_NAMES, NEW_MESSAGES = 0x20000, 0x4000000, 0x8000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = NEW_MOUNTS | NEW_NAMES | NEW_MESSAGES | NEW_USERS | NEW_PROCESSES | NEW_NETWORK
"""The one set of namespaces that the worker's own list of system calls lets it make."""

READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
REMOUNT, BIND, RECURSIVE, PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
PLAIN = NO_SUID | NO_DEVICES | NO_EXEC

HIDDEN = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
    *("/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list"),
    *("/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"),
)
FIXED = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What an engine hides, and what it makes read-only, in the /proc of a fresh container."""

TOLD = (
    *("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "memory/memory.limit_in_bytes"),
    *("pids/pids.max", "cpu.max", "memory.max", "pids.max"),
)
"""Limits of the control group, which programs ask for; all else counts what others did before."""

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
FILTER_MODE = 2
CAPABILITIES_V3 = 0x20080522
GET_FLAGS_OF, SET_FLAGS_OF, UP = 0x8913, 0x8914, 0x1

#: By machine: the number that seccomp calls it, and those of `unshare`, `mount` and `capset`.
CALLS = {
    "x86_64": (0xC000003E, (272, 165, 126)),
    "aarch64": (0xC00000B7, (97, 40, 91)),
}
SECOND_ABI = 0x40000000
"""From here on, the numbers of x86-64 mean the same calls once more."""
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Room of one submission, in mebibytes, as the container's own policy gives it."""

    work: str
    work_mib: int
    tmp_mib: int
    shm_mib: int


def enter(scratch: Scratch) -> None:
    """Make new namespaces with fresh scratch; the next fork is the first process in them.

    Raises:
        OSError: the machine does not allow it.
    """
    user, group = os.getuid(), os.getgid()
    _control(PR_SET_DUMPABLE, 1)  # or else our own /proc/self belongs to root
    _call("unshare", NAMESPACES)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text)
    mount("", "/", "", RECURSIVE | PRIVATE)
    _renew(scratch)
    _control(PR_SET_DUMPABLE, 0)
    os.chdir(scratch.work)


def _owner() -> str:
    return f"uid={os.getuid()},gid={os.getgid()}"


def _renew(scratch: Scratch) -> None:
    """Put empty folders over every place that can be written, and the course's folders back."""
    shown = {}
    for name in (DATA, LIB):
        with contextlib.suppress(FileNotFoundError):
            shown[name] = os.open(f"{scratch.work}/{name}", os.O_PATH | os.O_DIRECTORY)
    room = f"size={scratch.work_mib}m,nr_inodes=50k,mode=0700,{_owner()}"
    mount("tmpfs", scratch.work, "tmpfs", NO_SUID | NO_DEVICES, room)
    for name, folder in shown.items():
        os.mkdir(f"{scratch.work}/{name}")
        mount(f"/proc/self/fd/{folder}", f"{scratch.work}/{name}", "", BIND | RECURSIVE)
        os.close(folder)
    mount("tmpfs", "/tmp", "tmpfs", PLAIN, f"size={scratch.tmp_mib}m,nr_inodes=10k,mode=1777")  # noqa: S108 - inside
    mount("tmpfs", "/dev/shm", "tmpfs", PLAIN, f"size={scratch.shm_mib}m,mode=1777")  # noqa: S108 - inside
    if os.path.isdir("/dev/mqueue"):  # queues in it would outlive a submission
        mount("tmpfs", "/dev/mqueue", "tmpfs", PLAIN | READ_ONLY, "size=4k")
    if os.path.isdir(GROUP):
        _hide_counters()


def _hide_counters() -> None:
    """Show the limits of the control group, and nothing that one could leave for another there."""
    limits = {}
    for name in TOLD:
        with contextlib.suppress(OSError):
            limits[name] = Path(GROUP, name).read_text()
    mount("tmpfs", GROUP, "tmpfs", PLAIN, f"size=64k,mode=0755,{_owner()}")
    for name, text in limits.items():
        Path(GROUP, name).parent.mkdir(exist_ok=True)
        Path(GROUP, name).write_text(text)
    mount("", GROUP, "", REMOUNT | PLAIN | READ_ONLY)


def settle() -> None:
    """As the first process of the new namespaces: a /proc of their own, and the loopback device.

    Raises:
        OSError: the machine does not allow it; engines that hide parts of /proc in the container
            itself do not.
    """
    mount("proc", "/proc", "proc", PLAIN)
    for path in HIDDEN:
        if os.path.isdir(path):
            mount("tmpfs", path, "tmpfs", PLAIN | READ_ONLY, "size=4k")
        elif os.path.exists(path):
            mount("/dev/null", path, "", BIND)
    for path in filter(os.path.exists, FIXED):
        mount(path, path, "", BIND | RECURSIVE)
        mount("", path, "", BIND | REMOUNT | PLAIN | READ_ONLY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        told = fcntl.ioctl(any_socket, GET_FLAGS_OF, struct.pack("16sh22x", b"lo", 0))
        (flags,) = struct.unpack_from("16xh", told)
        fcntl.ioctl(any_socket, SET_FLAGS_OF, struct.pack("16sh22x", b"lo", flags | UP))


def lock() -> None:
    """Give up every right that making namespaces gave, for good; see the top of this module.

    Raises:
        OSError: a right would have stayed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    capability = 0
    while library.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    _call("capset", struct.pack("Ii", CAPABILITIES_V3, 0), bytes(24))
    _control(PR_SET_NO_NEW_PRIVS, 1)
    program = ctypes.create_string_buffer(refusing(platform.machine()))
    count = (len(program) - 1) // 8
    described = struct.pack("HxxxxxxP", count, ctypes.addressof(program))
    if library.prctl(PR_SET_SECCOMP, FILTER_MODE, described, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the system calls could not be refused")
    if library.unshare(NAMESPACES) == 0:
        raise PermissionError("namespaces can still be made")
    left = ctypes.create_string_buffer(24)
    # Not from /proc, which by now may be that of processes to whom we do not belong.
    _call("capget", struct.pack("Ii", CAPABILITIES_V3, 0), left)
    if any(left.raw):
        raise PermissionError("rights are left")


def refusing(machine: str) -> bytes:
    """Write the filter that takes away what the container's list of system calls gave the worker.

    Filters add up, so what is left is the list of a fresh container.

    Args:
        machine: As `platform.machine` names it.

    Raises:
        OSError: the numbers of its system calls are not known here.
    """
    if machine not in CALLS:
        raise OSError(f"warm workers know the system calls of {', '.join(CALLS)}, not {machine}")
    architecture, calls = CALLS[machine]
    steps = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),
        (AT_LEAST, len(calls) + 1, 0, SECOND_ABI),
        *((EQUAL, len(calls) - number, 0, call) for number, call in enumerate(calls)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def mount(what: str, where: str, kind: str, flags: int, told: str = "") -> None:
    """Mount something.

    Raises:
        OSError: it could not be; names the place.
    """
    texts = [text.encode() or None for text in (what, where, kind, told)]
    _call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3], place=where)


def _control(option: int, value: int) -> None:
    _call("prctl", option, value, 0, 0, 0)


def _call(name: str, *arguments: object, place: str = "") -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", place or None)
