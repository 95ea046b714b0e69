"""Short stories: one part each, so that a defect of it is found in a second. All by the product's own code."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.power_cuts.telling import PASSPHRASE, Marking, lasts, say

__all__ = [
    "a_killed_process",
    "a_kit_and_a_backup",
    "a_log_in_the_office",
    "a_mailbox_at_home",
    "an_attachment",
    "keys_in_files",
    "transactions",
]

_NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def transactions(root: Path) -> None:
    """Steps in a node's database, each acknowledged."""
    from node import journal
    from node.files import private_folder
    from node.store.migrations import node_database

    def lines(tx: Any, count: int) -> None:
        for number in range(count):
            journal.append(tx, now=_NOW, actor="node", action="case.read", subject=f"{number:032x}")

    say("journalled steps")
    folder = root / "Rennes"
    private_folder(folder)
    with node_database(folder / "node.db", crashpoints=Marking("Rennes")) as db:
        for number in range(6):
            db.write_sync(lambda tx, number=number: lines(tx, 1 + 8 * number))


def keys_in_files(root: Path) -> None:
    """Key files, tombstones and the last checkpoint: made, changed, destroyed."""
    from cordee.log import MerkleTree
    from cordee.runtime.clock import ManualClock
    from cordee.runtime.durable import private_folder
    from directory.lastsigned import LastSigned
    from node import files
    from node.inflight import InFlight
    from node.tombstones import Tombstones
    from node.vault import Vault

    folder, clock = root / "Brest", ManualClock(_NOW)
    say("a folder, a vault")
    private_folder(folder)
    Vault.create(folder / "vault.json", PASSPHRASE, opslimit=1, memlimit=8192)
    lasts("Brest")
    say("the vault's file is replaced")
    files.replace(folder / "vault.json", (folder / "vault.json").read_bytes() + b" " * 600)
    lasts("Brest")
    say("a key of the day")
    in_flight = InFlight(folder / "inflight", clock=clock, random=os.urandom)
    in_flight.seal(b"a seed", place="transfer.seed", row=b"1")
    lasts("Brest")
    say("keys of the day are destroyed")
    clock.advance(3 * 86_400)
    in_flight.seal(b"a seed", place="transfer.seed", row=b"1")
    lasts("Brest")
    in_flight.prune(())
    lasts("Brest")
    say("tombstones")
    stones = Tombstones(folder / "tombstones")
    for number in range(9):
        stones.add("case", f"{number:036x}", _NOW)
        lasts("Brest")
    say("last signed")
    guard, tree = LastSigned(folder / "last-signed"), MerkleTree()
    guard.begin()
    lasts("Brest")
    for number in range(3):
        tree.append(bytes([number]) * 32)
        guard.advance(tree, time=_NOW)
        lasts("Brest")


def an_attachment(root: Path) -> None:
    """A case with a file of several pages, which is erased again."""
    from cordee.case import case_of
    from node import records
    from node.attachments import AttachmentStore, StoredAttachment
    from node.files import private_folder
    from node.store.migrations import node_database
    from node.vault import Vault
    from tests.node.association import case_body

    folder = root / "Nancy"
    say("a case")
    private_folder(folder)
    vault = Vault.create(folder / "vault.json", PASSPHRASE, opslimit=1, memlimit=8192)
    with node_database(folder / "node.db", crashpoints=Marking("Nancy")) as db:
        case = case_of(case_body())
        db.write_sync(lambda tx: records.create_case(tx, vault, case, by="a", now=_NOW, random=os.urandom))
        say("a file")
        store = AttachmentStore(folder / "attachments", random=os.urandom)
        key = db.read_sync(lambda tx: records.data_key_of(tx, vault, case.case_id))
        written = store.write(key, "11111111-1111-4111-8111-111111111111", [os.urandom(9_000)])
        stored = StoredAttachment(
            attachment_id="11111111-1111-4111-8111-111111111111",
            file_id=written.file_id,
            file_name="note.pdf",
            media_type="application/pdf",
            kind="report",
            section="actions",
            size=written.size,
            sha256=written.sha256,
            may_be_sent=True,
            third_party_data=False,
        )
        db.write_sync(lambda tx: records.add_attachment(tx, vault, case.case_id, stored, by="a", now=_NOW))
        say("the case is erased")
        for file_id in db.write_sync(lambda tx: records.erase_case(tx, case.case_id, now=_NOW)):
            store.erase(file_id)
        db.truncate_log()


def a_kit_and_a_backup(root: Path) -> None:
    """Recovery sheets are made and tried, a backup goes to a stick, a node comes back from it."""
    from cordee.runtime import durable
    from cordee.runtime.clock import ManualClock
    from node import backup, joining, recovery, restoring
    from node.cli.files import private_file
    from node.vault import Vault

    folder, stick, elsewhere = root / "Lyon", root / "stick", root / "Lille"
    say("a node is made")
    joining.initialise(folder, passphrase=PASSPHRASE, random=os.urandom, clock=ManualClock(_NOW))
    lasts("Lyon")
    say("sheets are made and tried")
    sheets = recovery.make_kit(folder, passphrase=PASSPHRASE, needed=2, count=3, now=_NOW, random=os.urandom)
    lasts("Lyon")
    for two in (sheets[:2], sheets[1:]):
        recovery.rehearse(folder, two, now=_NOW)
        lasts("Lyon")
    say("a backup is written")
    stick.mkdir()
    durable.sync_folder(root)  # it was there before
    vault = Vault.open(folder / "vault.json", PASSPHRASE)
    with private_file(stick / "backup") as target:
        written = backup.make_backup(folder, vault, target, now=_NOW, random=os.urandom)
    lasts("stick")
    backup.note_backup(folder, written)
    lasts("Lyon")
    say("a node is restored")
    durable.private_folder(elsewhere)
    with (stick / "backup").open("rb") as source:
        opener = restoring.opened_by_passphrase(PASSPHRASE)
        restoring.restore(source, elsewhere / "node", opener=opener, passphrase=None, now=_NOW, random=os.urandom)
    lasts("Lille")


def a_log_in_the_office(root: Path) -> None:
    """An administrator's copy of the roster log, and a key in a file."""
    from cordee.signing import SigningKey
    from directory.administrator import keyfile
    from directory.files import private_folder
    from directory.log_file import append_entries
    from tests.builders import Network

    folder = private_folder(root / "office")
    network = Network.found(now=_NOW)
    say("a key in a file")
    key = SigningKey.generate(os.urandom)
    keyfile.write(folder / "key", key, PASSPHRASE, random=os.urandom, rounds=1, memory=8192)
    lasts("office")
    say("entries are kept")
    for number in range(3):
        if number:
            member = network.new_member(f"Association {number}", b"{}")
            network.append(network.signed_entry(network.admission(member)))
        append_entries(folder / "log", network.entries[:number], network.entries[number : number + 1])
        lasts("office")


def a_mailbox_at_home(root: Path) -> None:
    """What comes into a node's own mailbox and is handed over to its spool."""
    from cordee.ids import TransferId
    from cordee.runtime.durable import private_folder
    from cordee.runtime.mailbox import MailboxStore

    transfer, data = TransferId(bytes(range(16))), os.urandom(20_000)

    async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def whole(size: int) -> int:
        return 1 << 30

    async def go() -> None:
        folder = private_folder(root / "Metz")
        spool = private_folder(folder / "spool")
        say("it comes in two parts")
        store = MailboxStore(folder / "mailbox", crashpoints=Marking("Metz"))
        await store.append(transfer, 0, pieces(data[:8192]), allow=whole)
        lasts("Metz")
        await store.append(transfer, 8192, pieces(data[8192:15_000], data[15_000:]), allow=whole)
        lasts("Metz")
        say("it is handed over")
        assert await store.hand_over(transfer, spool / "handed", size=len(data), begins=data[:64])
        lasts("Metz")
        store.close()

    asyncio.run(go())


def a_killed_process(root: Path) -> None:
    """A process is killed between making a file and making its name last; the next one relies on it; then the power."""
    from cordee.ids import TransferId
    from cordee.runtime import durable, mailbox
    from cordee.runtime.clock import ManualClock
    from node import files, inflight, tombstones
    from node.vault import Vault

    folder, clock = durable.private_folder(root / "Arles"), ManualClock(_NOW)

    def key_of_the_day() -> None:
        inflight.InFlight(folder / "inflight", clock=clock, random=os.urandom).seal(b"seed", place="a.b", row=b"1")

    def stone() -> None:
        tombstones.Tombstones(folder / "tombstones").add("case", "1" * 36, _NOW)

    def letter() -> int:
        async def go() -> int:
            store = mailbox.MailboxStore(folder / "mailbox")
            return await store.append(TransferId(bytes(16)), 0, _once(b"x" * 3000), allow=_any)

        return asyncio.run(go())

    def vault() -> None:
        Vault.create(folder / "vault.json", PASSPHRASE, opslimit=1, memlimit=8192)

    def killed(work: Callable[[], object], module: Any, place: Path) -> None:
        """In a child that dies where it would synchronise that folder."""
        child = os.fork()
        if not child:
            synchronise = module.sync_folder
            module.sync_folder = lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == place else synchronise(at)
            try:
                work()
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the child was not killed"

    for place in ("inflight", "mailbox"):
        files.private_folder(folder / place)
    say("a key of the day, by a killed process")
    killed(key_of_the_day, durable, folder / "inflight")
    key_of_the_day()
    lasts("Arles", "inflight/")
    say("a tombstone, by a killed process")
    killed(stone, tombstones, folder)
    stone()
    lasts("Arles", "tombstones")
    say("a letter, by a killed process")
    killed(letter, mailbox, folder / "mailbox")
    letter()
    lasts("Arles", "mailbox/")
    say("a vault, by a killed process")
    vault()
    os.link(folder / "vault.json", folder / ".vault.json.draft")  # as if it had died before it unlinked its draft
    lasts("Arles", "vault.json")
    files.replace(folder / "vault.json", (folder / "vault.json").read_bytes() + b" " * 600)
    lasts("Arles", "vault.json")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _any(size: int) -> int:
    return 1 << 30
