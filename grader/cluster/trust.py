"""Who may speak to whom in a cluster: whoever holds its key, and nobody else.

Dask pickles what its parts send each other. So whoever reaches the port of a scheduler or a worker
runs code there. Between machines there is therefore no cluster without TLS, where all parts prove
to each other that they hold the same key.

    <folder>/cert.pem    the cluster's certificate, which is its own authority
    <folder>/key.pem     its key: the same two files on every machine
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from distributed import Security

from grader.errors import InputError

CERTIFICATE, KEY = "cert.pem", "key.pem"


def security(address: str, tls: Path | None) -> Security:
    """How to speak with a cluster.

    Args:
        address: Of its scheduler.
        tls: Folder of the key, or None.

    Raises:
        InputError: the address needs a key and there is none, or it cannot be read.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("tls", "tcp") or not parts.hostname:
        raise InputError(f"expected an address such as tls://HOST:8786, found {address}")
    if tls is None:
        if parts.scheme == "tls":
            raise InputError(f"{address}: --tls DIR with {CERTIFICATE} and {KEY} is missing")
        if not _is_here(parts.hostname):
            says = "whoever reaches it runs code on the workers: tls:// and --tls DIR"
            raise InputError(f"{address}: {says} (docs/scaling.md)")
        return Security()
    if parts.scheme != "tls":
        raise InputError(f"{address}: with --tls the address begins with tls://")
    certificate, key = str(_readable(tls / CERTIFICATE)), str(_readable(tls / KEY))
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_cert": certificate for role in ("client", "scheduler", "worker")},
        **{f"tls_{role}_key": key for role in ("client", "scheduler", "worker")},
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise InputError(f"--tls: {path} cannot be read: {error.strerror}") from error
