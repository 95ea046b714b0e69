"""What administrators change about the people of their association. Each change is journalled under who made it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from cordee.errors import N_, InvalidInput, LastAdministrator
from node import journal, people, second_factor
from node.people import Account, Role
from node.second_factor import Factors
from node.store import table_of
from node.store.people import AccountRow, SignInFailureRow
from node.vault import Vault

__all__ = ["Person", "change", "enable", "lift_pause", "people_of", "person_of"]

_ACCOUNT = table_of(AccountRow)
_FAILURE = table_of(SignInFailureRow)


@dataclass(frozen=True)
class Person:
    """An account with what administrators need to know of how it signs in."""

    account: Account
    factors: Factors
    paused_until: datetime | None


def people_of(tx: Connection, vault: Vault, *, now: datetime) -> list[Person]:
    """Everybody, those whose account is disabled last. Raises CannotOpen."""
    accounts = people.list_accounts(tx, vault)
    return [_person(tx, each, now) for each in sorted(accounts, key=lambda each: each.disabled)]


def person_of(tx: Connection, vault: Vault, account_id: str, *, now: datetime) -> Person:
    """One of them. Raises NotFound."""
    return _person(tx, people.account_named(tx, vault, account_id), now)


def change(
    tx: Connection,
    vault: Vault,
    account_id: str,
    *,
    roles: Collection[Role],
    bound_by_secrecy: bool,
    now: datetime,
    by: str,
) -> None:
    """Give an account other roles. They count at once, in sessions that are open too.

    Raises: NotFound; InvalidInput without any role; LastAdministrator.
    """
    account = people.account_named(tx, vault, account_id)
    if not roles:
        raise InvalidInput(field="roles", problem=N_("at least one is needed"))
    if Role.ADMINISTRATOR in account.roles and Role.ADMINISTRATOR not in roles and not account.disabled:
        _require_another_administrator(tx, vault, account_id)
    changed = replace(account, roles=frozenset(roles), bound_by_secrecy=bound_by_secrecy)
    sealed = people.seal_profile(vault, changed)
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == account_id).values(sealed_profile=sealed))
    facts = {"roles": ",".join(sorted(changed.roles)), "bound_by_secrecy": str(bound_by_secrecy).lower()}
    journal.append(tx, now=now, actor=by, action="account.changed", subject=account_id, facts=facts)


def enable(tx: Connection, vault: Vault, account_id: str, *, now: datetime, by: str) -> None:
    """Let a disabled account sign in again, with what it had. Raises NotFound."""
    people.account_named(tx, vault, account_id)
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == account_id).values(disabled=False))
    journal.append(tx, now=now, actor=by, action="account.enabled", subject=account_id)


def lift_pause(tx: Connection, account_id: str, *, now: datetime, by: str) -> None:
    """Let an account try to sign in again before its pause is over. Without one it does nothing."""
    index = select(_ACCOUNT.c.name_index).where(_ACCOUNT.c.id == account_id).scalar_subquery()
    if tx.execute(delete(_FAILURE).where(_FAILURE.c.name_index == index)).rowcount:
        journal.append(tx, now=now, actor=by, action="account.pause_lifted", subject=account_id)


def _require_another_administrator(tx: Connection, vault: Vault, account_id: str) -> None:
    others = (each for each in people.list_accounts(tx, vault) if each.account_id != account_id and not each.disabled)
    if not any(Role.ADMINISTRATOR in each.roles for each in others):
        raise LastAdministrator()


def _person(tx: Connection, account: Account, now: datetime) -> Person:
    index = tx.execute(select(_ACCOUNT.c.name_index).where(_ACCOUNT.c.id == account.account_id)).scalar_one()
    return Person(account, second_factor.factors_of(tx, account.account_id), people.paused_until(tx, index, now))
