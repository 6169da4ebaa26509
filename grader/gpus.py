"""Who may use which GPU: pure decisions over devices, what is lent, and who waits.

Whoever came first is served first, and nobody overtakes: a submission that needs a whole GPU is not
passed for ever by small ones that still fit beside others. A GPU on which the last submission has
ended is *settling* until somebody has looked whether it gave its memory back, and one that did not,
or failed otherwise, is *quarantined*: neither is lent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU."""

    id: str
    """Its UUID, by which NVML, Docker and CUDA all know it."""
    number: int
    """What `--gpus` calls it: its place in NVML's list."""
    name: str
    memory_mib: int
    free_mib: int
    """What others had left of its memory when we looked first; no more than this is lent."""

    def __str__(self) -> str:
        """Such as `GPU 0 (NVIDIA A100)`."""
        return f"GPU {self.number} ({self.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a submission needs of a GPU."""

    memory_mib: int = 0
    """Memory that it may use; 0 means all that there is, and so nobody beside it."""
    share: bool = False
    """Whether others may use the rest of the GPU meanwhile."""

    @property
    def alone(self) -> bool:
        """Whether nobody else may use the GPU."""
        return not (self.share and self.memory_mib)


@dataclass(slots=True)
class _Loan:
    device: Device
    need: Need
    beside_others: bool


class Slots:
    """What is lent and who waits; not safe for several threads by itself.

    Args:
        devices: All GPUs that may be lent, none of them twice.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        """Lend nothing yet."""
        self.devices = tuple(devices)
        self.quarantined: dict[str, str] = {}
        """Why a device is lent no more, by its id."""
        self.waiting: dict[int, Need] = {}
        """In order of arrival."""
        self.lent: dict[int, _Loan] = {}
        self._settling: set[str] = set()
        self._suspect: set[str] = set()
        self._resting_since = dict.fromkeys((d.id for d in devices), 0)
        self._last = 0

    def ask(self, need: Need) -> int:
        """Join the line; returns the ticket."""
        self._last += 1
        self.waiting[self._last] = need
        return self._last

    def forget(self, ticket: int) -> None:
        """Leave the line."""
        self.waiting.pop(ticket, None)

    def turn(self, ticket: int) -> Device | None:
        """Lend a device if it is this ticket's turn and one fits; None if it has to wait."""
        if ticket != next(iter(self.waiting), None):
            return None
        need = self.waiting[ticket]
        fitting = [device for device in self.devices if self._fits(need, device)]
        if not fitting:
            return None
        device = min(fitting, key=self._preference)
        others = self._on(device)
        for loan in others:
            loan.beside_others = True
        self.lent[ticket] = _Loan(device, need, bool(others))
        del self.waiting[ticket]
        return device

    def give_back(self, ticket: int, *, suspect: bool = False) -> bool:
        """End a loan.

        Args:
            ticket: Whose.
            suspect: Whether something went wrong that may be the device's doing; until a loan ends
                without, it is lent only where no other device is free.

        Returns:
            Whether the device is empty now: then it settles, until `settled` or `quarantine`.
        """
        device = self.lent.pop(ticket).device
        self._last += 1
        self._resting_since[device.id] = self._last
        (self._suspect.add if suspect else self._suspect.discard)(device.id)
        if self._on(device):
            return False
        self._settling.add(device.id)
        return True

    def settled(self, device: Device) -> None:
        """Lend an emptied device again, unless it was quarantined meanwhile."""
        self._settling.discard(device.id)

    def quarantine(self, device: Device, why: str) -> None:
        """Lend a device no more."""
        self.quarantined.setdefault(device.id, why)
        self._settling.discard(device.id)

    def beside_others(self, ticket: int) -> bool:
        """Whether somebody else used the device at any moment of this loan."""
        return self.lent[ticket].beside_others

    def why_never(self, need: Need) -> str:
        """Why no device will ever do; empty if one will in time."""
        left = [device for device in self.devices if device.id not in self.quarantined]
        if not left:
            told = (f"{d}: {self.quarantined[d.id]}" for d in self.devices)
            return "no GPU is left: " + ("; ".join(told) or "none was named")
        most = max(left, key=lambda device: device.free_mib)
        if need.memory_mib > most.free_mib:
            return f"{need.memory_mib} MiB of a GPU are asked for, and {most} has {most.free_mib}"
        return ""

    def _on(self, device: Device) -> list[_Loan]:
        return [loan for loan in self.lent.values() if loan.device.id == device.id]

    def _fits(self, need: Need, device: Device) -> bool:
        if device.id in self.quarantined or device.id in self._settling:
            return False
        others = self._on(device)
        if others and (need.alone or any(loan.need.alone for loan in others)):
            return False
        return self._lent_mib(device) + need.memory_mib <= device.free_mib

    def _lent_mib(self, device: Device) -> int:
        return sum(loan.need.memory_mib for loan in self._on(device))

    def _preference(self, device: Device) -> tuple[bool, int, int]:
        """Smallest first: not suspect, little lent, long at rest."""
        return (
            device.id in self._suspect,
            self._lent_mib(device),
            self._resting_since[device.id],
        )
