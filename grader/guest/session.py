"""A conversation with one kernel: cells through nbclient, and requests of our own.

Everything a kernel says may be a student's doing, so it is read with caps and checked for its type,
and words that make no sense count as the death of the kernel.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from queue import Empty
from typing import Any, TypeVar, cast

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, DeadKernelError
from nbformat import v4

from .child import Child, reap
from .memory import oom_kills

T = TypeVar("T")

GRACE_S = 2.0
"""How long an interrupted cell may take to stop before its kernel is killed."""
MAX_MESSAGE_BYTES = 16 << 20
MAX_QUEUED_MESSAGES = 1000
RECONNECT_MS = 10
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: What malformed messages from a kernel provoke in jupyter_client and nbclient.
GARBLED = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError)


class KernelGone(Exception):
    """The kernel died, or talked so that it had to be killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a cell; `dead` says that the kernel did not survive it."""

    status: str
    wall_s: float
    dead: bool
    texts: dict[str, str]


def request(word: str, told: dict[str, Any]) -> str:
    """A request of our own, as the kernel knows it: no Python source starts like this."""
    return f"\0{word} {json.dumps(told)}"


class Transcript(NotebookClient):
    """Executes cells and keeps what they print, up to a cap; keeps no outputs and no widgets."""

    def __init__(self, client: AsyncKernelClient, gone: asyncio.Event, text_chars: int) -> None:
        """Speak through `client` to a kernel whose death sets `gone`."""
        make: Any = v4
        self.slot = make.new_code_cell()
        notebook = make.new_notebook(cells=[self.slot])
        super().__init__(notebook, allow_errors=True, timeout=None, iopub_timeout=5)
        self.kc = client
        self.gone, self.text_chars = gone, text_chars
        self.on_cell_executed = self._keep_reply
        self.clear()

    def clear(self) -> None:
        """Forget the cell before."""
        self.parts: list[str] = []
        self.room = self.text_chars
        self.reply: dict[str, Any] = {}

    async def run(self, source: str) -> None:
        """Execute one cell.

        Raises:
            DeadKernelError: the kernel died.
        """
        self.clear()
        self.slot.source = source
        await self.async_execute_cell(self.slot, 0, store_history=True)

    async def _async_poll_kernel_alive(self) -> None:
        """Give up at once when the process is dead; nbclient itself asks once a second."""
        await self.gone.wait()
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> None:
        """Keep printed and displayed text."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "status" and content.get("execution_state") == "idle":
            raise CellExecutionComplete
        if kind == "stream":
            self.add(content.get("text"))
        elif kind in ("execute_result", "display_data"):
            shown = content.get("data", {}).get("text/plain")
            self.add(f"{shown}\n" if isinstance(shown, str) else None)

    def add(self, text: Any) -> None:
        """Keep text as long as there is room, and mark where it was cut."""
        if not isinstance(text, str) or self.room < 0:
            return
        self.parts.append(text[: self.room])
        self.room -= len(text)
        if self.room < 0:
            self.parts.append(f"\n[output cut at {self.text_chars} characters]")

    def _keep_reply(self, execute_reply: Any, **_: Any) -> None:
        content = execute_reply.get("content") if isinstance(execute_reply, dict) else None
        self.reply = content if isinstance(content, dict) else {}

    def texts(self) -> dict[str, str]:
        """What the cell printed and raised, as plain strings."""
        lines = self.reply.get("traceback")
        lines = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
        said = {
            "text": "".join(self.parts),
            "ename": self.reply.get("ename"),
            "evalue": self.reply.get("evalue"),
            "code": self.reply.get("code"),
            "traceback": ANSI.sub("", "\n".join(lines))[-self.text_chars :],
        }
        limit = 2 * self.text_chars  # room for the mark after a cut
        return {key: t[:limit] for key, t in said.items() if isinstance(t, str) and t}


class Session:
    """One kernel, from its first word to its death."""

    def __init__(self, child: Child, text_chars: int) -> None:
        """Connect to a kernel that may still be booting; needs a running event loop."""
        self.child, self.text_chars = child, text_chars
        self.gone = child.watch()
        context = zmq.asyncio.Context()
        for option, value in {
            zmq.LINGER: 0,
            zmq.MAXMSGSIZE: MAX_MESSAGE_BYTES,
            zmq.RCVHWM: MAX_QUEUED_MESSAGES,
            zmq.RECONNECT_IVL: RECONNECT_MS,
        }.items():
            context.setsockopt(option, value)
        self.client = AsyncKernelClient(context=context)
        self.client.load_connection_info(cast(Any, child.connection))
        self.client.start_channels(stdin=False, hb=False, control=False)
        self.transcript = Transcript(self.client, self.gone, text_chars)
        self.kills_before = oom_kills()
        self.dying_s = 0.0

    @property
    def dead(self) -> bool:
        """Whether the process is gone."""
        return self.gone.is_set()

    async def boot(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Wait until the kernel has shown that the machine works.

        Raises:
            KernelGone: it died instead.
        """
        said = await self.ask("setup", settings)
        while True:  # printed text counts from the first cell on, so be sure to be subscribed
            try:
                await self.client.iopub_channel.get_msg(timeout=0.5)
                return said
            except Empty:
                await self.ask("setup", settings)

    async def ask(self, word: str, told: dict[str, Any]) -> dict[str, Any]:
        """Put a request of our own to the kernel.

        Raises:
            KernelGone: it died, or answered nonsense.
        """
        message = self.client.execute(
            request(word, told), silent=True, store_history=False, allow_stdin=False
        )
        answer = asyncio.ensure_future(self._reply(message))
        death = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait({answer, death}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise KernelGone("the kernel died before it answered")
        except GARBLED as error:
            self.child.kill()
            raise KernelGone("the kernel's answer made no sense") from error
        finally:
            answer.cancel()
            death.cancel()

    async def _reply(self, message: Any) -> dict[str, Any]:
        while True:
            reply = await self.client.shell_channel.get_msg(timeout=None)
            if reply["parent_header"].get("msg_id") == message:
                return dict(reply["content"]["said"])

    async def bounded(self, work: Coroutine[Any, Any, T], limit_s: float) -> tuple[bool, T | None]:
        """Wait for work on the kernel; at its limit interrupt it, then kill the kernel.

        Returns:
            Whether the limit was reached, and the result if there is one.
        """
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=max(limit_s, 0.0))
        late = not done
        if late:
            self.child.interrupt()
            done, _ = await asyncio.wait({task}, timeout=GRACE_S)
        if not done:
            killed = time.monotonic()
            self.child.kill()
            await self.gone.wait()
            self.dying_s = time.monotonic() - killed
            await asyncio.wait({task}, timeout=GRACE_S)
        try:
            return late, task.result() if task.done() else None
        except (KernelGone, DeadKernelError):
            await self.gone.wait()
        except GARBLED:
            self.child.kill()
            await self.gone.wait()
        finally:
            task.cancel()
            reap(self.child.process.pid)
        return late, None

    async def run_cell(self, source: str, limit_s: float) -> Outcome:
        """Run one cell within its limit, in seconds."""
        begun = time.monotonic()
        late, _ = await self.bounded(self.transcript.run(source), limit_s)
        reply_status = self.transcript.reply.get("status", "ok")
        status = "ok" if reply_status == "ok" else "error"
        if late:
            status = "timeout"
        elif self.dead:
            status = self.cause_of_death()
        return Outcome(
            status=status,
            wall_s=round(time.monotonic() - begun, 3),
            dead=self.dead,
            texts=self.transcript.texts(),
        )

    def cause_of_death(self) -> str:
        """`memory` if it was killed for that, else `died`."""
        starved = self.child.killed_for_memory or oom_kills() > self.kills_before
        return "memory" if starved else "died"

    def close(self) -> None:
        """Kill the kernel and let go of everything that belonged to it."""
        self.child.kill()
        self.client.shell_channel.close()
        self.client.iopub_channel.close()
        self.child.clean()
