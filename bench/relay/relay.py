"""The relay's process: `python -m bench.relay.relay FOLDER`, with server.key, server.der and ca.der in that folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio

from bench.relay.blocks import PIECE, append, pieces
from cordee.runtime.tls import TransportKey, server_credentials
from cordee.v1 import mailbox_pb2, mailbox_pb2_grpc

__all__ = ["Relay", "serve"]


class Relay(mailbox_pb2_grpc.MailboxServicer):
    """Stores what is put under an id, gives it back, and no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def Put(self, requests: AsyncIterator[mailbox_pb2.PutRequest], context: Any) -> mailbox_pb2.PutResponse:
        """Append, fsync, answer."""
        first = await anext(aiter(requests))

        async def chunks() -> AsyncIterator[bytes]:
            yield first.data
            async for request in requests:
                yield request.data

        size = await append(self._folder / first.transfer_id.hex(), chunks(), durable=True)
        return mailbox_pb2.PutResponse(size=size)

    async def Get(self, request: mailbox_pb2.GetRequest, context: Any) -> AsyncIterator[mailbox_pb2.GetResponse]:
        """From the start to the end."""
        async for piece in pieces(self._folder / request.transfer_id.hex()):
            yield mailbox_pb2.GetResponse(data=piece)

    async def Stat(self, request: mailbox_pb2.StatRequest, context: Any) -> mailbox_pb2.StatResponse:
        """Never called here."""
        raise NotImplementedError


async def serve(folder: Path) -> None:
    """Until SIGTERM."""
    key = TransportKey.from_pem((folder / "server.key").read_bytes())
    root = (folder / "ca.der").read_bytes()
    credentials = server_credentials(key=key, certificate=(folder / "server.der").read_bytes(), root=root)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 2 * PIECE)])
    mailbox_pb2_grpc.add_MailboxServicer_to_server(Relay(folder), server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(json.dumps({"ready": True, "port": port, "pid": os.getpid()}), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
