"""Keys at rest: passphrase → key-encryption key → vault key → one data key for each case (protocol §2)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import nacl.exceptions
from nacl.secret import Aead

from cordee.drawn import DrawnSecret
from cordee.errors import N_, AlreadyExists, CannotOpen
from cordee.frame import Label, frame
from node.files import write_new
from node.vault_file import KEY_BYTES, LEAST_MEMLIMIT, LEAST_OPSLIMIT, MEMLIMIT, OPSLIMIT, VaultFile

__all__ = ["FILE", "DataKey", "Vault"]

FILE = "vault.json"


def _row_bytes(row: bytes | str) -> bytes:
    return row.encode() if isinstance(row, str) else bytes(row)


def _seal(aead: Aead, plaintext: bytes, aad: bytes) -> bytes:
    return bytes(aead.encrypt(plaintext, aad))  # PyNaCl draws the 24-byte nonce, which stands first


def _unseal(aead: Aead, sealed: bytes, aad: bytes, what: str) -> bytes:
    try:
        return aead.decrypt(sealed, aad)
    except (nacl.exceptions.CryptoError, ValueError) as failed:
        raise CannotOpen(what=what) from failed


class DataKey(bytes):
    """One case's own key, 32 bytes. Destroying it makes all that it sealed unreadable, in every backup too."""

    def __new__(cls, value: bytes) -> DataKey:
        """Raises ValueError for another length."""
        if len(value) != KEY_BYTES:
            raise ValueError("a data key has 32 bytes")
        return super().__new__(cls, value)

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> DataKey:
        """A fresh key."""
        return cls(random(KEY_BYTES))

    def __repr__(self) -> str:
        return "DataKey(…)"

    __str__ = __repr__

    def seal(self, plaintext: bytes, *, place: str, row: bytes | str) -> bytes:
        """Encrypt for one field (`table.column`) of one row: XChaCha20-Poly1305, 40 bytes longer."""
        return _seal(Aead(bytes(self)), plaintext, frame(Label.RECORD, place.encode(), _row_bytes(row)))

    def unseal(self, sealed: bytes, *, place: str, row: bytes | str) -> bytes:
        """Raises CannotOpen where the bytes are damaged, or were sealed by another key, for another field or row."""
        return _unseal(Aead(bytes(self)), sealed, frame(Label.RECORD, place.encode(), _row_bytes(row)), place)


class Vault:
    """The node's own key, in memory only. Its file holds it sealed under the passphrase."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes. Sealing and look-ups use two keys derived from it."""
        self._aead = Aead(_derive(key, Label.VAULT))
        self._index_key = _derive(key, Label.BLIND_INDEX)

    @classmethod
    def create(
        cls,
        path: Path,
        passphrase: bytes,
        *,
        random: Callable[[int], bytes] = os.urandom,
        opslimit: int = OPSLIMIT,
        memlimit: int = MEMLIMIT,
    ) -> Vault:
        """Make a vault and write its file (0600), durably. `memlimit` in bytes; both limits stand in the file.

        A secret that was drawn is stretched as little as can be, for nobody can search for it.

        Raises: InvalidInput for an empty passphrase; AlreadyExists where the file exists.
        """
        if isinstance(passphrase, DrawnSecret):
            opslimit, memlimit = LEAST_OPSLIMIT, LEAST_MEMLIMIT
        key = random(KEY_BYTES)
        file = VaultFile.seal(key, passphrase, random=random, opslimit=opslimit, memlimit=memlimit)
        try:
            write_new(path, file.to_bytes())
        except FileExistsError as exists:
            raise AlreadyExists(what=N_("vault")) from exists
        return cls(key)

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> Vault:
        """Open an existing vault. Takes a noticeable part of a second, on purpose.

        Raises: NotFound; CannotOpen for a file that is no vault; VaultLocked for another passphrase.
        """
        return cls(VaultFile.read(path).unlock(passphrase))

    def __repr__(self) -> str:
        return "Vault(…)"

    def seal(self, plaintext: bytes, *, place: str, row: bytes | str) -> bytes:
        """Encrypt for one field (`table.column`) of one row: XChaCha20-Poly1305, 40 bytes longer."""
        return _seal(self._aead, plaintext, frame(Label.VAULT, place.encode(), _row_bytes(row)))

    def unseal(self, sealed: bytes, *, place: str, row: bytes | str) -> bytes:
        """Raises CannotOpen where the bytes are damaged, or were sealed by another key, for another field or row."""
        return _unseal(self._aead, sealed, frame(Label.VAULT, place.encode(), _row_bytes(row)), place)

    def index(self, value: bytes, *, place: str) -> bytes:
        """A keyed hash (BLAKE2b, 32 bytes) by which a sealed value can be looked up but not guessed offline."""
        text = frame(Label.BLIND_INDEX, place.encode(), value)
        return hashlib.blake2b(text, digest_size=32, key=self._index_key).digest()


def _derive(key: bytes, label: Label) -> bytes:
    if len(key) != KEY_BYTES:
        raise CannotOpen(what=N_("the vault's key"))
    return hashlib.blake2b(frame(label, b"subkey"), digest_size=KEY_BYTES, key=key).digest()
