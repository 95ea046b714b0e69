"""Whether anybody opens, reads or changes anything in a folder, as the kernel tells it (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Watch"]

_ALL_EVENTS = 0x00000FFF
_IS_FOLDER = 0x40000000
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Remembers every event of files in these folders, not in those below them. That somebody lists a folder is not
    one: other tests of this process look through all of the temporary folder.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0
        self._names = {}
        for folder in folders:
            watched = _LIBC.inotify_add_watch(self._descriptor, os.fsencode(folder), _ALL_EVENTS)
            assert watched >= 0, os.strerror(ctypes.get_errno())
            self._names[watched] = folder
        self._seen: list[str] = []

    def events(self) -> list[str]:
        """What happened so far: names of files, once for each event."""
        try:
            while data := os.read(self._descriptor, 65_536):
                at = 0
                while at < len(data):
                    watched, mask, _, length = _EVENT.unpack_from(data, at)
                    name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0").decode()
                    if not mask & _IS_FOLDER:
                        self._seen.append(f"{self._names[watched] / name} {mask:#x}")
                    at += _EVENT.size + length
        except BlockingIOError:
            pass
        return self._seen

    def close(self) -> None:
        os.close(self._descriptor)
