"""The list of system calls that a sandbox allows, in the two forms that sandboxes take.

`seccomp.json` is the one source, in the format of Docker and OCI runtimes. Engines take its text;
bubblewrap takes it compiled, which libseccomp does. Debian's and Ubuntu's own package manager
needs that library, so it is there; elsewhere the package is called libseccomp.

Source: seccomp.h of libseccomp 2.5 for the constants; the OCI runtime specification, "Seccomp",
for the JSON.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from grader.errors import SandboxFault

PROFILE = Path(__file__).with_name("seccomp.json")

ACT_ALLOW = 0x7FFF0000
ACT_ERRNO = 0x00050000
ATTR_ACT_BADARCH, ATTR_NNP = 2, 3
ACT_KILL_PROCESS = 0x80000000
OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
UNKNOWN_CALL = -1
NAMESPACES = 0x7C020000
"""New mounts, names, messages, users, processes and network at once; the same as the guest's."""


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`: a rule about one argument of a call."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def profile_text() -> str:
    """The profile as engines take it."""
    return PROFILE.read_text("utf-8")


def warm_profile_text() -> str:
    """The profile of a warm worker: what it needs besides, to make a place for each submission.

    It gives all of this up again before any student's code runs: `grader/guest/namespaces.py`.
    """
    profile = json.loads(profile_text())
    exactly = {"index": 0, "value": NAMESPACES, "op": "SCMP_CMP_EQ"}
    profile["syscalls"] += [
        {"names": ["unshare"], "action": "SCMP_ACT_ALLOW", "args": [exactly]},
        {"names": ["mount", "capset"], "action": "SCMP_ACT_ALLOW"},
    ]
    return json.dumps(profile, indent=1)


def why_not() -> str:
    """Say why no filter can be compiled here, or nothing if one can."""
    if _library_name() is None:
        return "the library libseccomp is missing (Debian and Ubuntu: apt install libseccomp2)"
    return ""


def compiled(profile: str) -> bytes:
    """Compile a profile into a filter for this machine's processor.

    Args:
        profile: The JSON text.

    Raises:
        SandboxFault: libseccomp is missing, or refuses a rule.
    """
    if missing := why_not():
        raise SandboxFault(f"no system call filter can be made: {missing}")
    library, rules = _load(), json.loads(profile)
    context = library.seccomp_init(ctypes.c_uint32(_action(rules)))
    if not context:
        raise SandboxFault("libseccomp made no filter")
    try:
        # A call of another architecture (32-bit on 64) would pass under another number.
        library.seccomp_attr_set(context, ATTR_ACT_BADARCH, ctypes.c_uint32(ACT_KILL_PROCESS))
        for rule in rules["syscalls"]:
            for name in rule["names"]:
                _add(library, context, name, rule)
        return _export(library, context)
    finally:
        library.seccomp_release(context)


def _add(library: Any, context: Any, name: str, rule: dict[str, Any]) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == UNKNOWN_CALL:  # newer than this library, so nothing here can mean it
        return
    comparisons = [
        _Comparison(told["index"], OPERATORS[told["op"]], told["value"], told.get("valueTwo", 0))
        for told in rule.get("args") or ()
    ]
    array = (_Comparison * len(comparisons))(*comparisons)
    action = ctypes.c_uint32(_action(rule))
    done = library.seccomp_rule_add_array(context, action, number, len(comparisons), array)
    if done != 0:
        raise SandboxFault(f"libseccomp refuses the rule for {name}: {os.strerror(-done)}")


def _action(rule: dict[str, Any]) -> int:
    named = rule.get("action") or rule["defaultAction"]
    if named == "SCMP_ACT_ALLOW":
        return ACT_ALLOW
    if named != "SCMP_ACT_ERRNO":
        raise SandboxFault(f"seccomp.json: expected ALLOW or ERRNO, found {named}")
    return ACT_ERRNO | int(rule.get("errnoRet") or rule.get("defaultErrnoRet") or 1)


def _export(library: Any, context: Any) -> bytes:
    with tempfile.TemporaryFile() as file:
        done = library.seccomp_export_bpf(context, file.fileno())
        if done != 0:
            raise SandboxFault(f"libseccomp exports no filter: {os.strerror(-done)}")
        file.seek(0)
        return file.read()


def _library_name() -> str | None:
    """Find the library; without a compiler or ldconfig, Python's own search finds nothing."""
    if found := ctypes.util.find_library("seccomp"):
        return found
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    return "libseccomp.so.2"


def _load() -> Any:
    library = ctypes.CDLL(_library_name())
    library.seccomp_init.restype = ctypes.c_void_p
    for name in ("seccomp_attr_set", "seccomp_export_bpf", "seccomp_release"):
        getattr(library, name).argtypes = [ctypes.c_void_p, *_ARGUMENTS.get(name, ())]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    ]
    return library


_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "seccomp_attr_set": (ctypes.c_int, ctypes.c_uint32),
    "seccomp_export_bpf": (ctypes.c_int,),
}
