"""Members' cards and profiles: only the newest of each is kept, and who calls with which transport key."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.card import Card
from cordee.errors import (
    N_,
    CardRefused,
    InvalidInput,
    KeyTaken,
    NameTaken,
    NotAMember,
    NotFound,
    TooManyCards,
    WrongParty,
)
from cordee.ids import Digest, KeyId, MemberId
from cordee.members import Roster
from cordee.profile import Profile
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.prepared import prepared
from cordee.signing import Signed
from cordee.v1 import statements_pb2 as v1
from directory import quotas
from directory.roster_store import RosterStore
from directory.store import table_of
from directory.store.roster import CardRow, RevisionRow

__all__ = ["CardIndex", "Published", "fold", "put_card", "require_reason", "require_unused"]

_CARD, _REVISION = table_of(CardRow), table_of(RevisionRow)
_END_OF_CARD: dict[str, type[v1.MemberRemoved | v1.MemberRecovered]] = {
    message.DESCRIPTOR.full_name: message for message in (v1.MemberRemoved, v1.MemberRecovered)
}
_LEFT = v1.AdministratorRemoved.DESCRIPTOR.full_name
_PAGE = 32
_REFUSAL = prepared(select(_CARD.c.refusal).where(_CARD.c.member == bindparam("member")))
_AFTER = prepared(
    select(_CARD)
    .where(
        _CARD.c.revision > bindparam("revision"),
        or_(_CARD.c.refusal.is_(None), _CARD.c.member == bindparam("reader")),
    )
    .order_by(_CARD.c.revision)
    .limit(_PAGE)
)
_MAX_REASON = 1000  # characters
_LOOKS_LIKE = str.maketrans(
    "авекмнорстухіјѕһүѵԁԛԝαβεζηικμνορτυχօսոıɑɡ",
    "abekmhopctyxijshyvdqwabezhikmnoptyxouniag",
)
"""Small letters, as they or their capitals look."""


@dataclass(frozen=True)
class Published:
    """A card as others get it."""

    revision: int
    card: Signed
    profile: bytes


class CardIndex:
    """The cards, with an index in memory from transport keys to members: it is asked at every call."""

    def __init__(self, db: Database, rosters: RosterStore, clock: Clock) -> None:
        self._db = db
        self._rosters = rosters
        self._clock = clock
        self._published = quotas.cards_published(clock)
        self._by_key: dict[bytes, MemberId] = {}
        self._keys: dict[MemberId, tuple[Digest, Digest | None]] = {}
        self.revision = 0
        """Of the newest card."""

    async def load(self) -> None:
        """Read the index."""
        query = select(_CARD.c.member, _CARD.c.key_digest, _CARD.c.former_key_digest)
        rows, self.revision = await self._db.read(lambda tx: (tx.execute(query).all(), _last_revision(tx)))
        self._by_key.clear()
        self._keys.clear()
        for member, key, former in rows:
            self._index(MemberId(member), Digest(key), Digest(former) if former else None)

    async def resolve(self, digest: Digest) -> MemberId:
        """The active member that calls with this key. Raises: NotAMember, MemberIsSuspended, DirectoryBehind."""
        self._rosters.require_whole()  # first: cards that came back from a backup may not know this key
        member = self._by_key.get(digest)
        if member is None:
            raise NotAMember()
        self._rosters.roster.active(member)
        key, former = self._keys[member]
        if former is not None and digest == key:
            # The new key works, so the one before is of no more use: not even to whoever may have stolen it.
            await self._db.write(
                lambda tx: tx.execute(
                    update(_CARD)
                    .where(_CARD.c.member == member, _CARD.c.key_digest == key)
                    .values(former_key_digest=None)
                ).close()
            )
            self._index(member, key, None)
        return member

    def key_of(self, member: MemberId) -> Digest:
        """The digest of the transport key on the member's newest card. Raises: NotFound."""
        if member not in self._keys:
            raise NotFound(what=N_("card"))
        return self._keys[member][0]

    async def publish(self, caller: MemberId, signed: Signed, profile: bytes) -> int:
        """Take a member's new card; the same one again is answered as the first time. Returns its revision.

        Raises: TooManyCards, CardRefused (also for a number that is not higher), WrongParty, InvalidRecord, KeyTaken,
        NameTaken.
        """
        self._published.spend(caller, error=TooManyCards)  # whichever way it comes: every node fetches each
        known = await self._db.read(lambda tx: tx.execute(select(_CARD).where(_CARD.c.member == caller)).one_or_none())
        if known is not None and known.card == signed.to_bytes():
            return int(known.revision)
        roster = self._rosters.roster
        number = known.number if known is not None else 0
        card = Card.parse(signed, roster, now=self._clock.now(), profile=profile, at_least=number + 1)
        if card.member != caller:
            raise WrongParty(what=N_("Card"))
        parsed = Profile.parse(profile, *roster.active(caller).registrations)

        def step(tx: Connection) -> int:
            self._rosters.roster.active(caller)
            present = tx.execute(select(_CARD.c.number).where(_CARD.c.member == caller)).scalar()
            if present is not None and present >= card.number:  # another one was published since
                raise CardRefused(member=caller.hex(), problem=N_("its number is too low or out of range"))
            return put_card(tx, card, profile, parsed)

        revision = await self._db.write(step)
        await self._reread(caller)
        return revision

    async def read(self, member: MemberId) -> tuple[Published, Signed | None]:
        """A member's newest card, and why it was refused if it was. Raises: NotFound."""
        row = await self._db.read(lambda tx: tx.execute(select(_CARD).where(_CARD.c.member == member)).one_or_none())
        if row is None:
            raise NotFound(what=N_("card"))
        refusal = Signed.from_bytes(row.refusal) if row.refusal else None
        return Published(revision=row.revision, card=Signed.from_bytes(row.card), profile=row.profile), refusal

    async def refuse(self, command: v1.RefuseCard, signed: Signed) -> int:
        """From now on only those who have this card keep it; its author is told why. Returns its new revision.

        Raises: NotFound where another card is the newest; InvalidInput for no reason, or one that is too long.
        """
        require_reason(command.reason)
        this = (_CARD.c.member == command.member, _CARD.c.number == command.number)

        def step(tx: Connection) -> int:
            revision = _next_revision(tx)  # its author looks at what it does not have yet
            values = {"refusal": signed.to_bytes(), "revision": revision}
            if not tx.execute(update(_CARD).where(*this).values(values)).rowcount:
                raise NotFound(what=N_("card"))
            return revision

        revision = await self._db.write(step)
        self.revision = max(self.revision, revision)
        return revision

    async def refusal_of(self, member: MemberId) -> Signed | None:
        """Why the member's newest card was refused, or None."""
        data = await self._db.read(lambda tx: tx.execute(_REFUSAL, {"member": member}).scalar())
        return Signed.from_bytes(data) if data else None

    async def after(self, revision: int, reader: MemberId | None = None) -> AsyncIterator[Published]:
        """Every card published after a revision, in order; of those that were refused only the reader's own."""
        while True:
            place = {"revision": revision, "reader": reader}
            rows = await self._db.read(lambda tx, place=place: tx.execute(_AFTER, place).all())  # type: ignore[misc]
            if not rows:
                return
            for row in rows:
                revision = row.revision
                yield Published(revision=revision, card=Signed.from_bytes(row.card), profile=row.profile)

    def on_entry(self, tx: Connection, roster: Roster, entry: v1.Entry) -> None:
        """A removal erases the member's card and profile, together with the entry. So does a recovery: with the card
        that the old identity key signed goes the transport key, which may be in the same wrong hands.
        """
        ended = _END_OF_CARD.get(entry.type)
        if ended is not None:
            tx.execute(delete(_CARD).where(_CARD.c.member == ended.FromString(entry.body).member))
        elif entry.type == _LEFT:
            _take_back_refusals(tx, KeyId(v1.AdministratorRemoved.FromString(entry.body).administrator))

    async def on_grown(self, member: MemberId | None) -> None:
        """After an entry, about a member or the government: cards may have come or gone, or be shown again."""
        if member is not None:
            await self._reread(member)
        else:
            self.revision = max(self.revision, await self._db.read(_last_revision))

    async def _reread(self, member: MemberId) -> None:
        query = select(_CARD.c.key_digest, _CARD.c.former_key_digest).where(_CARD.c.member == member)
        row, newest = await self._db.read(lambda tx: (tx.execute(query).one_or_none(), _last_revision(tx)))
        self.revision = max(self.revision, newest)
        if row is None:
            self._forget(member)
        else:
            self._index(member, Digest(row[0]), Digest(row[1]) if row[1] else None)

    def _index(self, member: MemberId, key: Digest, former: Digest | None) -> None:
        self._forget(member)
        self._keys[member] = key, former
        self._by_key[key] = member
        if former is not None:
            self._by_key[former] = member

    def _forget(self, member: MemberId) -> None:
        for digest in self._keys.pop(member, ()):
            if digest is not None and self._by_key.get(digest) == member:
                del self._by_key[digest]


def require_reason(reason: str) -> None:
    """What somebody is told can be read. Raises: InvalidInput."""
    if not reason.strip():
        raise InvalidInput(field="reason", problem=N_("it is empty"))
    if len(reason) > _MAX_REASON:
        raise InvalidInput(field="reason", problem=N_("it is longer than {limit} characters"), limit=_MAX_REASON)


def fold(name: str) -> str:
    """A name without what eyes pass over: case, accents, width, spaces, and which alphabet a letter is of that looks
    the same in several.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(each for each in plain.translate(_LOOKS_LIKE) if each.isalnum())


def require_unused(tx: Connection, member: MemberId, key: Digest, profile: Profile) -> None:
    """No other member has this transport key or this name. Raises: KeyTaken, NameTaken."""
    others = _CARD.c.member != member
    same_key = or_(_CARD.c.key_digest == key, _CARD.c.former_key_digest == key)
    if tx.execute(select(_CARD.c.member).where(others, same_key)).first() is not None:
        raise KeyTaken()
    for what, column, value in (
        (N_("name"), _CARD.c.shown_name, fold(profile.display_name)),
        ("org_id", _CARD.c.org_id, profile.org_id),  # acts name their recipient by it
    ):
        if tx.execute(select(_CARD.c.member).where(others, column == value)).first() is not None:
            raise NameTaken(what=what)


def put_card(tx: Connection, card: Card, profile: bytes, parsed: Profile) -> int:
    """Keep a card that was checked, in the place of the member's last. Returns its revision."""
    require_unused(tx, card.member, card.transport_key_digest, parsed)
    columns = (_CARD.c.key_digest, _CARD.c.former_key_digest, _CARD.c.profile, _CARD.c.refusal)
    before = tx.execute(select(*columns).where(_CARD.c.member == card.member)).first()
    former = refusal = None
    if before is not None:
        refusal = before.refusal if before.profile == profile else None  # a card renewed by itself mends nothing
        former = before[1] if before[0] == card.transport_key_digest else before[0]
    revision = _next_revision(tx)
    values = {
        "revision": revision,
        "number": card.number,
        "key_digest": card.transport_key_digest,
        "former_key_digest": former,
        "shown_name": fold(parsed.display_name),
        "org_id": parsed.org_id,
        "card": card.signed.to_bytes(),
        "profile": profile,
        "refusal": refusal,
    }
    statement = upsert(_CARD).values(member=card.member, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["member"], set_=values))
    return revision


def _take_back_refusals(tx: Connection, administrator: KeyId) -> None:
    """Of one who is no administrator any more: no node believes such a refusal, so nobody would know why a card is
    hidden, and a stolen key could hide all of them until they run out.
    """
    for row in tx.execute(select(_CARD.c.member, _CARD.c.refusal).where(_CARD.c.refusal.is_not(None))).all():
        if Signed.from_bytes(row.refusal).signer == administrator:
            shown = {"refusal": None, "revision": _next_revision(tx)}
            tx.execute(update(_CARD).where(_CARD.c.member == row.member).values(shown))


def _last_revision(tx: Connection) -> int:
    return int(tx.execute(select(_REVISION.c.last)).scalar() or 0)


def _next_revision(tx: Connection) -> int:
    statement = upsert(_REVISION).values(id=1, last=1)
    statement = statement.on_conflict_do_update(index_elements=["id"], set_={"last": _REVISION.c.last + 1})
    return int(tx.execute(statement.returning(_REVISION.c.last)).scalar_one())
