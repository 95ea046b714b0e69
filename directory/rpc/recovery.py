"""Recovery: for whoever holds what the directory has lost. What is given proves itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from cordee.runtime.interceptors import address_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from directory.recovery import Recovery

__all__ = ["RecoveryServicer"]

_LONGEST = 600  # seconds; a few tens of megabytes over a slow line


class RecoveryServicer(directory_pb2_grpc.RecoveryServicer):
    """See `Recovery`."""

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery

    async def GiveBack(self, requests: AsyncIterator[pb.GiveBackRequest], context: Any) -> pb.GiveBackResponse:
        """Entries and cards."""
        async with asyncio.timeout(_LONGEST):
            taken = await self._recovery.take(requests, giver=address_of(context.peer()))
        return pb.GiveBackResponse(entries=taken.entries, cards=taken.cards)
