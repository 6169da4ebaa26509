"""Every attack in every sandbox that claims to resist it."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import engine_of

import hostile.escaping
import hostile.exhausting
import hostile.leaking
import hostile.spoofing  # noqa: F401
from hostile.attack import ATTACKS, SANDBOXES
from hostile.conftest import Shower


def parameters() -> list[Any]:
    found = []
    for name in SANDBOXES:
        marks = [getattr(pytest.mark, engine_of(name))] if name != "process" else []
        for attacked in ATTACKS.values():
            if name in attacked.sandboxes:
                threat = pytest.mark.threat(*attacked.ids, unresisted=attacked.unresisted.get(name))
                case = f"{name}: {attacked.name}"
                found.append(pytest.param(name, attacked.name, marks=[*marks, threat], id=case))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("sandbox", "attacked"), parameters())
def test_an_attack_gets_nowhere(sandbox: str, attacked: str, shown: Shower) -> None:
    found, attack = shown(sandbox), ATTACKS[attacked]
    if sandbox not in attack.unresisted:
        attack.holds(found[attacked], found[attack.onto])
        return
    with pytest.raises(AssertionError):
        attack.holds(found[attacked], found[attack.onto])


@pytest.mark.slow
@pytest.mark.parametrize(
    "sandbox",
    [
        pytest.param(n, marks=getattr(pytest.mark, engine_of(n)))
        for n in SANDBOXES
        if n != "process"
    ],
)
def test_honest_students_are_scored_right_among_hostile_ones(sandbox: str, shown: Shower) -> None:
    found = shown(sandbox)
    right, wrong = found["right"].score, found["wrong"].score
    assert [q.points for q in right.questions] == [q.max_points for q in right.questions]
    assert [q.points for q in wrong.questions][:-1] == [0] * (len(wrong.questions) - 1)
