"""The runner image: built by the project itself on first use, named after what is in it.

The build context is packed here, from a list, so that nothing else can get into the image::

    Dockerfile         docker/Dockerfile
    requirements.lock  docker/requirements.<build of torch>.lock
    wheels/*.whl       fetched on the host: see `grader.sandbox.wheels`
    sbom.py            docker/sbom.py
    guest/*.py         grader/guest

It is built on the very image that the engine has under the base's name at that moment, by its id.
Labels of the image say which one, and which packages no lock knew.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile  # noqa: TID251 - writes the build context, reads nothing
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
from grader.sandbox import lock, wheels
from grader.sandbox.wheels import Progress, TorchBuild, Wanted, Wheels

OFFICIAL_BASE = (
    "python:3.11-slim-bookworm"
    "@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
"""The same as in the Dockerfile, where its reason stands."""
OWN_BASE = "grader-base:bookworm"
"""What `scripts/base-image` makes where no registry can be reached."""

BASE_LABEL, BASE_ID_LABEL = "grader.base", "grader.base.id"
"""Name and id of the image that a runner image was built on."""
UNLOCKED_LABEL = "grader.unlocked"
"""Packages that no lock knew, as `name==version` with spaces between; empty if all were locked."""

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
    lock: bytes
    """For the chosen build of torch, or else for the usual one."""
    sbom: bytes
    guest: Mapping[str, bytes]
    """File name and content."""
    torch: TorchBuild

    @property
    def tag(self) -> str:
        """Name of the image: equal for equal contents, whoever builds it."""
        told = hashlib.sha256(f"{self.base}\n{self.torch.variant}\n".encode())
        files = {"Dockerfile": self.dockerfile, "lock": self.lock, "sbom": self.sbom}
        files |= {f"guest/{name}": text for name, text in self.guest.items()}
        for name in sorted(files):
            told.update(f"{name} {len(files[name])}\n".encode() + files[name])
        return f"grader-runner:{told.hexdigest()[:12]}"

    @property
    def environment(self) -> str:
        """Name of the folder of wheels: it does not depend on the guest."""
        told = self.lock + self.torch.variant.encode()
        return hashlib.sha256(told).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a runner image is built on."""

    name: str
    id: str
    """The engine's id of what has this name now."""


def read_recipe(base: str, environ: Mapping[str, str]) -> Recipe:
    """Read the recipe from the project's files."""
    # A wheel of this project holds docker/ inside the package; a checkout, beside it.
    folders = [_PACKAGE / "docker", _PACKAGE.parent / "docker"]
    folder = next((there for there in folders if (there / "Dockerfile").is_file()), None)
    if folder is None:
        raise InputError(f"{folders[1]}: expected the runner image's Dockerfile, found none")
    torch = TorchBuild.chosen(environ)
    locks = [folder / f"requirements.{variant}.lock" for variant in (torch.variant, "cpu")]
    return Recipe(
        base=base,
        dockerfile=(folder / "Dockerfile").read_bytes(),
        lock=next((path for path in locks if path.is_file()), locks[-1]).read_bytes(),
        sbom=(folder / "sbom.py").read_bytes(),
        guest={path.name: path.read_bytes() for path in (_PACKAGE / "guest").glob("*.py")},
        torch=torch,
    )


def runner_image(
    client: docker.DockerClient, progress: Progress, environ: Mapping[str, str] = os.environ
) -> str:
    """Return the id (`sha256:...`) of the runner image, building it if the engine has none.

    Settings: GRADER_BASE_IMAGE (another base, best as `name@sha256:...`), GRADER_TORCH and
    GRADER_TORCH_INDEX (another build of torch), GRADER_WHEELS (another folder for wheels).

    Args:
        client: A connection to an engine.
        progress: Gets a line for each step of a build, nothing if there is nothing to build.
        environ: The environment variables to obey.

    Raises:
        InputError: something is missing that a person must provide; the message says what.
        SandboxFault: the engine failed.
    """
    bases = bases_of(environ)
    try:
        # Either base will do for an image that is there, or else a later `docker pull` of the
        # other one would change the image, and with it run every notebook again.
        there = (_image_id(client, read_recipe(base, environ).tag) for base in bases)
        if ready := next((found for found in there if found), None):
            return ready
        base = _base(client, bases, progress)
        recipe = read_recipe(base.name, environ)
        return _build(client, recipe, base, _wheel_folder(environ), progress)
    except (DockerException, requests.RequestException) as problem:
        raise SandboxFault(f"the engine failed over the runner image: {problem}") from problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What is known of a runner image that the engine has."""

    tag: str
    size_mib: float
    base: Base
    base_now: str
    """The engine's id of what has the base's name today; empty if nothing has."""
    unlocked: tuple[str, ...]
    """Packages that no lock knew."""


def built_image(client: docker.DockerClient, environ: Mapping[str, str]) -> Built | None:
    """Describe the runner image of this version, or nothing if the engine has none.

    Raises:
        DockerException: the engine failed.
    """
    for base in bases_of(environ):
        tag = read_recipe(base, environ).tag
        if _image_id(client, tag):
            about = client.images.get(tag).attrs
            labels = about["Config"]["Labels"] or {}
            return Built(
                tag=tag,
                size_mib=about["Size"] / 2**20,
                base=Base(name=base, id=labels.get(BASE_ID_LABEL, "")),
                base_now=_image_id(client, base) or "",
                unlocked=tuple(labels.get(UNLOCKED_LABEL, "").split()),
            )
    return None


def bases_of(environ: Mapping[str, str]) -> list[str]:
    """List the names of bases that will do, the best first."""
    named = environ.get("GRADER_BASE_IMAGE")
    return [named] if named else [OFFICIAL_BASE, OWN_BASE]


def _image_id(client: docker.DockerClient, name: str) -> str | None:
    try:
        return str(client.images.get(name).id)
    except ImageNotFound:
        return None


def _base(client: docker.DockerClient, bases: list[str], progress: Progress) -> Base:
    """Choose the first base that the engine has, or else pull the first one."""
    for base in bases:
        if found := _image_id(client, base):
            return Base(name=base, id=found)
    progress(f"pulling {bases[0]}")
    try:
        pulled = client.images.pull(bases[0])
    except (DockerException, requests.RequestException) as problem:
        raise InputError(
            f"the base image {bases[0]} is not here and cannot be pulled: {problem}\n"
            f"Without a registry, `scripts/base-image` makes one from Debian packages; "
            f"`docker load` or GRADER_BASE_IMAGE bring your own."
        ) from problem
    return Base(name=bases[0], id=str(pulled.id))


def _build(
    client: docker.DockerClient, recipe: Recipe, base: Base, wheel_folder: Path, progress: Progress
) -> str:
    machine = _MACHINES.get(arch := str(client.version().get("Arch")))
    if machine is None:
        raise InputError(f"the engine runs on {arch}; there is torch for {', '.join(_MACHINES)}")
    packages = lock.read(recipe.lock.decode(), "the lock of the runner image")
    used = wheels.fetch(
        wheel_folder / f"{recipe.environment}-{machine}",
        wanted=Wanted.of(packages, recipe.torch),
        torch=recipe.torch,
        machine=machine,
        progress=progress,
    )
    progress(f"building {recipe.tag} on {base.name} ({base.id})")
    with tempfile.TemporaryFile() as context:
        _pack(recipe, used, context)
        context.seek(0)
        _follow(_steps(client, recipe, base, used, context), progress)
    built = _image_id(client, recipe.tag)
    if built is None:
        raise SandboxFault(f"the engine built {recipe.tag} without an error, but does not have it")
    return built


def _wheel_folder(environ: Mapping[str, str]) -> Path:
    if "GRADER_WHEELS" in environ:
        return Path(environ["GRADER_WHEELS"]).absolute()
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grader" / "wheels"


def _pack(recipe: Recipe, used: Wheels, context: IO[bytes]) -> None:
    """Write the build context; owners and times are fixed, so that the engine's cache holds."""
    texts = {"Dockerfile": recipe.dockerfile, "sbom.py": recipe.sbom}
    texts["requirements.lock"] = lock.text_of(used.packages).encode()
    texts |= {f"guest/{name}": text for name, text in sorted(recipe.guest.items())}
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in texts.items():
            _add(archive, name, len(text), io.BytesIO(text))
        for path in used.files:
            with path.open("rb") as wheel:
                _add(archive, f"wheels/{path.name}", path.stat().st_size, wheel)


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, content)


def _steps(
    client: docker.DockerClient, recipe: Recipe, base: Base, used: Wheels, context: IO[bytes]
) -> Iterable[dict[str, Any]]:
    steps: Iterable[dict[str, Any]] = client.api.build(
        fileobj=context,
        custom_context=True,
        tag=recipe.tag,
        buildargs={"BASE": base.id},  # not its name, which may mean something else by now
        labels={
            "grader.image": "runner",
            BASE_LABEL: base.name,
            BASE_ID_LABEL: base.id,
            UNLOCKED_LABEL: " ".join(used.unlocked),
        },
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
