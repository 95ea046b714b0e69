"""Files that survive a power cut: written beside, flushed, then put in place. All are for the owner alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cordee.errors import N_, AlreadyExists, InvalidInput
from cordee.runtime.texts import why

__all__ = ["private_folder", "read_whole", "replace", "write_new"]


def private_folder(folder: Path) -> Path:
    """Make a folder that only this account can enter (0700), parents included. Returns it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a new file, durably and whole. Raises: AlreadyExists; the file that is there is left as it is."""
    draft = _draft(path, data, mode)
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces a file
    except FileExistsError:
        raise AlreadyExists(what=path) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    _sync(path.parent)


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file, durably and whole: after a crash there is the old one or the new one."""
    _draft(path, data, mode).replace(path)
    _sync(path.parent)


def read_whole(path: Path, *, limit: int = 1 << 20) -> bytes:
    """A small file. Raises: InvalidInput, naming the file, where it cannot be read or has more than `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InvalidInput(field=path, problem=why(error, N_("it cannot be read"))) from error
    if len(data) > limit:
        raise InvalidInput(field=path, problem=N_("it has more than {limit} bytes"), limit=limit)
    return data


def _draft(path: Path, data: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.draft")
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(draft, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # half a file must not hold the room that the next attempt needs
        draft.unlink(missing_ok=True)
        raise
    return draft


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
