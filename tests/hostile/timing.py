"""Clocks and turns on the processor, changed by whom they measure (RX-01, RX-10)."""

from hostile.attack import ISOLATING, SANDBOXES, attack
from hostile.exhausting import stopped_in_its_cell

attack(
    "RX-10",
    "clocks of the processor that stand still, before a slow function is measured",
    last="""
import resource, time
time.process_time = time.thread_time = time.perf_counter = lambda: 0.0
time.process_time_ns = time.thread_time_ns = lambda: 0
""",
)
attack(
    "RX-10",
    "the harness told that nothing took any time",
    last="""
import sys
for name, module in list(sys.modules.items()):
    if name.endswith("scaling") and hasattr(module, "examine"):
        true = module.examine
        def lie(*asked, true=true):
            told = true(*asked)
            return told | {"measured": [[n, 0.0, held] for n, _, held in told["measured"]]}
        module.examine = lie
""",
    unresisted=dict.fromkeys(
        SANDBOXES,
        "time and memory are measured in the notebook's own kernel, and code that knows how the "
        "guest is written can change what it says of them there",
    ),
)
attack(
    "RX-01 RE-05",
    "a hundred busy processes, and a harness that is told to wait for idle ones",
    onto="right",
    last="""
import os
own = {os.getpid(), *map(int, os.listdir("/proc/self/task"))}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try: threads = {int(pid), *map(int, os.listdir(f"/proc/{pid}/task"))} - own
    except OSError: continue
    for thread in threads:
        try: os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        except OSError: pass
        try: os.setpriority(os.PRIO_PROCESS, thread, 19)
        except OSError: pass
try:
    for _ in range(100):
        if os.fork() == 0: os.execl("/bin/sh", "sh", "-c", "while :; do :; done")
except OSError: pass
while True: pass
""",
    ends="timeout",
    holds=stopped_in_its_cell,
    sandboxes=ISOLATING,
)
