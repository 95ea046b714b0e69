"""Attachments on disk: sealed while they stream in, never in clear anywhere, never whole in memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from cordee.errors import N_, ContentDamaged
from cordee.frame import Label, frame
from cordee.runtime.bulk import BlockReader, WriteBehind
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.exhausted import exhausted, told
from node.files import private_folder, sync_folder
from node.vault import DataKey

__all__ = ["PIECE", "AttachmentStore", "AttachmentWriter", "StoredAttachment", "Written"]

PIECE = 1_048_576
"""Bytes of plaintext in one piece that is read."""

BEFORE_FSYNC = register("attachments.write.before_fsync")

_HEADER = 56  # salt and key commitment of C2SP chunked encryption
_CHUNK = 16_384
_TAG = 16
_FILE_ID = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class StoredAttachment:
    """What a case says of one of its attachments, and the file that holds it. `size` in bytes, of the plaintext."""

    attachment_id: str
    file_id: str
    file_name: str
    media_type: str
    kind: str
    section: str
    size: int
    sha256: bytes
    may_be_sent: bool
    third_party_data: bool


@dataclass(frozen=True)
class Written:
    """A file that is durable on disk: its id, and size and SHA-256 of what it seals."""

    file_id: str
    size: int
    sha256: bytes


class AttachmentWriter:
    """Seals one attachment as its bytes come. Ends with `finish` or `abandon`; a crash leaves an orphan to sweep."""

    def __init__(
        self,
        folder: Path,
        data_key: DataKey,
        attachment_id: str,
        file_id: str,
        crashpoints: Crashpoints,
        *,
        digest: bytes | None = None,
    ) -> None:
        self._path = folder / file_id
        self._file_id = file_id
        self._crashpoints = crashpoints
        self._encryptor = Cobblestone256Encryptor(_subkey(data_key, attachment_id), _context(attachment_id, file_id))
        self._known = digest
        self._digest = hashlib.sha256()
        self._size = 0
        self._finished = False
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        self._file = open(os.open(self._path, flags, 0o600), "wb", buffering=0)  # noqa: SIM115  # finish closes
        self._behind = WriteBehind(self._file.fileno())

    def write(self, chunk: bytes) -> None:
        """Add plaintext, in chunks of any size. Raises StorageFull; the file is then abandoned."""
        if self._known is None:
            self._digest.update(chunk)
        self._size += len(chunk)
        self._put(self._encryptor.update(chunk))

    def finish(self) -> Written:
        """Seal the end and flush to disk: what is returned survives a power cut. Raises StorageFull."""
        self._put(self._encryptor.finalize())
        try:
            with self._file as file, self._behind as behind:
                behind.flush()
                self._crashpoints.reach(BEFORE_FSYNC)
                os.fsync(file.fileno())
            sync_folder(self._path.parent)
        except OSError as failed:
            self._give_up(failed)
        self._finished = True
        return Written(file_id=self._file_id, size=self._size, sha256=self._known or self._digest.digest())

    def abandon(self) -> None:
        """Remove what was written so far. After `finish` has succeeded it does nothing."""
        if self._finished:
            return
        self._behind.close()
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _put(self, sealed: bytes) -> None:
        try:
            self._behind.write(sealed)
        except OSError as failed:
            self._give_up(failed)

    def _give_up(self, failed: OSError) -> None:
        self.abandon()
        raise told(failed, what=N_("the attachments")) or failed from failed


class AttachmentStore:
    """A folder of sealed files with random names. Each is sealed with a key of its own, made from its case's data key.

    All methods do file I/O: call them in a thread.
    """

    def __init__(self, folder: Path, *, random: Callable[[int], bytes], crashpoints: Crashpoints | None = None) -> None:
        """`folder` is made where it is missing (0700)."""
        self._folder = private_folder(folder)
        self._random = random
        self._crashpoints = crashpoints or Crashpoints()

    def writer(self, data_key: DataKey, attachment_id: str, *, digest: bytes | None = None) -> AttachmentWriter:
        """For bytes that are pushed. The caller ends it with `finish` or `abandon`.

        `digest` is the SHA-256 where the caller itself checks that the bytes have it; it is then not taken again.
        """
        file_id = self._random(16).hex()
        with exhausted(N_("the attachments")):
            return AttachmentWriter(self._folder, data_key, attachment_id, file_id, self._crashpoints, digest=digest)

    def write(self, data_key: DataKey, attachment_id: str, chunks: Iterable[bytes]) -> Written:
        """Seal a whole stream. Whatever `chunks` raises leaves no file behind. Raises StorageFull."""
        writer = self.writer(data_key, attachment_id)
        try:
            for chunk in chunks:
                writer.write(chunk)
        except BaseException:
            writer.abandon()
            raise
        return writer.finish()

    def read(self, data_key: DataKey, stored: StoredAttachment) -> Iterator[bytes]:
        """The plaintext, in pieces of 1 MiB at most.

        A file of another length is refused before anything is released, and each piece is authenticated before it is.
        Raises: ContentDamaged, also where the file is missing or was sealed by another key.
        """
        key = _subkey(data_key, stored.attachment_id)
        try:
            decryptor = Cobblestone256Decryptor(key, _context(stored.attachment_id, stored.file_id))
            with contextlib.closing(BlockReader(self._path(stored.file_id))) as file:
                if file.size != _sealed_size(stored.size):
                    raise ContentDamaged(problem=N_("an attachment has another length on disk"))
                for sealed in file.pieces(piece=PIECE):
                    yield from _cut(decryptor.update(sealed))
            yield from _cut(decryptor.finalize())
        except FileNotFoundError as missing:
            raise ContentDamaged(problem=N_("an attachment is missing on disk")) from missing
        except InvalidTag as altered:
            raise ContentDamaged(problem=N_("an attachment was altered on disk")) from altered

    def erase(self, file_id: str) -> None:
        """Unlink a file. Its key went with the case's data key; nothing happens where there is no such file."""
        self._path(file_id).unlink(missing_ok=True)
        sync_folder(self._folder)

    def sweep(self, known: Collection[str]) -> int:
        """Remove every file that no record knows: what a crash left behind. How many.

        Only at start: a file that is being written is not yet known.
        """
        orphans = [path for path in self._folder.iterdir() if path.name not in known]
        for path in orphans:
            path.unlink()
        if orphans:
            sync_folder(self._folder)
        return len(orphans)

    def _path(self, file_id: str) -> Path:
        if len(file_id) != 32 or not _FILE_ID.issuperset(file_id):
            raise ContentDamaged(problem=N_("an attachment's file has an impossible name"))
        return self._folder / file_id


def _subkey(data_key: DataKey, attachment_id: str) -> bytes:
    text = frame(Label.ATTACHMENT, b"key", attachment_id.encode())
    return hashlib.blake2b(text, digest_size=32, key=bytes(data_key)).digest()


def _context(attachment_id: str, file_id: str) -> bytes:
    return frame(Label.ATTACHMENT, b"content", attachment_id.encode(), file_id.encode())


def _sealed_size(size: int) -> int:
    """The last chunk is always a short one, if need be an empty one: so many chunks, so many tags."""
    return _HEADER + size + _TAG * (size // _CHUNK + 1)


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]
