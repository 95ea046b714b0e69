"""The association's teams: made, renamed and dissolved by an administrator, who also says who is in them.

A team's name is sealed by the vault: it may say where people work. Each change is journalled with ids alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cordee.errors import N_, InvalidInput, NotFound, TeamExists, TeamInUse
from node import journal, people, records
from node.case_access import folded, team_of
from node.store import table_of
from node.store.people import AccountRow
from node.store.teams import CaseTeamRow, TeamMemberRow, TeamRow
from node.vault import Vault

__all__ = [
    "Team",
    "add_team",
    "choose_for_new",
    "dissolve",
    "list_teams",
    "place",
    "rename",
    "set_members",
    "team_named",
    "teams_of",
]

_TEAM, _MEMBER, _OF_TEAM = table_of(TeamRow), table_of(TeamMemberRow), table_of(CaseTeamRow)
_ACCOUNT = table_of(AccountRow)
_PLACE = "team.sealed_name"
_LONGEST_NAME = 60
_MANY = 200  # teams of one association


@dataclass(frozen=True)
class Team:
    """One team."""

    team_id: str
    name: str
    members: frozenset[str]  # account ids
    cases: int


def list_teams(tx: Connection, vault: Vault) -> list[Team]:
    """Every team, in the order of their names. Raises CannotOpen."""
    members: dict[str, set[str]] = {}
    for row in tx.execute(select(_MEMBER)):
        members.setdefault(row.team_id, set()).add(row.account_id)
    counted = select(_OF_TEAM.c.team_id, func.count()).group_by(_OF_TEAM.c.team_id)
    cases: dict[str, int] = {row[0]: row[1] for row in tx.execute(counted)}
    teams = [
        Team(
            row.id,
            vault.unseal(row.sealed_name, place=_PLACE, row=row.id).decode(),
            frozenset(members.get(row.id, ())),
            cases.get(row.id, 0),
        )
        for row in tx.execute(select(_TEAM))
    ]
    return sorted(teams, key=lambda each: each.name.casefold())


def teams_of(tx: Connection, vault: Vault, account_id: str) -> list[Team]:
    """Those that somebody is in."""
    return [each for each in list_teams(tx, vault) if account_id in each.members]


def team_named(tx: Connection, vault: Vault, wanted: str) -> Team:
    """A team by its id or its name. Raises NotFound."""
    for each in list_teams(tx, vault):
        if wanted == each.team_id or folded(wanted) == folded(each.name):
            return each
    raise NotFound(what=N_("team"))


def add_team(tx: Connection, vault: Vault, name: str, *, now: datetime, random: Callable[[int], bytes], by: str) -> str:
    """Make a team; its id. Raises InvalidInput for a name that will not do; TeamExists."""
    shown, team_id = _shown_name(name), random(16).hex()
    if tx.execute(select(func.count()).select_from(_TEAM)).scalar_one() >= _MANY:
        raise InvalidInput(field="name", problem=N_("there are {maximum} teams already"), maximum=_MANY)
    row = {"id": team_id, "created_at": now, **_sealed(vault, team_id, shown)}
    try:
        tx.execute(insert(_TEAM), row)
    except IntegrityError as taken:
        raise TeamExists() from taken
    journal.append(tx, now=now, actor=by, action="team.added", subject=team_id)
    return team_id


def rename(tx: Connection, vault: Vault, team_id: str, name: str, *, now: datetime, by: str) -> None:
    """Give a team another name. Raises NotFound, InvalidInput, TeamExists."""
    _require(tx, team_id)
    try:
        tx.execute(update(_TEAM).where(_TEAM.c.id == team_id).values(_sealed(vault, team_id, _shown_name(name))))
    except IntegrityError as taken:
        raise TeamExists() from taken
    journal.append(tx, now=now, actor=by, action="team.renamed", subject=team_id)


def set_members(tx: Connection, team_id: str, members: Collection[str], *, now: datetime, by: str) -> None:
    """Say who is in a team, by their account ids. Each who comes and each who goes is journalled.

    Raises: NotFound, also for an account that there is not.
    """
    _require(tx, team_id)
    before = set(tx.execute(select(_MEMBER.c.account_id).where(_MEMBER.c.team_id == team_id)).scalars())
    after = set(members)
    known = set(tx.execute(select(_ACCOUNT.c.id).where(_ACCOUNT.c.id.in_(list(after - before)))).scalars())
    if after - before - known:
        raise NotFound(what=N_("account"))
    for each in sorted(after - before):
        tx.execute(insert(_MEMBER), {"team_id": team_id, "account_id": each})
        journal.append(tx, now=now, actor=by, action="team.joined", subject=each, facts={"team": team_id})
    for each in sorted(before - after):
        tx.execute(delete(_MEMBER).where(_MEMBER.c.team_id == team_id, _MEMBER.c.account_id == each))
        journal.append(tx, now=now, actor=by, action="team.left", subject=each, facts={"team": team_id})


def dissolve(tx: Connection, team_id: str, *, now: datetime, by: str) -> None:
    """Do away with a team that has neither people nor cases. Raises NotFound, TeamInUse."""
    _require(tx, team_id)
    for table in (_MEMBER, _OF_TEAM):
        if tx.execute(select(func.count()).select_from(table).where(table.c.team_id == team_id)).scalar_one():
            raise TeamInUse()
    tx.execute(delete(_TEAM).where(_TEAM.c.id == team_id))
    journal.append(tx, now=now, actor=by, action="team.dissolved", subject=team_id)


# ---- cases ----


def place(tx: Connection, case_id: str, team_id: str | None, *, now: datetime, by: str) -> None:
    """Give a case to a team, or to the whole association. Nothing happens where it is there. Raises NotFound."""
    if team_id is not None:
        _require(tx, team_id)
    if team_of(tx, case_id) == team_id:
        return
    tx.execute(delete(_OF_TEAM).where(_OF_TEAM.c.case_id == case_id))
    if team_id is not None:
        tx.execute(insert(_OF_TEAM), {"case_id": case_id, "team_id": team_id})
    records.note_change(tx, case_id)
    facts = {"team": team_id or "everybody"}
    journal.append(tx, now=now, actor=by, action="case.given_to_team", subject=case_id, facts=facts)


def choose_for_new(tx: Connection, vault: Vault, handler: people.Handler, wanted: str = "") -> str | None:
    """Whose a new case will be: the team that its author says, by id or name, else the only one that they are in.

    Raises: InvalidInput where they are in several and said none; NotFound, also for a team that is not theirs.
    """
    mine = teams_of(tx, vault, handler.account_id)
    if wanted:
        chosen = team_named(tx, vault, wanted)
        if chosen.team_id not in {each.team_id for each in mine}:
            raise NotFound(what=N_("team"))
        return chosen.team_id
    if len(mine) > 1:
        raise InvalidInput(field=N_("team"), problem=N_("say which of your teams the case is for"))
    return mine[0].team_id if mine else None


# ---- what is kept ----


def _require(tx: Connection, team_id: str) -> None:
    if tx.execute(select(_TEAM.c.id).where(_TEAM.c.id == team_id)).scalar() is None:
        raise NotFound(what=N_("team"))


def _sealed(vault: Vault, team_id: str, name: str) -> dict[str, bytes]:
    return {
        "name_index": vault.index(folded(name).encode(errors="surrogatepass"), place="team.name"),
        "sealed_name": vault.seal(name.encode(), place=_PLACE, row=team_id),
    }


def _shown_name(name: str) -> str:
    shown = " ".join(name.split())
    if not shown or len(shown) > _LONGEST_NAME or not shown.isprintable():
        raise InvalidInput(
            field=N_("name"), problem=N_("it needs 1 to {maximum} printable characters"), maximum=_LONGEST_NAME
        )
    return shown
