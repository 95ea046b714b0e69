"""Sessions: opened with a password, whole with a second factor, ended by idleness; and the count of failures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import NotSignedIn, SecondFactorNeeded, SessionLocked, SignInPaused, WrongPassword
from cordee.runtime.prepared import prepared
from node import journal
from node.accounts import Handler, account_of, kept_password, name_index
from node.passwords import is_password
from node.store import table_of
from node.store.people import AccountRow, SessionRow, SignInFailureRow
from node.vault import Vault

__all__ = [
    "FAILURES",
    "IDLE",
    "LONGEST_HALF",
    "LONGEST_SESSION",
    "PAUSE",
    "Compared",
    "SignIn",
    "Stage",
    "count_failure",
    "ended_lately",
    "lock",
    "look_up",
    "password_again",
    "paused",
    "paused_until",
    "promote",
    "session_of",
    "sign_in",
    "sign_out",
    "to_compare",
    "token_index",
    "who",
]

_ACCOUNT = table_of(AccountRow)
_SESSION = table_of(SessionRow)
_FAILURE = table_of(SignInFailureRow)
_NAMED = prepared(select(_ACCOUNT).where(_ACCOUNT.c.name_index == bindparam("name")))
_HOLDER = prepared(
    select(_ACCOUNT, *(_SESSION.c[name] for name in ("opened_at", "seen_at", "stage", "challenge")))
    .join(_ACCOUNT, _ACCOUNT.c.id == _SESSION.c.account_id)
    .where(_SESSION.c.token_index == bindparam("token"))
)

IDLE = timedelta(minutes=30)
LONGEST_SESSION = timedelta(hours=12)
LONGEST_HALF = timedelta(minutes=15)  # time to find one's telephone, and to set it up the first time
FAILURES = 10
PAUSE = timedelta(minutes=15)
_TOUCH = timedelta(minutes=1)  # how exactly the last use of a session is kept: a write for each call would cost a sync


class Stage(StrEnum):
    """How far a session has come. The command line's needs no second factor; the pages' is half until it has one."""

    COMMAND = "command"
    HALF = "half"
    FULL = "full"
    LOCKED = "locked"


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
    index = name_index(vault, name)
    if paused_until(tx, index, now) is not None:
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
    stage: Stage = Stage.COMMAND,
) -> SignIn:
    """Try to open a session: idle for 30 minutes or 12 hours old, it ends. After ten wrong passwords a name pauses.

    An unknown name, a disabled account and a wrong password cannot be told apart, nor by the time it takes.
    However many try at once, each is counted here, and none is let in once the name pauses. For the pages `stage` is
    HALF: the count of failures then goes on until the second factor is right.
    """
    _forget_what_ended(tx, now)
    index = name_index(vault, name)
    until = paused_until(tx, index, now)
    if until is not None:
        return SignIn(None, paused(until))
    row = tx.execute(_NAMED, {"name": index}).one_or_none()
    kept = _kept_password(vault, row)
    right = compared.right if compared is not None and compared.kept == kept else is_password(kept, password)
    if row is None or not right or row.disabled:
        return _refuse(tx, index, row.id if row is not None else None, now)
    if stage is Stage.COMMAND:
        tx.execute(delete(_FAILURE).where(_FAILURE.c.name_index == index))
        journal.append(tx, now=now, actor=row.id, action="session.opened", subject=row.id)
    return SignIn(_open_session(tx, vault, row.id, stage, opened_at=now, now=now, random=random), None)


def promote(
    tx: Connection, vault: Vault, token: str, *, now: datetime, random: Callable[[int], bytes], action: str
) -> str:
    """A half or locked session becomes a whole one, under another token: whoever knew the old one has nothing.

    Only for whoever has just checked the second factor. `action` is what the journal calls it. Raises NotSignedIn.
    """
    row = session_of(tx, vault, token, now=now, stages={Stage.HALF, Stage.LOCKED})
    tx.execute(delete(_SESSION).where(_SESSION.c.token_index == token_index(vault, token)))
    tx.execute(delete(_FAILURE).where(_FAILURE.c.name_index == row.name_index))
    journal.append(tx, now=now, actor=row.id, action=action, subject=row.id)
    opened = row.opened_at if row.stage == Stage.LOCKED else now
    return _open_session(tx, vault, row.id, Stage.FULL, opened_at=opened, now=now, random=random)


def lock(tx: Connection, vault: Vault, token: str, *, now: datetime) -> None:
    """Let nothing be done with a session until its holder shows that it is them. Raises NotSignedIn."""
    row = session_of(tx, vault, token, now=now, stages={Stage.FULL, Stage.LOCKED})
    locked = update(_SESSION).where(_SESSION.c.token_index == token_index(vault, token))
    tx.execute(locked.values(stage=Stage.LOCKED.value, challenge=None, seen_at=now))
    journal.append(tx, now=now, actor=row.id, action="session.locked", subject=row.id)


def session_of(
    tx: Connection, vault: Vault, token: str, *, now: datetime, stages: Collection[Stage]
) -> Row[tuple[Any, ...]]:
    """The session and its account, as rows, where it is in one of these stages. Raises NotSignedIn."""
    row = tx.execute(_HOLDER, {"token": token_index(vault, token)}).one_or_none()
    if row is None or _is_over(row, now) or row.stage not in stages:
        raise NotSignedIn()
    found: Row[tuple[Any, ...]] = row
    return found


def who(tx: Connection, vault: Vault, token: str, *, now: datetime, stage: Stage = Stage.COMMAND) -> Handler:
    """Who holds this token, and that they used it just now. Raises NotSignedIn, also for a session that has ended."""
    handler, noted = look_up(tx, vault, token, now=now, stage=stage)
    if not noted:
        tx.execute(update(_SESSION).where(_SESSION.c.token_index == token_index(vault, token)).values(seen_at=now))
    return handler


def look_up(
    tx: Connection, vault: Vault, token: str, *, now: datetime, stage: Stage = Stage.COMMAND
) -> tuple[Handler, bool]:
    """As `who`, and writes nothing: with whether the session's use is noted exactly enough already.

    A token of the command line is none of the pages', nor the other way round: it had no second factor.

    Raises: NotSignedIn; of it SecondFactorNeeded and SessionLocked where that alone is missing on the pages.
    """
    row = tx.execute(_HOLDER, {"token": token_index(vault, token)}).one_or_none()
    if row is None or _is_over(row, now):
        raise NotSignedIn()
    if row.stage != stage:
        if stage is not Stage.FULL or row.stage == Stage.COMMAND:
            raise NotSignedIn()
        raise SessionLocked() if row.stage == Stage.LOCKED else SecondFactorNeeded()
    account = account_of(vault, row)
    handler = Handler(account.account_id, account.name, account.roles, account.bound_by_secrecy)
    return handler, now - row.seen_at < _TOUCH


def ended_lately(tx: Connection, vault: Vault, token: str, *, now: datetime) -> Handler | None:
    """Who had the pages open with this token until it was locked or ended, half an hour ago at most; else None.

    It lets nobody in. What was typed meanwhile is kept for this person, who must sign in to see it.
    """
    row = tx.execute(_HOLDER, {"token": token_index(vault, token)}).one_or_none()
    if row is None or row.disabled or row.stage not in (Stage.FULL, Stage.LOCKED):
        return None
    if now - min(row.seen_at + IDLE, row.opened_at + LONGEST_SESSION) >= IDLE:
        return None
    account = account_of(vault, row)
    return Handler(account.account_id, account.name, account.roles, account.bound_by_secrecy)


def password_again(
    tx: Connection, vault: Vault, token: str, *, compared: Compared, now: datetime
) -> WrongPassword | SignInPaused | None:
    """Whether somebody who has the pages open shows their present password, compared before this step.

    The refusal is returned, and counted as at the door: however many try at once, none is believed once the name
    pauses. None where it is right. Raises NotSignedIn, also where the session ended meanwhile.
    """
    row = session_of(tx, vault, token, now=now, stages={Stage.FULL})
    until = paused_until(tx, row.name_index, now)
    if until is not None:
        return paused(until)
    if compared.right and compared.kept == kept_password(vault, row):
        return None
    count_failure(tx, row.name_index, row.id, now)
    return WrongPassword()


def sign_out(tx: Connection, vault: Vault, token: str, *, now: datetime) -> None:
    """End a session. Raises NotSignedIn where it has ended."""
    row = session_of(tx, vault, token, now=now, stages=frozenset(Stage))
    tx.execute(delete(_SESSION).where(_SESSION.c.token_index == token_index(vault, token)))
    journal.append(tx, now=now, actor=row.id, action="session.closed", subject=row.id)


def _open_session(
    tx: Connection,
    vault: Vault,
    account_id: str,
    stage: Stage,
    *,
    opened_at: datetime,
    now: datetime,
    random: Callable[[int], bytes],
) -> str:
    token = base64.urlsafe_b64encode(random(32)).rstrip(b"=").decode("ascii")
    session = {
        "token_index": token_index(vault, token),
        "account_id": account_id,
        "opened_at": opened_at,
        "seen_at": now,
        "stage": stage.value,
    }
    tx.execute(insert(_SESSION), session)
    return token


def _is_over(row: Row[tuple[Any, ...]], now: datetime) -> bool:
    longest = LONGEST_HALF if row.stage == Stage.HALF else LONGEST_SESSION
    return bool(row.disabled or now - row.seen_at >= IDLE or now - row.opened_at >= longest)


def _refuse(tx: Connection, index: bytes, account_id: str | None, now: datetime) -> SignIn:
    count_failure(tx, index, account_id, now)
    return SignIn(None, WrongPassword())


def count_failure(tx: Connection, index: bytes, account_id: str | None, now: datetime) -> None:
    """One more failure under a name, whichever secret was wrong."""
    row = upsert(_FAILURE).values(name_index=index, failures=1, last_at=now)
    counted = {"failures": _FAILURE.c.failures + 1, "last_at": now}
    tx.execute(row.on_conflict_do_update(index_elements=["name_index"], set_=counted))
    if account_id is not None:  # attempts under unknown names must not fill the journal
        journal.append(tx, now=now, actor="node", action="session.refused", subject=account_id)


def paused(until: datetime) -> SignInPaused:
    """The refusal of a name that pauses."""
    return SignInPaused(until=until.isoformat(timespec="minutes"))


def paused_until(tx: Connection, index: bytes, now: datetime) -> datetime | None:
    """Until when a name (its index) pauses; None where it does not."""
    failed = tx.execute(select(_FAILURE).where(_FAILURE.c.name_index == index)).one_or_none()
    if failed is None or failed.failures < FAILURES:
        return None
    until: datetime = failed.last_at + PAUSE
    return until if until > now else None


def _kept_password(vault: Vault, row: Row[tuple[Any, ...]] | None) -> str | None:
    return None if row is None else kept_password(vault, row)


def _forget_what_ended(tx: Connection, now: datetime) -> None:
    tx.execute(delete(_FAILURE).where(_FAILURE.c.last_at <= now - PAUSE))
    # One that has just ended still tells for whom to keep what was typed.
    ended = or_(_SESSION.c.seen_at <= now - 2 * IDLE, _SESSION.c.opened_at <= now - LONGEST_SESSION - IDLE)
    tx.execute(delete(_SESSION).where(ended))


def token_index(vault: Vault, token: str) -> bytes:
    """Under which a session is found by its token."""
    return vault.index(token.encode(errors="surrogatepass"), place="session.token")
