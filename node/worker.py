"""Does by itself what a transfer still needs: answering, shipping, fetching; a few at a time, again after a restart."""

from __future__ import annotations

import asyncio

from cordee.errors import CordeeError, TooManyRequests
from cordee.ids import TransferId
from cordee.runtime.logs import logger
from node import transfer_store
from node.answering import Answering
from node.fetching import Fetching
from node.house import House
from node.shipping import Shipping
from node.transfer_store import Transfer

__all__ = ["Worker"]

log = logger("node.worker")

_AT_ONCE = 12  # with those of the outbox and the event stream: within the two dozen calls the directory allows
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class Worker:
    """One task for each transfer that has a job."""

    def __init__(self, house: House, shipping: Shipping, fetching: Fetching, answering: Answering) -> None:
        self._house = house
        self._shipping = shipping
        self._fetching = fetching
        self._answering = answering
        self._running: dict[TransferId, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._house.changes.work.clear()
                for transfer in self._house.db.look(transfer_store.jobs):
                    if transfer not in self._running:
                        self._running[transfer] = asyncio.create_task(self._work(transfer))
                await self._house.changes.work.wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _work(self, transfer: TransferId) -> None:
        pause = _FIRST_PAUSE
        try:
            while True:
                try:
                    async with self._places:
                        await self._step(transfer)
                    return
                except CordeeError as waits:
                    log.info("job.waits", transfer=transfer.short, reason=waits.reason)
                    if isinstance(waits, TooManyRequests):
                        pause = max(pause, waits.retry_after)
                except Exception as unforeseen:  # a full disk, say: it must neither spin nor stop the other jobs
                    log.error("job.waits", transfer=transfer.short, reason=type(unforeseen).__name__)
                await self._house.clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._running.pop(transfer, None)
            self._house.changes.work.set()

    async def _step(self, transfer: TransferId) -> None:
        if self._house.roster.alarm is not None:
            raise self._house.roster.alarm  # while the roster is in doubt nothing leaves and nothing is imported
        job = self._read(transfer)
        if job.job == "answer":
            await self._answering.run(transfer)
            return
        half = self._shipping if job.outgoing else self._fetching
        try:
            await half.run(transfer)
        finally:
            if self._read(transfer).over:
                self._house.drop_spool(transfer)  # it may have ended while the file was being written

    def _read(self, transfer: TransferId) -> Transfer:
        return self._house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer))
