"""What CUDA's errors mean for grading: the student's doing, or the machine's.

Told apart by the exception's type and by CUDA's own number, never by wording. Both come from the
student's kernel and so are testimony: whoever makes an error up gains another run, and then a
person who looks, but no GPU is taken from the others for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grader.codec import decode
from grader.errors import ProtocolViolation
from grader.evidence import Raised
from grader.frames import Frame

#: Errors that no program can cause by what it computes, but a driver or a device that fails.
#: Source: NVIDIA CUDA Runtime API, `enum cudaError` (12.x). Not among them are errors that a wrong
#: program causes: an illegal address (700), a failed assertion (710), a failed launch (719).
DRIVER_ERRORS = {
    3: "the driver could not be initialised",
    35: "the driver is too old for this CUDA",
    46: "the device is busy or unavailable",
    100: "there is no device",
    127: "CUDA did not start",
    214: "an error of the memory could not be corrected",
    220: "an error of NVLink could not be corrected",
    226: "an error of the hardware was contained",
    802: "the system is not ready",
    803: "driver and library do not fit together",
    804: "the driver does not support this device with this CUDA",
    999: "an unknown error of the driver",
}
_NUMBERS = {str(number): number for number in DRIVER_ERRORS}


def raised_in(frames: Iterable[Frame]) -> Iterator[Raised]:
    """What cells and probes raised, as their receipts say."""
    for frame in frames:
        if frame.kind not in ("cell", "probe") or not frame.payload:
            continue
        try:
            said = decode(frame.payload)
        except ProtocolViolation:  # whoever reads the evidence says so
            continue
        if isinstance(said, dict) and frame.header.get("status") == "ok":
            said = said.get("error")  # what a model or a file of predictions ended with
        if isinstance(said, dict) and isinstance(said.get("ename"), str):
            yield Raised(ename=said["ename"], evalue="", code=str(said.get("code", "")))


def driver_error(raised: Iterable[Raised]) -> str:
    """The first error that only a driver or a device can cause; empty without any."""
    for one in raised:
        if one.code in _NUMBERS:
            return f"CUDA error {one.code}: {DRIVER_ERRORS[_NUMBERS[one.code]]}"
    return ""
