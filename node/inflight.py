"""Keys for what must not outlive a transfer: a new one each day, in a file of its own that no backup takes.

Whoever restores a backup, or takes the database alone, can never open a one-time seed or a content key (protocol §2).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from datetime import date, timedelta
from pathlib import Path
from threading import Lock

import nacl.exceptions
from nacl.secret import Aead

from cordee.errors import N_, CannotOpen
from cordee.frame import Label, frame
from cordee.runtime.clock import Clock
from node.files import private_folder, replace, sync_folder, write_new

__all__ = ["InFlight"]

_KEY_BYTES = 32
_DESTROYED = bytes(_KEY_BYTES)
_DAY_BYTES = 4
_SUFFIX = ".key"


class InFlight:
    """Seals with the key of the day (UTC), and opens with the key of the day on which it was sealed."""

    def __init__(self, folder: Path, *, clock: Clock, random: Callable[[int], bytes]) -> None:
        """`folder` is made where it is missing (0700)."""
        self._folder = private_folder(folder)
        self._clock = clock
        self._random = random
        self._keys: dict[date, Aead] = {}
        self._lock = Lock()

    def seal(self, plaintext: bytes, *, place: str, row: bytes | str) -> bytes:
        """Encrypt for one field (`table.column`) of one row. The day's key is durable before this returns."""
        day = self._clock.now().date()
        aead = self._key(day, make=True)
        return _day_bytes(day) + bytes(aead.encrypt(plaintext, _aad(day, place, row)))

    def unseal(self, sealed: bytes, *, place: str, row: bytes | str) -> bytes:
        """Raises CannotOpen: damaged, of another field or row, or the day's key was destroyed."""
        day = self.day_of(sealed)
        try:
            return self._key(day, make=False).decrypt(sealed[_DAY_BYTES:], _aad(day, place, row))
        except (nacl.exceptions.CryptoError, ValueError) as failed:
            raise CannotOpen(what=place) from failed

    def day_of(self, sealed: bytes) -> date:
        """The day whose key sealed this. Raises CannotOpen where these are no such bytes."""
        try:
            return date.fromordinal(int.from_bytes(sealed[:_DAY_BYTES], "big"))
        except (ValueError, OverflowError) as malformed:
            raise CannotOpen(what=N_("in-flight secret")) from malformed

    def prune(self, days_in_use: Collection[date]) -> int:
        """Destroy the keys of days before yesterday that nothing in flight needs. Returns how many.

        Yesterday's stays: a step that was sealed just before midnight may be committed just after it.
        """
        yesterday = self._clock.now().date() - timedelta(days=1)
        destroyed = 0
        with self._lock:
            for path in self._folder.iterdir():
                day = _day_of_file(path)
                if day is None or day >= yesterday or day in days_in_use:
                    continue
                self._keys.pop(day, None)
                _destroy(path)
                destroyed += 1
            if destroyed:
                sync_folder(self._folder)
        return destroyed

    def _key(self, day: date, *, make: bool) -> Aead:
        with self._lock:
            known = self._keys.get(day)
            if known is not None:
                return known
            path = self._folder / f"{day.isoformat()}{_SUFFIX}"
            if make and not path.exists():
                write_new(path, self._random(_KEY_BYTES))
            elif make:
                sync_folder(self._folder)  # whoever made it may have been killed before its name was durable
            try:
                key = path.read_bytes()
            except FileNotFoundError as destroyed:
                raise CannotOpen(what=N_("in-flight key of {day}"), day=day) from destroyed
            if make and key == _DESTROYED:  # a power cut came before its name went, and then the clock went back
                key = self._random(_KEY_BYTES)
                replace(path, key)
            if len(key) != _KEY_BYTES or key == _DESTROYED:
                raise CannotOpen(what=N_("in-flight key of {day}"), day=day)
            return self._keys.setdefault(day, Aead(key))


def _destroy(path: Path) -> None:
    """Overwrite, then unlink: on a disk that writes in place the key is gone, elsewhere it is at least unreachable."""
    with path.open("r+b") as file:
        file.write(_DESTROYED)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def _day_of_file(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.name.removesuffix(_SUFFIX)) if path.name.endswith(_SUFFIX) else None
    except ValueError:
        return None


def _day_bytes(day: date) -> bytes:
    return day.toordinal().to_bytes(_DAY_BYTES, "big")


def _aad(day: date, place: str, row: bytes | str) -> bytes:
    line = row.encode() if isinstance(row, str) else bytes(row)
    return frame(Label.IN_FLIGHT, _day_bytes(day), place.encode(), line)
