"""Accounts, roles and sessions. Names and roles are sealed by the vault; names are found by a keyed index."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from cordee.errors import (
    N_,
    AccountExists,
    InvalidInput,
    LastAdministrator,
    NotFound,
    NotSignedIn,
    RoleMissing,
    SignInPaused,
    WrongPassword,
)
from cordee.runtime.prepared import prepared
from node import journal
from node.passwords import check_password, hash_password, is_password
from node.store import table_of
from node.store.people import AccountRow, SessionRow, SignInFailureRow
from node.vault import Vault

__all__ = [
    "Account",
    "Compared",
    "Handler",
    "Role",
    "SignIn",
    "add_account",
    "check_password",
    "disable_account",
    "list_accounts",
    "look_up",
    "set_password",
    "sign_in",
    "sign_out",
    "to_compare",
    "who",
]

_ACCOUNT = table_of(AccountRow)
_SESSION = table_of(SessionRow)
_FAILURE = table_of(SignInFailureRow)
_NAMED = prepared(select(_ACCOUNT).where(_ACCOUNT.c.name_index == bindparam("name")))
_HOLDER = prepared(
    select(_ACCOUNT, _SESSION.c.opened_at, _SESSION.c.seen_at)
    .join(_ACCOUNT, _ACCOUNT.c.id == _SESSION.c.account_id)
    .where(_SESSION.c.token_index == bindparam("token"))
)

_PROFILE_PLACE = "account.sealed_profile"
_PASSWORD_PLACE = "account.sealed_password"  # noqa: S105  # the name of a column
_LONGEST_NAME = 100

IDLE = timedelta(minutes=30)
LONGEST_SESSION = timedelta(hours=12)
FAILURES = 10
PAUSE = timedelta(minutes=15)
_TOUCH = timedelta(minutes=1)  # how exactly the last use of a session is kept: a write for each call would cost a sync


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


@dataclass(frozen=True)
class SignIn:
    """How an attempt to sign in ended.

    It is returned, not raised: a step that raises is undone, and with it the count of wrong passwords.
    """

    _token: str | None
    refusal: WrongPassword | SignInPaused | None

    @property
    def token(self) -> str:
        """The session's token. Raises WrongPassword, SignInPaused. Read it after the step is committed."""
        if self.refusal is not None or self._token is None:
            raise self.refusal or WrongPassword()
        return self._token

    def __repr__(self) -> str:
        return f"SignIn(refusal={self.refusal!r})"


# ---- accounts ----


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
        "name_index": _name_index(vault, shown),
        "disabled": False,
        "created_at": now,
        "sealed_profile": _seal_profile(vault, account),
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
    return sorted((_account(vault, row) for row in tx.execute(select(_ACCOUNT))), key=lambda each: each.name.casefold())


def disable_account(tx: Connection, vault: Vault, name: str, *, now: datetime, by: str = "node") -> None:
    """Let an account sign in no more, and end its sessions. Raises NotFound, LastAdministrator."""
    row = _account_row(tx, vault, name)
    accounts = list_accounts(tx, vault)
    others = [each for each in accounts if each.account_id != row.id and not each.disabled]
    if Role.ADMINISTRATOR in _account(vault, row).roles and not any(
        Role.ADMINISTRATOR in each.roles for each in others
    ):
        raise LastAdministrator()
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(disabled=True))
    tx.execute(delete(_SESSION).where(_SESSION.c.account_id == row.id))
    journal.append(tx, now=now, actor=by, action="account.disabled", subject=row.id)


def set_password(tx: Connection, vault: Vault, name: str, password: str, *, now: datetime, by: str = "node") -> None:
    """Give an account another password, and end its sessions. Raises NotFound, InvalidInput."""
    row = _account_row(tx, vault, name)
    sealed = _seal_password(vault, row.id, password)
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == row.id).values(sealed_password=sealed))
    tx.execute(delete(_SESSION).where(_SESSION.c.account_id == row.id))
    journal.append(tx, now=now, actor=by, action="account.password", subject=row.id)


# ---- sessions ----


@dataclass(frozen=True)
class Compared:
    """A password, compared before the step that signs in: Argon2id takes long, and everybody's steps would wait.

    `to_compare` says with what; it is still that, or `sign_in` compares again.
    """

    kept: str | None
    right: bool

    @classmethod
    def of(cls, kept: str | None, password: str) -> Compared:
        """Takes as long for a name that nobody has."""
        return cls(kept, is_password(kept, password))


def to_compare(tx: Connection, vault: Vault, name: str, *, now: datetime) -> tuple[str | None] | None:
    """What is kept of this name's password, itself None for a name that nobody has; None while the name pauses.
    Writes nothing.
    """
    index = _name_index(vault, name)
    if _paused_until(tx, index, now) is not None:
        return None
    return (_kept_password(vault, tx.execute(_NAMED, {"name": index}).one_or_none()),)


def sign_in(
    tx: Connection,
    vault: Vault,
    name: str,
    password: str,
    *,
    now: datetime,
    random: Callable[[int], bytes],
    compared: Compared | None = None,
) -> SignIn:
    """Try to open a session: idle for 30 minutes or 12 hours old, it ends. After ten wrong passwords a name pauses.

    An unknown name, a disabled account and a wrong password cannot be told apart, nor by the time it takes.
    However many try at once, each is counted here, and none is let in once the name pauses.
    """
    _forget_what_ended(tx, now)
    index = _name_index(vault, name)
    until = _paused_until(tx, index, now)
    if until is not None:
        return SignIn(None, SignInPaused(until=until.isoformat(timespec="minutes")))
    row = tx.execute(_NAMED, {"name": index}).one_or_none()
    kept = _kept_password(vault, row)
    right = compared.right if compared is not None and compared.kept == kept else is_password(kept, password)
    if row is None or not right or row.disabled:
        return _refuse(tx, index, row.id if row is not None else None, now)
    tx.execute(delete(_FAILURE).where(_FAILURE.c.name_index == index))
    token = base64.urlsafe_b64encode(random(32)).rstrip(b"=").decode("ascii")
    session = {"token_index": _token_index(vault, token), "account_id": row.id, "opened_at": now, "seen_at": now}
    tx.execute(insert(_SESSION), session)
    journal.append(tx, now=now, actor=row.id, action="session.opened", subject=row.id)
    return SignIn(token, None)


def who(tx: Connection, vault: Vault, token: str, *, now: datetime) -> Handler:
    """Who holds this token, and that they used it just now. Raises NotSignedIn, also for a session that has ended."""
    handler, noted = look_up(tx, vault, token, now=now)
    if not noted:
        tx.execute(update(_SESSION).where(_SESSION.c.token_index == _token_index(vault, token)).values(seen_at=now))
    return handler


def look_up(tx: Connection, vault: Vault, token: str, *, now: datetime) -> tuple[Handler, bool]:
    """As `who`, and writes nothing: with whether the session's use is noted exactly enough already.

    Raises: NotSignedIn.
    """
    row = tx.execute(_HOLDER, {"token": _token_index(vault, token)}).one_or_none()
    if row is None or row.disabled or now - row.seen_at >= IDLE or now - row.opened_at >= LONGEST_SESSION:
        raise NotSignedIn()
    account = _account(vault, row)
    handler = Handler(account.account_id, account.name, account.roles, account.bound_by_secrecy)
    return handler, now - row.seen_at < _TOUCH


def sign_out(tx: Connection, vault: Vault, token: str, *, now: datetime) -> None:
    """End a session. Raises NotSignedIn where it has ended."""
    handler = who(tx, vault, token, now=now)
    tx.execute(delete(_SESSION).where(_SESSION.c.token_index == _token_index(vault, token)))
    journal.append(tx, now=now, actor=handler.account_id, action="session.closed", subject=handler.account_id)


def _refuse(tx: Connection, index: bytes, account_id: str | None, now: datetime) -> SignIn:
    row = upsert(_FAILURE).values(name_index=index, failures=1, last_at=now)
    counted = {"failures": _FAILURE.c.failures + 1, "last_at": now}
    tx.execute(row.on_conflict_do_update(index_elements=["name_index"], set_=counted))
    if account_id is not None:  # attempts under unknown names must not fill the journal
        journal.append(tx, now=now, actor="node", action="session.refused", subject=account_id)
    return SignIn(None, WrongPassword())


def _paused_until(tx: Connection, index: bytes, now: datetime) -> datetime | None:
    failed = tx.execute(select(_FAILURE).where(_FAILURE.c.name_index == index)).one_or_none()
    if failed is None or failed.failures < FAILURES:
        return None
    until: datetime = failed.last_at + PAUSE
    return until if until > now else None


def _kept_password(vault: Vault, row: Row[tuple[Any, ...]] | None) -> str | None:
    return None if row is None else vault.unseal(row.sealed_password, place=_PASSWORD_PLACE, row=row.id).decode()


def _forget_what_ended(tx: Connection, now: datetime) -> None:
    tx.execute(delete(_FAILURE).where(_FAILURE.c.last_at <= now - PAUSE))
    ended = or_(_SESSION.c.seen_at <= now - IDLE, _SESSION.c.opened_at <= now - LONGEST_SESSION)
    tx.execute(delete(_SESSION).where(ended))


# ---- what is sealed ----


def _account_row(tx: Connection, vault: Vault, name: str) -> Row[tuple[Any, ...]]:
    row = tx.execute(select(_ACCOUNT).where(_ACCOUNT.c.name_index == _name_index(vault, name))).one_or_none()
    if row is None:
        raise NotFound(what=N_("account"))
    return row


def _shown_name(name: str) -> str:
    shown = " ".join(unicodedata.normalize("NFKC", name).split())
    if not shown or len(shown) > _LONGEST_NAME or not shown.isprintable():
        raise InvalidInput(
            field="name", problem=N_("it needs 1 to {maximum} printable characters"), maximum=_LONGEST_NAME
        )
    return shown


def _name_index(vault: Vault, name: str) -> bytes:
    folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return vault.index(folded.encode(errors="surrogatepass"), place="account.name")


def _token_index(vault: Vault, token: str) -> bytes:
    return vault.index(token.encode(errors="surrogatepass"), place="session.token")


def _seal_profile(vault: Vault, account: Account) -> bytes:
    document = {"name": account.name, "roles": sorted(account.roles), "bound_by_secrecy": account.bound_by_secrecy}
    return vault.seal(json.dumps(document).encode(), place=_PROFILE_PLACE, row=account.account_id)


def _seal_password(vault: Vault, account_id: str, password: str) -> bytes:
    return vault.seal(hash_password(password).encode(), place=_PASSWORD_PLACE, row=account_id)


def _account(vault: Vault, row: Row[tuple[Any, ...]]) -> Account:
    document = json.loads(vault.unseal(row.sealed_profile, place=_PROFILE_PLACE, row=row.id))
    roles = frozenset(Role(role) for role in document["roles"])
    return Account(row.id, document["name"], roles, document["bound_by_secrecy"], row.disabled)
