"""The files for docker compose: a box as students get it, and a cluster without needless rights.

The first must not drift apart from the policy; the second is looked at through compose's own eyes.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.cli import grader
from grader.plan import Limits
from grader.sandbox.policy import SHM_MIB, USER, Request
from grader.sandbox.seccomp import profile_text

ROOT = Path(__file__).parents[1]
IMAGE = "sha256:any"


def test_the_box_to_look_into_is_the_box_of_the_policy() -> None:
    told = yaml.safe_load((ROOT / "docker-compose.box.yml").read_text())
    box: dict[str, Any] = told["services"]["box"]
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


# --- the cluster ----------------------------------------------------------------------------------

SETTINGS = {
    "GRADER_TLS": "/srv/grader/tls",
    "GRADER_GIVEN": "/srv/grader/given",
    "GRADER_USER": "1234:1234",
    "GRADER_ENGINE": "/run/user/1234/docker.sock",
    "GRADER_DATABASE_PASSWORD": "/srv/grader/password",
}


def composed(**settings: str) -> subprocess.CompletedProcess[str]:
    compose = shutil.which("docker-compose")
    if compose is None:
        if os.environ.get("GRADER_REQUIRE_DOCKER"):
            pytest.fail("docker-compose is not here")
        pytest.skip("docker-compose is not here")
    return subprocess.run(
        [compose, "-f", ROOT / "docker-compose.yml", "config"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **settings},
        check=False,
    )


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    ran = composed(**SETTINGS)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = yaml.safe_load(ran.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_compose_says_which_setting_is_missing(name: str) -> None:
    ran = composed(**{key: value for key, value in SETTINGS.items() if key != name})
    assert ran.returncode != 0
    assert name in ran.stderr


def test_no_part_of_the_cluster_has_more_rights_than_it_needs(cluster: dict[str, Any]) -> None:
    assert set(cluster["services"]) == {"scheduler", "worker", "database"}
    for name, part in cluster["services"].items():
        assert part["cap_drop"] == ["ALL"], name
        assert part["read_only"] is True, name
        assert part["security_opt"] == ["no-new-privileges:true"], name
        assert part["user"].split(":")[0] not in ("0", "root"), name
        assert {"mem_limit", "pids_limit"} <= part.keys(), name
        assert not {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode"} & part.keys()


def test_workers_alone_reach_an_engine_and_it_is_not_the_machines(cluster: dict[str, Any]) -> None:
    mounts = {name: part["volumes"] for name, part in cluster["services"].items()}
    assert mounts["worker"] == [
        "/srv/grader/tls:/run/grader/tls:ro",
        "/srv/grader/given:/srv/grader/given:ro",
        "/run/user/1234/docker.sock:/run/grader/engine.sock:rw",
    ]
    assert mounts["scheduler"] == ["/srv/grader/tls:/run/grader/tls:ro"]
    assert mounts["database"] == ["records:/var/lib/postgresql/data:rw"]
    engine = cluster["services"]["worker"]["environment"]["DOCKER_HOST"]
    assert engine == "unix:///run/grader/engine.sock"


def test_workers_reach_the_scheduler_and_nothing_else(cluster: dict[str, Any]) -> None:
    joined = {name: set(part["networks"]) for name, part in cluster["services"].items()}
    assert joined == {
        "scheduler": {"cluster", "outside"},
        "worker": {"cluster"},
        "database": {"records"},
    }
    assert cluster["networks"]["cluster"] == {"internal": True}
    published = {name: part.get("ports") for name, part in cluster["services"].items()}
    assert published == {
        "scheduler": ["0.0.0.0:8786:8786/tcp"],
        "worker": None,
        "database": ["127.0.0.1:5432:5432/tcp"],
    }


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_the_parts_are_started_by_commands_that_there_are(
    name: str, cluster: dict[str, Any]
) -> None:
    group, verb, *options = cluster["services"][name]["command"]
    commands: Any = grader.commands[group]
    given = commands.commands[verb].make_context(verb, options).params
    assert given["address"].startswith("tls://")
    if name == "worker":
        assert (given["sandbox"], given["given"]) == ("docker", Path("/srv/grader/given"))
    variables = cluster["services"][name]["environment"]
    assert variables["GRADER_TLS"] == "/run/grader/tls"


def test_the_image_of_the_cluster_holds_no_rubric_and_no_reference() -> None:
    lines = (ROOT / "docker" / "grader.Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert copied == [
        ["docker/requirements.txt"],
        ["pyproject.toml", "README.md", "LICENSE"],
        ["docker"],
        ["grader"],
        ["--from=build", "/opt/grader"],
    ]
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored == ["*", "!pyproject.toml", "!README.md", "!LICENSE", "!docker", "!grader"]
