"""Wheels for the runner image: which ones are wanted, and what happens when they cannot be had."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.sandbox.lock import Locked
from grader.sandbox.wheels import TorchBuild, Wanted, Wheels, fetch, missing

CPU = TorchBuild.chosen({})
CUDA = TorchBuild.chosen({"GRADER_TORCH": "cu128"})
ANY = "py3-none-any.whl"


def locked(name: str, version: str, content: bytes = b"right") -> Locked:
    digest = sha256(content).hexdigest()
    return Locked(name=name, version=version, digests=frozenset([digest, "0" * 64]))


PACKAGES = (
    locked("jupyter_client", "8.10.0"),
    locked("torch", "2.13.0+cpu"),
    locked("ruamel.yaml", "1.0"),
)
NAMES = [f"jupyter_client-8.10.0-{ANY}", f"ruamel.yaml-1.0-{ANY}", f"torch-2.13.0+cpu-{ANY}"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, and a pip that reaches nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (tmp_path / "wheels").mkdir()
    return tmp_path / "wheels"


def fill(folder: Path, *names: str, content: bytes = b"right") -> None:
    for name in names:
        (folder / name).write_bytes(content)


def fetched(folder: Path, build: TorchBuild, *packages: Locked) -> tuple[Wheels, list[str]]:
    lines: list[str] = []
    wanted = Wanted.of(packages or PACKAGES, build)
    wheels = fetch(folder, wanted=wanted, torch=build, machine="x86_64", progress=lines.append)
    return wheels, lines


@pytest.mark.parametrize(
    ("settings", "build", "pin"),
    [
        pytest.param({}, ("cpu", "https://download.pytorch.org/whl/cpu"), "2.13.0+cpu", id="cpu"),
        pytest.param(
            {"GRADER_TORCH": "cu128"},
            ("cu128", "https://download.pytorch.org/whl/cu128"),
            "2.13.0+cu128",
            id="cuda",
        ),
        pytest.param({"GRADER_TORCH": "any"}, ("any", ""), "2.13.0", id="as the index has it"),
        pytest.param(
            {"GRADER_TORCH_INDEX": "https://mirror.example/whl"},
            ("cpu", "https://mirror.example/whl"),
            "2.13.0+cpu",
            id="own index",
        ),
    ],
)
def test_the_build_of_torch_is_chosen_by_two_variables(
    settings: dict[str, str], build: tuple[str, str], pin: str
) -> None:
    chosen = TorchBuild.chosen(settings)

    assert (chosen.variant, chosen.index) == build
    assert (chosen.pin("2.13.0"), chosen.pin("2.13.0+cpu")) == (pin, pin)


def test_torch_is_locked_in_the_build_that_the_lock_has() -> None:
    assert Wanted.of(PACKAGES, CPU) == Wanted(locked=PACKAGES)


def test_another_build_of_torch_is_free_and_everything_else_stays_locked() -> None:
    kept = (PACKAGES[0], PACKAGES[2])
    assert Wanted.of(PACKAGES, CUDA) == Wanted(locked=kept, free="torch==2.13.0+cu128")


def test_a_wheel_of_another_version_or_build_does_not_count(folder: Path) -> None:
    fill(
        folder, f"jupyter_client-8.9.0-{ANY}", "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    )
    fill(folder, f"ruamel_yaml-1.0-{ANY}")

    assert [package.pin for package in missing(folder, PACKAGES)] == [
        "jupyter_client==8.10.0",
        "torch==2.13.0+cpu",
    ]


def test_a_wheel_that_the_lock_does_not_know_is_refused_by_name(folder: Path) -> None:
    fill(folder, *NAMES)
    fill(folder, NAMES[0], content=b"wrong")

    with pytest.raises(InputError) as caught:
        fetched(folder, CPU)

    assert str(caught.value) == (
        f"{folder / NAMES[0]}: the lock does not know this file (sha256 "
        f"{sha256(b'wrong').hexdigest()}): remove it, or renew the lock (docker/README.md)"
    )


def test_a_folder_filled_by_hand_needs_no_network(folder: Path) -> None:
    fill(folder, *NAMES)

    wheels, lines = fetched(folder, CPU)

    assert lines == []
    assert wheels == Wheels(
        files=tuple(folder / name for name in NAMES), packages=PACKAGES, unlocked=()
    )


def test_nothing_but_locked_wheels_comes_along(folder: Path) -> None:
    fill(folder, *NAMES, f"evil-1.0-{ANY}", f"ruamel.yaml-2.0-{ANY}", "no-wheel-at-all.txt")

    wheels, _ = fetched(folder, CPU)

    assert [path.name for path in wheels.files] == NAMES


def test_a_build_of_torch_that_no_lock_knows_is_told_and_kept_as_it_was_found(folder: Path) -> None:
    theirs = [f"nvidia_nccl-2.0-{ANY}", f"torch-2.13.0+cu128-{ANY}"]
    fill(folder, *NAMES[:2], *theirs, f"jupyter_client-9.0-{ANY}")

    wheels, lines = fetched(folder, CUDA)

    assert [path.name for path in wheels.files] == sorted([*NAMES[:2], *theirs])
    assert wheels.unlocked == ("nvidia_nccl==2.0", "torch==2.13.0+cu128")
    digest = frozenset([sha256(b"right").hexdigest()])
    assert wheels.packages[2:] == (
        Locked(name="nvidia_nccl", version="2.0", digests=digest),
        Locked(name="torch", version="2.13.0+cu128", digests=digest),
    )
    assert lines == [
        "NOT LOCKED: torch==2.13.0+cu128 and what it stands on (2 packages) are taken as their "
        "index gave them; scripts/lock.py locks this build"
    ]


@pytest.mark.slow
def test_what_cannot_be_fetched_is_said_with_pip_s_words_and_a_way_out(folder: Path) -> None:
    lines: list[str] = []

    with pytest.raises(InputError) as caught:
        fetch(
            folder,
            wanted=Wanted(locked=(locked("nobody-has-this", "1.0"),)),
            torch=CPU,
            machine="x86_64",
            progress=lines.append,
        )

    assert "No matching distribution found for nobody-has-this==1.0" in str(caught.value)
    assert f"put the wheels into {folder} by hand" in str(caught.value)
    assert lines == [f"fetching 1 packages into {folder}"]
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_wheel_that_was_swapped_at_the_index_is_not_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    fill(index, f"given-1.0-{ANY}", content=b"swapped")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    with pytest.raises(InputError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        fetched(folder, CPU, locked("given", "1.0"))

    assert list(folder.iterdir()) == []
