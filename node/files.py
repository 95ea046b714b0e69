"""Files that survive a power cut: written beside, flushed, then put in place."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["private_folder", "replace", "sync_folder", "write_new"]


def private_folder(folder: Path) -> Path:
    """Make a folder that only this account can enter (0700), parents included. Returns it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: without it a power cut may undo a new name or a deletion."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Write a new file (0600), durably and whole: after a crash it is there complete, or not at all.

    Raises: FileExistsError where there is one; it is left as it is.
    """
    draft = _draft(path, data)
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces a file
    finally:
        draft.unlink()
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Write a file (0600) in the place of an earlier one: after a crash it holds the old bytes or the new ones."""
    _draft(path, data).replace(path)
    sync_folder(path.parent)


def _draft(path: Path, data: bytes) -> Path:
    """A file beside `path`, flushed to disk; one that a crash left there is written over."""
    draft = path.with_name(f".{path.name}.draft")
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(draft, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft
