"""The vault's file: one key, sealed once under the passphrase and once for each kit of recovery words (protocol §2).

Nothing in it is secret without the passphrase or a kit, so a backup carries it in clear at its head.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import nacl.exceptions
import nacl.pwhash
from nacl.secret import Aead

from cordee.errors import N_, CannotOpen, InvalidInput, KitUnknown, NotFound, VaultLocked
from cordee.frame import Label, frame
from cordee.jsonform import parsed_json

__all__ = ["KEY_BYTES", "LEAST_MEMLIMIT", "LEAST_OPSLIMIT", "MEMLIMIT", "OPSLIMIT", "VaultFile"]

KEY_BYTES: Final = 32
# Argon2id (RFC 9106) with one lane. Memory is bounded by what a small machine's node may use in all (150 MiB).
OPSLIMIT: Final = 4
MEMLIMIT: Final = 48 * 1024 * 1024
LEAST_OPSLIMIT: Final = nacl.pwhash.argon2id.OPSLIMIT_MIN
LEAST_MEMLIMIT: Final = nacl.pwhash.argon2id.MEMLIMIT_MIN
"""For a secret that nobody can search for (`DrawnSecret`)."""

_FORMAT = "cordee vault 1"
_MOST_OPS = 64
_MOST_MEMORY = 1024 * 1024 * 1024
_MOST_KITS = 16
_LONGEST_KIT = 32


@dataclass(frozen=True)
class _Lock:
    """The key, sealed under a secret that Argon2id stretches. `memlimit` in bytes."""

    opslimit: int
    memlimit: int
    salt: bytes
    sealed_key: bytes

    @classmethod
    def make(
        cls, key: bytes, secret: bytes, *parts: bytes, random: Callable[[int], bytes], opslimit: int, memlimit: int
    ) -> _Lock:
        salt = random(nacl.pwhash.argon2id.SALTBYTES)
        empty = cls(opslimit, memlimit, salt, b"")
        # PyNaCl draws the 24-byte nonce, which stands first.
        return replace(empty, sealed_key=bytes(Aead(empty._stretch(secret)).encrypt(key, empty._header(*parts))))

    @classmethod
    def parse(cls, plain: dict[str, Any]) -> _Lock:
        """Raises: ValueError, KeyError, TypeError."""
        lock = cls(
            opslimit=int(plain["opslimit"]),
            memlimit=int(plain["memlimit"]),
            salt=base64.b64decode(plain["salt"], validate=True),
            sealed_key=base64.b64decode(plain["sealed_key"], validate=True),
        )
        # A file that was tampered with must not make us spend all memory.
        if not 0 < lock.opslimit <= _MOST_OPS or not 0 < lock.memlimit <= _MOST_MEMORY:
            raise ValueError("out of range")
        if len(lock.salt) != nacl.pwhash.argon2id.SALTBYTES:
            raise ValueError("another length")
        return lock

    def plain(self) -> dict[str, Any]:
        return {
            "kdf": "argon2id13",
            "opslimit": self.opslimit,
            "memlimit": self.memlimit,
            "salt": base64.b64encode(self.salt).decode(),
            "sealed_key": base64.b64encode(self.sealed_key).decode(),
        }

    def open(self, secret: bytes, *parts: bytes) -> bytes | None:
        """The key, or None for another secret."""
        try:
            key = Aead(self._stretch(secret)).decrypt(self.sealed_key, self._header(*parts))
        except (nacl.exceptions.CryptoError, ValueError):
            return None
        return key if len(key) == KEY_BYTES else None

    def _stretch(self, secret: bytes) -> bytes:
        kdf = nacl.pwhash.argon2id.kdf
        return bytes(kdf(KEY_BYTES, secret, self.salt, opslimit=self.opslimit, memlimit=self.memlimit))

    def _header(self, *parts: bytes) -> bytes:
        numbers = self.opslimit.to_bytes(8, "big") + self.memlimit.to_bytes(8, "big")
        what = parts or (b"passphrase",)
        return frame(Label.RECOVERY if parts else Label.VAULT, *what, self.salt, numbers)


@dataclass(frozen=True)
class VaultFile:
    """What the file says: how the passphrase opens the key, and how each kit does."""

    passphrase: _Lock
    kits: tuple[tuple[str, _Lock], ...] = ()

    @classmethod
    def seal(
        cls,
        key: bytes,
        passphrase: bytes,
        *,
        random: Callable[[int], bytes],
        opslimit: int = OPSLIMIT,
        memlimit: int = MEMLIMIT,
    ) -> VaultFile:
        """For a new vault. Raises: InvalidInput for an empty passphrase."""
        _require_some(passphrase)
        return cls(_Lock.make(key, passphrase, random=random, opslimit=opslimit, memlimit=memlimit))

    @classmethod
    def parse(cls, data: bytes) -> VaultFile:
        """Raises: CannotOpen for what is no vault's file."""
        try:
            plain = parsed_json(data)
            kits = plain.get("kits", [])
            known = plain["format"] == _FORMAT and len(kits) <= _MOST_KITS
            if not known or any(not 0 < len(str(each["kit"])) <= _LONGEST_KIT for each in kits):
                raise ValueError("another format")
            return cls(_Lock.parse(plain), tuple((str(each["kit"]), _Lock.parse(each)) for each in kits))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as malformed:
            raise CannotOpen(what=N_("the vault's file")) from malformed

    @classmethod
    def read(cls, path: Path) -> VaultFile:
        """Raises: NotFound; CannotOpen."""
        try:
            return cls.parse(path.read_bytes())
        except FileNotFoundError as missing:
            raise NotFound(what=N_("vault")) from missing

    def to_bytes(self) -> bytes:
        """JSON. Without a kit it is what earlier versions wrote."""
        plain: dict[str, Any] = {"format": _FORMAT, **self.passphrase.plain()}
        if self.kits:
            plain["kits"] = [{"kit": kit, **lock.plain()} for kit, lock in self.kits]
        return json.dumps(plain, indent=1).encode() + b"\n"

    def unlock(self, passphrase: bytes) -> bytes:
        """The vault key, 32 bytes. Takes a noticeable part of a second, on purpose. Raises: VaultLocked."""
        key = self.passphrase.open(passphrase)
        if key is None:
            raise VaultLocked()
        return key

    def unlock_with_kit(self, kit: str, secret: bytes) -> bytes:
        """The vault key, from a kit's secret. Raises: KitUnknown where this vault has no such kit (any more)."""
        for name, lock in self.kits:
            if name == kit:
                key = lock.open(secret, b"kit", kit.encode())
                if key is not None:
                    return key
        raise KitUnknown(kit=kit)

    def with_passphrase(self, key: bytes, passphrase: bytes, *, random: Callable[[int], bytes]) -> VaultFile:
        """Another passphrase; the kits stay. It is stretched no less than a new vault's, whatever the one before was.

        Raises: InvalidInput for an empty one.
        """
        _require_some(passphrase)
        made = _Lock.make(
            key,
            passphrase,
            random=random,
            opslimit=max(self.passphrase.opslimit, OPSLIMIT),
            memlimit=max(self.passphrase.memlimit, MEMLIMIT),
        )
        return replace(self, passphrase=made)

    def with_kit(self, key: bytes, kit: str, secret: bytes, *, random: Callable[[int], bytes]) -> VaultFile:
        """One kit more. The others stay until this one is proven. Raises: InvalidInput where there are too many."""
        if len(self.kits) >= _MOST_KITS:
            raise InvalidInput(
                field="kits", problem=N_("{count} of them are unproven: try one out first"), count=len(self.kits)
            )
        lock = _Lock.make(
            key,
            secret,
            *(b"kit", kit.encode()),
            random=random,
            opslimit=self.passphrase.opslimit,
            memlimit=self.passphrase.memlimit,
        )
        return replace(self, kits=(*self.kits, (kit, lock)))

    def with_only(self, kit: str) -> VaultFile:
        """Without the kits made before this one."""
        names = [name for name, _ in self.kits]
        return replace(self, kits=self.kits[names.index(kit) :]) if kit in names else self


def _require_some(passphrase: bytes) -> None:
    if not passphrase:
        raise InvalidInput(field="passphrase", problem=N_("it is empty"))
