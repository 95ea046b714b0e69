"""When the directory was last saved, as far as it knows: `cordee directory backup` leaves a note in the data folder.

A copy that somebody makes otherwise is not known here. The note is in no backup: it tells of this folder alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cordee.errors import CordeeError
from cordee.runtime.doctor import Finding
from cordee.times import zoned
from directory.files import read_whole, replace
from directory.findings import DIRECTORY
from directory.house import House

__all__ = ["note_saved", "saved_at", "saving_findings"]

_LATELY = timedelta(days=8)  # once a week, and a day; as a node has it


def note_saved(house: House, now: datetime) -> None:
    """A copy is whole. Raises: OSError."""
    replace(house.last_backup, now.isoformat(timespec="seconds").encode())


def saved_at(house: House) -> datetime | None:
    """When the last copy was made; None where none was, or the note cannot be read."""
    try:
        return zoned(read_whole(house.last_backup, limit=100).decode("ascii"))
    except (CordeeError, ValueError):
        return None


def saving_findings(house: House, now: datetime) -> list[Finding]:
    """What is wrong with the backups of a network that is founded."""
    saved = saved_at(house)
    if saved is None:
        return [DIRECTORY.found("no_backup")]
    if now - saved < _LATELY:
        return []
    return [DIRECTORY.found("no_recent_backup", time=saved.strftime("%Y-%m-%d %H:%M UTC"))]
