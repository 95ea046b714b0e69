"""A refusal that comes while its caller still sends keeps its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from cordee.errors import StorageFull
from cordee.runtime.rpc_errors import from_rpc_error, to_status
from cordee.runtime.upload_answers import answer_of

UPLOADS = 250  # without `answer_of` one in twenty loses its reason
PIECE = bytes(262_144)


async def full(requests: AsyncIterator[bytes], context: Any) -> bytes:
    """Refuses as soon as the first message is there."""
    await anext(aiter(requests))
    await context.abort_with_status(to_status(StorageFull(what="the attachments")))
    return b""


async def taken(requests: AsyncIterator[bytes], _: Any) -> bytes:
    return str(sum([len(each) async for each in requests])).encode()


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(4):
        yield PIECE


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    methods = {each.__name__: grpc.stream_unary_rpc_method_handler(each) for each in (full, taken)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Uploads", methods),))
    server.add_insecure_port(f"unix:{tmp_path}/s")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        yield channel
    await server.stop(None)


async def test_each_of_many_refused_uploads_says_why(line: grpc.aio.Channel) -> None:
    reasons = set()
    for _ in range(UPLOADS):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await answer_of(line.stream_unary("/Uploads/full")(pieces()))
        reasons.add(str(from_rpc_error(refused.value)))
    assert reasons == {str(StorageFull(what="the attachments"))}


async def test_an_upload_that_is_taken_is_answered_as_ever(line: grpc.aio.Channel) -> None:
    assert await answer_of(line.stream_unary("/Uploads/taken")(pieces())) == b"1048576"


async def test_a_call_that_nobody_answers_is_unavailable(tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/nobody") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await answer_of(channel.stream_unary("/Uploads/full")(pieces()))
    assert away.value.code() is grpc.StatusCode.UNAVAILABLE
