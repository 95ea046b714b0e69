"""Joining: invitations, requests that spend them, and the certificate once the administrators have admitted."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from cordee.card import Card
from cordee.errors import (
    N_,
    AnotherStatement,
    InvalidInput,
    InvitationRefused,
    MalformedKey,
    MalformedStatement,
    NotAMember,
    NotFound,
    TooManyRequests,
    WrongNetwork,
    WrongParty,
)
from cordee.ids import KeyId, MemberId
from cordee.invitation import secret_digest
from cordee.joining import Progress
from cordee.members import MemberState, Roster, registration_digest
from cordee.profile import Profile
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.tls import issued_by, spki_digest_of_request
from cordee.signing import MAX_SIGNED, Signed, SigningPublicKey, member_id_of, parse_body, verify
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1
from directory.authority import RENEWAL, Authority
from directory.cards import CardIndex, put_card, require_reason, require_unused
from directory.commands import require_now
from directory.roster_store import RosterStore
from directory.store import micros, moment, table_of
from directory.store.membership import InvitationRow, JoinRequestRow
from directory.store.roster import PendingEntryRow

__all__ = ["JoinRecord", "JoinState", "Membership"]

_INVITATION, _JOIN, _PENDING = table_of(InvitationRow), table_of(JoinRequestRow), table_of(PendingEntryRow)
_NAMED = ("legal_name", "registration_number", "bound_by_secrecy")
_MAX_OPEN_BY_ONE = 200
_NAME, _NUMBER = 300, 40  # characters, as a profile may have them
_ADMITTED = v1.MemberAdmitted.DESCRIPTOR.full_name
_REMOVED = v1.MemberRemoved.DESCRIPTOR.full_name
_LEFT = v1.AdministratorRemoved.DESCRIPTOR.full_name
_ID_SIZE, _DIGEST_SIZE = 16, 32


class JoinState(StrEnum):
    """Where a request to join stands."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"


@dataclass(frozen=True)
class JoinRecord:
    """A request as administrators see it, with the invitation that one of them signed."""

    request: Signed
    invitation: Signed
    legal_name: str
    registration_number: str
    bound_by_secrecy: bool
    state: JoinState
    progress: Progress


@dataclass(frozen=True)
class JoinAnswer:
    """What an applicant is told."""

    state: JoinState
    progress: Progress
    certificate: bytes = b""

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return self.progress.reason


class Membership:
    """Invitations and requests. What it takes is checked; whether it is true, administrators find out by telephone."""

    def __init__(
        self, db: Database, rosters: RosterStore, authority: Authority, cards: CardIndex, clock: Clock
    ) -> None:
        self._db = db
        self._rosters = rosters
        self._authority = authority
        self._cards = cards
        self._clock = clock

    # ---- administrators ----

    async def invite(self, command: v1.CreateInvitation, signed: Signed) -> None:
        """Keep an invitation. The same id again is refused, unless by the same statement.

        Raises: InvalidInput, AnotherStatement, TooManyRequests.
        """
        if len(command.invitation) != _ID_SIZE or len(command.secret_digest) != _DIGEST_SIZE:
            raise InvalidInput(field="invitation", problem=N_("an id of 16 bytes and a digest of 32 are asked for"))
        registration_digest(command.legal_name, command.registration_number)  # raises where one is empty
        for field, longest in (("legal_name", _NAME), ("registration_number", _NUMBER)):
            if len(getattr(command, field)) > longest:
                raise InvalidInput(field=field, problem=N_("it has more than {limit} characters"), limit=longest)
        expires = moment_of(command.expire_time)
        now = self._clock.now()
        if expires <= now:
            raise InvalidInput(field="expire_time", problem=N_("it has passed"))

        def step(tx: Connection) -> None:
            known = tx.execute(select(_INVITATION.c.command).where(_INVITATION.c.id == command.invitation)).scalar()
            if known is not None:
                if known != signed.to_bytes():
                    raise AnotherStatement(statement=N_("invitation"))
                return
            if len([each for each in _open_by(tx, signed.signer) if each.expires_at > micros(now)]) >= _MAX_OPEN_BY_ONE:
                raise TooManyRequests()
            tx.execute(
                insert(_INVITATION).values(
                    id=command.invitation,
                    secret_digest=command.secret_digest,
                    command=signed.to_bytes(),
                    legal_name=command.legal_name,
                    registration_number=command.registration_number,
                    bound_by_secrecy=command.bound_by_secrecy,
                    expires_at=micros(expires),
                )
            )

        await self._db.write(step)

    async def requests(self, *, start: int = 0, most: int = 100) -> list[JoinRecord]:
        """Requests, oldest first, from an index on; `most` of them at most."""
        threshold = self._rosters.roster.policy.threshold
        query = _REQUESTS.order_by(_JOIN.c.member).offset(start).limit(most)

        def read(tx: Connection) -> list[tuple[Any, Progress]]:
            return [(row, _progress(tx, row, threshold)) for row in tx.execute(query).all()]

        return [
            JoinRecord(
                request=Signed.from_bytes(row.request),
                invitation=Signed.from_bytes(row.command),
                legal_name=row.legal_name,
                registration_number=row.registration_number,
                bound_by_secrecy=row.bound_by_secrecy,
                state=JoinState(row.state),
                progress=progress,
            )
            for row, progress in await self._db.read(read)
        ]

    async def open_invitations(self, *, start: int = 0, most: int = 100) -> list[Signed]:
        """Those that nobody has used and that have not run out, by their end, from an index on; `most` at most."""
        now = micros(self._clock.now())
        query = (
            select(_INVITATION.c.command)
            .where(_INVITATION.c.spent_by.is_(None), _INVITATION.c.expires_at > now)
            .order_by(_INVITATION.c.expires_at, _INVITATION.c.id)
            .offset(start)
            .limit(most)
        )
        rows = await self._db.read(lambda tx: tx.execute(query).scalars().all())
        return [Signed.from_bytes(row) for row in rows]

    async def refuse(self, member: MemberId, reason: str) -> None:
        """Tell an applicant why it is not admitted.

        Raises: NotFound where nobody of this id waits; InvalidInput for no reason, or one that is too long.
        """
        require_reason(reason)
        now = micros(self._clock.now())

        def step(tx: Connection) -> int:
            return tx.execute(
                update(_JOIN)
                .where(_JOIN.c.member == member, _JOIN.c.state != JoinState.ADMITTED)
                .values(state=JoinState.REFUSED, refusal_reason=reason, decided_at=now)
            ).rowcount

        if not await self._db.write(step):
            raise NotFound(what=N_("waiting request"))

    # ---- applicants ----

    async def request(self, signed: Signed) -> JoinState:
        """Take a request to join. The same bytes again are answered with the present state.

        Whoever was refused may ask again with the same key, under the same invitation or a newer one.

        Raises: MalformedStatement, MalformedKey, BadSignature, WrongNetwork, ClockSkew, CardRefused, InvitationRefused,
        InvalidRecord for a profile of another name or number, KeyTaken, NameTaken.
        """
        roster, now = self._rosters.roster, self._clock.now()
        body = parse_body(signed, v1.JoinRequest, max_size=MAX_SIGNED)
        identity = SigningPublicKey.from_message(body.identity_key)
        verify(signed, identity)
        if body.network != roster.network:
            raise WrongNetwork(what=N_("JoinRequest"))
        member = member_id_of(identity)
        known = await self._db.read(lambda tx: _join_row(tx, member))
        if known is not None and known.digest == signed.digest:  # however late it is asked again
            return JoinState(known.state)
        require_now(body, N_("JoinRequest"), now)
        card = _card_of(body, roster, member, identity, now)

        def step(tx: Connection) -> JoinState:
            invited = _invitation(tx, body, now)
            again = _join_row(tx, member)
            if again is not None and again.digest == signed.digest:
                return JoinState(again.state)
            if invited.spent_by is not None and (again is None or invited.spent_by != again.digest):
                raise InvitationRefused(problem=N_("it was used already"))
            if again is not None and moment(invited.expires_at) <= now:
                raise InvitationRefused(problem=N_("it has run out"))
            if (again is not None and again.state != JoinState.REFUSED) or member in roster.members:
                raise AnotherStatement(statement=N_("join request"))
            profile = Profile.parse(body.profile, registration_digest(invited.legal_name, invited.registration_number))
            require_unused(tx, member, card.transport_key_digest, profile)
            tx.execute(update(_INVITATION).where(_INVITATION.c.id == invited.id).values(spent_by=signed.digest))
            tx.execute(delete(_JOIN).where(_JOIN.c.member == member))  # the one that was refused
            tx.execute(
                insert(_JOIN).values(
                    member=member,
                    invitation=invited.id,
                    digest=signed.digest,
                    request=signed.to_bytes(),
                    state=JoinState.WAITING,
                    asked_at=micros(now),
                )
            )
            return JoinState.WAITING

        return await self._db.write(step)

    async def status(self, signed: Signed) -> JoinAnswer:
        """How an applicant's request stands; once admitted, its certificate, made anew when two thirds are over.

        Raises: NotFound, BadSignature, WrongNetwork, ClockSkew, NotAMember for a member that was removed since.
        """
        roster, now = self._rosters.roster, self._clock.now()
        query = parse_body(signed, v1.JoinStatusQuery)
        member = MemberId(query.member)
        row = await self._db.read(lambda tx: _join_row(tx, member))
        if row is None:
            raise NotFound(what=N_("request to join"))
        request = parse_body(Signed.from_bytes(row.request), v1.JoinRequest, max_size=MAX_SIGNED)
        known = roster.members.get(member)
        verify(signed, known.identity if known else SigningPublicKey.from_message(request.identity_key))
        if query.network != roster.network:
            raise WrongNetwork(what=N_("JoinStatusQuery"))
        require_now(query, N_("JoinStatusQuery"), now)
        if known is not None:
            roster.active(member)
            fresh = row.certificate is not None and now - moment(row.certificate_at) < RENEWAL
            fresh = fresh and issued_by(row.certificate, self._authority.certificate)
            certificate = row.certificate if fresh else await self._issue(member, request.certificate_request, now)
        else:
            certificate = b""
        progress = await self._db.read(
            lambda tx: _progress(tx, tx.execute(_REQUEST, {"member": member}).one(), roster.policy.threshold)
        )
        return JoinAnswer(JoinState(row.state) if known is None else JoinState.ADMITTED, progress, certificate)

    async def _issue(self, member: MemberId, request: bytes, now: datetime) -> bytes:
        certificate = self._authority.issue(request, member=member, key_digest=self._cards.key_of(member))
        values = {"certificate": certificate, "certificate_at": micros(now)}
        one = _JOIN.c.member == member

        def step(tx: Connection) -> None:
            tx.execute(update(_JOIN).where(one, _JOIN.c.connected_at == 0).values(connected_at=micros(now)))
            tx.execute(update(_JOIN).where(one).values(values))

        await self._db.write(step)
        return certificate

    def require_present(self, signed: Signed) -> None:
        """A member that is not removed asks, here and now, whatever else may stand against it.

        Raises: MalformedStatement, NotAMember, BadSignature, WrongNetwork, ClockSkew.
        """
        roster = self._rosters.roster
        query = parse_body(signed, v1.JoinStatusQuery)
        member = roster.members.get(MemberId(query.member))
        if member is None or member.state is MemberState.REMOVED:
            raise NotAMember()
        verify(signed, member.identity)
        if query.network != roster.network:
            raise WrongNetwork(what=N_("JoinStatusQuery"))
        require_now(query, N_("JoinStatusQuery"), self._clock.now())

    async def rejoin(self, signed: Signed) -> tuple[bytes, int]:
        """The certificate of an active member that shows nothing but its identity key, and its card's revision.

        Raises: MalformedStatement, NotAMember, MemberIsSuspended, BadSignature, WrongNetwork, ClockSkew, MalformedKey,
        and whatever a card is refused for.
        """
        roster, now = self._rosters.roster, self._clock.now()
        body = parse_body(signed, v1.RejoinRequest, max_size=MAX_SIGNED)
        member = roster.active(MemberId(body.member))
        verify(signed, member.identity)
        if body.network != roster.network:
            raise WrongNetwork(what=N_("RejoinRequest"))
        require_now(body, N_("RejoinRequest"), now)
        digest = spki_digest_of_request(body.certificate_request)
        card = Signed.from_message(body.card)
        if Card.parse(card, roster, now=now, profile=body.profile).transport_key_digest != digest:
            raise MalformedKey(what=N_("certificate request: its key is not the one on the card"))
        revision = await self._cards.publish(member.id, card, body.profile)
        return self._authority.issue(body.certificate_request, member=member.id, key_digest=digest), revision

    # ---- members ----

    def authorities(self) -> list[bytes]:
        """The certificates (DER) of the CAs that are trusted now, the one in force first."""
        return self._authority.certificates()

    async def renew(self, member: MemberId, request: bytes) -> bytes:
        """A new certificate (DER) for the key on the member's newest card. Raises: MalformedKey, NotFound."""
        return await self._issue(member, request, self._clock.now())

    # ---- together with an entry ----

    def on_signed(self, tx: Connection, entry: v1.Entry) -> None:
        """An administrator who signs an admission has compared the six words."""
        if entry.type == _ADMITTED:
            member, now = v1.MemberAdmitted.FromString(entry.body).member, micros(self._clock.now())
            waits = (_JOIN.c.member == member, _JOIN.c.compared_at == 0)
            tx.execute(update(_JOIN).where(*waits).values(compared_at=now))

    def on_entry(self, tx: Connection, roster: Roster, entry: v1.Entry) -> None:
        """An admission publishes the applicant's card; a removal erases the member's card and request."""
        if entry.type == _ADMITTED:
            member = MemberId(v1.MemberAdmitted.FromString(entry.body).member)
            row = _join_row(tx, member)
            if row is None:  # admitted without having asked here: it publishes a card once it has a certificate
                return
            self.on_signed(tx, entry)  # if it comes with an entry that was brought back, nobody signed it here
            values = {"state": JoinState.ADMITTED, "refusal_reason": "", "decided_at": micros(self._clock.now())}
            tx.execute(update(_JOIN).where(_JOIN.c.member == member).values(values))
            body = parse_body(Signed.from_bytes(row.request), v1.JoinRequest, max_size=MAX_SIGNED)
            card = _read_card(body, roster, member, moment(row.asked_at))
            put_card(tx, card, body.profile, Profile.parse(body.profile, *roster.members[member].registrations))
        elif entry.type == _REMOVED:
            member = MemberId(v1.MemberRemoved.FromString(entry.body).member)
            tx.execute(delete(_JOIN).where(_JOIN.c.member == member))
        elif entry.type == _LEFT:
            self._take_back(tx, KeyId(v1.AdministratorRemoved.FromString(entry.body).administrator))

    def _take_back(self, tx: Connection, administrator: KeyId) -> None:
        """Invitations of one who is no administrator any more verify for nobody: those who hold them are told."""
        for row in _open_by(tx, administrator):
            tx.execute(delete(_INVITATION).where(_INVITATION.c.id == row.id))
        told = {
            "state": JoinState.REFUSED,
            "refusal_reason": _INVITER_LEFT,
            "decided_at": micros(self._clock.now()),
        }
        for row in tx.execute(_REQUESTS.where(_JOIN.c.state == JoinState.WAITING)).all():
            if Signed.from_bytes(row.command).signer == administrator:
                tx.execute(update(_JOIN).where(_JOIN.c.member == row.member).values(told))


_INVITER_LEFT = N_("The administrator who invited you has left. Ask the network’s office for a new invitation.")


def _open_by(tx: Connection, administrator: KeyId) -> list[Any]:
    """Invitations of one administrator that nobody has used."""
    query = select(_INVITATION.c.id, _INVITATION.c.command, _INVITATION.c.expires_at)
    rows = tx.execute(query.where(_INVITATION.c.spent_by.is_(None))).all()
    return [row for row in rows if Signed.from_bytes(row.command).signer == administrator]


_REQUESTS = (
    select(_JOIN, _INVITATION.c.command, *(_INVITATION.c[name] for name in _NAMED))
    .join_from(_JOIN, _INVITATION, _JOIN.c.invitation == _INVITATION.c.id)
    .order_by(_JOIN.c.asked_at)
)
_REQUEST = _REQUESTS.where(_JOIN.c.member == bindparam("member"))


def _progress(tx: Connection, row: Any, threshold: int) -> Progress:
    invited = parse_body(Signed.from_bytes(row.command), v1.CreateInvitation)
    admitted = row.state == JoinState.ADMITTED

    def time(value: int) -> datetime | None:
        return moment(value) if value else None

    return Progress(
        invited=moment_of(invited.time),
        asked=moment(row.asked_at),
        compared=time(row.compared_at),
        decided=time(row.decided_at),
        connected=time(row.connected_at),
        signatures=threshold if admitted else _signatures(tx, row.member),
        threshold=threshold,
        reason=(row.refusal_reason or "–") if row.state == JoinState.REFUSED else "",
    )


def _signatures(tx: Connection, member: bytes) -> int:
    """How many administrators have signed the admission that waits."""
    counts = [0]
    for data in tx.execute(select(_PENDING.c.entry)).scalars():
        entry = v1.Entry.FromString(data)
        if entry.type == _ADMITTED and v1.MemberAdmitted.FromString(entry.body).member == member:
            counts.append(len(entry.signatures))
    return max(counts)


def _join_row(tx: Connection, member: MemberId) -> Row[tuple[object, ...]] | None:
    return tx.execute(select(_JOIN).where(_JOIN.c.member == member)).one_or_none()


def _invitation(tx: Connection, body: v1.JoinRequest, now: datetime) -> Row[tuple[object, ...]]:
    invited = tx.execute(select(_INVITATION).where(_INVITATION.c.id == body.invitation)).one_or_none()
    expected = invited.secret_digest if invited is not None else bytes(_DIGEST_SIZE)
    # The same answer for an unknown id and a wrong secret, in the same time.
    if not hmac.compare_digest(secret_digest(body.secret), expected) or invited is None:
        raise InvitationRefused(problem=N_("it is not known here"))
    if moment(invited.expires_at) <= now and invited.spent_by is None:
        raise InvitationRefused(problem=N_("it has run out"))
    return invited


def _card_of(body: v1.JoinRequest, roster: Roster, member: MemberId, identity: SigningPublicKey, now: datetime) -> Card:
    card = Card.parse_for(
        Signed.from_message(body.card),
        network=roster.network,
        member=member,
        identity=identity,
        now=now,
        profile=body.profile,
    )
    if card.number != 1:
        raise MalformedStatement(what=N_("JoinRequest"), problem=N_("its card is not the first"))
    if card.member != member:
        raise WrongParty(what=N_("Card"))
    if spki_digest_of_request(body.certificate_request) != card.transport_key_digest:
        raise MalformedKey(what=N_("certificate request: its key is not the one on the card"))
    return card


def _read_card(body: v1.JoinRequest, roster: Roster, member: MemberId, asked: datetime) -> Card:
    """The card as it was checked when the request came: it may have run out while administrators thought it over."""
    return Card.parse_for(
        Signed.from_message(body.card),
        network=roster.network,
        member=member,
        identity=roster.members[member].identity,
        now=asked,
        profile=body.profile,
    )
