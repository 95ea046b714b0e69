"""A node without its work: `python -m bench.skeleton.node FOLDER NAME PORT SOCKET SIZES [PEER]`.

In FOLDER: ca.der, NAME.key, NAME.der. It does what a node's tools see of a transfer, and makes the calls of one.
With PEER (and NAME.seeds, PEER.public in FOLDER) it does the cryptography of a transfer with that one too, in the
event loop: a real node signs and decrypts in threads, which costs more on two processors and gains nothing here.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import node.rpc.bounds  # noqa: F401 - registers the bounds of the node's own requests
from bench.skeleton.protected import OwnKeys, Protected, PublicKeys
from bench.skeleton.sizes import Sizes
from bench.skeleton.work import Bare, Work, kind_of
from cordee.ids import TransferId
from cordee.runtime.interceptors import Gate
from cordee.runtime.server import Server
from cordee.runtime.tls import TransportKey, channel
from cordee.v1 import (
    directory_pb2,
    directory_pb2_grpc,
    mailbox_pb2,
    mailbox_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    statements_pb2,
)

__all__ = ["Node", "serve"]

_PIECE = 262_144
_SECONDS = 30.0


class Node(node_pb2_grpc.TransfersServicer):
    """Both halves of a transfer, hollow but for what `work` does."""

    def __init__(self, connection: Any, sizes: Sizes, work: Work) -> None:
        self._sizes = sizes
        self._work = work
        self._broker = directory_pb2_grpc.BrokerStub(connection)
        self._events = directory_pb2_grpc.EventsStub(connection)
        self._mailbox = mailbox_pb2_grpc.MailboxStub(connection)
        self._peers: dict[bytes, bytes] = {}
        self._watchers: set[asyncio.Queue[node_pb2.TransferRecord]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- what the tools call ----

    async def OfferTransfer(
        self, request: node_pb2.OfferTransferRequest, context: Any
    ) -> node_pb2.OfferTransferResponse:
        """Answered at once; the offer goes out by itself, as it does from an outbox."""
        transfer_id = TransferId(os.urandom(TransferId.length))
        self._peers[transfer_id] = request.content.recipient
        self._begin(self._submit(self._work.offer(transfer_id)))
        self._tell(transfer_id, "offered", direction="out")
        return node_pb2.OfferTransferResponse(transfer_id=transfer_id)

    async def AcceptTransfer(
        self, request: node_pb2.AcceptTransferRequest, context: Any
    ) -> node_pb2.AcceptTransferResponse:
        """As for an offer."""
        self._begin(self._submit(self._work.answer(TransferId(request.transfer_id))))
        return node_pb2.AcceptTransferResponse(transfer=self._tell(request.transfer_id, "accepted"))

    async def WatchTransfers(
        self, request: node_pb2.WatchTransfersRequest, context: Any
    ) -> AsyncIterator[node_pb2.WatchTransfersResponse]:
        """Every change from now on."""
        changes: asyncio.Queue[node_pb2.TransferRecord] = asyncio.Queue()
        self._watchers.add(changes)
        try:
            while True:
                yield node_pb2.WatchTransfersResponse(transfer=await changes.get())
        finally:
            self._watchers.discard(changes)

    # ---- what the directory tells ----

    async def listen(self) -> None:
        """For ever."""
        async for event in self._events.Watch(directory_pb2.WatchRequest()):
            if event.WhichOneof("kind") != "statement":
                continue
            kind = kind_of(event.statement)
            transfer_id = TransferId(event.statement.body[: TransferId.length])
            self._work.hear(transfer_id, event.statement)
            if kind == "Offer":
                self._tell(transfer_id, "offered")
            elif kind == "Answer":
                self._tell(transfer_id, "accepted", direction="out")
                self._begin(self._ship(transfer_id))
            elif kind == "Shipment":
                self._tell(transfer_id, "shipped")
                self._begin(self._fetch(transfer_id))
            else:
                self._tell(transfer_id, "received", direction="out")

    async def _ship(self, transfer_id: TransferId) -> None:
        ciphertext = self._work.pack(transfer_id)
        held = await self._mailbox.Stat(mailbox_pb2.StatRequest(transfer_id=transfer_id), timeout=_SECONDS)

        async def requests() -> AsyncIterator[mailbox_pb2.PutRequest]:
            request = mailbox_pb2.PutRequest(transfer_id=transfer_id, offset=held.size)
            for start in range(0, len(ciphertext), _PIECE):
                request.data = ciphertext[start : start + _PIECE]
                yield request
                request = mailbox_pb2.PutRequest()

        await self._mailbox.Put(requests(), timeout=_SECONDS)
        statement = self._work.shipment(transfer_id)
        self._tell(transfer_id, "shipped", direction="out")
        await self._submit(statement)

    async def _fetch(self, transfer_id: TransferId) -> None:
        ciphertext = bytearray()
        async for answer in self._mailbox.Get(mailbox_pb2.GetRequest(transfer_id=transfer_id), timeout=_SECONDS):
            ciphertext += answer.data
        if len(ciphertext) != self._sizes.ciphertext:
            raise RuntimeError(f"{len(ciphertext)} bytes came, {self._sizes.ciphertext} were sent")
        self._work.unpack(transfer_id, bytes(ciphertext))
        statement = self._work.receipt(transfer_id)
        self._tell(transfer_id, "received")
        await self._submit(statement)

    async def _submit(self, statement: statements_pb2.Signed) -> None:
        await self._broker.Submit(directory_pb2.SubmitRequest(statement=statement), timeout=_SECONDS)

    def _tell(self, transfer_id: bytes, state: str, *, direction: str = "in") -> node_pb2.TransferRecord:
        record = node_pb2.TransferRecord(
            transfer_id=transfer_id,
            direction=direction,
            peer=self._peers.get(transfer_id, bytes(16)),
            peer_name="An association with a name",
            state=state,
            kind="transfer",
            purpose="specialised_support",
            case_id="00000000-0000-4000-8000-000000000000",
            bytes_total=self._sizes.ciphertext,
            sentence="A sentence of the usual length about what happens next.",
        )
        for when in (record.open_time, record.update_time, record.expire_time):
            when.GetCurrentTime()
        for watcher in self._watchers:
            watcher.put_nowait(record)
        return record

    def _begin(self, step: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(step)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            print(f"{type(failure).__name__}: {failure}", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)  # the driver must not wait for a call that failed


async def serve(folder: Path, name: str, port: int, socket: Path, sizes: Sizes, peer: str = "") -> None:
    """Until SIGTERM. Raises: ValueError where the sizes are not those of a real transfer and `peer` is given."""
    work: Work = Bare(sizes)
    if peer:
        work = Protected(sizes, OwnKeys.read(folder, name), PublicKeys.read(folder, peer))
    connection = channel(
        f"127.0.0.1:{port}",
        root=(folder / "ca.der").read_bytes(),
        key=TransportKey.from_pem((folder / f"{name}.key").read_bytes()),
        certificate=(folder / f"{name}.der").read_bytes(),
    )
    async with connection:
        await asyncio.wait_for(connection.channel_ready(), _SECONDS)
        hollow = Node(connection, sizes, work)  # type: ignore[abstract]  # what no transfer needs is left out
        server = Server(Gate(guard=None, limits=None))
        transfers = node_pb2.DESCRIPTOR.services_by_name["Transfers"]
        server.add(transfers, node_pb2_grpc.add_TransfersServicer_to_server, hollow)
        server.listen_on_socket(socket)
        await server.start()
        listening = asyncio.create_task(hollow.listen())
        print(json.dumps({"ready": True, "socket": str(socket), "pid": os.getpid()}), flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        listening.add_done_callback(lambda _: stop.set())
        await stop.wait()
        listening.cancel()
        await server.stop(0.5)


if __name__ == "__main__":
    _folder, _name, _port, _socket, _sizes, *_peer = sys.argv[1:]
    asyncio.run(serve(Path(_folder), _name, int(_port), Path(_socket), Sizes.from_json(_sizes), *_peer))
