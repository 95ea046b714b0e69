"""The directory says truly how it is: what is wrong with its folder, and, while it runs, whether it is ready."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from cordee.errors import AlreadyExists
from cordee.runtime.command import main, root
from cordee.runtime.doctor import Finding
from cordee.runtime.metrics import Metrics
from directory.checking import ask_running, check_folder, examine
from directory.findings import DIRECTORY
from directory.house import House
from directory.maintenance import save
from directory.measures import watched
from directory.saving import note_saved
from tests.directory.town import Town
from tests.node.ill import damage, small_disk

MACHINE = {"swap_plain", "disk_low", "disk_full"}


def codes(found: Iterable[Finding]) -> set[str]:
    told = set()
    for each in found:
        assert DIRECTORY.by_code[each.ailment.code] is each.ailment
        assert "{" not in each.ailment.words.format(**each.facts) + each.ailment.remedy.format(**each.facts)
        told.add(each.ailment.code)
    return told - MACHINE


async def founded(town: Town) -> None:
    """A network whose directory was saved just now."""
    await town.found()
    note_saved(House(town.folder), town.clock.now())


async def here(town: Town) -> set[str]:
    listening = town.listening
    return codes(await examine(listening.directory, listening.upkeep, listening.loops))


async def test_a_folder_tells_what_is_wrong_with_it(tmp_path: Path) -> None:
    assert codes(check_folder(tmp_path, now=datetime.now(UTC))) == {"not_initialised"}
    town = Town.make(tmp_path / "directory")
    folder = town.folder
    assert codes(check_folder(folder, now=town.clock.now(), listening=False)) == {"not_founded"}
    async with town.open():
        await founded(town)
        await town.join("Paris")
        assert codes(check_folder(folder, now=town.clock.now(), listening=False)) == set()
    assert codes(check_folder(folder, now=town.clock.now())) == {"not_running", "front_closed"}
    older = (folder / "directory.db").read_bytes()
    async with town.open():
        await town.join("Marseille")
    (folder / "directory.db").write_bytes(older)
    for beside in folder.glob("directory.db-*"):
        beside.unlink()
    assert codes(check_folder(folder, now=town.clock.now(), listening=False)) == {"log_behind"}
    (folder / "last-signed").unlink()
    assert codes(check_folder(folder, now=town.clock.now(), listening=False)) == {"last_signed_lost"}
    (folder / "server.key").unlink()
    assert codes(check_folder(folder, now=town.clock.now(), listening=False)) == {"last_signed_lost", "file_missing"}
    (folder / "directory.db").write_bytes(os.urandom(8192))
    assert "database_damaged" in codes(check_folder(folder, now=town.clock.now(), listening=False))


async def test_a_directory_that_runs_tells_what_fails(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        assert await here(town) == {"not_founded"}
        await founded(town)
        assert await here(town) == set()
        with sqlite3.connect(town.listening.directory.db.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await here(town) == {"database_locked"}
            other.execute("ROLLBACK")
        other.close()
        assert await here(town) == set()
        upkeep: Any = town.listening.upkeep
        kept, upkeep.round = upkeep.round, _fails
        await _rounds(town, lambda: bool(upkeep.failing))
        assert await here(town) == {"round_failed"}
        upkeep.round = kept
        await _rounds(town, lambda: not upkeep.failing)
        assert await here(town) == set()


async def _fails() -> None:
    raise OSError


async def _rounds(town: Town, done: Any) -> None:
    for _ in range(200):
        if done():
            return
        town.clock.advance(5)
        await asyncio.sleep(0.02)
    pytest.fail("no round")


async def test_a_log_that_is_not_signed_any_more_is_told(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await founded(town)
        upkeep: Any = town.listening.upkeep
        upkeep.round = _nothing
        town.clock.advance(timedelta(hours=4))
        assert await here(town) == {"log_unsigned"}


async def _nothing() -> None:
    return None


async def test_a_copy_that_cannot_be_noted_is_made_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
    told = []
    for note, target in (("a folder", tmp_path / "copy"), ("", tmp_path / "another")):
        if note:
            House(town.folder).last_backup.mkdir()
        else:
            House(town.folder).last_backup.rmdir()
        typed = ["directory", "backup", "--data-dir", str(town.folder), "--to", str(target)]
        with pytest.raises(SystemExit) as ended:
            main(["--lang", "en", "--output", "json", *typed])
        assert ended.value.code == 0
        out, err = capsys.readouterr()
        told.append((json.loads(out)["noted"], "The copy is whole, but" in err, "it is a folder" in err))
        assert (target / "founding.json").exists()
    assert told == [(False, True, True), (True, False, False)]


async def test_a_backup_that_was_never_made_or_long_ago_is_told_by_folder_server_and_measures(tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry(), version="test")
    town = Town.make(tmp_path / "directory")
    async with town.open(metrics=metrics), watched(town.listening, metrics, "127.0.0.1:0") as address:
        assert await here(town) == {"not_founded"}, "there is nothing to save yet"
        await town.found()
        assert await here(town) == {"no_backup"}
        told = (await ask(address, "/metrics"))[1]
        assert "cordee_directory_backup_timestamp_seconds 0.0" in told
        assert "cordee_directory_backup_age_seconds +Inf" in told
        save(town.folder, tmp_path / "copy", with_keys=False)
        assert not (tmp_path / "copy" / "last-backup").exists(), "a copy does not say that it was saved"
        note_saved(House(town.folder), town.clock.now())  # the command has the machine's clock
        assert await here(town) == set()
        town.clock.advance(timedelta(days=9))
        assert "no_recent_backup" in await here(town)
        assert "no_recent_backup" in codes(check_folder(town.folder, now=town.clock.now(), listening=False))
        assert "cordee_directory_backup_age_seconds 777600.0" in (await ask(address, "/metrics"))[1]
        assert "no_recent_backup" not in (await ask(address, "/readyz"))[1], "that is no reason to stop"
        (town.folder / "last-backup").write_bytes(b"\xff")
        assert "no_backup" in await here(town)


async def test_saving_the_directory_is_what_is_noted(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        to = ["--to", str(tmp_path / "copy"), "--with-keys"]
        done = CliRunner().invoke(root, ["directory", "backup", "--data-dir", str(town.folder), *to])
        assert done.exit_code == 0, done.output
        assert "no_backup" not in codes(check_folder(town.folder, now=datetime.now(UTC), listening=False))
        with pytest.raises(AlreadyExists):
            save(town.folder, tmp_path / "copy", with_keys=False)


async def test_readiness_and_measures_follow_and_name_nobody(tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry(), version="test")
    town = Town.make(tmp_path / "directory")
    async with town.open(metrics=metrics):
        await town.found()
        paris = await town.join("Paris")
        async with watched(town.listening, metrics, "127.0.0.1:0") as address:
            assert await ask(address, "/readyz") == (200, '{"ready": true, "broken": []}')
            told = (await ask(address, "/metrics"))[1]
            assert 'cordee_directory_members{state="active"} 1.0' in told
            assert "cordee_directory_ready 1.0" in told
            assert paris.keys.id.hex()[:8] not in told
            erasing = next(each for each in town.listening.loops if each.get_name() == "erase_for_ever")
            erasing.cancel()
            await asyncio.wait([erasing])
            assert (await ask(address, "/healthz"))[0] == 503
            assert json.loads((await ask(address, "/readyz"))[1]) == {"ready": False, "broken": ["loop_dead"]}


async def test_a_database_that_is_damaged_while_the_directory_runs_is_told(tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry(), version="test")
    town = Town.make(tmp_path / "directory")
    async with town.open(metrics=metrics), watched(town.listening, metrics, "127.0.0.1:0") as address:
        await founded(town)
        assert (await ask(address, "/readyz"))[0] == 200
        damage(town.listening.directory.db)
        status, told = await ask(address, "/metrics")
        assert status == 200
        assert 'cordee_directory_finding{finding="database_damaged",severity="broken"} 1.0' in told
        assert "cordee_directory_ready 0.0" in told
        await _rounds(town, lambda: bool(town.listening.upkeep.failing))
        assert "round_failed" in json.loads((await ask(address, "/readyz"))[1])["broken"]


async def test_a_mailbox_on_a_full_disk_of_its_own_is_told_by_folder_and_server(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    with small_disk(town.folder / "mailbox", size="48m") as mailbox:
        async with town.open():
            await founded(town)
            assert await here(town) == set()
            (mailbox / "filler").write_bytes(bytes(30 << 20))
            listening = town.listening
            for found in (
                await examine(listening.directory, listening.upkeep, listening.loops),
                list(check_folder(town.folder, now=town.clock.now(), listening=False)),
            ):
                assert [each.facts["folder"] for each in found if each.ailment.code == "disk_full"] == [str(mailbox)]


async def test_the_doctor_asks_the_directory_that_runs(tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry(), version="test")
    town = Town.make(tmp_path / "directory")
    async with town.open(metrics=metrics), watched(town.listening, metrics, "127.0.0.1:0") as address:
        await founded(town)
        port = int(address.rpartition(":")[2])
        assert codes(await asyncio.to_thread(ask_running, port)) == set()
        upkeep: Any = town.listening.upkeep
        upkeep.round = _nothing
        town.clock.advance(timedelta(hours=4))
        command = ("--lang", "en", "directory", "doctor", "--data-dir", str(town.folder), "--no-network")
        told = await asyncio.to_thread(CliRunner().invoke, root, [*command, "--metrics-port", str(port)])
        assert "it is signed each hour" in told.output
        assert told.exit_code == 4
        assert "it is signed each hour" not in (await asyncio.to_thread(CliRunner().invoke, root, command)).output
    assert codes(await asyncio.to_thread(ask_running, port)) == {"not_answering"}


async def ask(address: str, path: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 20)).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


def test_the_command_tells_it_in_french_and_ends_with_a_telling_code(tmp_path: Path) -> None:
    done = CliRunner().invoke(root, ["--lang", "fr", "directory", "doctor", "--data-dir", str(tmp_path / "none")])
    assert done.exit_code == 3
    assert "Il n’y a pas d’annuaire" in done.output
