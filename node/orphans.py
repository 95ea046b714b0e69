"""Cases that nobody who still comes in may open without a reason, and giving them to a team or a person (domain W7).

It is found out anew each time it is asked, so it does not matter how a case lost its people: an account was closed, a
role taken away, somebody left a team.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, select

from cordee.errors import N_, CasesLeftAlone, InvalidInput
from node import journal, need_to_know, people, records, teams
from node.case_access import NOBODY, Access, may_open
from node.case_index import CaseIndex
from node.people import Account, Role
from node.records import CaseLine
from node.store import table_of
from node.store.teams import TeamMemberRow
from node.vault import Vault

__all__ = ["Heir", "close_account", "give", "heirs", "orphans", "works_on_cases"]

_MEMBER = table_of(TeamMemberRow)
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})
_MANY = 1000  # cases given in one step


@dataclass(frozen=True)
class Heir:
    """To whom cases are given: a team or a person, by id."""

    kind: str  # team or account
    id: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Heir | None:
        """As a form has it: `team:…` or `account:…`; None for anything else."""
        kind, _, name = text.partition(":")
        return cls(kind, name) if kind in ("team", "account") and name else None


def works_on_cases(account: Account) -> bool:
    """Whether somebody comes in and opens cases."""
    return not account.disabled and bool(account.roles & _CASE_TEAM)


def orphans(tx: Connection, vault: Vault, cases: CaseIndex, *, without: str | None = None) -> list[CaseLine]:
    """The cases that nobody may open, the one changed last first; closed ones too, for they must be kept or erased.

    `without`: those that closing this account would leave so. Raises CannotOpen.
    """
    accounts = people.list_accounts(tx, vault)
    teams_of: dict[str, set[str]] = {}
    for row in tx.execute(select(_MEMBER)):
        teams_of.setdefault(row.account_id, set()).add(row.team_id)
    there = [each for each in accounts if works_on_cases(each) and each.account_id != without]
    leaver = next((each for each in accounts if each.account_id == without and works_on_cases(each)), None)
    if without is not None and leaver is None:
        return []

    def opens(account: Account, access: Access) -> bool:
        return may_open(account, access, teams_of.get(account.account_id, ()))

    @cache  # nearly all cases have one of a few
    def alone(access: Access) -> bool:
        return not any(opens(each, access) for each in there) and (leaver is None or opens(leaver, access))

    return [each for each in cases.look(tx, vault) if alone(each.access)]


def heirs(tx: Connection, vault: Vault, *, without: str | None = None) -> list[Heir]:
    """To whom a case can be given so that somebody sees it: teams that have people, then people."""
    there = {
        each.account_id: each.name
        for each in people.list_accounts(tx, vault)
        if works_on_cases(each) and each.account_id != without
    }
    manned = [each for each in teams.list_teams(tx, vault) if each.members & there.keys()]
    return [
        *(Heir("team", each.team_id, each.name) for each in manned),
        *(Heir("account", account_id, name) for account_id, name in there.items()),
    ]


def give(
    tx: Connection,
    vault: Vault,
    cases: CaseIndex,
    case_ids: Collection[str],
    heir: Heir,
    *,
    now: datetime,
    by: str,
    without: str | None = None,
) -> None:
    """Give cases that nobody may open to a team or a person, all in one step, each journalled.

    Others are not given so: they have people, who decide. To a team: the case becomes the team's, with no referent
    yet. To a person: they become its referent, and it stays as narrow as it was.

    Raises: InvalidInput for a case that somebody may open, too many, or an heir who could not open it.
    """
    if not case_ids or len(case_ids) > _MANY:
        raise InvalidInput(field=N_("cases"), problem=N_("choose 1 to {maximum}"), maximum=_MANY)
    if not any((heir.kind, heir.id) == (each.kind, each.id) for each in heirs(tx, vault, without=without)):
        raise InvalidInput(
            field=N_("heir"), problem=N_("choose a team with people in it, or a person who works on cases")
        )
    alone = {each.case_id for each in orphans(tx, vault, cases, without=without)}
    for case_id in sorted(set(case_ids)):
        if case_id not in alone:
            raise InvalidInput(field=N_("cases"), problem=N_("somebody looks after one of them already"))
        stored = records.read_case(tx, vault, case_id)
        if heir.kind == "team":
            changed = need_to_know.with_team(stored.case, restriction="team", owner=NOBODY, others=[], now=now)
            teams.place(tx, case_id, heir.id, now=now, by=by)
        else:
            changed = need_to_know.with_team(
                stored.case,
                restriction=str(stored.case.value("meta.access_restriction") or "team"),
                owner=heir.id,
                others=[str(each) for each in stored.case.value("meta.co_handler_ids") or ()],
                now=now,
            )
        records.put_case(tx, stored.data_key, changed, now=now)
        journal.append(tx, now=now, actor=by, action="case.given", subject=case_id, facts={heir.kind: heir.id})


def close_account(
    tx: Connection,
    vault: Vault,
    cases: CaseIndex,
    account_id: str,
    *,
    heir: Heir | None = None,
    leave: bool = False,
    now: datetime,
    by: str,
) -> list[str]:
    """Disable an account, and give the cases that only this person could open to somebody, in one step.

    The cases' ids. With `leave` they are given to nobody yet, and wait among the orphans.

    Raises: NotFound, LastAdministrator; CasesLeftAlone where there are such cases and nothing was said of them;
    InvalidInput for an heir who could not open them.
    """
    name = people.account_named(tx, vault, account_id).name
    left = [each.case_id for each in orphans(tx, vault, cases, without=account_id)]
    if left and heir is not None:
        give(tx, vault, cases, left, heir, now=now, by=by, without=account_id)
    elif left and not leave:
        raise CasesLeftAlone(count=len(left))
    people.disable_account(tx, vault, name, now=now, by=by)
    return left
