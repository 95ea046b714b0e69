"""Consent acts at rest, sealed with their case's data key: they are erased with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from cordee.act import Act, ActLimits, parse_act
from cordee.errors import N_, ActRefused, Conflict, NotFound
from cordee.ids import TransferId
from cordee.runtime.prepared import prepared
from node import agenda, journal
from node.case_sealing import data_key_of
from node.store import table_of
from node.store.acts import ActRow, ActUseRow
from node.vault import DataKey, Vault

__all__ = [
    "acts_of",
    "forget_acts",
    "in_force",
    "is_withdrawn",
    "mark_used",
    "read_act",
    "record_act",
    "record_received",
    "travelling_act",
    "used_by",
    "withdraw_act",
]

_ACT = table_of(ActRow)
_USE = table_of(ActUseRow)
_IN_FORCE = ("active", "used")
_WITH_USE = select(_ACT, exists().where(_USE.c.act_id == _ACT.c.id).label("used"))
_ONE = prepared(_WITH_USE.where(_ACT.c.id == bindparam("act")))
_OF_CASE = prepared(_WITH_USE.where(_ACT.c.case_id == bindparam("case")).order_by(_ACT.c.recorded_at, _ACT.c.id))
_ADD = prepared(insert(_ACT))
_USED = prepared(upsert(_USE).on_conflict_do_nothing())
_ACT_PLACE = "act.sealed_act"
_WITHDRAWAL_PLACE = "act.sealed_withdrawal"


def record_act(tx: Connection, vault: Vault, act: Act, *, by: str, now: datetime) -> None:
    """Keep an act of a case that is here, and journal it.

    Raises: NotFound where the case is not here; Conflict where there is an act of this id.
    """
    key = data_key_of(tx, vault, act.case_id)
    row = {
        "id": act.act_id,
        "case_id": act.case_id,
        "recorded_at": now,
        "sealed_act": key.seal(act.to_bytes(), place=_ACT_PLACE, row=act.act_id),
    }
    try:
        tx.execute(_ADD, row)
    except IntegrityError as known:
        raise Conflict() from known
    agenda.keep_acts(tx, key, act.case_id, acts_of(tx, vault, act.case_id))
    journal.append(tx, now=now, actor=by, action="act.recorded", subject=act.act_id, facts={"case": act.case_id})


def record_received(tx: Connection, vault: Vault, act: Act, *, by: str, now: datetime) -> None:
    """Keep the act that came with a case. One that is here already must be the very same, and not withdrawn.

    Raises: NotFound where its case is not here; ActRefused.
    """
    row = tx.execute(_ONE, {"act": act.act_id}).one_or_none()
    if row is None:
        record_act(tx, vault, act, by=by, now=now)
    elif row.withdrawn_at is not None:
        raise ActRefused(problem=N_("it was withdrawn"))
    elif row.case_id != act.case_id or travelling_act(tx, vault, act.act_id) != act:
        raise ActRefused(problem=N_("it is not the one that is known under its id"))


def travelling_act(tx: Connection, vault: Vault, act_id: str) -> Act:
    """An act as it leaves: the same bytes each time, whatever became of it since. Raises NotFound, CannotOpen."""
    row = _row(tx, act_id)
    key = data_key_of(tx, vault, row.case_id)
    return parse_act(key.unseal(row.sealed_act, place=_ACT_PLACE, row=row.id)).for_travel()


def read_act(tx: Connection, vault: Vault, act_id: str) -> Act:
    """An act as it was recorded, byte for byte; one that was used or withdrawn since says so in its status.

    Raises: NotFound, CannotOpen.
    """
    row = _row(tx, act_id)
    return _open(data_key_of(tx, vault, row.case_id), row)


def acts_of(tx: Connection, vault: Vault, case_id: str) -> list[Act]:
    """All acts of a case in the order in which they were recorded, withdrawn ones too. Raises NotFound, CannotOpen."""
    key = data_key_of(tx, vault, case_id)
    return [_open(key, row) for row in tx.execute(_OF_CASE, {"case": case_id})]


def withdraw_act(tx: Connection, vault: Vault, act_id: str, *, by_role: str, reason: str, now: datetime) -> None:
    """Withdraw an act from now on; what rests on it is the caller's to withdraw in the same step, and to journal.

    `by_role`: who withdrew it (minor, mother, guardian, …). Raises NotFound; Conflict where it is withdrawn already;
    InvalidRecord where reason or role break the schema.
    """
    row = _row(tx, act_id)
    if row.withdrawn_at is not None:
        raise Conflict()
    key = data_key_of(tx, vault, row.case_id)
    withdrawal = {"by_role": by_role, "reason": reason}
    _withdrawn(_open(key, row), withdrawal, now)  # refused here, not when it is next read
    sealed = key.seal(json.dumps(withdrawal, ensure_ascii=False).encode(), place=_WITHDRAWAL_PLACE, row=act_id)
    tx.execute(update(_ACT).where(_ACT.c.id == act_id).values(withdrawn_at=now, sealed_withdrawal=sealed))
    agenda.keep_acts(tx, key, row.case_id, acts_of(tx, vault, row.case_id))


def is_withdrawn(tx: Connection, act_id: str) -> bool:
    """Whether the act was withdrawn here. Raises NotFound."""
    return _row(tx, act_id).withdrawn_at is not None


def in_force(tx: Connection, vault: Vault, act_id: str, *, now: datetime, limits: ActLimits) -> bool:
    """Whether an act is here and not withdrawn, and `now` within its times and the network's. Raises CannotOpen."""
    row = tx.execute(_ONE, {"act": act_id}).one_or_none()
    if row is None or row.withdrawn_at is not None:
        return False
    act = _open(data_key_of(tx, vault, row.case_id), row)
    return act.status in _IN_FORCE and act.valid_from <= now < limits.end_of(act)


def mark_used(tx: Connection, vault: Vault, act_id: str, transfer: TransferId) -> None:
    """A transfer that rests on this act was received: the act's status is "used" from now on (domain §2.3).

    A second time, or where the act was erased meanwhile, it does nothing.
    """
    if tx.execute(_ONE, {"act": act_id}).first() is not None:
        tx.execute(_USED, {"act_id": act_id, "transfer": bytes(transfer)})


def used_by(tx: Connection, act_id: str) -> list[TransferId]:
    """The received transfers that rest on an act."""
    query = select(_USE.c.transfer).where(_USE.c.act_id == act_id)
    return [TransferId(each) for each in tx.execute(query).scalars()]


def forget_acts(tx: Connection, case_id: str) -> None:
    """Delete all acts of a case that is being erased."""
    of_case = select(_ACT.c.id).where(_ACT.c.case_id == case_id)
    tx.execute(delete(_USE).where(_USE.c.act_id.in_(of_case)))
    tx.execute(delete(_ACT).where(_ACT.c.case_id == case_id))


def _row(tx: Connection, act_id: str) -> Row[tuple[Any, ...]]:
    row = tx.execute(_ONE, {"act": act_id}).one_or_none()
    if row is None:
        raise NotFound(what=N_("act"))
    return row


def _open(key: DataKey, row: Row[tuple[Any, ...]]) -> Act:
    recorded = key.unseal(row.sealed_act, place=_ACT_PLACE, row=row.id)
    if row.withdrawn_at is not None:
        withdrawal = json.loads(key.unseal(row.sealed_withdrawal, place=_WITHDRAWAL_PLACE, row=row.id))
        return _withdrawn(parse_act(recorded), withdrawal, row.withdrawn_at)
    act = parse_act(recorded)
    return parse_act(act.to_dict() | {"status": "used"}) if row.used else act


def _withdrawn(act: Act, withdrawal: dict[str, str], at: datetime) -> Act:
    entry: dict[str, str] = {"at": _time(at), "by_role": withdrawal["by_role"], "effect": "stop_future"}
    if withdrawal["reason"]:
        entry["reason"] = withdrawal["reason"]
    events = [*act.to_dict()["events"], {"at": entry["at"], "state": "withdrawn", "by_role": withdrawal["by_role"]}]
    return parse_act(act.to_dict() | {"status": "withdrawn", "withdrawal": entry, "events": events})


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
