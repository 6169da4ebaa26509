"""Sandboxes for tests: skipped with a reason where there is none, unless there must be one."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
from attack_table import AttackTable, catalogue
from boxes import Opener

from grader.sandbox import bubblewrap, docker
from grader.sandbox.base import Sandbox
from grader.sandbox.bubblewrap import BubblewrapSandbox
from grader.sandbox.docker import DockerSandbox
from grader.sandbox.process import ProcessSandbox
from grader.sandbox.warm import WarmDockerSandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the table of attacks."""
    says = "write what the tests with the mark `threat` show to this file"
    parser.addoption("--attacks-table", type=Path, metavar="FILE", help=says)
    says = "fail if this file says something else than these tests show"
    parser.addoption("--check-attacks-table", type=Path, metavar="FILE", help=says)


def pytest_configure(config: pytest.Config) -> None:
    """Let tests interrupt what they start; collect results where a table is asked for."""
    # Whoever starts tests in the background of a script hands on an ignored Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    write, check = config.getoption("--attacks-table"), config.getoption("--check-attacks-table")
    if write or check:
        config.pluginmanager.register(AttackTable(write, check))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse entries that the catalogue does not have: the table would leave them out."""
    known = set(catalogue())
    for item in items:
        for mark in item.iter_markers("threat"):
            if unknown := set(mark.args) - known:
                told = ", ".join(sorted(unknown))
                raise pytest.UsageError(f"{item.nodeid}: catalogue.yaml has no {told}")


def engine_of(name: str) -> str:
    """What must be there for a sandbox: `docker` for every kind of it. It is the name of a mark."""
    return name.partition("-")[0]


def require(name: str, reason: str) -> None:
    """Skip where a sandbox cannot be had, fail where GRADER_REQUIRE_<NAME> says that it must be."""
    if not reason:
        return
    if os.environ.get(f"GRADER_REQUIRE_{name.upper()}") == "1":
        pytest.fail(f"{name} is required here: {reason}")
    pytest.skip(f"{name}: {reason}")


def open_sandbox(name: str, guest: str = "") -> Sandbox:
    """Make a sandbox with our guest, or with a stand-in given as Python source."""
    if name == "docker":
        lines: list[str] = []  # pytest shows nothing of a build that goes well
        command = (docker.PYTHON, "-I", "-c", guest) if guest else docker.COMMAND
        return DockerSandbox(command=command, say=lines.append)
    if name == "docker-warm":
        return WarmDockerSandbox(command=(docker.PYTHON, "-I", "-c", guest) if guest else ())
    if name == "bubblewrap":
        command = (sys.executable, "-I", "-c", guest) if guest else bubblewrap.COMMAND
        return BubblewrapSandbox(command=command)
    if guest:
        return ProcessSandbox(command=(sys.executable, "-I", "-c", guest))
    return ProcessSandbox()


@pytest.fixture(scope="session")
def opened() -> Iterator[Opener]:
    """Open sandboxes, each kind and guest once a session; all are closed at the end."""
    kept: dict[tuple[str, str], Sandbox] = {}
    reasons: dict[str, str] = {"process": ""}

    def give(name: str, guest: str = "") -> Sandbox:
        if name not in reasons:
            reasons[name] = bubblewrap.why_not() if name == "bubblewrap" else docker.why_not()
        require(engine_of(name), reasons[name])
        if (name, guest) not in kept:
            kept[name, guest] = open_sandbox(name, guest)
        return kept[name, guest]

    yield give
    for sandbox in kept.values():
        sandbox.close()


@pytest.fixture
def docker_sandbox(opened: Opener) -> Sandbox:
    """Containers on the engine of this machine."""
    return opened("docker")


@pytest.fixture
def bubblewrap_sandbox(opened: Opener) -> Sandbox:
    """Namespaces made by bubblewrap."""
    return opened("bubblewrap")


@pytest.fixture
def process_sandbox(opened: Opener) -> Sandbox:
    """Plain processes."""
    return opened("process")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server of this session's own."""
    require("postgres", postgres.why_not())
    with postgres.started() as server:
        yield server


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary files whose path is short, as names of sockets must fit."""
    with tempfile.TemporaryDirectory(prefix="g-") as name:
        yield Path(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Where a course's database is: in its folder, and in turn in an empty one of a server."""
    if request.param == "sqlite":
        return ""
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.new()
