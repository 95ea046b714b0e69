from __future__ import annotations

from pathlib import Path

import pytest

from node import joining, people
from node.store.migrations import node_database
from node.vault import Vault

from ..association import PASSWORD
from .conftest import Cordee


@pytest.fixture
def secrets(tmp_path: Path) -> tuple[str, str]:
    passphrase, password = tmp_path / "passphrase", tmp_path / "password"
    passphrase.write_text("a passphrase of the association\n")
    password.write_text(PASSWORD + "\n")
    return str(passphrase), str(password)


def _init(data_dir: Path, passphrase: str, password: str) -> tuple[str, ...]:
    place = ("--data-dir", str(data_dir), "--passphrase-file", passphrase)
    return ("node", "init", *place, "--administrator", "Adrien", "--password-file", password)


def _accounts(data_dir: Path) -> list[people.Account]:
    vault = Vault.open(data_dir / joining.VAULT, b"a passphrase of the association")
    with node_database(data_dir / joining.DATABASE) as db:
        return db.read_sync(lambda tx: people.list_accounts(tx, vault))


async def test_a_new_node_has_one_account_which_is_an_administrator(cordee: Cordee, tmp_path: Path, secrets):
    data_dir = tmp_path / "data"
    result = await cordee(*_init(data_dir, *secrets))
    assert result.code == 0, result.err
    assert len(result.json["member"]) == 32
    (account,) = _accounts(data_dir)
    assert (account.name, account.roles) == ("Adrien", {people.Role.ADMINISTRATOR})
    again = await cordee(*_init(data_dir, *secrets))
    assert (again.code, again.error["reason"]) == (6, "ALREADY_EXISTS")


async def test_a_weak_password_is_refused_before_anything_is_made(cordee: Cordee, tmp_path: Path, secrets):
    weak = tmp_path / "weak"
    weak.write_text("short")
    result = await cordee(*_init(tmp_path / "data", secrets[0], str(weak)))
    assert (result.code, result.error["facts"]["field"]) == (4, "password")
    assert not (tmp_path / "data").exists()


async def test_an_initialisation_that_was_cut_off_goes_on(cordee: Cordee, tmp_path: Path, secrets):
    data_dir = tmp_path / "data"
    first = await cordee(*_init(data_dir, *secrets))
    with node_database(data_dir / joining.DATABASE) as db:
        db.write_sync(lambda tx: tx.exec_driver_sql("DELETE FROM account"))
    second = await cordee(*_init(data_dir, *secrets))
    assert second.json == first.json
    assert len(_accounts(data_dir)) == 1


async def test_another_passphrase_does_not_open_a_node_that_is_there(cordee: Cordee, tmp_path: Path, secrets):
    await cordee(*_init(tmp_path / "data", *secrets))
    other = tmp_path / "other"
    other.write_text("another passphrase")
    result = await cordee(*_init(tmp_path / "data", str(other), secrets[1]))
    assert (result.code, result.error["reason"]) == (5, "VAULT_LOCKED")


async def test_serving_and_joining_name_what_is_missing(cordee: Cordee, tmp_path: Path, secrets):
    place = ("--data-dir", str(tmp_path / "data"), "--passphrase-file", secrets[0])
    assert (await cordee("node", "serve", *place)).code == 3
    await cordee(*_init(tmp_path / "data", *secrets))
    assert (await cordee("node", "serve", *place)).code == 3  # it has not joined
    missing = await cordee("node", "join", str(tmp_path / "invitation"), "--profile", str(tmp_path / "p"), *place)
    assert (missing.code, "invitation" in missing.err) == (4, True)


async def test_only_one_secret_comes_from_standard_input(cordee: Cordee, tmp_path: Path):
    result = await cordee(*_init(tmp_path / "data", "-", "-"), stdin="secret")
    assert result.code == 2
