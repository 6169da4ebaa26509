"""Wheels for the runner image: which ones are wanted, and what happens when they cannot be had."""

from pathlib import Path

import pytest

from grader.errors import InputError
from grader.sandbox.wheels import TorchBuild, fetch, missing, pins

REQUIREMENTS = "# pinned\njupyter_client==8.10.0\n\ntorch==2.13.0\nruamel.yaml==1.0\n"
CPU = TorchBuild.chosen({})


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
    assert chosen.pin("2.13.0") == pin


def test_every_exact_pin_is_wanted_torch_as_its_build() -> None:
    assert pins(REQUIREMENTS, CPU) == {
        "jupyter_client": "8.10.0",
        "torch": "2.13.0+cpu",
        "ruamel.yaml": "1.0",
    }


def test_a_wheel_of_another_version_or_build_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "jupyter_client-8.9.0-py3-none-any.whl").touch()
    (tmp_path / "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    (tmp_path / "ruamel_yaml-1.0-py3-none-any.whl").touch()

    assert missing(tmp_path, pins(REQUIREMENTS, CPU)) == [
        "jupyter_client==8.10.0",
        "torch==2.13.0+cpu",
    ]


def test_a_folder_filled_by_hand_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in ("jupyter_client-8.10.0", "torch-2.13.0+cpu", "ruamel.yaml-1.0"):
        (tmp_path / f"{name}-py3-none-any.whl").touch()
    lines: list[str] = []

    fetch(tmp_path, requirements=REQUIREMENTS, torch=CPU, machine="x86_64", progress=lines.append)

    assert lines == []


def test_what_cannot_be_fetched_is_said_with_pip_s_words_and_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    lines: list[str] = []

    with pytest.raises(InputError) as caught:
        fetch(
            tmp_path,
            requirements="nobody-has-this==1.0\n",
            torch=CPU,
            machine="x86_64",
            progress=lines.append,
        )

    assert "No matching distribution found for nobody-has-this==1.0" in str(caught.value)
    assert f"put the wheels into {tmp_path} by hand" in str(caught.value)
    assert lines == [f"fetching 1 packages into {tmp_path}"]
    assert list(tmp_path.iterdir()) == []
