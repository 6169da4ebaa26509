"""What an engine says of itself that decides how much a break-out of a container is worth.

Sources: the security advisories of runc 1.2.8, 1.3.3 and 1.4.0-rc.3 (CVE-2025-31133,
CVE-2025-52565, CVE-2025-52881); https://docs.docker.com/engine/security (rootless mode and
userns-remap); https://gvisor.dev/docs/user_guide/quick_start/docker (the runtime's name).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MENDED_RUNC = ((1, 2, 8), (1, 3, 3), (1, 4, 0))
"""First release of each line in which a container can no longer write to the host's /proc."""
NEEDED = ("MemoryLimit", "PidsLimit", "CpuCfsQuota")
"""Limits that an engine must be able to set; it says so of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What matters of an engine's own description."""

    version: str
    runc: str
    """Empty if the engine does not say."""
    kernel: str
    control_groups: str
    safeguards: tuple[str, ...]
    """Such as seccomp, apparmor, selinux, rootless, userns."""
    gvisor: tuple[str, ...]
    """Names under which gVisor is registered."""
    lacking: tuple[str, ...]
    """Limits that it cannot set."""

    @property
    def root(self) -> str:
        """Say who somebody is on the host who breaks out of a container as root."""
        if "rootless" in self.safeguards:
            return "rootless"
        return "userns-remap" if "userns" in self.safeguards else ""


def read_engine(version: Mapping[str, Any], about: Mapping[str, Any]) -> Engine:
    """Read what the engine answers to `version` and `info`."""
    parts = {part["Name"]: part["Version"] for part in version.get("Components") or ()}
    options = [text.split("name=")[-1] for text in about.get("SecurityOptions") or ()]
    runtimes: Mapping[str, Any] = about.get("Runtimes") or {}
    return Engine(
        version=str(version["Version"]),
        runc=str(parts.get("runc", "")),
        kernel=str(about.get("KernelVersion", "unknown")),
        control_groups=str(about.get("CgroupVersion", "1")),
        safeguards=tuple(text.split(",")[0] for text in options),
        gvisor=tuple(name for name, told in sorted(runtimes.items()) if _is_gvisor(name, told)),
        lacking=tuple(name for name in NEEDED if not about.get(name)),
    )


def has_known_hole(runc: str) -> bool:
    """Say whether this version of runc has known escapes, if its distribution did not mend them.

    Args:
        runc: Such as `1.1.5+ds1` or `1.4.0-rc.2`; a version of another form has none that we know.
    """
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?:[-~]rc\.?(\d+))?", runc)
    if not found:
        return False
    release = (int(found[1]), int(found[2]), int(found[3]))
    mended = [line for line in MENDED_RUNC if line[:2] == release[:2]]
    if not mended:
        return release < MENDED_RUNC[0]
    if release == (1, 4, 0) and found[4]:
        return int(found[4]) < 3
    return release < mended[0]


def _is_gvisor(name: str, told: object) -> bool:
    words = [name, *map(str, told.values())] if isinstance(told, Mapping) else [name]
    return any("runsc" in word for word in words)
