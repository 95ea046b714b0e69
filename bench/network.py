"""Our side: a real directory and two real nodes, founded, joined and served by the commands that people use.

What is timed is the transfer of a case that was offered and is wanted: from the moment the recipient's `AcceptTransfer`
is answered until its node has the state RECEIVED. Within lie: the acceptance through the broker to the sender; packing
and encrypting into the sender's spool file (fsync); up into the directory's mailbox (fsync); the shipment through the
broker; down into the recipient's spool file (no fsync); decrypting, checking and sealing again in quarantine (fsync);
and the import with its receipt in one durable transaction. Recording the case, attaching the file and the offer are
not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.driver import AT_ONCE, Desk, Watch, drive, watching
from bench.skeleton.sizes import Sizes
from bench.workload import RECORD, Associations, Prepared, prepare
from cordee.ids import MemberId
from cordee.v1 import node_pb2, statements_pb2
from node.cli.client import Client, connect
from node.cli.session import Sessions
from node.demo import cases as demo
from node.demo.stage import House, Stage

__all__ = ["Network", "network"]

_MIB = 1 << 20


class Network:
    """A sender and a recipient at work, and a directory between them."""

    def __init__(self, stage: Stage, sender: House, recipient: House) -> None:
        self._stage = stage
        self._sender, self._recipient = _desk(sender), _desk(recipient)
        self._between = Associations(
            sender=sender.profile["org_id"],
            recipient=recipient.profile["org_id"],
            recipient_member=self._recipient.member,
        )

    def carry(self, file: Path | None) -> float:
        """Seconds for a case of 20 kB, with `file` attached if there is one; both copies are erased afterwards."""
        return asyncio.run(self._carry(file))

    def sizes(self) -> Sizes:
        """How large the messages of a transfer of a 20 kB case are; taken from the proof of one that is made now."""
        return asyncio.run(self._sizes())

    def drive(self, count: int) -> float:
        """Seconds for so many cases of 20 kB, 16 at a time: from the first offer to the last receipt at the sender."""
        return asyncio.run(self._drive(count))

    def peaks(self) -> dict[str, float]:
        """The highest resident memory of each process since it started (VmHWM), in MiB."""
        return {program.name: program.measure() / _MIB for program in self._stage.programs}

    async def _carry(self, file: Path | None) -> float:
        async with self._opened() as (there, here, sent, received):
            prepared = await prepare(there, self._between, file=file)
            transfer_id = await _offered(there, received, prepared)
            await asyncio.to_thread(os.sync)  # what was prepared must not be written back in the transfer's time
            await here.transfers.AcceptTransfer(node_pb2.AcceptTransferRequest(transfer_id=transfer_id))
            began = time.perf_counter()
            await received.until(transfer_id, "received")
            seconds = time.perf_counter() - began
            await sent.until(transfer_id, "received")
            for client, desk in ((there, self._sender), (here, self._recipient)):
                await _erase(client, desk, transfer_id)
            return seconds

    async def _sizes(self) -> Sizes:
        async with self._opened() as (there, here, sent, received):
            transfer_id = await _offered(there, received, await prepare(there, self._between))
            await here.transfers.AcceptTransfer(node_pb2.AcceptTransferRequest(transfer_id=transfer_id))
            await sent.until(transfer_id, "received")
            pieces = there.transfers.ExportProof(node_pb2.ExportProofRequest(transfer_id=transfer_id))
            proof = b"".join([piece.data async for piece in pieces])
        return Sizes.of(statements_pb2.TransferProof.FromString(proof).statements)

    async def _drive(self, count: int) -> float:
        async with connect(self._sender.socket, self._sender.token) as there:
            prepared = await _several(lambda: prepare(there, self._between, size=RECORD), count)
        await asyncio.to_thread(os.sync)
        return await drive(self._sender, self._recipient, [each.offer for each in prepared])

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Client, Client, Watch, Watch]]:
        async with (
            connect(self._sender.socket, self._sender.token) as there,
            connect(self._recipient.socket, self._recipient.token) as here,
            watching(there) as sent,
            watching(here) as received,
        ):
            yield there, here, sent, received


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A network of a directory and two associations, at work until the block ends."""
    profiles = demo.profiles(now=datetime.now(UTC))
    with Stage(folder).open() as stage:
        stage.found()
        houses = [stage.house(name, profiles[name]) for name in list(profiles)[:2]]
        for house in houses:
            stage.join(house)
            stage.start(house)
        yield Network(stage, *houses)


def _desk(house: House) -> Desk:
    socket = Path(house.environment["CORDEE_NODE_SOCKET"])
    token = Sessions(Path(house.environment["CORDEE_SESSION_FILE"])).token(socket)
    if token is None:
        raise RuntimeError(f"nobody is signed in at {house.name}")
    return Desk(socket=socket, token=token, member=MemberId(bytes.fromhex(house.member)))


async def _offered(there: Client, received: Watch, prepared: Prepared) -> bytes:
    transfer_id: bytes = (await there.transfers.OfferTransfer(prepared.offer)).transfer_id
    await received.until(transfer_id, "offered")
    return transfer_id


async def _erase(client: Client, desk: Desk, transfer_id: bytes) -> None:
    """Give the disk back before the next round."""
    told = await client.transfers.ReadTransfer(node_pb2.ReadTransferRequest(transfer_id=transfer_id))
    await client.cases.EraseCase(node_pb2.EraseCaseRequest(case_id=told.transfer.case_id))


async def _several(make: Callable[[], Awaitable[Prepared]], count: int) -> Sequence[Prepared]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> Prepared:
        async with places:
            return await make()

    return await asyncio.gather(*(one() for _ in range(count)))
