"""One party's process, connected beforehand: `python -m bench.relay.party FOLDER PORT`.

It takes one JSON line at a time, {"do": "put" or "get", "id": hex, "path": …}, and answers {"size": …} when it is done.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from bench.relay.blocks import append, pieces
from cordee.runtime.tls import TransportKey, channel
from cordee.v1 import mailbox_pb2, mailbox_pb2_grpc

__all__ = ["work"]

_SECONDS = 900


async def work(folder: Path, port: int) -> None:
    """Until the input ends."""
    connection = channel(
        f"127.0.0.1:{port}",
        root=(folder / "ca.der").read_bytes(),
        key=TransportKey.from_pem((folder / "client.key").read_bytes()),
        certificate=(folder / "client.der").read_bytes(),
    )
    async with connection:
        await asyncio.wait_for(connection.channel_ready(), 30)
        stub = mailbox_pb2_grpc.MailboxStub(connection)
        print(json.dumps({"ready": True, "pid": os.getpid()}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            act = _put if order["do"] == "put" else _get
            size = await asyncio.wait_for(act(stub, bytes.fromhex(order["id"]), Path(order["path"])), _SECONDS)
            print(json.dumps({"size": size}), flush=True)


async def _put(stub: mailbox_pb2_grpc.MailboxStub, transfer_id: bytes, path: Path) -> int:
    async def requests() -> AsyncIterator[mailbox_pb2.PutRequest]:
        request = mailbox_pb2.PutRequest(transfer_id=transfer_id)
        async for piece in pieces(path):
            request.data = piece
            yield request
            request = mailbox_pb2.PutRequest()

    return (await stub.Put(requests())).size


async def _get(stub: mailbox_pb2_grpc.MailboxStub, transfer_id: bytes, path: Path) -> int:
    call = stub.Get(mailbox_pb2.GetRequest(transfer_id=transfer_id))

    async def chunks() -> AsyncIterator[bytes]:
        async for answer in call:
            yield answer.data

    return await append(path, chunks(), durable=False)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
