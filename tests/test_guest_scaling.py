"""The guest's `scaling` operation, in real runs: what is right must pass on a busy machine, too."""

from __future__ import annotations

from typing import Any

import pytest
from asking import Asked, Asker, ok
from guest_driver import ask, run_guest

from grader.verdict import Conclusion, Finding

REFERENCE = """\
def linear(q, k, v):
    return q @ (k.T @ v) / (q @ k.sum(0))[:, None]
"""
CELL = """\
import os, threading, time, torch

# 24 MB are free inside the heap: the last of them is in use, so the system does not get them back.
held = [bytearray(60_000) for _ in range(400)]
del held[:-1]

def linear(q, k, v):
    print("working")
    return q @ (k.T @ v) / (q @ k.sum(0))[:, None]

def causal(q, k, v):
    kv, z = torch.cumsum(k[:, :, None] * v[:, None, :], 0), torch.cumsum(k, 0)
    return (q[:, None, :] @ kv)[:, 0] / (q * z).sum(1, keepdim=True)

def loop(q, k, v):
    state, z, out = torch.zeros(32, 32), torch.zeros(32), []
    for i in range(len(q)):
        state, z = state + torch.outer(k[i], v[i]), z + k[i]
        out.append(q[i] @ state / (q[i] @ z))
    return torch.stack(out)

def quadratic(q, k, v):
    return torch.softmax(q @ k.T, 1) @ v

def slow(q, k, v):
    for i in range(len(q)):
        for j in range(i):
            pass
    return v

def numpy(q, k, v):
    q, k, v = (x.numpy() for x in (q, k, v))
    return torch.from_numpy(q @ (k.T @ v) / (q @ k.sum(0))[:, None])

def threaded(q, k, v):
    thread = threading.Thread(target=slow, args=(q, k, v))
    thread.start()
    thread.join()
    return v

def hog(q, k, v):
    torch.zeros(len(q), len(q), 2)
    return v

def raises(q, k, v):
    if len(q) > 100:
        raise ValueError("too long")
    return v

def dies(q, k, v):
    if len(q) > 100:
        os.kill(os.getpid(), 9)
    return v

def sleeps(q, k, v):
    if len(q) > 100:
        time.sleep(60)
    return v

after = [1]
"""
SETTINGS: dict[str, Any] = {
    "sizes": [64, 256, 1024, 4096, 16384],
    "case": {"q": "positive(n, 32)", "k": "positive(n, 32)", "v": "normal(n, 32)"},
    "at_most": {"time": 1, "memory": 1},
    "reference": "linear",
}
NAMES: tuple[str, ...] = (
    "linear",
    "causal",
    "loop",
    "numpy",
    "quadratic",
    "slow",
    "threaded",
    "hog",
    "raises",
)
NAMES += ("dies", "sleeps")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Conclusion]:
    """What is concluded of every function of `CELL`, and what a variable holds at the end."""
    asker = Asker(tmp_path_factory.mktemp("reference"), REFERENCE)
    asked: dict[str, Asked] = {name: asker("scaling", name, **SETTINGS) for name in NAMES}
    probes = []
    for name, check in asked.items():
        request = check.requests["growth"]
        rest = {part: request[part] for part in ("sizes", "cases")}
        probes.append(ask("scaling", name, time_s=4 if name == "sleeps" else 10, **rest))
    ran = run_guest(CELL, probes=[*probes, ask("capture", "after")])
    seen = ran.seen()
    asker.context.symbolic.close()
    assert (seen["after"], ran.restarts, ran.texts) == ([1], [], [""])
    return {
        name: check.judge_replies(growth=ok(seen[name]))
        if isinstance(seen[name], dict)
        else seen[name]
        for name, check in asked.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "causal", "loop", "numpy"])
def test_linear_growth_passes(judged: dict[str, Conclusion], name: str) -> None:
    finding = judged[name]
    assert isinstance(finding, Finding)
    assert finding.credit == 1.0, finding


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quadratic", "slow", "threaded", "hog"])
def test_quadratic_growth_fails(judged: dict[str, Conclusion], name: str) -> None:
    finding = judged[name]
    assert isinstance(finding, Finding)
    assert (finding.credit, "It grows too fast: " in finding.says) == (0.0, True), finding


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", "raises raised ValueError at n = 256."),
        ("dies", "dies ended its process at n = 256."),
        ("sleeps", "Its growth could not be measured: a person looks."),
    ],
)
def test_what_breaks_off_says_where(judged: dict[str, Conclusion], name: str, says: str) -> None:
    found = judged[name]
    assert getattr(found, "says", getattr(found, "reason", "")) == says


@pytest.mark.slow
def test_a_name_that_is_not_there_is_missing() -> None:
    probe = ask("scaling", "nothing", sizes=[1, 2, 3], cases=[{}, {}, {}])
    assert run_guest("x = 1", probes=[probe]).seen() == {"nothing": ("missing", "")}


BURNING = """\
import os, subprocess, sys, threading, time

def burn(n):
    until = time.process_time() + n / 1000
    while time.process_time() < until:
        pass

def thread(n):
    one = threading.Thread(target=burn, args=(n,))
    one.start()
    one.join()

def fork(n):
    pid = os.fork()
    if not pid:
        burn(n)
        os._exit(0)
    os.waitpid(pid, 0)

def program(n):
    subprocess.run([sys.executable, "-c", f"for _ in range({n * 100_000}): pass"])

def sleep(n):
    time.sleep(n / 1000)
"""


@pytest.mark.slow
def test_time_of_threads_and_processes_counts_and_sleep_does_not() -> None:
    asked: dict[str, Any] = {"sizes": [20, 60], "cases": [{"n": 20}, {"n": 60}]}
    names = ("thread", "fork", "program", "sleep")
    ran = run_guest(BURNING, probes=[ask("scaling", name, **asked) for name in names])
    least = {"thread": 0.05, "fork": 0.05, "program": 0.02, "sleep": 0.0}
    for name, seen in ran.seen().items():
        (_, first, _), (_, second, _) = seen["measured"]
        assert second >= least[name], (name, seen)
        assert (first < 0.01) == (name == "sleep"), (name, seen)
