"""A course on a small disk that is full now and then; `test_full_disk.py` gives it a namespace.

python full_disk.py DISK SCRATCH
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from test_killed import FINISHED, Trial

DISK = "size=4m"
TIMES = 4
#: About what a run needs, in blocks.
MOST_BLOCKS, BLOCK = 12, 4096
#: Exit code of a fault, which a full disk is.
FAULT = 3


def main(disk: Path, scratch: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", DISK, "none", str(disk)]
    subprocess.run(mount, check=True)
    trial = Trial(disk, "process", scratch, students=2)
    fresh = [*trial.command, "--fresh"]
    codes = [run_with_little_room(trial, disk / "ballast", fresh, 0)]
    assert codes == [FAULT], "what is executed anew needs room, and there is none"
    for _ in range(TIMES - 1):
        command = trial.chance.choice([fresh, trial.command, ["score"]])
        left = trial.chance.randrange(MOST_BLOCKS) * BLOCK
        codes.append(run_with_little_room(trial, disk / "ballast", command, left))
    trial.is_whole()
    assert set(codes) <= {*FINISHED, FAULT}, codes


def run_with_little_room(trial: Trial, ballast: Path, command: list[str], left: int) -> int:
    free = shutil.disk_usage(ballast.parent).free
    ballast.write_bytes(bytes(max(0, free - left)))
    with trial.start(*command, stderr=subprocess.PIPE) as grader:
        _, told = grader.communicate(timeout=600)
    print(left, command[0], grader.returncode, told.decode())  # noqa: T201 - if the test fails
    assert b"Traceback" not in told
    assert grader.returncode != FAULT or told.startswith(b"fault: ")
    assert grader.returncode != FAULT or b"full" in told or b"No space left" in told
    ballast.unlink()
    return grader.returncode


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
