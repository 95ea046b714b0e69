"""A practice server, as its users start it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.demo.processes import Program

__all__ = ["practice_served"]


@contextmanager
def practice_served(folder: Path) -> Iterator[str]:
    """The address of its pages, as long as the block lasts; `folder` is its own."""
    served = Program(
        name="practice",
        arguments=("--output", "json", "practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(folder)),
        environment={},
        log=folder.parent / "practice.log",
    )
    served.start()
    try:
        yield str(served.ready["pages"])
    finally:
        served.stop()
