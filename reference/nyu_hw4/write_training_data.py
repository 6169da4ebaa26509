"""Write student/data/train.npz, the training sequences of question 3.

    python reference/nyu_hw4/write_training_data.py

The same file comes out, byte for byte, as long as torch's random numbers stay the same.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write the file beside the student template."""
    tokens, labels = runpy.run_path(str(HERE / "reference.py"))["training_sequences"]()
    target = HERE / "student" / "data" / "train.npz"
    np.savez_compressed(target, tokens=tokens.numpy(), labels=labels.numpy())


if __name__ == "__main__":
    main()
