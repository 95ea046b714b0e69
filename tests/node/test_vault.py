from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from cordee.drawn import DrawnSecret
from cordee.errors import AlreadyExists, CannotOpen, InvalidInput, NotFound, VaultLocked
from cordee.runtime.clock import ManualClock
from cordee.runtime.database import Database
from node.joining import initialise
from node.secrets import delete_secret, get_secret, put_secret
from node.vault import DataKey, Vault
from node.vault_file import MEMLIMIT, OPSLIMIT, VaultFile

from .conftest import holds


def test_a_vault_opens_with_its_passphrase_and_reads_what_it_sealed(vault: Vault, tmp_path: Path) -> None:
    sealed = vault.seal(b"identity seed", place="secret.sealed_value", row="identity")
    again = Vault.open(tmp_path / "vault.json", b"correct horse")
    assert again.unseal(sealed, place="secret.sealed_value", row="identity") == b"identity seed"
    assert again.index(b"x", place="p") == vault.index(b"x", place="p")


def test_a_secret_that_was_drawn_is_not_stretched_and_what_only_looks_like_one_is(tmp_path: Path) -> None:
    drawn = DrawnSecret(os.urandom)
    typed = bytes(drawn)  # the same bytes, as they come from a file or a keyboard
    for name, secret, limits in (("drawn", drawn, (1, 8192)), ("typed", typed, (OPSLIMIT, MEMLIMIT))):
        vault = Vault.create(tmp_path / name, secret)
        document = json.loads((tmp_path / name).read_text())
        assert (document["opslimit"], document["memlimit"]) == limits
        again = Vault.open(tmp_path / name, typed)
        assert again.index(b"x", place="p") == vault.index(b"x", place="p")


def test_a_real_nodes_vault_is_stretched_whatever_its_passphrase_looks_like(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    passphrase = os.urandom(32).hex().encode()
    initialise(tmp_path / "node", passphrase=passphrase, random=os.urandom, clock=clock)
    document = json.loads((tmp_path / "node" / "vault.json").read_text())
    assert (document["opslimit"], document["memlimit"]) == (OPSLIMIT, MEMLIMIT)


def test_a_passphrase_in_the_place_of_a_drawn_secret_is_stretched(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault.json", DrawnSecret(os.urandom))
    file = VaultFile.read(tmp_path / "vault.json").with_passphrase(bytes(32), b"correct horse", random=os.urandom)
    document = json.loads(file.to_bytes())
    assert (document["opslimit"], document["memlimit"]) == (OPSLIMIT, MEMLIMIT)


def test_another_passphrase_does_not_open_the_vault(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(VaultLocked):
        Vault.open(tmp_path / "vault.json", b"correct horsf")


def test_the_vaults_file_is_private_and_holds_its_parameters(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text())
    assert (document["opslimit"], document["memlimit"]) == (1, 8192)
    assert [each.name for each in tmp_path.iterdir()] == ["vault.json"]


@pytest.mark.parametrize("field", ["opslimit", "memlimit", "salt", "sealed_key"])
def test_an_altered_vault_file_does_not_open(vault: Vault, tmp_path: Path, field: str) -> None:
    path = tmp_path / "vault.json"
    document = json.loads(path.read_text())
    value = document[field]
    document[field] = value + 1 if isinstance(value, int) else ("A" if value[0] != "A" else "B") + value[1:]
    path.write_text(json.dumps(document))
    with pytest.raises(VaultLocked):
        Vault.open(path, b"correct horse")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "cordee vault 1", "salt": 3}', '{"format": "x"}', b"\xff\xfe"]
)
def test_a_file_that_is_no_vault_is_refused(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "vault.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CannotOpen):
        Vault.open(path, b"correct horse")


def test_a_number_beyond_all_bounds_is_no_vault(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"opslimit": float("inf")}))
    with pytest.raises(CannotOpen):
        Vault.open(path, b"correct horse")


def test_a_vault_file_that_asks_for_all_memory_is_refused(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"memlimit": 2**44}))
    with pytest.raises(CannotOpen):
        Vault.open(path, b"correct horse")


def test_a_vault_is_never_written_over(vault: Vault, tmp_path: Path) -> None:
    before = (tmp_path / "vault.json").read_bytes()
    with pytest.raises(AlreadyExists):
        Vault.create(tmp_path / "vault.json", b"another", opslimit=1, memlimit=8192)
    assert (tmp_path / "vault.json").read_bytes() == before


def test_a_missing_vault_and_an_empty_passphrase_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Vault.open(tmp_path / "none", b"x")
    with pytest.raises(InvalidInput):
        Vault.create(tmp_path / "vault.json", b"")


@pytest.mark.parametrize("sealer", ["vault", "data key"])
@pytest.mark.parametrize(("place", "row"), [("case.body", "2"), ("case.line", "1"), ("case.body1", "")])
def test_a_sealed_field_does_not_open_in_another_place_or_row(vault: Vault, sealer: str, place: str, row: str) -> None:
    key = vault if sealer == "vault" else DataKey(bytes(range(32)))
    sealed = key.seal(b"text", place="case.body", row="1")
    assert key.unseal(sealed, place="case.body", row="1") == b"text"
    with pytest.raises(CannotOpen):
        key.unseal(sealed, place=place, row=row)


def test_every_altered_or_missing_byte_of_a_sealed_field_is_noticed(vault: Vault) -> None:
    sealed = vault.seal(b"text", place="p", row="1")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        for broken in (bytes(altered), sealed[:position]):
            with pytest.raises(CannotOpen):
                vault.unseal(broken, place="p", row="1")


def test_vault_and_data_keys_do_not_open_each_others_fields(vault: Vault) -> None:
    key = DataKey(bytes(32))
    with pytest.raises(CannotOpen):
        vault.unseal(key.seal(b"t", place="p", row="1"), place="p", row="1")
    with pytest.raises(CannotOpen):
        DataKey(bytes(31) + b"\1").unseal(key.seal(b"t", place="p", row="1"), place="p", row="1")


def test_keys_do_not_show_themselves(vault: Vault) -> None:
    assert "AAAA" not in f"{DataKey(b'A' * 32)} {DataKey(b'A' * 32)!r} {vault!r}"
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(b"short")


async def test_a_secret_is_kept_sealed_replaced_and_deleted(db: Database, vault: Vault, tmp_path: Path) -> None:
    assert await db.read(lambda tx: get_secret(tx, vault, "identity")) is None
    await db.write(lambda tx: put_secret(tx, vault, "identity", b"MARKED-SEED-1"))
    await db.write(lambda tx: put_secret(tx, vault, "identity", b"MARKED-SEED-2"))
    assert await db.read(lambda tx: get_secret(tx, vault, "identity")) == b"MARKED-SEED-2"
    assert not holds(tmp_path, b"MARKED-SEED")
    await db.write(lambda tx: delete_secret(tx, "identity"))
    assert await db.read(lambda tx: get_secret(tx, vault, "identity")) is None


async def test_two_secrets_cannot_be_swapped(db: Database, vault: Vault) -> None:
    for name in ("first", "second"):
        await db.write(partial(put_secret, vault=vault, name=name, value=name.encode()))
    await db.write(
        lambda tx: tx.exec_driver_sql(
            "UPDATE secret SET sealed_value = (SELECT sealed_value FROM secret WHERE name = 'second') "
            "WHERE name = 'first'"
        ).close()
    )
    with pytest.raises(CannotOpen):
        await db.read(lambda tx: get_secret(tx, vault, "first"))
