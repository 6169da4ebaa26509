"""What lies beside a notebook: dates, and git repositories with hooks (RS-19, HE-09)."""

import os
from collections.abc import Mapping
from pathlib import Path

from small_course import notebook, write

from hostile.attack import Host, Seen, attack, earns_what_its_answers_earn
from hostile.course import SLUG, WRONG

LONG_AGO, LONG_AHEAD = 0, 4_000_000_000
"""Seconds since 1970: that year, and 2096."""
PLANTED = "planted.txt"


def hand_in(folder: Path, more: Mapping[str, str]) -> None:
    """Wrong answers, with more files beside them."""
    for path, text in {f"{SLUG}.ipynb": notebook(*WRONG.values()), **more}.items():
        write(folder / path, text)


def dated(folder: Path, at: int) -> None:
    """Files that say when they were handed in, and were last changed then."""
    hand_in(folder, {"timestamp.txt": "1970-01-01 00:00:00 UTC", "submitted_at": str(at)})
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (at, at))


for name, at in {"before the course": LONG_AGO, "long after it": LONG_AHEAD}.items():

    def make(folder: Path, host: Host, at: int = at) -> None:
        dated(folder, at)

    attack("RS-19", f"files of a time {name}", make=make)


def with_hooks(folder: Path, host: Host) -> None:
    """A repository, and one in it, whose every hook and filter would leave a file on the host."""
    script = f"#!/bin/sh\ntouch {host.folder}/{PLANTED} {PLANTED}\n"
    hooks = ("pre-commit", "post-checkout", "post-merge", "post-index-change", "fsmonitor-watchman")
    command = f"touch {host.folder}/{PLANTED}"
    config = f"""[core]
\trepositoryformatversion = 0
\tfsmonitor = {command}
\tsshCommand = {command}
\tpager = {command}
\teditor = {command}
\thooksPath = hooks
[filter "x"]
\tclean = {command}
\tsmudge = {command}
\tprocess = {command}
[diff "x"]
\ttextconv = {command}
"""
    told = {".gitattributes": "* filter=x diff=x\n", "hooks/pre-commit": script}
    for inner in (".git", "lib/.git"):
        told |= {f"{inner}/HEAD": "ref: refs/heads/main\n", f"{inner}/config": config}
        told |= {f"{inner}/hooks/{hook}": script for hook in hooks}
    hand_in(folder, told)
    for path in folder.rglob("hooks/*"):
        path.chmod(0o755)


def no_hook_ran(seen: Seen, twin: Seen) -> None:
    """No file was left where a hook would have left one."""
    earns_what_its_answers_earn(seen, twin)
    assert sorted(path.name for path in seen.host.folder.iterdir()) == ["secret.txt"]
    assert seen.changed == ()


attack(
    "HE-09", "repositories with hooks, filters and a monitor", make=with_hooks, holds=no_hook_ran
)
