"""The second thing that somebody shows: a code from their telephone, or one of ten recovery codes.

Codes from a telephone are RFC 6238's (30 seconds, six digits, one step of tolerance) and are taken once: the counter
of the last one is kept. Recovery codes are kept as keyed hashes and deleted when they are used. A failure counts toward
the same pause as a wrong password. Passkeys are in `passkeys.py`.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyotp
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cordee.errors import CordeeError, NotSignedIn, WrongCode, WrongPassword
from node import journal, people
from node.people import Compared, Stage
from node.store import table_of
from node.store.people import SessionRow
from node.store.second_factor import PasskeyRow, RecoveryCodeRow, SecondFactorRow
from node.vault import Vault

__all__ = [
    "Factors",
    "Outcome",
    "again",
    "answer",
    "confirm",
    "draw_recovery_codes",
    "factors_of",
    "give",
    "looks_like_a_code",
    "refused",
    "reset",
    "set_up",
    "takes",
    "to_unlock",
    "unlock",
    "uri",
]

_SESSION = table_of(SessionRow)
_CODES = table_of(SecondFactorRow)
_RECOVERY = table_of(RecoveryCodeRow)
_PASSKEY = table_of(PasskeyRow)
_PLACE = "second_factor.sealed_secret"
_RECOVERY_PLACE = "recovery_code"

_ISSUER = "Notes"  # a telephone lies on tables: it tells as little as a page's title
_STEP = 30  # seconds
_DIGITS = 6
_WINDOW = (-1, 0, 1)
_SECRET_BYTES = 20  # RFC 4226 §4: 160 bits
_HOW_MANY = 10
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing in it is taken for another when read aloud
_ALIKE = str.maketrans("OIL", "011")
_RECOVERY_LENGTH = 10  # characters of 5 bits


@dataclass(frozen=True)
class Factors:
    """What an account has to show."""

    telephone: bool
    passkeys: int
    recovery_codes: int

    @property
    def there(self) -> bool:
        """Whether it has a second factor at all. Recovery codes alone are none."""
        return self.telephone or self.passkeys > 0


@dataclass(frozen=True)
class Outcome:
    """How a try ended. Returned, not raised: a step that raises is undone, and with it the count of failures."""

    _token: str | None
    refusal: CordeeError | None = None

    @property
    def token(self) -> str:
        """The whole session's token. Raises WrongCode, WrongPassword, PasskeyRefused, SignInPaused."""
        if self.refusal is not None or self._token is None:
            raise self.refusal or NotSignedIn()
        return self._token

    def __repr__(self) -> str:
        return f"Outcome(refusal={self.refusal!r})"


def factors_of(tx: Connection, account_id: str) -> Factors:
    """What an account has."""

    def count(table: Any) -> int:
        return int(tx.execute(select(func.count()).where(table.c.account_id == account_id)).scalar_one())

    row = _codes_of(tx, account_id)
    return Factors(
        telephone=row is not None and row.confirmed, passkeys=count(_PASSKEY), recovery_codes=count(_RECOVERY)
    )


# ---- setting it up ----


def set_up(tx: Connection, vault: Vault, account_id: str, *, random: Callable[[int], bytes]) -> str:
    """The secret to put into a telephone. Until it is confirmed it stays the same, however often the page is loaded.

    Only for an account without confirmed codes: `reset` goes before. Raises NotSignedIn otherwise.
    """
    row = _codes_of(tx, account_id)
    if row is not None:
        if row.confirmed:
            raise NotSignedIn()
        return vault.unseal(row.sealed_secret, place=_PLACE, row=account_id).decode()
    secret = _new_secret(random)
    _keep(tx, vault, account_id, secret, confirmed=False)
    return secret


def confirm(tx: Connection, vault: Vault, account_id: str, code: str, *, now: datetime) -> bool:
    """Whether a code shows that the telephone has the secret; from then on it is asked for at each signing in."""
    row = _codes_of(tx, account_id)
    if row is None or row.confirmed or not _is_code(tx, vault, row, code, now=now):
        return False
    tx.execute(update(_CODES).where(_CODES.c.account_id == account_id).values(confirmed=True))
    journal.append(tx, now=now, actor=account_id, action="second_factor.confirmed", subject=account_id)
    return True


def draw_recovery_codes(
    tx: Connection, vault: Vault, account_id: str, *, now: datetime, random: Callable[[int], bytes]
) -> list[str]:
    """Ten new recovery codes, in the place of those that were left. They are shown now and never again."""
    tx.execute(delete(_RECOVERY).where(_RECOVERY.c.account_id == account_id))
    codes = [_new_recovery_code(random) for _ in range(_HOW_MANY)]
    rows = [{"code_index": _recovery_index(vault, account_id, each), "account_id": account_id} for each in codes]
    tx.execute(insert(_RECOVERY), rows)
    journal.append(tx, now=now, actor=account_id, action="recovery_codes.drawn", subject=account_id)
    return [f"{each[:5]}-{each[5:]}" for each in codes]


def reset(tx: Connection, account_id: str, *, now: datetime, by: str) -> None:
    """Forget an account's second factor, and end its sessions on the pages: it sets up another when it comes again."""
    for table in (_CODES, _RECOVERY, _PASSKEY):
        tx.execute(delete(table).where(table.c.account_id == account_id))
    on_pages = (_SESSION.c.account_id == account_id) & (_SESSION.c.stage != Stage.COMMAND.value)
    tx.execute(delete(_SESSION).where(on_pages))
    journal.append(tx, now=now, actor=by, action="second_factor.reset", subject=account_id)


def give(tx: Connection, vault: Vault, name: str, *, now: datetime, random: Callable[[int], bytes], by: str) -> str:
    """Give an account new codes in the place of what it had; the otpauth address for its telephone. Raises NotFound."""
    account_id = people.account_row(tx, vault, name).id
    account = people.account_named(tx, vault, account_id)
    reset(tx, account_id, now=now, by=by)
    secret = _new_secret(random)
    _keep(tx, vault, account_id, secret, confirmed=True)
    journal.append(tx, now=now, actor=by, action="second_factor.given", subject=account_id)
    return uri(secret, account.name)


def uri(secret: str, name: str) -> str:
    """What the QR code says (otpauth, as authenticator applications read it)."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


# ---- showing it ----


def answer(
    tx: Connection, vault: Vault, token: str, code: str, *, now: datetime, random: Callable[[int], bytes]
) -> Outcome:
    """The second step: a half or locked session becomes whole where the code is right. Raises NotSignedIn."""
    row = people.session_of(tx, vault, token, now=now, stages={Stage.HALF, Stage.LOCKED})
    until = people.paused_until(tx, row.name_index, now)
    if until is not None:
        return Outcome(None, people.paused(until))
    if not takes(tx, vault, row.id, code, now=now):
        return refused(tx, row, WrongCode(), now=now)
    action = "session.unlocked" if row.stage == Stage.LOCKED else "session.opened"
    return Outcome(people.promote(tx, vault, token, now=now, random=random, action=action))


def takes(tx: Connection, vault: Vault, account_id: str, code: str, *, now: datetime) -> bool:
    """Whether this is a code of the account; it is used up then."""
    typed = "".join(each for each in code.upper() if each.isalnum())
    kept = _codes_of(tx, account_id)
    if len(typed) == _DIGITS and kept is not None and kept.confirmed:
        return _is_code(tx, vault, kept, typed, now=now)
    index = _recovery_index(vault, account_id, typed.translate(_ALIKE))
    used = tx.execute(delete(_RECOVERY).where(_RECOVERY.c.code_index == index)).rowcount == 1
    if used:
        journal.append(tx, now=now, actor=account_id, action="recovery_code.used", subject=account_id)
    return used


def again(tx: Connection, vault: Vault, token: str, code: str, *, now: datetime) -> CordeeError | None:
    """Whether somebody who is in shows a code once more, before something that an open screen alone must not allow.

    The refusal is returned, and counted as at the door; None where the code is right. Raises NotSignedIn.
    """
    row = people.session_of(tx, vault, token, now=now, stages={Stage.FULL})
    until = people.paused_until(tx, row.name_index, now)
    if until is not None:
        return people.paused(until)
    if takes(tx, vault, row.id, code, now=now):
        return None
    people.count_failure(tx, row.name_index, row.id, now)
    return WrongCode()


def looks_like_a_code(typed: str) -> bool:
    """Whether it has a code's form: six digits, or a recovery code's two groups. No password is as short."""
    plain = typed.replace(" ", "").replace("-", "")
    return (len(plain) == _DIGITS and plain.isdecimal()) or (
        len(plain) == _RECOVERY_LENGTH and plain.isalnum() and typed.strip()[5:6] in ("-", " ")
    )


def to_unlock(tx: Connection, vault: Vault, token: str, *, now: datetime) -> str:
    """What is kept of the password of a locked session's account, for `Compared`. Raises NotSignedIn."""
    row = people.session_of(tx, vault, token, now=now, stages={Stage.LOCKED})
    return people.kept_password(vault, row)


def unlock(
    tx: Connection,
    vault: Vault,
    token: str,
    *,
    compared: Compared,
    now: datetime,
    random: Callable[[int], bytes],
) -> Outcome:
    """Open a locked session with its password, compared before this step. Raises NotSignedIn."""
    row = people.session_of(tx, vault, token, now=now, stages={Stage.LOCKED})
    until = people.paused_until(tx, row.name_index, now)
    if until is not None:
        return Outcome(None, people.paused(until))
    if not compared.right or compared.kept != to_unlock(tx, vault, token, now=now):
        return refused(tx, row, WrongPassword(), now=now)
    return Outcome(people.promote(tx, vault, token, now=now, random=random, action="session.unlocked"))


def refused(tx: Connection, row: Row[tuple[Any, ...]], refusal: CordeeError, *, now: datetime) -> Outcome:
    """Count a failure of a session's account."""
    people.count_failure(tx, row.name_index, row.id, now)
    return Outcome(None, refusal)


# ---- what is kept ----


def _codes_of(tx: Connection, account_id: str) -> Row[tuple[Any, ...]] | None:
    return tx.execute(select(_CODES).where(_CODES.c.account_id == account_id)).one_or_none()


def _keep(tx: Connection, vault: Vault, account_id: str, secret: str, *, confirmed: bool) -> None:
    sealed = vault.seal(secret.encode(), place=_PLACE, row=account_id)
    row = {"account_id": account_id, "confirmed": confirmed, "last_counter": 0, "sealed_secret": sealed}
    tx.execute(insert(_CODES), row)


def _is_code(tx: Connection, vault: Vault, row: Row[tuple[Any, ...]], code: str, *, now: datetime) -> bool:
    """Whether it is a code of about now that is newer than the last one; the counter moves on then."""
    typed = "".join(each for each in code if each.isalnum())
    made = pyotp.TOTP(vault.unseal(row.sealed_secret, place=_PLACE, row=row.account_id).decode())
    present = int(now.timestamp()) // _STEP
    right = None
    for each in (present + offset for offset in _WINDOW):  # all of them, whichever is right: no time tells
        if hmac.compare_digest(made.generate_otp(each).encode(), typed.encode()) and each > row.last_counter:
            right = each
    if right is None:
        return False
    tx.execute(update(_CODES).where(_CODES.c.account_id == row.account_id).values(last_counter=right))
    return True


def _new_secret(random: Callable[[int], bytes]) -> str:
    return base64.b32encode(random(_SECRET_BYTES)).decode("ascii")


def _new_recovery_code(random: Callable[[int], bytes]) -> str:
    return "".join(_ALPHABET[each & 31] for each in random(_RECOVERY_LENGTH))


def _recovery_index(vault: Vault, account_id: str, code: str) -> bytes:
    return vault.index(f"{account_id}:{code}".encode(errors="surrogatepass"), place=_RECOVERY_PLACE)
