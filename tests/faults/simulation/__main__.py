"""`python -m tests.faults.simulation --seeds 2000 --jobs 2`, or one of them again: `--seed N --trace`."""

from __future__ import annotations

import argparse
import os
import sys

from .running import run

_FIXED = {"PYTHONHASHSEED": "0"}  # the order of a set of bytes is a seed's too


def main() -> int:
    """1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one seed")
    parser.add_argument("--first", type=int, default=0, help="the first of --seeds; -1 draws it, and prints it")
    parser.add_argument("--seeds", type=int, default=2000, help="how many; 0 for ever")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="tell everything that happens")
    parser.add_argument("--count", action="store_true", help="add a row to the table of `make faults`")
    parser.add_argument("--until-wrong", action="store_true", help="no more seeds once something was wrong")
    parser.add_argument("--plant", help="with one of the defects of planted.py, which is to be found")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in _FIXED.items()):
        os.execve(sys.executable, [sys.executable, "-m", "tests.faults.simulation", *sys.argv[1:]], os.environ | _FIXED)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
