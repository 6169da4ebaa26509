"""Say what this machine can do, by trying it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import psutil
import requests
from docker.errors import DockerException

from grader.errors import GraderError, InputError
from grader.gpus import Device
from grader.plan import Limits
from grader.sandbox import bubblewrap, engine
from grader.sandbox.bubblewrap import BubblewrapSandbox
from grader.sandbox.docker import DockerSandbox
from grader.sandbox.hardening import Engine, has_known_hole, read_engine
from grader.sandbox.image import Built, built_image
from grader.sandbox.lending import chosen, quarantined
from grader.sandbox.nvml import Nvml
from grader.sandbox.warm import WarmDockerSandbox
from grader.trials import MEMORY, TRIALS, limits_that_break

LEAST_DISK_GIB = 5


class State(StrEnum):
    """How good something is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried."""

    name: str
    state: State
    says: str
    do: str = ""
    """What would mend it, as something that a person can do."""


def examine(state: Path) -> Iterator[Check]:
    """Try everything, slowest things last.

    Args:
        state: The course's `.grader/`, which need not be there.
    """
    yield _software()
    yield from _machine(state)
    boxes = []
    for found in (*_docker(), *_bubblewrap()):
        yield found
        boxes += [found.name] * (found.state is State.OK and found.name.startswith("limits in "))
    yield from _graphics(state)
    if boxes:
        names = " and ".join(name.removeprefix("limits in ") for name in boxes)
        yield Check(name="sandbox", state=State.OK, says=f"students' notebooks can run in {names}")
    else:
        yield Check(
            name="sandbox",
            state=State.FAIL,
            says="no sandbox here holds student code",
            do="mend docker or bubblewrap above; `--sandbox process` isolates nothing",
        )


def _software() -> Check:
    says = f"Python {platform.python_version()}, torch {metadata.version('torch')}"
    return Check(name="python", state=State.OK, says=f"{says} on {platform.platform(terse=True)}")


def _machine(state: Path) -> Iterator[Check]:
    folder = next(path for path in (state, *state.absolute().parents) if path.is_dir())
    free_gib = shutil.disk_usage(folder).free / 2**30
    memory_gib = psutil.virtual_memory().total / 2**30
    fits = int(memory_gib * 1024 // Limits().host_mib)
    yield Check(
        name="machine",
        state=State.OK if fits else State.WARN,
        says=f"{os.cpu_count()} processors, {memory_gib:.0f} GiB of memory: room for {fits} "
        f"notebooks at a time at {Limits().host_mib} MiB each",
    )
    yield Check(
        name="disk",
        state=State.OK if free_gib >= LEAST_DISK_GIB else State.WARN,
        says=f"{free_gib:.0f} GiB free in {folder}",
        do="" if free_gib >= LEAST_DISK_GIB else f"make room: {LEAST_DISK_GIB} GiB are not much",
    )


def _docker() -> Iterator[Check]:
    try:
        client = engine.connect()
    except GraderError as error:
        yield Check(
            name="engine", state=State.WARN, says=str(error), do="start Docker, or use bubblewrap"
        )
        return
    with closing(client):
        try:
            found = read_engine(client.version(), client.info())
            yield engine_check(found)
            yield hardening_check(found)
            built = built_image(client, os.environ)
            yield image_check(built)
        except (DockerException, requests.RequestException) as error:
            yield Check(name="engine", state=State.FAIL, says=str(error), do="look at its log")
            return
    if built:
        yield _live("docker", DockerSandbox)
        yield _live("docker-warm", WarmDockerSandbox, only_asked_for=True)


def engine_check(found: Engine) -> Check:
    """Say what the engine is, and whether it can hold limits."""
    says = (
        f"{found.version}, runc {found.runc or 'unknown'}, kernel {found.kernel}, control groups "
        f"version {found.control_groups}, {', '.join(found.safeguards) or 'no safeguards'}"
    )
    if found.lacking:
        lacking = ", ".join(found.lacking)
        do = f"the engine says that it has no {lacking}: turn the control groups on"
        return Check(name="engine", state=State.FAIL, says=says, do=do)
    if has_known_hole(found.runc):
        do = (
            "runc before 1.2.8, or 1.3.3 of the newer ones, has known escapes, unless your "
            "distribution mended them in its own version: update"
        )
        return Check(name="engine", state=State.WARN, says=says, do=do)
    return Check(name="engine", state=State.OK, says=says)


def hardening_check(found: Engine) -> Check:
    """Say what stands behind the container's own walls; nothing here must be there."""
    whose = {
        "rootless": "rootless: who breaks out is the user who runs the engine",
        "userns-remap": "userns-remap: who breaks out is nobody",
    }.get(found.root, "run by root: who breaks out is root")
    names = " or ".join(f"--runtime {name}" for name in found.gvisor)
    kernel = f"gVisor with {names}" if names else "no gVisor"
    more = "" if found.root and names else "; docs/hardening.md tells of more, for hosts of value"
    return Check(name="hardening", state=State.OK, says=f"{whose}; {kernel}{more}")


def image_check(found: Built | None) -> Check:
    """Say what the runner image is made from."""
    name = "runner image"
    if found is None:
        return Check(
            name=name,
            state=State.WARN,
            says="not built yet for this version, so its limits were not tried",
            do="`grader run` builds it on first use; run `grader doctor` again after that",
        )
    base = f"{found.base.name} (id {found.base.id.removeprefix('sha256:')[:12] or 'unknown'})"
    says = f"{found.tag} ({found.size_mib:.0f} MiB) on {base}, "
    says += (
        f"{len(found.unlocked)} packages not locked" if found.unlocked else "all packages locked"
    )
    if found.unlocked:
        shown = ", ".join(found.unlocked[:3]) + (", ..." if len(found.unlocked) > 3 else "")
        do = f"an index gave {shown} unchecked; docker/README.md says how to lock a build of torch"
        return Check(name=name, state=State.WARN, says=says, do=do)
    if found.base_now not in ("", found.base.id):
        do = f"its base is another one by now; `docker image rm {found.tag}` has it built again"
        return Check(name=name, state=State.WARN, says=says, do=do)
    return Check(name=name, state=State.OK, says=says)


def _bubblewrap() -> Iterator[Check]:
    if missing := bubblewrap.why_not():
        do = "only needed where there is no Docker engine"
        yield Check(name="bubblewrap", state=State.WARN, says=missing, do=do)
        return
    yield Check(name="bubblewrap", state=State.OK, says="makes namespaces, filters system calls")
    yield _live("bubblewrap", BubblewrapSandbox)


def _live(
    name: str,
    make: type[DockerSandbox] | type[BubblewrapSandbox],
    *,
    only_asked_for: bool = False,
) -> Check:
    name = f"limits in {name}"
    try:
        with closing(make()) as sandbox:
            broken = limits_that_break(sandbox)
    except GraderError as error:
        says = f"an empty notebook failed: {error}"
        if only_asked_for:
            do = "only needed for --sandbox docker-warm; docs/security.md says what that takes"
            return Check(name=name, state=State.WARN, says=says, do=do)
        do = "this must work before anything is graded"
        return Check(name=name, state=State.FAIL, says=says, do=do)
    if broken:
        says = f"these do not hold: {', '.join(broken)}"
        do = "grade on another machine, or turn on what the engine lacks"
        return Check(name=name, state=State.FAIL, says=says, do=do)
    return Check(name=name, state=State.OK, says=f"{', '.join([*TRIALS, MEMORY])}: all hold")


def _graphics(state: Path) -> Iterator[Check]:
    folder = state / "gpus"
    try:
        with closing(Nvml()) as nvml:
            bad = quarantined(folder)
            for number in chosen("all", nvml.count()):
                try:
                    device = nvml.device(number)
                except InputError as error:
                    do = "look at it, and name the others with --gpus"
                    yield Check(name=f"GPU {number}", state=State.WARN, says=str(error), do=do)
                    continue
                yield gpu_check(device, bad.get(device.id, ""), folder)
    except InputError as error:
        says = f"none to be used ({error}); rubrics that require one cannot run here"
        yield Check(name="GPU", state=State.OK, says=says)
        return
    if not _hands_out_gpus():
        says = "the engine lists no NVIDIA runtime, so no container gets a GPU"
        do = "install the NVIDIA container toolkit and restart the engine"
        yield Check(name="GPU", state=State.WARN, says=says, do=do)


def gpu_check(device: Device, why: str, folder: Path) -> Check:
    """Say what a GPU is, and whether it is lent.

    Args:
        device: The GPU.
        why: Why it is quarantined; empty if it is not.
        folder: Where quarantine is written down.
    """
    says = f"{device.name}, {device.free_mib} of {device.memory_mib} MiB free, {device.id}"
    name = f"GPU {device.number}"
    if not why:
        return Check(name=name, state=State.OK, says=says)
    do = f"look at it; once it is well, remove {folder / device.id}"
    return Check(name=name, state=State.WARN, says=f"{says}; quarantined: {why}", do=do)


def _hands_out_gpus() -> bool:
    try:
        with closing(engine.connect()) as client:
            about = client.info()
    except (GraderError, DockerException, requests.RequestException):
        return False
    # Either way of handing out GPUs: the toolkit's own runtime, or devices that the engine lists.
    ways = [*(about.get("Runtimes") or ()), *(str(d) for d in about.get("DiscoveredDevices") or ())]
    return any("nvidia" in way for way in ways)
