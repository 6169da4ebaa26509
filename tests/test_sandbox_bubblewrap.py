"""What bubblewrap is told, and when it is refused; the rest is in the conformance suite."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from grader.errors import InputError, SandboxFault
from grader.plan import Limits
from grader.sandbox import bubblewrap, seccomp
from grader.sandbox.base import Sandbox
from grader.sandbox.bubblewrap import BubblewrapSandbox, arguments, visible

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")


def options(told: list[str], name: str) -> list[list[str]]:
    """The two words after each mention of an option."""
    return [told[at + 1 : at + 3] for at, word in enumerate(told) if word == name]


def test_it_shows_only_system_python_guest_and_data() -> None:
    told = arguments(Limits(), {"data": Path("/srv/data")}, 9, [Path("/usr"), Path("/opt/env")])
    shown = [source for source, _ in options(told, "--ro-bind") if not source.startswith("/lib")]
    guest = Path(bubblewrap.__file__).parents[1] / "guest"
    assert shown == ["/usr", "/opt/env", str(guest), "/srv/data"]
    assert "--bind" not in told
    assert options(told, "--dev-bind") == []


def test_what_it_may_write_has_a_size_and_the_rest_is_closed_afterwards() -> None:
    told = arguments(Limits(scratch_mib=64), {}, 9, [])
    places = {told[at + 3]: int(told[at + 1]) >> 20 for at, w in enumerate(told) if w == "--size"}
    assert places == {"/dev/shm": 512, "/tmp": 256, "/work": 64}  # noqa: S108
    assert told.index("/dev/shm") < told.index("--remount-ro")  # noqa: S108
    assert [first for first, _ in options(told, "--remount-ro")] == ["/dev", "/"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be refused")
def test_root_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="bubblewrap: root is refused, because"):
        BubblewrapSandbox()


@pytest.mark.skipif(os.geteuid() == 0, reason="root is refused before that")
def test_a_machine_without_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert bubblewrap.why_not() == (
        "bubblewrap is not installed (Debian and Ubuntu: apt install bubblewrap)"
    )


def test_evidence_from_where_nothing_isolates_is_none_from_here(
    bubblewrap_sandbox: Sandbox, process_sandbox: Sandbox
) -> None:
    assert process_sandbox.image == f"{bubblewrap_sandbox.image} process"


def test_a_python_whose_folder_holds_the_course_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "course").mkdir()
    monkeypatch.chdir(tmp_path / "course")
    with pytest.raises(InputError, match=r"so a box that shows it would show .*course too"):
        visible()


def test_the_filter_is_a_classic_bpf_program_that_ends_in_verdicts() -> None:
    if missing := seccomp.why_not():
        pytest.skip(missing)
    program = seccomp.compiled(seccomp.profile_text())
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    returned = {value for code, _, _, value in steps if code == 0x06}
    enosys, eperm = seccomp.ACT_ERRNO | 38, seccomp.ACT_ERRNO | 1
    assert returned == {seccomp.ACT_ALLOW, enosys, eperm, seccomp.ACT_KILL_PROCESS}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('{"names": ["read"], "action": "SCMP_ACT_TRACE"}', "expected ALLOW or ERRNO"),
        (
            '{"names": ["read"], "action": "SCMP_ACT_ALLOW",'
            ' "args": [{"index": 9, "op": "SCMP_CMP_EQ", "value": 0}]}',
            "libseccomp refuses the rule for read",
        ),
    ],
    ids=["action", "argument"],
)
def test_a_rule_that_cannot_be_compiled_is_a_fault(rule: str, says: str) -> None:
    if missing := seccomp.why_not():
        pytest.skip(missing)
    with pytest.raises(SandboxFault, match=says):
        seccomp.compiled(f'{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rule}]}}')
