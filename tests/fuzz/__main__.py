"""Fuzz one target by hand: `scripts/fuzz TARGET --seconds 300`; see docs/fuzzing.md."""

from __future__ import annotations

import argparse
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings

if TYPE_CHECKING:
    from fuzz.target import Target

#: Corpora and what was found, by target; not kept in the repository.
FOLDER = Path(__file__).parents[2] / ".fuzz"
#: Limits of one input: generous, because other programs run on the machine too.
INPUT_S, MEMORY_MIB = 30, 4096
ALL_CHECKS = list(HealthCheck)


def main() -> None:
    """Fuzz, or put files that were found to a target again."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", help="which reader, or `list` for all their names")
    parser.add_argument("files", nargs="*", type=Path, help="inputs to put to it, then stop")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--made", action="store_true", help="inputs of the right form only")
    given = parser.parse_args()
    guided = find_spec("atheris") is not None
    alone = given.files or given.target == "list"
    targets = _instrumented() if guided and not alone else _plain()
    if given.target not in targets:
        width = max(map(len, targets))
        listed = "\n".join(f"  {one.name:{width}}  {one.reads}" for one in targets.values())
        parser.exit(0 if given.target == "list" else 2, f"targets:\n{listed}\n")
    target = targets[given.target]
    if given.files:
        for file in given.files:
            target(file.read_bytes())
    elif guided:
        _fuzz(target, given.seconds, made=given.made)
    else:
        sys.stderr.write("atheris is not installed: inputs are drawn at random, unguided\n")
        _draw(target, given.seconds)


def _plain() -> dict[str, Target]:
    from fuzz.targets import TARGETS  # only here: atheris must see the import

    return TARGETS


def _instrumented() -> dict[str, Target]:
    import atheris

    with atheris.instrument_imports(include=["grader"]):
        return _plain()


def _fuzz(target: Target, seconds: int, *, made: bool) -> None:
    """Mutate inputs towards lines of ours that were not reached before; never returns."""
    import atheris

    folder = FOLDER / (f"{target.name}-made" if made else target.name)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed if not made else b"")
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens if token))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.max_bytes}",
        f"-timeout={INPUT_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={folder}/",
        *(["-len_control=0"] if made else [f"-dict={words}"] if target.tokens else []),
    ]
    sys.stderr.write(f"fuzzing {target.name} for {seconds} s, guided by coverage, in {folder}\n")
    run = _through_hypothesis(target) if made else target
    atheris.Setup([sys.argv[0], *options, str(corpus)], run)
    atheris.Fuzz()


def _through_hypothesis(target: Target) -> object:
    """Bytes of the fuzzer as the choices of what makes inputs of the right form."""

    @settings(deadline=None, database=None, suppress_health_check=ALL_CHECKS)
    @given(target.inputs)
    def put(data: bytes) -> None:
        target(data)

    return put.hypothesis.fuzz_one_input  # type: ignore[attr-defined]


def _draw(target: Target, seconds: int) -> None:
    end = time.monotonic() + seconds

    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=ALL_CHECKS)
    @given(target.inputs)
    def put(data: bytes) -> None:
        target(data)

    while time.monotonic() < end:
        put()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main()
