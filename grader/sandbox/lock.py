r"""The lock: every package of the runner image, with the digest of every wheel that is accepted.

Its text is what `pip install --require-hashes` reads; `scripts/lock.py` writes it::

    # Why and how
    numpy==2.4.6 \
        --hash=sha256:b5dd30c... \
        --hash=sha256:f11be0f...
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grader.errors import InputError

PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.+!]+)")
DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One package, and which files are accepted as it."""

    name: str
    version: str
    digests: frozenset[str]
    """SHA-256, hexadecimal: a wheel for each kind of processor, or one for all."""

    @property
    def pin(self) -> str:
        """Name and version, as pip writes them."""
        return f"{self.name}=={self.version}"

    @property
    def key(self) -> str:
        """What the name of a wheel of this package and version begins with."""
        return spelled(self.name, self.version)


def spelled(name: str, version: str) -> str:
    """Spell a package as wheels do. Source: PyPA specifications, "Binary distribution format"."""
    return re.sub(r"[-_.]+", "_", name).lower() + "-" + version.replace("-", "_")


def read(text: str, where: str) -> tuple[Locked, ...]:
    """Read a lock.

    Args:
        text: The lock.
        where: Its name, for messages.

    Raises:
        InputError: a line is something else, or a package has no digest.
    """
    bare = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))
    found = []
    for entry in filter(None, map(str.strip, bare.replace("\\\n", " ").splitlines())):
        pin, *rest = entry.split()
        named, digests = PIN.fullmatch(pin), [DIGEST.fullmatch(part) for part in rest]
        if not named or not digests or not all(digests):
            raise InputError(
                f"{where}: expected name==version with its --hash=sha256:..., found {entry!r}; "
                "scripts/lock.py writes this file"
            )
        shown = frozenset(digest.group(1) for digest in digests if digest)
        found.append(Locked(name=named.group(1), version=named.group(2), digests=shown))
    return tuple(found)


def text_of(packages: Iterable[Locked]) -> str:
    """Write a lock: the same text for the same packages."""
    entries = []
    for package in sorted(packages, key=lambda package: package.key):
        digests = [f"    --hash=sha256:{digest}" for digest in sorted(package.digests)]
        entries.append(" \\\n".join([package.pin, *digests]))
    return "".join(f"{entry}\n" for entry in entries)


def digest_of(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
