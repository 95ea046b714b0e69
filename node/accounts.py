"""Accounts and roles. Names and roles are sealed by the vault; names are found by a keyed index."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cordee.errors import N_, AccountExists, InvalidInput, LastAdministrator, NotFound, RoleMissing
from node import journal
from node.passwords import hash_password
from node.store import table_of
from node.store.people import AccountRow, SessionRow
from node.vault import Vault

__all__ = [
    "Account",
    "Handler",
    "Role",
    "account_named",
    "account_of",
    "account_row",
    "add_account",
    "disable_account",
    "kept_password",
    "list_accounts",
    "name_index",
    "seal_profile",
    "set_password",
]

_ACCOUNT = table_of(AccountRow)
_SESSION = table_of(SessionRow)

_PROFILE_PLACE = "account.sealed_profile"
_PASSWORD_PLACE = "account.sealed_password"  # noqa: S105  # the name of a column
_LONGEST_NAME = 100


class Role(StrEnum):
    """What an account may do: handlers work on cases, leads oversee them, administrators manage accounts and the
    node, auditors read the journal.
    """

    HANDLER = N_("handler")
    LEAD = N_("lead")
    ADMINISTRATOR = N_("administrator")
    AUDITOR = N_("auditor")


@dataclass(frozen=True)
class Handler:
    """The person who is asking: somebody who is signed in."""

    account_id: str
    name: str
    roles: frozenset[Role]
    bound_by_secrecy: bool

    def require(self, role: Role) -> None:
        """Raises RoleMissing."""
        if role not in self.roles:
            raise RoleMissing(role=role)


@dataclass(frozen=True)
class Account:
    """An account as lists show it."""

    account_id: str
    name: str
    roles: frozenset[Role]
    bound_by_secrecy: bool
    disabled: bool


def add_account(
    tx: Connection,
    vault: Vault,
    name: str,
    password: str,
    roles: Collection[Role],
    bound_by_secrecy: bool,
    now: datetime,
    random: Callable[[int], bytes],
    *,
    by: str = "node",
) -> Account:
    """Make an account. `by` is the account that made it.

    Raises: InvalidInput for a name, a password or roles that will not do; AccountExists.
    """
    shown = _shown_name(name)
    if not roles:
        raise InvalidInput(field="roles", problem=N_("at least one is needed"))
    account = Account(random(16).hex(), shown, frozenset(Role(role) for role in roles), bound_by_secrecy, False)
    row = {
        "id": account.account_id,
        "name_index": name_index(vault, shown),
        "disabled": False,
        "created_at": now,
        "sealed_profile": seal_profile(vault, account),
        "sealed_password": _seal_password(vault, account.account_id, password),
    }
    try:
        tx.execute(insert(_ACCOUNT), row)
    except IntegrityError as taken:
        raise AccountExists() from taken
    facts = {"roles": ",".join(sorted(account.roles))}
    journal.append(tx, now=now, actor=by, action="account.added", subject=account.account_id, facts=facts)
    return account


def list_accounts(tx: Connection, vault: Vault) -> list[Account]:
    """Every account, disabled ones too, in the order of their names. Raises CannotOpen."""
    return sorted(
        (account_of(vault, row) for row in tx.execute(select(_ACCOUNT))), key=lambda each: each.name.casefold()
    )


def disable_account(tx: Connection, vault: Vault, name: str, *, now: datetime, by: str = "node") -> None:
    """Let an account sign in no more, and end its sessions. Raises NotFound, LastAdministrator."""
    row = account_row(tx, vault, name)
    accounts = list_accounts(tx, vault)
    others = [each for each in accounts if each.account_id != row.id and not each.disabled]
    if Role.ADMINISTRATOR in account_of(vault, row).roles and not any(
        Role.ADMINISTRATOR in each.roles for each in others
    ):
        raise LastAdministrator()
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(disabled=True))
    tx.execute(delete(_SESSION).where(_SESSION.c.account_id == row.id))
    journal.append(tx, now=now, actor=by, action="account.disabled", subject=row.id)


def set_password(tx: Connection, vault: Vault, name: str, password: str, *, now: datetime, by: str = "node") -> None:
    """Give an account another password, and end its sessions. Raises NotFound, InvalidInput."""
    row = account_row(tx, vault, name)
    sealed = _seal_password(vault, row.id, password)
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(sealed_password=sealed))
    tx.execute(delete(_SESSION).where(_SESSION.c.account_id == row.id))
    journal.append(tx, now=now, actor=by, action="account.password", subject=row.id)


# ---- what is sealed ----


def account_row(tx: Connection, vault: Vault, name: str) -> Row[tuple[Any, ...]]:
    """An account by its name. Raises NotFound."""
    row = tx.execute(select(_ACCOUNT).where(_ACCOUNT.c.name_index == name_index(vault, name))).one_or_none()
    if row is None:
        raise NotFound(what=N_("account"))
    return row


def account_named(tx: Connection, vault: Vault, account_id: str) -> Account:
    """An account by its id. Raises NotFound."""
    row = tx.execute(select(_ACCOUNT).where(_ACCOUNT.c.id == account_id)).one_or_none()
    if row is None:
        raise NotFound(what=N_("account"))
    return account_of(vault, row)


def _shown_name(name: str) -> str:
    shown = " ".join(unicodedata.normalize("NFKC", name).split())
    if not shown or len(shown) > _LONGEST_NAME or not shown.isprintable():
        raise InvalidInput(
            field="name", problem=N_("it needs 1 to {maximum} printable characters"), maximum=_LONGEST_NAME
        )
    return shown


def name_index(vault: Vault, name: str) -> bytes:
    """Under which an account is found by its name, and its failures are counted."""
    folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return vault.index(folded.encode(errors="surrogatepass"), place="account.name")


def seal_profile(vault: Vault, account: Account) -> bytes:
    """Name, roles and secrecy, for the account's row."""
    document = {"name": account.name, "roles": sorted(account.roles), "bound_by_secrecy": account.bound_by_secrecy}
    return vault.seal(json.dumps(document).encode(), place=_PROFILE_PLACE, row=account.account_id)


def kept_password(vault: Vault, row: Row[tuple[Any, ...]]) -> str:
    """What is kept of an account's password, by its row. Raises CannotOpen."""
    return vault.unseal(row.sealed_password, place=_PASSWORD_PLACE, row=row.id).decode()


def _seal_password(vault: Vault, account_id: str, password: str) -> bytes:
    return vault.seal(hash_password(password).encode(), place=_PASSWORD_PLACE, row=account_id)


def account_of(vault: Vault, row: Row[tuple[Any, ...]]) -> Account:
    """An account out of its row. Raises CannotOpen."""
    document = json.loads(vault.unseal(row.sealed_profile, place=_PROFILE_PLACE, row=row.id))
    roles = frozenset(Role(role) for role in document["roles"])
    return Account(row.id, document["name"], roles, document["bound_by_secrecy"], row.disabled)
