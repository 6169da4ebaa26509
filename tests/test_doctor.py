"""The doctor tries limits for real, and sees those that do not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxes import Opener
from gpus_of import device

from grader.doctor import (
    Check,
    State,
    engine_check,
    examine,
    gpu_check,
    hardening_check,
    image_check,
)
from grader.sandbox.base import Sandbox
from grader.sandbox.hardening import has_known_hole, read_engine
from grader.sandbox.image import Base, Built
from grader.trials import LIMITS, limits_that_break

VERSION: dict[str, Any] = {
    "Version": "29.0.1",
    "Components": [{"Name": "Engine", "Version": "29.0.1"}, {"Name": "runc", "Version": "1.3.3"}],
}
ABOUT: dict[str, Any] = {
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "Runtimes": {"runc": {"path": "runc"}, "io.containerd.runc.v2": {"path": "runc"}},
    "KernelVersion": "6.1.0-49-amd64",
    "CgroupVersion": "2",
    "MemoryLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
}
BUILT = Built(
    tag="grader-runner:abc",
    size_mib=1150.4,
    base=Base(name="python:3.11@sha256:12", id="sha256:0123456789abcdef"),
    base_now="sha256:0123456789abcdef",
    unlocked=(),
)
MORE = "; docs/hardening.md tells of more, for hosts of value"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("docker-warm", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
    ],
)
def test_every_limit_of_a_real_sandbox_holds(opened: Opener, name: str) -> None:
    assert limits_that_break(opened(name), LIMITS) == []


@pytest.mark.slow
def test_limits_that_do_not_hold_are_named(process_sandbox: Sandbox) -> None:
    broken = set(limits_that_break(process_sandbox, LIMITS)) - {"no network"}
    assert broken == {"files read-only", "processes limited", "scratch space limited"}


@pytest.mark.slow
def test_an_examination_says_something_of_everything_and_ends_in_a_verdict(tmp_path: Path) -> None:
    found = list(examine(tmp_path / "not" / "there"))
    names = [check.name for check in found]
    assert names[:3] == ["python", "machine", "disk"]
    assert {"engine", "bubblewrap", "GPU"} <= {name.split(" ")[0] for name in names}
    held = [c.name for c in found if c.name.startswith("limits in ") and c.state is State.OK]
    expected = State.OK if held else State.FAIL
    assert (found[-1].name, found[-1].state) == ("sandbox", expected)
    assert [check for check in found if not isinstance(check, Check) or not check.says] == []
    assert [check.name for check in found if check.state is not State.OK and not check.do] == []


def test_an_engine_is_described_by_what_decides_how_safe_it_is() -> None:
    assert engine_check(read_engine(VERSION, ABOUT)) == Check(
        name="engine",
        state=State.OK,
        says="29.0.1, runc 1.3.3, kernel 6.1.0-49-amd64, control groups version 2, "
        "apparmor, seccomp, cgroupns",
    )


def test_an_engine_that_says_little_is_described_all_the_same() -> None:
    found = engine_check(read_engine({"Version": "5.0"}, ABOUT | {"SecurityOptions": None}))
    assert found.says == (
        "5.0, runc unknown, kernel 6.1.0-49-amd64, control groups version 2, no safeguards"
    )


def test_an_engine_without_limits_is_not_good_enough() -> None:
    found = engine_check(read_engine(VERSION, ABOUT | {"MemoryLimit": False, "PidsLimit": False}))
    assert (found.state, found.do) == (
        State.FAIL,
        "the engine says that it has no MemoryLimit, PidsLimit: turn the control groups on",
    )


@pytest.mark.parametrize(
    ("runc", "hole"),
    [
        ("1.1.5+ds1", True),
        ("1.2.7", True),
        ("1.2.8", False),
        ("1.2.10", False),
        ("1.3.0", True),
        ("1.3.2-0ubuntu1", True),
        ("1.3.3", False),
        ("v1.3.4", False),
        ("1.4.0-rc.2", True),
        ("1.4.0-rc.3", False),
        ("1.4.0~rc.1+ds", True),
        ("1.4.0", False),
        ("2.0.0", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_versions_of_runc_with_known_escapes_are_known(runc: str, hole: bool) -> None:
    assert has_known_hole(runc) is hole


def test_a_runc_with_known_escapes_is_a_warning() -> None:
    old = VERSION | {"Components": [{"Name": "runc", "Version": "1.3.1"}]}
    found = engine_check(read_engine(old, ABOUT))
    assert (found.state, found.do) == (
        State.WARN,
        "runc before 1.2.8, or 1.3.3 of the newer ones, has known escapes, unless your "
        "distribution mended them in its own version: update",
    )


@pytest.mark.parametrize(
    ("options", "runtimes", "says"),
    [
        pytest.param([], {}, f"run by root: who breaks out is root; no gVisor{MORE}", id="usual"),
        pytest.param(
            ["name=rootless"],
            {},
            f"rootless: who breaks out is the user who runs the engine; no gVisor{MORE}",
            id="rootless",
        ),
        pytest.param(
            ["name=userns"],
            {"runsc": {"path": "/usr/bin/runsc"}},
            "userns-remap: who breaks out is nobody; gVisor with --runtime runsc",
            id="userns-remap and gVisor",
        ),
        pytest.param(
            [],
            {"gvisor": {"path": "/opt/runsc"}, "runsc-kvm": {"runtimeType": "io.containerd.x"}},
            "run by root: who breaks out is root; gVisor with --runtime gvisor or --runtime "
            f"runsc-kvm{MORE}",
            id="gVisor under other names",
        ),
    ],
)
def test_what_stands_behind_the_container_is_told(
    options: list[str], runtimes: dict[str, Any], says: str
) -> None:
    about = ABOUT | {
        "SecurityOptions": [*ABOUT["SecurityOptions"], *options],
        "Runtimes": ABOUT["Runtimes"] | runtimes,
    }
    found = hardening_check(read_engine(VERSION, about))
    assert found == Check(name="hardening", state=State.OK, says=says)


def test_a_gpu_is_told_with_what_is_free(tmp_path: Path) -> None:
    assert gpu_check(device(1, 8000), "", tmp_path) == Check(
        name="GPU 1", state=State.OK, says="T4, 8000 of 8000 MiB free, GPU-1"
    )


def test_a_gpu_in_quarantine_is_a_warning_that_says_how_to_end_it(tmp_path: Path) -> None:
    assert gpu_check(device(1, 8000), "it keeps 800 MiB", tmp_path) == Check(
        name="GPU 1",
        state=State.WARN,
        says="T4, 8000 of 8000 MiB free, GPU-1; quarantined: it keeps 800 MiB",
        do=f"look at it; once it is well, remove {tmp_path / 'GPU-1'}",
    )


def test_an_image_is_told_with_its_base() -> None:
    assert image_check(BUILT) == Check(
        name="runner image",
        state=State.OK,
        says="grader-runner:abc (1150 MiB) on python:3.11@sha256:12 (id 0123456789ab), "
        "all packages locked",
    )


def test_an_image_whose_base_is_gone_is_as_good_as_before() -> None:
    assert image_check(replace(BUILT, base_now="")).state is State.OK


def test_an_image_whose_base_has_changed_is_a_warning() -> None:
    found = image_check(replace(BUILT, base_now="sha256:other"))
    assert (found.state, found.do) == (
        State.WARN,
        "its base is another one by now; `docker image rm grader-runner:abc` has it built again",
    )


def test_packages_that_no_lock_knew_are_a_warning_that_names_them() -> None:
    found = image_check(replace(BUILT, unlocked=("a==1", "b==2", "c==3", "torch==2.13.0+cu128")))
    assert (found.state, found.do) == (
        State.WARN,
        "an index gave a==1, b==2, c==3, ... unchecked; docker/README.md says how to lock a "
        "build of torch",
    )
    assert found.says.endswith(", 4 packages not locked")


def test_no_image_yet_is_a_warning() -> None:
    assert image_check(None).says == "not built yet for this version, so its limits were not tried"
