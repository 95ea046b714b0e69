"""Who may open a case without a reason: what the case says of it, and whose team it is.

`meta.access_restriction` says how narrow that is. `team`: the team that the case belongs to, or every handler and lead
where it belongs to none, and whoever the case names; `named_users`: the referent and those named beside, nobody else;
`sealed`: those, and the leads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, bindparam, select

from cordee.errors import N_, NotFound
from cordee.runtime.prepared import prepared
from node import case_sealing as sealing
from node.people import Role
from node.store import table_of
from node.store.need_to_know import OpeningRow
from node.store.records import CaseKeyRow, CaseRow
from node.store.teams import CaseTeamRow, TeamMemberRow

if TYPE_CHECKING:
    from cordee.case import Case
    from node.case_sealing import Line
    from node.vault import Vault

__all__ = ["NAMED", "NOBODY", "SEALED", "Access", "Sight", "access_of", "folded", "may_open", "team_of"]

NAMED, SEALED = "named_users", "sealed"
NOBODY = "-"
"""In a case's field for its referent: it has none yet."""

_CASE, _KEY, _OF_TEAM = table_of(CaseRow), table_of(CaseKeyRow), table_of(CaseTeamRow)
_MEMBER, _OPENING = table_of(TeamMemberRow), table_of(OpeningRow)
_TEAM = prepared(select(_OF_TEAM.c.team_id).where(_OF_TEAM.c.case_id == bindparam("case")))
_TEAMS = prepared(select(_MEMBER.c.team_id).where(_MEMBER.c.account_id == bindparam("account")))
_OPENED = prepared(
    select(_OPENING.c.case_id).where(
        _OPENING.c.account_id == bindparam("account"), _OPENING.c.ends_at > bindparam("now")
    )
)
_LINE = prepared(
    select(_CASE.c.sealed_line, _CASE.c.sealed_body, _KEY.c.sealed_key)
    .join(_KEY, _KEY.c.case_id == _CASE.c.id)
    .where(_CASE.c.id == bindparam("case"))
)


class Person(Protocol):
    """Somebody of the association, signed in or not."""

    @property
    def account_id(self) -> str:
        """As the journal names them."""

    @property
    def name(self) -> str:
        """As people call them."""

    @property
    def roles(self) -> frozenset[Role]:
        """What they may do."""


@dataclass(frozen=True)
class Access:
    """Whose a case is."""

    restriction: str
    named: frozenset[str]  # folded names or account ids
    team: str | None  # its id

    @classmethod
    def of(cls, case: Case, team: str | None) -> Access:
        """As the case says it."""
        return cls._told(str(case.value("meta.access_restriction") or ""), sealing.named_in(case), team)

    @classmethod
    def of_line(cls, line: Line, team: str | None, opened: Callable[[], Case]) -> Access:
        """As its line in lists says it; an old line does not, and the case is opened. Raises CannotOpen."""
        if line.restriction is None:
            return cls.of(opened(), team)
        return cls._told(line.restriction, line.named, team)

    def names(self, person: Person) -> bool:
        """Whether it is in their name."""
        return bool({folded(person.account_id), folded(person.name)} & self.named)

    @classmethod
    def _told(cls, restriction: str, named: Iterable[str], team: str | None) -> Access:
        return cls(restriction, frozenset(map(folded, named)) - {"", NOBODY}, team)


def may_open(person: Person, access: Access, teams: Collection[str]) -> bool:
    """Whether a case is theirs without a reason, being in these teams. One in nobody's name is the leads', who give it
    to somebody.
    """
    if access.names(person):
        return True
    if access.restriction not in (NAMED, SEALED):
        return access.team is None or access.team in teams
    return Role.LEAD in person.roles and (access.restriction == SEALED or not access.named)


def team_of(tx: Connection, case_id: str) -> str | None:
    """The team that a case belongs to, by its id; None where it is the whole association's."""
    found = tx.execute(_TEAM, {"case": case_id}).scalar()
    return None if found is None else str(found)


def access_of(tx: Connection, vault: Vault, case_id: str) -> Access:
    """Whose a case is. Raises NotFound, also where it was erased; CannotOpen."""
    row = tx.execute(_LINE, {"case": case_id}).one_or_none()
    if row is None or row.sealed_line is None:
        raise NotFound(what=N_("case"))
    key = sealing.unwrap(vault, case_id, row.sealed_key)
    line = sealing.open_line(key, case_id, row.sealed_line)
    return Access.of_line(line, team_of(tx, case_id), lambda: sealing.open_body(key, case_id, row.sealed_body))


class Sight:
    """What one person may open, within one step: their teams and the reasons that they gave are read once.

    `opened`: the ids of the cases that they gave a reason for that still holds.
    """

    def __init__(self, tx: Connection, person: Person, *, now: datetime) -> None:
        self._person = person
        self._teams = frozenset(tx.execute(_TEAMS, {"account": person.account_id}).scalars())
        self.opened = frozenset(tx.execute(_OPENED, {"account": person.account_id, "now": now}).scalars())

    def is_mine(self, access: Access) -> bool:
        """Whether a case is theirs without a reason."""
        return may_open(self._person, access, self._teams)

    def sees(self, case_id: str, access: Access) -> bool:
        """Whether it is open to them now: their own, or for a reason that still holds."""
        return self.is_mine(access) or case_id in self.opened


def folded(name: str) -> str:
    """A name as it is compared."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
