"""An administrator's line to the directory's front: every call is a command signed here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from cordee.errors import N_, CordeeError, NotFound, RemoteFailure
from cordee.ids import MemberId, NetworkId
from cordee.members import Roster, authority_digest
from cordee.runtime.clock import Clock
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import bundle_of, channel
from cordee.signing import SigningKey
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administrator.applicants import Applicant, read_applicant
from directory.administrator.home import LogCopy

__all__ = ["FrontClient", "connected", "submit_genesis"]

_CALL_SECONDS = 30.0
_LOG_SECONDS = 600.0
_PEER = N_("The directory")


class _Common(TypedDict):
    network: bytes
    time: Timestamp
    nonce: bytes


class FrontClient:
    """Calls of one administrator. What the directory refuses comes back as the error that it raised."""

    def __init__(
        self,
        stub: directory_pb2_grpc.AdministrationStub,
        enrolment: directory_pb2_grpc.EnrolmentStub,
        *,
        network: NetworkId,
        key: SigningKey,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._stub = stub
        self._enrolment = enrolment
        self._network = network
        self._key = key
        self._clock = clock
        self._random = random

    async def sync(self, log: LogCopy) -> Roster:
        """Bring the copy of the log up to date, verified. Raises: as `LogCopy.extend`."""
        command = self._signed(v1.ReadLog(**self._common(), start=log.size))
        entries: list[v1.Entry] = []
        checkpoint = ""
        with reaching(_PEER):
            async for part in self._stub.ReadLog(pb.ReadLogRequest(command=command), timeout=_LOG_SECONDS):
                if part.WhichOneof("part") == "entry":
                    entries.append(part.entry)
                else:
                    checkpoint = part.checkpoint
        return log.extend(entries, checkpoint, now=self._clock.now())

    async def authorities(self, roster: Roster) -> bytes:
        """The CAs that the verified log trusts now, as a bundle: what the directory gives counts by its digest only.

        Raises: NotFound where it does not give the one in force.
        """
        with reaching(_PEER):
            answer = await self._enrolment.ListAuthorities(pb.ListAuthoritiesRequest(), timeout=_CALL_SECONDS)
        trusted = roster.trusted(self._clock.now())
        given = {authority_digest(each): each for each in answer.certificates}
        if trusted[0] not in given:
            raise NotFound(what=N_("certification authority"))
        return bundle_of(given[digest] for digest in trusted if digest in given)

    async def invite(self, **fields: Any) -> None:
        """Register an invitation: the fields of CreateInvitation but network, time and nonce."""
        command = self._signed(v1.CreateInvitation(**self._common(), **fields))
        with reaching(_PEER):
            await self._stub.CreateInvitation(pb.CreateInvitationRequest(command=command), timeout=_CALL_SECONDS)

    async def applicants(self, roster: Roster) -> tuple[list[tuple[Applicant, int]], list[CordeeError]]:
        """Those who asked to join, each with the state that the directory tells; and why others are not believed."""
        command = self._signed(v1.ListJoinRequests(**self._common()))
        with reaching(_PEER):
            answer = await self._stub.ListJoinRequests(
                pb.ListJoinRequestsRequest(command=command), timeout=_CALL_SECONDS
            )
        good: list[tuple[Applicant, int]] = []
        bad: list[CordeeError] = []
        for record in answer.requests:
            try:
                good.append((read_applicant(record, roster), record.state))
            except CordeeError as doubt:
                bad.append(doubt)
        return good, bad

    async def refuse(self, member: MemberId, reason: str) -> None:
        """Tell an applicant that it is not admitted."""
        command = self._signed(v1.RefuseJoinRequest(**self._common(), member=member, reason=reason))
        with reaching(_PEER):
            await self._stub.RefuseJoinRequest(pb.RefuseJoinRequestRequest(command=command), timeout=_CALL_SECONDS)

    async def pending(self) -> list[v1.Entry]:
        """Entries that want signatures, as the directory tells; nothing of them is checked yet."""
        command = self._signed(v1.ListPendingEntries(**self._common()))
        with reaching(_PEER):
            answer = await self._stub.ListPendingEntries(
                pb.ListPendingEntriesRequest(command=command), timeout=_CALL_SECONDS
            )
        return list(answer.entries)

    async def sign_entry(self, entry: v1.Entry) -> pb.SignEntryResponse:
        """Hand in an entry with this administrator's signature."""
        with reaching(_PEER):
            answer: pb.SignEntryResponse = await self._stub.SignEntry(
                pb.SignEntryRequest(entry=entry), timeout=_CALL_SECONDS
            )
        return answer

    def _common(self) -> _Common:
        return _Common(network=self._network, time=timestamp_of(self._clock.now()), nonce=self._random(16))

    def _signed(self, command: Any) -> v1.Signed:
        return self._key.sign(command).to_message()


@asynccontextmanager
async def connected(
    front: str,
    *,
    root: bytes,
    network: NetworkId,
    key: SigningKey,
    clock: Clock,
    random: Callable[[int], bytes],
) -> AsyncIterator[FrontClient]:
    """A line to the front listener at "host:port", which must be certified by the CA `root` (DER)."""
    async with channel(front, root=root) as line:
        stub = directory_pb2_grpc.AdministrationStub(line)
        enrolment = directory_pb2_grpc.EnrolmentStub(line)
        yield FrontClient(stub, enrolment, network=network, key=key, clock=clock, random=random)


async def submit_genesis(front: str, *, root: bytes, genesis: v1.Entry, network: NetworkId) -> None:
    """Found the network. Raises: AlreadyFounded, GenesisRefused, EntryRefused; RemoteFailure for a wrong answer."""
    async with channel(front, root=root) as line:
        stub = directory_pb2_grpc.AdministrationStub(line)
        with reaching(_PEER):
            answer = await stub.Found(pb.FoundRequest(genesis=genesis), timeout=_CALL_SECONDS)
    if answer.network != network:
        raise RemoteFailure(peer=_PEER, code=N_("another network"))
