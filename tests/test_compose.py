"""docker-compose.yml shows a box as students get it: file and policy must not drift apart."""

from pathlib import Path
from typing import Any

import yaml

from grader.plan import Limits
from grader.sandbox.policy import SHM_MIB, USER, Request
from grader.sandbox.seccomp import profile_text

ROOT = Path(__file__).parents[1]
IMAGE = "sha256:any"


def test_the_box_to_look_into_is_the_box_of_the_policy() -> None:
    box: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][
        "box"
    ]
    request = Request(
        image=IMAGE, command=("x",), environment={}, limits=Limits(), seccomp=profile_text()
    )
    asked = request.host_config()
    mebibytes = asked["Memory"] >> 20
    assert {
        "NetworkMode": box["network_mode"],
        "CapDrop": box["cap_drop"],
        "ReadonlyRootfs": box["read_only"],
        "Tmpfs": dict(mount.split(":", 1) for mount in box["tmpfs"]),
        "IpcMode": box["ipc"],
        "Init": box["init"],
        "PidsLimit": box["pids_limit"],
        "NanoCpus": box["cpus"] * 1_000_000_000,
    }.items() <= asked.items()
    assert (box["mem_limit"], box["memswap_limit"]) == (f"{mebibytes}m", f"{mebibytes}m")
    assert (box["shm_size"], box["user"]) == (f"{SHM_MIB}m", USER)
    promised, profile = box["security_opt"]
    assert promised in asked["SecurityOpt"]
    assert (ROOT / profile.removeprefix("seccomp:")).read_text() == profile_text()
