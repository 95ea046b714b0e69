"""Erasing a case for good: tombstone, key, write-ahead log, files, in this order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from cordee.errors import OfferAlreadyOpen
from node import journal, need_to_know, records, transfer_store
from node.people import Handler, Role
from node.tombstones import CASE

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["erase"]


async def erase(node: Node, handler: Handler, case_id: str) -> None:
    """Destroy a case's key, its acts and its attachments; the journal keeps its id.

    Raises: RoleMissing, NeedToKnow; NotFound, also where it was erased; OfferAlreadyOpen while a transfer is under way.
    """
    handler.require(Role.LEAD)
    db, now = node.db, node.clock.now()

    def erasable(tx: Connection) -> None:
        stored = records.read_case(tx, node.vault, case_id)
        need_to_know.require_case(tx, handler, stored.case, now=now)
        for transfer in transfer_store.of_case(tx, case_id):
            if not transfer.over:
                raise OfferAlreadyOpen(transfer=transfer.id.short)

    def step(tx: Connection) -> list[str]:
        erasable(tx)
        files = records.erase_case(tx, case_id, now=now)
        journal.append(tx, now=now, actor=handler.account_id, action="case.erased", subject=case_id)
        return files

    await db.read(erasable)
    # The tombstone first: should this machine be restored from a backup, the case is erased again (protocol §10).
    await asyncio.to_thread(node.house.tombstones.add, CASE, case_id, now)
    for file_id in await db.write(step):
        await asyncio.to_thread(node.attachments.erase, file_id)
    await node.house.scrub()  # the key's bytes are then in no file
