"""What the broker keeps of a transfer, and the one place where a step is written (protocol §6).

Everything here runs inside a step of the database: statement, state, event and erasure mark stand or fall together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import N_, AnotherStatement, NotFound, QuotaExceeded, TooManyOpenTransfers
from cordee.ids import Digest, MemberId, TransferId
from cordee.layout import MINIMUM_SIZE
from cordee.runtime.prepared import prepared
from cordee.signing import Signed, kept_statement
from cordee.statements import Answer, Offer, Statement
from cordee.transfer import END_STATES, Kind, Party, State, expires_at, next_state
from directory import quotas, tally
from directory.events import add_event
from directory.store import micros, moment, table_of
from directory.store.transfers import ErasureRow, StatementRow, TransferRow

__all__ = [
    "Listed",
    "Taken",
    "Transfer",
    "add_statement",
    "due",
    "erased",
    "expire",
    "find",
    "holding",
    "move",
    "open_of",
    "open_transfer",
    "page_of",
    "state_of_taken",
    "statements_of",
    "take",
    "to_erase",
    "used_by",
]

_PAGE = 200

_TRANSFER, _STATEMENT, _ERASURE = table_of(TransferRow), table_of(StatementRow), table_of(ErasureRow)

# Made once: putting such an expression together costs SQLAlchemy more than SQLite needs to run it.
_THIS = _TRANSFER.c.id == bindparam("transfer")
_FIND = prepared(select(_TRANSFER).where(_THIS))
_SET = prepared(update(_TRANSFER).where(_THIS))
_OF_THIS = prepared(
    select(_STATEMENT).where(_STATEMENT.c.transfer_id == bindparam("transfer")).order_by(_STATEMENT.c.position)
)
_KINDS = prepared(
    select(_STATEMENT.c.kind).where(_STATEMENT.c.transfer_id == bindparam("transfer")).order_by(_STATEMENT.c.position)
)
_DUE = prepared(
    select(_TRANSFER.c.id)
    .where(_TRANSFER.c.ends_at <= bindparam("now"))
    .order_by(_TRANSFER.c.ends_at)
    .limit(bindparam("most"))
)
_STATE_OF = prepared(select(_STATEMENT.c.state_after).where(_STATEMENT.c.digest == bindparam("statement")))
_USED = prepared(
    select(func.coalesce(func.sum(_TRANSFER.c.counted), 0)).where(
        _TRANSFER.c.sender == bindparam("member"), _TRANSFER.c.ends_at.is_not(None)
    )
)
_OPEN = prepared(
    select(
        func.count(),
        func.count().filter(_TRANSFER.c.recipient == bindparam("to"), _TRANSFER.c.state == State.OFFERED.value),
    )
    .select_from(_TRANSFER)
    .where(_TRANSFER.c.sender == bindparam("member"), _TRANSFER.c.ends_at.is_not(None))
)
_ADD = prepared(insert(_TRANSFER))
_ADD_STATEMENT = prepared(insert(_STATEMENT))
_TO_ERASE = prepared(select(_ERASURE.c.transfer_id))
_ERASE_LATER = prepared(upsert(_ERASURE).on_conflict_do_nothing())
_ERASED = prepared(delete(_ERASURE).where(_ERASURE.c.transfer_id == bindparam("transfer")))
_OF_TOKEN = prepared(select(_TRANSFER.c.id).where(_TRANSFER.c.token_id == bindparam("token")))


@dataclass(frozen=True)
class Transfer:
    """Where one transfer stands."""

    id: TransferId
    sender: MemberId
    recipient: MemberId
    state: State
    size_bound: int
    ends: datetime | None
    offer_expires: datetime
    token_expires: datetime
    key_expires: datetime | None = None  # of the acceptance's one-time key

    def other(self, member: MemberId) -> MemberId:
        """The other party."""
        return self.recipient if member == self.sender else self.sender

    def is_due(self, now: datetime) -> bool:
        """Time has ended it, and nobody has written that down yet."""
        return self.ends is not None and self.ends <= now


@dataclass(frozen=True)
class Taken:
    """A statement that was taken, and what it made of the transfer."""

    kind: Kind
    signed: Signed
    state: State


@dataclass(frozen=True)
class Listed:
    """One of a member's transfers, in a list of all of them."""

    id: TransferId
    state: State
    statements: int  # how many were taken


def find(tx: Connection, transfer: TransferId) -> Transfer | None:
    """The transfer, or None for one that was never offered."""
    row = tx.execute(_FIND, {"transfer": transfer}).one_or_none()
    if row is None:
        return None
    return Transfer(
        id=TransferId(row.id),
        sender=MemberId(row.sender),
        recipient=MemberId(row.recipient),
        state=State(row.state),
        size_bound=row.size_bound,
        ends=moment(row.ends_at) if row.ends_at is not None else None,
        offer_expires=moment(row.offer_expires),
        token_expires=moment(row.token_expires),
        key_expires=moment(row.key_expires) if row.key_expires is not None else None,
    )


def statements_of(tx: Connection, transfer: TransferId) -> list[Taken]:
    """The statements in the order in which they were taken."""
    return [
        Taken(kind=Kind(row.kind), signed=kept_statement(row.signed), state=State(row.state_after))
        for row in tx.execute(_OF_THIS, {"transfer": transfer})
    ]


def state_of_taken(tx: Connection, digest: Digest) -> State | None:
    """What was answered to this very statement, if it was taken before."""
    state = tx.execute(_STATE_OF, {"statement": digest}).scalar()
    return State(state) if state is not None else None


def used_by(tx: Connection, sender: MemberId) -> int:
    """Bytes announced by a member's transfers that have not ended."""
    return int(tx.execute(_USED, {"member": sender}).scalar_one())


def take(tx: Connection, statement: Statement, *, now: datetime, quota: int) -> State:
    """Write one step, or raise and write nothing. The same statement again is answered as the first time.

    Raises: AnotherStatement, NotInThisState, QuotaExceeded, NotFound.
    """
    again = state_of_taken(tx, statement.digest)
    if again is not None:
        return again
    transfer = find(tx, statement.transfer_id)
    taken = _kinds(tx, statement.transfer_id)
    state = next_state(transfer.state if transfer else None, statement.kind, statement.by, taken=taken)
    if transfer is None:
        if not isinstance(statement, Offer):
            raise NotFound(what=N_("transfer"))  # the table lets nothing but an offer begin
        transfer = open_transfer(tx, statement, quota=quota)
    if state in END_STATES:
        before = statements_of(tx, transfer.id)
        tally.count(tx, transfer, after=state, kind=statement.kind, statement=statement, before=before, now=now)
    add_statement(tx, statement, position=len(taken), state=state, now=now)
    move(tx, transfer, state, acceptance=statement if isinstance(statement, Answer) else None)
    return state


def add_statement(tx: Connection, statement: Statement, *, position: int, state: State, now: datetime) -> None:
    """Keep a statement that was taken, with the event that tells the other party."""
    row = {
        "transfer_id": statement.transfer_id,
        "position": position,
        "kind": statement.kind,
        "digest": statement.digest,
        "signed": statement.signed.to_bytes(),
        "state_after": state,
    }
    tx.execute(_ADD_STATEMENT, row)
    other = statement.recipient if statement.by is Party.SENDER else statement.sender
    add_event(tx, other, transfer=statement.transfer_id, position=position, now=now)


def expire(tx: Connection, transfer: TransferId, now: datetime) -> tuple[MemberId, MemberId] | None:
    """Time has ended a transfer, or a party was removed: both hear of it. None where it had ended already."""
    found = find(tx, transfer)
    if found is None or found.state in END_STATES:
        return None
    state = next_state(found.state, Kind.EXPIRY, Party.BROKER, taken=_kinds(tx, transfer))
    before = statements_of(tx, transfer)
    tally.count(tx, found, after=state, kind=Kind.EXPIRY, statement=None, before=before, now=now)
    move(tx, found, state)
    for member in (found.sender, found.recipient):
        add_event(tx, member, transfer=transfer, position=None, now=now)
    return found.sender, found.recipient


def due(tx: Connection, now: datetime, limit: int = 200) -> list[TransferId]:
    """Transfers that time has ended and nobody has written down yet."""
    return [TransferId(each) for each in tx.execute(_DUE, {"now": micros(now), "most": limit}).scalars()]


def open_of(tx: Connection, member: MemberId) -> list[TransferId]:
    """A member's transfers that have not ended."""
    party = or_(_TRANSFER.c.sender == member, _TRANSFER.c.recipient == member)
    query = select(_TRANSFER.c.id).where(party, _TRANSFER.c.ends_at.is_not(None))
    return [TransferId(each) for each in tx.execute(query).scalars()]


def page_of(tx: Connection, *, member: MemberId, after: bytes) -> list[Listed]:
    """A member's transfers, the next few after an id."""
    party = or_(_TRANSFER.c.sender == member, _TRANSFER.c.recipient == member)
    counted = select(func.count()).where(_STATEMENT.c.transfer_id == _TRANSFER.c.id).scalar_subquery()
    query = select(_TRANSFER.c.id, _TRANSFER.c.state, counted).where(party, _TRANSFER.c.id > after)
    rows = tx.execute(query.order_by(_TRANSFER.c.id).limit(_PAGE)).all()
    return [Listed(TransferId(id_), State(state), count) for id_, state, count in rows]


def to_erase(tx: Connection) -> list[TransferId]:
    """Transfers whose waiting ciphertext is still to be erased."""
    return [TransferId(each) for each in tx.execute(_TO_ERASE).scalars()]


def holding(tx: Connection, names: Collection[TransferId]) -> frozenset[TransferId]:
    """Those of these transfers whose ciphertext may wait: accepted and not over."""
    query = select(_TRANSFER.c.id).where(_TRANSFER.c.state.in_((State.ACCEPTED, State.SHIPPED)))
    return frozenset(names) & {TransferId(each) for each in tx.execute(query).scalars()}


def erased(tx: Connection, ended: Sequence[TransferId]) -> None:
    """Their bytes are gone."""
    for each in ended:
        tx.execute(_ERASED, {"transfer": each})


def _kinds(tx: Connection, transfer: TransferId) -> list[Kind]:
    return [Kind(kind) for kind in tx.execute(_KINDS, {"transfer": transfer}).scalars()]


def open_transfer(tx: Connection, offer: Offer, *, quota: int | None, times: int = 1) -> Transfer:
    """Begin a transfer; without a quota one that had begun before, and has ended. Quotas count so many `times`.

    Raises: QuotaExceeded, TooManyOpenTransfers, AnotherStatement.
    """
    counted = max(offer.size_bound, MINIMUM_SIZE)  # so that announcing one byte does not make offers free
    used = used_by(tx, offer.sender)
    if quota is not None and used + counted > quota * times:
        raise QuotaExceeded(used=used, limit=quota * times)
    if quota is not None:
        _require_few_open(tx, offer.sender, offer.recipient, times)
    if tx.execute(_OF_TOKEN, {"token": offer.token.id}).first() is not None:
        raise AnotherStatement(statement=N_("offer"))  # a consent token is for one transfer
    ends = expires_at(State.OFFERED, offer_expires=offer.expires, token_expires=offer.token.expires)
    if ends is None:
        raise ValueError("an open offer has an end")
    row = {
        "id": offer.transfer_id,
        "sender": offer.sender,
        "recipient": offer.recipient,
        "token_id": offer.token.id,
        "state": State.OFFERED,
        "size_bound": offer.size_bound,
        "offer_expires": micros(offer.expires),
        "token_expires": micros(offer.token.expires),
        "ends_at": micros(ends),
        "counted": counted,
    }
    tx.execute(_ADD, row)
    return Transfer(
        id=offer.transfer_id,
        sender=offer.sender,
        recipient=offer.recipient,
        state=State.OFFERED,
        size_bound=offer.size_bound,
        ends=ends,
        offer_expires=offer.expires,
        token_expires=offer.token.expires,
    )


def _require_few_open(tx: Connection, sender: MemberId, recipient: MemberId, times: int) -> None:
    """Announced bytes alone would let a member have tens of thousands open, each of them a notice to somebody."""
    everything, unanswered = tx.execute(_OPEN, {"member": sender, "to": recipient}).one()
    for count, limit in ((everything, quotas.OPEN * times), (unanswered, quotas.UNANSWERED * times)):
        if count >= limit:
            raise TooManyOpenTransfers(open=count, limit=limit)


def move(tx: Connection, transfer: Transfer, state: State, *, acceptance: Answer | None = None) -> None:
    """Write the state and when it ends; in an end state also that the waiting bytes are to be erased."""
    key_expires = transfer.key_expires
    if acceptance is not None and acceptance.acceptance is not None:
        key_expires = acceptance.acceptance.key_expires
    ends = expires_at(
        state,
        offer_expires=transfer.offer_expires,
        token_expires=transfer.token_expires,
        key_expires=key_expires,
    )
    values = {
        "transfer": transfer.id,
        "state": state,
        "key_expires": micros(key_expires) if key_expires is not None else None,
        "ends_at": micros(ends) if ends is not None else None,
    }
    tx.execute(_SET, values)
    if state in END_STATES and transfer.ends is not None:
        tx.execute(_ERASE_LATER, {"transfer_id": transfer.id})
