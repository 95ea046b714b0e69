"""Who may open a case: its team. Anybody else of the association says why, and a lead looks at it afterwards.

Whose a case is stands in `node.case_access`. A reason opens a case for half a day. It is sealed with the case's own
data key and erased with it; the journal says that there is one, not what it says (domain §1.2). What binds a case
binds its transfers: whoever may not open it neither sees nor moves them. An offer that has not been taken in yet is no
case of ours: it is for everyone who may receive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from cordee.errors import N_, InvalidInput, NeedToKnow, NotFound
from node import case_sealing as sealing
from node import journal
from node.case_access import Access, Sight, access_of, team_of
from node.people import Role
from node.store import table_of
from node.store.need_to_know import OpeningRow
from node.store.records import CaseKeyRow, CaseRow

if TYPE_CHECKING:
    from cordee.case import Case
    from node.people import Handler
    from node.vault import Vault

__all__ = [
    "OPEN_FOR",
    "Opening",
    "forget_openings",
    "is_of_team",
    "look_at",
    "open_for_reason",
    "openings",
    "require",
    "require_case",
    "require_to_change_team",
    "with_team",
]

_CASE = table_of(CaseRow)
_KEY = table_of(CaseKeyRow)
_OPENING = table_of(OpeningRow)
_PLACE = "case_opening.sealed_reason"

OPEN_FOR = timedelta(hours=12)
_SHORTEST, _LONGEST = 15, 1000  # characters: a word is no reason


@dataclass(frozen=True)
class Opening:
    """A case was opened by somebody who is not of its team."""

    opening_id: str
    case_id: str
    pseudonym: str
    account_id: str
    at: datetime
    reason: str
    looked_at: datetime | None
    looked_by: str | None


def is_of_team(tx: Connection, handler: Handler, case: Case, *, now: datetime) -> bool:
    """Whether a case is theirs without a reason."""
    return Sight(tx, handler, now=now).is_mine(Access.of(case, team_of(tx, case.case_id)))


def require(tx: Connection, vault: Vault, handler: Handler, case_id: str, *, now: datetime) -> None:
    """Raises NeedToKnow; NotFound, also where the case was erased."""
    if not Sight(tx, handler, now=now).sees(case_id, access_of(tx, vault, case_id)):
        raise NeedToKnow(case=case_id)


def require_case(tx: Connection, handler: Handler, case: Case, *, now: datetime) -> None:
    """As `require`, for a case that is open already. Raises NeedToKnow."""
    if not Sight(tx, handler, now=now).sees(case.case_id, Access.of(case, team_of(tx, case.case_id))):
        raise NeedToKnow(case=case.case_id)


def require_to_change_team(tx: Connection, handler: Handler, case: Case, *, now: datetime) -> None:
    """A reason opens a case; it makes nobody one of its team for good. Leads may, who look at reasons.

    Raises NeedToKnow.
    """
    if Role.LEAD not in handler.roles and not is_of_team(tx, handler, case, now=now):
        raise NeedToKnow(case=case.case_id)


def open_for_reason(
    tx: Connection,
    vault: Vault,
    handler: Handler,
    case_id: str,
    reason: str,
    *,
    now: datetime,
    random: Callable[[int], bytes],
) -> None:
    """Open a case for half a day. Raises InvalidInput for a reason that is none; NotFound."""
    said = reason.strip()
    if not _SHORTEST <= len(said) <= _LONGEST:
        raise InvalidInput(
            field=N_("reason"),
            problem=N_("it needs {minimum} to {maximum} characters"),
            minimum=_SHORTEST,
            maximum=_LONGEST,
        )
    key, opening = sealing.data_key_of(tx, vault, case_id), random(16).hex()
    tx.execute(
        insert(_OPENING),
        {
            "id": opening,
            "case_id": case_id,
            "account_id": handler.account_id,
            "at": now,
            "ends_at": now + OPEN_FOR,
            "sealed_reason": key.seal(said.encode(), place=_PLACE, row=opening),
        },
    )
    journal.append(
        tx,
        now=now,
        actor=handler.account_id,
        action="case.opened_for_reason",
        subject=case_id,
        facts={"opening": opening},
    )


def openings(tx: Connection, vault: Vault, *, looked_at: bool = False) -> list[Opening]:
    """Those that a lead has still to look at, the oldest first; or those that were looked at. Raises CannotOpen."""
    chosen = _OPENING.c.looked_at.is_not(None) if looked_at else _OPENING.c.looked_at.is_(None)
    query = (
        select(_OPENING, _CASE.c.sealed_line, _KEY.c.sealed_key)
        .join(_CASE, _CASE.c.id == _OPENING.c.case_id)
        .join(_KEY, _KEY.c.case_id == _OPENING.c.case_id)
        .where(chosen)
        .order_by(_OPENING.c.at)
    )
    return [_opening(vault, row) for row in tx.execute(query)]


def look_at(tx: Connection, opening_id: str, *, now: datetime, by: str) -> None:
    """A lead has looked at it. Nobody looks at their own. Raises NotFound, InvalidInput."""
    row = tx.execute(select(_OPENING).where(_OPENING.c.id == opening_id)).one_or_none()
    if row is None:
        raise NotFound(what=N_("opening"))
    if row.account_id == by:
        raise InvalidInput(field="opening", problem=N_("somebody else has to look at your own"))
    tx.execute(update(_OPENING).where(_OPENING.c.id == opening_id).values(looked_at=now, looked_by=by))
    facts = {"opening": opening_id}
    journal.append(tx, now=now, actor=by, action="case.opening_looked_at", subject=row.case_id, facts=facts)


def with_team(case: Case, *, restriction: str, owner: str, others: list[str], now: datetime) -> Case:
    """A case with another team. Raises InvalidRecord."""
    meta: dict[str, Any] = dict(case.section("meta"))
    meta.update(access_restriction=restriction, owner_user_id=owner, co_handler_ids=others)
    meta["updated_at"] = now.isoformat(timespec="seconds")
    return case.with_section("meta", meta)


def forget_openings(tx: Connection, case_id: str) -> None:
    """A case is erased: its reasons go with it."""
    tx.execute(delete(_OPENING).where(_OPENING.c.case_id == case_id))


def _opening(vault: Vault, row: Any) -> Opening:
    key = sealing.unwrap(vault, row.case_id, row.sealed_key)
    return Opening(
        opening_id=row.id,
        case_id=row.case_id,
        pseudonym=sealing.open_line(key, row.case_id, row.sealed_line).pseudonym,
        account_id=row.account_id,
        at=row.at,
        reason=key.unseal(row.sealed_reason, place=_PLACE, row=row.id).decode(),
        looked_at=row.looked_at,
        looked_by=row.looked_by,
    )
