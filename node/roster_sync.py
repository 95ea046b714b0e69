"""The node's own copy of the roster: every entry verified here, every look-up answered from here (protocol §4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.card import Card
from cordee.checkpoint import Checkpoint, open_checkpoint
from cordee.entries import entry_leaf, network_id
from cordee.errors import (
    N_,
    BadSignature,
    CardExpired,
    CardRefused,
    CheckpointRefused,
    CordeeError,
    EntryRefused,
    IntegrityFailure,
    InvalidInput,
    MalformedStatement,
    NotAMember,
    RosterForked,
    RosterRolledBack,
    RosterStale,
    SplitView,
    by_reason,
)
from cordee.ids import Digest, MemberId, NetworkId
from cordee.log import MerkleTree
from cordee.practice import is_practice, require_kind
from cordee.profile import Match, Profile, Query, search
from cordee.roster import Member, Roster, apply
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.logs import logger
from cordee.runtime.prepared import prepared
from cordee.signing import Signed, SigningPublicKey, parse_body, verify
from cordee.times import moment_of, span_text
from cordee.v1 import directory_pb2, statements_pb2
from node import journal
from node.directory_client import DirectoryClient
from node.hearsay import require_possible
from node.store import table_of
from node.store.roster import AlarmRow, CardRow, EntryRow, EvidenceRow, EvidenceViewRow, HeadRow
from node.view_shown import view_shown

if TYPE_CHECKING:
    from node.house import Keys

__all__ = ["KnownCard", "MemberView", "RosterStatus", "RosterSync"]

log = logger("node.roster")

_ENTRY = table_of(EntryRow)
_HEAD = table_of(HeadRow)
_CARD = table_of(CardRow)
_NEW_HEAD = upsert(_HEAD)
_KEEP_HEAD = prepared(_NEW_HEAD.on_conflict_do_update(index_elements=["id"], set_={"note": _NEW_HEAD.excluded.note}))
_ALARM = table_of(AlarmRow)
_EVIDENCE = table_of(EvidenceRow)
_EVIDENCE_VIEW = table_of(EvidenceViewRow)
_RECOVERED = statements_pb2.MemberRecovered.DESCRIPTOR.full_name
_ROUNDS = 4  # how often a log that grows while we read it is read again
_AHEAD = timedelta(minutes=5)
_DATED_AHEAD = timedelta(days=1)  # a card so far ahead comes from two clocks that were wrong, and waits for its time
_KEPT = 200  # pieces of evidence
_GRAVE = tuple(each.reason for each in (EntryRefused, RosterForked, RosterRolledBack, SplitView))
_VIEWS = 256 * 2**20  # bytes of logs kept beside evidence


@dataclass(frozen=True)
class KnownCard:
    """A member's newest card, with the profile whose digest it bears."""

    card: Card
    profile: Profile
    profile_bytes: bytes


@dataclass(frozen=True)
class MemberView:
    """A member as people see it."""

    member: MemberId
    state: str
    name: str
    commune: str
    departement: str
    card_expires: datetime | None
    bound_by_secrecy: bool
    profile: Profile | None
    recovery_due: datetime | None = None
    """Administrators have announced another identity key for it; from then on that can be put in force."""


@dataclass(frozen=True)
class RosterStatus:
    """How fresh and how sound the copy is."""

    size: int
    root: bytes
    checkpoint_time: datetime | None
    alarm: CordeeError | None
    connected: bool


class _Hinted:
    """What a hint brings, read as if the directory had answered it: so it is verified in the same way."""

    def __init__(self, hint: directory_pb2.RosterGrown) -> None:
        self._hint = hint

    async def entries(self, *, start: int) -> AsyncIterator[statements_pb2.Entry]:
        """From an index of the log on."""
        for entry in self._hint.entries[start - self._hint.start :]:
            yield entry

    async def checkpoint(self) -> str:
        """The checkpoint that covers them."""
        return self._hint.checkpoint


class LogSource(Protocol):
    """Where log and cards come from; nothing of what it says is believed unverified."""

    def entries(self, *, start: int) -> AsyncIterator[statements_pb2.Entry]:
        """The log's entries from an index on."""
        ...

    async def checkpoint(self) -> str:
        """The newest note."""
        ...

    def cards(self, *, after_revision: int) -> AsyncIterator[directory_pb2.ListCardsResponse]:
        """The cards published after a revision."""
        ...


class RosterSync:
    """Follows the directory's log and cards. Whatever does not verify is refused, kept as evidence, and stops
    transfers until a later look verifies again.
    """

    def __init__(
        self,
        db: Database,
        *,
        network: NetworkId,
        member: MemberId,
        client: DirectoryClient | None,
        clock: Clock,
        practice: bool = False,
        keys: Keys | None = None,
    ) -> None:
        self._db = db
        self._keys = keys
        self._practice = practice
        self._network = network
        self._member = member
        self._client = client
        self._clock = clock
        self._roster: Roster | None = None
        self._tree = MerkleTree()
        self._note = ""
        self._checkpoint: Checkpoint | None = None
        self._cards: dict[MemberId, KnownCard] = {}
        self._numbers: dict[MemberId, int] = {}  # the highest of each member, also where that card has run out
        self._revision = 0
        self._told = 0  # how many cards the directory counted in its newest hint
        self._alarm: CordeeError | None = None
        self._via: LogSource | None = None
        self._shown = ""  # the note that the directory showed last, whatever became of it
        self._lock = asyncio.Lock()
        self.incarnations: frozenset[bytes] | None = None
        """Those of this node that it knows of; None takes any: this node was restored, and may have missed some."""
        self.connected = False  # the stream of events is open now
        self.news = asyncio.Event()
        """A checkpoint has verified since whoever waits for this cleared it."""
        self.asked_to_correct = ""
        """Why the network's office refused our profile; empty where it did not."""
        self.followed: list[Callable[[Roster], Awaitable[None]]] = []
        """Who looks at each roster that was verified, before anybody acts on it."""

    # ---- what others ask ----

    @property
    def roster(self) -> Roster:
        """The roster as last verified. Raises RosterStale before the first one."""
        if self._roster is None:
            raise RosterStale(age="—", limit="—")
        return self._roster

    @property
    def crowd(self) -> int:
        """How many members there are, as last verified: so many nodes there may be. 0 before the first look."""
        return len(self._roster.members) if self._roster is not None else 0

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint that verified. Raises RosterStale before the first one."""
        if self._checkpoint is None:
            raise RosterStale(age="—", limit="—")
        return self._checkpoint

    @property
    def note(self) -> str:
        """The newest checkpoint as the directory signed it."""
        return self._note

    @property
    def card_revision(self) -> int:
        """The directory's number of the last card that this node has looked at."""
        return self._revision

    @property
    def alarm(self) -> CordeeError | None:
        """Why transfers stand still, or None."""
        return self._alarm

    def root_at(self, size: int) -> bytes | None:
        """The root of our own log at a size; None where it is longer than what we hold."""
        return self._tree.root(size) if size <= self._tree.size else None

    @property
    def tree(self) -> MerkleTree:
        """The tree over every entry verified so far."""
        return self._tree

    def require_fresh(self, now: datetime) -> Roster:
        """The roster, if it is sound and younger than the policy's freshness limit.

        Raises: the alarm; RosterStale. Asked before every offer and answer (protocol §4, freeze).
        """
        if self._alarm is not None:
            raise self._alarm
        age = now - self.checkpoint.time
        if age > self.roster.policy.freshness_limit:
            raise RosterStale(age=span_text(age), limit=span_text(self.roster.policy.freshness_limit))
        return self.roster

    def card(self, member: MemberId, *, now: datetime) -> KnownCard:
        """The card in force. Raises CardExpired where there is none, or it has run out."""
        known = self._cards.get(member)
        if known is None or known.card.expire_time <= now:
            raise CardExpired()
        return known

    def last_card(self, member: MemberId) -> KnownCard:
        """The newest card, also one that has run out: what has happened is told to whoever was away too long to renew
        it. The keys of its author's older cards are kept for a while (protocol §2). Raises CardExpired where there is
        none.
        """
        known = self._cards.get(member)
        if known is None:
            raise CardExpired()
        return known

    def own_card(self) -> KnownCard:
        """This node's own newest card, also one that has run out while it was away or suspended: the next one follows
        it. Raises CardExpired where there is none.
        """
        return self.last_card(self._member)

    def _judged_at(self, signed: Signed, member: MemberId, now: datetime, *, kept: bool = False) -> datetime:
        """The time at which a card must be in force: now, or a little later where it is dated ahead; for our own, and
        from when for one that we `kept`, a time at which it was.
        """
        card = parse_body(signed, statements_pb2.Card)
        begin, last = moment_of(card.not_before), moment_of(card.expire_time) - timedelta(microseconds=1)
        if kept or member == self._member or begin <= now + _DATED_AHEAD:
            now = max(now, begin)  # clocks that were ahead have been put right since
        return min(now, last) if member == self._member else now

    async def kept_cards(self, member: MemberId | None = None) -> list[tuple[Signed, bytes]]:
        """The newest card of every member, or of one, with its profile: also one that has run out since it came."""
        query = select(_CARD.c.signed, _CARD.c.profile)
        query = query if member is None else query.where(_CARD.c.member == bytes(member))
        kept = await self._db.read(lambda tx: [tuple(row) for row in tx.execute(query)])
        return [(Signed.from_bytes(signed), profile) for signed, profile in kept]

    async def entries(self, start: int, count: int) -> list[statements_pb2.Entry]:
        """Entries that were verified, from an index on."""
        query = (
            select(_ENTRY.c.entry)
            .where(_ENTRY.c.position >= start, _ENTRY.c.position < start + count)
            .order_by(_ENTRY.c.position)
        )
        kept = await self._db.read(lambda tx: list(tx.execute(query).scalars()))
        return [statements_pb2.Entry.FromString(raw) for raw in kept]

    def caller(self, digest: Digest) -> MemberId:
        """Whose transport key that is, by the newest cards (protocol §2).

        Raises: NotAMember, MemberIsSuspended; the alarm, while the roster is in doubt.
        """
        if self._alarm is not None:
            raise self._alarm
        now = self._clock.now()
        for member, known in self._cards.items():
            if known.card.transport_key_digest == digest and known.card.expire_time > now:
                self.roster.active(member)
                return member
        raise NotAMember()

    def view(self, member: Member) -> MemberView:
        """A member as people see it."""
        known = self._cards.get(member.id)
        profile = known.profile if known else None
        return MemberView(
            member=member.id,
            state=str(member.state),
            name=profile.display_name if profile else member.id.short,
            commune=profile.commune if profile else "",
            departement=profile.departement if profile else "",
            card_expires=known.card.expire_time if known else None,
            bound_by_secrecy=member.bound_by_secrecy,
            profile=profile,
            recovery_due=member.recovery.due if member.recovery else None,
        )

    def members(self) -> list[MemberView]:
        """Every member ever admitted, in the order of their names."""
        return sorted((self.view(each) for each in self.roster.members.values()), key=lambda each: each.name)

    def kept_profile(self, tx: Connection) -> bytes | None:
        """Our own profile as it was published last, also where its card has run out."""
        return tx.execute(select(_CARD.c.profile).where(_CARD.c.member == bytes(self._member))).scalar()

    def name_of(self, member: MemberId) -> str:
        """The member's name for people, or the start of its id."""
        known = self._cards.get(member)
        return known.profile.display_name if known else member.short

    def find(self, query: Query) -> list[tuple[MemberId, Match]]:
        """Active members that fit, best first, from this node's own copy: the directory learns nothing of it."""
        now = self._clock.now()
        listed = {
            id(known.profile): (member, known.profile)
            for member, known in self._cards.items()
            if member != self._member and self._may_receive(member, known, now)
        }
        matches = search([profile for _, profile in listed.values()], query, now=now)
        return [(listed[id(match.profile)][0], match) for match in matches]

    def _may_receive(self, member: MemberId, known: KnownCard, now: datetime) -> bool:
        try:
            self.roster.active(member)
        except NotAMember:
            return False
        return known.card.expire_time > now

    def status(self) -> RosterStatus:
        """For `node status` and the health check."""
        return RosterStatus(
            size=self._tree.size,
            root=self._tree.root(),
            checkpoint_time=self._checkpoint.time if self._checkpoint else None,
            alarm=self._alarm,
            connected=self.connected,
        )

    # ---- loading and following ----

    async def load(self) -> None:
        """Replay what this node holds on disk. A database that was tampered with does not verify and raises."""

        def stored(tx: Connection) -> tuple[list[bytes], HeadRow | None, Sequence[CardRow], AlarmRow | None]:
            entries = list(tx.execute(select(_ENTRY.c.entry).order_by(_ENTRY.c.position)).scalars())
            head = tx.execute(select(_HEAD)).one_or_none()
            cards = tx.execute(select(_CARD)).all()
            alarm = tx.execute(select(_ALARM)).one_or_none()
            return entries, head, cards, alarm  # type: ignore[return-value]  # rows have the tables' attributes

        entries, head, cards, alarm = await self._db.read(stored)
        roster: Roster | None = None
        for raw in entries:
            entry = statements_pb2.Entry.FromString(raw)
            roster = apply(roster, entry)
            self._tree.append(entry_leaf(entry))
        if roster is not None:
            require_kind(is_practice(roster.origin), practice=self._practice)
        self._roster = roster
        if roster is None or head is None:
            return
        self._note = head.note
        self._revision = head.card_revision
        self._checkpoint = open_checkpoint(head.note, roster.directory_key, roster.origin)
        now = self._clock.now()
        for row in cards:
            member, signed = MemberId(row.member), Signed.from_bytes(row.signed)
            self._numbers[member] = row.number
            former = _outdated(signed, roster, member)
            if former is not None and member != self._member:
                continue
            try:
                judged = self._judged_at(signed, member, now, kept=True)
                if former is None:
                    card = Card.parse(signed, roster, now=judged, profile=row.profile, at_least=0)
                else:  # our own, which is about to be signed anew: from it we know number and profile
                    card = Card.parse_for(
                        signed, network=roster.network, member=member, identity=former, now=judged, at_least=0
                    )
            except (CardExpired, NotAMember):
                continue
            profile = Profile.parse(row.profile, *roster.members[card.member].registrations)
            self._cards[card.member] = KnownCard(card=card, profile=profile, profile_bytes=row.profile)
        if alarm is not None:
            kind = by_reason(alarm.reason) or IntegrityFailure
            self._alarm = kind(**json.loads(alarm.facts))

    async def sync(self, *, via: LogSource | None = None) -> Roster:
        """Fetch what is new and verify it. On refusal the old state stays, the alarm is raised and kept. `via` is asked
        in the place of the directory's listener for members.

        Raises: Unreachable; RosterRolledBack, RosterForked, EntryRefused, CheckpointRefused, CardRefused;
        PracticeNetwork, RealNetwork where the log is of the other kind.
        """
        return await self._look(None, via)

    async def hear(self, hint: directory_pb2.RosterGrown) -> Roster:
        """As `sync`, with what a hint brings along: what it leaves out is fetched, and nothing where it tells all.

        Raises: as `sync`.
        """
        return await self._look(hint, None)

    async def _look(self, hint: directory_pb2.RosterGrown | None, via: LogSource | None) -> Roster:
        async with self._lock:
            self._shown = ""
            self._via = via
            try:
                told = hint is not None and self._goes_on_with(hint)
                self._told = hint.card_revision if hint is not None else self._told
                await self._follow_log_further(_Hinted(hint) if told and hint is not None else self._require_client())
                if hint is None or not told or not 0 < hint.card_revision <= self._revision:
                    await self._follow_cards_and_log()
                self._check_age()
            except (IntegrityFailure, InvalidInput, RosterStale) as refusal:
                # The very note that was judged: asked again, the directory might show another.
                shown = self._shown or await self._shown_note()
                kept = await self._raise_alarm(refusal, shown=shown)
                if kept is not None and self._client is not None:
                    await self._keep_view(kept, await view_shown(self._client, shown, known=self._tree.size))
                raise
            await self._clear_alarm()
            return self.roster

    def counts_cards(self, revision: int) -> bool:
        """The directory says that its newest card has this number. Whether there is one that we have not looked at."""
        self._told = revision
        return revision > self._revision

    async def look_behind(self) -> None:
        """Where the directory counts fewer cards than this node has looked at, look at all of them again: somebody may
        have named a number from far ahead, below which no new card would ever be seen. Raises: as `sync`.
        """
        if 0 < self._told < self._revision:
            log.info("roster.looks_behind")
            async with self._lock:
                self._revision = 0
            await self.sync()

    def _goes_on_with(self, hint: directory_pb2.RosterGrown) -> bool:
        """Whether a hint brings what follows on our log. While there is an alarm none is believed: only what the
        directory answers when it is asked ends one.
        """
        known = self._tree.size
        return (
            self._roster is not None and self._alarm is None and hint.start <= known <= hint.start + len(hint.entries)
        )

    def _check_age(self) -> None:
        """A directory that answers, but with an old checkpoint, freezes its members."""
        age = self._clock.now() - self.checkpoint.time
        if age > self.roster.policy.freshness_limit:
            raise RosterStale(age=span_text(age), limit=span_text(self.roster.policy.freshness_limit))
        if -age > _AHEAD:
            raise CheckpointRefused(problem=N_("it is dated in the future"))

    async def _follow_log_further(self, source: LogSource | _Hinted) -> None:
        await self._follow_log(source)
        for each in self.followed:
            await each(self.roster)

    async def _follow_cards_and_log(self) -> None:
        """A card that does not verify is judged by a log that has not grown since: its member may have changed its key,
        or been given another name, between our look at the log and that at the cards. Where one does so without end,
        the cards are left until the next look: an alarm is for what nobody but the directory can have done.
        """
        for _ in range(_ROUNDS):
            size = self._tree.size
            try:
                await self._follow_cards()
                return
            except (IntegrityFailure, InvalidInput):
                await self._follow_log_further(self._require_client())
                if self._tree.size == size:
                    raise
        log.info("cards.wait", size=self._tree.size)

    async def _follow_log(self, source: LogSource | _Hinted) -> None:
        roster = self._roster
        added: list[statements_pb2.Entry] = []
        rekeyed: int | None = None  # the last entry that gave this node an identity key
        for attempt in range(_ROUNDS):
            served = len(added)
            async for entry in source.entries(start=self._tree.size + len(added)):
                if roster is None and network_id(entry) != self._network:
                    raise EntryRefused(index=0, rule=N_("the genesis is another network's"))
                before, roster = roster, self._admit(roster, entry)
                if _identity(before, self._member) != _identity(roster, self._member):
                    rekeyed = roster.size - 1
                added.append(entry)
            if roster is None:
                raise EntryRefused(index=0, rule=N_("there is no genesis"))
            note = self._shown = await source.checkpoint()
            try:
                checkpoint = open_checkpoint(note, roster.directory_key, roster.origin)
            except CheckpointRefused:
                if attempt and len(added) == served:
                    raise
                continue  # it may be signed with a key that an entry names which was not there yet when we read
            if checkpoint.size <= self._tree.size + len(added):
                break
        if roster is None:
            raise EntryRefused(index=0, rule=N_("there is no genesis"))
        checkpoint = open_checkpoint(note, roster.directory_key, roster.origin)
        if rekeyed is not None and not self._holds(_identity(roster, self._member)):
            raise EntryRefused(index=rekeyed, rule=N_("it gives this node another identity key"))
        await self._judge(note, checkpoint, roster, added)

    def _admit(self, roster: Roster | None, entry: statements_pb2.Entry) -> Roster:
        after = apply(roster, entry)
        require_kind(is_practice(after.origin), practice=self._practice)
        before = roster.members.get(self._member) if roster else None
        present = after.members.get(self._member)
        if before and present and before.incarnation != present.incarnation and not self._knows(present.incarnation):
            raise EntryRefused(index=after.size - 1, rule=N_("it says that this node was restored elsewhere"))
        return after

    def _knows(self, incarnation: bytes | None) -> bool:
        return self.incarnations is None or incarnation in self.incarnations

    def _holds(self, identity: SigningPublicKey | None) -> bool:
        """About ourselves only what we know of (protocol §4): whoever signed for it, the key must be in this node."""
        return self._keys is None or identity is None or self._keys.holds(identity)

    async def _judge(
        self, note: str, checkpoint: Checkpoint, roster: Roster, added: list[statements_pb2.Entry]
    ) -> None:
        known = self._tree.size
        if checkpoint.time - self._clock.now() > _AHEAD:
            # Before it is kept: whatever the directory signs later would else be older, and so refused, until that day.
            raise CheckpointRefused(problem=N_("it is dated in the future"))
        if self._checkpoint is not None and checkpoint.size < self._checkpoint.size:
            raise RosterRolledBack(shown=checkpoint.size, known=self._checkpoint.size)
        if checkpoint.size != known + len(added):
            raise CheckpointRefused(
                problem=N_("it counts {size} entries, {served} were served"),
                size=checkpoint.size,
                served=known + len(added),
            )
        tree = self._tree.copy()
        for entry in added:
            tree.append(entry_leaf(entry))
        if tree.root() != checkpoint.root:
            raise RosterForked(size=checkpoint.size)
        # One dated in the future is no measure: it was taken while this clock, too, was ahead, and both were put right.
        if self._checkpoint is not None and checkpoint.time < self._checkpoint.time <= self._clock.now() + _AHEAD:
            if checkpoint.size == self._checkpoint.size:
                return  # an older signature over the same tree: ours stays
            raise CheckpointRefused(problem=N_("it is dated before the one this node holds"))

        # With the old key goes its card, and the count of its cards: both may be in somebody else's hands.
        recovered = {
            MemberId(statements_pb2.MemberRecovered.FromString(entry.body).member)
            for entry in added
            if entry.type == _RECOVERED
        } - {self._member}

        def keep(tx: Connection) -> None:
            if added:
                rows = [
                    {"position": known + offset, "entry": entry.SerializeToString(deterministic=True)}
                    for offset, entry in enumerate(added)
                ]
                tx.execute(insert(_ENTRY), rows)
            for member in recovered:
                tx.execute(delete(_CARD).where(_CARD.c.member == bytes(member)))
            tx.execute(_KEEP_HEAD, {"id": 1, "note": note, "card_revision": self._revision})

        await self._db.write(keep)
        for member in recovered:
            self._cards.pop(member, None)
            self._numbers.pop(member, None)
        self._tree, self._roster, self._note, self._checkpoint = tree, roster, note, checkpoint
        self.news.set()
        if added:
            log.info("roster.grown", size=tree.size)

    async def _follow_cards(self) -> None:
        client, roster, now = self._require_client(), self.roster, self._clock.now()
        kept: dict[MemberId, KnownCard] = {}
        revision, waits_after = self._revision, None
        asked = ""
        async for published in client.cards(after_revision=revision):
            if published.HasField("refusal"):
                asked = self._refusal(Signed.from_message(published.refusal), roster)
                continue
            signed = Signed.from_message(published.card)
            member = MemberId(published_member(signed))
            if published.revision <= revision:
                raise CardRefused(member=member.hex(), problem=N_("it was served out of order"))
            if member not in roster.members:
                break  # admitted since we looked at the log: it is asked for again, once we know of that
            before = revision
            try:
                revision = require_possible(published.revision, now=now, what=N_("Card"))
            except MalformedStatement as impossible:
                raise CardRefused(member=member.hex(), problem=N_("its number is from far ahead")) from impossible
            if _outdated(signed, roster, member) is not None:
                continue
            served = kept.get(member)
            newest = served or self._cards.get(member)
            number = newest.card.number if newest else self._numbers.get(member, 1)
            try:
                judged = self._judged_at(signed, member, now)
                card = Card.parse(signed, roster, now=judged, profile=published.profile, at_least=number)
            except (CardExpired, NotAMember):
                continue  # of a member that is away or gone
            if newest and card.number == newest.card.number and (served or signed.digest != newest.card.signed.digest):
                raise CardRefused(member=member.hex(), problem=N_("two cards bear the same number"))
            if member != self._member and card.not_before > now + _AHEAD:
                # Its member's and the directory's clock were ahead: it is asked for again, and the one before counts.
                waits_after = before if waits_after is None else waits_after
                continue
            # Read before it is kept: a profile that cannot be read would not be readable after a restart either.
            profile = Profile.parse(published.profile, *roster.members[member].registrations)
            kept[member] = KnownCard(card=card, profile=profile, profile_bytes=published.profile)
        self.asked_to_correct = asked
        revision = revision if waits_after is None else waits_after
        if not kept and revision == self._revision:
            return

        def keep(tx: Connection) -> None:
            for member, known in kept.items():
                values = {
                    "number": known.card.number,
                    "signed": known.card.signed.to_bytes(),
                    "profile": known.profile_bytes,
                }
                row = upsert(_CARD).values(member=bytes(member), **values)
                tx.execute(row.on_conflict_do_update(index_elements=["member"], set_=values))
            tx.execute(update(_HEAD).values(card_revision=revision))

        await self._db.write(keep)
        self._revision = revision
        self._cards.update(kept)
        self._numbers.update({member: known.card.number for member, known in kept.items()})

    def _refusal(self, signed: Signed, roster: Roster) -> str:
        """The reason, if an administrator gave it, for a card of ours. Raises: CardRefused."""
        try:
            body = parse_body(signed, statements_pb2.RefuseCard)
            key = roster.administrators.get(signed.signer)
            if key is None:
                return ""  # of one who has left meanwhile
            verify(signed, key)
        except (MalformedStatement, BadSignature) as forged:
            raise CardRefused(member=self._member.hex(), problem=N_("its refusal does not verify")) from forged
        if (body.network, body.member) != (self._network, self._member):
            raise CardRefused(member=self._member.hex(), problem=N_("its refusal is another member's"))
        return body.reason

    # ---- alarm ----

    async def raise_alarm(self, refusal: SplitView, *, shown: str) -> None:
        """For what is found outside a sync: another member was shown another roster. `shown` is its signed statement.

        What the directory shows to us goes on verifying, so that ends nothing: the alarm stays until the log has
        grown, which takes the network's administrators.
        """
        refusal.facts["known"] = str(self._tree.size)
        async with self._lock:
            await self._raise_alarm(refusal, shown=shown)

    async def _raise_alarm(self, refusal: CordeeError, *, shown: str) -> int | None:
        """The number of the evidence that was kept; None where the alarm was there before, or there is no room."""
        now = self._clock.now()

        def keep(tx: Connection) -> int | None:
            tx.execute(delete(_ALARM))
            facts = json.dumps(refusal.facts)
            tx.execute(insert(_ALARM).values(id=1, at=now, reason=refusal.reason, facts=facts))
            if self._alarm is not None and self._alarm.reason == refusal.reason:
                return None
            journal.append(tx, now=now, actor="node", action="roster.alarm", subject="", outcome=refusal.reason)
            if not _has_room(tx):
                return None
            evidence = {"at": now, "reason": refusal.reason, "kept": self._note, "shown": shown}
            (number,) = tx.execute(insert(_EVIDENCE).values(**evidence).returning(_EVIDENCE.c.id)).one()
            return int(number)

        kept = await self._db.write(keep)
        self._alarm = refusal
        log.error("roster.alarm", reason=refusal.reason)
        return kept

    async def _keep_view(self, evidence: int, view: bytes | None) -> None:
        """The log under the note that was shown, beside the evidence: after the alarm, for it may take its time."""
        if view is None:
            return

        def keep(tx: Connection) -> None:
            held = tx.execute(select(func.coalesce(func.sum(func.length(_EVIDENCE_VIEW.c.view)), 0))).scalar_one()
            if held + len(view) <= _VIEWS:
                tx.execute(insert(_EVIDENCE_VIEW).values(evidence_id=evidence, view=view))

        await self._db.write(keep)

    async def _shown_note(self) -> str:
        try:
            return await self._require_client().checkpoint()
        except CordeeError:
            return ""  # the refusal itself is what counts; the evidence then holds our own side only

    async def _clear_alarm(self) -> None:
        if self._alarm is None:
            return
        known = self._alarm.facts.get("known", "")
        if isinstance(self._alarm, SplitView) and known.isdecimal() and self._tree.size <= int(known):
            return
        now = self._clock.now()

        def keep(tx: Connection) -> None:
            tx.execute(delete(_ALARM))
            journal.append(tx, now=now, actor="node", action="roster.alarm", subject="", outcome="mended")

        await self._db.write(keep)
        self._alarm = None
        log.info("roster.mended")

    def _require_client(self) -> LogSource:
        source = self._via or self._client
        if source is None:
            raise RosterStale(age="—", limit="—")
        return source


def _has_room(tx: Connection) -> bool:
    """Whether one piece of evidence more is kept: the oldest that is no proof gives way, and what proves it stays.
    Whoever shows something else every minute must not fill the disk.
    """
    if tx.execute(select(func.count()).select_from(_EVIDENCE)).scalar_one() < _KEPT:
        return True
    weak = select(_EVIDENCE.c.id).where(_EVIDENCE.c.reason.not_in(_GRAVE)).order_by(_EVIDENCE.c.id).limit(1)
    oldest = tx.execute(weak).scalar_one_or_none()
    if oldest is None:
        return False
    tx.execute(delete(_EVIDENCE_VIEW).where(_EVIDENCE_VIEW.c.evidence_id == oldest))
    tx.execute(delete(_EVIDENCE).where(_EVIDENCE.c.id == oldest))
    return True


def _identity(roster: Roster | None, member: MemberId) -> SigningPublicKey | None:
    found = roster.members.get(member) if roster else None
    return found.identity if found else None


def _outdated(signed: Signed, roster: Roster, member: MemberId) -> SigningPublicKey | None:
    """The former identity key that signed a card: its member has another one, and will publish another card."""
    found = roster.members.get(member)
    former = found.former_identities if found else ()
    return next((key for _, key in former if key.key_id == signed.signer), None)


def published_member(signed: Signed) -> bytes:
    """The member that a card says it is of; believed only once the card is parsed against the roster."""
    try:
        return parse_body(signed, statements_pb2.Card).member
    except MalformedStatement as malformed:
        raise CardRefused(member="", problem=N_("it is malformed")) from malformed
