"""The log under a checkpoint that this node refused: fetched whole, so that anybody can compare it with another."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from cordee.checkpoint import peek_checkpoint
from cordee.errors import CordeeError
from cordee.v1 import statements_pb2
from cordee.views import shown_view

if TYPE_CHECKING:
    from node.directory_client import DirectoryClient

__all__ = ["view_shown"]

_MOST = 100_000  # entries more than this node knows: it names its bound itself, and a directory may make up any size
_SECONDS = 30.0  # whoever withholds the log must not keep the node from looking again


async def view_shown(client: DirectoryClient, note: str, *, known: int) -> bytes | None:
    """A serialised RosterView of a note that names more entries than the `known` ones of this node; None where the
    directory does not give out the log under it. A shorter one needs none: its root is compared at its own size.
    """
    try:
        shown = peek_checkpoint(note)
        if not known < shown.size <= known + _MOST:
            return None
        async with asyncio.timeout(_SECONDS):
            entries = await _fetched(client, shown.size)
    except (CordeeError, TimeoutError):
        return None
    view = await asyncio.to_thread(shown_view, entries, note=note)
    return None if view is None else view.SerializeToString(deterministic=True)


async def _fetched(client: DirectoryClient, size: int) -> list[statements_pb2.Entry]:
    found: list[statements_pb2.Entry] = []
    async with aclosing(client.entries(start=0)) as entries:
        async for entry in entries:
            found.append(entry)
            if len(found) == size:
                break
    return found
