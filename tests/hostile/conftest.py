"""Every attack that was asked for is graded once a sandbox, in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from boxes import Opener

from hostile.attack import Host, Seen
from hostile.grading import grade, host_at

Shower = Callable[[str], dict[str, Seen]]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """What lies on this machine for hostile code to find."""
    with host_at(tmp_path_factory.mktemp("host") / "files") as made:
        yield made


@pytest.fixture(scope="session")
def shown(
    request: pytest.FixtureRequest,
    opened: Opener,
    host: Host,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shower:
    """What a sandbox showed of every attack that this session asks for."""
    asked: dict[str, list[str]] = {}
    for item in request.session.items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "attacked" in parameters:
            asked.setdefault(parameters["sandbox"], []).append(parameters["attacked"])
    kept: dict[str, dict[str, Seen]] = {}

    def show(name: str) -> dict[str, Seen]:
        sandbox = opened(name)  # skips where there is none
        if name not in kept:
            root: Path = tmp_path_factory.mktemp(name)
            root.chmod(0o755)
            kept[name] = grade(root, host, sandbox, asked.get(name, []))
        return kept[name]

    return show
