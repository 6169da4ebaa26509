"""The runner image, on a real engine: what is in it, what is not, and when it is built again."""

import os
import shlex
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from grader.errors import InputError
from grader.sandbox.image import runner_image

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


def inside(client: docker.DockerClient, image: str, script: str, user: str = "0") -> str:
    said: bytes = client.containers.run(
        image, ["sh", "-c", script], user=user, network_mode="none", remove=True
    )
    return said.decode()


def test_an_image_that_is_there_is_not_built_again(client: docker.DockerClient, image: str) -> None:
    lines: list[str] = []

    again = runner_image(client, lines.append)

    assert (again, lines) == (image, [])


def test_a_base_that_cannot_be_had_names_the_way_out(client: docker.DockerClient) -> None:
    lines: list[str] = []

    with pytest.raises(InputError, match="scripts/base-image"):
        runner_image(client, lines.append, {"GRADER_BASE_IMAGE": "localhost:1/nothing:1"})

    assert lines == ["pulling localhost:1/nothing:1"]


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
    said = inside(client, image, "python -c 'import getpass; print(getpass.getuser())'", "10001")

    assert said == "student\n"


def test_nothing_in_it_lends_another_user_s_rights(client: docker.DockerClient, image: str) -> None:
    assert inside(client, image, "find / -xdev -perm /6000") == ""


def test_the_guest_is_there_as_it_is_here(client: docker.DockerClient, image: str) -> None:
    said = inside(client, image, "cd /opt/grader/guest && sha256sum *.py | sort -k 2")

    here = sorted((ROOT / "grader" / "guest").glob("*.py"))
    assert said.splitlines() == [
        f"{sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in here
    ]


def test_a_student_can_write_nothing_in_it(client: docker.DockerClient, image: str) -> None:
    scratch = "! -path /tmp ! -path /var/tmp ! -path /run/lock ! -path '/dev/*'"

    said = inside(
        client, image, f"find / -xdev -writable ! -type l {scratch} 2>/dev/null || true", "10001"
    )

    assert said == ""


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
