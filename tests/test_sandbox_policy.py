"""A container that differs in anything from what was asked for is refused before it starts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxes import Opener

from grader.errors import SandboxFault
from grader.plan import Limits
from grader.sandbox import docker, engine, environment
from grader.sandbox.docker import DockerSandbox
from grader.sandbox.policy import Request, assert_policy
from grader.sandbox.seccomp import profile_text

LIMITS = Limits(memory_mib=1024, scratch_mib=64, processes=100, threads=2)
REQUEST = Request(
    image="sha256:abc",
    command=docker.COMMAND,
    environment=environment.variables(work="/work", path="/bin", threads=2, gpu=False),
    limits=LIMITS,
    seccomp="{}",
    shown={"data": Path("/srv/data")},
    labels={"grader.run": "1"},
)


def described(request: Request) -> dict[str, Any]:
    """What an engine says of a container made as asked, in the words of Docker 20.10."""
    config = {key: value for key, value in request.config().items() if key != "HostConfig"}
    config["Env"] = request.env_lines()
    own = {
        "Binds": None,
        "Privileged": False,
        "PidMode": "",
        "UTSMode": "",
        "UsernsMode": "",
        "CapAdd": None,
        "Devices": None,
        "Runtime": "runc",
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        "ConsoleSize": [0, 0],
        "MemorySwappiness": None,
        "MaskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/acpi"],
        "ReadonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/bus"],
    }
    mount = {"Type": "bind", "Source": "/srv/data", "Destination": "/work/data", "RW": False}
    inspected = {"HostConfig": own | request.host_config(), "Mounts": [mount], "Config": config}
    return copy.deepcopy(inspected | {"Config": {**config, "Volumes": None}})


def test_a_container_as_asked_is_accepted() -> None:
    assert_policy(described(REQUEST), REQUEST)


def test_a_warm_container_as_asked_is_accepted_only_where_it_was_asked_for() -> None:
    asked = replace(REQUEST, warm=True)
    assert_policy(described(asked), asked)
    with pytest.raises(SandboxFault, match=r"HostConfig.MaskedPaths lacks /proc/kcore"):
        assert_policy(described(asked), REQUEST)
    with pytest.raises(SandboxFault, match=r"HostConfig.MaskedPaths: expected \[\], found"):
        assert_policy(described(REQUEST), asked)


def test_the_request_asks_for_a_box_without_rights() -> None:
    asked = REQUEST.host_config()
    assert asked == {
        "NetworkMode": "none",
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", "seccomp={}"],
        "ReadonlyRootfs": True,
        "Tmpfs": {
            "/work": "rw,exec,nosuid,nodev,size=64m,nr_inodes=50k,uid=10001,gid=10001,mode=0700",
            "/tmp": "rw,noexec,nosuid,nodev,size=256m,nr_inodes=10k,mode=1777",  # noqa: S108
        },
        "ShmSize": 512 << 20,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Init": False,
        "PidsLimit": 100,
        "Memory": 1 << 30,
        "MemorySwap": 1 << 30,
        "NanoCpus": 2_000_000_000,
        "OomScoreAdj": 500,
        "Ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": 4096, "Hard": 4096},
        ],
        "LogConfig": {"Type": "none", "Config": {}},
        "Mounts": [
            {"Type": "bind", "Source": "/srv/data", "Target": "/work/data", "ReadOnly": True}
        ],
        "DeviceRequests": [],
    }
    assert REQUEST.config()["User"] == "10001:10001"


DEVIATIONS: dict[str, Any] = {
    "HostConfig.Privileged": True,
    "HostConfig.NetworkMode": "default",
    "HostConfig.CapDrop": None,
    "HostConfig.CapAdd": ["SYS_PTRACE"],
    "HostConfig.SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"],
    "HostConfig.ReadonlyRootfs": False,
    "HostConfig.Binds": ["/var/run/docker.sock:/var/run/docker.sock"],
    "HostConfig.PidMode": "host",
    "HostConfig.IpcMode": "host",
    "HostConfig.UTSMode": "host",
    "HostConfig.UsernsMode": "host",
    "HostConfig.CgroupnsMode": "host",
    "HostConfig.Devices": [{"PathOnHost": "/dev/sda"}],
    "HostConfig.DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}],
    "HostConfig.GroupAdd": ["0"],
    "HostConfig.Init": True,
    "HostConfig.Memory": 2 << 30,
    "HostConfig.MemorySwap": -1,
    "HostConfig.OomKillDisable": True,
    "HostConfig.PidsLimit": None,
    "HostConfig.NanoCpus": 0,
    "HostConfig.Tmpfs": {},
    "HostConfig.Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
    "HostConfig.LogConfig": {"Type": "json-file", "Config": {}},
    "HostConfig.MaskedPaths": [],
    "HostConfig.ReadonlyPaths": None,
    "HostConfig.ExtraHosts": ["answers:10.0.0.1"],
    "HostConfig.RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
    "HostConfig.SomethingNew": "that a later engine offers",
    "Config.User": "",
    "Config.Image": "sha256:other",
    "Config.Cmd": ["sh"],
    "Config.Entrypoint": None,
    "Config.Env": ["LD_PRELOAD=/work/x.so"],
    "Config.Tty": True,
    "Config.Volumes": {"/scratch": {}},
}


@pytest.mark.parametrize(("field", "value"), [*DEVIATIONS.items(), ("HostConfig.Init", None)])
def test_any_deviation_is_refused_by_name(field: str, value: Any) -> None:
    inspected = described(REQUEST)
    part, name = field.split(".")
    inspected[part][name] = value
    with pytest.raises(SandboxFault, match=f"so it was not started: {field}[: ]"):
        assert_policy(inspected, REQUEST)


def test_a_field_that_an_engine_dropped_is_refused() -> None:
    inspected = described(REQUEST)
    del inspected["HostConfig"]["PidsLimit"]
    with pytest.raises(SandboxFault, match=r"HostConfig\.PidsLimit is not there"):
        assert_policy(inspected, REQUEST)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda mounts: mounts.clear(),
        lambda mounts: mounts[0].update(RW=True),
        lambda mounts: mounts.append({"Type": "volume", "Source": "/x", "Destination": "/y"}),
    ],
    ids=["no data", "writable data", "another mount"],
)
def test_mounts_are_those_that_were_asked_for(spoil: Callable[[list[Any]], None]) -> None:
    inspected = described(REQUEST)
    spoil(inspected["Mounts"])
    with pytest.raises(SandboxFault, match="Mounts: expected"):
        assert_policy(inspected, REQUEST)


@pytest.mark.docker
@pytest.mark.parametrize("gpu", [None, "GPU-1234"], ids=["no GPU", "one GPU"])
@pytest.mark.parametrize("runtime", [None, "io.containerd.runc.v2"], ids=["default", "named"])
def test_a_real_engine_makes_exactly_what_is_asked(
    opened: Opener, tmp_path: Path, gpu: str | None, runtime: str | None
) -> None:
    sandbox = opened("docker")
    assert isinstance(sandbox, DockerSandbox)
    request = Request(
        image=sandbox.image,
        command=docker.COMMAND,
        environment=environment.variables(work="/work", path="/bin", threads=2, gpu=False),
        limits=LIMITS,
        seccomp=profile_text(),
        shown={"data": tmp_path, ".lib": tmp_path},
        gpu=gpu,
        runtime=runtime,
    )
    made = sandbox._api.create_container_from_config(request.config())["Id"]
    try:
        inspected = sandbox._api.inspect_container(made)
    finally:
        sandbox._api.remove_container(made)
    assert_policy(inspected, request)
    assert inspected["HostConfig"]["Runtime"] == (runtime or inspected["HostConfig"]["Runtime"])
    devices = inspected["HostConfig"]["DeviceRequests"] or []
    assert [device["DeviceIDs"] for device in devices] == ([[gpu]] if gpu else [])


def test_an_engine_that_does_not_answer_is_said_in_a_sentence() -> None:
    with pytest.raises(SandboxFault) as caught:
        engine.connect({"DOCKER_HOST": "unix:///no/such/socket"})
    assert str(caught.value) == (
        "no Docker engine answers at unix:///no/such/socket ([Errno 2] No such file or directory); "
        "start it, or join the group docker"
    )


def test_the_profile_is_a_list_of_what_is_allowed() -> None:
    profile = json.loads(profile_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }
    dangerous = {"ptrace", "mount", "bpf", "io_uring_setup", "keyctl", "unshare", "setns", "socket"}
    assert allowed & dangerous == set()
