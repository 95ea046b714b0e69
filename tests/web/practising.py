"""A practice server as its users start it, but for its network, which is founded by commands that are forked.

`python -m tests.web.practising …` is `cordee …` with such a network. Practice as it is, with all that keeps it apart,
is tested in `tests/node/practice`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from node.demo.processes import Program
from tests.faults.nursery import Nursery, nursery
from tests.web.quick import COMMANDS, QuickStage

__all__ = ["practice_served"]


@contextmanager
def practice_served(folder: Path) -> Iterator[str]:
    """The address of its pages, as long as the block lasts; `folder` is its own."""
    practice = ("--output", "json", "practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(folder))
    served = Program(
        name="practice",
        arguments=(sys.executable, "-m", "tests.web.practising", *practice),
        environment={},
        log=folder.parent / "practice.log",
    )
    served.start()
    try:
        yield str(served.ready["pages"])
    finally:
        served.stop()


def _staged(folder: Path, *, administrators: Any, place: Nursery) -> QuickStage:
    return QuickStage(folder, place)


def _main() -> None:
    from cordee.runtime.command import main
    from node.practice import network

    with nursery(COMMANDS) as place:
        network.Stage = partial(_staged, place=place)  # type: ignore[misc, assignment]
        main(sys.argv[1:])


if __name__ == "__main__":
    _main()
