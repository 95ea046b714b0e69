"""The log under a checkpoint that this node refused: fetched whole, so that anybody can compare it with another."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from cordee.checkpoint import peek_checkpoint
from cordee.entries import entry_leaf
from cordee.errors import CordeeError
from cordee.excerpt import subject
from cordee.log import MerkleTree
from cordee.v1 import statements_pb2

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
            view = await _fetched(client, note, shown.size)
    except (CordeeError, TimeoutError):
        return None
    leaves = (view.leaves[at : at + 32] for at in range(0, len(view.leaves), 32))
    tree = MerkleTree(leaves)
    if tree.size != shown.size or tree.root() != shown.root:
        return None  # it is not what was signed
    return view.SerializeToString(deterministic=True)


async def _fetched(client: DirectoryClient, note: str, size: int) -> statements_pb2.RosterView:
    view, leaves, index = statements_pb2.RosterView(checkpoint=note), bytearray(), 0
    async with aclosing(client.entries(start=0)) as entries:
        async for entry in entries:
            leaves += entry_leaf(entry)
            if index == 0 or subject(entry) is None:
                view.entries.add(index=index, entry=entry)
            index += 1
            if index == size:
                break
    view.leaves = bytes(leaves)
    return view
