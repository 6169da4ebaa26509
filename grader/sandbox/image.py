"""The runner image: built by the project itself on first use, named after what is in it.

The build context is packed here, from a list, so that nothing else can get into the image::

    Dockerfile         docker/Dockerfile
    requirements.txt   docker/requirements.txt
    wheels/*.whl       fetched on the host: see `grader.sandbox.wheels`
    guest/*.py         grader/guest
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker.errors import DockerException, ImageNotFound

from grader.errors import InputError, SandboxFault
from grader.sandbox import wheels
from grader.sandbox.wheels import Progress, TorchBuild

OFFICIAL_BASE = "python:3.11-slim-bookworm"
OWN_BASE = "grader-base:bookworm"
"""What `scripts/base-image` makes where no registry can be reached."""

_BUILD_TIMEOUT_S = 1800
"""How long the engine may be silent: pip says nothing while it unpacks torch."""

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Processors as the engine names them, and as wheels do."""

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides what is in the image."""

    base: str
    dockerfile: bytes
    requirements: bytes
    guest: Mapping[str, bytes]
    """File name and content."""
    torch: TorchBuild

    @property
    def tag(self) -> str:
        """Name of the image: equal for equal contents, whoever builds it."""
        told = hashlib.sha256(f"{self.base}\n{self.torch.variant}\n".encode())
        files = {"Dockerfile": self.dockerfile, "requirements.txt": self.requirements, **self.guest}
        for name in sorted(files):
            told.update(f"{name} {len(files[name])}\n".encode() + files[name])
        return f"grader-runner:{told.hexdigest()[:12]}"

    @property
    def environment(self) -> str:
        """Name of the folder of wheels: it does not depend on the guest."""
        told = self.requirements + self.torch.variant.encode()
        return hashlib.sha256(told).hexdigest()[:12]


def read_recipe(base: str, environ: Mapping[str, str]) -> Recipe:
    """Read the recipe from the project's files."""
    # A wheel of this project holds docker/ inside the package; a checkout, beside it.
    folders = [_PACKAGE / "docker", _PACKAGE.parent / "docker"]
    folder = next((there for there in folders if (there / "Dockerfile").is_file()), None)
    if folder is None:
        raise InputError(f"{folders[1]}: expected the runner image's Dockerfile, found none")
    return Recipe(
        base=base,
        dockerfile=(folder / "Dockerfile").read_bytes(),
        requirements=(folder / "requirements.txt").read_bytes(),
        guest={path.name: path.read_bytes() for path in (_PACKAGE / "guest").glob("*.py")},
        torch=TorchBuild.chosen(environ),
    )


def runner_image(
    client: docker.DockerClient, progress: Progress, environ: Mapping[str, str] = os.environ
) -> str:
    """Return the id (`sha256:...`) of the runner image, building it if the engine has none.

    Settings: GRADER_BASE_IMAGE (another base), GRADER_TORCH and GRADER_TORCH_INDEX (another build
    of torch), GRADER_WHEELS (another folder for wheels).

    Args:
        client: A connection to an engine.
        progress: Gets a line for each step of a build, nothing if there is nothing to build.
        environ: The environment variables to obey.

    Raises:
        InputError: something is missing that a person must provide; the message says what.
        SandboxFault: the engine failed.
    """
    named = environ.get("GRADER_BASE_IMAGE")
    bases = [named] if named else [OFFICIAL_BASE, OWN_BASE]
    try:
        # Either base will do for an image that is there, or else a later `docker pull` of the
        # other one would change the image, and with it run every notebook again.
        there = (_image_id(client, read_recipe(base, environ).tag) for base in bases)
        if ready := next((found for found in there if found), None):
            return ready
        recipe = read_recipe(_base(client, bases, progress), environ)
        return _build(client, recipe, _wheel_folder(environ), progress)
    except (DockerException, requests.RequestException) as problem:
        raise SandboxFault(f"the engine failed over the runner image: {problem}") from problem


def _image_id(client: docker.DockerClient, name: str) -> str | None:
    try:
        return str(client.images.get(name).id)
    except ImageNotFound:
        return None


def _base(client: docker.DockerClient, bases: list[str], progress: Progress) -> str:
    """Choose the first base that the engine has, or else pull the first one."""
    for base in bases:
        if _image_id(client, base):
            return base
    progress(f"pulling {bases[0]}")
    try:
        client.images.pull(bases[0])
    except (DockerException, requests.RequestException) as problem:
        raise InputError(
            f"the base image {bases[0]} is not here and cannot be pulled: {problem}\n"
            f"Without a registry, `scripts/base-image` makes one from Debian packages; "
            f"`docker load` or GRADER_BASE_IMAGE bring your own."
        ) from problem
    return bases[0]


def _build(
    client: docker.DockerClient, recipe: Recipe, wheel_folder: Path, progress: Progress
) -> str:
    machine = _MACHINES.get(arch := str(client.version().get("Arch")))
    if machine is None:
        raise InputError(f"the engine runs on {arch}; there is torch for {', '.join(_MACHINES)}")
    folder = wheel_folder / f"{recipe.environment}-{machine}"
    requirements = recipe.requirements.decode()
    wheels.fetch(
        folder, requirements=requirements, torch=recipe.torch, machine=machine, progress=progress
    )
    progress(f"building {recipe.tag} on {recipe.base}")
    with tempfile.TemporaryFile() as context:
        _pack(recipe, folder, context)
        context.seek(0)
        _follow(_steps(client, recipe, context), progress)
    built = _image_id(client, recipe.tag)
    if built is None:
        raise SandboxFault(f"the engine built {recipe.tag} without an error, but does not have it")
    return built


def _wheel_folder(environ: Mapping[str, str]) -> Path:
    if "GRADER_WHEELS" in environ:
        return Path(environ["GRADER_WHEELS"]).absolute()
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grader" / "wheels"


def _pack(recipe: Recipe, folder: Path, context: IO[bytes]) -> None:
    """Write the build context; owners and times are fixed, so that the engine's cache holds."""
    texts = {"Dockerfile": recipe.dockerfile, "requirements.txt": recipe.requirements}
    texts |= {f"guest/{name}": text for name, text in sorted(recipe.guest.items())}
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in texts.items():
            _add(archive, name, len(text), io.BytesIO(text))
        for path in sorted(folder.glob("*.whl")):
            with path.open("rb") as wheel:
                _add(archive, f"wheels/{path.name}", path.stat().st_size, wheel)


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, content)


def _steps(
    client: docker.DockerClient, recipe: Recipe, context: IO[bytes]
) -> Iterable[dict[str, Any]]:
    steps: Iterable[dict[str, Any]] = client.api.build(
        fileobj=context,
        custom_context=True,
        tag=recipe.tag,
        buildargs={"BASE": recipe.base},
        labels={"grader.image": "runner"},
        network_mode="none",
        rm=True,
        forcerm=True,
        decode=True,
        timeout=_BUILD_TIMEOUT_S,
    )
    return steps


def _follow(steps: Iterable[dict[str, Any]], progress: Progress) -> None:
    """Pass the build's steps on; what pip and others print is kept for an error."""
    last = deque[str](maxlen=15)
    for step in steps:
        for line in filter(None, map(str.strip, str(step.get("stream", "")).splitlines())):
            last.append(line)
            if line.startswith("Step "):
                progress(line)
        if "error" in step:
            lines = "\n  ".join([*last, str(step["error"]).strip()])
            raise SandboxFault(f"the runner image could not be built:\n  {lines}")
