"""How every command of a node's own people reaches the node: one channel, its services, errors with their reason."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc

from cordee.errors import NodeNotRunning, Unreachable
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.runtime.upload_answers import answer_of
from cordee.v1 import node_pb2_grpc
from node.rpc.address import target

__all__ = ["Client", "connect"]

_CALL_SECONDS = 120.0
_STREAM_SECONDS = 3600.0
_OPTIONS = (
    ("grpc.max_receive_message_length", 16 << 20),  # a case with a long life
    ("grpc.enable_retries", 0),  # what a person asked for is done once
)


class _SignedChannel:
    """A channel that adds the session token and a deadline to every call."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def _with(self, call: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        return functools.partial(call, metadata=self._metadata, timeout=seconds)

    def unary_unary(self, *method: Any, **coding: Any) -> Callable[..., Any]:
        return self._with(self._channel.unary_unary(*method, **coding), _CALL_SECONDS)

    def unary_stream(self, *method: Any, **coding: Any) -> Callable[..., Any]:
        return self._with(self._channel.unary_stream(*method, **coding), _STREAM_SECONDS)

    def stream_unary(self, *method: Any, **coding: Any) -> Callable[..., Any]:
        call = self._with(self._channel.stream_unary(*method, **coding), _STREAM_SECONDS)
        return lambda requests: answer_of(call(requests))


class Client:
    """The services of one node, as one person's session may use them."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        signed = cast(grpc.aio.Channel, _SignedChannel(channel, token))
        self.sessions = node_pb2_grpc.SessionsStub(signed)
        self.accounts = node_pb2_grpc.AccountsStub(signed)
        self.teams = node_pb2_grpc.TeamsStub(signed)
        self.cases = node_pb2_grpc.CasesStub(signed)
        self.consents = node_pb2_grpc.ConsentsStub(signed)
        self.members = node_pb2_grpc.MembersStub(signed)
        self.transfers = node_pb2_grpc.TransfersStub(signed)
        self.audit = node_pb2_grpc.AuditStub(signed)
        self.info = node_pb2_grpc.NodeInfoStub(signed)


@asynccontextmanager
async def connect(socket: Path, token: str | None = None) -> AsyncIterator[Client]:
    """A client of the node behind `socket`. What a call inside is refused with is raised as its own class.

    Raises: InvalidInput for a path that is too long; NodeNotRunning where nobody answers; what the node answers.
    """
    where = _listening(socket)
    async with grpc.aio.insecure_channel(where, options=_OPTIONS) as channel:
        try:
            yield Client(channel, token)
        except grpc.aio.AioRpcError as error:
            refusal = from_rpc_error(error, peer=str(socket))
            if isinstance(refusal, Unreachable) and "code" in refusal.facts:  # no answer of ours: nobody listens
                refusal = NodeNotRunning(socket=socket)
            raise refusal from None


def _listening(socket: Path) -> str:
    where = target(socket)
    if not socket.is_socket():
        raise NodeNotRunning(socket=socket)
    return where
