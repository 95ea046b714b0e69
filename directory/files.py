"""Files that survive a power cut: written beside, flushed, then put in place. All are for the owner alone."""

from __future__ import annotations

from pathlib import Path

from cordee.errors import N_, AlreadyExists, InvalidInput
from cordee.runtime import durable
from cordee.runtime.durable import private_folder, replace, sync_folder
from cordee.runtime.texts import why

__all__ = ["private_folder", "read_whole", "replace", "sync_folder", "write_new"]


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a new file, durably and whole. Raises: AlreadyExists; the file that is there is left as it is."""
    try:
        durable.write_new(path, data, mode=mode)
    except FileExistsError:
        raise AlreadyExists(what=path) from None


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
