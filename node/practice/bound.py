"""A program that ends with the one that started it, also where that one is killed: `python -m node.practice.bound`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(parent: str, *command: str) -> None:
    """Become `command`, a path and its arguments; `parent` is the number of the process that asks for it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before we could ask to be told
        return
    os.execv(command[0], command)  # noqa: S606  # a program of ours, started by ours


if __name__ == "__main__":
    main(*sys.argv[1:])
