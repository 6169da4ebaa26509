"""The doctor tries limits for real, and sees those that do not hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from boxes import Opener

from grader.doctor import LIMITS, Check, State, examine, limits_that_break
from grader.sandbox.base import Sandbox


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
    ],
)
def test_every_limit_of_a_real_sandbox_holds(opened: Opener, name: str) -> None:
    assert limits_that_break(opened(name), LIMITS) == []


def test_limits_that_do_not_hold_are_named(process_sandbox: Sandbox) -> None:
    broken = set(limits_that_break(process_sandbox, LIMITS)) - {"no network"}
    assert broken == {"files read-only", "processes limited", "scratch space limited"}


@pytest.mark.slow
def test_an_examination_says_something_of_everything_and_ends_in_a_verdict(tmp_path: Path) -> None:
    found = list(examine(tmp_path / "not" / "there"))
    names = [check.name for check in found]
    assert names[:3] == ["python", "machine", "disk"]
    assert {"engine", "bubblewrap", "GPU"} <= set(names)
    held = [c.name for c in found if c.name.startswith("limits in ") and c.state is State.OK]
    expected = State.OK if held else State.FAIL
    assert (found[-1].name, found[-1].state) == ("sandbox", expected)
    assert [check for check in found if not isinstance(check, Check) or not check.says] == []
    assert [check.name for check in found if check.state is not State.OK and not check.do] == []
