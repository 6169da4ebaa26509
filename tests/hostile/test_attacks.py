"""Every attack in every sandbox that claims to resist it."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import engine_of

from hostile.attack import ATTACKS, SANDBOXES, attack, find_attacks
from hostile.conftest import Shower

find_attacks()


def parameters() -> list[Any]:
    found = []
    for name in SANDBOXES:
        for attacked in ATTACKS.values():
            if name in attacked.sandboxes:
                marks = [getattr(pytest.mark, engine_of(name))] if name != "process" else []
                if reason := attacked.elsewhere:
                    marks.append(pytest.mark.skip(reason))
                threat = pytest.mark.threat(*attacked.ids, unresisted=attacked.unresisted.get(name))
                case = f"{name}: {attacked.name}"
                found.append(pytest.param(name, attacked.name, marks=[*marks, threat], id=case))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("sandbox", "attacked"), parameters())
def test_an_attack_gets_nowhere(sandbox: str, attacked: str, shown: Shower) -> None:
    found, tried = shown(sandbox), ATTACKS[attacked]
    tried.was_tried(found[attacked])
    if sandbox not in tried.unresisted:
        tried.holds(found[attacked], found[tried.onto])
        return
    with pytest.raises(AssertionError):
        tried.holds(found[attacked], found[tried.onto])


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
    assert found["right"].changed == ()
    right, wrong = found["right"].score, found["wrong"].score
    assert [q.points for q in right.questions] == [q.max_points for q in right.questions]
    assert [q.points for q in wrong.questions][:-1] == [0] * (len(wrong.questions) - 1)


def test_an_entry_that_is_not_in_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'new': catalogue\.yaml has no RS-99"):
        attack("RS-01 RS-99", "new")


def test_two_attacks_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two attacks are called 'an object that equals"):
        attack("RS-01", "an object that equals everything")
