"""Parts of a node that outlast a full disk, or a machine that has nothing left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cordee.errors import N_, Unreachable
from cordee.runtime.ballast import Ballast
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.exhausted import told
from cordee.runtime.logs import logger

__all__ = ["hold_back", "lasting", "watch_over"]

log = logger("node.lasting")

_PAUSE = 5.0
_EVERY = 20.0
_A_DAY = 86_400.0


async def lasting(part: Callable[[], Coroutine[Any, Any, None]], *, clock: Clock) -> None:
    """Run a part of the node for ever. What it ends with for want of room, descriptors or memory is no reason to stop
    the node, which could not be started again either: the part begins anew after a pause.

    Raises: whatever else it ends with.
    """
    while True:
        try:
            await part()
            return
        except Exception as failed:
            known = told(failed, what=N_("the database"))
            if not isinstance(known, Unreachable):  # StorageFull, DiskFailed, NothingLeft
                raise
            log.error("part.waits", reason=known.reason)
        await clock.sleep(_PAUSE)


async def hold_back(ballast: Ballast, *, clock: Clock) -> None:
    """Until cancelled: keep room for the day on which the disk is full."""
    while True:
        try:
            held = await asyncio.to_thread(ballast.keep)
        except OSError:  # a file system that cannot: then there is none
            held = False
        if not held:
            log.warning("disk.little_room")
        await clock.sleep(_EVERY)


async def watch_over(db: Database, *, clock: Clock) -> None:
    """Until cancelled: look at the whole file at each start, and once a day. Raises: DatabaseDamaged, and so the node
    stops: what a damaged index hides looks to people as if it had never been.
    """
    while True:
        await asyncio.to_thread(db.check)
        await clock.sleep(_A_DAY)
