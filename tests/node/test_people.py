from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import nacl.pwhash
import pytest

from cordee.errors import (
    AccountExists,
    CannotOpen,
    InvalidInput,
    LastAdministrator,
    NotFound,
    NotSignedIn,
    RoleMissing,
    SignInPaused,
    WrongPassword,
)
from cordee.runtime.database import Database
from node import journal, passwords, people
from node.people import Role
from node.vault import Vault

from .conftest import NOW, holds

PASSWORD = "mot de passe très long"
Chance = Callable[[int], bytes]


@pytest.fixture
def passwords_cost_nothing() -> None:
    """Here they cost what they do to people."""


@pytest.fixture
async def claire(db: Database, vault: Vault, chance: Chance) -> people.Account:
    return await _add(db, vault, chance, "Claire Marquée", {Role.HANDLER})


async def _add(db: Database, vault: Vault, chance: Chance, name: str, roles: set[Role]) -> people.Account:
    return await db.write(
        lambda tx: people.add_account(
            tx, vault, name=name, password=PASSWORD, roles=roles, bound_by_secrecy=True, now=NOW, random=chance
        )
    )


async def _sign_in(
    db: Database, vault: Vault, chance: Chance, name: str, password: str = PASSWORD, now: datetime = NOW
) -> str:
    answer = await db.write(lambda tx: people.sign_in(tx, vault, name, password, now=now, random=chance))
    return answer.token


async def _who(db: Database, vault: Vault, token: str, now: datetime) -> people.Handler:
    return await db.write(lambda tx: people.who(tx, vault, token, now=now))


async def test_a_handler_signs_in_and_is_known_by_the_token(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    token = await _sign_in(db, vault, chance, "claire  MARQUÉE")
    handler = await _who(db, vault, token, NOW)
    assert (handler.account_id, handler.name, handler.bound_by_secrecy) == (claire.account_id, "Claire Marquée", True)
    handler.require(Role.HANDLER)
    with pytest.raises(RoleMissing):
        handler.require(Role.LEAD)


async def test_a_session_ends_when_it_is_idle_or_old(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    token = await _sign_in(db, vault, chance, claire.name)
    now = NOW
    while now < NOW + timedelta(hours=12):
        await _who(db, vault, token, now)
        now += timedelta(minutes=29)
    await _who(db, vault, token, NOW + timedelta(hours=12) - timedelta(seconds=1))
    with pytest.raises(NotSignedIn):
        await _who(db, vault, token, NOW + timedelta(hours=12))

    idle = await _sign_in(db, vault, chance, claire.name)
    await _who(db, vault, idle, NOW + timedelta(minutes=29, seconds=59))
    with pytest.raises(NotSignedIn):
        await _who(db, vault, idle, NOW + timedelta(minutes=60))


async def test_a_session_ends_when_it_is_closed_or_its_account_disabled_or_its_password_changed(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    tokens = [await _sign_in(db, vault, chance, claire.name) for _ in range(2)]
    await db.write(lambda tx: people.sign_out(tx, vault, tokens[0], now=NOW))
    with pytest.raises(NotSignedIn):
        await _who(db, vault, tokens[0], NOW)
    await db.write(lambda tx: people.set_password(tx, vault, claire.name, "un autre mot de passe", now=NOW))
    with pytest.raises(NotSignedIn):
        await _who(db, vault, tokens[1], NOW)
    with pytest.raises(WrongPassword):
        await _sign_in(db, vault, chance, claire.name)
    token = await _sign_in(db, vault, chance, claire.name, "un autre mot de passe")
    await db.write(lambda tx: people.disable_account(tx, vault, claire.name, now=NOW))
    with pytest.raises(NotSignedIn):
        await _who(db, vault, token, NOW)
    with pytest.raises(WrongPassword):
        await _sign_in(db, vault, chance, claire.name, "un autre mot de passe")


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é" * 43])
async def test_a_token_that_was_never_given_is_refused(
    db: Database, vault: Vault, claire: people.Account, token: str
) -> None:
    with pytest.raises(NotSignedIn):
        await _who(db, vault, token, NOW)


@pytest.mark.parametrize("name", ["Claire Marquée", "nobody"])
async def test_ten_wrong_passwords_pause_a_name_for_a_quarter_of_an_hour_known_or_not(
    db: Database, vault: Vault, chance: Chance, claire: people.Account, name: str
) -> None:
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await _sign_in(db, vault, chance, name, "wrong password")
    with pytest.raises(SignInPaused):
        await _sign_in(db, vault, chance, name)
    almost = NOW + timedelta(minutes=14, seconds=59)
    with pytest.raises(SignInPaused):
        await _sign_in(db, vault, chance, name.upper(), now=almost)
    over = NOW + timedelta(minutes=15)
    if name == claire.name:
        assert await _sign_in(db, vault, chance, name, now=over)
    else:
        with pytest.raises(WrongPassword):
            await _sign_in(db, vault, chance, name, now=over)


async def test_what_was_compared_before_the_step_holds_only_while_the_password_is_the_same(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    async def compared(password: str) -> people.Compared:
        found = await db.read(lambda tx: people.to_compare(tx, vault, claire.name, now=NOW))
        assert found is not None
        return people.Compared.of(found[0], password)

    async def enter(password: str, before: people.Compared) -> str:
        answer = await db.write(
            lambda tx: people.sign_in(tx, vault, claire.name, password, now=NOW, random=chance, compared=before)
        )
        return answer.token

    right = await compared(PASSWORD)
    assert await enter(PASSWORD, right)
    with pytest.raises(WrongPassword):
        await enter("wrong password", await compared("wrong password"))
    await db.write(lambda tx: people.set_password(tx, vault, claire.name, "un autre mot de passe", now=NOW))
    with pytest.raises(WrongPassword):
        await enter(PASSWORD, right)


async def test_who_shows_their_password_again_is_believed_while_the_session_and_the_name_are_in_order(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    """What is compared takes long: meanwhile the name may pause, or an administrator end it all."""
    full = people.Stage.FULL
    opened = await db.write(
        lambda tx: people.sign_in(tx, vault, claire.name, PASSWORD, now=NOW, random=chance, stage=full)
    )
    found = await db.read(lambda tx: people.to_compare(tx, vault, claire.name, now=NOW))
    assert found is not None
    right, wrong = (people.Compared(found[0], right=each) for each in (True, False))

    async def shows(compared: people.Compared) -> Exception | None:
        return await db.write(lambda tx: people.password_again(tx, vault, opened.token, compared=compared, now=NOW))

    assert await shows(right) is None
    assert isinstance(await shows(people.Compared("of another password", right=True)), WrongPassword)
    for _ in range(9):
        assert isinstance(await shows(wrong), WrongPassword)
    assert isinstance(await shows(right), SignInPaused)
    await db.write(lambda tx: people.set_password(tx, vault, claire.name, "given by an administrator", now=NOW))
    with pytest.raises(NotSignedIn):
        await shows(right)


async def test_who_compared_before_the_name_paused_is_not_let_in_after(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    found = await db.read(lambda tx: people.to_compare(tx, vault, claire.name, now=NOW))
    assert found is not None
    right, wrong = people.Compared.of(found[0], PASSWORD), people.Compared.of(found[0], "wrong password")
    for _ in range(10):
        answer = await db.write(
            lambda tx: people.sign_in(tx, vault, claire.name, "wrong password", now=NOW, random=chance, compared=wrong)
        )
        with pytest.raises(WrongPassword):
            _ = answer.token
    late = await db.write(
        lambda tx: people.sign_in(tx, vault, claire.name, PASSWORD, now=NOW, random=chance, compared=right)
    )
    with pytest.raises(SignInPaused):
        _ = late.token
    assert await db.read(lambda tx: people.to_compare(tx, vault, claire.name, now=NOW)) is None


async def test_the_right_password_forgets_the_wrong_ones(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    for _ in range(2):
        for _ in range(9):
            with pytest.raises(WrongPassword):
                await _sign_in(db, vault, chance, claire.name, "wrong password")
        await _sign_in(db, vault, chance, claire.name)


async def test_an_unknown_name_takes_the_same_work_as_a_wrong_password(
    db: Database, vault: Vault, chance: Chance, claire: people.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    real = nacl.pwhash.argon2id.verify

    def counting(kept: bytes, password: bytes) -> bool:
        verified.append(kept.decode().rsplit("$", 2)[0])
        return real(kept, password)

    monkeypatch.setattr(nacl.pwhash.argon2id, "verify", counting)
    for _ in range(5):
        for name in (claire.name, "nobody"):
            with pytest.raises(WrongPassword):
                await _sign_in(db, vault, chance, name, "wrong password")
    # The same number of comparisons with the same parameters: no stopwatch tells the two apart.
    assert verified == ["$argon2id$v=19$m=19456,t=4,p=1"] * 10


async def test_names_passwords_and_tokens_stand_nowhere_in_clear(
    db: Database, vault: Vault, chance: Chance, claire: people.Account, tmp_path: Path
) -> None:
    token = await _sign_in(db, vault, chance, claire.name)
    marks = [
        PASSWORD.encode(),
        token.encode(),
        b"argon2id$",
        *(claire.name.encode(form) for form in ("utf-8", "utf-16-le")),
    ]
    assert not holds(tmp_path, *marks, b"Marqu")
    assert token not in repr(await db.write(lambda tx: people.sign_in(tx, vault, "x", "y", now=NOW, random=chance)))


async def test_a_role_cannot_be_given_by_copying_a_row_of_another_account(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    chief = await _add(db, vault, chance, "Chief", {Role.ADMINISTRATOR})
    token = await _sign_in(db, vault, chance, claire.name)
    await db.write(
        lambda tx: tx.exec_driver_sql(
            "UPDATE account SET sealed_profile = (SELECT sealed_profile FROM account WHERE id = ?) WHERE id = ?",
            (chief.account_id, claire.account_id),
        ).close()
    )
    with pytest.raises(CannotOpen):
        await _who(db, vault, token, NOW)


async def test_a_name_is_taken_once_however_it_is_written(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    with pytest.raises(AccountExists):
        await _add(db, vault, chance, " CLAIRE  MARQUE\u0301E ", {Role.LEAD})
    assert [each.name for each in await db.read(lambda tx: people.list_accounts(tx, vault))] == ["Claire Marquée"]


@pytest.mark.parametrize(
    ("name", "password", "roles"),
    [
        ("", PASSWORD, {Role.LEAD}),
        ("a\x00b", PASSWORD, {Role.LEAD}),
        ("x" * 101, PASSWORD, {Role.LEAD}),
        ("ok", "short", {Role.LEAD}),
        ("ok", "x" * 1025, {Role.LEAD}),
        ("ok", PASSWORD, set[Role]()),
    ],
)
async def test_an_account_that_will_not_do_is_refused(
    db: Database, vault: Vault, chance: Chance, name: str, password: str, roles: set[Role]
) -> None:
    with pytest.raises(InvalidInput):
        await db.write(lambda tx: people.add_account(tx, vault, name, password, roles, False, NOW, chance))


async def test_the_last_administrator_stays(db: Database, vault: Vault, chance: Chance) -> None:
    for name in ("first", "second"):
        await _add(db, vault, chance, name, {Role.ADMINISTRATOR})
    await db.write(lambda tx: people.disable_account(tx, vault, "first", now=NOW))
    with pytest.raises(LastAdministrator):
        await db.write(lambda tx: people.disable_account(tx, vault, "second", now=NOW))
    with pytest.raises(NotFound):
        await db.write(lambda tx: people.disable_account(tx, vault, "third", now=NOW))


async def test_accounts_and_sessions_are_journalled_by_id(
    db: Database, vault: Vault, chance: Chance, claire: people.Account
) -> None:
    await _sign_in(db, vault, chance, claire.name)
    for name in (claire.name, "nobody"):
        with pytest.raises(WrongPassword):
            await _sign_in(db, vault, chance, name, "wrong password")
    lines = await db.read(journal.entries)
    assert [each.action for each in lines] == ["account.added", "session.opened", "session.refused"]
    assert {each.subject for each in lines} == {claire.account_id}


def test_a_password_is_the_same_however_its_accents_are_composed() -> None:
    kept = passwords.hash_password("tre\u0300s long mot de passe")
    assert passwords.is_password(kept, "très long mot de passe")
    assert not passwords.is_password(None, "très long mot de passe")
