"""Resource exhaustion and crashes: time, memory, processes, disk, output (RX, RE)."""

import errno

from grader.evidence import CellStatus
from grader.verdict import Status
from hostile.attack import ISOLATING, Holds, Seen, attack

#: Of the course's rubric; a run may end so much later than its limit, in seconds.
CELL_S, TOTAL_S, SLACK_S = 5, 25, 5
RESTART_S = 10
"""For each of at most two kernels that it killed."""
OURS_S = 20
"""For making and removing a sandbox, beside what the guest takes to start."""


def ends_in_time(seen: Seen) -> None:
    """Each cell ended within its limit by the guest's clock, and all of it within theirs by ours.

    A kernel that must be killed may take longer to die, with all that it started.
    """
    assert seen.evidence is not None, seen.score
    for cell in seen.evidence.cells:
        lived = cell.status in (CellStatus.OK, CellStatus.ERROR)
        assert cell.wall_s < CELL_S + SLACK_S + (0 if lived else RESTART_S), cell
    assert seen.student_s < TOTAL_S + SLACK_S
    ours_s = float(seen.evidence.environment["started_s"]) + OURS_S + 2 * RESTART_S
    assert seen.evidence.wall_s < ours_s + min(TOTAL_S, seen.student_s) + SLACK_S


def keeps(status: Status) -> Holds:
    """What came before earns its points, the status is right, and it ended in time."""

    def holds(seen: Seen, twin: Seen) -> None:
        assert (seen.status, seen.points) == (status, twin.points)
        ends_in_time(seen)

    return holds


stopped_in_its_cell = keeps(Status.TIME_LIMIT)
starved = keeps(Status.MEMORY_LIMIT)
for name, cell in {
    "a busy loop": "while True: pass",
    "an endless sleep": "import time\nwhile True: time.sleep(1000)",
    "a loop that ignores interrupts": """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "C code that holds the interpreter": "import re\nre.match(r'(a|a)*$', 'a' * 64 + 'b')",
    "waiting for input": "import os\nr, w = os.pipe()\nos.read(r, 1)",
    "a thread that never ends at exit": """
import atexit, threading, time
threading.Thread(target=time.sleep, args=(10**6,)).start()
atexit.register(time.sleep, 10**6)
time.sleep(10**6)
""",
}.items():
    attack(
        "RX-01",
        name,
        onto="right",
        last=cell,
        ends="timeout",
        holds=stopped_in_its_cell,
        sandboxes=ISOLATING,
    )
attack(
    "RX-01",
    "an answer that takes for ever",
    onto="right",
    instead={"function": "def scaled(x):\n    while True: pass"},
    holds=lambda seen, twin: loses_only(seen, twin, "function"),
)


def loses_only(seen: Seen, twin: Seen, question: str) -> None:
    """One question earns nothing, and the others what they did."""
    assert seen.points == twin.points | {question: 0}
    assert seen.status in (Status.COMPLETE, Status.TIME_LIMIT)


attack(
    "RX-02",
    "a fork bomb",
    onto="right",
    last="import os\nwhile True: os.fork()",
    # Which limit it meets first, that of processes or that of memory, is the kernel's choice.
    ends="error timeout died memory",
    holds=lambda seen, twin: ended_with_nearly_all_points(seen, twin),
    sandboxes=ISOLATING,
)
attack(
    "RX-02",
    "a thread bomb",
    onto="right",
    last="""
import threading, time
while True: threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()
""",
    ends="error",
    holds=lambda seen, twin: ended_with_nearly_all_points(seen, twin),
    sandboxes=ISOLATING,
)


def ended_with_nearly_all_points(seen: Seen, twin: Seen) -> None:
    """As below, but for what is measured in a process: they may have taken all that there are."""
    lost = {name for name, points in twin.points.items() if seen.points[name] != points}
    assert lost <= {"quick"}
    assert seen.status is not Status.NEEDS_PERSON
    ends_in_time(seen)


def ended_with_points(seen: Seen, twin: Seen) -> None:
    """What came before the last cell earns its points; how it ended is the student's doing."""
    assert seen.evidence is not None
    assert seen.status is not Status.NEEDS_PERSON
    assert seen.points == twin.points
    ends_in_time(seen)


attack(
    "RX-03",
    "memory in one process",
    onto="right",
    last="held = []\nwhile True: held.append(bytearray(b'x') * (1 << 24))",
    ends="memory",
    holds=starved,
    sandboxes=ISOLATING,
)
attack(
    "RX-03",
    "memory in many processes",
    onto="right",
    last="""
import os, time
for _ in range(20):
    if os.fork() == 0:
        held = [bytearray(b"x" * (64 << 20))]
        time.sleep(10**6)
time.sleep(10**6)
""",
    ends="memory timeout",
    holds=starved,
    sandboxes=ISOLATING,
)
attack(
    "RX-03",
    "memory in files without a name",
    onto="right",
    last="""
import os
held, step = os.memfd_create("held"), 16 << 20
for at in range(0, 1 << 30, step): os.posix_fallocate(held, at, step)
""",
    ends="memory ok",
    holds=starved,
    sandboxes=ISOLATING,
    unresisted={
        "bubblewrap": "memory is watched by process, and a memfd belongs to none: it can take what "
        "the machine has until the run ends"
    },
)


def full_or_starved(seen: Seen, twin: Seen) -> None:
    """There was no more room, or the kernel was killed for memory."""
    assert seen.evidence is not None
    last = seen.evidence.cells[-1]
    if last.status is CellStatus.MEMORY:
        starved(seen, twin)
        return
    assert last.raised is not None
    assert f"[Errno {errno.ENOSPC}]" in last.raised.evalue
    ended_with_points(seen, twin)


attack(
    "RX-03",
    "memory in shared files",
    onto="right",
    last="""
with open("/dev/shm/big", "wb") as file:
    while True: file.write(b"x" * (1 << 20))
""",
    ends="error memory",
    holds=full_or_starved,
    sandboxes=ISOLATING,
)


def found_no_room(seen: Seen, twin: Seen) -> None:
    """The folder could not be filled, for the reason in `found`, or the kernel was killed."""
    assert seen.evidence is not None
    if seen.evidence.cells[-1].status is CellStatus.MEMORY:
        starved(seen, twin)
        return
    assert seen.found in ("ENOSPC", "EROFS", "EACCES", "EPERM", "ENOENT"), seen.found
    ended_with_points(seen, twin)


for name, folder in {
    "its own folder": ".",
    "the temporary one": "/tmp",  # noqa: S108 - inside
    "the other temporary one": "/var/tmp",  # noqa: S108 - inside
    "that of devices": "/dev",
    "the root": "/",
    "its home": "~",
}.items():
    attack(
        "RX-04",
        f"a file that fills {name}",
        onto="right",
        last=f"""
import errno, os
path, step = os.path.join(os.path.expanduser("{folder}"), "big"), 16 << 20
try:
    with open(path, "wb") as file:
        for at in range(0, 2 << 30, step): os.posix_fallocate(file.fileno(), at, step)
    found = at
except OSError as error: found = errno.errorcode[error.errno]
if os.path.exists(path): os.unlink(path)
""",
        ends="ok memory",
        holds=found_no_room,
        sandboxes=ISOLATING,
    )
MOST_FILES = 60_000
"""More than a container's working folder may hold."""


def few_files(seen: Seen, twin: Seen) -> None:
    """There was no room for more files long before the machine was full of them."""
    assert isinstance(seen.found, dict)
    assert seen.found["ended"] == "ENOSPC", seen.found
    assert seen.found["made"] < MOST_FILES, seen.found
    ended_with_points(seen, twin)


attack(
    "RX-04",
    "a hundred thousand files",
    onto="right",
    last="""
import errno, os, time
os.makedirs("many", exist_ok=True)
found, end = {"made": 0, "ended": ""}, time.monotonic() + 4
try:
    while found["made"] < 10**5 and time.monotonic() < end:
        for _ in range(100):
            os.symlink("x", f"many/{found['made']}")  # has an inode of its own, as a file has
            found["made"] += 1
except OSError as error: found["ended"] = errno.errorcode[error.errno]
""",
    holds=few_files,
    sandboxes=ISOLATING,
    unresisted={
        "bubblewrap": "the number of files in the working folder has no limit but the machine's"
    },
)


def nothing_was_found(seen: Seen, twin: Seen) -> None:
    """The notebook could not do what it reports in `found`, and everything earned its points."""
    assert seen.found == [], seen.found
    assert seen.points == twin.points


attack(
    "RX-05",
    "a flood of print",
    onto="right",
    last="""
import sys
line = "x" * 10_000 + "\\n"
for _ in range(20_000): sys.stdout.write(line)
""",
    holds=lambda seen, twin: ended_with_points(seen, twin),
)
attack(
    "RX-05",
    "a flood past the kernel's own streams",
    onto="right",
    last="""
import os
block = b"x" * (1 << 20)
for number in (1, 2):
    for _ in range(200): os.write(number, block)
""",
    holds=lambda seen, twin: ended_with_points(seen, twin),
)
attack(
    "RX-06",
    "a hundred thousand displays",
    onto="right",
    last="""
from IPython.display import display
for _ in range(100_000): display("x")
""",
    ends="ok timeout",
    holds=lambda seen, twin: ended_with_points(seen, twin),
)
attack(
    "RX-06",
    "an answer of a hundred mebibytes",
    onto="right",
    instead={"number": "answer = b'x' * (100 << 20)"},
    holds=lambda seen, twin: loses_only(seen, twin, "number"),
)
attack(
    "RX-07",
    "a tensor that is larger than its memory",
    onto="right",
    instead={
        "number": "import torch\nanswer = torch.zeros(1).expand(1 << 40)",
        "function": "import torch\ndef scaled(x): return torch.zeros(1).expand(1 << 14, 1 << 20)",
    },
    holds=lambda seen, twin: loses_both(seen, twin),
)


def loses_both(seen: Seen, twin: Seen) -> None:
    """Two questions earn nothing, and the others what they did."""
    assert seen.points == twin.points | {"number": 0, "function": 0}


attack(
    "RX-10",
    "clocks that stand still",
    first="""
import time
time.time = time.monotonic = time.perf_counter = lambda: 0.0
""",
    last="while True: pass",
    onto="right",
    ends="timeout",
    holds=stopped_in_its_cell,
    sandboxes=ISOLATING,
)
for name, cell in {
    "leaving by os._exit": "import os\nos._exit(0)",
    "a segmentation fault": "import ctypes\nctypes.string_at(0)",
    "killing itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "aborting": "import os\nos.abort()",
}.items():
    attack(
        "RE-01",
        name,
        onto="right",
        last=cell,
        ends="died",
        holds=keeps(Status.KERNEL_DIED),
    )
attack(
    "RE-01",
    "dying in the first cell, always",
    first="import os\nos._exit(0)",
    onto="right",
    ends="died",
    holds=lambda seen, twin: first_cell_died(seen),
)


def first_cell_died(seen: Seen) -> None:
    """The cell is left out on the second attempt, and the others are run."""
    assert seen.evidence is not None
    assert seen.status is Status.KERNEL_DIED
    assert seen.evidence.cells[0].status is CellStatus.DIED


attack(
    "RE-05",
    "closing every file descriptor",
    onto="right",
    last="import os\nos.closerange(0, 4096)",
    ends="died timeout",
    holds=lambda seen, twin: ended_with_points(seen, twin),
)
attack(
    "RE-05",
    "limits set on the harness",
    onto="right",
    last="""
import os, resource
found = []
for pid in (1, os.getppid()):
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU):
        try:
            resource.prlimit(pid, limit, (1, 1))
            found.append([pid, limit])
        except OSError: pass
""",
    holds=lambda seen, twin: nothing_was_found(seen, twin),
    sandboxes=ISOLATING,
)
attack(
    "RE-05",
    "interrupting the harness for ever",
    onto="right",
    last="""
import os, signal, time
for _ in range(2000):
    for kind in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE):
        try: os.kill(os.getppid(), kind)
        except OSError: pass
""",
    sandboxes=ISOLATING,
)
