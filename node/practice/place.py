"""Where practice keeps what it makes: one new folder that is erased at the end, and nowhere else.

It is made in the system's temporary folder, for this account alone. What a killed practice left behind is erased by the
next one; nobody could read it in the meantime, for the passphrase of its vaults was in that process's memory only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from cordee.errors import N_, InvalidInput

__all__ = ["forget_settings", "new_place", "require_no_house"]

_PREFIX = "cordee-practice-"
_LOCK = "in-use"
_OF_A_HOUSE = ("vault.json", "node.db", "membership.json", "directory.db", "founding.json")
"""What a folder of a real node or of a real directory holds."""


def forget_settings(environment: MutableMapping[str, str]) -> None:
    """Forget every setting of Cordée: folders, files with secrets, servers. Practice is told what it needs, and the
    processes it starts inherit none of it.
    """
    for name in [each for each in environment if each.startswith("CORDEE_")]:
        del environment[name]


def require_no_house(folder: Path) -> None:
    """That practice may make its folder in this one: neither it nor one above it belongs to a node or a directory.

    Raises: InvalidInput.
    """
    whole = folder.resolve()
    for each in (whole, *whole.parents):
        if any((each / name).exists() for name in _OF_A_HOUSE):
            raise InvalidInput(
                field="--folder", problem=N_("it belongs to a real node or directory; practice stays away from it")
            )
    if not whole.is_dir():
        raise InvalidInput(field="--folder", problem=N_("there is no such folder"))


@contextmanager
def new_place(within: Path | None = None) -> Iterator[Path]:
    """A new folder (0700), erased at the end, whatever happens. Raises InvalidInput."""
    above = within or Path(tempfile.gettempdir())
    require_no_house(above)
    _sweep(above)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
    held = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _sweep(above: Path) -> None:
    """Erase what practices left behind that were killed: their locks are free."""
    for folder in above.glob(f"{_PREFIX}*"):
        lock = folder / _LOCK
        if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid() or lock.is_symlink():
            continue
        try:
            held = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # one that is just being made
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(held)
