"""What this node keeps of its transfers: rows and statements, read and written inside one durable step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, literal_column, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from cordee.errors import N_, Conflict, DatabaseDamaged, NotFound, OfferAlreadyOpen
from cordee.ids import MemberId, TokenId, TransferId
from cordee.runtime.prepared import prepared
from cordee.signing import Signed, kept_statement
from cordee.transfer import END_STATES, Kind, State
from node.store import table_of
from node.store.transfers import CursorRow, PutAsideRow, StatementRow, TransferRow, WithdrawnRow

__all__ = [
    "Transfer",
    "Waiting",
    "add_statement",
    "all_transfers",
    "cursor",
    "end",
    "erased_here",
    "forget_waiting",
    "give_up_sending",
    "insert_transfer",
    "is_withdrawn",
    "jobs",
    "keep_cursor",
    "kinds",
    "lately",
    "mark_taken",
    "next_waiting",
    "of_case",
    "open_offers",
    "put_aside",
    "put_aside_so_far",
    "read_transfer",
    "replace_statement",
    "send_again",
    "set_fields",
    "statement",
    "statements",
    "take_up",
    "waiting",
    "withdrawn_before",
]

_TRANSFER = TransferRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it to every table class
_STATEMENT = table_of(StatementRow)
_WITHDRAWN = table_of(WithdrawnRow)
_CURSOR = table_of(CursorRow)
_PUT_ASIDE = table_of(PutAsideRow)

# Made once: putting such an expression together costs SQLAlchemy more than SQLite needs to run it.
_THIS = _TRANSFER.c.id == bindparam("transfer")
_READ = prepared(select(_TRANSFER).where(_THIS))
_SET = prepared(update(_TRANSFER).where(_THIS))
_JOBS = prepared(select(_TRANSFER.c.id).where(_TRANSFER.c.job.is_not(None)))
_ALL_TRANSFERS = prepared(select(_TRANSFER).order_by(_TRANSFER.c.opened_at.desc()))
_LATELY = prepared(
    select(_TRANSFER)
    .where(
        or_(
            _TRANSFER.c.updated_at >= bindparam("since"),
            literal_column("state IN ('offered', 'accepted', 'shipped')"),  # as its index has it
            literal_column("erasure = 'asked'"),
        )
    )
    .order_by(_TRANSFER.c.opened_at.desc())
)
_OF_CASE = prepared(select(_TRANSFER).where(_TRANSFER.c.case_id == bindparam("case")).order_by(_TRANSFER.c.opened_at))
_ERASED_HERE = prepared(
    select(_TRANSFER).where(
        ~_TRANSFER.c.outgoing, or_(_TRANSFER.c.erasure == "done", _TRANSFER.c.erasure == "returned")
    )
)
_ADD = prepared(insert(_TRANSFER))
_OPEN_OFFER = prepared(
    select(_TRANSFER.c.id).where(
        _TRANSFER.c.outgoing,
        _TRANSFER.c.case_id == bindparam("case"),
        _TRANSFER.c.peer == bindparam("to"),
        *(_TRANSFER.c.state != str(state) for state in END_STATES),
    )
)
_OF_THIS = _STATEMENT.c.transfer_id == bindparam("transfer")
_THIS_KIND = (_STATEMENT.c.kind == bindparam("step")) & _OF_THIS
_ONE = prepared(select(_STATEMENT.c.signed).where(_THIS_KIND))
_ALL = prepared(
    select(_STATEMENT.c.kind, _STATEMENT.c.signed, _STATEMENT.c.ours).where(_OF_THIS).order_by(_STATEMENT.c.position)
)
_KINDS = prepared(select(_STATEMENT.c.kind, _STATEMENT.c.waits).where(_OF_THIS).order_by(_STATEMENT.c.position))
_LAST_POSITION = prepared(select(func.coalesce(func.max(_STATEMENT.c.position), 0)).where(_OF_THIS))
_ADD_STATEMENT = prepared(insert(_STATEMENT))
_IN_TURN = (_STATEMENT.c.at, _STATEMENT.c.position)
_WAITING = prepared(select(_STATEMENT.c.transfer_id).where(_STATEMENT.c.waits).order_by(*_IN_TURN))
_NEXT_WAITING = prepared(
    select(_STATEMENT)
    .where(_STATEMENT.c.waits, _OF_THIS, _STATEMENT.c.kind != bindparam("but"))
    .order_by(_STATEMENT.c.position)  # not by time: a clock that was set back must not turn them round
    .limit(1)
)
_TAKEN = prepared(update(_STATEMENT).where(_THIS_KIND))
_IS_WITHDRAWN = prepared(
    select(_WITHDRAWN.c.token_id).where(
        _WITHDRAWN.c.token_id == bindparam("token"), _WITHDRAWN.c.sender.in_((bindparam("by"), b""))
    )
)
_ASIDE = prepared(select(_PUT_ASIDE.c.signed).order_by(_PUT_ASIDE.c.id))
_TAKE_UP = prepared(delete(_PUT_ASIDE).where(_PUT_ASIDE.c.digest == bindparam("statement")))
_AT = prepared(select(_CURSOR.c.sequence).where(_CURSOR.c.name == bindparam("of")))
_MOVE_ON = prepared(update(_CURSOR).where(_CURSOR.c.name == bindparam("of")))


@dataclass(frozen=True)
class Transfer:
    """One transfer, as its row says; the sealed fields are still sealed."""

    id: TransferId
    outgoing: bool
    peer: MemberId
    state: State
    case_id: str | None
    token_id: TokenId
    act_id: str | None
    opened_at: datetime
    updated_at: datetime
    expires_at: datetime
    hands_over: bool
    sealed_terms: bytes
    sealed_reason: bytes | None
    sealed_content_key: bytes | None
    sealed_one_time_seed: bytes | None
    ciphertext_header: bytes | None
    manifest_digest: bytes | None
    job: str | None
    total_bytes: int
    erasure: str | None
    sealed_taken: bytes | None = None

    @property
    def held(self) -> bool:
        """Ours, accepted, and leaves only when somebody here lets it go."""
        return self.outgoing and self.state is State.ACCEPTED and self.job is None

    @property
    def over(self) -> bool:
        """Nothing more happens by itself."""
        return self.state in END_STATES


@dataclass(frozen=True)
class Waiting:
    """A statement of ours that the broker has not taken yet."""

    transfer: TransferId
    kind: Kind
    signed: Signed
    position: int


def _transfer(row: Row[tuple[object, ...]]) -> Transfer:
    values = row._asdict()
    values["id"] = TransferId(values["id"])
    values["peer"] = MemberId(values["peer"])
    values["token_id"] = TokenId(values["token_id"])
    try:
        values["state"] = State(values["state"])
    except ValueError as unknown:  # no word that was ever written here
        raise DatabaseDamaged(what=N_("the database")) from unknown
    return Transfer(**values)


def insert_transfer(tx: Connection, transfer: Transfer) -> None:
    """Keep a new transfer.

    Raises: OfferAlreadyOpen where the case is already offered to this recipient; Conflict where the id is taken.
    """
    values = dict(transfer.__dict__)
    values.update(id=bytes(transfer.id), peer=bytes(transfer.peer), token_id=bytes(transfer.token_id))
    values["state"] = str(transfer.state)
    if transfer.outgoing:
        already = tx.execute(_OPEN_OFFER, {"case": transfer.case_id, "to": bytes(transfer.peer)}).scalar()
        if already is not None:
            raise OfferAlreadyOpen(transfer=TransferId(already).short)
    try:
        tx.execute(_ADD, values)
    except IntegrityError as taken:
        raise Conflict() from taken


def read_transfer(tx: Connection, transfer: TransferId) -> Transfer:
    """Raises NotFound."""
    row = tx.execute(_READ, {"transfer": bytes(transfer)}).one_or_none()
    if row is None:
        raise NotFound(what=N_("transfer"))
    return _transfer(row)


def all_transfers(tx: Connection) -> list[Transfer]:
    """Newest first."""
    return [_transfer(row) for row in tx.execute(_ALL_TRANSFERS)]


def lately(tx: Connection, *, since: datetime) -> list[Transfer]:
    """Those that are not over, that are to be erased, or that changed since; newest first. Reads no others."""
    return [_transfer(row) for row in tx.execute(_LATELY, {"since": since})]


def jobs(tx: Connection) -> list[TransferId]:
    """Those for which this node still has something to do by itself."""
    return [TransferId(each) for each in tx.execute(_JOBS).scalars()]


def of_case(tx: Connection, case_id: str) -> list[Transfer]:
    """Every transfer of one case, oldest first."""
    return [_transfer(row) for row in tx.execute(_OF_CASE, {"case": case_id})]


def erased_here(tx: Connection) -> list[Transfer]:
    """What came and was erased under signature, asked for or unasked."""
    return [_transfer(row) for row in tx.execute(_ERASED_HERE)]


def open_offers(tx: Connection, case_id: str) -> list[Transfer]:
    """What this node offers of one case and is not over yet, oldest first."""
    return [each for each in of_case(tx, case_id) if each.outgoing and not each.over]


def set_fields(tx: Connection, transfer: TransferId, *, now: datetime, **values: object) -> None:
    """Change some of a transfer's fields."""
    if "state" in values:
        values["state"] = str(values["state"])
    tx.execute(_SET, {"transfer": bytes(transfer), "updated_at": now, **values})


def end(tx: Connection, transfer: TransferId, state: State, *, now: datetime, **values: object) -> None:
    """Enter an end state: what is no longer needed goes in the same transaction (protocol §6)."""
    erased: dict[str, object] = {
        "sealed_content_key": None,
        "sealed_one_time_seed": None,
        "job": None,
        "state": state,
    }
    set_fields(tx, transfer, now=now, **(erased | values))


# ---- statements ----


def add_statement(
    tx: Connection, transfer: TransferId, kind: Kind, signed: Signed, *, ours: bool, now: datetime
) -> bool:
    """Keep a statement; ours wait for the broker. False where this very statement is kept already.

    Raises: Conflict where another statement stands for this step.
    """
    known = statement(tx, transfer, kind)
    if known is not None:
        if known.digest == signed.digest:
            return False
        raise Conflict()
    values = {
        "transfer_id": bytes(transfer),
        "kind": str(kind),
        "position": tx.execute(_LAST_POSITION, {"transfer": bytes(transfer)}).scalar_one() + 1,
        "signed": signed.to_bytes(),
        "digest": bytes(signed.digest),
        "ours": ours,
        "waits": ours,
        "at": now,
    }
    tx.execute(_ADD_STATEMENT, values)
    return True


def statement(tx: Connection, transfer: TransferId, kind: Kind) -> Signed | None:
    """One statement of a transfer, or None."""
    raw = tx.execute(_ONE, {"transfer": bytes(transfer), "step": str(kind)}).scalar()
    return None if raw is None else kept_statement(raw)


def statements(tx: Connection, transfer: TransferId) -> list[tuple[Kind, Signed, bool]]:
    """All statements of a transfer in order, with whether they are ours."""
    rows = tx.execute(_ALL, {"transfer": bytes(transfer)})
    return [(Kind(kind), kept_statement(signed), ours) for kind, signed, ours in rows]


def kinds(tx: Connection, transfer: TransferId) -> list[tuple[Kind, bool]]:
    """What was said in a transfer, in order, with whether it still waits for the broker; opens no statement."""
    return [(Kind(kind), waits) for kind, waits in tx.execute(_KINDS, {"transfer": bytes(transfer)})]


def waiting(tx: Connection) -> list[TransferId]:
    """Transfers of which the broker has not taken a statement of ours yet, the one that waits longest first."""
    return list(dict.fromkeys(TransferId(each) for each in tx.execute(_WAITING).scalars()))


def next_waiting(tx: Connection, transfer: TransferId, *, after: Kind | None = None) -> Waiting | None:
    """Of one transfer, our first statement, as we made them, that the broker has not taken, of another kind than
    `after`; or None.
    """
    row = tx.execute(_NEXT_WAITING, {"transfer": bytes(transfer), "but": str(after or "")}).one_or_none()
    return None if row is None else _waiting(row)


def _waiting(row: Row[tuple[object, ...]]) -> Waiting:
    return Waiting(TransferId(row.transfer_id), Kind(row.kind), kept_statement(row.signed), row.position)


def mark_taken(tx: Connection, transfer: TransferId, kind: Kind) -> None:
    """The broker has answered for this statement."""
    tx.execute(_TAKEN, {"transfer": bytes(transfer), "step": str(kind), "waits": False})


def forget_waiting(tx: Connection, transfer: TransferId, kinds: Sequence[Kind]) -> None:
    """Steps that the broker has certainly not taken, and never will."""
    tx.execute(
        _STATEMENT.delete().where(
            _STATEMENT.c.transfer_id == bytes(transfer),
            _STATEMENT.c.kind.in_([str(kind) for kind in kinds]),
            _STATEMENT.c.waits,
        )
    )


def give_up_sending(tx: Connection, transfer: TransferId, kind: Kind) -> None:
    """A step that the transfer's end has overtaken is not sent any more. It stays: it may have reached the broker just
    before, and then the other's answer to it can still be read.
    """
    mark_taken(tx, transfer, kind)


def send_again(tx: Connection, transfer: TransferId, kind: Kind) -> None:
    """Let a statement that was given up wait for the broker once more, which answers what it took as the first time."""
    tx.execute(_TAKEN, {"transfer": bytes(transfer), "step": str(kind), "waits": True})


def replace_statement(tx: Connection, waiting: Waiting, fresh: Signed) -> bool:
    """Put a freshly dated signature in the place of one that the broker has certainly not taken. False where that one
    does not wait any more.
    """
    changed = tx.execute(
        update(_STATEMENT)
        .where(
            _STATEMENT.c.transfer_id == bytes(waiting.transfer),
            _STATEMENT.c.kind == str(waiting.kind),
            _STATEMENT.c.digest == bytes(waiting.signed.digest),
            _STATEMENT.c.waits,
        )
        .values(signed=fresh.to_bytes(), digest=bytes(fresh.digest))
    )
    return changed.rowcount > 0


# ---- withdrawals that came first, statements put aside, and the cursor ----


def withdrawn_before(tx: Connection, transfer: TransferId, token: TokenId, *, sender: MemberId, now: datetime) -> None:
    """Remember a withdrawal whose offer has not come (protocol §5), and who signed it."""
    if not is_withdrawn(tx, token, sender=sender):
        values = {"sender": bytes(sender), "token_id": bytes(token), "transfer_id": bytes(transfer), "at": now}
        tx.execute(insert(_WITHDRAWN), values)


def is_withdrawn(tx: Connection, token: TokenId, *, sender: MemberId) -> bool:
    """Whether a withdrawal of this token, by the very member that offers it, came before its offer."""
    return tx.execute(_IS_WITHDRAWN, {"token": bytes(token), "by": bytes(sender)}).scalar() is not None


def put_aside(tx: Connection, signed: Signed, *, now: datetime) -> None:
    """Keep a statement that cannot be taken while one of its parties is suspended: transfers stand still, and go on
    when it comes back (protocol §6).
    """
    values = {"digest": bytes(signed.digest), "signed": signed.to_bytes(), "at": now}
    tx.execute(upsert(_PUT_ASIDE).values(**values).on_conflict_do_nothing())


def put_aside_so_far(tx: Connection) -> list[Signed]:
    """What was put aside, in the order in which it came."""
    return [Signed.from_bytes(raw) for raw in tx.execute(_ASIDE).scalars()]


def take_up(tx: Connection, signed: Signed) -> None:
    """It was taken, or refused for good: it does not lie aside any more."""
    tx.execute(_TAKE_UP, {"statement": bytes(signed.digest)})


def cursor(tx: Connection, of: str = "directory") -> int:
    """The last event of the directory's that this node has kept; or `of` what else is followed, where that stands."""
    return tx.execute(_AT, {"of": of}).scalar() or 0


def keep_cursor(tx: Connection, sequence: int, of: str = "directory") -> None:
    """In the same transaction as the event's effect: at least once becomes exactly once."""
    if not sequence:
        return
    changed = tx.execute(_MOVE_ON, {"of": of, "sequence": sequence})
    if changed.rowcount == 0:
        tx.execute(insert(_CURSOR).values(name=of, sequence=sequence))
