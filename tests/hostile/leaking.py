"""Answers, secrets and other students' work: looking for what is not theirs (AL, XS)."""

import base64
import re
import struct

from hostile.attack import ISOLATING, Seen, attack


def finds_nothing(seen: Seen, twin: Seen) -> None:
    """The notebook reports in `found` what it got hold of: nothing, and it was graded."""
    found = seen.found
    if isinstance(found, dict):  # it also says at how many things it looked
        assert found["looked"] >= found["least"], found
        found = found["got"]
    assert found == [], found
    assert seen.points == twin.points
    assert seen.host.reached == []
    assert seen.host.secret.encode() not in seen.left


#: Words that stand in the reference, in the rubric, and in nobody's answers.
SECRETS = ("signs(seed)", "equals: n*(n+1)/2", "reference.py", "canary-")

attack(
    "AL-01 XS-01",
    "searching every file for answers",
    onto="right",
    last=f"""
import os
secrets = [word.encode() for word in {SECRETS!r}]
found, tops = {{"got": [], "looked": 0, "least": 100}}, []
skipped = ["/proc", "/sys", *(f"/usr/{{one}}" for one in ("lib", "share", "include", "src", "bin"))]
for top in ("/", "@HOST@", "@COURSE@", "..", "/proc/self/cwd/..", "/proc/1/root"):
    try: at = os.stat(top)
    except OSError: continue
    if (at.st_dev, at.st_ino) in tops: continue
    tops.append((at.st_dev, at.st_ino))
    for folder, folders, files in os.walk(top):
        folders[:] = [one for one in folders if one != "site-packages"
                      and os.path.join(folder, one) not in skipped]
        for name in files:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
                    found["looked"] += 1
                    text = open(path, "rb").read()
                    found["got"] += [path for word in secrets if word in text]
            except OSError: pass
""",
    holds=finds_nothing,
    sandboxes=ISOLATING,
)
attack(
    "AL-01 XS-01",
    "walking to the host through proc",
    onto="right",
    last="""
import os
found = {"got": [], "looked": 0, "least": 10}
for pid in filter(str.isdigit, os.listdir("/proc")):
    for way in ("root", "cwd"):
        for path in ("@HOST@/secret.txt", "@COURSE@/.grader/secret", "../../../.grader/secret",
                     "../.grader/secret", "@COURSE@/rubrics/hw.yaml"):
            found["looked"] += 1
            try: found["got"].append(open(f"/proc/{pid}/{way}/{path}", "rb").read())
            except OSError: pass
""",
    holds=finds_nothing,
    sandboxes=ISOLATING,
)


#: What the right answers are, and how the rubric says it.
ANSWERS: tuple[str, ...] = (
    "1234.5",
    "n*(n+1)/2",
    "3.25",
    "87.5",
    "0.5}",
    "rtol",
    "atol",
    "mistake",
    "credit",
)
ANSWERS += ("equals", "signs", "falls_to", "at_most", "avoids")
PACKED = tuple(struct.pack(order + kind, 1234.5) for order in "<>" for kind in "df")


def sees_only_questions(seen: Seen, twin: Seen) -> None:
    """It read all that the kernel was sent, and in it no test, tolerance or answer."""
    assert seen.points == twin.points
    assert seen.evidence is not None
    (last,) = [o.value for i, o in seen.evidence.observations.items() if "quick" in i]
    assert isinstance(last, dict)
    assert isinstance(last["result"], list)
    heard = [base64.b64decode(str(one)) for one in last["result"]]
    asked = [one for one in heard if one.startswith(b"FILE ")]
    assert len(asked) == len(seen.evidence.observations)
    assert any(b"scaled" in one for one in asked)
    assert any(one.startswith(b"SENT \0probe") for one in heard)
    shown = b"\n".join([*heard, seen.left])
    assert [word for word in (*(w.encode() for w in ANSWERS), *PACKED) if word in shown] == []


attack(
    "AL-02",
    "hooks that read all that the kernel is sent",
    first="""
import base64, json, sys
shell = get_ipython()
heard = []
def hear(what, held): heard.append(base64.b64encode(what + b" " + held).decode())
def show(*told):
    for one in told: hear(b"CELL", getattr(one, "raw_" "cell", str(one)).encode())
shell.events.register("pre_run_cell", show)
shell.events.register("pre_execute", lambda: hear(b"IN", str(shell.user_ns.get("In")).encode()))
kernel = shell.kernel
old = kernel.do_execute
async def listen(code, *asked, **named):
    hear(b"SENT", code.encode())
    if code.startswith("\\0probe "):
        hear(b"FILE", open(json.loads(code.split(" ", 1)[1])["ask"], "rb").read())
    return await old(code, *asked, **named)
kernel.do_execute = listen
""",
    last="""
import gc, linecache
for key in linecache.cache: hear(b"LINES", key.encode())
for held in gc.get_objects():
    if type(held) is dict and "rt" "ol" in held: hear(b"HELD", repr(held).encode())
def summed(n): return heard  # the last that is asked
""",
    holds=sees_only_questions,
)
attack(
    "AL-03",
    "connecting to whatever may listen",
    onto="right",
    last="""
import socket
found = []
targets = [("127.0.0.1", @PORT@), ("169.254.169.254", 80), ("10.0.2.2", 80), ("172.17.0.1", @PORT@)]
targets += [("192.168.0.1", 80), ("1.1.1.1", 53), ("::1", @PORT@), ("host.docker.internal", 80)]
for host, port in targets:
    try:
        socket.create_connection((host, port), timeout=0.3).close()
        found.append(host)
    except OSError: pass
try: found.append(socket.gethostbyname("example.org"))
except OSError: pass
found += [name for _, name in socket.if_nameindex() if name != "lo"]
""",
    holds=finds_nothing,
    sandboxes=ISOLATING,
)
attack(
    "AL-04",
    "sockets of every other family",
    onto="right",
    last="""
import socket
found = []
allowed = {1, 2, 10, 16}
for family in set(range(1, 46)) - allowed:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind, 0).close()
            found.append(family)
        except OSError: pass
""",
    holds=finds_nothing,
    sandboxes=ISOLATING,
)
attack(
    "AL-05",
    "hidden inputs put into errors and answers",
    instead={
        "function": """
seen_inputs = []
def scaled(x):
    seen_inputs.append(x.tolist())
    raise ValueError(f"LEAK {x.tolist()} {seen_inputs}")
""",
        "network": """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
    def forward(self, x):
        raise ValueError(f"LEAK {x.tolist()}")
""",
        "measured": "def predict(x): raise ValueError(f'LEAK {x.tolist()}')",
    },
    holds=lambda seen, twin: hidden_inputs_stay_hidden(seen),
)


def hidden_inputs_stay_hidden(seen: Seen) -> None:
    """Only the public case, [1.0, 2.0], may be quoted back."""
    quoted = re.findall(r"LEAK \[[^]]*\]", seen.told)
    assert quoted
    assert set(quoted) == {"LEAK [1.0, 2.0]"}


attack(
    "AL-08",
    "secrets of the environment",
    onto="right",
    last="""
import os
found = {"got": [], "looked": 0, "least": 1}
got = found["got"]
got += [f"{key}={value}" for key, value in os.environ.items() if "canary" in value.lower()]
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if "canary-" in open(f"/proc/{pid}/environ").read(): got.append(pid)
        found["looked"] += 1
    except OSError: pass
for path in ("~/.netrc", "~/.docker/config.json", "~/.aws/credentials", "/var/run/docker.sock",
             "/run/docker.sock", "/run/secrets", "~/.ssh", "/root/.ssh", "~/.kube/config"):
    if os.path.exists(os.path.expanduser(path)): got.append(path)
""",
    holds=finds_nothing,
    sandboxes=ISOLATING,
)
attack(
    "AL-09",
    "guessing the hidden inputs",
    instead={
        "function": """
import gc
import torch
early = [held for held in gc.get_objects() if type(held) is dict and "op" in held]
guessed = set()
for seed in [*range(200), 42, 1234, 2024, 2025, 2026]:
    made = torch.Generator().manual_seed(seed)
    for size in (3, 5): guessed.add(tuple(torch.randn(size, generator=made).tolist()))
def scaled(x):
    known = tuple(x.tolist()) in guessed or x.tolist() in [e.get("x") for e in early]
    return 3.25 * x - 1 if known else torch.zeros_like(x)
"""
    },
)
WAYS = """
import os
token = "left-behind-by-a-neighbour"
places = [".", "/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~"), "/dev/mqueue"]
places += [os.path.expanduser("~/.cache"), os.path.expanduser("~/.config/matplotlib")]
"""
for number in (1, 2, 3):
    attack(
        "XS-02",
        f"leaving and looking for things, student {number}",
        onto="right",
        last=WAYS
        + """
paths = [os.path.join(place, token) for place in places]
found = [path for path in paths if os.path.exists(path)]
for place, path in zip(places, paths):
    try:
        os.makedirs(place, exist_ok=True)
        open(path, "w").write("mine")
    except OSError: pass
""",
        holds=finds_nothing,
        sandboxes=ISOLATING,
    )
attack(
    "XS-04",
    "the kernel's keyring, shared memory and abstract sockets of another",
    onto="right",
    last="""
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
found = []
for number in (248, 249, 250):  # add_key, request_key, keyctl
    if libc.syscall(number, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != 1: found.append(number)
if libc.shmget(@KEY@, 4096, 0) >= 0: found.append("a segment")
try: found += [one for one in open("/proc/sysvipc/shm") if " @KEY@ " in one]
except OSError: pass
try:
    with socket.socket(socket.AF_UNIX) as other: other.connect("\\0@LEFT@")
    found.append("an abstract socket")
except OSError: pass
try: found += [one for one in open("/proc/net/unix") if "@LEFT@" in one]
except OSError: pass
""",
    holds=finds_nothing,
    sandboxes=ISOLATING,
    x86=True,
)
