"""The wheels that go into the runner image: fetched on the host, kept, installed without a network.

The folder may also be filled by hand, for a cluster without internet: whatever wheel of the pinned
version lies there is not fetched. Its layout::

    ~/.cache/grader/wheels/<digest of requirements and torch build>-<machine>/
        numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl
        torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
        ...
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import InputError

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
        return version if self.variant == "any" else f"{version}+{self.variant}"


def pins(requirements: str, torch: TorchBuild) -> dict[str, str]:
    """Read name and exact version of every line that holds one, torch as its chosen build."""
    found = dict(re.findall(r"^([\w.-]+)==(\S+)", requirements, flags=re.MULTILINE))
    return {name: torch.pin(pin) if name == "torch" else pin for name, pin in found.items()}


def missing(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """List the requirements (`name==version`) of which the folder holds no wheel."""
    there = {_named(*path.name.split("-")[:2]) for path in folder.glob("*.whl")}
    return [f"{name}=={pin}" for name, pin in wanted.items() if _named(name, pin) not in there]


def fetch(
    folder: Path, *, requirements: str, torch: TorchBuild, machine: str, progress: Progress
) -> None:
    """Fill the folder with a wheel for every pinned requirement; does nothing if all are there.

    Args:
        folder: Made if it is not there.
        requirements: Text of a requirements file with every version fixed.
        torch: The build of torch.
        machine: Processor of the image: `x86_64` or `aarch64`.
        progress: Gets a line for each step.

    Raises:
        InputError: pip found no such wheel, or reached no index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = missing(folder, pins(requirements, torch))
    plain = [pin for pin in todo if not pin.startswith("torch==")]
    if todo:
        progress(f"fetching {len(todo)} packages into {folder}")
    if plain:
        _download(folder, ["--no-deps", *plain], machine, progress)
    for pin in set(todo) - set(plain):
        _download_torch(folder, pin, torch, machine, progress)


def _download_torch(
    folder: Path, pin: str, torch: TorchBuild, machine: str, progress: Progress
) -> None:
    """Get torch from the usual index or else from its own; a GPU build with all it stands on."""
    if torch.variant != "cpu":
        # A GPU build stands on a score of NVIDIA's packages that no pin of ours names.
        elsewhere = ["--extra-index-url", torch.index] if torch.index else []
        _download(folder, [*elsewhere, "--find-links", str(folder), pin], machine, progress)
        return
    try:
        _download(folder, ["--no-deps", pin], machine, progress)
    except InputError:
        progress(f"{pin} is not in the usual index; asking {torch.index}")
        _download(folder, ["--no-deps", "--index-url", torch.index, pin], machine, progress)


def _download(folder: Path, arguments: Sequence[str], machine: str, progress: Progress) -> None:
    """Run pip into a folder of its own and move what it fetched, so that no half file is seen."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = [*_target(machine), "--dest", scratch]
        command = [sys.executable, "-m", "pip", "download", "--no-input", *target, *arguments]
        last = deque[str](maxlen=12)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip:
            for line in pip.stdout or ():
                last.append(line.rstrip())
                if line.startswith("Collecting "):
                    progress(line.strip())
        if pip.returncode:
            raise InputError(
                "pip could not fetch the packages of the runner image:\n  "
                + "\n  ".join(last)
                + f"\nCheck pip's index and network, or put the wheels into {folder} by hand."
            )
        for path in Path(scratch).iterdir():
            path.replace(folder / path.name)


def _target(machine: str) -> list[str]:
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


def _named(name: str, version: str) -> str:
    """Spell a package as wheels do. Source: PyPA specifications, "Binary distribution format"."""
    return re.sub(r"[-_.]+", "_", name).lower() + "-" + version.replace("-", "_")
