"""The attacks of tests/hostile, run against nbgrader and otter-grader.

PYTHONPATH=tests .venv/bin/python -m benchmarks.attacks_on_peers

Writes docs/attacks-peers.md. Each attack gets a container of its own, without a network and without
rights, with limits on memory and processes, in which one peer grades the attack and then an honest
neighbour. Needs a Docker engine with the runner image (any `grader run` makes it), and a package
index from which pip can get both peers. What was measured is kept, so that a run goes on where one
was stopped; `--fresh` forgets it.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import docker
import yaml
from attack_table import read
from hostile.attack import ATTACKS, Attack, Host, find_attacks
from hostile.course import RIGHT, SLUG, WRONG
from rich.console import Console
from small_course import notebook

from benchmarks.peers.course import NEIGHBOUR, files_of, otter_tests, source
from benchmarks.peers.verdict import (
    AGAIN,
    ATTACKER,
    HEAD,
    NEIGHBOUR_ID,
    PATIENCE_S,
    READING,
    Result,
    judged,
    kept_of,
    no_sense,
    rows,
)
from grader.sandbox.image import runner_image

find_attacks()

ROOT = Path(__file__).resolve().parents[1]
PEERS = {"nbgrader": "nbgrader", "otter": "otter-grader"}
"""Short names, and the names of the packages."""
TABLE = ROOT / "docs" / "attacks-peers.md"
OURS = ROOT / "docs" / "attacks.md"
TRIES = 2
"""A peer may hang by itself on a busy machine: what does not happen again does not count."""
LIMITS = (
    *("--network", "none", "--memory", "2g", "--memory-swap", "2g", "--pids-limit", "256"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none"),
    *("--ulimit", "core=0", "--shm-size", "256m", "--read-only", "--user", "10001:10001"),
    *("--tmpfs", "/work:size=1g,uid=10001,gid=10001,exec", "--tmpfs", "/tmp:size=256m,mode=1777"),  # noqa: S108 - in the container
)


@click.command()
@click.option(
    "--cache", type=click.Path(path_type=Path), default=Path.home() / ".cache/grader-peers"
)
@click.option("--jobs", default=2, show_default=True, help="Containers at a time.")
@click.option("--only", default="", help="Attacks whose entries or name hold this text.")
@click.option("--fresh", is_flag=True, help="Forget what was measured before.")
@click.option("--out", type=click.Path(path_type=Path), default=TABLE, show_default=True)
def main(cache: Path, jobs: int, only: str, fresh: bool, out: Path) -> None:
    """Run the attacks against both peers and write the table."""
    console = Console()
    cache.mkdir(parents=True, exist_ok=True)
    image, versions = built(cache, console)
    console.print(versions, markup=False)
    kept = Kept(cache / "results.json", key=f"{image} {versions}", fresh=fresh)
    wanted = [a for a in ATTACKS.values() if only in f"{a.ids} {a.name}" and not no_sense(a)]
    for peer in PEERS:
        if peer not in kept.twins:
            kept.twins[peer] = {twin: _twin(image, peer, twin) for twin in ("right", "wrong")}
            kept.save()
        console.print(peer, "twins", kept.twins[peer], markup=False)
    todo = [(p, a) for a in wanted for p in PEERS if a.name not in kept.results[p]]
    with ThreadPoolExecutor(jobs) as pool:
        for (peer, one), told in zip(
            todo, pool.map(lambda one: _try(image, one[0], one[1], kept), todo), strict=True
        ):
            console.print(f"{peer:9} {one.ids[0]} {one.name}: {told}", markup=False)
            with kept.lock:
                out.write_text(table(kept, versions))
    out.write_text(table(kept, versions))


class Kept:
    """What was measured, in a file.

    Args:
        path: The file.
        key: Of the image and the versions: with another one nothing is kept.
        fresh: Forget what is there.
    """

    def __init__(self, path: Path, *, key: str, fresh: bool) -> None:
        """Read what is there."""
        held = json.loads(path.read_text()) if path.is_file() and not fresh else {}
        self.path, self.key, self.lock = path, key, threading.Lock()
        same = held.get("key") == key
        self.twins: dict[str, dict[str, dict[str, float]]] = held["twins"] if same else {}
        known = held["results"] if same else {}
        self.results: dict[str, dict[str, dict[str, Any]]] = {p: known.get(p, {}) for p in PEERS}

    def save(self) -> None:
        """Write all of it."""
        told = {"key": self.key, "twins": self.twins, "results": self.results}
        self.path.write_text(json.dumps(told, indent=1))


def table(kept: Kept, versions: str) -> str:
    """The page with all that is known."""
    names = yaml.safe_load((ROOT / "tests/hostile/catalogue.yaml").read_text())
    found: dict[str, dict[str, Result]] = {}
    for peer, package in PEERS.items():
        known = kept.results[peer]
        made = {name: Result(**told["result"]) for name, told in known.items() if name in ATTACKS}
        skipped = {
            a.name: Result(succeeded=None, reason=no_sense(a))
            for a in ATTACKS.values()
            if no_sense(a)
        }
        found[package] = skipped | made
    counts = []
    for package, results in found.items():
        ran = [result.succeeded for result in results.values() if result.succeeded is not None]
        due = sum(not no_sense(one) for one in ATTACKS.values())
        counts.append(f"{package}: {len(ran)} of {due} attacks ran and {sum(ran)} succeeded.")
    called = {entry: str(about["name"]) for entry, about in names.items()}
    lines = rows(found, called, ours(OURS.read_text()))
    head = HEAD.format(versions=versions, count=" ".join(counts), reading=READING)
    return head + "\n".join(lines) + "\n"


def ours(published: str) -> dict[str, str]:
    """What became of each entry in our containers, by the table that `scripts/attacks` wrote."""
    found: dict[str, str] = {}
    for (entry, place), (shown, *reasons) in read(published).items():
        if place == "docker" and reasons:
            held = [count for count in shown.split(", ") if count.isdecimal()]
            others = f" (not in {held[0]} other ways)" if held else ""
            found[entry] = f"succeeded{others}: {' '.join(reasons)}"
        elif place == "docker":
            found[entry] = "resisted"
    return found


def built(cache: Path, console: Console) -> tuple[str, str]:
    """Make the image with both peers.

    Returns:
        Its id, and the versions in it.
    """
    wheels = cache / "wheels"
    base = runner_image(docker.from_env(), console.print)
    if not list(wheels.glob("otter_grader*")):
        _download(base, cache)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        context = Path(folder)
        shutil.copytree(wheels, context / "wheels")
        here = Path(__file__).parent / "peers"
        for name in ("Dockerfile", "driver.py"):
            shutil.copy(here / name, context / name)
        (context / "source" / SLUG).mkdir(parents=True)
        (context / "source" / SLUG / f"{SLUG}.ipynb").write_text(json.dumps(source()))
        image = _run(["docker", "build", "-q", "--build-arg", f"BASE={base}", str(context)])
    listed = _run(["docker", "run", "--rm", image.strip(), "python", "-m", "pip", "freeze"])
    versions = [line for line in listed.splitlines() if line.split("==")[0] in PEERS.values()]
    return image.strip(), ", ".join(line.replace("==", " ") for line in versions)


def _download(base: str, cache: Path) -> None:
    """Get both peers for the Python of the image; what is in the image stays as it is."""
    inside = ["docker", "run", "--rm", base, "python"]
    (cache / "constraints.txt").write_text(_run([*inside, "-m", "pip", "freeze"]))
    asked = "import platform; print(platform.python_version())"
    version = _run([*inside, "-c", asked]).strip()
    told = ["--python-version", version, "--only-binary", ":all:", "-d", str(cache / "wheels")]
    told += ["-c", str(cache / "constraints.txt")]
    _run([sys.executable, "-m", "pip", "download", "-q", *told, *PEERS.values()])


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def _twin(image: str, peer: str, twin: str) -> dict[str, float]:
    """Points of the plain answers, which show too that the peer works in the container."""
    text = notebook(*{"right": RIGHT, "wrong": WRONG}[twin].values())
    seen = boxed(image, peer, {f"{SLUG}.ipynb": text.encode()}, "canary-none")
    if set(seen["over"]) != {"0"} or seen["left"]:
        raise click.ClickException(f"{peer} cannot grade honest work: {seen}")
    points: dict[str, float] = seen["points"][ATTACKER]
    return points


def _try(image: str, peer: str, one: Attack, kept: Kept) -> str:
    secret = f"canary-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        one.make(place, Host(folder=Path("/work/host"), secret=secret, port=4433))
        paths = [path for path in place.rglob("*") if path.is_file()]
        written = {str(path.relative_to(place)): path.read_bytes() for path in paths}
    cells = ["".join(c["source"]) for c in json.loads(written[f"{SLUG}.ipynb"])["cells"]]
    for _ in range(TRIES):
        seen = boxed(image, peer, written, secret, attack=one)
        twin = kept.twins[peer][one.onto]
        result = judged(one, seen, twin, kept_of(one, cells), secret)
        if not result.succeeded:
            break
    with kept.lock:
        kept.results[peer][one.name] = {"result": dataclasses.asdict(result), "seen": _short(seen)}
        kept.save()
    return f"succeeded: {result.reason}" if result.succeeded else "resisted"


def _short(seen: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value)[-1500:] for key, value in seen.items()}


def boxed(
    image: str, peer: str, written: Mapping[str, bytes], secret: str, attack: Attack | None = None
) -> dict[str, Any]:
    """Let a peer grade a submission and an honest neighbour in a container.

    Args:
        image: With both peers.
        peer: nbgrader or otter.
        written: What is handed in, by path.
        secret: The canary.
        attack: What it is, if it is one.
    """
    honest = {f"{SLUG}.ipynb": notebook(*NEIGHBOUR.values()).encode()}
    handed = {ATTACKER: written, NEIGHBOUR_ID: honest}
    if attack and "XS-02" in attack.ids:
        handed[AGAIN] = written
    asked: dict[str, Any] = {
        "peer": peer,
        "secret": secret,
        "mark": f"SEEN-{secrets.token_hex(8)} ",
        "patience_s": PATIENCE_S,
        "feedback": bool(attack and "AL-05" in attack.ids),
        "otter": otter_tests(),
        "students": {
            student: {
                path: base64.b64encode(content).decode()
                for path, content in files_of(student, peer, files).items()
            }
            for student, files in handed.items()
        },
    }
    name = "grader-peers-" + hashlib.sha256(asked["mark"].encode()).hexdigest()[:12]
    command = ["docker", "run", "--rm", "-i", "--name", name, *LIMITS, image]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=json.dumps(asked).encode(),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S + 120,
        )
    except subprocess.TimeoutExpired:
        subprocess.run(["docker", "kill", name], check=False, capture_output=True)  # noqa: S603, S607
        return _gone("not ended")
    for line in reversed(done.stdout.decode(errors="replace").splitlines()):
        if line.startswith(asked["mark"]):
            seen: dict[str, Any] = json.loads(line.removeprefix(asked["mark"]))
            return seen
    return _gone(f"exit code {done.returncode}: {done.stderr[-500:]!r}")


def _gone(over: str) -> dict[str, Any]:
    """What is seen when the whole container has gone, and the peer with it."""
    empty: dict[str, Any] = {"over": [over], "found": {}, "points": {}, "told": {}, "left": []}
    return {**empty, "host_changed": False, "reached": 0, "tail": ""}


if __name__ == "__main__":
    main()
