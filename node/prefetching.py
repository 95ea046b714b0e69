"""Fetching along: ciphertext comes in while the sender still uploads it, before there is a key to it (protocol §8).

So a large case arrives soon after its last byte has left, and not after that time once more. What is fetched so lies in
the spool until the shipment; whether it is what the shipment announces is found out then, as after any interruption.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cordee.errors import CordeeError, NotFound
from cordee.ids import TransferId
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.transfer import State
from node import transfer_store
from node.chain import Chain
from node.directory_client import DirectoryClient
from node.feed import Feed
from node.house import House
from node.transfer_store import Transfer

__all__ = ["Prefetching"]

log = logger("node.prefetching")

PREFETCHING = register("node.prefetch.fetching")
PREFETCHED = register("node.prefetch.fetched")

_AT_ONCE = 4  # others are fetched once they are shipped


class Prefetching:
    """A task for each transfer that is being uploaded to us. Whatever ends one, the job "fetch" goes on from there."""

    def __init__(self, house: House, client: DirectoryClient) -> None:
        self._house = house
        self._client = client
        self._running: dict[TransferId, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="prefetching")

    async def run(self) -> None:
        """Until cancelled: then what still runs is ended."""
        try:
            await asyncio.Event().wait()
        finally:
            for transfer in list(self._running):
                await self.stop(transfer)
            self._threads.shutdown()

    async def begin(self, transfer: TransferId, *, anew: bool) -> None:
        """The directory hints that a transfer is being uploaded; `anew`: not what was fetched of it before."""
        if anew:
            await self.stop(transfer)
        if transfer in self._running or len(self._running) >= _AT_ONCE:
            return
        task = self._running[transfer] = asyncio.create_task(self._work(transfer, anew))
        task.add_done_callback(lambda _: self._running.pop(transfer, None))  # also where it was ended before it began

    async def stop(self, transfer: TransferId) -> None:
        """End it, where it runs; what has come lies in the spool afterwards."""
        task = self._running.get(transfer)
        if task is not None:
            if not task.cancelling():  # a second time, and it would not wait for its thread any more
                task.cancel()
            await asyncio.wait({task})

    async def _work(self, transfer: TransferId, anew: bool) -> None:
        house = self._house
        try:
            job = self._wanted(transfer)
            if job is None or house.roster.alarm is not None:
                return
            if anew:
                house.spool(transfer, outgoing=False).unlink(missing_ok=True)
            limit = house.db.look(lambda tx: Chain.read(house, tx, transfer)).offer.size_bound
            await self._fetch(transfer, limit)
            house.crashpoints.reach(PREFETCHED)
        except CordeeError as ended:
            log.info("prefetch.ended", transfer=transfer.short, reason=ended.reason)
        except Exception as failed:  # a full disk, say: it is met again, and told, when the shipment is fetched
            log.warning("prefetch.ended", transfer=transfer.short, reason=type(failed).__name__)
        finally:
            if (job := self._read(transfer)) is not None and job.over:
                house.drop_spool(transfer)  # it ended while the file was being written

    async def _fetch(self, transfer: TransferId, limit: int) -> None:
        house = self._house
        path = house.spool(transfer, outgoing=False)
        feed = Feed(path, _let_pass, threads=self._threads, replay=False)
        async with contextlib.aclosing(feed):
            async with contextlib.aclosing(self._client.get(transfer, offset=feed.size)) as pieces:
                async for piece in pieces:
                    house.crashpoints.reach(PREFETCHING)
                    if house.roster.alarm is not None:
                        break
                    if feed.size + len(piece) > limit or not await feed.put(piece):
                        return  # more than was announced: nothing to keep
                    house.changes.moved(transfer, feed.size)
            await feed.finish()

    def _wanted(self, transfer: TransferId) -> Transfer | None:
        job = self._read(transfer)
        return job if job is not None and not job.outgoing and job.state is State.ACCEPTED else None

    def _read(self, transfer: TransferId) -> Transfer | None:
        try:
            return self._house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer))
        except NotFound:
            return None


def _let_pass(pieces: Iterator[bytes | memoryview]) -> None:
    deque(pieces, maxlen=0)
