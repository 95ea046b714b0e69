"""What the machine refuses for want of something, told with a reason: a full disk, no file descriptors, no memory.

SQLite and the system say it in their own ways. In one place they become errors that a caller can act on; whatever else
they raise is a fault of this program or of the machine and is left as it is.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from cordee.errors import CordeeError, DatabaseDamaged, DiskFailed, NothingLeft, StorageFull

__all__ = ["FULL", "exhausted", "told"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room: on the disk, within the account's quota, within a file's greatest size."""

_NO_MORE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
_LOW_BYTE = 0xFF  # of an extended result code: what it is a case of (https://sqlite.org/rescode.html)
_UNREADABLE = "Could not decode to UTF-8"  # the driver's words for a text column that holds no text
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def told(error: BaseException, *, what: str) -> CordeeError | None:
    """The error of ours that this is, or None. `what` the disk or the database holds, as in "the database"."""
    if isinstance(error, CordeeError):
        return error
    origin = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        return _of_sqlite(origin, what)
    if isinstance(origin, MemoryError):
        return NothingLeft(what=errno.errorcode[errno.ENOMEM])
    if isinstance(origin, OSError) and origin.errno is not None:
        if origin.errno in FULL:
            return StorageFull(what=what)
        if origin.errno in _NO_MORE:
            return NothingLeft(what=errno.errorcode[origin.errno])
        if origin.errno == errno.EIO:
            return DiskFailed(what=what)
    return None


@contextmanager
def exhausted(what: str) -> Iterator[None]:
    """Around what needs room, descriptors or memory. Raises: StorageFull, NothingLeft, DiskFailed; else what was."""
    try:
        yield
    except (OSError, MemoryError, sqlite3.Error) as error:
        known = told(error, what=what)
        if known is None:
            raise
        raise known from error


def _of_sqlite(error: sqlite3.Error, what: str) -> CordeeError | None:
    code = getattr(error, "sqlite_errorcode", None)  # the driver's own misuse errors have none
    if code is None:
        return DatabaseDamaged(what=what) if str(error).startswith(_UNREADABLE) else None
    kind = code & _LOW_BYTE
    if kind == sqlite3.SQLITE_FULL:
        return StorageFull(what=what)
    if kind in _DAMAGED:
        return DatabaseDamaged(what=what)
    if kind == sqlite3.SQLITE_NOMEM:
        return NothingLeft(what=errno.errorcode[errno.ENOMEM])
    if kind == sqlite3.SQLITE_CANTOPEN:
        return NothingLeft(what=errno.errorcode[errno.EMFILE])
    if kind == sqlite3.SQLITE_IOERR:
        # Beyond a quota, or where its shared memory finds no room, SQLite says no more than that a write failed.
        return DiskFailed(what=what)
    return None
