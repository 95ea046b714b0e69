"""Cases as one person finds them: their own, and what is open to them for a reason. The others are in no list.

A pseudonym is personal data, the team's alone (domain §1.2, level 1), so a case that is kept to others is neither
listed nor counted. Whoever was told its whole pseudonym or its number, because a minor calls tonight and gives it, must
still come to the door that asks why: for these words exactly, and no part of them, it is said that there is such a
case, and nothing else of it. That somebody found one so is journalled: trying names leaves a trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from node import journal
from node.case_access import Sight
from node.case_index import Found

if TYPE_CHECKING:
    from node.case_index import CaseIndex
    from node.people import Handler
    from node.vault import Vault

__all__ = ["find", "note_found", "pseudonyms_of"]


def find(
    tx: Connection,
    cases: CaseIndex,
    vault: Vault,
    handler: Handler,
    wanted: str = "",
    *,
    now: datetime,
    state: str = "all",
    start: int = 0,
    limit: int | None = None,
) -> Found:
    """Look for a part of a pseudonym or number, without accents and capitals; a piece of what is found, or all of it.

    `state`: open, closed or all. Raises CannotOpen.
    """
    sight = Sight(tx, handler, now=now)
    return cases.find(tx, vault, sight=sight, wanted=wanted, state=state, start=start, limit=limit)


def pseudonyms_of(
    tx: Connection, cases: CaseIndex, vault: Vault, handler: Handler, *, now: datetime
) -> Mapping[str, str]:
    """Pseudonyms by the ids of the cases that are open to somebody, for pages that name a case beside something."""
    return cases.names(tx, vault, sight=Sight(tx, handler, now=now))


def note_found(tx: Connection, handler: Handler, found: Found, *, now: datetime) -> None:
    """Journal that cases kept to others were found by their names."""
    for case_id in found.kept:
        journal.append(tx, now=now, actor=handler.account_id, action="case.found_by_name", subject=case_id)
