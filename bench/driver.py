"""Drives transfers through two nodes' own APIs, some at a time, and times them: hollow nodes or real ones alike."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cordee.ids import MemberId
from cordee.v1 import node_pb2
from node.cli.client import Client, connect

__all__ = ["AT_ONCE", "Desk", "TransferFailed", "Watch", "drive", "watching"]

AT_ONCE = 16
_BAD_ENDS = frozenset({"declined", "refused", "withdrawn", "expired"})
_SECONDS_EACH = 120.0
_QUIET = 0.5


class TransferFailed(Exception):
    """A transfer ended otherwise than it should, or did not end."""


@dataclass(frozen=True)
class Desk:
    """A node's API, and the session to use it with."""

    socket: Path
    token: str
    member: MemberId


class Watch:
    """Follows all transfers of one node."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._states: dict[bytes, str] = {}
        self._waiting: dict[bytes, list[tuple[str, asyncio.Future[None]]]] = {}
        self._heard = time.monotonic()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        call: Any = self._client.transfers.WatchTransfers(node_pb2.WatchTransfersRequest())
        async for answer in call:
            self._heard = time.monotonic()
            self._news.set()
            self._hear(answer.transfer.transfer_id, answer.transfer.state, answer.transfer.reason_code)

    async def quiet(self) -> None:
        """Until nothing new has come for half a second: the present state has been told."""
        silent = 0.0
        while silent < _QUIET:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _QUIET - silent)
            self._news.clear()
            silent = time.monotonic() - self._heard

    async def until(self, transfer_id: bytes, state: str) -> None:
        """Until the transfer is in that state. Raises: TransferFailed where it never will be."""
        if self._states.get(transfer_id) == state:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(transfer_id, []).append((state, future))
        try:
            async with asyncio.timeout(_SECONDS_EACH):
                await future
        except TimeoutError:
            now = self._states.get(transfer_id, "unknown")
            raise TransferFailed(f"{transfer_id.hex()} is {now}, not {state}, after {_SECONDS_EACH:.0f} s") from None

    def _hear(self, transfer_id: bytes, state: str, reason: str) -> None:
        self._states[transfer_id] = state
        left = []
        for wanted, future in self._waiting.pop(transfer_id, []):
            if future.done():
                continue
            if wanted == state:
                future.set_result(None)
            elif state in _BAD_ENDS:
                future.set_exception(TransferFailed(f"{transfer_id.hex()} is {state} ({reason})"))
            else:
                left.append((wanted, future))
        if left:
            self._waiting[transfer_id] = left


@contextlib.asynccontextmanager
async def watching(client: Client) -> AsyncIterator[Watch]:
    """A watch on a node that has heard the present state. A stream that ends ends the block with its error."""
    watch = Watch(client)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.run())
        await watch.quiet()
        yield watch
        task.cancel()


async def drive(
    sender: Desk, recipient: Desk, offers: Sequence[node_pb2.OfferTransferRequest], *, at_once: int = AT_ONCE
) -> float:
    """Seconds from the first offer until the sender holds the last receipt; `at_once` of them under way at a time.

    Raises: TransferFailed (in a group).
    """
    async with (
        connect(sender.socket, sender.token) as there,
        connect(recipient.socket, recipient.token) as here,
        watching(there) as sent,
        watching(here) as received,
    ):
        waiting = iter(offers)

        async def worker() -> None:
            for offer in waiting:
                transfer_id = (await there.transfers.OfferTransfer(offer)).transfer_id
                await received.until(transfer_id, "offered")
                await here.transfers.AcceptTransfer(node_pb2.AcceptTransferRequest(transfer_id=transfer_id))
                await sent.until(transfer_id, "received")

        began = time.perf_counter()
        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(worker())
        return time.perf_counter() - began
