"""Student code cannot speak for the guest, look into it, or stop it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from guest_driver import MAIN, capture, run_guest

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc and prctl")


@pytest.mark.slow
def test_the_guest_imports_nothing_of_the_grader_and_the_grader_nothing_of_it() -> None:
    for file in sorted(MAIN.parent.parent.rglob("*.py")):
        inside = MAIN.parent in file.parents
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not (inside and node.level > 1), file
                names = [node.module or ""] if node.level == 0 else []
            for name in names:
                forbidden = name.split(".")[0] == "grader" if inside else "guest" in name.split(".")
                assert not forbidden, f"{file} imports {name}"


LOOK = """
import os
guest = os.getppid()
tried = {}
for name in ("mem", "fd/1", "fd/3", "environ", "maps"):
    try:
        open(f"/proc/{guest}/{name}", "r+b" if name == "mem" else "wb" if "fd" in name else "rb")
        tried[name] = "open"
    except OSError as error:
        tried[name] = type(error).__name__
"""


DROP = """
import ctypes, sys
PR_CAPBSET_DROP, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON = 24, 19, 21, 38
for capability in (CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
sys.path[:0] = {path!r}
from guest_driver import capture, run_guest
ran = run_guest({look!r}, probes=capture("tried"))
print(ran.seen() or ran.log)
"""


@pytest.mark.slow
@linux
def test_the_kernel_cannot_open_the_memory_and_descriptors_of_the_guest() -> None:
    """As any user; root may look into every process, but not in a box without capabilities."""
    code = DROP.format(path=[str(Path(__file__).parent), str(MAIN.parents[2])], look=LOOK)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    refused = dict.fromkeys(("mem", "fd/1", "fd/3", "environ", "maps"), "PermissionError")
    assert done.stdout.decode().strip() == str({"tried": refused}), done.stderr.decode()


@pytest.mark.slow
@linux
def test_signals_do_not_stop_the_guest() -> None:
    ran = run_guest(
        "import os, signal\n"
        "for s in ('INT', 'TERM', 'HUP', 'USR1', 'USR2'):\n"
        "    os.kill(os.getppid(), getattr(signal, 'SIG' + s))",
        "a = 1",
        probes=capture("a"),
    )
    assert ran.statuses == ["ok", "ok"]
    assert ran.seen() == {"a": 1}


@pytest.mark.slow
def test_what_a_student_prints_is_text_however_it_looks() -> None:
    forged = "import os, sys\nframe = b'NGE1' + bytes(40)\n" + "\n".join(
        [
            "os.write(1, frame)",
            "os.write(2, frame)",
            "sys.__stdout__.buffer.write(frame); sys.__stdout__.flush()",
            "os.system('printf NGE1')",
        ]
    )
    ran = run_guest(forged, "a = 1", probes=capture("a"))
    assert ran.exit_code == 0
    assert ran.statuses == ["ok", "ok"]
    assert ran.texts[0].count("NGE1") >= 3
    assert ran.seen() == {"a": 1}


@pytest.mark.slow
def test_the_kernel_inherits_no_descriptor_of_the_guest() -> None:
    ran = run_guest(
        "import os\n"
        "open_now = [os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)]\n"
        "key_seen = any('NGE' in value for value in os.environ.values())",
        probes=capture("open_now", "key_seen"),
    )
    seen = ran.seen()
    assert seen["open_now"][0] == "/dev/null"
    assert seen["key_seen"] is False


@pytest.mark.slow
def test_a_message_larger_than_any_of_ours_never_reaches_the_guests_memory() -> None:
    ran = run_guest(
        "k = get_ipython().kernel\n"
        "k.session.send(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 'x' * 100_000_000},"
        " parent=k.get_parent())",
        "a = 1",
        probes=capture("a"),
    )
    assert ran.exit_code == 0
    assert len(ran.texts[0]) < 70_000
    assert ran.seen() == {"a": 1}


def can_unshare() -> bool:
    """Whether this user may make a PID namespace."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-fpm", "--mount-proc", "true"], capture_output=True)  # noqa: S607
    return tried.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare(), reason="needs unshare and the right to use it")
def test_as_process_1_it_survives_every_signal_and_kills_all_that_students_leave() -> None:
    ran = run_guest(
        "a = 1\nimport os, signal, subprocess\n"
        "for s in range(1, 32):\n    os.kill(1, s)\n"
        "for _ in range(20):\n    subprocess.Popen(['setsid', 'sh', '-c', 'sleep 600 & true'])",
        "import os; os._exit(1)",
        "import psutil, time\ntime.sleep(0.5)\n"
        "sleeping = sum(p.name() == 'sleep' for p in psutil.process_iter())",
        probes=capture("a", "sleeping"),
        prefix=("unshare", "-fpm", "--mount-proc"),
    )
    assert ran.statuses == ["ok", "died", "ok"], ran.log
    # Twenty of the replay; the twenty of the first kernel died with it.
    assert ran.seen() == {"a": 1, "sleeping": 20}


@pytest.mark.slow
@linux
def test_a_guest_that_is_killed_takes_its_kernel_along() -> None:
    guest = subprocess.Popen([sys.executable, "-I", "-P", str(MAIN)], stdin=subprocess.PIPE)
    kernels: list[psutil.Process] = []
    while not kernels:
        kernels = psutil.Process(guest.pid).children()
    # The last thing that a kernel does for its own end, after it asked to die with the guest.
    score = Path(f"/proc/{kernels[0].pid}/oom_score_adj")
    while score.read_text().strip() != "1000":
        time.sleep(0.05)
    guest.kill()
    guest.communicate()
    gone, alive = psutil.wait_procs(kernels, timeout=5)
    assert (len(gone), alive) == (1, [])
