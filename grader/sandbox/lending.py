"""GPUs lent to submissions that run at the same time, and looked at when they come back.

<course>/.grader/gpus/<UUID>     why a GPU is quarantined; one whose file is removed is lent again
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from grader.errors import InputError, SandboxFault
from grader.gpus import Device, Need, Slots

GRACE_S = 10.0
"""How long a GPU may take to free the memory of processes that have ended."""
LOOK_S = 0.2
SLACK_MIB = 64
"""Memory that a driver may keep for itself once a GPU has been used; our own judgement."""
FOREIGN_MIB = 256
"""From so much on, what is missing of a promise is held by other programs; our own judgement."""


class Meter(Protocol):
    """What is measured on a GPU; NVML is one."""

    def used_mib(self, device: Device) -> int:
        """Memory in use, by whomever; raises `SandboxFault` if the GPU does not answer."""
        ...

    def lost_bits(self, device: Device) -> int:
        """Errors of its memory that could not be corrected; raises likewise."""
        ...


@dataclass(slots=True)
class Loan:
    """A GPU in the hands of one submission."""

    device: Device
    need: Need
    ticket: int
    suspect: bool = False
    """Set by the borrower: something went wrong that may be the GPU's doing."""
    broken: str = ""
    """Set by the borrower: why nobody may have it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """How a GPU was before anybody of ours used it."""

    used_mib: int
    lost_bits: int


@dataclass(slots=True)
class Gpus:
    """Lends GPUs to threads, first come, first served.

    Args:
        devices: Those that may be lent.
        meter: Measures them.
        folder: Where quarantine is written down.
        say: Gets a line when a GPU is quarantined.
        grace_s: How long a GPU may take to free memory.
    """

    devices: Sequence[Device]
    meter: Meter
    folder: Path
    say: Callable[[str], None] = lambda line: None
    grace_s: float = GRACE_S
    _slots: Slots = field(init=False)
    _before: dict[str, _Before] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def __post_init__(self) -> None:
        """Lend nothing that was quarantined earlier."""
        self._slots = Slots(self.devices)
        for device in self.devices:
            if why := quarantined(self.folder).get(device.id):
                self._slots.quarantine(device, why)

    def why_never(self, need: Need) -> str:
        """Why no GPU can serve this need; empty if one can in time."""
        with self._changed:
            return self._slots.why_never(need)

    @contextlib.contextmanager
    def lend(self, need: Need) -> Iterator[Loan]:
        """Wait for a GPU and lend it for the time of the block, however that ends.

        Raises:
            SandboxFault: none will ever do, or `close` was called.
        """
        loan = self._borrow(need)
        try:
            yield loan
        finally:
            self._take_back(loan)

    def crowded(self, loan: Loan) -> bool:
        """Whether others may have had memory that was promised to this loan.

        Either submissions that share the GPU, at any moment of it; or programs that we know nothing
        of, if they came after we first looked at the GPU and before it was lent.
        """
        left_mib = loan.device.memory_mib - self._before[loan.device.id].used_mib
        promised_mib = loan.need.memory_mib or loan.device.free_mib
        with self._changed:
            beside = self._slots.beside_others(loan.ticket)
        return beside or promised_mib - left_mib > FOREIGN_MIB

    def failure(self, loan: Loan) -> str:
        """What went wrong with a GPU while it was lent, as it says itself; empty if nothing."""
        before = self._before[loan.device.id]
        try:
            if self.meter.lost_bits(loan.device) > before.lost_bits:
                return "its memory had an error that could not be corrected"
        except SandboxFault as fault:
            return str(fault)
        return ""

    def close(self) -> None:
        """Send everybody away who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _borrow(self, need: Need) -> Loan:
        with self._changed:
            ticket = self._slots.ask(need)
            try:
                while True:
                    if self._closed:
                        raise SandboxFault("the sandbox is closed")
                    if why := self._slots.why_never(need):
                        raise SandboxFault(why)
                    device = self._slots.turn(ticket)
                    if device is not None:
                        break
                    self._changed.wait()
            except BaseException:
                self._slots.forget(ticket)
                self._changed.notify_all()
                raise
            self._changed.notify_all()  # whoever is first in line now may fit as well
        loan = Loan(device, need, ticket)
        try:
            self._note_before(device)
        except SandboxFault as error:  # it has stopped answering since it was listed
            loan.broken = str(error)
            self._take_back(loan)
            return self._borrow(need)
        except BaseException:
            self._take_back(loan)
            raise
        return loan

    def _note_before(self, device: Device) -> None:
        """Measure a GPU that nobody of ours uses yet; the first borrower finds it so."""
        if device.id not in self._before:
            used_mib, lost_bits = self.meter.used_mib(device), self.meter.lost_bits(device)
            self._before[device.id] = _Before(used_mib=used_mib, lost_bits=lost_bits)

    def _take_back(self, loan: Loan) -> None:
        """End a loan; once a GPU is empty, see that its memory is as free as before."""
        device, why = loan.device, loan.broken
        with self._changed:
            emptied = self._slots.give_back(loan.ticket, suspect=loan.suspect)
            self._changed.notify_all()
        try:
            if emptied and not why:
                why = self._kept_memory(device)
        finally:
            with self._changed:
                if emptied:
                    self._before.pop(device.id, None)
                    self._slots.settled(device)
                if why:
                    self._slots.quarantine(device, why)
                self._changed.notify_all()
        if why:
            self._write_down(device, why)

    def _kept_memory(self, device: Device) -> str:
        """Wait until an empty GPU has freed its memory; say how much it keeps if it does not."""
        before, until = self._before.get(device.id), time.monotonic() + self.grace_s
        if before is None:  # nobody came to use it
            return ""
        try:
            while (kept_mib := self.meter.used_mib(device) - before.used_mib) > SLACK_MIB:
                if time.monotonic() > until:
                    return f"it keeps {kept_mib} MiB of memory after a submission has ended"
                time.sleep(LOOK_S)
        except SandboxFault as fault:
            return str(fault)
        return ""

    def _write_down(self, device: Device, why: str) -> None:
        self.say(f"{device} is quarantined, no submission gets it any more: {why}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / device.id).write_text(why + "\n", encoding="utf-8")
        except OSError as error:
            self.say(f"and a later run will not know: {error}")


def quarantined(folder: Path) -> dict[str, str]:
    """Why GPUs are quarantined, by their ids."""
    if not folder.is_dir():
        return {}
    return {file.name: file.read_text(encoding="utf-8").strip() for file in folder.iterdir()}


def chosen(wish: str, count: int) -> tuple[int, ...]:
    """The numbers of the GPUs that `--gpus` names.

    Args:
        wish: all, or numbers such as `0,1`.
        count: How many there are.

    Raises:
        InputError: it names none, one that is not there, or one twice.
    """
    if wish == "all":
        if not count:
            raise InputError("--gpus all: this machine has no GPU")
        return tuple(range(count))
    numbers = [number.strip() for number in wish.split(",")]
    if not all(number.isdecimal() for number in numbers) or len(set(numbers)) < len(numbers):
        raise InputError(f"--gpus: expected all, none or numbers such as 0,1, found {wish!r}")
    for number in numbers:
        if int(number) >= count:
            there = ", ".join(map(str, range(count))) or "none"
            raise InputError(f"--gpus: expected numbers of GPUs that are here ({there}): {number}")
    return tuple(map(int, numbers))
