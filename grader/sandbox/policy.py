"""What a container of ours is and is not allowed, asked for and then checked before it starts.

The request is built here from constants and the plan's limits. The engine's own description of the
created container must then say the same, field by field, and every field that was not asked for
must be empty: a default that somebody configured into the engine, a `VOLUME` in an image or a
variable in its environment is refused, not inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.errors import SandboxFault
from grader.plan import OWN_MIB, Limits
from grader.sandbox.environment import WORK

USER = "10001:10001"
TMP_MIB = 256
SHM_MIB = 512
"""Shared memory, which data loaders of torch need; it counts as memory like the rest."""
OPEN_FILES = 4096
WARM_PROCESSES = 3
"""What a warm worker has beside a submission's processes."""
OOM_SCORE = 500
"""The engine's host kills a box before anything else; the guest gives its kernel even more."""

#: Fields that an engine fills in by itself, and with what; anything else in them is refused.
ENGINES_OWN: Mapping[str, tuple[Any, ...]] = {
    "RestartPolicy": ({"Name": "", "MaximumRetryCount": 0}, {"Name": "no", "MaximumRetryCount": 0}),
    "ConsoleSize": ([0, 0],),
    "Isolation": ("", "default"),
    "MemorySwappiness": (None, -1),
    "MemoryReservation": (0,),
}
#: Lists that must not be shorter than this: an empty one opens all of /proc and /sys.
MASKED = {
    "MaskedPaths": ("/proc/kcore", "/proc/keys", "/sys/firmware"),
    "ReadonlyPaths": ("/proc/sys", "/proc/sysrq-trigger", "/proc/bus"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One container, before anybody made it."""

    image: str
    """Image id."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    inherited: tuple[str, ...] = ()
    """Variables that the image would add, and that are taken away."""
    limits: Limits
    seccomp: str
    """Text of the profile; engines take no path."""
    shown: Mapping[str, Path] = field(default_factory=dict)
    """Folders of the course, read-only, by their names in the working folder."""
    runtime: str | None = None
    gpu: str | None = None
    """The one GPU that it may use, as the engine names it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    warm: bool = False
    """Whether its first process serves one submission after another, each in namespaces that it
    makes. Then nothing of /proc is hidden from that process, because the system lets nobody mount
    another /proc who cannot see all of one; it hides the same parts from each submission."""

    def host_config(self) -> dict[str, Any]:
        """Say what the container may take from the host, in the engine's own words."""
        limits, memory = self.limits, self.limits.memory_mib << 20
        if self.warm:
            memory += OWN_MIB << 20
        asked: dict[str, Any] = {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true", f"seccomp={self.seccomp}"],
            "ReadonlyRootfs": True,
            "Tmpfs": {
                WORK: f"rw,exec,nosuid,nodev,size={limits.scratch_mib}m,nr_inodes=50k,"
                "uid=10001,gid=10001,mode=0700",
                "/tmp": f"rw,noexec,nosuid,nodev,size={TMP_MIB}m,nr_inodes=10k,mode=1777",  # noqa: S108 - inside
            },
            "ShmSize": SHM_MIB << 20,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Init": False,  # Docker's own init could be read by students, and holds our output
            "PidsLimit": limits.processes + (WARM_PROCESSES if self.warm else 0),
            "Memory": memory,
            "MemorySwap": memory,  # equal: no swap
            "NanoCpus": limits.threads * 1_000_000_000,
            "OomScoreAdj": OOM_SCORE,
            # No fsize: it also cuts shared memory. No nproc: it counts a uid over all containers.
            "Ulimits": [_ulimit("core", 0), _ulimit("nofile", OPEN_FILES)],
            "LogConfig": {"Type": "none", "Config": {}},
            "Mounts": [_mount(name, folder) for name, folder in sorted(self.shown.items())],
            "DeviceRequests": [_gpu_request(self.gpu)] if self.gpu else [],
        }
        asked |= {name: [] for name in MASKED} if self.warm else {}
        return asked | ({"Runtime": self.runtime} if self.runtime else {})

    def env_lines(self) -> list[str]:
        """The environment as the engine writes it, sorted."""
        return sorted(f"{name}={text}" for name, text in self.environment.items())

    def config(self) -> dict[str, Any]:
        """Say what the container runs: the body of the engine's `create`."""
        return {
            "Image": self.image,
            "Entrypoint": [self.command[0]],
            "Cmd": list(self.command[1:]),
            # A name without a value takes away what the image sets.
            "Env": [*self.env_lines(), *self.inherited],
            "User": USER,
            "WorkingDir": WORK,
            "Hostname": "box",
            "Tty": False,
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Labels": dict(self.labels),
            "HostConfig": self.host_config(),
        }


def assert_policy(inspected: Mapping[str, Any], request: Request) -> None:
    """Refuse a created container that differs from its request in anything.

    Args:
        inspected: The engine's description of it.
        request: What was asked for.

    Raises:
        SandboxFault: it must not be started; all differences are named.
    """
    wrong = [
        *_host_differences(inspected["HostConfig"], request),
        *_config_differences(inspected["Config"], request),
        *_mount_differences(inspected.get("Mounts") or [], request),
    ]
    if wrong:
        raise SandboxFault(
            "the engine made another container than was asked for, so it was not started: "
            + "; ".join(wrong)
        )


def _host_differences(seen: Mapping[str, Any], request: Request) -> list[str]:
    asked = request.host_config()
    asked.setdefault("Runtime", seen.get("Runtime"))  # not asked for: the operator's default
    missing = [
        f"HostConfig.{name} is not there" for name in asked if asked[name] and name not in seen
    ]
    for name, paths in MASKED.items() if not request.warm else ():
        lacking = sorted(set(paths) - set(seen.get(name) or ()))
        missing += [f"HostConfig.{name} lacks {path}" for path in lacking]
    return missing + [
        f"HostConfig.{name}: expected {_short(asked.get(name))}, found {_short(value)}"
        for name, value in seen.items()
        if (name not in MASKED or request.warm) and not _as_asked(name, value, asked)
    ]


def _as_asked(name: str, value: Any, asked: Mapping[str, Any]) -> bool:
    if name == "Init":
        return value is False  # nothing at all would mean the engine's own setting
    if name in asked:
        return bool(_plain(value) == _plain(asked[name]))
    return not value or value in ENGINES_OWN.get(name, ())


def _config_differences(seen: Mapping[str, Any], request: Request) -> list[str]:
    wrong = []
    for name, asked in request.config().items():
        if name in ("HostConfig", "Labels"):  # labels of the image are there too, and harmless
            continue
        value = seen.get(name)
        if name == "Env":
            value, asked = sorted(value or ()), request.env_lines()
        if _plain(value) != _plain(asked):
            wrong.append(f"Config.{name}: expected {_short(asked)}, found {_short(value)}")
    if seen.get("Volumes"):
        wrong.append("Config.Volumes: a volume of the image would be disk space without a limit")
    return wrong


def _mount_differences(mounts: list[Mapping[str, Any]], request: Request) -> list[str]:
    seen = [(m.get("Type"), m.get("Source"), m.get("Destination"), m.get("RW")) for m in mounts]
    asked = [("bind", str(at), f"{WORK}/{name}", False) for name, at in request.shown.items()]
    asked.sort(key=str)
    # Newer engines list the temporary file systems here too.
    seen = sorted((mount for mount in seen if mount[0] != "tmpfs"), key=str)
    return [] if seen == asked else [f"Mounts: expected {asked}, found {seen}"]


def _plain(value: Any) -> Any:
    """Bring a field to one form: empty is nothing, and the order of limits does not matter."""
    if isinstance(value, dict):
        value = {key: _plain(item) for key, item in value.items() if item}
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        value = sorted(map(_plain, value), key=str)
    return value or None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:120] + "…"


def _ulimit(name: str, value: int) -> dict[str, Any]:
    return {"Name": name, "Soft": value, "Hard": value}


def _mount(name: str, folder: Path) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(folder), "Target": f"{WORK}/{name}", "ReadOnly": True}


def _gpu_request(gpu: str) -> dict[str, Any]:
    # An empty driver lets the engine choose who provides the device.
    return {
        "Driver": "",
        "Count": 0,
        "DeviceIDs": [gpu],
        "Capabilities": [["gpu", "compute", "utility"]],
        "Options": {},
    }
