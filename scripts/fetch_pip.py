"""Install pip into the environment that runs this, with nothing but the standard library.

For a Debian or Ubuntu Python without the package python3-venv. Takes the newest pip from the index
that pip itself would ask: PIP_INDEX_URL, pip's configuration files, or PyPI.

Source: PEP 503 (the index), PEP 592 (withdrawn files); pip's wheel runs from the archive, as the
standard library's ensurepip runs it.
"""

import configparser
import hashlib
import html.parser
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path


class Links(html.parser.HTMLParser):
    """Collects the address of every wheel on an index page that has not been withdrawn."""

    def __init__(self) -> None:
        """Start with no wheels."""
        super().__init__()
        self.wheels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the link if it is a wheel for any Python 3."""
        told = dict(attrs)
        address = told.get("href") or ""
        if tag == "a" and "py3-none-any.whl" in address and "data-yanked" not in told:
            self.wheels.append(address)


def index() -> str:
    """Return the address of the package index that pip is configured to use."""
    config = configparser.ConfigParser(interpolation=None)
    files = ["/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf"]
    for name in [*files, os.environ.get("PIP_CONFIG_FILE", "")]:
        config.read(os.path.expanduser(name))
    configured = config.get("global", "index-url", fallback="https://pypi.org/simple")
    return os.environ.get("PIP_INDEX_URL", configured).rstrip("/")


def release(address: str) -> tuple[int, ...]:
    """Read the version from a wheel's name; empty for anything but a plain release."""
    found = re.search(r"pip-(\d+(?:\.\d+)*)-py3", address)
    return tuple(map(int, found[1].split("."))) if found else ()


def fetch(address: str) -> bytes:
    """Download one file, with certificates checked."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def main() -> None:
    """Fetch the newest wheel, compare its digest with the index's, and let it install itself."""
    page = index() + "/pip/"
    links = Links()
    links.feed(fetch(page).decode())
    newest = urllib.parse.urljoin(page, max(links.wheels, key=release))
    address, _, digest = newest.partition("#sha256=")
    wheel = fetch(address)
    if digest and hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit(f"{address}: not what the index says it is")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / urllib.parse.unquote(address.rpartition("/")[2])
        path.write_bytes(wheel)
        command = [sys.executable, str(path / "pip"), "install", "--no-deps", "--no-index"]
        sys.exit(subprocess.run([*command, str(path)], check=False).returncode)


main()
