"""Answers by itself what no person has to decide: updates of a referral, and offers that it cannot read."""

from __future__ import annotations

from sqlalchemy import Connection

from cordee.errors import N_, InvalidInput, NotCovered, NotFound, NotInThisState, OutOfScope, RecordClosed
from cordee.ids import TransferId
from cordee.runtime.logs import logger
from cordee.transfer import State
from node import placing, transfer_store
from node.house import House
from node.receiving import Receiving, read_summary
from node.transfer_store import Transfer
from node.updating import ground_of

__all__ = ["Answering"]

log = logger("node.answering")


class Answering:
    """The job "answer": kept with the offer, so that it is done even if the node stops in between."""

    def __init__(self, house: House, receiving: Receiving) -> None:
        self._house = house
        self._receiving = receiving

    async def run(self, transfer: TransferId) -> None:
        """Accept an update while its act is in force, decline anything else (protocol §6).

        Raises: RosterStale and whatever else may pass; the job then waits.
        """
        house = self._house
        job = house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer))
        if job.job != "answer":
            return
        if job.state is not State.OFFERED or job.expires_at <= house.clock.now():
            await house.db.write(lambda tx: self._leave(tx, transfer))
            return
        if read_summary(house, job).kind != "update":
            await self._receiving.decline_by_itself(transfer, code="other")
            return
        try:
            sections = await house.db.read(lambda tx: self._wanted(tx, job))
            await self._receiving.accept_update(transfer, sections=sections)
        except (InvalidInput, NotCovered, NotFound, NotInThisState, OutOfScope, RecordClosed) as refused:
            log.info("update.declined", transfer=transfer.short, reason=refused.reason)
            await self._receiving.decline_by_itself(transfer, code="outside_criteria")

    def _wanted(self, tx: Connection, job: Transfer) -> list[str]:
        """The sections of an update, without those that a person here did not want of the referral."""
        summary = read_summary(self._house, job)
        first = TransferId(summary.first_transfer_id)
        ground = ground_of(self._house, tx, first, now=self._house.clock.now(), peer=job.peer)
        placing.place_of(tx, ground.case_id, sender=job.peer, kind="update")
        wanted = [name for name in summary.sections if name not in ground.not_taken]
        if not wanted:
            raise OutOfScope(item=N_("all of it"))
        return wanted

    def _leave(self, tx: Connection, transfer: TransferId) -> None:
        if transfer_store.read_transfer(tx, transfer).job == "answer":
            transfer_store.set_fields(tx, transfer, now=self._house.clock.now(), job=None)
