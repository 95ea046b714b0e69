"""An administrator's line to the directory's front: every call is a command signed here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from cordee.card import Card
from cordee.errors import N_, CardRefused, CordeeError, IntegrityFailure, NotFound, RemoteFailure, RosterForked
from cordee.ids import MemberId, NetworkId
from cordee.members import Roster, authority_digest
from cordee.profile import Profile
from cordee.runtime.clock import Clock
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import bundle_of, channel
from cordee.signing import Signed, SigningKey, parse_body
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administrator import evidence
from directory.administrator.applicants import Applicant, Invited, read_applicant, read_invited
from directory.administrator.home import LogCopy
from directory.administrator.standings import Standing, read_standing
from directory.administrator.stopwatch import NodeKnows, read_node

__all__ = ["FrontClient", "PublishedProfile", "connected", "submit_genesis"]

_CALL_SECONDS = 30.0
_LOG_SECONDS = 600.0
_MAX_NODES = 10_000
_MAX_ANSWERS = 1_000  # to one question: more than any network has requests
_PEER = N_("The directory")


class _Common(TypedDict):
    network: bytes
    time: Timestamp
    nonce: bytes


@dataclass(frozen=True)
class PublishedProfile:
    """What a member publishes of itself now."""

    number: int
    profile: Profile
    refused: str
    """Why the office refused it, as the directory tells; empty where it did not."""


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
        """Bring the copy of the log up to date, verified. What it refuses is kept as evidence beside the copy.

        Raises: as `LogCopy.extend`.
        """
        known = log.size
        entries, checkpoint = await self._read(start=known)
        try:
            return log.extend(entries, checkpoint, now=self._clock.now())
        except IntegrityFailure as refusal:
            await evidence.keep(log, size=known, shown=checkpoint, refusal=refusal, fetch=self._whole)
            raise

    async def _whole(self) -> list[v1.Entry]:
        return (await self._read(start=0))[0]

    async def _read(self, *, start: int) -> tuple[list[v1.Entry], str]:
        """Entries from an index on, and the checkpoint; nothing of them is checked yet."""
        command = self._signed(v1.ReadLog(**self._common(), start=start))
        entries: list[v1.Entry] = []
        checkpoint = ""
        with reaching(_PEER):
            async for part in self._stub.ReadLog(pb.ReadLogRequest(command=command), timeout=_LOG_SECONDS):
                if part.WhichOneof("part") == "entry":
                    entries.append(part.entry)
                else:
                    checkpoint = part.checkpoint
        return entries, checkpoint

    async def authorities(self, roster: Roster) -> bytes:
        """The CAs that the verified log trusts now, as a bundle: what the directory gives counts by its digest only.

        Raises: NotFound where it does not give the one in force.
        """
        with reaching(_PEER):
            answer = await self._enrolment.ListAuthorities(pb.EnrolmentListAuthoritiesRequest(), timeout=_CALL_SECONDS)
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
        requests, _ = await self._asked()
        good: list[tuple[Applicant, int]] = []
        bad: list[CordeeError] = []
        for record in requests:
            try:
                good.append((read_applicant(record, roster), record.state))
            except CordeeError as doubt:
                bad.append(doubt)
        return good, bad

    async def _asked(self) -> tuple[list[pb.JoinRequestRecord], list[v1.Signed]]:
        """All requests to join and all open invitations, as the directory tells; nothing of them is checked yet."""
        requests: list[pb.JoinRequestRecord] = []
        invitations: list[v1.Signed] = []
        for _ in range(_MAX_ANSWERS):
            told = v1.ListJoinRequests(**self._common(), start=len(requests), start_invitations=len(invitations))
            with reaching(_PEER):
                answer = await self._stub.ListJoinRequests(
                    pb.ListJoinRequestsRequest(command=self._signed(told)), timeout=_CALL_SECONDS
                )
            requests += answer.requests
            invitations += answer.open_invitations
            if not answer.more:
                return requests, invitations
        raise RemoteFailure(peer=_PEER, code=N_("requests without end"))

    async def invited(self, roster: Roster) -> list[Invited]:
        """Who has an invitation and has not asked yet; one whose invitation does not verify is left out."""
        _, invitations = await self._asked()
        found = []
        for signed in invitations:
            with contextlib.suppress(CordeeError):
                found.append(read_invited(signed, roster))
        return found

    async def refuse(self, member: MemberId, reason: str) -> None:
        """Tell an applicant that it is not admitted."""
        command = self._signed(v1.RefuseJoinRequest(**self._common(), member=member, reason=reason))
        with reaching(_PEER):
            await self._stub.RefuseJoinRequest(pb.RefuseJoinRequestRequest(command=command), timeout=_CALL_SECONDS)

    async def profile(self, member: MemberId, roster: Roster) -> PublishedProfile:
        """What a member publishes of itself, verified here.

        Raises: CardRefused, CardExpired, NotFound, InvalidRecord.
        """
        command = self._signed(v1.ReadCard(**self._common(), member=member))
        with reaching(_PEER):
            answer = await self._stub.ReadCard(pb.ReadCardRequest(command=command), timeout=_CALL_SECONDS)
        signed = Signed.from_message(answer.card)
        card = Card.parse(signed, roster, now=self._clock.now(), profile=answer.profile)
        if card.member != member:
            raise CardRefused(member=member.hex(), problem=N_("it is another member's"))
        refused = ""
        if answer.HasField("refusal"):
            refused = parse_body(Signed.from_message(answer.refusal), v1.RefuseCard).reason
        profile = Profile.parse(answer.profile, *roster.members[member].registrations)
        return PublishedProfile(number=card.number, profile=profile, refused=refused)

    async def refuse_profile(self, member: MemberId, number: int, reason: str) -> None:
        """Tell a member what must not stand in its profile."""
        command = self._signed(v1.RefuseCard(**self._common(), member=member, number=number, reason=reason))
        with reaching(_PEER):
            await self._stub.RefuseCard(pb.RefuseCardRequest(command=command), timeout=_CALL_SECONDS)

    async def figures(self, year: int) -> pb.YearFigures:
        """What the directory tells of a year, as it came. Raises: YearNotClosed, NotFound."""
        command = self._signed(v1.ReadFigures(**self._common(), year=year))
        with reaching(_PEER):
            answer = await self._stub.ReadFigures(pb.ReadFiguresRequest(command=command), timeout=_CALL_SECONDS)
        figures: pb.YearFigures = answer.figures
        return figures

    async def pending(self) -> list[v1.Entry]:
        """Entries that want signatures, as the directory tells; nothing of them is checked yet."""
        found: list[v1.Entry] = []
        for _ in range(_MAX_ANSWERS):
            command = self._signed(v1.ListPendingEntries(**self._common(), start=len(found)))
            with reaching(_PEER):
                answer = await self._stub.ListPendingEntries(
                    pb.ListPendingEntriesRequest(command=command), timeout=_CALL_SECONDS
                )
            found += answer.entries
            if not answer.more:
                return found
        raise RemoteFailure(peer=_PEER, code=N_("entries without end"))

    async def standings(self, roster: Roster) -> dict[MemberId, Standing]:
        """How each member stands, as the directory tells; what it cannot make up is verified. Only known members."""
        command = self._signed(v1.ListStandings(**self._common()))
        found: dict[MemberId, Standing] = {}
        with reaching(_PEER):
            async for told in self._stub.ListStandings(pb.ListStandingsRequest(command=command), timeout=_LOG_SECONDS):
                standing = read_standing(told, roster, now=self._clock.now())
                if standing is not None:
                    found[standing.member] = standing
        return found

    async def sign_entry(self, entry: v1.Entry) -> pb.SignEntryResponse:
        """Hand in an entry with this administrator's signature."""
        with reaching(_PEER):
            answer: pb.SignEntryResponse = await self._stub.SignEntry(
                pb.SignEntryRequest(entry=entry), timeout=_CALL_SECONDS
            )
        return answer

    async def nodes(
        self, log: LogCopy, *, heard_after: datetime | None = None
    ) -> tuple[dict[MemberId, NodeKnows], dict[MemberId, CordeeError]]:
        """What each member's node says that it knows of the log, and of whom that is not believed, and why.

        With `heard_after`, only of those that said something since. Brings the copy of the log up to date where a node
        knows more than we do. Raises: as `sync`.
        """
        after = timestamp_of(heard_after) if heard_after is not None else None
        command = self._signed(v1.ListHeldCheckpoints(**self._common(), heard_after=after))
        request = pb.ListHeldCheckpointsRequest(command=command)
        answers: dict[MemberId, pb.ListHeldCheckpointsResponse] = {}
        with reaching(_PEER):
            async for answer in self._stub.ListHeldCheckpoints(request, timeout=_LOG_SECONDS):
                answers[MemberId(answer.member)] = answer
                if len(answers) > _MAX_NODES:
                    raise RemoteFailure(peer=_PEER, code=N_("nodes without end"))
        roster = await self.sync(log)
        good: dict[MemberId, NodeKnows] = {}
        bad: dict[MemberId, CordeeError] = {}
        for member, answer in answers.items():
            try:
                good[member] = read_node(answer, roster, root_at=log.root_at, now=self._clock.now())
            except CordeeError as doubt:
                bad[member] = doubt
                if isinstance(doubt, RosterForked):
                    evidence.keep_word(log, answer.held)
        return good, bad

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
