"""GPUs for tests on machines without any: made-up devices, and what would be measured on them."""

from __future__ import annotations

from pathlib import Path

from grader.errors import SandboxFault
from grader.gpus import Device
from grader.sandbox.lending import Gpus


def device(number: int, free_mib: int = 8000) -> Device:
    return Device(
        id=f"GPU-{number}", number=number, name="T4", memory_mib=free_mib, free_mib=free_mib
    )


class Readings:
    """What a meter shows, by id of the GPU; a GPU in `lost` does not answer."""

    def __init__(self) -> None:
        self.used: dict[str, list[int]] = {}
        """The last reading stays; the others come once each."""
        self.bits: dict[str, list[int]] = {}
        self.lost: set[str] = set()

    def used_mib(self, device: Device) -> int:
        return self._next(self.used, device)

    def lost_bits(self, device: Device) -> int:
        return self._next(self.bits, device)

    def _next(self, readings: dict[str, list[int]], device: Device) -> int:
        if device.id in self.lost:
            raise SandboxFault("it does not answer: GPU is lost")
        left = readings.get(device.id, [100])
        return left.pop(0) if len(left) > 1 else left[0]


class Lent:
    """Two GPUs to lend, what is measured on them, and what was said."""

    def __init__(self, folder: Path, *sizes: int, grace_s: float = 0.3) -> None:
        self.readings, self.said = Readings(), list[str]()
        self.folder = folder
        devices = [device(number, size) for number, size in enumerate(sizes or (8000, 8000))]
        self.gpus = Gpus(devices, self.readings, folder, self.said.append, grace_s)
