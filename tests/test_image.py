"""The runner image, on a real engine: what is in it, what is not, and when it is built again."""

import json
import os
import shlex
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from grader.errors import InputError
from grader.sandbox import lock
from grader.sandbox.image import Built, built_image, runner_image
from grader.sandbox.lock import Locked

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException as problem:
        if os.environ.get("GRADER_REQUIRE_DOCKER"):
            raise
        pytest.skip(f"no Docker engine answers: {problem}")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    return runner_image(client, lambda line: None)


def inside(client: docker.DockerClient, image: str, *script: str, user: str = "0") -> str:
    command = ["sh", "-c", *script] if len(script) == 1 else [*script]
    said: bytes = client.containers.run(image, command, user=user, network_mode="none", remove=True)
    return said.decode()


@pytest.fixture(scope="module")
def locked() -> dict[str, Locked]:
    """What the image was made from, by names as package addresses have them."""
    if os.environ.get("GRADER_TORCH", "cpu") != "cpu":
        pytest.skip("another build of torch than the usual one")
    text = (ROOT / "docker" / "requirements.cpu.lock").read_text("utf-8")
    found = lock.read(text, "the lock")
    return {lock.spelled(p.name, "").rstrip("-").replace("_", "-"): p for p in found}


@pytest.fixture(scope="module")
def bill(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """The image's own list of what is in it."""
    found: dict[str, Any] = json.loads(inside(client, image, "cat /opt/grader/sbom.cdx.json"))
    return found


def test_an_image_that_is_there_is_not_built_again(client: docker.DockerClient, image: str) -> None:
    lines: list[str] = []

    again = runner_image(client, lines.append)

    assert (again, lines) == (image, [])


def test_a_base_that_cannot_be_had_names_the_way_out(client: docker.DockerClient) -> None:
    lines: list[str] = []

    with pytest.raises(InputError, match="scripts/base-image"):
        runner_image(client, lines.append, {"GRADER_BASE_IMAGE": "localhost:1/nothing:1"})

    assert lines == ["pulling localhost:1/nothing:1"]


@pytest.mark.threat("RX-04", where="docker")
def test_it_runs_as_nobody_in_particular_and_has_no_volumes(
    client: docker.DockerClient, image: str
) -> None:
    config = client.images.get(image).attrs["Config"]

    told = {key: config[key] for key in ("User", "WorkingDir", "Volumes", "Entrypoint")}

    assert told == {
        "User": "10001:10001",
        "WorkingDir": "/work",
        "Volumes": None,
        "Entrypoint": None,
    }


def test_its_user_has_a_name(client: docker.DockerClient, image: str) -> None:
    said = inside(
        client, image, "python -c 'import getpass; print(getpass.getuser())'", user="10001"
    )

    assert said == "student\n"


@pytest.mark.threat("HE-06", where="docker")
def test_nothing_in_it_lends_another_user_s_rights(client: docker.DockerClient, image: str) -> None:
    assert inside(client, image, "find / -xdev -perm /6000") == ""


def test_the_guest_is_there_as_it_is_here(client: docker.DockerClient, image: str) -> None:
    said = inside(client, image, "cd /opt/grader/guest && sha256sum *.py | sort -k 2")

    here = sorted((ROOT / "grader" / "guest").glob("*.py"))
    assert said.splitlines() == [
        f"{sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in here
    ]


@pytest.mark.threat("XS-02", where="docker")
def test_a_student_can_write_nothing_in_it(client: docker.DockerClient, image: str) -> None:
    scratch = "! -path /tmp ! -path /var/tmp ! -path /run/lock ! -path '/dev/*'"

    said = inside(
        client,
        image,
        f"find / -xdev -writable ! -type l {scratch} 2>/dev/null || true",
        user="10001",
    )

    assert said == ""


@pytest.mark.threat("AL-01", "AL-10", where="docker")
def test_no_answer_is_in_it(client: docker.DockerClient, image: str) -> None:
    answers = [*(ROOT / "reference").rglob("*.py"), *(ROOT / "rubrics").rglob("*.yaml")]
    telling = {max(path.read_text().splitlines(), key=len) for path in answers}
    patterns = " ".join(f"-e {shlex.quote(line)}" for line in sorted(telling))

    said = inside(
        client,
        image,
        f"LC_ALL=C grep -rlsF {patterns} /etc /home /opt /root /srv /tmp /usr /var /work || true",
    )

    assert telling
    assert said == ""


def test_it_is_described_with_its_base_and_with_what_was_not_locked(
    client: docker.DockerClient, image: str
) -> None:
    found = built_image(client, os.environ)

    assert isinstance(found, Built)
    assert client.images.get(found.tag).id == image
    assert found.base.id.startswith("sha256:")
    assert found.base_now in ("", found.base.id)
    if os.environ.get("GRADER_TORCH", "cpu") == "cpu":
        assert found.unlocked == ()


def test_no_description_is_made_up_of_an_image_that_was_not_built(
    client: docker.DockerClient,
) -> None:
    assert built_image(client, {"GRADER_BASE_IMAGE": "localhost:1/nothing:1"}) is None


def test_exactly_what_is_locked_is_installed(
    client: docker.DockerClient, image: str, locked: dict[str, Locked]
) -> None:
    tell = (
        "from importlib.metadata import distributions as d\nfor p in d(): print(p.name, p.version)"
    )

    said = inside(client, image, "python", "-I", "-c", tell).splitlines()

    assert {line for line in said if not line.startswith("pip ")} == {
        f"{package.name} {package.version}" for package in locked.values()
    }


def test_its_bill_of_materials_names_every_package_with_the_digest_that_was_locked(
    bill: dict[str, Any], locked: dict[str, Locked]
) -> None:
    entries = [entry for entry in bill["components"] if entry["purl"].startswith("pkg:pypi/")]
    seen = {
        (entry["name"], entry["version"], entry["hashes"][0]["content"])
        for entry in entries
        if entry["name"] != "pip"
    }

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {(name, version) for name, version, _ in seen} == {
        (name, package.version) for name, package in locked.items()
    }
    assert [name for name, _, digest in seen if digest not in locked[name].digests] == []


def test_its_bill_of_materials_names_every_debian_package_the_base_and_the_interpreter(
    client: docker.DockerClient, image: str, bill: dict[str, Any]
) -> None:
    show = "dpkg-query --show --showformat='${Package} ${Version}\\n' | sort"

    said = inside(client, image, show).splitlines()

    addresses = [entry["purl"] for entry in bill["components"]]
    pairs = [f"{entry['name']} {entry['version']}" for entry in bill["components"]]
    debian = [pair for pair, purl in zip(pairs, addresses, strict=True) if "pkg:deb/" in purl]
    assert sorted(debian) == sorted(said)
    assert [purl for purl in addresses if purl.startswith("pkg:generic/python@3.11.")]
    told = bill["metadata"]["component"]["properties"]
    labels = client.images.get(image).attrs["Config"]["Labels"]
    assert told == [{"name": "grader:base", "value": labels["grader.base.id"]}]


def test_the_same_image_gives_the_same_bill_of_materials(
    client: docker.DockerClient, image: str
) -> None:
    source = (ROOT / "docker" / "sbom.py").read_text("utf-8")
    again = ["python", "-c", source, "a base", "/no/wheels", "/dev/stdout"]

    bills = [inside(client, image, "env", f"PYTHONHASHSEED={n}", *again) for n in (1, 2)]

    assert bills[0] == bills[1] != ""
