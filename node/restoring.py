"""A node brought back from a backup, into an empty folder, whole or not at all (protocol §10).

Here nothing is asked of the network: erasures are applied before anybody can look, and what was under way loses its
keys. That the node was restored is told to the network when it starts for the first time (`node.restored`).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from cordee.errors import N_, AlreadyExists, BackupDamaged, CannotOpen, InvalidInput
from cordee.runtime.texts import why
from cordee.shares import Sheet, combine
from node import journal
from node.backup import ATTACHMENTS, TOMBSTONES, BackupHead, extract, read_head, strip
from node.files import private_folder, sync_folder, write_new
from node.joining import DATABASE, open_keys
from node.placing import take_out_again
from node.records import apply_tombstones, file_ids
from node.recovery import note_proof
from node.restored import await_announcement
from node.store.migrations import node_database
from node.tombstones import Tombstones
from node.vault import FILE, Vault
from node.vault_file import VaultFile

__all__ = ["Opener", "Restored", "opened_by_passphrase", "opened_by_sheets", "restore"]

_CASES = "SELECT count(*) FROM case_record WHERE state <> 'erased'"
_ACCOUNTS = "SELECT count(*) FROM account"


@dataclass(frozen=True)
class Opener:
    """What opens a backup. `unlock` gives the vault's key from the file at its head; by sheets, `proof` says which."""

    unlock: Callable[[VaultFile], bytes]
    proof: tuple[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Restored:
    """What came back. `missing`: attachments that a case names and that were not in the backup."""

    created: datetime
    schema: int
    cases: int
    accounts: int
    attachments: int
    missing: int
    erased_again: int


def restore(
    source: BinaryIO,
    data_dir: Path,
    *,
    opener: Opener,
    passphrase: bytes | None,
    now: datetime,
    random: Callable[[int], bytes],
    tombstones: Path | None = None,
) -> Restored:
    """Restore the backup `source` into `data_dir`, which must be empty or not be there yet.

    `passphrase` is the vault's new one; with None it stays. Opened by sheets, this is a proof of their kit too.
    `tombstones` is a newer file of erasures than the backup's own, where one was saved.

    Raises: AlreadyExists; BackupDamaged, DatabaseTooNew; what `opener` raises; TombstonesDamaged. After each of them
    there is nothing at `data_dir`.
    """
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise AlreadyExists(what=data_dir)
    head = read_head(source)
    key = opener.unlock(head.vault)
    vault = Vault(key)
    try:
        head.key(vault)
    except CannotOpen as other:
        raise BackupDamaged(problem=N_("its beginning is damaged")) from other
    draft = data_dir.with_name(f".{data_dir.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)  # of a restore that was cut off
    private_folder(draft)
    try:
        extract(source, head, vault, draft)
        file = head.vault if passphrase is None else head.vault.with_passphrase(key, passphrase, random=random)
        write_new(draft / FILE, file.to_bytes())
        found = _settle(draft, vault, tombstones, head, opener.proof, now=now, random=random)
        if data_dir.exists():
            data_dir.rmdir()
        draft.replace(data_dir)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(data_dir.parent)
    return found


def opened_by_passphrase(passphrase: bytes) -> Opener:
    """The passphrase that was the vault's when the backup was made."""
    return Opener(unlock=lambda file: file.unlock(passphrase))


def opened_by_sheets(sheets: Sequence[Sheet]) -> Opener:
    """Recovery words. Raises: SheetRefused where they are too few or do not go together."""
    secret, kit = combine(sheets), sheets[0].kit
    numbers = tuple(sorted(each.number for each in sheets))
    return Opener(unlock=lambda file: file.unlock_with_kit(kit, secret), proof=(kit, numbers))


def _settle(
    draft: Path,
    vault: Vault,
    newer: Path | None,
    head: BackupHead,
    proof: tuple[str, tuple[int, ...]] | None,
    *,
    now: datetime,
    random: Callable[[int], bytes],
) -> Restored:
    """Bring the database up to date, erase again what was erased, and note that the network is to be told."""
    strip(draft / DATABASE)
    stones = Tombstones(draft / TOMBSTONES)
    try:
        if newer is not None:
            _take_over(stones, newer, draft)
        with node_database(draft / DATABASE) as db:
            db.read_sync(lambda tx: open_keys(tx, vault))  # the database is this vault's, or nothing is put in place

            def step(tx: Connection) -> list[str]:
                files = apply_tombstones(tx, stones, now=now)
                files += take_out_again(tx, vault, stones, now=now)
                await_announcement(tx, vault, random=random)
                if proof is not None:
                    note_proof(tx, vault, *proof, now=now)
                facts = {"backup": head.created.isoformat(timespec="seconds"), "schema": str(head.schema)}
                journal.append(tx, now=now, actor="node", action="node.restored", subject="", facts=facts)
                return files

            gone = db.write_sync(step)
            known = db.read_sync(file_ids)
            db.truncate_log()
    finally:
        stones.close()
    here = {path.name for path in (draft / ATTACHMENTS).iterdir()}
    for file_id in gone:
        (draft / ATTACHMENTS / file_id).unlink(missing_ok=True)
    with closing(sqlite3.connect(draft / DATABASE)) as connection:
        (cases,), (accounts,) = (connection.execute(query).fetchone() for query in (_CASES, _ACCOUNTS))
    return Restored(
        created=head.created,
        schema=head.schema,
        cases=cases,
        accounts=accounts,
        attachments=len(known & here),
        missing=len(known - here),
        erased_again=len(gone),
    )


def _take_over(stones: Tombstones, newer: Path, draft: Path) -> None:
    """Set the tombstones of a newer file, which is verified first and left as it is."""
    copy = draft / ".newer-tombstones"
    try:
        shutil.copyfile(newer, copy)
    except OSError as error:
        raise InvalidInput(field=newer, problem=why(error, N_("it cannot be read"))) from error
    other = Tombstones(copy)
    other.close()
    copy.unlink()
    for each in other.all():
        since = stones.time_of(each.kind, each.id)
        if since is None or since < each.at:
            stones.add(each.kind, each.id, each.at)
