"""The doctor names what is wrong with a folder, the settings and the machine while the node does not run."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cordee.runtime.checkup import disk_findings, plain_swaps, unit_findings
from cordee.runtime.clock import ManualClock
from node import joining
from node.findings import NODE
from node.folder_check import UNIT, Settings, check_folder
from node.store.migrations import node_database

from .ill import certificate_until, codes, small_disk

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
PASSPHRASE = b"une phrase de passe"
NOBODY = 65534
MACHINE = {"disk_low", "disk_full"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a node that was admitted, as far as a look from outside can tell."""
    made = tmp_path / "node"
    joining.initialise(made, passphrase=PASSPHRASE, random=os.urandom, clock=ManualClock(NOW))
    (made / joining.MEMBERSHIP).write_text("{}")
    (made / joining.MEMBERSHIP).chmod(0o600)
    (made / joining.CERTIFICATE).write_bytes(certificate_until(NOW + timedelta(days=60)))
    (made / joining.CERTIFICATE).chmod(0o600)
    return made


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_bytes(PASSPHRASE + b"\n")
    path.chmod(0o600)
    return path


def found(folder: Path, *, settings: Settings | None = None, running: bool = False, now: datetime = NOW) -> set[str]:
    return codes(check_folder(folder, settings=settings or Settings(), now=now, running=running)) - MACHINE


def test_a_folder_that_is_well_has_nothing(folder: Path, passphrase: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "node.db"}
    assert found(folder, settings=Settings(passphrase_file=str(passphrase))) == set()
    after = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "node.db"}
    assert {path: after.get(path) for path in before} == before, "it changes nothing"


def test_a_folder_without_a_node(tmp_path: Path) -> None:
    assert found(tmp_path) == {"not_initialised"}
    assert found(tmp_path / "none") == {"not_initialised"}


@pytest.mark.parametrize("name", [joining.VAULT, joining.DATABASE])
def test_a_file_that_is_gone(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert found(folder) == {"file_missing"}


def test_a_node_that_nobody_admitted_yet_is_not_one_that_lost_its_certificate(folder: Path) -> None:
    (folder / joining.CERTIFICATE).unlink()
    assert found(folder) == {"not_joined"}
    with node_database(folder / joining.DATABASE) as db:
        db.write_sync(
            lambda tx: tx.exec_driver_sql("INSERT INTO roster_entry VALUES (0, x'00')").close()  # it knows a roster
        )
    assert found(folder) == {"file_missing"}


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o755])
def test_a_folder_that_others_can_enter(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    assert found(folder) == {"open_to_others"}


def test_a_file_that_others_may_read_in_a_folder_that_they_can_enter(folder: Path) -> None:
    (folder / joining.VAULT).chmod(0o644)
    assert found(folder) == set(), "the folder is closed to them"
    folder.chmod(0o711)
    told = [each.facts["path"] for each in check_folder(folder, settings=Settings(), now=NOW, running=True) if each]
    assert str(folder / joining.VAULT) in told


def test_a_file_that_belongs_to_another_account(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_away = folder / joining.DATABASE
    if os.geteuid() == 0:
        os.chown(given_away, 12345, 12345)
    else:  # only root gives files away
        lstat = Path.lstat

        def of_another(path: Path) -> os.stat_result:
            seen = lstat(path)
            return os.stat_result((*seen[:4], 12345, *seen[5:])) if path == given_away else seen

        monkeypatch.setattr(Path, "lstat", of_another)
    assert found(folder) == {"another_owner"}


@contextmanager
def without_roots_rights(folder: Path) -> Iterator[None]:
    """As whom file permissions hold for, in a folder that is theirs: root writes everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_written() -> None:
    with TemporaryDirectory() as made:  # not in pytest's own folder, which nobody else can enter
        folder = Path(made)
        with without_roots_rights(folder):
            assert "read_only" not in codes(disk_findings(folder, known=NODE))
            folder.chmod(0o500)
            assert "read_only" in codes(disk_findings(folder, known=NODE))
            folder.chmod(0o700)


def test_a_disk_that_is_read_only_or_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", size="48m") as disk:
        assert "disk_full" not in codes(disk_findings(disk, known=NODE))
        (disk / "filler").write_bytes(bytes(30 << 20))
        assert "disk_full" in codes(disk_findings(disk, known=NODE))
        (disk / "filler").unlink()
        os.system(f"mount -o remount,ro {disk}")  # a folder of this test's own
        assert codes(disk_findings(disk, known=NODE)) == {"read_only"}


def test_a_damaged_database(folder: Path) -> None:
    path = folder / joining.DATABASE
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 6))
    assert found(folder) == {"database_damaged"}
    path.write_bytes(b"no database at all" * 400)
    assert found(folder) == {"database_damaged"}


def test_a_database_of_newer_software(folder: Path) -> None:
    with sqlite3.connect(folder / joining.DATABASE) as db:
        db.execute("UPDATE schema_version SET version = 999")
    db.close()
    assert found(folder) == {"database_too_new"}


def test_a_database_that_somebody_holds(folder: Path) -> None:
    with sqlite3.connect(folder / joining.DATABASE, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        assert found(folder) == {"database_locked"}
        db.execute("ROLLBACK")
    db.close()


def test_a_vault_that_is_damaged(folder: Path) -> None:
    (folder / joining.VAULT).write_text("{")
    assert found(folder) == {"vault_damaged"}


def test_a_passphrase_that_is_wrong_missing_or_read_by_others(folder: Path, passphrase: Path) -> None:
    settings = Settings(passphrase_file=str(passphrase))
    passphrase.write_bytes(b"another one\n")
    assert found(folder, settings=settings) == {"vault_locked"}
    passphrase.write_bytes(PASSPHRASE + b"\n")
    passphrase.chmod(0o644)
    assert found(folder, settings=settings) == {"passphrase_file"}
    passphrase.unlink()
    assert found(folder, settings=settings) == {"passphrase_file"}


@pytest.mark.parametrize(("days", "told"), [(59, "certificate_soon"), (61, "certificate_expired")])
def test_a_certificate_that_runs_out_is_told_while_the_node_is_down(folder: Path, days: int, told: str) -> None:
    assert found(folder, now=NOW + timedelta(days=days)) == {told}


def test_a_certificate_that_is_damaged(folder: Path) -> None:
    (folder / joining.CERTIFICATE).write_bytes(b"no certificate")
    assert found(folder) == {"certificate_damaged"}


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("setting", ["pages", "mailbox_listen", "status"])
def test_a_port_that_another_program_has(folder: Path, taken: str, setting: str) -> None:
    settings = Settings(**{setting: taken})
    assert found(folder, settings=settings) == {"port_taken"}
    assert found(folder, settings=settings, running=True) == set(), "it is the node itself"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(pages="8480"),
        Settings(pages="0.0.0.0:0"),
        Settings(mailbox_listen="203.0.113.7:7443"),
        Settings(pages="127.0.0.1:0", pages_certificate=Path("/none"), pages_key=Path("/none")),
        Settings(mail_password_file="/none"),  # a path
    ],
)
def test_a_setting_that_cannot_be_used(folder: Path, settings: Settings) -> None:
    assert found(folder, settings=settings) == {"setting_wrong"}


def test_swap_that_is_not_encrypted(tmp_path: Path) -> None:
    table = tmp_path / "swaps"
    table.write_text(
        "Filename Type Size Used Priority\n"
        "/dev/dm-1 partition 1 0 -2\n/dev/zram0 partition 1 0 5\n/swapfile file 1 0 -3\n"
    )
    assert plain_swaps(table) == ["/swapfile"]
    assert plain_swaps(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("LoadState=loaded\nActiveState=failed\nUnitFileState=enabled\nResult=exit-code", {"unit_failed"}),
        ("LoadState=loaded\nActiveState=active\nUnitFileState=disabled\nResult=success", {"unit_not_enabled"}),
        ("LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nResult=success", set()),
        ("LoadState=not-found\nActiveState=inactive", set()),
        ("", set()),
    ],
)
def test_what_systemd_says_of_the_unit(tmp_path: Path, shown: str, told: set[str]) -> None:
    said = tmp_path / "said"
    said.write_text(shown)
    assert codes(unit_findings(UNIT, known=NODE, command=("sh", "-c", f"cat {said}"))) == told


def test_a_machine_without_systemd_has_nothing_to_say() -> None:
    assert codes(unit_findings(UNIT, known=NODE, command=("no-such-program-here",))) == set()
