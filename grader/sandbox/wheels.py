"""The wheels that go into the runner image: fetched on the host, kept, installed without a network.

Only a wheel whose digest is in the lock (`docker/requirements.<build>.lock`) is fetched or used.
The folder may also be filled by hand, for a cluster without internet: what lies there is not
fetched. Its layout::

    ~/.cache/grader/wheels/<digest of lock and torch build>-<machine>/
        numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl
        torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
        ...

A build of torch that the lock does not name (`GRADER_TORCH=cu128`) is taken as its index gives it,
with whatever it stands on; everything else stays locked, and who builds the image is told.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import InputError
from grader.sandbox import lock
from grader.sandbox.lock import Locked

Progress = Callable[[str], None]

_NEWEST_GLIBC = 36
"""Minor version of the glibc in the base image (Debian 12: 2.36); newer wheels would not load."""

_ORIGINAL_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Older names of the same platforms. Source: PEP 600, "Legacy manylinux tags"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchBuild:
    """Which build of the pinned torch to use, and where it is found if the usual index has none."""

    variant: str
    """`cpu`, `cu128` and so on as PyTorch names its builds; `any` for what the usual index has."""
    index: str
    """Address of a package index; empty for none."""

    @classmethod
    def chosen(cls, environ: Mapping[str, str]) -> TorchBuild:
        """Read the choice from GRADER_TORCH and GRADER_TORCH_INDEX; without them, CPU.

        Source: https://pytorch.org/get-started/locally (addresses of the indexes).
        """
        variant = environ.get("GRADER_TORCH") or "cpu"
        usual = "" if variant == "any" else f"https://download.pytorch.org/whl/{variant}"
        return cls(variant=variant, index=environ.get("GRADER_TORCH_INDEX") or usual)

    def pin(self, version: str) -> str:
        """Return the full version of this build: `2.13.0+cpu`."""
        public = version.partition("+")[0]
        return public if self.variant == "any" else f"{public}+{self.variant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a lock says about one build of torch."""

    locked: tuple[Locked, ...]
    """Packages that are only accepted with these digests."""
    free: str = ""
    """torch as its chosen build (`torch==2.13.0+cu128`), if the lock has another one."""

    @classmethod
    def of(cls, packages: Sequence[Locked], torch: TorchBuild) -> Wanted:
        """Take torch out if the lock has another build of it than is chosen."""
        other = [p for p in packages if p.name == "torch" and p.version != torch.pin(p.version)]
        if not other:
            return cls(locked=tuple(packages))
        kept = tuple(package for package in packages if package not in other)
        return cls(locked=kept, free=f"torch=={torch.pin(other[0].version)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """What an image is made from."""

    files: tuple[Path, ...]
    packages: tuple[Locked, ...]
    """Each with the digests under which it is installed."""
    unlocked: tuple[str, ...]
    """Packages whose digest no lock knew (`name==version`): accepted as the index gave them."""


def missing(folder: Path, packages: Sequence[Locked]) -> list[Locked]:
    """List the packages of which the folder holds no wheel.

    Raises:
        InputError: there is a wheel of the right version, but it is not the one that was locked.
    """
    lacking = []
    for package in packages:
        there = _wheels_of(folder, package.key)
        if there and not any(lock.digest_of(path) in package.digests for path in there):
            digest = lock.digest_of(there[0])
            raise InputError(
                f"{there[0]}: the lock does not know this file (sha256 {digest}): remove it, "
                "or renew the lock (docker/README.md)"
            )
        if not there:
            lacking.append(package)
    return lacking


def fetch(
    folder: Path, *, wanted: Wanted, torch: TorchBuild, machine: str, progress: Progress
) -> Wheels:
    """Fill the folder with a wheel for every package; fetches nothing if all are there.

    Args:
        folder: Made if it is not there.
        wanted: The packages.
        torch: The build of torch.
        machine: Processor of the image: `x86_64` or `aarch64`.
        progress: Gets a line for each step.

    Raises:
        InputError: pip found no such wheel, only one with another digest, or reached no index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = missing(folder, wanted.locked)
    free = bool(wanted.free) and not _wheels_of(folder, _key(wanted.free))
    if todo or free:
        progress(f"fetching {len(todo) + free} packages into {folder}")
    if plain := [package for package in todo if package.name != "torch"]:
        _download_locked(folder, plain, [], machine, progress)
    for package in (package for package in todo if package.name == "torch"):
        _download_torch(folder, package, torch, machine, progress)
    if free:
        _download_free(folder, wanted, torch, machine, progress)
    return _gathered(folder, wanted, progress)


def _gathered(folder: Path, wanted: Wanted, progress: Progress) -> Wheels:
    """Take the locked wheels, and besides them only what torch's own build brought."""
    known = {package.key: package.digests for package in wanted.locked}
    names = {key.partition("-")[0] for key in known}
    files, free = [], []
    for path in sorted(folder.glob("*.whl")):
        key, digest = _key_of(path), lock.digest_of(path)
        if digest in known.get(key, ()):
            files.append(path)
        elif wanted.free and key.partition("-")[0] not in names:
            files.append(path)
            name, version = path.name.split("-")[:2]
            free.append(Locked(name=name, version=version, digests=frozenset([digest])))
    unlocked = tuple(package.pin for package in free)
    if unlocked:
        progress(
            f"NOT LOCKED: {wanted.free} and what it stands on ({len(unlocked)} packages) are taken "
            "as their index gave them; scripts/lock.py locks this build"
        )
    return Wheels(files=tuple(files), packages=(*wanted.locked, *free), unlocked=unlocked)


def _download_torch(
    folder: Path, package: Locked, torch: TorchBuild, machine: str, progress: Progress
) -> None:
    """Get a locked torch from the usual index, or else from its own."""
    try:
        _download_locked(folder, [package], [], machine, progress)
    except InputError:
        if not torch.index:
            raise
        progress(f"{package.pin} is not in the usual index; asking {torch.index}")
        _download_locked(folder, [package], ["--index-url", torch.index], machine, progress)


def _download_locked(
    folder: Path, packages: Sequence[Locked], where: list[str], machine: str, progress: Progress
) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as file:
        file.write(lock.text_of(packages))
        file.flush()
        told = ["--no-deps", "--require-hashes", "--requirement", file.name]
        _download(folder, [*where, *told], machine, progress)


def _download_free(
    folder: Path, wanted: Wanted, torch: TorchBuild, machine: str, progress: Progress
) -> None:
    """Get a build of torch that no lock names, with all it stands on beyond what is locked."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{package.pin}\n" for package in wanted.locked))
        file.flush()
        elsewhere = ["--extra-index-url", torch.index] if torch.index else []
        told = ["--find-links", str(folder), "--constraint", file.name, wanted.free]
        _download(folder, [*elsewhere, *told], machine, progress)


def _download(folder: Path, arguments: Sequence[str], machine: str, progress: Progress) -> None:
    """Run pip into a folder of its own and move what it fetched, so that no half file is seen."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = [*target_options(machine), "--dest", scratch]
        command = [sys.executable, "-m", "pip", "download", "--no-input", *target, *arguments]
        last = deque[str](maxlen=12)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip:
            for line in pip.stdout or ():
                last.append(line.rstrip())
                if line.startswith("Collecting "):
                    progress(line.partition(" (from")[0].strip())
        if pip.returncode:
            raise InputError(
                "pip could not fetch the packages of the runner image:\n  "
                + "\n  ".join(last)
                + f"\nCheck pip's index and network, or put the wheels into {folder} by hand."
            )
        for path in Path(scratch).iterdir():
            path.replace(folder / path.name)


def target_options(machine: str) -> list[str]:
    """Options that make pip choose for the image rather than for the Python that runs pip."""
    options = ["--only-binary", ":all:", "--progress-bar", "off", "--disable-pip-version-check"]
    options += ["--python-version", "3.11", "--implementation", "cp"]
    options += ["--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    return options + [part for name in _platforms(machine) for part in ("--platform", name)]


def _platforms(machine: str) -> Iterator[str]:
    for minor in range(_NEWEST_GLIBC, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _ORIGINAL_NAMES:
            yield f"{_ORIGINAL_NAMES[minor]}_{machine}"
    yield f"linux_{machine}"


def _key(pin: str) -> str:
    name, _, version = pin.partition("==")
    return lock.spelled(name, version)


def _wheels_of(folder: Path, key: str) -> list[Path]:
    return [path for path in sorted(folder.glob("*.whl")) if _key_of(path) == key]


def _key_of(path: Path) -> str:
    name, version, *_ = [*path.name.split("-"), ""]
    return lock.spelled(name, version)
