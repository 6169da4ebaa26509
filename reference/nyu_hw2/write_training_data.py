"""Make the data of this assignment.

    python reference/nyu_hw2/write_training_data.py digits.csv.gz

`digits.csv.gz` is what scikit-learn ships in `sklearn/datasets/data`: 1,797 rows of 64 grey values
from 0 to 16 and a label. Written are

    student/data/digits.npz                           what students train on
    student/data/reviews_train.csv, reviews_valid.csv
    withheld.npz                                      500 images that no student gets
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from grader.reference import Reference

HERE = Path(__file__).parent
WITHHELD = 500
VALIDATION = 400


def enlarged(images: np.ndarray) -> np.ndarray:
    """Enlarge (n, 8, 8) of 0..16 to (n, 28, 28) uint8: each pixel three times, a border of two."""
    large = images.repeat(3, axis=1).repeat(3, axis=2)
    return np.pad(np.rint(large * 255 / 16).astype(np.uint8), ((0, 0), (2, 2), (2, 2)))


def write_images(digits: Path) -> None:
    """Shuffle the digits once, and set some aside."""
    table = np.loadtxt(digits, delimiter=",").astype(np.int64)
    table = np.random.default_rng(2).permutation(table)
    images, labels = enlarged(table[:, :-1].reshape(-1, 8, 8)), table[:, -1]
    few, rest = slice(WITHHELD), slice(WITHHELD, None)
    np.savez_compressed(HERE / "withheld.npz", images=images[few], labels=labels[few])
    target = HERE / "student" / "data" / "digits.npz"
    np.savez_compressed(target, images=images[rest], labels=labels[rest])


def write_reviews() -> None:
    """Write what the reference draws."""
    sentences, labels = Reference(HERE / "reference.py").module.training_reviews()
    rows = list(zip(sentences, labels.tolist(), strict=True))
    for name, part in (("train", rows[:-VALIDATION]), ("valid", rows[-VALIDATION:])):
        path = HERE / "student" / "data" / f"reviews_{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("sentence", "label"), *part])


if __name__ == "__main__":
    write_images(Path(sys.argv[1]))
    write_reviews()
