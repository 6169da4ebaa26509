"""A disk that is full at any moment: nobody is marked for it, and a plain run then finishes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import require

OWN_DISKS = ["unshare", "--map-root-user", "--mount"]


def why_not() -> str:
    """Say why there can be no disk of our own, which takes the namespaces that bubblewrap takes."""
    if not shutil.which(OWN_DISKS[0]):
        return "there is no unshare"
    done = subprocess.run([*OWN_DISKS, "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no namespaces")
def test_after_the_disk_was_full_a_plain_run_makes_all_whole(tmp_path: Path) -> None:
    require("bubblewrap", why_not())
    disk = tmp_path / "disk"
    disk.mkdir()
    program = Path(__file__).with_name("full_disk.py")
    with tempfile.TemporaryDirectory(prefix="g-") as scratch:  # names of sockets must fit
        command = [*OWN_DISKS, sys.executable, str(program), str(disk), scratch]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
