"""What the other end answered to a stream of messages, also where it did not wait for the last of them.

gRPC's client for asyncio writes INTERNAL over an answer that comes while a message is being sent
(grpc/aio/_call.py, `_write`): "the disk is full" then reads as a fault of nobody's. What it was told first is kept.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
import grpc.aio

__all__ = ["answer_of"]

T = TypeVar("T")

_NO_REFUSAL = frozenset({grpc.StatusCode.OK, grpc.StatusCode.INTERNAL})


async def answer_of(call: grpc.aio.StreamUnaryCall[Any, T]) -> T:
    """The answer. Raises: AioRpcError with what the other end answered instead."""
    told: list[grpc.aio.AioRpcError] = []

    def keep(ended: Any) -> None:
        answers = (ended.code(), ended.trailing_metadata(), ended.details())
        code, trailing, details = (_at_hand(each) for each in answers)
        told.append(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details))

    call.add_done_callback(keep)  # called at once where it has ended, and before anything is written over it
    try:
        return await call
    except grpc.aio.AioRpcError as last:
        first = told[0] if told else last
        if last.code() is grpc.StatusCode.INTERNAL and first.code() not in _NO_REFUSAL:
            raise first from None
        raise


def _at_hand(answer: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing to wait for. Raises: RuntimeError where it has."""
    try:
        answer.send(None)
    except StopIteration as done:
        return done.value
    answer.close()
    raise RuntimeError("a call that has ended does not know its end")
