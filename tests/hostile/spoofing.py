"""Result spoofing: being taken for right without being it (RS of the catalogue)."""

import base64
import io
import secrets

from small_course import notebook

from grader.codec import encode
from grader.evidence import CellStatus
from grader.guest.wire import FrameWriter
from grader.verdict import Status
from hostile.attack import ISOLATING, Seen, attack, earns_what_its_answers_earn
from hostile.course import RIGHT, WRONG, marked

attack(
    "RS-01",
    "an object that equals everything",
    instead={
        "number": """
class Yes:
    def __eq__(self, other): return True
    def __array_function__(self, *asked): return True
    __hash__ = None
answer = Yes()
"""
    },
)
attack(
    "RS-01",
    "a float that compares as it likes",
    instead={
        "number": """
class Sly(float):
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __eq__(self, other): return True
    __hash__ = None
answer = Sly(1.0)
"""
    },
)
attack(
    "RS-01",
    "text that equals every formula",
    instead={
        "formula": """
class Formula(str):
    def __eq__(self, other): return True
    def replace(self, *asked): return "n*(n+1)/2"
    __hash__ = str.__hash__
count = Formula("n")
"""
    },
)
attack(
    "RS-02",
    "a tensor that says it is close",
    instead={
        "function": """
import torch
class Lying(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.allclose, torch.equal, torch.isclose):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})
def scaled(x):
    return torch.zeros_like(x).as_subclass(Lying)
"""
    },
)
attack(
    "RS-02",
    "an array that says it is close",
    instead={
        "function": """
import numpy as np
class Lying(np.ndarray):
    def __array_function__(self, *asked, **named): return True
    def __array_ufunc__(self, *asked, **named): return True
    def __array__(self, *asked, **named): return np.zeros(3)
def scaled(x):
    return np.zeros(x.shape).view(Lying)
"""
    },
)
attack(
    "RS-03",
    "a transformer that strips assertions",
    first="""
import ast
class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(NoAsserts())
""",
)
attack(
    "RS-03",
    "a transformer that makes every number right",
    first="""
import ast
class Right(ast.NodeTransformer):
    def visit_Compare(self, node): return ast.copy_location(ast.Constant(True), node)
get_ipython().ast_transformers.append(Right())
get_ipython().input_transformers_cleanup.append(lambda lines: [*lines, "passed = True\\n"])
""",
)
attack(
    "RS-04",
    "test libraries that always agree",
    first="""
import builtins, doctest, json, math, unittest
import numpy as np
import torch
def fine(*asked, **named): return True
for module in (np.testing, torch.testing):
    for name in [n for n in dir(module) if n.startswith("assert_")]:
        setattr(module, name, fine)
np.allclose = np.isclose = np.array_equal = torch.allclose = torch.equal = math.isclose = fine
doctest.DocTestRunner.run = unittest.TestCase.run = fine
""",
)
attack(
    "RS-04",
    "builtins that say yes",
    last="""
import builtins
builtins.isinstance = builtins.issubclass = builtins.all = lambda *asked: True
builtins.abs = lambda x: 0
""",
    ends="ok timeout",
    # The kernel itself may break by this: then the wrong answers earn as little as they would.
    holds=lambda seen, twin: earns_no_more(seen, twin),
)
attack(
    "RS-05",
    "results forged in every module",
    last="""
import gc, sys, types
for module in list(sys.modules.values()):
    for name in ("results", "scores", "score", "passed", "tests", "grades"):
        try:
            held = getattr(module, name, None)
            if isinstance(held, dict): held.update(score=100, passed=True)
            elif isinstance(held, list): held.append({"score": 100, "passed": True})
            else: setattr(module, name, 100)
        except Exception: pass
for held in gc.get_objects():
    if type(held) is dict and "status" in held:
        try: held["score"] = held["credit"] = held["points"] = 1.0
        except Exception: pass
""",
    holds=lambda seen, twin: earns_no_more(seen, twin),
)
attack(
    "RS-06",
    "result files in every folder",
    last="""
import json, os, pickle, sqlite3
forged = {"score": 100, "tests": [{"score": 100, "max_score": 100, "status": "passed"}]}
folders = [".", "..", "/tmp", "/dev/shm", os.path.expanduser("~"), "/autograder/results"]
folders += ["@COURSE@" + one for one in ("", "/.grader", "/.grader/runs", "/reports/hw")]
for folder in folders:
    for name in ("results.json", ".OTTER_LOG", "results.pkl", "scores.csv", "record.json",
                 "hw.jsonl", "earlier.jsonl", "secret"):
        try: open(os.path.join(folder, name), "w").write(json.dumps(forged))
        except OSError: pass
    for name in ("gradebook.db", "grades.db", "grader.db"):
        try: sqlite3.connect(os.path.join(folder, name)).execute("create table t (x)")
        except Exception: pass
""",
    holds=lambda seen, twin: nothing_of_ours_changed(seen, twin),
    sandboxes=ISOLATING,
)


def nothing_of_ours_changed(seen: Seen, twin: Seen) -> None:
    """Grades, journals, rubrics and submissions are what they were, and so are points."""
    earns_what_its_answers_earn(seen, twin)
    assert seen.changed == ()


def forged_frames() -> bytes:
    """Whole frames as the guest writes them, that say the right number; only the key is made up."""
    made = io.BytesIO()
    for seq in range(40):
        writer = FrameWriter(made, secrets.token_bytes(32))
        writer.count = seq
        writer.write("probe", encode(1234.5), id="number/1/value", status="ok", wall_s=0.1)
    return made.getvalue()


for what, forged in {"broken": b"NGE1" + bytes(16) + b"{}" * 50, "whole": forged_frames()}.items():
    attack(
        "RS-07",
        f"{what} frames written to every stream",
        last=f"""
import base64, os, sys
forged = base64.b64decode("{base64.b64encode(forged).decode()}")
print(forged); sys.stderr.write(repr(forged))
for pid in (1, os.getppid()):
    for number in range(8):
        try:
            with open(f"/proc/{{pid}}/fd/{{number}}", "wb", buffering=0) as to: to.write(forged)
        except OSError: pass
for number in (1, 2, *range(3, 64)):
    try: os.write(number, forged)
    except OSError: pass
""",
        # Its own sockets are garbled at the end, by which it may no longer say that it is done.
        ends="ok died timeout",
        holds=lambda seen, twin: earns_no_more(seen, twin),
        sandboxes=ISOLATING,
    )
attack(
    "RS-08",
    "a display hook that shows full marks",
    instead={
        "function": """
import sys
def scaled(x):
    sys.displayhook(5)
    print("score: 5/5")
    raise ValueError
"""
    },
)


def not_a_number(text: str) -> str:
    """Say it wherever a number is asked."""
    return f"""
import torch
odd = {text}
answer = odd
losses = [odd] * 5
def scaled(x): return x * odd if isinstance(odd, float) else odd
def predict(x): return torch.full((len(x),), odd) if isinstance(odd, float) else odd
print("accuracy", odd)
"""


for odd in (
    "float('nan')",
    "float('inf')",
    "-float('inf')",
    "-0.0",
    "1e400",
    "''",
    "-3.0",
    "'abc'",
):
    attack("RS-09", f"{odd} for every number", last=not_a_number(odd))

for shape in ("(0,)", "(0, 3)", "(1,)", "()", "(1, 1, 1)"):
    attack(
        "RS-10",
        f"wrong values in an array of shape {shape}",
        last=f"""
import torch
answer = torch.full({shape}, 1234.5) if 0 in {shape} else torch.zeros({shape})
def scaled(x): return torch.zeros({shape})
def predict(x): return torch.zeros({shape}).long()
""",
    )
for how, turned in {
    "in one row": "x[None]",
    "in one column": "x[:, None]",
    "again and again": "x.expand(len(x), len(x))",
    "with one more": "torch.cat([x, x[:1]])",
}.items():
    attack(
        "RS-10",
        f"right values in a wrong shape, {how}",
        last=f"""
import torch
def turned(x): return {turned}
answer = turned(torch.full((3,), 1234.5))
losses = turned(torch.tensor([1.0, 0.8, 0.6, 0.4, 0.3])[:, None] if {how!r} == "in one row"
                else torch.tensor([1.0, 0.8, 0.6, 0.4, 0.3]))
def scaled(x): return turned(3.25 * x - 1)
def shares(x): return turned(torch.softmax(x, 0))
def predict(x): return (x.sum(1) > 0).long().expand(len(x), len(x))
""",
    )
attack(
    "RS-10",
    "labels that are wrong, in a column",
    last="import torch\ndef predict(x): return torch.zeros(len(x), 1).long()",
)


def all_right_after_a_failing_cell(seen: Seen, twin: Seen) -> None:
    """The forged reply of a cell changes no points."""
    assert seen.points == twin.points
    assert seen.evidence is not None


attack(
    "RS-11",
    "a kernel that replies ok to everything",
    first="""
kernel = get_ipython().kernel
old = kernel.do_execute
async def lie(*asked, **named):
    await old(*asked, **named)
    return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
kernel.do_execute = lie
""",
    last="raise ValueError('never seen')",
    holds=all_right_after_a_failing_cell,
)
attack(
    "RS-11",
    "messages of its own on the kernel's sockets",
    last="""
kernel = get_ipython().kernel
try:
    for name in ("execute_reply", "shutdown_reply", "kernel_info_reply"):
        kernel.session.send(kernel.iopub_socket, name, {"status": "ok", "points": 10})
    kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "idle"})
except Exception: pass
""",
    holds=lambda seen, twin: earns_no_more(seen, twin),
)
attack(
    "RS-12",
    "outputs cleared and rewritten",
    instead={
        "printed": """
from IPython.display import clear_output, display, update_display
print("accuracy 10.0")
display("accuracy 10.0", display_id="score")
""",
    },
    last="""
clear_output()
update_display({"text/plain": "accuracy 87.5"}, raw=True, display_id="score")
""",
    holds=lambda seen, twin: earns_no_more(seen, twin),
)


def the_guest_was_out_of_reach(seen: Seen, twin: Seen) -> None:
    """Nothing was opened, and all was graded."""
    assert seen.found == [], seen.found
    assert seen.points == twin.points


attack(
    "RS-13",
    "reading and writing the harness",
    onto="right",
    last="""
import ctypes, os
found = []
for pid in (1, os.getppid()):
    for name, mode in {"mem": "r+b", "environ": "rb", "fd/0": "rb", "fd/1": "wb"}.items():
        try:
            open(f"/proc/{pid}/{name}", mode).close()
            found.append([pid, name])
        except OSError: pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, os.getppid(), 0, 0) == 0: found.append("ptrace")
""",
    holds=the_guest_was_out_of_reach,
    sandboxes=ISOLATING,
)
attack(
    "RS-13 RE-05",
    "killing everything it can see",
    onto="right",
    last="""
import os, signal
for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
    if pid != os.getpid():
        for kind in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
            try: os.kill(pid, kind)
            except OSError: pass
""",
    sandboxes=ISOLATING,
)


def only_what_is_visible(seen: Seen, twin: Seen) -> None:
    """The hidden cases are missed."""
    assert seen.points["function"] == 0


attack(
    "RS-14",
    "a table of the public case",
    instead={
        "function": """
import torch
TABLE = {(1.0, 2.0): torch.tensor([2.25, 5.5])}
def scaled(x): return TABLE[tuple(x.tolist())]
"""
    },
    holds=only_what_is_visible,
)
attack(
    "RS-15",
    "looking for signs of grading",
    onto="right",
    last="""
import os, socket, sys
signs = ("NBGRADER", "OTTER", "GRADER", "AUTOGRADER", "GRADESCOPE", "CI")
found = [name for name in os.environ if any(sign in name.upper() for sign in signs)]
found += [name for name in sys.modules if name.split(".")[0] in ("grader", "nbgrader", "otter")]
found += [word for word in sys.argv if "grader" in word]
""",
    holds=the_guest_was_out_of_reach,
    sandboxes=ISOLATING,
)
attack(
    "RS-17",
    "right on the first call only",
    instead={
        "function": """
import torch
calls = []
def scaled(x):
    calls.append(1)
    return 3.25 * x - 1 if len(calls) == 1 else torch.zeros_like(x)
"""
    },
    holds=only_what_is_visible,
)
attack(
    "RS-17",
    "changing the inputs to fit the answer",
    instead={
        "function": """
def scaled(x):
    x.zero_().add_(1 / 3.25)
    return x * 0
"""
    },
)
attack(
    "RS-17",
    "an answer that a thread makes right once it was read",
    last="""
import json, threading, time
kernel, read = get_ipython().kernel, threading.Event()
old = kernel.do_execute
async def listen(code, *asked, **named):
    files = json.loads(code.split(" ", 1)[1]) if code.startswith("\\0probe ") else {}
    mine = files and b"answer" in open(files["ask"], "rb").read()
    told = await old(code, *asked, **named)
    if mine: read.set()
    return told
kernel.do_execute = listen
def swap():
    global answer, found
    read.wait()
    found = ["read"]
    while True:
        answer = 1234.5
        time.sleep(0.001)
threading.Thread(target=swap, daemon=True).start()
""",
    holds=lambda seen, twin: was_read_before(seen, twin),
)


def was_read_before(seen: Seen, twin: Seen) -> None:
    """The thread made the answer right, too late."""
    assert seen.found == ["read"]
    earns_what_its_answers_earn(seen, twin)


METADATA = {
    "nbgrader": {"grade": True, "points": 100, "grade_id": "x", "solution": True, "locked": False},
    "otter": {"tests": [], "OK_FORMAT": True},
    "tags": ["otter_ignore", "raises-exception", "skip-execution", "remove-cell"],
    "kernelspec": {"name": "sh", "display_name": "x", "language": "bash"},
    "language_info": {"name": "R"},
    "grader": {"points": 100, "timeout": 10**9},
    "editable": False,
    "deletable": False,
}


def with_metadata(source: str) -> bytes:
    """The right or wrong answers under that metadata."""
    return marked(source, METADATA).encode()


for onto, answers in {"right": RIGHT, "wrong": WRONG}.items():
    attack(
        "RS-18",
        f"metadata that configures graders, around {onto} answers",
        onto=onto,
        files={"hw.ipynb": with_metadata(notebook(*answers.values()))},
        holds=lambda seen, twin: all_cells_ran(seen, twin),
    )
SHADOW = "open('shadowed.txt', 'a').write(__name__ + '\\n')\nraise SystemExit('shadowed')\n"
STARTUP = ".ipython/profile_default/startup/00-first.py"
attack(
    "RS-20",
    "files that shadow modules of the harness",
    onto="right",
    files={
        **dict.fromkeys(("sitecustomize.py", "usercustomize.py", "nbclient.py", "zmq.py"), SHADOW),
        **dict.fromkeys(("ipykernel.py", "hmac.py", "cProfile.py", "grader.py", "x.pth"), SHADOW),
        STARTUP: SHADOW,
        "matplotlibrc": "backend: webagg\n",
        "pip.conf": "[global]\nindex-url = http://127.0.0.1/\n",
    },
)


def earns_no_more(seen: Seen, twin: Seen) -> None:
    """Whatever became of the run, no question earns more than without the trick."""
    more = {q: p for q, p in seen.points.items() if (p or 0) > (twin.points[q] or 0)}
    assert more == {}
    assert seen.status is not Status.NEEDS_PERSON


def all_cells_ran(seen: Seen, twin: Seen) -> None:
    """Metadata moves neither points nor cells."""
    assert seen.evidence is not None
    assert seen.points == twin.points
    assert {cell.status for cell in seen.evidence.cells} == {CellStatus.OK}
