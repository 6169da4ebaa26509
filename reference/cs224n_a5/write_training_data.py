"""Write student/data/: the birth places, the dev list without its places, the text to pretrain on.

    python reference/cs224n_a5/write_training_data.py

The same files come out, byte for byte, as long as Python's random numbers stay the same.
"""

from __future__ import annotations

import runpy
from pathlib import Path

HERE = Path(__file__).resolve().parent


def files() -> dict[str, str]:
    """The files by name."""
    places = runpy.run_path(str(HERE / "places.py"))
    pairs, dev = places["training_pairs"](), places["dev_pairs"]()
    return {
        "birth_train.tsv": "".join(f"{question}\t{place}\n" for question, place in pairs),
        "birth_dev.txt": "".join(f"{question}\n" for question, _ in dev),
        "corpus.txt": "".join(f"{line}\n" for line in places["corpus"]()),
    }


def main() -> None:
    """Write them beside the student template."""
    for name, text in files().items():
        (HERE / "student" / "data" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
