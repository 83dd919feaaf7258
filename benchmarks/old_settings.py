"""One reconstruction with the old scripts' settings, in a process of its own.

python benchmarks/old_settings.py INPUT_NPZ OUTPUT_NPZ [--device cpu]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import OLD, objects_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input_npz", type=Path)
    parser.add_argument("output_npz", type=Path)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    *_, (_, _, obj) = objects_of(options.input_npz, OLD, options.device, every=OLD.num_epochs)
    np.savez(options.output_npz, object=obj)


if __name__ == "__main__":
    main()
