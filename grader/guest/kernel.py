"""The student's kernel: torch is imported before their code, then it serves Jupyter messages.

It differs from a plain ipykernel where a grader needs it to: printed text is capped where it is
made, outputs are text only, nothing is read from or written to a history, and requests of our own
(`setup`, `probe`) come in as execute requests that start with a byte no Python source can hold, so
that no hook, transformer or history of the student's shell sees them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import platform
import signal
import sys
from collections import ChainMap
from pathlib import Path
from typing import Any

gc.disable()  # a tenth of the time it takes to import torch is spent looking for garbage

import torch  # noqa: E402
from ipykernel.iostream import OutStream  # noqa: E402
from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402
from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQInteractiveShell  # noqa: E402
from IPython.core.formatters import PlainTextFormatter  # noqa: E402
from traitlets import Type, observe  # noqa: E402
from traitlets.config import Config  # noqa: E402

from .calling import code_of, seed_all  # noqa: E402
from .figures import NAME as FIGURES  # noqa: E402
from .figures import Gallery  # noqa: E402
from .module import load  # noqa: E402
from .probe import answer  # noqa: E402

OURS = "\0"
PR_SET_PDEATHSIG = 1
MAX_TRACEBACK_LINES = 200
MAX_ERROR_CHARS = 8192
OF_CUDA_MIB = 512
"""GPU memory that CUDA itself takes beside what is asked of torch; a guess on the safe side."""


class CappedStream(OutStream):
    """Standard output or error of the kernel that stops collecting at a cap for each cell."""

    cap_chars = 1 << 16
    _cell: Any = None
    _used = 0

    def write(self, string: str) -> int:
        """Pass on what is below the cap, drop the rest; the caller sees no difference."""
        cell = self.parent_header.get("msg_id")
        if cell != self._cell:
            self._cell, self._used = cell, 0
        room = self.cap_chars - self._used
        if not isinstance(string, str) or len(string) <= room:
            super().write(string)  # refuses what is no string
            self._used += len(string)
            return len(string)
        if room > 0:
            self._used = self.cap_chars
            super().write(string[:room])
        return len(string)

    def _watch_pipe_fd(self) -> None:
        """Read what child processes and C code print, in larger pieces and without an echo."""
        if self._fid is None:
            return
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closing down
            while self._should_watch and (data := os.read(self._fid, 1 << 16)):
                self.write(data.decode(errors="replace"))


class TextPublisher(ZMQDisplayPublisher):
    """Publishes the text of what is displayed, capped; pictures and HTML are not graded."""

    def publish(self, data: Any, metadata: Any = None, source: Any = None, **rest: Any) -> None:
        """Publish `text/plain` only."""
        base: Any = super()
        text = data.get("text/plain") if isinstance(data, dict) else None
        if isinstance(text, str):
            text = text[: CappedStream.cap_chars]
            base.publish({"text/plain": text}, {}, **rest)


class TextFormatter(PlainTextFormatter):
    """Says what is displayed in words; figures are read on the way, before they are closed."""

    gallery: Gallery

    def __call__(self, obj: Any) -> Any:
        """Returns the text of an object."""
        self.gallery.notice(obj)
        base: Any = super()
        return base.__call__(obj)


class Shell(ZMQInteractiveShell):
    """A shell that serves until it is killed, and whose tracebacks stay small.

    `exit()` and `quit()` would stop the kernel a little later, and so in the middle of a probe.
    """

    raised_code = ""
    """CUDA's number of the error that was shown last, if it had one."""

    def ask_exit(self) -> None:
        """Do nothing; the rest of the cell runs, as it does in any notebook."""

    @observe("exit_now")
    def _update_exit_now(self, change: Any) -> None:
        """Do not stop serving messages."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.raised_code = code_of(evalue)
        base: Any = super()
        base._showtraceback(etype, cut(str(evalue)), shorten(stb))


class Kernel(IPythonKernel):
    """A kernel that also answers requests of our own."""

    shell_class = Type(Shell)
    gallery: Gallery

    async def do_execute(self, code: str, *rest: Any, **named: Any) -> dict[str, Any]:
        """Run a cell, or answer a request of our own: a word and its JSON after `OURS`."""
        if code.startswith(OURS):
            return self._answer(code[len(OURS) :])
        base: Any = super()
        shell: Any = self.shell
        shell.raised_code = ""
        reply: dict[str, Any] = await base.do_execute(code, *rest, **named)
        return shortened({**reply, "code": shell.raised_code})

    def _answer(self, request: str) -> dict[str, Any]:
        word, _, text = request.partition(" ")
        told = json.loads(text)
        shell: Any = self.shell
        said: dict[str, Any] = {}
        became = {"status": "ok"}
        if word == "setup":
            said = setup(told)
        elif word == "module":
            became = shortened(load(namespace=shell.user_ns, **told))
        else:
            answer(ChainMap(shell.user_ns, {FIGURES: self.gallery.everything}), **told)
        empty = {"execution_count": 0, "payload": [], "user_expressions": {}}
        return {**became, **empty, "said": said}


class App(IPKernelApp):
    """Starts the kernel without reading anybody's settings."""

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Read no settings files: neither the image's nor the student's count."""


def cut(text: str) -> str:
    """Shorten what an exception says."""
    return text if len(text) <= MAX_ERROR_CHARS else text[:MAX_ERROR_CHARS] + "…"


def shorten(lines: list[str]) -> list[str]:
    """Shorten a traceback to its end, where the reason stands."""
    return [cut(line) for line in lines[-MAX_TRACEBACK_LINES:]]


def shortened(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply whose error, if it tells of one, has a bounded length."""
    if reply.get("status") == "error":
        reply["evalue"] = cut(str(reply.get("evalue", "")))
        reply["traceback"] = shorten(reply.get("traceback") or [])
    return reply


def setup(told: dict[str, Any]) -> dict[str, Any]:
    """Prepare the pristine kernel and show that the machine works, before any student code.

    Args:
        told: `seed`, `threads`, `gpu`, `gpu_mib`, `text_chars`, and `lib`: a folder of packages
            that stand in where nothing of their name is installed, or nothing.

    Returns:
        `torch`, `python`, `gpu` (its name or None), or `problem` when the machine does not do, with
        `gpu_failed`: whether there is a GPU, and it is what failed.
    """
    torch.set_num_threads(told["threads"])
    if told["lib"] and told["lib"] not in sys.path:
        sys.path.append(told["lib"])
    CappedStream.cap_chars = told["text_chars"] + 1  # one more than is kept, so that a cut shows
    if told["gpu"] and not torch.cuda.is_available():
        return {"problem": "the plan asks for a GPU, and torch finds none"}
    device = torch.device("cuda" if told["gpu"] else "cpu")
    failed = {"gpu_failed": told["gpu"]}
    try:
        if told["gpu"] and told["gpu_mib"]:
            cap_gpu_memory(told["gpu_mib"])
        ones = torch.ones(8, 8, device=device)
        product = float((ones @ ones).sum())
    except RuntimeError as error:
        return {"problem": f"a matrix product failed on {device}: {error}", **failed}
    if product != 512.0:
        return {"problem": f"a matrix product on {device} gave {product}, expected 512", **failed}
    name = torch.cuda.get_device_name() if told["gpu"] else None
    seed_all(told["seed"])
    return {"torch": str(torch.__version__), "python": platform.python_version(), "gpu": name}


def cap_gpu_memory(memory_mib: int) -> None:
    """Cap what torch takes of the GPU's memory; a notebook that works against it can lift the cap.

    Args:
        memory_mib: What a submission may use, CUDA's own part included.
    """
    _, total = torch.cuda.mem_get_info()
    share = max(memory_mib - OF_CUDA_MIB, 1) * 2**20 / total
    torch.cuda.set_per_process_memory_fraction(min(share, 1.0))


def behave_as_child() -> None:
    """Undo what this process inherited from the first one, and die before and with it."""
    if sys.platform == "win32":
        return
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):  # when memory runs out, the kernel goes, not the guest
            Path("/proc/self/oom_score_adj").write_text("1000")


def main(folder: Path) -> None:
    """Serve the connection file of a private folder until killed."""
    behave_as_child()
    file = str(folder / "kernel.json")
    sys.argv = ["ipykernel_launcher.py", "-f", file]  # what notebooks see that parse arguments
    settings = Config()
    settings.HistoryManager.enabled = False
    settings.ZMQInteractiveShell.display_pub_class = f"{__name__}.TextPublisher"
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    # Each cell begins with a new figure, as it does where notebooks are written.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    app: Any = App.instance(
        config=settings,
        connection_file=file,
        kernel_class=Kernel,
        outstream_class=f"{__name__}.CappedStream",
    )
    app.initialize([])
    app.shell.display_formatter.active_types = ["text/plain"]
    app.kernel.gallery = Gallery()
    app.kernel.gallery.watch()
    words = TextFormatter(parent=app.shell.display_formatter)
    words.gallery = app.kernel.gallery
    app.shell.display_formatter.formatters["text/plain"] = words
    gc.freeze()  # what is imported stays; looking at it again and again is waste
    gc.enable()
    app.start()
