"""The yardstick: execute notebooks with nbclient and nothing else, several at a time.

python -m benchmarks.plain_nbclient FOLDER WORKERS graceful|immediate

Every notebook gets a fresh kernel, and is written back with its outputs. nbclient is imported once,
and the workers are forked from there. The last word is how nbclient ends a kernel: by asking it,
which is what it does if not told otherwise, or by killing it.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path: Path, shutdown: str) -> None:
    """Execute one notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": path.parent}}
    NotebookClient(notebook, timeout=600, shutdown_kernel=shutdown, resources=where).execute()
    nbformat.write(notebook, path)


def main(folder: Path, workers: int, shutdown: str) -> None:
    """Execute every notebook below a folder."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=fork) as pool:
        list(pool.map(partial(execute, shutdown=shutdown), sorted(folder.rglob("*.ipynb"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
