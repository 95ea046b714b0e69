"""Every step of a transfer passes here, and is taken if the table, the roster and the consent token allow it.

The broker reads who, to whom, when and how much. All else in a statement is sealed, and none of it is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from cordee.errors import (
    N_,
    InvalidInput,
    MemberIsSuspended,
    NotFound,
    NotInThisState,
    StatementRefused,
    TooManyOffers,
    TransferOver,
    WrongParty,
)
from cordee.ids import MemberId, TransferId
from cordee.members import MemberState, Roster
from cordee.runtime.clock import Clock
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.database import Database
from cordee.runtime.logs import logger
from cordee.signing import Signed
from cordee.statements import (
    Answer,
    Erasure,
    Offer,
    Peek,
    Recall,
    Receipt,
    RootAt,
    Shipment,
    Statement,
    Withdrawal,
    peek,
)
from cordee.transfer import END_STATES, Kind, Party, State, next_state
from cordee.v1 import statements_pb2 as v1
from directory import quotas, taking_back, transfers
from directory.commands import SKEW
from directory.events import Events
from directory.restoration import Restorations
from directory.roster_store import RosterStore
from directory.transfers import Listed, Taken, Transfer

__all__ = ["Broker", "Waiting"]

log = logger("directory.broker")

_BY_SENDER = frozenset({Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL})
_ENDING: dict[str, type[v1.MemberRemoved | v1.NodeRestored]] = {
    message.DESCRIPTOR.full_name: message for message in (v1.MemberRemoved, v1.NodeRestored)
}
"""Entries that end a member's transfers: it is gone, or its node has lost the keys of what was under way."""
_REMEMBERED = 2048
_TRIES = 3

_SUBMITTED: tuple[Kind, ...] = tuple(kind for kind in Kind if kind != Kind.EXPIRY)
_BEFORE = {kind: register(f"directory.submit.{kind}.before_write") for kind in _SUBMITTED}
_AFTER = {kind: register(f"directory.submit.{kind}.after_write") for kind in _SUBMITTED}
AFTER_EXPIRY = register("directory.expiry.after_write")
BEFORE_ERASURE = register("directory.erasure.before")
AFTER_ERASURE = register("directory.erasure.after")


class Waiting(Protocol):
    """Where ciphertext waits."""

    async def size(self, transfer_id: TransferId, /) -> int:
        """Bytes held durably."""
        ...

    async def erase(self, transfer_id: TransferId, /) -> None:
        """Erase them; nothing happens where there are none."""
        ...

    def names(self) -> frozenset[TransferId]:
        """The transfers that have bytes here."""
        ...


class _Due(Exception):
    """Time has ended the transfer, and that must be written down first."""


class Broker:
    """Takes steps. What is durable is answered; what is answered is durable."""

    def __init__(
        self,
        db: Database,
        rosters: RosterStore,
        events: Events,
        waiting: Waiting,
        clock: Clock,
        crashpoints: Crashpoints,
        restorations: Restorations,
    ) -> None:
        self._db = db
        self._rosters = rosters
        self._restorations = restorations
        self._events = events
        self._waiting = waiting
        self._clock = clock
        self._crashpoints = crashpoints
        self._recall = Recall(_REMEMBERED)
        self._offers = quotas.offers(clock)
        self._over = asyncio.Event()
        self.reached: list[Callable[[State], None]] = []

    async def submit(self, caller: MemberId, signed: Signed) -> State:
        """Take one step of a transfer. Returns the state that it made.

        Raises: what `cordee.statements` and `cordee.transfer` raise, WrongParty for somebody else's statement,
        MemberIsSuspended for either party, QuotaExceeded, TooManyOffers, TooLarge, TransferOver.
        """
        seen = peek(signed)
        author = seen.parties.sender if seen.kind in _BY_SENDER else seen.parties.recipient
        if author != caller:
            raise WrongParty(what=signed.type.rpartition(".")[2])
        for _ in range(_TRIES):
            try:
                return await self._submit(seen, signed)
            except _Due:
                await self._expire([seen.parties.transfer_id])
        raise TransferOver(state=State.EXPIRED)

    async def _submit(self, seen: Peek, signed: Signed) -> State:
        id_, now = seen.parties.transfer_id, self._clock.now()
        again, transfer, taken = self._db.look(
            lambda tx: (
                transfers.state_of_taken(tx, signed.digest),
                transfers.find(tx, id_),
                transfers.statements_of(tx, id_),
            )
        )
        if again is not None:
            return again
        if transfer is not None and self._is_over(transfer, now):
            raise _Due
        roster = self._rosters.roster
        _require_standing(roster, seen)
        _require_step(seen, transfer, taken)
        statement = self._parse(signed, seen.kind, roster, taken, now)
        if isinstance(statement, Shipment):
            await self._require_waiting(statement, taken)
        if isinstance(statement, Offer):
            self._offers.spend(statement.sender, error=TooManyOffers)

        def step(tx: Connection) -> State:
            present = transfers.find(tx, id_)
            if present is not None and self._is_over(present, now):
                raise _Due
            _require_standing(self._rosters.roster, seen)  # the roster may have grown since the statement was read
            return transfers.take(tx, statement, now=now, quota=roster.policy.mailbox_quota)

        self._crashpoints.reach(_BEFORE[seen.kind])
        state = await self._db.write(step)
        self._crashpoints.reach(_AFTER[seen.kind])
        self._recall.remember(statement)
        self._events.wake(statement.recipient if statement.by is Party.SENDER else statement.sender)
        if state in END_STATES:
            self._over.set()
        self._tell(state)
        log.info("transfer.step", transfer=id_.short, statement=seen.kind, state=state)
        return state

    async def transfer(self, caller: MemberId, id_: TransferId) -> tuple[State, list[Taken]]:
        """All that is kept of one of the caller's transfers. Raises: NotFound, also for somebody else's."""
        found, taken = self._db.look(lambda tx: (transfers.find(tx, id_), transfers.statements_of(tx, id_)))
        if found is None or caller not in (found.sender, found.recipient):
            raise NotFound(what=N_("transfer"))
        if self._is_over(found, self._clock.now()):
            await self._expire([id_])
            return State.EXPIRED, taken
        return found.state, taken

    async def give_back(self, caller: MemberId, given: Sequence[Signed]) -> tuple[State | None, int]:
        """What was taken of one of the caller's transfers before this database came back from a backup. Returns where
        it stands, None where it is not known, and how many statements were added: none where there was no restore.

        Each is read as history, for it was taken once: signed by a key of its author's, in one chain with the others.
        One that is later than the restore comes as any other step does; by its author's own clock, which may be as far
        ahead of ours as it was when the statement was taken.

        What goes on with them keeps the policy's limits: nobody can tell when it was really signed.

        Raises: WrongParty, InvalidInput, TooManyOffers, QuotaExceeded, StatementRefused, TooLarge, and what reading the
        statements raises.
        """
        restored, now = self._restorations.last, self._clock.now()
        peeked = [peek(signed) for signed in given]
        if len({each.parties for each in peeked}) != 1 or len({each.kind for each in peeked}) != len(peeked):
            raise InvalidInput(field="statements", problem=N_("they are not of one transfer"))
        parties = peeked[0].parties
        if caller not in (parties.sender, parties.recipient):
            raise WrongParty(what=N_("GiveBackTransfer"))
        id_ = parties.transfer_id
        found, taken = self._db.look(lambda tx: (transfers.find(tx, id_), transfers.statements_of(tx, id_)))
        if found is not None and (found.sender, found.recipient) != (parties.sender, parties.recipient):
            raise NotFound(what=N_("transfer"))
        earlier = {
            each.kind: signed
            for each, signed in zip(peeked, given, strict=True)
            if restored is not None and each.time <= restored.at + SKEW
        }
        kinds = taking_back.fitting([each.kind for each in taken], list(earlier))
        if not kinds:
            return found.state if found is not None else None, 0
        both = taking_back.merged(taken, [Taken(kind, earlier[kind], State.OFFERED) for kind in kinds])
        before = _Before(self, both, self._rosters.roster, now)
        statements = [before.read(earlier[kind], kind, tree=self._rosters.root_at) for kind in kinds]
        policy = self._rosters.roster.policy
        goes_on = taking_back.state_after([each.kind for each in both]) not in END_STATES
        if goes_on:
            taking_back.require_within(statements, policy)
        if found is None:
            self._offers.spend(parties.sender, error=TooManyOffers)

        def step(tx: Connection) -> tuple[State | None, int]:
            return taking_back.take_back(tx, statements, now=now, quota=policy.mailbox_quota if goes_on else None)

        state, added = await self._db.write(step)
        if added:
            self._events.wake(parties.sender, parties.recipient)
            self._over.set()
            log.info("transfer.given_back", transfer=id_.short, count=added, state=state)
        gone = [self._rosters.roster.members.get(each) for each in (parties.sender, parties.recipient)]
        if state not in (None, *END_STATES) and any(each is None or each.state is MemberState.REMOVED for each in gone):
            await self._expire([id_])
            return State.EXPIRED, added
        return state, added

    def _is_over(self, transfer: Transfer, now: datetime) -> bool:
        """Time has ended it; right after a restore its parties may still have to say what became of it."""
        return transfer.is_due(now) and not self._restorations.waits(now)

    async def transfers_of(self, caller: MemberId) -> AsyncIterator[Listed]:
        """Every transfer that the caller is a party of, a page at a time."""
        after = b""
        while page := await self._db.read(partial(transfers.page_of, member=caller, after=after)):
            for each in page:
                yield each
            after = page[-1].id

    # ---- the mailbox's questions ----

    async def standing(self, caller: MemberId, id_: TransferId) -> Transfer:
        """The caller's transfer, between two active members, with its time not over.

        Raises: NotFound, TransferOver, NotAMember, MemberIsSuspended.
        """
        found = self._db.look(lambda tx: transfers.find(tx, id_))
        if found is None or caller not in (found.sender, found.recipient):
            raise NotFound(what=N_("transfer"))
        for member in (found.sender, found.recipient):
            self._rosters.roster.active(member)
        if found.is_due(self._clock.now()):
            raise TransferOver(state=State.EXPIRED)
        return found

    def upload_under_way(self, id_: TransferId, *, anew: bool) -> None:
        """Hint to the recipient: ciphertext comes in, in the place of an earlier upload where it is `anew`."""
        found = self._db.look(lambda tx: transfers.find(tx, id_))
        if found is not None:
            self._events.mailbox_growing(found.recipient, id_, anew=anew)

    # ---- time, removal, erasure ----

    async def expire_due(self) -> int:
        """Write down what time has ended. Returns how many."""
        count = 0
        if self._restorations.waits(self._clock.now()):
            return count
        while ended := await self._db.read(lambda tx: transfers.due(tx, self._clock.now())):
            await self._expire(ended)
            count += len(ended)
        return count

    async def _expire(self, ended: list[TransferId]) -> None:
        now = self._clock.now()
        pairs = await self._db.write(lambda tx: [transfers.expire(tx, each, now) for each in ended])
        self._crashpoints.reach(AFTER_EXPIRY)
        for pair in filter(None, pairs):
            self._events.wake(*pair)
            self._tell(State.EXPIRED)
        self._over.set()
        log.info("transfer.expired", count=len([pair for pair in pairs if pair]))

    def on_entry(self, tx: Connection, roster: Roster, entry: v1.Entry) -> None:
        """Transfers of a removed member, or of one whose node was restored, expire at once, together with the entry
        (protocol §6 and §10).
        """
        statement = _ENDING.get(entry.type)
        if statement is not None:
            member = MemberId(statement.FromString(entry.body).member)
            for each in transfers.open_of(tx, member):
                transfers.expire(tx, each, self._clock.now())

    def something_ended(self) -> None:
        """A removal ended transfers: what waits for them is to be erased."""
        self._over.set()

    async def erase_for_ever(self) -> None:
        """Erase the bytes of transfers as they end, until cancelled: nobody waits for it, and a crash loses nothing."""
        while True:
            self._over.clear()
            try:
                await self.sweep()
            except Exception as failed:  # a full disk, say. The marks stay: the next round of upkeep tries again
                log.error("mailbox.erasure_failed", reason=getattr(failed, "reason", type(failed).__name__))
            await self._over.wait()

    async def sweep(self) -> int:
        """Erase what waits for transfers that have ended. Returns how many."""
        ended = await self._db.read(transfers.to_erase)
        for each in ended:
            self._crashpoints.reach(BEFORE_ERASURE)
            await self._waiting.erase(each)
            self._crashpoints.reach(AFTER_ERASURE)
        if ended:
            await self._db.write(lambda tx: transfers.erased(tx, ended))
        return len(ended)

    async def sweep_orphans(self) -> int:
        """Erase files that no transfer under way accounts for: one that a late piece made anew. Returns how many."""
        if self._restorations.keeps_files(self._clock.now()):
            return 0
        names = self._waiting.names()
        kept = await self._db.read(lambda tx: transfers.holding(tx, names))
        for each in names - kept:
            await self._waiting.erase(each)
        return len(names - kept)

    # ---- reading a statement against those before it ----

    def _parse(self, signed: Signed, kind: Kind, roster: Roster, taken: list[Taken], now: datetime) -> Statement:
        if kind is Kind.OFFER:
            return Offer.parse(signed, roster, now=now, tree=self._rosters.root_at, fresh=True)
        before = _Before(self, taken, roster, now)
        offer = before.offer()
        if kind in (Kind.ACCEPTANCE, Kind.REFUSAL):
            return Answer.parse(signed, roster, offer=offer, now=now, tree=self._rosters.root_at, fresh=True)
        if kind is Kind.SHIPMENT:
            return Shipment.parse(signed, roster, offer=offer, answer=before.answer(), now=now, fresh=True)
        if kind in (Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED):
            return Receipt.parse(signed, roster, offer=offer, shipment=before.shipment(), now=now, fresh=True)
        if kind is Kind.WITHDRAWAL:
            return Withdrawal.parse(signed, roster, offer=offer, now=now, fresh=True)
        returned = Erasure.follows(signed) is Kind.SHIPMENT
        follows = before.shipment() if returned else before.withdrawal()
        return Erasure.parse(signed, roster, before=follows, now=now, fresh=True)

    async def _require_waiting(self, shipment: Shipment, taken: list[Taken]) -> None:
        """The ciphertext is here, whole; where the recipient named a mailbox of its own, here or there."""
        accepted = v1.Answer.FromString(_of(taken, Kind.ACCEPTANCE, shipment.kind).signed.body)
        held = await self._waiting.size(shipment.transfer_id)
        if held != shipment.ciphertext_size and not (accepted.acceptance.mailbox and held == 0):
            problem = N_("{held} bytes wait in the mailbox; it names {size}")
            raise StatementRefused(what=N_("Shipment"), problem=problem, held=held, size=shipment.ciphertext_size)

    def _tell(self, state: State) -> None:
        """For counters: a state was reached, nothing more."""
        for each in self.reached:
            each(state)


class _Before:
    """The statements that a new one follows."""

    def __init__(self, broker: Broker, taken: list[Taken], roster: Roster, now: datetime) -> None:
        self._broker = broker
        self._taken = taken
        self._roster = roster
        self._now = now

    def read(self, signed: Signed, kind: Kind, *, tree: RootAt) -> Statement:
        """One that was taken before a restore. What names a checkpoint is compared with the log."""
        roster, now = self._roster, self._now
        if kind is Kind.OFFER:
            return Offer.parse(signed, roster, now=now, tree=tree, history=True)
        offer = self.offer()
        if kind in (Kind.ACCEPTANCE, Kind.REFUSAL):
            return Answer.parse(signed, roster, offer=offer, now=now, tree=tree, history=True)
        if kind is Kind.SHIPMENT:
            return Shipment.parse(signed, roster, offer=offer, answer=self.answer(), now=now, history=True)
        if kind in (Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED):
            return Receipt.parse(signed, roster, offer=offer, shipment=self.shipment(), now=now, history=True)
        if kind is Kind.WITHDRAWAL:
            return Withdrawal.parse(signed, roster, offer=offer, now=now, history=True)
        follows = self.shipment() if Erasure.follows(signed) is Kind.SHIPMENT else self.withdrawal()
        return Erasure.parse(signed, roster, before=follows, now=now, history=True)

    def offer(self) -> Offer:
        signed = _of(self._taken, Kind.OFFER, None).signed
        return self._broker._recall.recall(
            signed, Offer, lambda: Offer.parse(signed, self._roster, now=self._now, history=True)
        )

    def answer(self) -> Answer:
        signed, offer = _of(self._taken, Kind.ACCEPTANCE, Kind.SHIPMENT).signed, self.offer()
        return self._broker._recall.recall(
            signed, Answer, lambda: Answer.parse(signed, self._roster, offer=offer, now=self._now, history=True)
        )

    def shipment(self) -> Shipment:
        signed = _of(self._taken, Kind.SHIPMENT, Kind.RECEIPT_TAKEN).signed
        offer, answer = self.offer(), self.answer()
        return self._broker._recall.recall(
            signed,
            Shipment,
            lambda: Shipment.parse(signed, self._roster, offer=offer, answer=answer, now=self._now, history=True),
        )

    def withdrawal(self) -> Withdrawal:
        signed, offer = _of(self._taken, Kind.WITHDRAWAL, Kind.ERASURE).signed, self.offer()
        return self._broker._recall.recall(
            signed, Withdrawal, lambda: Withdrawal.parse(signed, self._roster, offer=offer, now=self._now, history=True)
        )


def _of(taken: list[Taken], kind: Kind, wanted_by: Kind | None) -> Taken:
    """The statement of a kind. Raises: NotFound without any, NotInThisState for a step that comes too early."""
    for each in taken:
        if each.kind is kind:
            return each
    if not taken or wanted_by is None:
        raise NotFound(what=N_("transfer"))
    raise NotInThisState(state=taken[-1].state, statement=wanted_by)


def _require_step(seen: Peek, transfer: Transfer | None, taken: list[Taken]) -> None:
    """The table has such a step; asked before the statement is read, and again when it is written.

    Raises: NotFound for no transfer between these two, AnotherStatement, NotInThisState.
    """
    if transfer is None:
        if seen.kind is not Kind.OFFER:
            raise NotFound(what=N_("transfer"))
    elif (transfer.sender, transfer.recipient) != (seen.parties.sender, seen.parties.recipient):
        raise NotFound(what=N_("transfer"))
    by = Party.SENDER if seen.kind in _BY_SENDER else Party.RECIPIENT
    next_state(transfer.state if transfer else None, seen.kind, by, taken=[each.kind for each in taken])


def _require_standing(roster: Roster, seen: Peek) -> None:
    """A suspended member's transfers stand still, whichever party it is (protocol §6). Raises: MemberIsSuspended.

    Whether a removed party matters depends on the statement; its reading decides that.
    """
    for member in (seen.parties.sender, seen.parties.recipient):
        found = roster.members.get(member)
        if found is not None and found.state is MemberState.SUSPENDED:
            raise MemberIsSuspended(member=member.hex())
