"""Questions about formulas, put to a process that can be killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from grader.child import Child, needed_environment
from grader.errors import Fault, InputError
from grader.known import NOTHING, Known
from grader.symbolic.answer import Equality, Verdict, not_read
from grader.symbolic.bounds import MAX_LENGTH
from grader.symbolic.parse import parse
from grader.symbolic.tree import Expression, Unreadable, declare

_START_S = 60.0
MOST_DECIDED = 10_000
"""How many decisions are kept, so that memory stays flat however many students there are."""
MOST_READ = 1000
"""How many formulas are kept as they were read; one takes 50 KiB at most."""


class Symbolic:
    """Compares formulas; safe to use from several threads, which then take turns.

    The process starts with the first question and anew after it was killed. Use it in a `with`
    block, or `close` it.
    """

    def __init__(
        self, known: Known = NOTHING, *, wall_s: float = 2.0, memory_mib: int = 2048
    ) -> None:
        """Set the limits of one question.

        Args:
            known: What was decided before; what is decided now is kept there when this closes.
            wall_s: After so many seconds without an answer the process is killed.
            memory_mib: Address space of the process; held on Linux only.
        """
        self.known = known
        self._wall_s = wall_s
        self._memory_mib = memory_mib
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._decided: dict[str, Equality] = {}
        self._read = lru_cache(MOST_READ)(_parsed)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the process."""
        self.close()

    def close(self) -> None:
        """Stop the process; a later question starts another."""
        self.known.close()
        with self._lock:
            self._stop()

    def read(
        self, text: str, symbols: Mapping[str, str], *, growth: bool = False
    ) -> Expression | Unreadable:
        """Read a formula, in this process; see `grader.symbolic.parse`."""
        declared = tuple(symbols.items())
        if len(text) > MAX_LENGTH:  # refused unread, and too long to be kept
            return _parsed(text, declared, growth)
        return self._read(text, declared, growth)

    def check_conditions(
        self, where: Sequence[str], formula: str, symbols: Mapping[str, str]
    ) -> None:
        """Make sure, in this process, that enough points fulfil what a question presumes.

        Raises:
            InputError: A condition cannot be read, or no formulas could be told apart under it.
        """
        from grader.symbolic.points import check_conditions  # mpmath: only for rubrics

        check_conditions(where, formula, declare(symbols))

    def equal(
        self, seen: str, expected: str, symbols: Mapping[str, str], *, where: Sequence[str] = ()
    ) -> Equality:
        """Whether two formulas are equal as mathematics; see `grader.symbolic.equal`.

        Raises:
            InputError: The rubric's half cannot be read.
            Fault: The process cannot be started.
        """
        read = self.read(seen, symbols)
        if isinstance(read, Unreadable):
            return not_read(read)
        question = {"op": "equal", "seen": seen, "expected": expected, "where": list(where)}
        return self._ask({**question, "symbols": dict(symbols)})

    def growth(
        self, seen: str, expected: str | Sequence[str], symbols: Mapping[str, str]
    ) -> Equality:
        """Whether a formula grows like one of the expected; see `grader.symbolic.growth`.

        Raises:
            InputError: The rubric's half cannot be read.
            Fault: The process cannot be started.
        """
        read = self.read(seen, symbols, growth=True)
        if isinstance(read, Unreadable):
            return not_read(read)
        several = [expected] if isinstance(expected, str) else list(expected)
        question = {"op": "growth", "seen": seen, "expected": several, "symbols": dict(symbols)}
        return self._ask(question)

    def _ask(self, question: dict[str, Any]) -> Equality:
        """Ask once; a class writes the same few formulas many times, so decisions are kept."""
        asked = json.dumps(question, sort_keys=True)
        if asked in self._decided:
            return self._decided[asked]
        key = self.known.key(b"formula", asked.encode()) if self.known.remembers else b""
        kept = self.known.get(key)
        answer = Equality.from_json(json.loads(kept)) if kept else self._ask_worker(question)
        if answer.verdict is not Verdict.UNDECIDED:
            if not kept:
                self.known.put(key, json.dumps(answer.to_json()).encode())
            if len(self._decided) < MOST_DECIDED:
                self._decided[asked] = answer
        return answer

    def _ask_worker(self, question: dict[str, Any]) -> Equality:
        with self._lock:
            if self._worker is None or not self._worker.alive:
                self._stop()
                self._worker = _Worker(self._memory_mib)
            reply = None
            try:
                reply = self._worker.ask(question, self._wall_s)
            finally:
                # Also after Ctrl-C: a late answer must not be taken for the next one's.
                if reply is None:
                    self._stop()
        if reply is None:
            says = "Comparing the formula took too much time or memory."
            return Equality(verdict=Verdict.UNDECIDED, says=says)
        if "input_error" in reply:
            raise InputError(reply["input_error"])
        return Equality.from_json(reply["answer"])

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def _parsed(
    text: str, symbols: tuple[tuple[str, str], ...], growth: bool
) -> Expression | Unreadable:
    return parse(text, declare(dict(symbols)), growth=growth)


class _Worker:
    """One process that compares formulas."""

    def __init__(self, memory_mib: int) -> None:
        self._child = Child(
            "grader.symbolic.worker", str(memory_mib), environment=needed_environment()
        )
        if not self._child.hear(_START_S):
            told = self._child.complaint
            self.stop()
            raise Fault(f"the process that compares formulas did not start: {told}")

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._child.alive

    def ask(self, question: dict[str, Any], wall_s: float) -> dict[str, Any] | None:
        """The answer, or None if none came in time."""
        line = self._child.hear(wall_s) if self._child.tell(json.dumps(question)) else None
        # An empty line is the end: the process died.
        reply: dict[str, Any] | None = json.loads(line) if line else None
        return reply

    def stop(self) -> None:
        """Kill the process and close what belonged to it."""
        self._child.stop()
