"""SQLite's own file system layer with a look at each write, truncation and sync: to fill up, to fail, to die there.

The library that Python's `sqlite3` uses is the one that the dynamic linker finds under its name, so a layer that is
registered there by ctypes serves every connection of this process. It is SQLite's own, but for the three methods of an
open file that change what lies on the disk.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["FULL", "IOERR", "Watcher", "install"]

OK, IOERR, FULL = 0, 10, 13

_LIBRARY = "libsqlite3.so.0"
_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_WRITE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _L)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)


class Watcher(Protocol):
    """Asked before each change; what it answers other than 0 is SQLite's error code, and nothing is changed then."""

    def writes(self, path: str, offset: int, size: int) -> int: ...

    def truncates(self, path: str, size: int) -> int: ...

    def syncs(self, path: str) -> int: ...


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", _I),
        ("file_size", _I),
        ("longest_path", _I),
        ("next", _P),
        ("name", ctypes.c_char_p),
        ("data", _P),
        ("open", _P),
        ("others", _P * 15),
    )


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", _I),
        ("close", _P),
        ("read", _P),
        ("write", _P),
        ("truncate", _P),
        ("sync", _P),
        ("others", _P * 13),
    )


_kept: list[Any] = []  # what C code points to must live as long as it may call


def install(watcher: Watcher) -> bool:
    """Make it the layer of every connection that is opened from now on. False where the library is another one."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = (ctypes.c_char_p,)
    usual = library.sqlite3_vfs_find(None)
    ours = _Vfs.from_buffer_copy(usual.contents)
    ours.name = b"watched"
    opened = _opening(watcher, usual)
    ours.open = ctypes.cast(opened, _P)
    _kept.extend((library, usual, ours, opened))
    return bool(library.sqlite3_vfs_register(ctypes.byref(ours), 1) == OK)


def _opening(watcher: Watcher, usual: Any) -> Any:
    open_ = _OPEN(usual.contents.open)
    address = ctypes.addressof(usual.contents)
    paths: dict[int, str] = {}
    made: dict[int, Any] = {}

    def opening(_vfs: int, name: int | None, file: int, flags: int, out_flags: int | None) -> int:
        code: int = open_(address, name, file, flags, out_flags)
        if code == OK and name:
            methods = _P.from_address(file)
            if methods.value and methods.value not in made.values():
                if methods.value not in made:
                    made[methods.value] = _methods(methods.value, watcher, paths)
                paths[file] = ctypes.string_at(name).decode()
                methods.value = made[methods.value]
        return code

    return _OPEN(opening)


def _methods(usual: int, watcher: Watcher, paths: dict[int, str]) -> int:
    theirs = _Methods.from_address(usual)
    ours = _Methods.from_buffer_copy(theirs)
    write, truncate, sync = _WRITE(theirs.write), _TRUNCATE(theirs.truncate), _SYNC(theirs.sync)

    def writing(file: int, data: int, size: int, offset: int) -> int:
        try:  # written out: it is what is called most
            code = watcher.writes(paths[file], offset, size)
        except BaseException:
            code = IOERR
        return code or write(file, data, size, offset)  # type: ignore[no-any-return]

    def truncating(file: int, size: int) -> int:
        return _asked(lambda: watcher.truncates(paths[file], size)) or int(truncate(file, size))

    def syncing(file: int, flags: int) -> int:
        return _asked(lambda: watcher.syncs(paths[file])) or int(sync(file, flags))

    callbacks = _WRITE(writing), _TRUNCATE(truncating), _SYNC(syncing)
    ours.write, ours.truncate, ours.sync = (ctypes.cast(each, _P) for each in callbacks)
    _kept.extend((theirs, ours, callbacks, write, truncate, sync))
    return ctypes.addressof(ours)


def _asked(question: Callable[[], int]) -> int:
    try:
        return question()
    except BaseException:  # nothing may be raised through C code
        return IOERR
