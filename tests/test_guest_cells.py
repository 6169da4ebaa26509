"""The guest runs a notebook: cell by cell, within its limits, whatever the cells do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from guest_driver import MAIN, ask, capture, run_guest, tensor

from grader.values import Tensor

UNSTOPPABLE = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"


@pytest.mark.slow
def test_a_good_notebook_runs_and_answers(tmp_path: Path) -> None:
    ran = run_guest(
        "import torch\nx = torch.arange(6).reshape(2, 3)\nprint('shape', tuple(x.shape))\nx.sum()",
        "# nothing but a comment",
        "",
        "def f(a, b=2):\n    return a * b + x.sum()",
        probes=[*capture("x", "y"), ask("call", "f", args={"a": tensor([1, 2])})],
        cwd=tmp_path,
    )
    assert (ran.exit_code, ran.end["ending"]) == (0, "complete"), ran.log
    assert ran.kinds == ["ready", *["cell"] * 4, *["probe"] * 3, "end"]
    assert ran.statuses == ["ok"] * 4
    assert ran.texts[0] == "shape (2, 3)\ntensor(15)\n"
    assert ran.seen() == {
        "x": Tensor(tensor([[0, 1, 2], [3, 4, 5]], "int64").array, "int64", "torch"),
        "y": ("missing", ""),
        "f": tensor([17, 19]),
    }
    ready = ran.frames[0].header
    assert (ready["gpu"], ready["cpus"]) == (None, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_failing_cell_does_not_stop_the_next() -> None:
    ran = run_guest("a = 1", "print('before')\na / 0", "b = 2", "input('name? ')", "(", "c = 3")
    assert ran.statuses == ["ok", "error", "ok", "error", "error", "ok"]
    said = [receipt.raised for receipt in ran.receipts]
    assert said[1] is not None
    assert str(said[1]) == "ZeroDivisionError: division by zero"
    assert said[3] is not None
    assert said[3].ename == "StdinNotImplementedError"
    assert said[4] is not None
    assert said[4].ename == "SyntaxError"
    assert "\x1b" not in said[1].where
    assert "a / 0" in said[1].where
    assert ran.texts[1] == "before\n"
    assert ran.end["ending"] == "complete"


@pytest.mark.slow
def test_an_endless_cell_is_interrupted_and_the_rest_runs_in_the_same_kernel() -> None:
    ran = run_guest(
        "a = 1", "while True: pass", "import time\ntime.sleep(60)", "a += 1", probes=capture("a"),
        cell_s=1,
    )  # fmt: skip
    assert ran.attempts == [(0, 1, "ok"), (1, 1, "timeout"), (2, 1, "timeout"), (3, 1, "ok")]
    assert ran.restarts == []
    assert ran.seen() == {"a": 2}
    assert ran.end["ending"] == "time_limit"


@pytest.mark.slow
def test_a_cell_that_refuses_to_stop_costs_the_kernel_which_starts_again_without_it() -> None:
    ran = run_guest("a = 1", "1/0", UNSTOPPABLE, "a += 1", probes=capture("a"), cell_s=1)
    assert ran.attempts == [
        (0, 1, "ok"),
        (1, 1, "error"),
        (2, 1, "timeout"),
        (0, 2, "ok"),
        (1, 2, "error"),
        (3, 1, "ok"),
    ]
    assert ran.restarts == [{"reason": "timeout", "phase": "cells", "without": [2]}]
    assert ran.seen() == {"a": 2}
    assert ran.end["ending"] == "time_limit"


@pytest.mark.slow
@pytest.mark.parametrize(
    "death",
    [
        "import os; os._exit(0)",
        "import ctypes; ctypes.string_at(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    ],
    ids=["os._exit", "segfault", "SIGKILL"],
)
def test_a_kernel_that_dies_is_started_again_once_without_the_cell(death: str) -> None:
    begun = time.monotonic()
    ran = run_guest("a = 1", f"print('last words', flush=True)\n{death}", "a += 1",
                    probes=capture("a"))  # fmt: skip
    assert ran.attempts == [(0, 1, "ok"), (1, 1, "died"), (0, 2, "ok"), (2, 1, "ok")]
    assert ran.restarts == [{"reason": "died", "phase": "cells", "without": [1]}]
    assert ran.seen() == {"a": 2}
    assert ran.end["ending"] == "kernel_died"
    assert time.monotonic() - begun < 60  # a busy machine needs 20


@pytest.mark.slow
def test_asking_the_shell_to_exit_is_not_heard() -> None:
    ran = run_guest(
        "ip = get_ipython()\na = 1\nexit()\na += 1",
        "quit",
        "ip.ask_exit(); ip.exit_now = True; ip.kernel.do_shutdown(True)",
        "import time\ntime.sleep(.4)\ndef stop():\n    exit()\n    time.sleep(.4)\n    return a",
        probes=[ask("call", "stop", args={}), *capture("a")],
    )
    assert (ran.statuses, ran.restarts) == (["ok"] * 4, [])
    assert (ran.seen(), ran.end["ending"]) == ({"stop": 2, "a": 2}, "complete")


@pytest.mark.slow
def test_after_a_second_death_the_rest_is_skipped_and_what_ran_before_is_still_asked() -> None:
    die = "import os; os._exit(3)"
    ran = run_guest("a = 1", die, "b = 2", die, "c = 3", probes=capture("a", "b", "c"))
    assert ran.attempts[1:2] + ran.attempts[-3:] == [
        (1, 1, "died"), (2, 1, "ok"), (3, 1, "died"), (4, 1, "skipped"),
    ]  # fmt: skip
    assert ran.restarts == [
        {"reason": "died", "phase": "cells", "without": [1]},
        {"reason": "died", "phase": "probes", "without": [1, 3]},
    ]
    assert ran.seen() == {"a": 1, "b": 2, "c": ("missing", "")}


@pytest.mark.slow
def test_the_total_time_ends_everything_and_says_what_was_skipped() -> None:
    ran = run_guest(
        "a = 1", "import time\ntime.sleep(60)", "b = 2", probes=capture("a"), total_s=2, cell_s=30
    )
    assert ran.statuses == ["ok", "timeout", "skipped"]
    assert ran.seen() == {"a": ("skipped", "")}
    assert ran.end["ending"] == "time_limit"
    assert 2 <= ran.end["student_s"] < 6


@pytest.mark.slow
def test_the_time_of_a_restart_is_not_the_students() -> None:
    ran = run_guest("a = 1", "import os\nos._exit(0)", probes=capture("a"), total_s=0.5)
    assert (ran.statuses, ran.seen()) == (["ok", "died"], {"a": 1})
    assert ran.end["student_s"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "flood",
    [
        "for _ in range(200): print('x' * 1_000_000)",
        "print('x' * 200_000_000)",
        "import os\nfor _ in range(200): os.write(1, b'x' * 1_000_000)",
        "from IPython.display import display\nfor _ in range(20): display('x' * 10_000_000)",
        "!head -c 20000000 /dev/zero | tr '\\0' x",
    ],
    ids=["many prints", "one print", "descriptor", "display", "shell"],
)
def test_a_flood_of_output_is_cut_and_the_run_goes_on(flood: str) -> None:
    ran = run_guest(flood, "print('after')", probes=capture("flood"))
    assert ran.statuses == ["ok", "ok"], ran.log
    assert ran.texts[0].startswith("x" * 60_000) or ran.texts[0].startswith("'xxx")
    assert ran.texts[0].endswith("[output cut at 65536 characters]")
    assert len(ran.texts[0]) < 66_000
    assert ran.texts[1] == "after\n"
    assert ran.end["student_s"] < 20


@pytest.mark.slow
def test_an_exception_with_a_huge_message_is_cut() -> None:
    ran = run_guest("raise ValueError('x' * 100_000_000)", "print('after')")
    assert ran.statuses == ["error", "ok"]
    assert len(ran.frames[1].payload) < 200_000
    assert ran.texts[1] == "after\n"


@pytest.mark.slow
def test_only_the_text_of_what_is_displayed_is_kept() -> None:
    ran = run_guest(
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\n"
        "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\nfig"
    )
    assert ran.statuses == ["ok"]
    assert ran.texts[0].splitlines()[0] == "<IPython.core.display.HTML object>"
    assert len(ran.frames[1].payload) < 500


@pytest.mark.slow
def test_the_students_files_are_importable_and_ours_are_not(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("value = 41")
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "torch.py").write_text("raise SystemExit('shadowed')")
    ran = run_guest(
        "import mine\na = mine.value + 1",
        "import sys\npath = list(sys.path)\nours = [p for p in path if 'guest' in p]",
        "import wire",
        "import runner",
        probes=capture("a", "ours"),
        cwd=tmp_path,
    )
    assert ran.statuses == ["ok", "ok", "error", "error"]
    assert ran.seen() == {"a": 42, "ours": []}


@pytest.mark.slow
def test_random_numbers_are_the_same_in_every_run() -> None:
    cells = (
        "import random, torch, numpy as np",
        "r = [random.random(), float(np.random.rand()), float(torch.rand(1)), hash('x')]",
    )
    assert (
        run_guest(*cells, probes=capture("r")).seen()
        == run_guest(*cells, probes=capture("r")).seen()
    )


@pytest.mark.slow
def test_memory_beyond_the_limit_ends_the_kernel_and_is_named() -> None:
    ran = run_guest(
        "a = 1",
        "import time\nhog = []\n"
        "while True:\n    hog.append(bytearray(50_000_000))\n    time.sleep(.02)",
        "b = 2",
        probes=capture("a", "b", "hog"),
        watch_memory=True,
        memory_mib=1200,
    )
    assert ran.attempts == [(0, 1, "ok"), (1, 1, "memory"), (0, 2, "ok"), (2, 1, "ok")]
    assert ran.restarts == [{"reason": "memory", "phase": "cells", "without": [1]}]
    assert ran.seen() == {"a": 1, "b": 2, "hog": ("missing", "")}
    assert ran.end["ending"] == "memory_limit"
    assert 1200 < ran.end["peak_mib"] < 4000


@pytest.mark.slow
def test_progress_bars_count_in_text_where_there_are_no_widgets() -> None:
    pytest.importorskip("tqdm")
    ran = run_guest(
        "from tqdm.auto import tqdm, trange",
        "a = sum(tqdm([1, 2], desc='epochs')) + sum(trange(3))",
        probes=capture("a"),
    )
    assert (ran.statuses, ran.seen()) == (["ok", "ok"], {"a": 6})
    assert "epochs: 100%" in ran.texts[1]


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead may wait for the system to note it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="daemons by fork")
def test_nothing_a_student_started_outlives_the_run() -> None:
    ran = run_guest(
        "import subprocess, os\n"
        "p = [subprocess.Popen(['sleep', '600'], start_new_session=True).pid]\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.write(w, str(os.getpid()).encode())\n"
        "        os.execvp('sleep', ['sleep', '600'])\n"
        "    os._exit(0)\n"
        "p.append(int(os.read(r, 20)))",
        probes=capture("p"),
    )
    pids = ran.seen()["p"]
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in pids if lives(pid)] == []


@pytest.mark.slow
def test_messages_that_a_kernel_forges_cost_only_its_own_student() -> None:
    ran = run_guest(
        "import zmq\n"
        "k = get_ipython().kernel\n"
        "k.iopub_thread.schedule(lambda: k.iopub_thread.socket.send_multipart([b'x', b'y']))\n"
        "import time; time.sleep(.5)",
        "a = 1",
        probes=capture("a"),
    )
    assert ran.exit_code == 0, ran.log
    assert ran.statuses[0] == "died"
    assert ran.seen() == {"a": 1}


@pytest.mark.slow
def test_cudas_number_of_an_error_is_in_the_receipt_of_its_cell_alone() -> None:
    ran = run_guest(
        "import torch\nmade = torch.AcceleratorError()\nmade.error_code = 719\nraise made",
        "raise RuntimeError('plain')",
        "a = 1",
    )
    raised = [cell.raised for cell in ran.receipts]
    assert [one and (one.ename, one.code) for one in raised] == [
        ("AcceleratorError", "719"),
        ("RuntimeError", ""),
        None,
    ]


@pytest.mark.slow
def test_a_gpu_that_is_asked_for_and_not_there_is_a_fault_of_the_machine() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    ran = run_guest("a = 1", gpu=True)
    assert (ran.exit_code, ran.frames) == (3, [])
    assert ran.log.strip() == "guest: the plan asks for a GPU, and torch finds none"


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (b"short", "guest: the box is cut short: expected 32 more bytes, found 5"),
        (
            bytes(32) + (15).to_bytes(8, "big") + json.dumps({"protocol": 2}).encode()
            + (0).to_bytes(8, "big"),
            "guest: expected protocol 1, found 2",
        ),
    ],
    ids=["cut short", "other protocol"],
)  # fmt: skip
def test_a_box_that_cannot_be_read_is_refused_in_one_line(box: bytes, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-P", str(MAIN)], input=box, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().strip() == said


@pytest.mark.slow
def test_a_kernel_starts_again_although_the_temporary_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private-tmp"
    private.mkdir()
    monkeypatch.setenv("TMPDIR", str(private))
    spoil = (
        "import os, shutil, tempfile\n"
        "gone = tempfile.gettempdir()\n"
        "assert gone.endswith('private-tmp')\n"
        "shutil.rmtree(gone)\n"
        "os._exit(1)"
    )
    ran = run_guest("a = 1", spoil, "b = 2", probes=capture("a", "b"))
    assert ran.statuses == ["ok", "died", "ok"]
    assert ran.seen() == {"a": 1, "b": 2}
    assert ran.end["ending"] == "kernel_died"
