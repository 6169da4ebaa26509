"""Write the list of all that is in the image, as CycloneDX 1.6 in JSON; runs while it is built.

    python sbom.py BASE WHEELS OUT

Python packages are those that this interpreter can import, with the digest of the wheel that each
came from; Debian packages are those that dpkg knows. The same image gives the same bytes: no time,
no serial number, everything sorted.

Source: https://cyclonedx.org/docs/1.6/json, https://github.com/package-url/purl-spec
"""

import hashlib
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]
DPKG_FIELDS = "${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"


def component(purl: str, name: str, version: str, **more: object) -> Component:
    """Describe one package; its purl is its name within the list too."""
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return found | more


def spelled(name: str) -> str:
    """Spell a package as purls do. Source: PyPA specifications, "Names and normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digests(wheels: Path) -> dict[tuple[str, str], str]:
    """Compute the SHA-256 of every wheel, by name and version of its package."""
    found = {}
    for path in wheels.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        with path.open("rb") as file:
            found[spelled(name), version] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def python_packages(wheels: Path) -> Iterator[Component]:
    """Describe the interpreter and all that it can import."""
    version = platform.python_version()
    yield component(f"pkg:generic/python@{version}", "python", version)
    known = digests(wheels)
    for package in metadata.distributions():
        name, version = spelled(package.metadata["Name"]), package.version
        more: dict[str, object] = {}
        if licence := package.metadata["License-Expression"]:
            more["licenses"] = [{"expression": licence}]
        if digest := known.get((name, version)):
            more["hashes"] = [{"alg": "SHA-256", "content": digest}]
        yield component(f"pkg:pypi/{name}@{quote(version)}", name, version, **more)


def debian_packages() -> Iterator[Component]:
    """Describe what dpkg says is installed."""
    release = platform.freedesktop_os_release()
    distro = f"{release['ID']}-{release.get('VERSION_ID', 'unknown')}"
    command = ["dpkg-query", "--show", f"--showformat={DPKG_FIELDS}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        name, version, machine, status = line.split("\t")
        if status == "installed":
            where = f"pkg:deb/{release['ID']}/{quote(name)}@{quote(version, safe=':')}"
            yield component(f"{where}?arch={machine}&distro={distro}", name, version)


def main(base: str, wheels: str, out: str) -> None:
    """Write the list."""
    found = {
        entry["bom-ref"]: entry for entry in (*python_packages(Path(wheels)), *debian_packages())
    }
    about = {
        "type": "container",
        "bom-ref": "grader-runner",
        "name": "grader-runner",
        "properties": [{"name": "grader:base", "value": base}],
    }
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": about},
        "components": [found[key] for key in sorted(found)],
    }
    Path(out).write_text(json.dumps(bom, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
