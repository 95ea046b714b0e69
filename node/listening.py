"""The node's ear: the directory's events, each kept together with its effect."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from cordee.errors import (
    N_,
    CordeeError,
    MemberIsSuspended,
    NotFound,
    RemoteFailure,
    RosterBehind,
    SplitView,
    Unreachable,
)
from cordee.ids import MemberId, TransferId
from cordee.members import MemberState, Roster
from cordee.runtime.logs import logger
from cordee.signing import Signed
from cordee.statements import peek
from cordee.transfer import Kind, State
from cordee.v1 import directory_pb2
from node import journal, transfer_store
from node.answers import Answers
from node.arrivals import Arrivals
from node.batches import in_batches
from node.chain import chain_of
from node.directory_client import DirectoryClient
from node.giving_back import GivingBack
from node.hearsay import require_possible, state_of
from node.house import House
from node.prefetching import Prefetching

__all__ = ["Listener"]

log = logger("node.events")

_AT_ONCE = 32
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_REFUSALS, _REFUSALS_IN = 200, timedelta(hours=1)  # what of it is journalled

_TOLD = {
    Kind.RECEIPT_TAKEN: {Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED},
    Kind.WITHDRAWAL: {Kind.WITHDRAWAL, Kind.REFUSAL, Kind.RECEIPT_REFUSED, Kind.ERASURE},
    Kind.ERASURE: {Kind.ERASURE},
}
"""What this node was told to do, or has done, and what shows, where the broker has it, that it is settled."""
_FOR_EACH_MEMBER = 0.02  # seconds: fifty nodes a second come back to a directory that was away

_SENT_BY_RECIPIENT = frozenset({Kind.ACCEPTANCE, Kind.REFUSAL, Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED, Kind.ERASURE})


class Listener:
    """Follows the stream of events from the last one kept, and the roster whenever it has grown."""

    def __init__(
        self,
        house: House,
        client: DirectoryClient,
        answers: Answers,
        arrivals: Arrivals,
        prefetching: Prefetching,
        giving_back: GivingBack,
    ) -> None:
        self._house = house
        self._client = client
        self._answers = answers
        self._arrivals = arrivals
        self._prefetching = prefetching
        self._giving_back = giving_back
        self._pause = _FIRST_PAUSE  # seconds before the next connection
        self._refused = 0  # statements, since
        self._refused_since = house.clock.now()
        self.caught_up = asyncio.Event()  # set once everything that was kept for us has come

    async def run(self) -> None:
        """Until cancelled; a connection that ends is made anew, with a pause that grows. Nothing that is heard ends
        this: the same event would end it again after each start, and the node could hear of nothing any more.
        """
        self._pause = _FIRST_PAUSE
        while True:
            try:
                await self._follow_stream()
            except Exception as unforeseen:  # a full disk, say; the cursor stands before what could not be kept
                log.error("events.failed", reason=type(unforeseen).__name__)
            await self._house.clock.sleep(self._spread(self._pause))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _follow_stream(self) -> None:
        """One connection, from the last event kept until it ends."""
        try:
            await self._follow_roster()
            self._house.changes.post.set()
            self._house.changes.work.set()
            stream = self._possible(self._client.events(cursor=self._house.db.look(transfer_store.cursor)))
            async for events in in_batches(stream, most=_AT_ONCE):
                self._house.roster.connected = True
                await self._hear_all(events)
                self._pause = _FIRST_PAUSE
        except CordeeError as ended:
            log.info("events.ended", reason=ended.reason)
            await self._giving_back.after(ended)
        finally:
            self._house.roster.connected = False
            self.caught_up.clear()

    async def _possible(self, stream: AsyncIterator[directory_pb2.Event]) -> AsyncIterator[directory_pb2.Event]:
        """The events up to the first that cannot be. Raises: MalformedStatement for that one."""
        async for event in stream:
            require_possible(event.sequence, now=self._house.clock.now(), what=N_("Event"))
            yield event

    def _spread(self, pause: float) -> float:
        """At random, so that a directory that restarts is not met by everybody at once: half of the pause, and a time
        that grows with the network. Every node's stream ends in the same moment, however short the pause is.
        """
        part = int.from_bytes(self._house.random(2), "big") / 65_535
        return pause / 2 + part * (pause / 2 + self._house.roster.crowd * _FOR_EACH_MEMBER)

    async def _hear_all(self, events: list[directory_pb2.Event]) -> None:
        """What came together. Transfers do not wait for one another; within one, order is kept. The cursor passes
        them when all are kept: hearing one of them again after a crash changes nothing.
        """
        if len(events) == 1:
            await self._hear(events[0], sequence=events[0].sequence)
            return
        in_order: dict[bytes, list[directory_pb2.Event]] = {}
        for event in events:
            in_order.setdefault(_transfer_of(event), []).append(event)
        try:
            async with asyncio.TaskGroup() as group:
                for each in in_order.values():
                    group.create_task(self._hear_in_order(each))
        except* Exception as failed:
            raise _first_of(failed) from failed
        reached = max(event.sequence for event in events)
        if reached:
            await self._house.db.write(lambda tx: transfer_store.keep_cursor(tx, reached))

    async def _hear_in_order(self, events: list[directory_pb2.Event]) -> None:
        for event in events:
            await self._hear(event, sequence=0)

    async def _hear(self, event: directory_pb2.Event, *, sequence: int) -> None:
        kind = event.WhichOneof("kind")
        if kind == "roster_grown":
            await self._follow_roster(event.roster_grown)
        elif kind == "card_published":
            if self._house.roster.counts_cards(event.card_published.revision):
                await self._follow_roster()
        elif kind == "stream_ready":
            # What the log gained between our look at it and this stream's beginning has sent no hint.
            await self._follow_roster()
            self.caught_up.set()
        elif kind == "statement":
            await self._take(Signed.from_message(event.statement), sequence=sequence)
        elif kind == "mailbox_growing":
            hint = event.mailbox_growing
            await self._prefetching.begin(TransferId(hint.transfer_id), anew=hint.anew)
        elif kind == "expired":
            await self._expire(TransferId(event.expired.transfer_id), sequence=sequence)
        elif kind == "directory_restored":
            await self._giving_back.since(event.directory_restored)

    async def _follow_roster(self, hint: directory_pb2.RosterGrown | None = None) -> None:
        """Synchronise; then take up what was put aside, should everybody concerned be back in good standing."""
        known = self._house.roster
        roster = await (known.sync() if hint is None else known.hear(hint))
        for signed in await self._house.db.read(transfer_store.put_aside_so_far):
            parties = peek(signed).parties
            if any(is_suspended(roster, member) for member in (parties.sender, parties.recipient)):
                continue
            await self._take(signed, sequence=0)
            with contextlib.suppress(NotFound):
                await self.reconcile(parties.transfer_id)  # its time may have run out meanwhile
            await self._house.db.write(partial(transfer_store.take_up, signed=signed))

    async def _take(self, signed: Signed, *, sequence: int) -> None:
        """One statement of the other party. While the roster is in doubt nothing is taken: the stream ends, and begins
        again at this event later.

        Raises: the alarm; whatever a synchronisation raises.
        """
        if self._house.roster.alarm is not None:
            raise self._house.roster.alarm
        if not await self._judge(signed, sequence=sequence, last=False):
            await self._house.roster.sync()  # theirs is longer than ours, or somebody is back in good standing
            await self._judge(signed, sequence=sequence, last=True)

    async def _judge(self, signed: Signed, *, sequence: int, last: bool) -> bool:
        """Take it; put it aside where a suspension stops it; journal and pass over what cannot be believed. False where
        a newer roster may change the answer, unless this is the `last` look.
        """
        try:
            await self._dispatch(signed, sequence=sequence)
        except Unreachable:
            raise
        except MemberIsSuspended:
            if not last:
                return False
            await self._put_aside(sequence, signed)
        except SplitView as split:
            # The directory let it pass, so this is for people to judge: the signed statement is the evidence.
            shown = base64.b64encode(signed.to_bytes()).decode("ascii")
            await self._house.roster.raise_alarm(split, shown=shown)
            await self._pass_over(sequence, signed, split)
        except CordeeError as refused:
            if isinstance(refused, RosterBehind) and not last:
                return False
            log.warning("event.refused", reason=refused.reason, kind=signed.type)
            await self._pass_over(sequence, signed, refused)
        return True

    async def _dispatch(self, signed: Signed, *, sequence: int) -> None:
        kind = peek(signed).kind
        if kind in _SENT_BY_RECIPIENT:
            await self._answers.hear(signed, kind, sequence=sequence)
        else:
            await self._arrivals.hear(signed, kind, sequence=sequence)

    async def _put_aside(self, sequence: int, signed: Signed) -> None:
        now = self._house.clock.now()

        def keep(tx: Connection) -> None:
            transfer_store.keep_cursor(tx, sequence)
            transfer_store.put_aside(tx, signed, now=now)

        await self._house.db.write(keep)
        log.info("event.put_aside", kind=signed.type)

    async def _pass_over(self, sequence: int, signed: Signed, refused: CordeeError) -> None:
        now = self._house.clock.now()
        if now - self._refused_since > _REFUSALS_IN:
            self._refused_since, self._refused = now, 0
        self._refused += 1
        told = self._refused <= _REFUSALS  # whoever sends rubbish without end must not fill journal and disk with it

        def keep(tx: Connection) -> None:
            transfer_store.keep_cursor(tx, sequence)
            if not told:
                return
            journal.append(
                tx,
                now=now,
                actor="node",
                action="event.refused",
                subject=signed.digest.hex(),
                outcome=refused.reason,
            )

        await self._house.db.write(keep)

    async def _expire(self, transfer: TransferId, *, sequence: int) -> None:
        known = self._house.db.look(lambda tx: _find(tx, transfer))
        if known is None:
            await self._house.db.write(lambda tx: transfer_store.keep_cursor(tx, sequence))
        elif known.outgoing:
            await self._answers.expired(transfer, sequence=sequence)
        else:
            await self._arrivals.expired(transfer, sequence=sequence)

    async def give_back(self, transfer: TransferId) -> bool:
        """The broker may have come back from a backup that knows less of a transfer than this node. Whether it did."""
        return await self._giving_back.transfer(transfer) > 0

    async def reconcile(
        self, transfer: TransferId, *, dropped: Kind | None = None, refused: CordeeError | None = None
    ) -> None:
        """Ask the broker what became of a transfer, and take over what this node has not heard yet."""
        known = self._house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer))
        half = self._answers if known.outgoing else self._arrivals
        try:
            kept = await self._client.transfer(transfer)
        except NotFound:
            if dropped in _TOLD and not self._never_came(known):
                raise  # it was taken once, and is over for nobody yet: this is the directory's word alone
            await half.dropped(transfer, dropped, refused, at_broker=None)
            return
        for message in kept.statements:
            signed = Signed.from_message(message)
            kind = peek(signed).kind
            if (kind in _SENT_BY_RECIPIENT) == known.outgoing:
                await self._take(signed, sequence=0)
        if kept.state == State.EXPIRED:
            await self._expire(transfer, sequence=0)
        state, statements = state_of(kept.state), [Signed.from_message(each) for each in kept.statements]
        if dropped is Kind.OFFER and await self._was_taken(transfer, statements):
            return
        self._require_settled(known, dropped, statements, state)
        await half.dropped(transfer, dropped, refused, at_broker=state)

    async def _was_taken(self, transfer: TransferId, statements: Sequence[Signed]) -> bool:
        """Whether the broker shows the very offer that it has refused: without it their answer could never be read."""
        waits = self._house.db.look(lambda tx: transfer_store.next_waiting(tx, transfer))
        if waits is None or waits.kind is not Kind.OFFER or waits.signed not in statements:
            return False
        await self._house.db.write(lambda tx: transfer_store.mark_taken(tx, transfer, Kind.OFFER))
        log.warning("offer.taken_and_refused", transfer=transfer.short)
        return True

    def _never_came(self, known: transfer_store.Transfer) -> bool:
        """The broker has not taken the offer, or its time is over."""
        taken = self._house.db.look(lambda tx: (Kind.OFFER, False) in transfer_store.kinds(tx, known.id))
        return not taken or known.expires_at <= self._house.clock.now()

    def _require_settled(
        self, known: transfer_store.Transfer, dropped: Kind | None, kept: Sequence[Signed], state: State
    ) -> None:
        """A step that somebody was promised is not given up on the directory's word: signatures or time must show that
        it was taken, or can have no effect any more. Raises: RemoteFailure, and what reading the statements raises.
        """
        if dropped not in _TOLD:
            return
        kinds = set(chain_of(self._house, kept).kinds) if kept else set()
        if kinds & _TOLD[dropped]:
            return
        if dropped is Kind.WITHDRAWAL:
            nothing_left = state is State.EXPIRED and Kind.SHIPMENT not in kinds
            if nothing_left or known.expires_at <= self._house.clock.now():
                return
        raise RemoteFailure(peer=N_("The directory"), code=str(state).upper())

    async def catch_up_with(self, transfer: TransferId) -> None:
        """Take what the broker keeps of a transfer and this node was not told, also where it knows nothing of it.

        Raises: as `reconcile`.
        """
        if self._house.db.look(lambda tx: _find(tx, transfer)) is None:
            for message in (await self._client.transfer(transfer)).statements[:1]:
                await self._take(Signed.from_message(message), sequence=0)
        if self._house.db.look(lambda tx: _find(tx, transfer)) is not None:
            await self.reconcile(transfer)

    async def time_is_over(self, transfer: TransferId) -> None:
        """By our own clock, and the broker knows nothing of it."""
        await self._expire(transfer, sequence=0)


def _transfer_of(event: directory_pb2.Event) -> bytes:
    """By its own word, **unverified**: only to keep what concerns one transfer in order. Hints concern none."""
    kind = event.WhichOneof("kind")
    if kind == "expired":
        return event.expired.transfer_id
    if kind == "mailbox_growing":
        return event.mailbox_growing.transfer_id
    try:
        return peek(Signed.from_message(event.statement)).parties.transfer_id if kind == "statement" else b""
    except CordeeError:
        return b""  # whoever takes it says what is wrong


def _first_of(failed: BaseExceptionGroup[Exception]) -> Exception:
    first = failed.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def is_suspended(roster: Roster, member: MemberId) -> bool:
    """Whether a member's transfers stand still."""
    found = roster.members.get(member)
    return found is not None and found.state is MemberState.SUSPENDED


def _find(tx: Connection, transfer: TransferId) -> transfer_store.Transfer | None:
    try:
        return transfer_store.read_transfer(tx, transfer)
    except NotFound:
        return None
