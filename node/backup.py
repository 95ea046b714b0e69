"""A backup: one encrypted file with all that a node needs on a new machine, and nothing that must not outlive this one.

In it are the database, the sealed attachments, the tombstones and where the node belongs. Not in it: the keys of the
day, ciphertext under way, sessions (protocol §10). The database is copied as SQLite itself copies one, while the node
works; what passes through memory is a piece at a time, however large it all is.

The file: a line that names the format; 4 bytes of length, a head in JSON (when, which schema version, the vault's
file, the backup's own key sealed by the vault); then, encrypted under that key and bound to the head, each file as
2 bytes of length, its name, 8 bytes of length, its bytes; at the end an empty name and how many there were.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection

from cordee.errors import N_, BackupDamaged, CannotOpen, DatabaseTooNew, NotFound
from cordee.frame import Label, frame
from cordee.jsonform import parsed_json
from cordee.runtime.exhausted import exhausted
from cordee.times import zoned
from node import journal
from node.files import private_folder, sync_folder
from node.joining import CERTIFICATE, DATABASE, MEMBERSHIP
from node.store.migrations import MIGRATIONS, node_database
from node.vault import FILE, Vault
from node.vault_file import VaultFile

__all__ = [
    "ATTACHMENTS",
    "TOMBSTONES",
    "BackupHead",
    "Written",
    "extract",
    "last_backup",
    "make_backup",
    "note_backup",
    "read_head",
    "strip",
]

ATTACHMENTS = "attachments"
TOMBSTONES = "tombstones"

_FORMAT = b"cordee backup 1\n"
_PIECE = 1 << 20
_LONGEST_HEAD = 1 << 16
_DRAFT = ".backup.db"
_LOCK = ".backup.lock"
_PLAIN_FILES = (MEMBERSHIP, CERTIFICATE, TOMBSTONES)
_FILE_ID = frozenset("0123456789abcdef")
_KEY_PLACE = "backup.sealed_key"
_SAVED = "node.backed_up"

_STRIP = (
    "UPDATE transfer SET sealed_content_key = NULL, sealed_one_time_seed = NULL, job = NULL",
    "DELETE FROM session",
)


@dataclass(frozen=True)
class BackupHead:
    """What a backup says of itself before it is opened. Bound to what follows: changed, nothing opens."""

    created: datetime
    schema: int
    vault: VaultFile
    sealed_key: bytes
    raw: bytes

    def context(self) -> bytes:
        """What the content is bound to."""
        return frame(Label.BACKUP, self.raw)

    def key(self, vault: Vault) -> bytes:
        """The key of the content. Raises: CannotOpen for another node's vault."""
        return vault.unseal(self.sealed_key, place=_KEY_PLACE, row=self.created.isoformat())


@dataclass(frozen=True)
class Written:
    """What a backup holds. `missing`: attachments that a case names and this disk no longer has."""

    created: datetime
    schema: int
    files: int
    bytes: int
    missing: int


def make_backup(
    data_dir: Path, vault: Vault, target: BinaryIO, *, now: datetime, random: Callable[[int], bytes]
) -> Written:
    """Write a backup of a node that may be at work meanwhile. `target` is whole when this returns; flush it then.

    Raises: NotFound where there is no node.
    """
    if not (data_dir / DATABASE).exists():
        raise NotFound(what=N_("node"))
    with _copied(data_dir) as copy:
        schema, attachments = _look_into(copy)
        created, key = now.astimezone(UTC), random(32)
        raw = _head(created, schema, vault, VaultFile.read(data_dir / FILE), key)
        target.write(_FORMAT + len(raw).to_bytes(4, "big") + raw)
        head = _parse_head(raw)
        encryptor = Cobblestone256Encryptor(key, head.context())
        files = size = missing = 0

        def put(name: str, path: Path) -> bool:
            nonlocal files, size
            try:
                file = path.open("rb")
            except FileNotFoundError:
                return False
            with file:
                length = os.fstat(file.fileno()).st_size
                target.write(encryptor.update(_named(name, length)))
                for piece in _pieces(file, length):
                    target.write(encryptor.update(piece))
            files, size = files + 1, size + length
            return True

        put(DATABASE, copy)
        # After the database: what is erased while this runs is in these, and is erased again when it is restored.
        for name in _PLAIN_FILES:
            put(name, data_dir / name)
        for file_id in attachments:
            missing += not put(f"{ATTACHMENTS}/{file_id}", data_dir / ATTACHMENTS / file_id)
        target.write(encryptor.update((0).to_bytes(2, "big") + files.to_bytes(8, "big")) + encryptor.finalize())
    if missing:
        missing -= _erased_since(data_dir, attachments)
    return Written(created, schema, files, size, missing)


def note_backup(data_dir: Path, written: Written) -> None:
    """Journal that a backup was made, once it lies where it belongs. A database of older software is left alone."""
    if written.schema != len(MIGRATIONS) + 1:
        return
    facts = {"schema": str(written.schema), "files": str(written.files), "bytes": str(written.bytes)}
    with node_database(data_dir / DATABASE) as db:
        db.write_sync(
            lambda tx: journal.append(tx, now=written.created, actor="node", action=_SAVED, subject="", facts=facts)
        )


def last_backup(tx: Connection) -> datetime | None:
    """When the last one was made, by the journal."""
    found = journal.latest(tx, action=_SAVED, limit=1)
    return found[0].at if found else None


def read_head(source: BinaryIO) -> BackupHead:
    """The head, with nothing read beyond it. Raises: BackupDamaged; DatabaseTooNew before anything is opened."""
    if source.read(len(_FORMAT)) != _FORMAT:
        raise BackupDamaged(problem=N_("it is no backup of a node"))
    length = int.from_bytes(_exactly(source.read, 4), "big")
    if length > _LONGEST_HEAD:
        raise BackupDamaged(problem=N_("its beginning is damaged"))
    head = _parse_head(_exactly(source.read, length))
    if head.schema > len(MIGRATIONS) + 1:
        raise DatabaseTooNew(found=head.schema, known=len(MIGRATIONS) + 1)
    return head


def extract(source: BinaryIO, head: BackupHead, vault: Vault, folder: Path) -> int:
    """Write every file of a backup into an empty folder. How many.

    What is written is authenticated only at the end, so the folder must be nobody's until this returns.
    Raises: BackupDamaged, also where it was cut off; CannotOpen for another node's vault.
    """
    content = _Content(source, Cobblestone256Decryptor(head.key(vault), head.context()))
    private_folder(folder / ATTACHMENTS)
    count = 0
    while name := content.exactly(int.from_bytes(content.exactly(2), "big")):
        length = int.from_bytes(content.exactly(8), "big")
        with _new_file(folder / _checked(name)) as file:
            for piece in content.pieces(length):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        count += 1
    if int.from_bytes(content.exactly(8), "big") != count:
        raise BackupDamaged(problem=N_("it does not hold what it counts"))
    content.end()
    sync_folder(folder / ATTACHMENTS)
    sync_folder(folder)
    return count


def strip(database: Path) -> None:
    """Take out of a copy what must not outlive this machine: secrets of transfers under way, open sessions."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_mode = MEMORY").fetchone()  # no second file that holds what is taken out
        connection.execute("BEGIN")
        for statement in _STRIP:
            connection.execute(statement)
        connection.execute("COMMIT")


# ---- writing ----


@contextlib.contextmanager
def _copied(data_dir: Path) -> Iterator[Path]:
    """A consistent copy of the database in use, for as long as the block lasts; one backup at a time."""
    copy = data_dir / _DRAFT
    with exhausted(N_("the database")):
        lock = (data_dir / _LOCK).open("wb")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy.unlink(missing_ok=True)  # of a backup that was cut off
        try:
            # VACUUM INTO: one snapshot that writers need not wait for, without the pages of what was deleted.
            with exhausted(N_("the database")):
                node_database(data_dir / DATABASE).backup(copy)
                strip(copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)


def _look_into(copy: Path) -> tuple[int, list[str]]:
    """The schema version, and the files that its cases name."""
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        (schema,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
        rows = connection.execute("SELECT file_id FROM attachment ORDER BY file_id").fetchall()
    return int(schema), [str(each) for (each,) in rows]


def _erased_since(data_dir: Path, before: list[str]) -> int:
    """How many of these files no case names any more: they went while the backup was being written."""
    with contextlib.closing(sqlite3.connect(data_dir / DATABASE, timeout=5)) as connection:
        kept = {str(each) for (each,) in connection.execute("SELECT file_id FROM attachment")}
    return len([each for each in before if each not in kept])


def _head(created: datetime, schema: int, vault: Vault, file: VaultFile, key: bytes) -> bytes:
    plain = {
        "created": created.isoformat(),
        "schema": schema,
        "vault": json.loads(file.to_bytes()),
        "sealed_key": base64.b64encode(vault.seal(key, place=_KEY_PLACE, row=created.isoformat())).decode(),
    }
    return json.dumps(plain, separators=(",", ":")).encode()


def _parse_head(raw: bytes) -> BackupHead:
    try:
        plain: dict[str, Any] = parsed_json(raw)
        return BackupHead(
            created=zoned(plain["created"]),
            schema=int(plain["schema"]),
            vault=VaultFile.parse(json.dumps(plain["vault"]).encode()),
            sealed_key=base64.b64decode(plain["sealed_key"], validate=True),
            raw=raw,
        )
    except (ValueError, KeyError, TypeError, OverflowError, CannotOpen) as malformed:
        raise BackupDamaged(problem=N_("its beginning is damaged")) from malformed


def _named(name: str, length: int) -> bytes:
    raw = name.encode("ascii")
    return len(raw).to_bytes(2, "big") + raw + length.to_bytes(8, "big")


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Exactly so many bytes: a file that grows meanwhile is taken as it was."""
    while length:
        piece = file.read(min(_PIECE, length))
        if not piece:
            raise BackupDamaged(problem=N_("a file became shorter while it was read"))
        length -= len(piece)
        yield piece


# ---- reading ----


class _Content:
    """The decrypted stream, read as far as it is asked for."""

    def __init__(self, source: BinaryIO, decryptor: Cobblestone256Decryptor) -> None:
        self._source = source
        self._decryptor = decryptor
        self._held = bytearray()
        self._over = False

    def exactly(self, length: int) -> bytes:
        """So many bytes, few. Raises: BackupDamaged where there are fewer."""
        if length > _PIECE:
            raise BackupDamaged(problem=N_("it was altered"))
        while len(self._held) < length:
            self._more()
        taken = bytes(self._held[:length])
        del self._held[:length]
        return taken

    def pieces(self, length: int) -> Iterator[bytes]:
        """So many bytes, a piece at a time."""
        while length:
            piece = self.exactly(min(_PIECE, length))
            length -= len(piece)
            yield piece

    def end(self) -> None:
        """Nothing follows, and all of it was authentic."""
        while not self._over:
            self._more()
        if self._held:
            raise BackupDamaged(problem=N_("more follows after its end"))

    def _more(self) -> None:
        if self._over:
            raise BackupDamaged(problem=N_("it is cut off"))
        sealed = self._source.read(_PIECE)
        try:
            if sealed:
                self._held += self._decryptor.update(sealed)
            else:
                self._over = True
                self._held += self._decryptor.finalize()
        except InvalidTag as altered:
            problem = N_("it was altered") if sealed else N_("it is cut off")
            raise BackupDamaged(problem=problem) from altered


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    data = read(length)
    if len(data) != length:
        raise BackupDamaged(problem=N_("it is cut off"))
    return data


def _checked(name: bytes) -> str:
    """A name that a backup may have, and no other: it becomes a path."""
    text = name.decode("ascii", "replace")
    folder, slash, file_id = text.rpartition("/")
    known = text in (DATABASE, *_PLAIN_FILES)
    if not known and not (slash and folder == ATTACHMENTS and len(file_id) == 32 and _FILE_ID.issuperset(file_id)):
        raise BackupDamaged(problem=N_("it holds a file that does not belong there"))
    return text


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError as twice:
        raise BackupDamaged(problem=N_("it holds a file twice")) from twice
    with os.fdopen(descriptor, "wb") as file:
        yield file
