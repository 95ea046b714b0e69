"""A backup holds what must be in one and nothing else, is whole or refused, and comes back on a fresh machine."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from cordee.case import case_of
from cordee.errors import AlreadyExists, BackupDamaged, DatabaseDamaged, DatabaseTooNew, NotFound, VaultLocked
from cordee.runtime.clock import ManualClock
from cordee.runtime.command import main
from cordee.runtime.tls import TransportKey
from node import backup, journal, people, records
from node.attachments import AttachmentStore, StoredAttachment
from node.backup import make_backup, read_head
from node.cli.files import private_file
from node.inflight import InFlight
from node.people import Role
from node.restoring import Restored, opened_by_passphrase, restore
from node.secrets import put_secret
from node.store.migrations import MIGRATIONS, node_database
from node.tombstones import CASE, Tombstones
from node.vault import Vault
from node.vault_file import VaultFile

from .association import case_body
from .conftest import NOW, everything

Chance = Callable[[int], bytes]
PASSPHRASE = b"une phrase de passe de test"
LATER = NOW + timedelta(hours=1)
FILE = "0b0e5f3c-6d53-4f6e-9d0e-6f6f0e7b1c11"
CASE_ID = case_body()["meta"]["case_id"]


@pytest.fixture
def house(tmp_path: Path, chance: Chance) -> Path:
    """A node's folder: a case with a file, an account, an open session, a key of the day, a file under way."""
    folder = tmp_path / "node"
    folder.mkdir()
    sealed = VaultFile.seal(bytes(range(32)), PASSPHRASE, random=chance, opslimit=1, memlimit=8192)
    (folder / "vault.json").write_bytes(sealed.to_bytes())
    vault = Vault.open(folder / "vault.json", PASSPHRASE)
    with node_database(folder / "node.db") as db:
        for name, value in (
            ("identity", chance(64)),
            ("sealing.1", chance(32)),
            ("transport", TransportKey.generate().pem),
        ):
            db.write_sync(lambda tx, name=name, value=value: put_secret(tx, vault, name, value))
        db.write_sync(lambda tx: records.create_case(tx, vault, case_of(case_body()), by="a", now=NOW, random=chance))
        db.write_sync(
            lambda tx: people.add_account(
                tx, vault, "Hélène", "mot de passe très long", {Role.HANDLER}, True, NOW, chance
            )
        )
        db.write_sync(
            lambda tx: tx.exec_driver_sql(
                "INSERT INTO session (token_index, account_id, opened_at, seen_at, stage) "
                "SELECT x'4d41524b45442d53455353494f4e', id, created_at, created_at, 'full' FROM account"
            ).close()
        )
        attach(folder, vault, b"MARKED-FILE" * 1000)
    (folder / "membership.json").write_text("{}")
    (folder / "certificate.der").write_bytes(b"CERTIFICATE")
    (folder / "spool").mkdir()
    (folder / "spool" / "ab.out").write_bytes(b"MARKED-SPOOL" * 100)
    InFlight(folder / "inflight", clock=ManualClock(NOW), random=chance).seal(b"x", place="p", row="r")
    Tombstones(folder / "tombstones").close()
    return folder


def attach(folder: Path, vault: Vault, data: bytes) -> str:
    with node_database(folder / "node.db") as db:
        key = db.read_sync(lambda tx: records.data_key_of(tx, vault, CASE_ID))
        written = AttachmentStore(folder / "attachments", random=os.urandom).write(key, FILE, [data])
        given = StoredAttachment(
            FILE,
            written.file_id,
            "f.pdf",
            "application/pdf",
            "report",
            "risk",
            written.size,
            written.sha256,
            False,
            False,
        )
        db.write_sync(lambda tx: records.add_attachment(tx, vault, CASE_ID, given, by="a", now=NOW))
    return written.file_id


def saved(house: Path, chance: Chance) -> bytes:
    target = io.BytesIO()
    make_backup(house, Vault.open(house / "vault.json", PASSPHRASE), target, now=LATER, random=chance)
    return target.getvalue()


def brought_back(data: bytes, folder: Path, chance: Chance, **options: object) -> Restored:
    given = {"opener": opened_by_passphrase(PASSPHRASE), "passphrase": None, "now": LATER, "random": chance} | options
    return restore(io.BytesIO(data), folder, **given)  # type: ignore[arg-type]


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "node.db")) as connection:
        return connection.execute(query).fetchall()


def test_every_case_file_and_account_comes_back_on_a_fresh_machine(house: Path, tmp_path: Path, chance: Chance) -> None:
    there = tmp_path / "elsewhere" / "node"
    there.parent.mkdir()
    told = brought_back(saved(house, chance), there, chance)
    assert (told.cases, told.accounts, told.attachments, told.missing, told.erased_again) == (1, 1, 1, 0, 0)
    vault = Vault.open(there / "vault.json", PASSPHRASE)
    with node_database(there / "node.db") as db:
        case = db.read_sync(lambda tx: records.read_case(tx, vault, CASE_ID))
        names = [each.name for each in db.read_sync(lambda tx: people.list_accounts(tx, vault))]
    assert case.case.section("identity") == case_body()["identity"]
    read = AttachmentStore(there / "attachments", random=chance).read(case.data_key, case.attachments[0])
    assert b"".join(read) == b"MARKED-FILE" * 1000
    assert names == ["Hélène"]
    assert (there / "certificate.der").read_bytes() == b"CERTIFICATE"


def test_nothing_of_what_was_under_way_is_in_a_backup(house: Path, tmp_path: Path, chance: Chance) -> None:
    brought_back(saved(house, chance), tmp_path / "there", chance)
    key_of_the_day = next((house / "inflight").iterdir()).read_bytes()
    found = everything(tmp_path / "there")
    assert key_of_the_day not in found
    assert b"MARKED-SPOOL" not in found
    assert b"MARKED-SESSION" not in found
    assert not (tmp_path / "there" / "inflight").exists()
    assert rows(tmp_path / "there", "SELECT * FROM session") == []


def test_neither_sessions_nor_keys_of_what_was_under_way_are_written_into_a_backup(
    house: Path, tmp_path: Path, chance: Chance
) -> None:
    under_way = (
        "INSERT INTO transfer (id, outgoing, peer, state, token_id, opened_at, updated_at, expires_at, hands_over,"
        " sealed_terms, sealed_content_key, sealed_one_time_seed, job, total_bytes) VALUES"
        " (x'aa', 1, x'bb', 'accepted', x'cc', :now, :now, :now, 1, x'dd', x'4b4559', x'53454544', 'ship', 0)"
    )
    with closing(sqlite3.connect(house / "node.db")) as connection:
        connection.execute(under_way, {"now": NOW.isoformat()})
        connection.commit()
    source = io.BytesIO(saved(house, chance))
    head = read_head(source)
    written = tmp_path / "written"
    written.mkdir()
    backup.extract(source, head, Vault.open(house / "vault.json", PASSPHRASE), written)
    assert rows(written, "SELECT count(*) FROM session") == [(0,)]
    kept = "SELECT state, sealed_content_key, sealed_one_time_seed, job FROM transfer"
    assert rows(written, kept) == [("accepted", None, None, None)]
    assert rows(house, "SELECT job FROM transfer") == [("ship",)], "the node itself goes on"


def test_a_backup_shows_nothing_in_clear_and_leaves_no_copy_behind(house: Path, chance: Chance) -> None:
    before = {path.name for path in house.rglob("*")}
    data = saved(house, chance)
    for mark in (b"SQLite format", CASE_ID.encode(), b"CERTIFICATE", b"attachments/"):
        assert mark not in data
    assert {path.name for path in house.rglob("*")} - before == {".backup.lock"}


@pytest.mark.parametrize("cut", [0, 10, 30, 2000, -1, -20_000])
def test_a_backup_that_is_cut_off_restores_nothing(house: Path, tmp_path: Path, chance: Chance, cut: int) -> None:
    data = saved(house, chance)
    with pytest.raises(BackupDamaged):
        brought_back(data[:cut], tmp_path / "there", chance)
    assert [each.name for each in tmp_path.iterdir()] == ["node"]


@pytest.mark.parametrize("place", [3, 18, 60, 0.3, 0.6, 0.999])
def test_a_backup_with_a_changed_byte_restores_nothing(
    house: Path, tmp_path: Path, chance: Chance, place: float
) -> None:
    data = bytearray(saved(house, chance))
    data[place if isinstance(place, int) else int(len(data) * place)] ^= 1
    with pytest.raises((BackupDamaged, VaultLocked)):
        brought_back(bytes(data), tmp_path / "there", chance)
    assert [each.name for each in tmp_path.iterdir()] == ["node"]


def test_more_behind_the_end_of_a_backup_is_refused(house: Path, tmp_path: Path, chance: Chance) -> None:
    with pytest.raises(BackupDamaged):
        brought_back(saved(house, chance) + b"\0", tmp_path / "there", chance)


def test_another_passphrase_opens_no_backup(house: Path, tmp_path: Path, chance: Chance) -> None:
    with pytest.raises(VaultLocked):
        brought_back(saved(house, chance), tmp_path / "there", chance, opener=opened_by_passphrase(b"another"))


def test_a_node_that_is_there_is_never_written_over(house: Path, chance: Chance) -> None:
    data, before = saved(house, chance), everything(house)
    with pytest.raises(AlreadyExists):
        brought_back(data, house, chance)
    assert everything(house) == before


def test_a_new_passphrase_takes_the_place_of_the_old_one(house: Path, tmp_path: Path, chance: Chance) -> None:
    brought_back(saved(house, chance), tmp_path / "there", chance, passphrase=b"une nouvelle phrase")
    with pytest.raises(VaultLocked):
        Vault.open(tmp_path / "there" / "vault.json", PASSPHRASE)
    Vault.open(tmp_path / "there" / "vault.json", b"une nouvelle phrase")


def test_a_backup_of_newer_software_is_refused_before_it_is_opened(house: Path, tmp_path: Path, chance: Chance) -> None:
    with closing(sqlite3.connect(house / "node.db")) as connection, connection:
        connection.execute("UPDATE schema_version SET version = ?", (len(MIGRATIONS) + 2,))
    with pytest.raises(DatabaseTooNew):
        brought_back(saved(house, chance), tmp_path / "there", chance)
    assert not (tmp_path / "there").exists()


def test_a_backup_of_an_older_schema_version_is_brought_up_to_date(house: Path, tmp_path: Path, chance: Chance) -> None:
    with closing(sqlite3.connect(house / "node.db")) as connection, connection:
        connection.execute("DROP TABLE withdrawn_by")
        connection.execute("CREATE TABLE withdrawn (token_id BLOB PRIMARY KEY, transfer_id BLOB, at DATETIME)")
        connection.execute("INSERT INTO withdrawn VALUES (x'01', x'02', '2026-11-01 10:00:00.000000')")
        connection.execute("DROP TABLE evidence_view")
        connection.execute("DROP TABLE notice")
        connection.execute("UPDATE schema_version SET version = 6")
    data = saved(house, chance)
    assert read_head(io.BytesIO(data)).schema == 6
    assert rows(house, "SELECT version FROM schema_version") == [(6,)]  # making a backup changes nothing
    told = brought_back(data, tmp_path / "there", chance)
    assert (told.schema, told.cases) == (6, 1)
    assert rows(tmp_path / "there", "SELECT version FROM schema_version") == [(len(MIGRATIONS) + 1,)]
    assert rows(tmp_path / "there", "SELECT count(*) FROM notice") == [(0,)]
    kept = rows(tmp_path / "there", "SELECT sender, token_id, transfer_id FROM withdrawn_by")
    assert kept == [(b"", b"\1", b"\2")], "a withdrawal that came first is remembered, whoever it was by"


def test_a_case_erased_after_the_backup_is_erased_again_before_anybody_can_look(
    house: Path, tmp_path: Path, chance: Chance
) -> None:
    data = saved(house, chance)
    stones = Tombstones(house / "tombstones")
    stones.add(CASE, CASE_ID, LATER)
    stones.close()
    told = brought_back(data, tmp_path / "there", chance, tombstones=house / "tombstones")
    assert (told.cases, told.erased_again) == (0, 1)
    assert rows(tmp_path / "there", "SELECT * FROM case_key") == []
    assert list((tmp_path / "there" / "attachments").iterdir()) == []
    kept = Tombstones(tmp_path / "there" / "tombstones")
    assert kept.contains(CASE, CASE_ID)
    kept.close()


def test_a_file_that_the_disk_has_lost_is_counted_and_all_else_is_saved(
    house: Path, tmp_path: Path, chance: Chance
) -> None:
    next((house / "attachments").iterdir()).unlink()
    target = io.BytesIO()
    vault = Vault.open(house / "vault.json", PASSPHRASE)
    assert make_backup(house, vault, target, now=LATER, random=chance).missing == 1
    told = brought_back(target.getvalue(), tmp_path / "there", chance)
    assert (told.cases, told.attachments, told.missing) == (1, 0, 1)


def test_memory_does_not_grow_with_what_is_saved_and_restored(house: Path, tmp_path: Path, chance: Chance) -> None:
    file_id = next((house / "attachments").iterdir()).name
    with (house / "attachments" / file_id).open("wb") as file:  # its content plays no part here
        file.truncate(96 << 20)
    vault = Vault.open(house / "vault.json", PASSPHRASE)
    tracemalloc.start()
    with (tmp_path / "saved").open("wb") as target:
        make_backup(house, vault, target, now=LATER, random=chance)
    with (tmp_path / "saved").open("rb") as source:
        restore(
            source,
            tmp_path / "there",
            opener=opened_by_passphrase(PASSPHRASE),
            passphrase=None,
            now=LATER,
            random=chance,
        )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20


def test_a_folder_without_a_node_has_no_backup(tmp_path: Path, vault: Vault, chance: Chance) -> None:
    with pytest.raises(NotFound):
        make_backup(tmp_path / "nowhere", vault, io.BytesIO(), now=NOW, random=chance)


@pytest.mark.parametrize("name", [b"../node.db", b"attachments/../x", b"/etc/passwd", b"inflight/2026-03-14.key", b""])
def test_no_other_name_becomes_a_path(name: bytes) -> None:
    with pytest.raises(BackupDamaged):
        backup._checked(name)


def test_a_damaged_database_does_not_take_the_place_of_a_whole_backup(
    house: Path, tmp_path: Path, chance: Chance
) -> None:
    whole = saved(house, chance)
    (tmp_path / "backup").write_bytes(whole)
    with closing(sqlite3.connect(house / "node.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        index = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'attachment' AND sql IS NULL"
        (page,) = db.execute(index).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with (house / "node.db").open("r+b") as file:
        file.seek(page * size - 1)
        file.write(b"\x63")  # the index names a row that there is not; a copy of the tables alone would not see it
    vault = Vault.open(house / "vault.json", PASSPHRASE)
    with pytest.raises(DatabaseDamaged), private_file(tmp_path / "backup", replace=True) as target:
        make_backup(house, vault, target, now=LATER, random=chance)
    assert (tmp_path / "backup").read_bytes() == whole
    assert not (house / ".backup.db").exists()


def test_a_backup_that_finds_no_room_to_be_noted_is_made_all_the_same(
    house: Path, tmp_path: Path, chance: Chance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        failed = sqlite3.OperationalError("database or disk is full")
        failed.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise failed

    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    target = tmp_path / "saved"
    typed = ["node", "backup", str(target), "--data-dir", str(house), "--passphrase-file", str(tmp_path / "passphrase")]
    told = []
    for noted in (False, True):
        with monkeypatch.context() as disk:
            if not noted:
                disk.setattr(journal, "append", full)
            with pytest.raises(SystemExit) as ended:
                main(["--lang", "en", "--output", "json", *typed])
        assert ended.value.code == 0
        out, err = capsys.readouterr()
        told.append((json.loads(out)["noted"], "The backup is whole, but" in err, "no room left" in err))
        assert brought_back(target.read_bytes(), tmp_path / f"back-{noted}", chance).cases == 1
        target.unlink()
    assert told == [(False, True, True), (True, False, False)]
