"""Whether an attack on a peer succeeded, by what the grading left behind; and the table of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostile.attack import ATTACKS, Attack
from hostile.course import RIGHT, WRONG

from benchmarks.peers.course import HIDDEN_NUMBER, NEIGHBOUR

HOST_FOLDER = "/work/host"
ATTACKER, NEIGHBOUR_ID, AGAIN = "a-attacker", "b-neighbour", "c-again"
#: Some grading costs what the machine's load makes of it, but no limit is that far away.
PATIENCE_S = 150
BOX = "the container that holds the peer would answer, not the peer"
#: Entries, or names of attacks, that say nothing about a peer in this mode.
NOT_APPLICABLE = {
    "HE-05": BOX,
    "HE-06": BOX,
    "AL-04": BOX,
    "XS-04": BOX,
    "RX-04": BOX,
    "RS-07": "no protocol of frames is there to imitate",
    "RS-12": "nothing is graded from printed text",
    "RS-16": "no reference takes part",
    "limits set on the harness": "they would be set on what runs the peer here, too",
}
Points = Mapping[str, float | None]
HEAD = """\
# The same attacks on nbgrader and otter-grader

Written by `benchmarks/attacks_on_peers.py`, which runs them; do not edit. Run with {versions}.
{count}

{reading}

"""
READING = """\
*Succeeded* says that the attack had at least one of these effects: its answers earn more than the
same answers without the trick; a file or token of the user who grades is read or changed; hidden
tests or inputs are shown, or the harness is open; processes stay behind; grading does not end; the
honest student who is graded next gets no result or fewer points; right answers that come before a
crash or a limit earn less than they would. It must happen twice in a row, because a peer may hang
or fail by itself on a busy machine. *Resisted* says that none of these was seen, no more.
*Not applicable* says that the attack asks nothing of this peer, or could not be told from what the
container around it does.

Both peers grade as on the machine of an instructor: `nbgrader autograde` with hidden tests in
locked cells, and `otter run` once for each notebook with hidden tests in its zip. Neither isolates
notebooks in this mode. nbgrader's manual answers that it does not protect against unsafe code yet.
Otter's recommends its containers (`otter grade`) or Gradescope for better security, and has `otter
run` for places without Docker. `otter grade` was **not run**, because it builds on an image from a
registry: it would keep files, processes and neighbours apart. Tests and notebook share a kernel in
it too.

The measure is the points of the twin, which has the same answers without the trick. Six questions
of a point each are stated as assertions that an instructor would write; tests that look at types
and sizes first would resist more. A grader may have other aims than to resist a student who cheats,
and who reads what is handed in will see most of these. The last column is what
[attacks.md](attacks.md) says of our containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one attack on one peer."""

    succeeded: bool | None
    """None: it says nothing about this peer."""
    reason: str = ""


def no_sense(attack: Attack) -> str:
    """Why an attack is not run against peers, or nothing if it is."""
    keys = (attack.name, *attack.ids)
    return next((NOT_APPLICABLE[key] for key in keys if key in NOT_APPLICABLE), "")


def judged(
    attack: Attack, seen: Mapping[str, Any], twin: Points, kept: frozenset[str], secret: str
) -> Result:
    """Judge one attack.

    Args:
        attack: What was handed in.
        seen: What the driver in the container saw.
        twin: Points of the same answers without the trick, by question.
        kept: Questions whose answer the attack left as its twin has it.
        secret: The canary.
    """
    reasons = [
        _more(seen["points"].get(ATTACKER), twin),
        _canary(seen, secret),
        _hidden(attack, seen),
        _found(attack, seen),
        "processes of the notebook still run afterwards" if seen["left"] else "",
        _neighbour(seen),
        _less(attack, seen["points"].get(ATTACKER), twin, kept),
    ]
    said = "; ".join(reason for reason in reasons if reason)
    return Result(succeeded=bool(said), reason=said)


def _more(mine: Points | None, twin: Points) -> str:
    if mine is None:
        return ""
    got, due = _sum(mine), _sum(twin)
    better = [name for name in mine if (mine[name] or 0) > (twin.get(name) or 0)]
    return f"it earns {got:g} of 6 points, its answers {due:g}" if better else ""


def _sum(points: Points) -> float:
    return sum(value or 0 for value in points.values())


def _canary(seen: Mapping[str, Any], secret: str) -> str:
    read = secret in str(seen["found"]) or secret in str(seen["told"])
    read = read or HOST_FOLDER in str(seen["found"])
    said = ["a file or token of the grading user is read"] if read else []
    said += ["a file of the grading user is changed"] if seen["host_changed"] else []
    return " and ".join(said)


def _hidden(attack: Attack, seen: Mapping[str, Any]) -> str:
    told = str(seen["told"].get(ATTACKER, ""))
    if "AL-05" in attack.ids:
        leaked = [quote for quote in re.findall(r"LEAK [^']*?\]", told) if HIDDEN_NUMBER in quote]
        return "feedback shows hidden inputs" if leaked else ""
    if "AL-02" in attack.ids:
        return "the notebook prints the hidden tests" if HIDDEN_NUMBER in told else ""
    return ""


def _found(attack: Attack, seen: Mapping[str, Any]) -> str:
    """What `found` says of the harness, of the network and of an earlier student."""
    told = seen["found"].get(ATTACKER) or []
    found = [str(one) for one in (told if isinstance(told, list) else [told])]
    if "AL-03" in attack.ids:
        return "a port of the host is reached" if seen["reached"] else ""
    if "RS-13" in attack.ids:
        # Process 1 is what runs the peer here.
        mine = [one for one in found if not one.startswith("[1,") and one != "ptrace"]
        return "the memory of the harness is open" if mine else ""
    if "RS-15" in attack.ids:
        return "the notebook can see that it is graded" if found else ""
    if "XS-02" in attack.ids:
        later = seen["found"].get(AGAIN)
        return "what one student leaves is there for the next" if later else ""
    return ""


def _neighbour(seen: Mapping[str, Any]) -> str:
    if "not ended" in seen["over"]:
        return f"grading has not ended after {PATIENCE_S} s, and the next student waits"
    theirs = seen["points"].get(NEIGHBOUR_ID)
    if theirs is None:
        return "the next student gets no result"
    right = {name: theirs.get(name) for name in NEIGHBOUR}
    return "" if all(right.values()) else "the next student's right answers earn less"


def _less(attack: Attack, mine: Points | None, twin: Points, kept: frozenset[str]) -> str:
    if attack.onto != "right":
        return ""
    if mine is None:
        return "right answers of earlier cells get no result"
    lost = [name for name in sorted(kept) if (mine.get(name) or 0) < (twin.get(name) or 0)]
    return "right answers of earlier cells earn less" if lost else ""


def kept_of(attack: Attack, cells: Sequence[str]) -> frozenset[str]:
    """Questions that a notebook answers as its twin does, by the sources of its cells."""
    answers = {"right": RIGHT, "wrong": WRONG}[attack.onto]
    return frozenset(question for question, cell in answers.items() if cell in cells)


def rows(
    results: Mapping[str, Mapping[str, Result]], names: Mapping[str, str], ours: Mapping[str, str]
) -> list[str]:
    """The lines of the table.

    Args:
        results: By peer, then by the attack's name.
        names: What each entry of the catalogue is called.
        ours: What became of each entry in our containers.
    """
    peers = list(results)
    by_entry: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for peer in peers:
        for name, result in results[peer].items():
            for entry in ATTACKS[name].ids:
                by_entry[entry][peer].append(result)
    lines = [f"| | attack | {' | '.join(peers)} | ours |", "|---|---|" + "---|" * (len(peers) + 1)]
    for entry, name in names.items():
        if entry in by_entry:
            shown = [_cell(by_entry[entry][peer]) for peer in peers]
            shown.append(ours.get(entry, "not tried"))
            lines.append(f"| {entry} | {name} | {' | '.join(shown)} |")
    return lines


def _cell(results: Sequence[Result]) -> str:
    ran = [result for result in results if result.succeeded is not None]
    if not results:
        return "not run"
    if not ran:
        return f"not applicable: {results[0].reason}"
    through = [result for result in ran if result.succeeded]
    if not through:
        return "resisted"
    ways = f" ({len(through)} of {len(ran)} ways)" if len(ran) > 1 else ""
    return f"succeeded{ways}: {through[0].reason}"
