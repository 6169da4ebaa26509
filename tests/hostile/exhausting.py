"""Resource exhaustion and crashes: time, memory, processes, disk, output (RX, RE)."""

from grader.evidence import CellStatus
from grader.verdict import Status
from hostile.attack import ISOLATING, Holds, Seen, attack

#: Of the course's rubric; a run may end so much later than its limit, in seconds.
CELL_S, TOTAL_S, SLACK_S = 5, 25, 5


def keeps(status: Status, *, within_s: float) -> Holds:
    """What came before earns its points, the status is right, and it ended in time."""

    def holds(seen: Seen, twin: Seen) -> None:
        assert (seen.status, seen.points) == (status, twin.points)
        assert seen.evidence is not None
        assert seen.student_s < within_s + SLACK_S

    return holds


stopped_in_its_cell = keeps(Status.TIME_LIMIT, within_s=TOTAL_S)
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
    attack("RX-01", name, onto="right", last=cell, holds=stopped_in_its_cell, sandboxes=ISOLATING)
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
    holds=lambda seen, twin: ended_with_points(seen, twin),
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
    holds=lambda seen, twin: ended_with_points(seen, twin),
    sandboxes=ISOLATING,
)


def ended_with_points(seen: Seen, twin: Seen) -> None:
    """What came before the last cell earns its points; how it ended is the student's doing."""
    assert seen.evidence is not None
    assert seen.status is not Status.NEEDS_PERSON
    assert seen.points == twin.points
    assert seen.student_s < TOTAL_S + SLACK_S


for name, cell in {
    "memory in one process": "held = []\nwhile True: held.append(bytearray(1 << 26))",
    "memory in many processes": """
import os, time
for _ in range(20):
    if os.fork() == 0:
        held = [bytearray(b"x" * (64 << 20))]
        time.sleep(10**6)
time.sleep(10**6)
""",
    "memory in shared files": """
with open("/dev/shm/big", "wb") as file:
    while True: file.write(b"x" * (1 << 20))
""",
}.items():
    attack(
        "RX-03",
        name,
        onto="right",
        last=cell,
        holds=lambda seen, twin: ended_with_points(seen, twin),
        sandboxes=ISOLATING,
    )
attack(
    "RX-04",
    "files that fill every folder",
    onto="right",
    last="""
import os
found = []
for folder in (".", "/tmp", "/var/tmp", "/dev", "/", os.path.expanduser("~")):
    size = 0
    try:
        with open(os.path.join(folder, "big"), "wb") as file:
            while size < 4 << 30: size += file.write(b"x" * (1 << 20))
        found.append([folder, size])
    except OSError: pass
    try: os.unlink(os.path.join(folder, "big"))
    except OSError: pass
""",
    holds=lambda seen, twin: nothing_was_found(seen, twin),
    sandboxes=ISOLATING,
)
attack(
    "RX-04",
    "a million files",
    onto="right",
    last="""
import os
os.makedirs("many", exist_ok=True)
made = 0
try:
    while made < 10**6:
        open(f"many/{made}", "w").close()
        made += 1
except OSError: pass
found = [] if made < 10**6 else [made]
""",
    holds=lambda seen, twin: ended_with_points(seen, twin),
    sandboxes=ISOLATING,
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
        holds=keeps(Status.KERNEL_DIED, within_s=TOTAL_S),
    )
attack(
    "RE-01",
    "dying in the first cell, always",
    first="import os\nos._exit(0)",
    onto="right",
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
