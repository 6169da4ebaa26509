"""The lock says the same as the requirements, in pip's own form, and is refused in any other."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from grader.errors import InputError
from grader.sandbox import lock
from grader.sandbox.image import OFFICIAL_BASE
from grader.sandbox.lock import PIN, Locked

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "docker").glob("requirements.*.lock"))
A, B = "a" * 64, "b" * 64
TEXT = f"""\
# why
jinja2==3.1.6 \\
    --hash=sha256:{A}
torch==2.13.0+cpu \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
"""
PACKAGES = (
    Locked(name="jinja2", version="3.1.6", digests=frozenset([A])),
    Locked(name="torch", version="2.13.0+cpu", digests=frozenset([A, B])),
)


def locked(path: Path) -> dict[str, Locked]:
    found = lock.read(path.read_text("utf-8"), path.name)
    return {lock.spelled(package.name, ""): package for package in found}


def test_a_lock_is_read_and_written_alike() -> None:
    assert lock.read(TEXT, "there") == PACKAGES
    assert "# why\n" + lock.text_of(reversed(PACKAGES)) == TEXT


@pytest.mark.parametrize(
    "entry",
    [
        "jinja2==3.1.6",
        f"jinja2>=3.1.6 --hash=sha256:{A}",
        f"jinja2==3.1.* --hash=sha256:{A}",
        f"jinja2==3.1.6 --hash=md5:{A[:32]}",
        f"jinja2==3.1.6 --hash=sha256:{A[:63]}",
        "--index-url https://example.org",
        f"jinja2 @ https://example.org/jinja2.whl --hash=sha256:{A}",
    ],
)
def test_a_line_that_does_not_fix_one_version_and_its_digests_is_refused(entry: str) -> None:
    with pytest.raises(InputError, match="there: expected name==version with its --hash=sha256:"):
        lock.read(entry, "there")


def test_there_is_a_lock_for_the_usual_build_of_torch() -> None:
    assert ROOT / "docker" / "requirements.cpu.lock" in LOCKS


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_that_the_image_promises_is_locked_in_that_version(path: Path) -> None:
    promised = PIN.findall((ROOT / "docker" / "requirements.txt").read_text("utf-8"))
    found = locked(path)
    seen = [(name, found[lock.spelled(name, "")].version.partition("+")[0]) for name, _ in promised]
    assert len(promised) > 5
    assert seen == promised, "run `python scripts/lock.py`"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_the_grader_runs_with_the_versions_that_are_locked_for_notebooks(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    found = locked(path)
    both = [r for r in wanted if lock.spelled(r.name, "") in found]
    assert {"torch", "numpy", "sympy", "nbclient", "safetensors"} <= {r.name for r in both}
    wrong = [r for r in both if found[lock.spelled(r.name, "")].version not in r.specifier]
    assert wrong == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_the_lock_is_as_the_script_writes_it(path: Path) -> None:
    text = path.read_text("utf-8")
    packages = lock.read(text, path.name)
    entries = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    assert entries == lock.text_of(packages)
    names = [lock.spelled(package.name, "") for package in packages]
    assert len(names) == len(set(names))


def test_the_base_is_the_same_digest_in_the_dockerfile_and_in_the_program() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^ARG BASE=(.*)$", text, flags=re.MULTILINE) == [OFFICIAL_BASE]
    assert re.fullmatch(r"[a-z0-9.:-]+@sha256:[0-9a-f]{64}", OFFICIAL_BASE)


def wheel(folder: Path, name: str, version: str, machine: str = "", needs: str = "") -> str:
    """Make a small wheel, for every machine or for one; returns its digest."""
    tag = f"cp311-cp311-manylinux_2_17_{machine}" if machine else "py3-none-any"
    info = f"{name}-{version}.dist-info"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", about + (f"Requires-Dist: {needs}\n" if needs else ""))
        archive.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return lock.digest_of(path)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """scripts/lock.py with a folder of its own, and a pip that reaches nothing but `wheels`."""
    at = ROOT / "scripts" / "lock.py"
    spec = importlib.util.spec_from_file_location("scripts_lock", at)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DOCKER", tmp_path)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\nfirst==1.0\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return module


LINUX_311 = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11),
    reason="locks are made on Linux with Python 3.11",
)


@pytest.mark.slow
@LINUX_311
def test_the_script_locks_all_that_is_needed_for_every_machine(script: Any, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    first = wheel(wheels, "first", "1.0", needs="second>=1")
    second = {wheel(wheels, "second", "1.5", machine) for machine in ("x86_64", "aarch64")}
    wheel(wheels, "second", "1.5", "ppc64le")
    torch = wheel(wheels, "torch", "2.13.0+cpu", "x86_64")

    assert script.main([]) == 0
    made = tmp_path / "requirements.cpu.lock"
    assert lock.read(made.read_text(), "") == (
        Locked(name="first", version="1.0", digests=frozenset([first])),
        Locked(name="second", version="1.5", digests=frozenset(second)),
        Locked(name="torch", version="2.13.0+cpu", digests=frozenset([torch])),
    )


@pytest.mark.slow
@LINUX_311
def test_the_script_keeps_versions_and_the_digests_of_a_torch_that_cannot_be_had(
    script: Any, tmp_path: Path
) -> None:
    wheels, made = tmp_path / "wheels", tmp_path / "requirements.cpu.lock"
    wheel(wheels, "first", "1.0", needs="second>=1")
    for version in ("1.5", "1.6"):
        wheel(wheels, "second", version)
    torch = wheel(wheels, "torch", "2.13.0+cpu", "x86_64")
    before = Locked(name="second", version="1.5", digests=frozenset([A]))
    there = Locked(name="torch", version="2.13.0+cpu", digests=frozenset([B]))
    made.write_text(lock.text_of([before, there]))

    assert script.main([]) == 0
    _, second, locked_torch = lock.read(made.read_text(), "")
    assert (second.version, locked_torch.digests) == ("1.5", frozenset([B, torch]))
    assert script.main(["--newest"]) == 0
    assert lock.read(made.read_text(), "")[1].version == "1.6"


@pytest.mark.slow
@LINUX_311
def test_the_script_writes_nothing_when_pip_finds_no_way(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([]) == 2
    assert "No matching distribution found for torch==2.13.0+cpu" in capsys.readouterr().err
    assert not (tmp_path / "requirements.cpu.lock").exists()
