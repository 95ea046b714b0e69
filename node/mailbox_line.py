"""Calls to a host of mailboxes, the directory or another member's node (protocol §8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import grpc.aio

from cordee.errors import N_, Unreachable
from cordee.ids import TransferId
from cordee.runtime.mailbox_wire import MailboxCalls, Piece
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.runtime.upload_answers import answer_of
from cordee.v1 import mailbox_pb2

__all__ = ["CALL_SECONDS", "TRANSFER_SECONDS", "MailboxHost", "MailboxLine", "answered", "ending_as_ours"]

CALL_SECONDS = 30.0
TRANSFER_SECONDS = 3600.0

_T = TypeVar("_T")


class MailboxHost(Protocol):
    """Where a sender leaves ciphertext. Raises what the host answers, or Unreachable where it does not."""

    async def waiting_bytes(self, transfer: TransferId, *, begins: bytes = b"") -> int:
        """How much of a ciphertext it holds durably; with its header, `begins`, nothing of another packing's."""
        ...

    async def put(
        self,
        transfer: TransferId,
        *,
        offset: int,
        pieces: AsyncIterator[bytes],
        anew: bool = False,
        begins: bytes = b"",
    ) -> int:
        """Append; what it holds durably afterwards. `anew`, from offset 0, replaces what it held; with the ciphertext's
        header, `begins`, nothing is appended to another packing's (OffsetBeyondEnd).
        """
        ...


class MailboxLine:
    """The service Mailbox over one channel. The channel is its owner's."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._calls = MailboxCalls(channel)

    async def waiting_bytes(self, transfer: TransferId, *, begins: bytes = b"", seconds: float = CALL_SECONDS) -> int:
        """How much of a ciphertext the host holds durably; the answer may take so many `seconds`. With the ciphertext's
        header, `begins`, nothing where it holds another packing's, or does not say whose.
        """
        request = mailbox_pb2.StatRequest(transfer_id=transfer)
        answer: mailbox_pb2.StatResponse = await answered(self._calls.Stat(request, timeout=seconds))
        return answer.size if answer.begins == begins[: answer.size] or not begins else 0

    async def put(
        self,
        transfer: TransferId,
        *,
        offset: int,
        pieces: AsyncIterator[bytes],
        anew: bool = False,
        begins: bytes = b"",
    ) -> int:
        """Append; what the host holds durably afterwards. `anew`, from offset 0, replaces what it held; with the
        ciphertext's header, `begins`, nothing is appended to another packing's (OffsetBeyondEnd).
        """

        async def requests() -> AsyncIterator[mailbox_pb2.PutRequest | Piece]:
            begun = False
            async for piece in pieces:
                if begun:
                    yield Piece(piece)
                else:
                    yield mailbox_pb2.PutRequest(
                        transfer_id=transfer, offset=offset, anew=anew, begins=begins, data=piece
                    )
                    begun = True

        call = self._calls.Put(requests(), timeout=TRANSFER_SECONDS)
        answer: mailbox_pb2.PutResponse = await answered(answer_of(call))
        return answer.size

    async def get(self, transfer: TransferId, *, offset: int) -> AsyncGenerator[bytes | memoryview, None]:
        """Read from an offset to the end."""
        request = mailbox_pb2.GetRequest(transfer_id=transfer, offset=offset)
        call = self._calls.Get(request, timeout=TRANSFER_SECONDS)
        try:
            with ending_as_ours():
                async for answer in call:
                    yield answer.data
        finally:
            call.cancel()


async def answered(call: Awaitable[_T]) -> _T:
    """The answer. Raises the CordeeError that was answered instead, or Unreachable."""
    with ending_as_ours():
        return await call


@contextmanager
def ending_as_ours() -> Iterator[None]:
    """What the other answered is raised as the error that it raised. A call whose connection was exchanged under it
    is Unreachable, so that it is made again: gRPC says that it was cancelled, and its task would end with it.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unreachable(peer=N_("The directory")) from None
