from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyotp
import pytest

from cordee.errors import NotSignedIn, SecondFactorNeeded, SessionLocked, SignInPaused, WrongCode, WrongPassword
from cordee.runtime.database import Database
from node import journal, people, second_factor
from node.people import Compared, Role, Stage
from node.store.migrations import node_database
from node.vault import Vault

from .conftest import NOW, holds

PASSWORD = "mot de passe très long"
Chance = Callable[[int], bytes]


class Person:
    """Somebody who signs in on the pages."""

    def __init__(self, db: Database, vault: Vault, chance: Chance) -> None:
        self.db, self.vault, self.chance = db, vault, chance
        self.account_id = ""
        self.codes: pyotp.TOTP | None = None

    async def begin(self, now: datetime = NOW) -> str:
        step = lambda tx: people.sign_in(  # noqa: E731
            tx, self.vault, "Claire", PASSWORD, now=now, random=self.chance, stage=Stage.HALF
        )
        return (await self.db.write(step)).token

    async def answer(self, token: str, code: str, now: datetime = NOW) -> str:
        step = lambda tx: second_factor.answer(tx, self.vault, token, code, now=now, random=self.chance)  # noqa: E731
        return (await self.db.write(step)).token

    async def come_in(self, now: datetime = NOW) -> str:
        return await self.answer(await self.begin(now), self.code(now), now)

    def code(self, now: datetime = NOW) -> str:
        assert self.codes is not None
        return self.codes.at(now)

    async def draw(self) -> list[str]:
        return await self.db.write(
            lambda tx: second_factor.draw_recovery_codes(tx, self.vault, self.account_id, now=NOW, random=self.chance)
        )


@pytest.fixture
async def claire(db: Database, vault: Vault, chance: Chance) -> Person:
    person = Person(db, vault, chance)
    account = await db.write(
        lambda tx: people.add_account(tx, vault, "Claire", PASSWORD, {Role.HANDLER}, True, NOW, chance)
    )
    person.account_id = account.account_id
    uri = await db.write(lambda tx: second_factor.give(tx, vault, "Claire", now=NOW, random=chance, by="node"))
    codes = pyotp.parse_uri(uri)
    assert isinstance(codes, pyotp.TOTP)
    person.codes = codes
    return person


def _who(db: Database, vault: Vault, token: str, now: datetime = NOW) -> str:
    return db.look(lambda tx: people.look_up(tx, vault, token, now=now, stage=Stage.FULL))[0].name


async def test_a_password_alone_opens_nothing_and_the_code_makes_another_token(
    db: Database, vault: Vault, claire: Person
) -> None:
    half = await claire.begin()
    with pytest.raises(SecondFactorNeeded):
        _who(db, vault, half)
    with pytest.raises(NotSignedIn):
        db.look(lambda tx: people.look_up(tx, vault, half, now=NOW))  # nor does it on the command line
    whole = await claire.answer(half, claire.code())
    assert _who(db, vault, whole) == "Claire"
    with pytest.raises(NotSignedIn):
        _who(db, vault, half)


async def test_a_session_of_the_command_line_is_none_of_the_pages(
    db: Database, vault: Vault, chance: Chance, claire: Person
) -> None:
    token = (await db.write(lambda tx: people.sign_in(tx, vault, "Claire", PASSWORD, now=NOW, random=chance))).token
    with pytest.raises(NotSignedIn) as refused:
        _who(db, vault, token)
    assert type(refused.value) is NotSignedIn


async def test_a_code_works_once_and_none_before_it_works_after(claire: Person) -> None:
    await claire.come_in()
    for code in (claire.code(), claire.code(NOW - timedelta(seconds=30))):
        with pytest.raises(WrongCode):
            await claire.answer(await claire.begin(), code)
    await claire.answer(await claire.begin(), claire.code(NOW + timedelta(seconds=30)))


@pytest.mark.parametrize("away", [-60, 60])
async def test_a_code_is_taken_half_a_minute_early_or_late_and_no_more(claire: Person, away: int) -> None:
    with pytest.raises(WrongCode):
        await claire.answer(await claire.begin(), claire.code(NOW + timedelta(seconds=away)))
    await claire.answer(await claire.begin(), claire.code(NOW + timedelta(seconds=away / 2)))


async def test_each_recovery_code_works_once_however_it_is_typed(claire: Person) -> None:
    first, second, *_ = await claire.draw()
    await claire.answer(await claire.begin(), first)
    with pytest.raises(WrongCode):
        await claire.answer(await claire.begin(), first)
    await claire.answer(await claire.begin(), f" {second.lower().replace('-', ' ').replace('0', 'o')} ")


async def test_new_recovery_codes_replace_the_old_ones(db: Database, claire: Person) -> None:
    old = await claire.draw()
    await claire.draw()
    with pytest.raises(WrongCode):
        await claire.answer(await claire.begin(), old[0])
    factors = await db.read(lambda tx: second_factor.factors_of(tx, claire.account_id))
    assert (factors.telephone, factors.recovery_codes) == (True, 10)


async def test_ten_wrong_codes_pause_the_name_although_the_password_was_right_each_time(claire: Person) -> None:
    for _ in range(10):
        with pytest.raises(WrongCode):
            await claire.answer(await claire.begin(), "000000")
    with pytest.raises(SignInPaused):
        await claire.begin()


async def test_a_pause_holds_for_half_sessions_that_are_open_too(claire: Person) -> None:
    waiting = await claire.begin()
    for _ in range(10):
        with pytest.raises(WrongCode):
            await claire.answer(waiting, "000000")
    with pytest.raises(SignInPaused):
        await claire.answer(waiting, claire.code())


async def test_a_half_session_ends_after_a_quarter_of_an_hour(claire: Person) -> None:
    half = await claire.begin()
    later = NOW + timedelta(minutes=15)
    with pytest.raises(NotSignedIn):
        await claire.answer(half, claire.code(later), later)


async def test_a_locked_session_opens_with_a_code_or_the_password_and_keeps_its_age(
    db: Database, vault: Vault, chance: Chance, claire: Person
) -> None:
    token = await claire.come_in()
    await db.write(lambda tx: people.lock(tx, vault, token, now=NOW))
    with pytest.raises(SessionLocked):
        _who(db, vault, token)
    later = NOW + timedelta(minutes=10)
    opened = await claire.answer(token, claire.code(later), later)
    await db.write(lambda tx: people.lock(tx, vault, opened, now=later))
    kept = await db.read(lambda tx: second_factor.to_unlock(tx, vault, opened, now=later))

    async def unlock(password: str) -> str:
        compared = Compared.of(kept, password)
        step = lambda tx: second_factor.unlock(  # noqa: E731
            tx, vault, opened, compared=compared, now=later, random=chance
        )
        return (await db.write(step)).token

    with pytest.raises(WrongPassword):
        await unlock("wrong password")
    again = await unlock(PASSWORD)
    assert _who(db, vault, again, later) == "Claire"
    row = db.look(lambda tx: people.session_of(tx, vault, again, now=later, stages={Stage.FULL}))
    assert row.opened_at == NOW


async def test_a_second_factor_is_confirmed_by_a_code_before_it_counts(
    db: Database, vault: Vault, chance: Chance, claire: Person
) -> None:
    await db.write(lambda tx: second_factor.reset(tx, claire.account_id, now=NOW, by="node"))
    make = lambda tx: second_factor.set_up(tx, vault, claire.account_id, random=chance)  # noqa: E731
    secret = await db.write(make)
    assert await db.write(make) == secret  # loading the page again changes nothing
    assert not (await db.read(lambda tx: second_factor.factors_of(tx, claire.account_id))).there
    for code, right in (("000000", False), (pyotp.TOTP(secret).at(NOW), True)):
        confirm = lambda tx, code=code: second_factor.confirm(tx, vault, claire.account_id, code, now=NOW)  # noqa: E731
        assert await db.write(confirm) is right
    assert (await db.read(lambda tx: second_factor.factors_of(tx, claire.account_id))).there
    with pytest.raises(NotSignedIn):  # and is not shown again
        await db.write(make)


async def test_resetting_it_ends_the_sessions_on_the_pages_and_leaves_those_of_the_command_line(
    db: Database, vault: Vault, chance: Chance, claire: Person
) -> None:
    command = (await db.write(lambda tx: people.sign_in(tx, vault, "Claire", PASSWORD, now=NOW, random=chance))).token
    whole = await claire.come_in()
    await db.write(lambda tx: second_factor.reset(tx, claire.account_id, now=NOW, by="node"))
    with pytest.raises(NotSignedIn):
        _who(db, vault, whole)
    assert db.look(lambda tx: people.look_up(tx, vault, command, now=NOW))[0].name == "Claire"


async def test_neither_secret_nor_recovery_codes_stand_in_clear(claire: Person, tmp_path: Path) -> None:
    codes = await claire.draw()
    assert claire.codes is not None
    marks = [claire.codes.secret, *codes, *(each.replace("-", "") for each in codes)]
    assert not holds(tmp_path, *(each.encode() for each in marks))


async def test_signing_in_and_recovery_codes_are_journalled(db: Database, claire: Person) -> None:
    codes = await claire.draw()
    await claire.answer(await claire.begin(), codes[0])
    actions = [each.action for each in await db.read(journal.entries)]
    assert actions[-3:] == ["recovery_codes.drawn", "recovery_code.used", "session.opened"]


def test_an_older_database_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with node_database(path):
        pass
    old = sqlite3.connect(path)
    for table in (
        "second_factor",
        "recovery_code",
        "passkey",
        "case_opening",
        "draft",
        "case_team",
        "team_member",
        "team",
        "agenda",
        "notice",
        "evidence_view",
    ):
        old.execute(f"DROP TABLE {table}")
    old.execute("ALTER TABLE withdrawn_by RENAME TO withdrawn")
    for column in ("stage", "challenge"):
        old.execute(f"ALTER TABLE session DROP COLUMN {column}")
    for index in ("ix_case_record_change", "transfer_by_time", "transfer_open", "transfer_to_erase"):
        old.execute(f"DROP INDEX {index}")
    old.execute("ALTER TABLE case_record DROP COLUMN change")
    old.execute("UPDATE schema_version SET version = 1")
    old.commit()
    old.close()
    fresh = tmp_path / "new.db"
    with node_database(path), node_database(fresh):
        pass
    assert _shape(path) == _shape(fresh)


def _shape(path: Path) -> dict[str, set[tuple[str, str, int]]]:
    """Each table's columns: name, type, whether it must be filled."""
    with sqlite3.connect(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {row[1:4] for row in db.execute(f"PRAGMA table_info({name})")} for name in tables}
