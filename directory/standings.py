"""How each member stands with the directory: its card, when its certificate runs out, how much of its quota it uses.

Administrators ask for it, so that they see what is about to fail before the member does. Nothing here says with whom a
member shares, or how often.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, func, select

from cordee.ids import MemberId
from cordee.members import MemberState
from cordee.runtime.database import Database
from cordee.runtime.tls import LEAF_LIFE
from cordee.signing import Signed
from directory.roster_store import RosterStore
from directory.store import moment, table_of
from directory.store.membership import JoinRequestRow
from directory.store.roster import CardRow
from directory.store.transfers import TransferRow

__all__ = ["Standing", "Standings"]

_CARD, _JOIN, _TRANSFER = table_of(CardRow), table_of(JoinRequestRow), table_of(TransferRow)
_PAGE = 32


@dataclass(frozen=True)
class Standing:
    """One member."""

    member: MemberId
    card: Signed | None
    profile: bytes
    certificate_ends: datetime | None
    """None where the directory has issued none since it keeps account of them."""
    under_way: int
    """Transfers that it sends and that have not ended."""
    counted: int
    """Bytes of these, as they count against its quota."""


class Standings:
    """Reads them. The roster says who is a member."""

    def __init__(self, db: Database, rosters: RosterStore) -> None:
        self._db = db
        self._rosters = rosters

    async def all(self) -> AsyncIterator[Standing]:
        """Every member that is not removed, in the order in which they were admitted."""
        present = [each for each in self._rosters.roster.members.values() if each.state is not MemberState.REMOVED]
        members = [each.id for each in sorted(present, key=lambda each: each.admitted_size)]
        for start in range(0, len(members), _PAGE):
            for each in await self._db.read(partial(_standings, members=members[start : start + _PAGE])):
                yield each


def _standings(tx: Connection, *, members: Sequence[MemberId]) -> list[Standing]:
    cards = {
        row.member: row
        for row in tx.execute(select(_CARD.c.member, _CARD.c.card, _CARD.c.profile).where(_CARD.c.member.in_(members)))
    }
    issued = {
        row.member: moment(row.certificate_at) + LEAF_LIFE
        for row in tx.execute(
            select(_JOIN.c.member, _JOIN.c.certificate_at).where(
                _JOIN.c.member.in_(members), _JOIN.c.certificate.is_not(None)
            )
        )
    }
    used = {
        row.sender: (row.under_way, row.counted)
        for row in tx.execute(
            select(_TRANSFER.c.sender, func.count().label("under_way"), func.sum(_TRANSFER.c.counted).label("counted"))
            .where(_TRANSFER.c.sender.in_(members), _TRANSFER.c.ends_at.is_not(None))
            .group_by(_TRANSFER.c.sender)
        )
    }
    found = []
    for member in members:
        row = cards.get(member)
        under_way, counted = used.get(member, (0, 0))
        found.append(
            Standing(
                member=member,
                card=Signed.from_bytes(row.card) if row is not None else None,
                profile=row.profile if row is not None else b"",
                certificate_ends=issued.get(member),
                under_way=under_way,
                counted=counted,
            )
        )
    return found
