"""What a sandbox tells the guest through environment variables, and what its environment is."""

from __future__ import annotations

import hashlib
import platform
import sys
from importlib import metadata
from pathlib import Path

DOCKER_PATH = "/opt/grader/bin:/usr/local/bin:/usr/bin:/bin"
WORK = "/work"
"""Working folder in a sandbox that has a file system of its own."""
DATA, LIB = "data", ".lib"
"""Folders in it that are the course's: its data, and packages that stand in for missing ones."""
GUEST = "/opt/grader/guest/main.py"
"""Where such a sandbox keeps the guest."""
GUEST_ON_HOST = Path(__file__).parents[1] / "guest" / "main.py"
GUEST_FLAGS = ("-I", "-P")
"""Python's own flags for the guest: nothing that a student can write decides what it imports."""


def variables(*, work: str, path: str, threads: int, gpu: bool) -> dict[str, str]:
    """Give the whole environment of the guest: fixed values, the same for every student.

    Nothing here says who is graded, or that this is grading.

    Args:
        work: The working folder as the guest sees it.
        path: Search path for programs.
        threads: What numeric libraries may use.
        gpu: Whether there is a GPU.
    """
    count = str(threads)
    told = {
        "HOME": work,
        "USER": "student",
        "LOGNAME": "student",
        "PATH": path,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MPLBACKEND": "Agg",
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
    }
    folders = {
        "MPLCONFIGDIR": "matplotlib",
        "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
        "JUPYTER_DATA_DIR": "jupyter/data",
        "XDG_CACHE_HOME": "xdg",
        "TORCH_HOME": "torch",
        "TORCHINDUCTOR_CACHE_DIR": "inductor",  # needs a folder whose files may be executed
        "TRITON_CACHE_DIR": "triton",
    }
    if gpu:
        told["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        # Full precision, as the reference has on the CPU. Torch's own switches would be in the way
        # of notebooks that use them: its older and newer ones raise when they are mixed.
        told["NVIDIA_TF32_OVERRIDE"] = "0"
        folders["CUDA_CACHE_PATH"] = "cuda"
    return told | {name: f"{work}/.cache/{folder}" for name, folder in folders.items()}


def identity_of_this_python() -> str:
    """Name what runs notebooks when it is this very Python: version, machine, all packages.

    Two environments of the same name hold the same versions of everything.
    """
    found = {
        f"{package.metadata['Name']}=={package.version}" for package in metadata.distributions()
    }
    guest = sorted(GUEST_ON_HOST.parent.glob("*.py"))
    told = hashlib.sha256("\n".join(sorted(found)).encode())
    for file in guest:
        told.update(file.read_bytes())
    version = platform.python_version()
    return f"python-{version}-{sys.platform}-{platform.machine()}-{told.hexdigest()[:16]}"
