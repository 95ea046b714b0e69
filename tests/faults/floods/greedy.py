"""A member that is hostile above HTTP/2: its calls are well made, and there is no end to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc, mailbox_pb2, mailbox_pb2_grpc
from tests.faults.floods.lines import Target

__all__ = ["calls"]

_CONNECTIONS, _TASKS = 24, 16  # of each kind on each


def _credentials(target: Target) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        *(Path(each).read_bytes() for each in (target.root, target.key, target.certificate))
    )


async def calls(target: Target, going_on: Callable[[], bool]) -> int:
    """How many were made, whatever came of them."""
    done = 0
    credentials = _credentials(target)
    options = [("grpc.ssl_target_name_override", target.name), ("grpc.use_local_subchannel_pool", 1)]
    address = f"{target.host}:{target.port}"
    lines = [grpc.aio.secure_channel(address, credentials, options=options) for _ in range(_CONNECTIONS)]

    async def repeat(call: Callable[[], Awaitable[Any]]) -> None:
        nonlocal done
        while going_on():
            try:
                await call()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0)
            done += 1

    async def held(line: grpc.aio.Channel) -> None:
        watching = directory_pb2_grpc.EventsStub(line).Watch(pb.WatchRequest(), timeout=1)
        await watching.read()
        await asyncio.sleep(0.5)

    def kinds(line: grpc.aio.Channel) -> list[Callable[[], Awaitable[Any]]]:
        roster, broker = directory_pb2_grpc.RosterStub(line), directory_pb2_grpc.BrokerStub(line)
        mailbox = mailbox_pb2_grpc.MailboxStub(line)
        return [
            lambda: roster.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5),
            lambda: broker.Submit(pb.SubmitRequest(), timeout=5),
            lambda: broker.GetTransfer(pb.GetTransferRequest(transfer_id=bytes(16)), timeout=5),
            lambda: mailbox.Stat(mailbox_pb2.StatRequest(transfer_id=bytes(16)), timeout=5),
            lambda: held(line),
        ]

    await asyncio.gather(
        *(repeat(call) for line in lines for call in kinds(line) for _ in range(_TASKS // len(kinds(line)) + 1))
    )
    for line in lines:
        await line.close()
    return done
