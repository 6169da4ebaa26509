"""The process that does mathematics on formulas of students; it may be killed at any time.

Reads one JSON object a line from standard input and answers each with one line: `{"answer": ...}`,
or `{"input_error": ...}` where the rubric's half cannot be read. Before the first it says
`{"ready": true}`. It covers time (the parent's clock, and a limit on processor time here) and
memory (Linux only); it holds no secrets and runs nothing that a student wrote.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from grader.errors import InputError
from grader.symbolic.equal import equal
from grader.symbolic.growth import growth
from grader.symbolic.tree import declare

#: Processor time for one question, in seconds; the parent's clock is meant to strike first.
_CPU_S = 20


def main(memory_mib: int) -> None:
    """Answer questions until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _limit_memory(memory_mib)
    _say({"ready": True})
    for line in sys.stdin:
        _limit_time()
        _say(answer(json.loads(line)))


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question: `op`, `seen`, `expected`, `symbols` and, for `equal`, `where`."""
    try:
        symbols = declare(question["symbols"])
        seen, expected = question["seen"], question["expected"]
        if question["op"] == "equal":
            return {"answer": equal(seen, expected, symbols, question["where"]).to_json()}
        return {"answer": growth(seen, expected, symbols).to_json()}
    except InputError as error:
        return {"input_error": str(error)}


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _limit_memory(memory_mib: int) -> None:
    if sys.platform == "linux":
        import resource  # not on Windows

        most, hard = memory_mib << 20, resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard != resource.RLIM_INFINITY:  # of the process that judges, which may start this one
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time() -> None:
    if sys.platform != "win32":
        import resource  # not on Windows

        spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + _CPU_S, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
