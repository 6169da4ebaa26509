"""Using what others wrote: the reference, or a library instead of one's own code (RS-16)."""

from hostile.attack import ISOLATING, SANDBOXES, Seen, attack
from hostile.leaking import finds_nothing

attack(
    "RS-16",
    "importing the reference",
    first="""
import importlib
found_modules = []
for name in ("reference", "solution", "grader", "grader.reference", "rubrics", "answers"):
    try: found_modules.append(importlib.import_module(name))
    except ImportError: pass
""",
    last="found = [str(m) for m in found_modules if getattr(m, '__file__', None)]",
    holds=finds_nothing,
    sandboxes=ISOLATING,
)


def loses_what_the_source_check_is_worth(seen: Seen, twin: Seen) -> None:
    """The values are right and earn half; the library is seen, which costs the other half."""
    assert seen.points == twin.points | {"by_hand": 0.5}


NAMED = """
import torch
def shares(x): return torch.softmax(x, 0)
"""
HIDDEN = """
import torch
def shares(x): return getattr(torch, "soft" "max")(x, 0)
"""
attack(
    "RS-16",
    "a library called by its name",
    onto="right",
    instead={"by_hand": NAMED},
    holds=loses_what_the_source_check_is_worth,
)
attack(
    "RS-16",
    "a library called by a name that is put together",
    onto="right",
    instead={"by_hand": HIDDEN},
    holds=loses_what_the_source_check_is_worth,
    unresisted=dict.fromkeys(
        SANDBOXES, "`source` looks at names only, and a library gives right values by any name"
    ),
)
