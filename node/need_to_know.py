"""Who may open a case: its team. Anybody else of the association says why, and a lead looks at it afterwards.

`meta.access_restriction` says how narrow the team is: `team`, every handler and lead; `named_users`, the referent and
those named beside; `sealed`, those and the leads. A reason opens a case for half a day. It is sealed with the case's
own data key and erased with it; the journal says that there is one, not what it says (domain §1.2).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from cordee.errors import N_, InvalidInput, NeedToKnow, NotFound
from node import case_sealing as sealing
from node import journal
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
    "Team",
    "forget_openings",
    "is_of_team",
    "look_at",
    "open_for_reason",
    "opened_by",
    "openings",
    "require",
    "require_case",
    "with_team",
]

_CASE = table_of(CaseRow)
_KEY = table_of(CaseKeyRow)
_OPENING = table_of(OpeningRow)
_PLACE = "case_opening.sealed_reason"

OPEN_FOR = timedelta(hours=12)
_SHORTEST, _LONGEST = 15, 1000  # characters: a word is no reason
_NAMED, _SEALED = "named_users", "sealed"
_NOBODY = frozenset({"", "-"})


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


@dataclass(frozen=True)
class Team:
    """Whose a case is, as its record says."""

    restriction: str
    named: frozenset[str]  # accounts' ids or names, folded: the referent and those beside

    @classmethod
    def of(cls, case: Case) -> Team:
        """A case's team."""
        told = [case.value("meta.owner_user_id"), *(case.value("meta.co_handler_ids") or ())]
        named = frozenset(_folded(str(each)) for each in told) - _NOBODY
        return cls(str(case.value("meta.access_restriction") or ""), named)

    def names(self, handler: Handler) -> bool:
        """Whether it is in their name."""
        return bool({_folded(handler.account_id), _folded(handler.name)} & self.named)

    def has(self, handler: Handler) -> bool:
        """Whether a case is theirs without a reason. A case in nobody's name is the leads', who give it to somebody."""
        if self.restriction not in (_NAMED, _SEALED) or self.names(handler):
            return True
        return Role.LEAD in handler.roles and (self.restriction == _SEALED or not self.named)


def is_of_team(handler: Handler, case: Case) -> bool:
    """Whether a case is theirs without a reason."""
    return Team.of(case).has(handler)


def opened_by(tx: Connection, handler: Handler, *, now: datetime) -> frozenset[str]:
    """The cases that somebody has opened for a reason, as long as that lasts."""
    mine = (_OPENING.c.account_id == handler.account_id) & (_OPENING.c.ends_at > now)
    return frozenset(tx.execute(select(_OPENING.c.case_id).where(mine)).scalars())


def require(tx: Connection, vault: Vault, handler: Handler, case_id: str, *, now: datetime) -> None:
    """Raises NeedToKnow; NotFound, also where the case was erased."""
    body = tx.execute(select(_CASE.c.sealed_body).where(_CASE.c.id == case_id)).scalar()
    if body is None:
        raise NotFound(what=N_("case"))
    require_case(tx, handler, sealing.open_body(sealing.data_key_of(tx, vault, case_id), case_id, body), now=now)


def require_case(tx: Connection, handler: Handler, case: Case, *, now: datetime) -> None:
    """As `require`, for a case that is open already. Raises NeedToKnow."""
    if is_of_team(handler, case):
        return
    mine = (_OPENING.c.case_id == case.case_id) & (_OPENING.c.account_id == handler.account_id)
    if tx.execute(select(_OPENING.c.id).where(mine, _OPENING.c.ends_at > now).limit(1)).scalar() is None:
        raise NeedToKnow()


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


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
