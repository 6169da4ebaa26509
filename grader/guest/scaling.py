"""The `scaling` operation: how much time and memory calls take at growing sizes of their input.

Measured in a forked child of the kernel, where torch and NumPy have one thread. Time is the
processor's, so that other processes hardly show in it, and the least of several runs; that of
threads and processes which a call starts and waits for counts too. Memory is what the process holds
at its peak beyond what it held before the call. A child that is killed leaves what it measured
before.

The clock is looked up when the kernel starts, so that no notebook sets another in its place. That
keeps a slip or a prank out, not an attack: the kernel is the student's, and so is this measure.

Where nothing can be forked (Windows, a GPU in use), the kernel itself measures, and time only.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import json
import math
import os
import re
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch

from .calling import describe, on_its_device

MEMORY_BYTES = 512 << 20
"""What a call may use; more ends the measurement."""
SHARE = 0.7
"""The share of a probe's time that measuring may take; then its child is killed."""
RUNS = 7
ENOUGH_S = 0.3
"""No further run of a size after so many seconds of it."""
LONG_S = 2.0
"""A run of so many seconds is the only one of its size."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
RESET_PEAK = "5"
BLAS_THREADS = [
    f"{of}openblas_set_num_threads{bits}" for of in ("", "scipy_") for bits in ("", "64_")
]
"""What OpenBLAS calls the function that sets its threads, as NumPy and SciPy bring it."""

Say = Callable[[dict[str, Any]], None]
Run = Callable[[Mapping[str, Any]], float]


def examine(owner: Any, request: Mapping[str, Any], time_s: float) -> dict[str, Any]:
    """Call at every size; see the top of this module.

    Args:
        owner: What is called, or has the method that is.
        request: `sizes`, `cases` (arguments, one a size), and perhaps `method`.
        time_s: Seconds that the whole probe may take.

    Returns:
        `measured`: for each size [size, seconds, bytes or None], as far as it came; `stopped`: why
        no further, one of "", "time", "memory", "died", "error"; `at`: the size it was at; `error`:
        what was raised, or None; `limit`: bytes that a call may use; `result`: what the first
        size gave.
    """
    until = time.monotonic() + SHARE * time_s
    first = copy.deepcopy(request["cases"][0])
    result = on_its_device(owner, lambda: first, request.get("method", ""))
    said: list[dict[str, Any]] = []
    can_fork = hasattr(os, "fork") and not _on_gpu()
    if can_fork:
        said = list(_listen(lambda say: _measure_apart(owner, request, until, say), until))
    else:
        _measure(owner, request, until, said.append, apart=False)
    last = said[-1] if said else {}
    sizes = request["sizes"]
    measured = [[one["size"], one["s"], one["bytes"]] for one in said if "s" in one]
    stopped = last.get("stopped", "time" if time.monotonic() >= until else "died")
    if len(measured) == len(sizes):
        stopped = ""
    return {
        "measured": measured,
        "stopped": stopped,
        "at": sizes[min(len(measured), len(sizes) - 1)],
        "error": last.get("error"),
        "limit": MEMORY_BYTES,
        "result": result,
    }


def _listen(work: Callable[[Say], None], until: float) -> Iterator[dict[str, Any]]:
    """Do work in a child process; yields what it says line by line, until it ends or is late."""
    readable, writable = os.pipe()
    with warnings.catch_warnings():  # of threads, which this child never uses
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        try:
            os.close(readable)
            work(lambda line: _write(writable, line))
        finally:
            os._exit(0)
    os.close(writable)
    rest = b""
    try:
        while select.select([readable], [], [], max(until - time.monotonic(), 0))[0]:
            data = os.read(readable, 1 << 16)
            *lines, rest = (rest + data).split(b"\n")
            yield from map(json.loads, lines)
            if not data:
                return
    finally:
        os.close(readable)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _write(descriptor: int, line: dict[str, Any]) -> None:
    os.write(descriptor, json.dumps(line).encode() + b"\n")


def _measure_apart(owner: Any, request: Mapping[str, Any], until: float, say: Say) -> None:
    """Measure in a process of its own: silent, with one thread and a limit to its memory."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  the process ends with it
    gc.freeze()
    _work_alone()
    _limit_memory()
    _measure(owner, request, until, say, apart=True)


def _measure(
    owner: Any, request: Mapping[str, Any], until: float, say: Say, *, apart: bool
) -> None:
    method = request.get("method", "")

    def run(case: Mapping[str, Any]) -> float:
        given = copy.deepcopy(dict(case))
        begun = _clock(apart)
        on_its_device(owner, lambda: given, method)
        return _clock(apart) - begun

    cases, sizes = request["cases"], request["sizes"]
    found: list[tuple[int, float]] = []
    try:
        run(cases[0])
        for size, case in zip(sizes, cases, strict=True):
            seconds_left = until - time.monotonic()
            if len(found) > 1 and _next(found[-2], found[-1], size) > seconds_left:
                return say({"stopped": "time"})
            seconds, used = _at_size(run, case, apart)
            found.append((size, seconds))
            say({"size": size, "s": seconds, "bytes": used})
        say({"stopped": ""})
    except BaseException as error:  # noqa: BLE001  student code may raise SystemExit and worse
        out = isinstance(error, MemoryError | torch.OutOfMemoryError)
        out = out or "allocate memory" in str(error)
        told = {key: text[:1000] for key, text in describe(error).items()}
        say({"stopped": "memory" if out else "error", "error": told})


def _at_size(run: Run, case: Mapping[str, Any], apart: bool) -> tuple[float, int | None]:
    """Seconds and bytes that a call takes; None where the system does not tell."""
    if not apart:
        return min(run(case) for _ in range(3)), None
    _give_back(at_once=True)
    cold, used = _peak(run, case)
    if cold > LONG_S:
        return cold, used
    if used is not None:  # the least of two: a library may allocate something once, and keep it
        _give_back(at_once=True)  # what the first run freed inside the heap would serve this one
        used = min(used, _peak(run, case)[1] or 0)
    _give_back(at_once=False)  # from the second run on there are no page faults then
    warm = [run(case), run(case)]
    while len(warm) < RUNS and sum(warm) < ENOUGH_S:
        warm.append(run(case))
    return min(warm), used


def _peak(run: Run, case: Mapping[str, Any]) -> tuple[float, int | None]:
    """Seconds of one run, and the bytes that it held at most."""
    held = _reset_peak()
    seconds = run(case)
    peak = _status("VmHWM")
    return seconds, max(peak - held, 0) if peak else None


def _next(before: tuple[int, float], last: tuple[int, float], size: int) -> float:
    """Seconds that a size should take, growing as between the last two, and at least linearly."""
    if min(before[1], last[1]) <= 0:
        return last[1]
    exponent = math.log(last[1] / before[1]) / math.log(last[0] / before[0])
    return float(last[1] * (size / last[0]) ** max(exponent, 1.0))


def _clock(apart: bool) -> float:
    if apart:
        import resource  # not on Windows, where nothing is measured apart

        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return process_time() + ended.ru_utime + ended.ru_stime
    if _on_gpu():
        torch.cuda.synchronize()
    return perf_counter()


def _on_gpu() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _status(field: str) -> int:
    """A number of bytes from what Linux tells of this process; 0 where it tells nothing."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M)
        return int(found[1]) * 1024 if found else 0
    return 0


def _reset_peak() -> int:
    """Forget the peak so far, where that is possible; returns the bytes held now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    return _status("VmRSS")


def _give_back(*, at_once: bool) -> None:
    """Whether memory goes back to the system as soon as it is freed, where glibc allocates."""
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 1 << 16 if at_once else 0)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 16)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 16 if at_once else 1 << 30)
        if at_once:
            libc.malloc_trim(0)


def _work_alone() -> None:
    """Leave torch and NumPy one thread: the others' busy waiting would count as work."""
    torch.set_num_threads(1)
    with contextlib.suppress(OSError):  # what this process has loaded, where Linux tells
        mapped = Path("/proc/self/maps").read_text()
        for path in set(re.findall(r"/\S*openblas\S*", mapped)):
            library = ctypes.CDLL(path)
            for name in BLAS_THREADS:
                with contextlib.suppress(AttributeError):
                    getattr(library, name)(1)


def _limit_memory() -> None:
    """Have what asks for too much memory raise, rather than be killed; where that works."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        held = _status("VmData")
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if held:
            resource.setrlimit(resource.RLIMIT_DATA, (held + MEMORY_BYTES, hard))
