"""Cases as one person finds them: their own, and what is open to them for a reason. The others are in no list.

A pseudonym is personal data, the team's alone (domain §1.2, level 1), so a case that is kept to others is neither
listed nor counted. Whoever was told its whole pseudonym or its number, because a minor calls tonight and gives it, must
still come to the door that asks why: for these words exactly, and no part of them, it is said that there is such a
case, and nothing else of it. That somebody found one so is journalled: trying names leaves a trail.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from node import journal, records
from node.case_access import Sight
from node.records import CaseLine

if TYPE_CHECKING:
    from node.people import Handler
    from node.vault import Vault

__all__ = ["Found", "cases_of", "find", "note_found", "plain", "pseudonyms_of"]


@dataclass(frozen=True)
class Found:
    """What somebody's words find."""

    lines: tuple[CaseLine, ...]  # open to them, the one changed last first
    total: int  # how many are open to them at all
    kept: tuple[str, ...]  # ids of those that are kept to others and bear exactly this pseudonym or number


def cases_of(tx: Connection, vault: Vault, handler: Handler, *, now: datetime) -> list[CaseLine]:
    """Every case that is open to somebody, the one changed last first. Raises CannotOpen."""
    sight = Sight(tx, handler, now=now)
    return [each for each in records.list_cases(tx, vault) if sight.sees(each.case_id, each.access)]


def pseudonyms_of(tx: Connection, vault: Vault, handler: Handler, *, now: datetime) -> dict[str, str]:
    """The same by their ids, for pages that name a case beside something else."""
    return {each.case_id: each.pseudonym for each in cases_of(tx, vault, handler, now=now)}


def find(tx: Connection, vault: Vault, handler: Handler, wanted: str, *, now: datetime) -> Found:
    """Look for a part of a pseudonym or number, without accents and capitals. Raises CannotOpen."""
    sight, said = Sight(tx, handler, now=now), plain(wanted)
    lines, kept, total = [], [], 0
    for each in records.list_cases(tx, vault):
        names = (plain(each.pseudonym), plain(each.local_number))
        if sight.sees(each.case_id, each.access):
            total += 1
            if any(said in name for name in names):
                lines.append(each)
        elif said and said in names:
            kept.append(each.case_id)
    return Found(tuple(lines), total, tuple(kept))


def note_found(tx: Connection, handler: Handler, found: Found, *, now: datetime) -> None:
    """Journal that cases kept to others were found by their names."""
    for case_id in found.kept:
        journal.append(tx, now=now, actor=handler.account_id, action="case.found_by_name", subject=case_id)


def plain(name: str) -> str:
    """Without accents and capitals: nobody types them in a hurry."""
    decomposed = unicodedata.normalize("NFKD", " ".join(name.casefold().split()))
    return "".join(each for each in decomposed if not unicodedata.combining(each))
