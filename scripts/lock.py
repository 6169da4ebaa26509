"""Renew a lock of the runner image: every package, with the digest of every wheel that may be used.

    python scripts/lock.py            after a change of docker/requirements.txt
    python scripts/lock.py --newest   as well the newest of what these packages stand on
    python scripts/lock.py cu128      the lock of another build of torch, as GRADER_TORCH names it

    docker/requirements.txt  ->  docker/requirements.<build>.lock

pip itself chooses, with the same options as when wheels are fetched, and reports the digests: so
the lock names just the files that will be fetched, one for each kind of processor, and no other
tool has to be trusted. Needs Linux and Python 3.11, as the image has: pip asks the Python that runs
it what a package stands on. Packages come from where pip's settings say; torch also from its own
index.

A wheel of torch that no index here has keeps the digests of the present lock, and this is said.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grader.sandbox import lock
from grader.sandbox.lock import PIN, Locked
from grader.sandbox.wheels import TorchBuild, target_options

DOCKER = Path(__file__).parents[1] / "docker"
MACHINES = ("x86_64", "aarch64")
"""The first decides what is needed; the others have wheels of the same versions."""
HEAD = """\
# Written by scripts/lock.py from requirements.txt; do not edit. What may go into the runner image
# with the build of torch called "{build}": for every package one version, and of every wheel that
# may be installed the digest. docker/README.md says how to renew it.
"""


class Unreachable(Exception):
    """Pip did not find what was asked for."""


def say(line: str) -> None:
    """Tell the person, apart from any output."""
    sys.stderr.write(f"lock: {line}\n")


def report(arguments: Sequence[str], machine: str) -> list[Locked]:
    """Ask pip what it would install, and with which digests.

    Raises:
        Unreachable: with pip's last lines.
    """
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    # A target, into which a dry run writes nothing: older pips want one beside a platform.
    command += ["--target", "unused", "--quiet", "--report", "-"]
    command += [*target_options(machine), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Unreachable("\n".join(ran.stderr.splitlines()[-4:]))
    return [_locked(entry) for entry in json.loads(ran.stdout)["install"]]


def _locked(entry: dict[str, Any]) -> Locked:
    about, file = entry["metadata"], entry["download_info"]["archive_info"]
    # pip below 23.1 says it as `hash: sha256=...`.
    digest = file["hashes"]["sha256"] if "hashes" in file else file["hash"].removeprefix("sha256=")
    digests = frozenset([digest])
    return Locked(name=about["name"], version=about["version"], digests=digests)


def resolve(pins: Sequence[str], kept: Sequence[Locked], torch: TorchBuild) -> list[Locked]:
    """Choose all packages for the first machine, in the versions that the lock has already."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as held:
        held.write("".join(f"{package.pin}\n" for package in kept if package.name != "torch"))
        held.flush()
        asked = ["--constraint", held.name, *pins]
        if torch.variant in ("any", "cpu"):
            try:
                return report(asked, MACHINES[0])
            except Unreachable:
                say(f"the usual index alone does not do; asking {torch.index} as well")
        return report(["--extra-index-url", torch.index, *asked], MACHINES[0])


def digests_for(machine: str, chosen: Sequence[Locked], torch: TorchBuild) -> list[Locked]:
    """Find the same versions for another machine."""
    rest = [package.pin for package in chosen if package.name != "torch"]
    found = report(["--no-deps", *rest], machine)
    for package in (package for package in chosen if package.name == "torch"):
        where = ["--extra-index-url", torch.index] if torch.index else []
        try:
            found += report([*where, "--no-deps", package.pin], machine)
        except Unreachable:
            say(f"{package.pin} for {machine} cannot be had here; its digests stay as they are")
    return found


def union(found: Sequence[Locked], before: Sequence[Locked]) -> list[Locked]:
    """Join the digests of all machines; an unchanged torch also keeps those that it had."""
    joined = defaultdict[tuple[str, str], set[str]](set)
    for package in found:
        joined[package.name, package.version] |= package.digests
    for package in before:
        if package.name == "torch" and (package.name, package.version) in joined:
            joined[package.name, package.version] |= package.digests
    return [
        Locked(name=name, version=version, digests=frozenset(digests))
        for (name, version), digests in joined.items()
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the lock of one build; returns the exit code."""
    builds = [word for word in arguments if not word.startswith("-")] or ["cpu"]
    if sys.platform != "linux" or sys.version_info[:2] != (3, 11):
        say("needs Linux and Python 3.11, as the image has")
        return 2
    torch = TorchBuild.chosen({"GRADER_TORCH": builds[0]})
    path = DOCKER / f"requirements.{torch.variant}.lock"
    before = lock.read(path.read_text("utf-8"), path.name) if path.is_file() else ()
    wanted = dict(PIN.findall((DOCKER / "requirements.txt").read_text("utf-8")))
    wanted["torch"] = torch.pin(wanted["torch"])
    kept = [] if "--newest" in arguments else [p for p in before if p.name not in wanted]
    try:
        found = resolve([f"{name}=={version}" for name, version in wanted.items()], kept, torch)
        for machine in MACHINES[1:]:
            found += digests_for(machine, found, torch)
    except Unreachable as problem:
        say(f"pip could not choose:\n{problem}")
        return 2
    text = HEAD.format(build=torch.variant) + lock.text_of(union(found, before))
    path.write_text(text, encoding="utf-8")
    say(f"{path.name}: {text.count('==')} packages, {text.count('--hash=')} wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
