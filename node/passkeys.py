"""Passkeys as a second factor (WebAuthn level 3): registered and shown on the pages, bound to the node's own host.

The person's own presence is always verified by the device (finger, face, PIN). A challenge belongs to one session and
is used once. The library is imported where it is needed: a node whose people use none does not load it.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from cordee.errors import N_, InvalidInput, NotFound, PasskeyRefused
from cordee.jsonform import parsed_json
from node import journal, people
from node.people import Stage
from node.second_factor import Outcome, refused
from node.store import table_of
from node.store.people import SessionRow
from node.store.second_factor import PasskeyRow
from node.vault import Vault

__all__ = ["Passkey", "Place", "answer", "ask", "load", "offer", "passkeys_of", "register", "remove"]

_SESSION = table_of(SessionRow)
_PASSKEY = table_of(PasskeyRow)
_PLACE = "passkey.sealed_passkey"
_CHALLENGE_BYTES = 32
_LONGEST_NAME = 60
_MANY = 10
_SITE = "Notes"


@dataclass(frozen=True)
class Place:
    """Where the browser is: the host that a passkey is bound to, and the whole origin."""

    host: str
    origin: str

    @property
    def can_have_passkeys(self) -> bool:
        """WebAuthn knows names, not addresses."""
        try:
            ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return True
        return False


@dataclass(frozen=True)
class Passkey:
    """A passkey as its owner sees it. `passkey_id` names it in forms."""

    passkey_id: str
    name: str
    added_at: datetime
    credential: bytes
    public_key: bytes
    count: int
    host: str


def load() -> None:
    """Import the library: outside a step, which would make everybody wait, and in a thread."""
    import webauthn  # noqa: F401  # only so that it is there


def passkeys_of(tx: Connection, vault: Vault, account_id: str) -> list[Passkey]:
    """An account's passkeys, the oldest first. Raises CannotOpen."""
    query = select(_PASSKEY).where(_PASSKEY.c.account_id == account_id).order_by(_PASSKEY.c.added_at)
    found = []
    for row in tx.execute(query):
        plain = json.loads(vault.unseal(row.sealed_passkey, place=_PLACE, row=row.credential_index))
        found.append(
            Passkey(
                passkey_id=row.credential_index.hex(),
                name=plain["name"],
                added_at=row.added_at,
                credential=base64.b64decode(plain["credential"]),
                public_key=base64.b64decode(plain["public_key"]),
                count=plain["count"],
                host=plain["host"],
            )
        )
    return found


def offer(
    tx: Connection, vault: Vault, token: str, place: Place, *, now: datetime, random: Callable[[int], bytes]
) -> str:
    """What the browser needs to make a passkey, as JSON. Raises NotSignedIn."""
    import webauthn
    from webauthn.helpers import structs

    row = people.session_of(tx, vault, token, now=now, stages={Stage.FULL})
    challenge = _challenge(tx, vault, token, random)
    name = people.account_named(tx, vault, row.id).name
    options = webauthn.generate_registration_options(
        rp_id=place.host,
        rp_name=_SITE,
        user_id=bytes.fromhex(row.id),
        user_name=name,
        challenge=challenge,
        exclude_credentials=[
            structs.PublicKeyCredentialDescriptor(id=each.credential) for each in passkeys_of(tx, vault, row.id)
        ],
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.DISCOURAGED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
    )
    return webauthn.options_to_json(options)


def register(
    tx: Connection, vault: Vault, token: str, place: Place, *, name: str, credential: str, now: datetime
) -> None:
    """Keep a passkey that the browser made. Raises NotSignedIn, PasskeyRefused; InvalidInput for the name."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    row = people.session_of(tx, vault, token, now=now, stages={Stage.FULL})
    shown = " ".join(name.split())
    if not shown or len(shown) > _LONGEST_NAME or not shown.isprintable():
        raise InvalidInput(
            field="name", problem=N_("it needs 1 to {maximum} printable characters"), maximum=_LONGEST_NAME
        )
    if len(passkeys_of(tx, vault, row.id)) >= _MANY:
        raise InvalidInput(field="name", problem=N_("there are {maximum} already"), maximum=_MANY)
    if row.challenge is None:
        raise PasskeyRefused()
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=row.challenge,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as wrong:
        raise PasskeyRefused() from wrong
    index = _index(vault, verified.credential_id)
    if tx.execute(select(_PASSKEY.c.account_id).where(_PASSKEY.c.credential_index == index)).one_or_none() is not None:
        raise PasskeyRefused()
    kept = {
        "name": shown,
        "credential": base64.b64encode(verified.credential_id).decode(),
        "public_key": base64.b64encode(verified.credential_public_key).decode(),
        "count": verified.sign_count,
        "host": place.host,
    }
    tx.execute(
        insert(_PASSKEY),
        {"credential_index": index, "account_id": row.id, "added_at": now, "sealed_passkey": _seal(vault, index, kept)},
    )
    _forget_challenge(tx, vault, token)
    journal.append(tx, now=now, actor=row.id, action="passkey.added", subject=row.id)


def remove(tx: Connection, vault: Vault, account_id: str, passkey_id: str, *, now: datetime) -> None:
    """Forget one of an account's passkeys. Raises NotFound."""
    known = {each.passkey_id for each in passkeys_of(tx, vault, account_id)}
    if passkey_id not in known:
        raise NotFound(what=N_("passkey"))
    tx.execute(delete(_PASSKEY).where(_PASSKEY.c.credential_index == bytes.fromhex(passkey_id)))
    journal.append(tx, now=now, actor=account_id, action="passkey.removed", subject=account_id)


def ask(
    tx: Connection, vault: Vault, token: str, place: Place, *, now: datetime, random: Callable[[int], bytes]
) -> str | None:
    """What the browser needs to show one of the account's passkeys; None where there is none for this host.

    Raises: NotSignedIn.
    """
    row = people.session_of(tx, vault, token, now=now, stages={Stage.HALF, Stage.LOCKED})
    mine = [each for each in passkeys_of(tx, vault, row.id) if each.host == place.host]
    if not mine or not place.can_have_passkeys:
        return None
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_authentication_options(
        rp_id=place.host,
        challenge=_challenge(tx, vault, token, random),
        allow_credentials=[structs.PublicKeyCredentialDescriptor(id=each.credential) for each in mine],
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def answer(
    tx: Connection,
    vault: Vault,
    token: str,
    place: Place,
    *,
    credential: str,
    now: datetime,
    random: Callable[[int], bytes],
) -> Outcome:
    """A half or locked session becomes whole where the passkey's signature verifies. Raises NotSignedIn."""
    row = people.session_of(tx, vault, token, now=now, stages={Stage.HALF, Stage.LOCKED})
    until = people.paused_until(tx, row.name_index, now)
    if until is not None:
        return Outcome(None, people.paused(until))
    shown = _credential_of(credential)
    mine = next(
        (each for each in passkeys_of(tx, vault, row.id) if each.credential == shown and each.host == place.host), None
    )
    count = None if mine is None or row.challenge is None else _verified(mine, place, credential, row.challenge)
    _forget_challenge(tx, vault, token)
    if mine is None or count is None:
        return refused(tx, row, PasskeyRefused(), now=now)
    _note_count(tx, vault, mine, count)
    action = "session.unlocked" if row.stage == Stage.LOCKED else "session.opened"
    return Outcome(people.promote(tx, vault, token, now=now, random=random, action=action))


def _verified(mine: Passkey, place: Place, credential: str, challenge: bytes) -> int | None:
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            credential_public_key=mine.public_key,
            credential_current_sign_count=mine.count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    return verified.new_sign_count


def _credential_of(credential: str) -> bytes:
    try:
        text = str(parsed_json(credential)["rawId"])
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, KeyError, TypeError):
        return b""


def _challenge(tx: Connection, vault: Vault, token: str, random: Callable[[int], bytes]) -> bytes:
    challenge = random(_CHALLENGE_BYTES)
    tx.execute(
        update(_SESSION).where(_SESSION.c.token_index == people.token_index(vault, token)).values(challenge=challenge)
    )
    return challenge


def _forget_challenge(tx: Connection, vault: Vault, token: str) -> None:
    tx.execute(
        update(_SESSION).where(_SESSION.c.token_index == people.token_index(vault, token)).values(challenge=None)
    )


def _note_count(tx: Connection, vault: Vault, mine: Passkey, count: int) -> None:
    index = bytes.fromhex(mine.passkey_id)
    kept: dict[str, Any] = {
        "name": mine.name,
        "credential": base64.b64encode(mine.credential).decode(),
        "public_key": base64.b64encode(mine.public_key).decode(),
        "count": count,
        "host": mine.host,
    }
    tx.execute(
        update(_PASSKEY).where(_PASSKEY.c.credential_index == index).values(sealed_passkey=_seal(vault, index, kept))
    )


def _seal(vault: Vault, index: bytes, kept: dict[str, Any]) -> bytes:
    return vault.seal(json.dumps(kept).encode(), place=_PLACE, row=index)


def _index(vault: Vault, credential: bytes) -> bytes:
    return vault.index(credential, place="passkey.credential")
