"""Files and folders that survive a power cut. A file lasts once it *and its name* were synchronised (fsync(2)).

Small files are written beside, flushed, then put in place: after a crash there is the old one, the new one, or none;
never half of one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["private_folder", "replace", "sync_folder", "write_new"]


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: without it a power cut may undo a new name or a deletion. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> Path:
    """Make a folder that only this account can enter (0700), parents included, durably. Returns it.

    One that is there already is made durable too: whoever made it may have been killed before it was. Raises: OSError.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for parent in {each.parent for each in (folder, *made)}:
        with contextlib.suppress(PermissionError):  # it may be written but not read: nobody can synchronise it
            sync_folder(parent)
    return folder


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a new file, durably and whole: after a crash it is there complete, or not at all.

    Raises: FileExistsError where there is one; it is left as it is.
    """
    draft = _draft(path, data, mode)
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces a file
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file in the place of an earlier one, durably: after a crash it holds the old bytes or the new ones."""
    _draft(path, data, mode).replace(path)
    sync_folder(path.parent)


def _draft(path: Path, data: bytes, mode: int) -> Path:
    """A file beside `path`, flushed to disk.

    One that a crash left there is unlinked, never written over: it may be the file itself under a second name.
    """
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        with open(os.open(draft, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft
