"""The application's own start over an image: what a person does after the power has come back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cordee.errors import CordeeError
from cordee.log import MerkleTree
from cordee.runtime.clock import ManualClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.mailbox import MailboxStore
from directory import app as directory_app
from directory.lastsigned import LastSigned
from directory.log_file import encode_entries, read_entries
from node import joining, journal, records, transfer_store
from node.app import _sweep
from node.attachments import AttachmentStore
from node.house import House
from node.inflight import InFlight
from node.joining import CERTIFICATE, DATABASE, MEMBERSHIP, Membership, open_keys
from node.publishing import transport_in_use
from node.roster_sync import RosterSync
from node.store.migrations import node_database
from node.tombstones import Tombstones
from node.vault import FILE, Vault
from node.vault_file import VaultFile
from tests.faults.power_cuts.disk import Content, Image, unpack

__all__ = ["Starter"]

_PLACES = {"sealed_content_key": "transfer.sealed_content_key", "sealed_one_time_seed": "transfer.sealed_one_time_seed"}
_AGO = timedelta(days=30)  # how long ago a town of tests was founded
_LATER = timedelta(minutes=30)  # no longer than a story lasts: nothing is too old, nothing comes from the future


class Starter:
    """Starts what lies in an image of one machine. `folder` is its own, and holds one image at a time."""

    def __init__(self, folder: Path, base: str, database: str, passphrase: bytes) -> None:
        self._folder = folder / "start"
        self._base = base
        self._database = database
        self._passphrase = passphrase
        self._vaults: dict[bytes, Vault] = {}
        self._readers = _readers()
        self._read: dict[tuple[str, bytes], str] = {}

    def start(self, image: Image) -> str:
        """What hinders it; empty where it starts and everything in it can be read."""
        shutil.rmtree(self._folder, ignore_errors=True)
        unpack(image, self._folder)
        self._folder.mkdir(exist_ok=True)
        try:
            if self._database == "directory.db":
                return asyncio.run(self._directory(image))
            if self._database == "node.db":
                return asyncio.run(self._node(image))
        except (CordeeError, OSError, sqlite3.Error, ValueError, KeyError) as error:
            return f"it does not start: {type(error).__name__}: {error}"
        return ""

    def parse(self, path: str, content: Content) -> str:
        """What is wrong with a small file, by the code that reads it; each different one is read once."""
        key = path.removeprefix(self._base)
        reader = self._readers.get(key)
        if reader is None:
            return ""
        if (key, content.digest) not in self._read:
            place = self._folder.with_name("parsed")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            (place / key).write_bytes(content.data)
            try:
                problem = reader(place / key)
            except (CordeeError, OSError, ValueError, KeyError) as error:
                problem = f"{type(error).__name__}: {error}"
            self._read[key, content.digest] = problem
        return self._read[key, content.digest]

    async def _directory(self, image: Image) -> str:
        if "founding.json" not in image.files:
            return ""  # `cordee directory init` makes it anew
        clock = ManualClock(datetime.now(UTC) - _AGO + _LATER)
        async with directory_app.opened(self._folder, clock=clock, crashpoints=Crashpoints()) as directory:
            if directory.rosters.behind:
                return "it has signed more than it holds"
            for transfer in directory.mailbox.names():
                await directory.mailbox.size(transfer)
        return ""

    async def _node(self, image: Image) -> str:
        data = self._folder / self._base.rstrip("/")
        if not data.exists():
            return ""
        if not _has_rows(data, "secret"):
            if _has_rows(data, "case_record"):
                return ""  # a story of cases alone: it never was a whole node
            joining.initialise(
                data, passphrase=self._passphrase, random=os.urandom, clock=ManualClock(datetime.now(UTC))
            )
            return ""
        vault = self._vault(image.files[self._base + FILE])
        joined = (data / MEMBERSHIP).exists() and (data / CERTIFICATE).exists()
        with node_database(data / DATABASE) as db:
            keys, transport = await db.read(lambda tx: open_keys(tx, vault))
            if not joined:
                return ""
            certified = (data / CERTIFICATE).read_bytes()
            await db.write(lambda tx: transport_in_use(tx, vault, transport, certified))
            network, clock = Membership.load(data).network, ManualClock(datetime.now(UTC) - _AGO + _LATER)
            roster = RosterSync(db, network=network, member=keys.member, client=None, clock=clock, keys=keys)
            mailbox = MailboxStore(data / "mailbox")
            stones = Tombstones(data / "tombstones")
            house = House(
                data_dir=data,
                network=network,
                member=keys.member,
                db=db,
                vault=vault,
                keys=keys,
                clock=clock,
                random=os.urandom,
                in_flight=InFlight(data / "inflight", clock=clock, random=os.urandom),
                attachments=AttachmentStore(data / "attachments", random=os.urandom),
                tombstones=stones,
                roster=roster,
                crashpoints=Crashpoints(),
                mailbox=mailbox,
            )
            try:
                await _sweep(house)
                await roster.load()
                return await self._all_of_it(house)
            finally:
                mailbox.close()
                stones.close()

    async def _all_of_it(self, house: House) -> str:
        """Every case, every file, every secret under way; the journal from its first line."""
        db, vault = house.db, house.vault
        for line in await db.read(lambda tx: records.list_cases(tx, vault)):
            case = await db.read(lambda tx, line=line: records.read_case(tx, vault, line.case_id))
            for each in case.attachments:
                if sum(map(len, house.attachments.read(case.data_key, each))) != each.size:
                    return "a file is shorter than its case says"
        for transfer in await db.read(transfer_store.all_transfers):
            for column, place in _PLACES.items():
                sealed = getattr(transfer, column)
                if sealed is not None:
                    house.in_flight.unseal(sealed, place=place, row=transfer.id)
            for kind, _, _ in await db.read(lambda tx, transfer=transfer: transfer_store.statements(tx, transfer.id)):
                await db.read(lambda tx, transfer=transfer, kind=kind: transfer_store.statement(tx, transfer.id, kind))
        member = None
        with contextlib.suppress(CordeeError):  # before the first checkpoint there is no roster
            member = house.roster.roster.members.get(house.member)
        former = tuple(key for _, key in member.former_identities) if member else ()
        await db.read(lambda tx: journal.verify(tx, house.keys.identity.public, former=former))
        return ""

    def _vault(self, file: Content) -> Vault:
        """Stretching a passphrase takes long, on purpose: once for each file."""
        if file.digest not in self._vaults:
            self._vaults[file.digest] = Vault(VaultFile.parse(file.data).unlock(self._passphrase))
        return self._vaults[file.digest]


def _has_rows(data: Path, table: str) -> bool:
    """Whether the database has that table, and anything in it."""
    if not (data / DATABASE).exists():
        return False
    with contextlib.closing(sqlite3.connect(data / DATABASE)) as connection:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        return bool(made and connection.execute(f'SELECT 1 FROM "{table}"').fetchone())


def _readers() -> Mapping[str, Callable[[Path], str]]:
    def vault(path: Path) -> str:
        VaultFile.read(path)
        return ""

    def stones(path: Path) -> str:
        Tombstones(path).close()
        return ""

    def signed(path: Path) -> str:
        with contextlib.suppress(CordeeError):  # another log: what matters is that the file is one
            LastSigned(path).check(MerkleTree())
        return "" if LastSigned(path).size >= 0 else "it is none"

    def log(path: Path) -> str:
        found = encode_entries(read_entries(path))
        return "" if found == path.read_bytes() and all(each.body for each in read_entries(path)) else "half an entry"

    return {FILE: vault, "tombstones": stones, "last-signed": signed, "log": log}
