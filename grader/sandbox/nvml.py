"""NVIDIA's management library: which GPUs this machine has, and how they are.

Read through NVIDIA's own binding, package `nvidia-ml-py`, which `grader[gpu]` installs; no tool's
text is parsed. The library belongs to the driver, so it speaks of the machine where the grader
runs, which must be the engine's as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from grader.errors import GraderError, InputError, SandboxFault
from grader.gpus import Device

try:
    import pynvml
except ImportError:  # only machines with a GPU need it
    pynvml = None

MIB = 1 << 20


class Nvml:
    """An open library.

    Raises:
        InputError: the binding is not installed, or there is no driver that answers.
    """

    def __init__(self) -> None:
        """Open it; every instance is closed by itself."""
        if pynvml is None:
            raise InputError("GPUs are read by NVML: pip install 'grader[gpu]'")
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise InputError(f"no NVIDIA driver answers here: {error}") from error

    def close(self) -> None:
        """Let go of the driver."""
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def count(self) -> int:
        """How many GPUs there are.

        Raises:
            InputError: the driver does not say.
        """
        with _told("the GPUs cannot be counted"):
            return int(pynvml.nvmlDeviceGetCount())

    def device(self, number: int) -> Device:
        """One GPU, by its number in the library's order.

        Raises:
            InputError: it does not answer.
        """
        with _told(f"GPU {number} does not answer"):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            return Device(
                id=str(pynvml.nvmlDeviceGetUUID(handle)),
                number=number,
                name=str(pynvml.nvmlDeviceGetName(handle)),
                memory_mib=int(memory.total) // MIB,
                free_mib=int(memory.free) // MIB,
            )

    def used_mib(self, device: Device) -> int:
        """Memory in use on a GPU, by whomever.

        Raises:
            SandboxFault: it does not answer.
        """
        with _told("it does not answer", SandboxFault):
            return int(pynvml.nvmlDeviceGetMemoryInfo(_handle(device)).used) // MIB

    def lost_bits(self, device: Device) -> int:
        """How many errors of its memory a GPU could not correct since the driver started.

        Zero where it cannot count them, as most that are no server's, or the driver cannot.

        Raises:
            SandboxFault: it does not answer.
        """
        with _told("it does not answer", SandboxFault):
            handle = _handle(device)
            try:
                return int(
                    pynvml.nvmlDeviceGetTotalEccErrors(
                        handle,
                        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                        pynvml.NVML_VOLATILE_ECC,
                    )
                )
            except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
                return 0


def _handle(device: Device) -> Any:
    handle = pynvml.nvmlDeviceGetHandleByIndex(device.number)
    if pynvml.nvmlDeviceGetUUID(handle) != device.id:
        raise SandboxFault(f"it is no longer number {device.number} of the driver's list")
    return handle


@contextlib.contextmanager
def _told(what: str, error_class: type[GraderError] = InputError) -> Iterator[None]:
    try:
        yield
    except pynvml.NVMLError as error:
        raise error_class(f"{what}: {error}") from error
