"""The directory's front, for a member that is cut off: the log, and the objection to a new key, by signature alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from cordee.errors import N_
from cordee.ids import MemberId
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import channel
from cordee.signing import SigningKey
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2, directory_pb2_grpc, statements_pb2
from node.hearsay import reading_the_roster
from node.joining import Membership

__all__ = ["FrontDesk"]

_CALL_SECONDS = 30.0
_LOG_SECONDS = 600.0
_PEER = N_("The directory")


class FrontDesk:
    """Stands in the place of `DirectoryClient` where the roster is followed: the log is there, cards are not."""

    def __init__(
        self,
        membership: Callable[[], Membership],
        member: MemberId,
        key: Callable[[], SigningKey],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        """`membership` and `key` are asked for at each call: both may change."""
        self._membership = membership
        self._member = member
        self._key = key
        self._now = now
        self._random = random
        self._note = ""

    async def entries(self, *, start: int) -> AsyncIterator[statements_pb2.Entry]:
        """The entries from an index on; the note that covers them is kept for `checkpoint`."""
        membership = self._membership()
        query = statements_pb2.JoinStatusQuery(
            network=membership.network, member=self._member, time=timestamp_of(self._now()), nonce=self._random(16)
        )
        request = directory_pb2.EnrolmentReadLogRequest(query=self._key().sign(query).to_message(), start=start)
        async with channel(membership.front, root=membership.ca_certificate) as line:
            call = directory_pb2_grpc.EnrolmentStub(line).ReadLog(request, timeout=_LOG_SECONDS)
            with reading_the_roster(), reaching(_PEER):
                async for part in call:
                    if part.WhichOneof("part") == "entry":
                        yield part.entry
                    else:
                        self._note = part.checkpoint

    async def checkpoint(self) -> str:
        """The note that came with the entries."""
        return self._note

    async def cards(self, *, after_revision: int) -> AsyncIterator[directory_pb2.ListCardsResponse]:
        """None: they are for members in good standing."""
        nothing: tuple[directory_pb2.ListCardsResponse, ...] = ()
        for each in nothing:
            yield each

    async def object(self, entry: statements_pb2.Entry) -> None:
        """Hand in a RecoveryObjected."""
        membership = self._membership()
        async with channel(membership.front, root=membership.ca_certificate) as line:
            with reaching(_PEER):
                await directory_pb2_grpc.EnrolmentStub(line).Object(
                    directory_pb2.ObjectRequest(entry=entry), timeout=_CALL_SECONDS
                )
