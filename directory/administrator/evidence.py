"""What an administrator's machine was shown of the roster: its own copy, and what the directory showed beside it.

The machine keeps a file of evidence for each alarm, in a folder beside its copy of the log. Nothing in it is secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cordee.checkpoint import peek_checkpoint
from cordee.errors import N_, CordeeError, NotFound
from cordee.evidence import Said, said_of_views
from cordee.ids import NetworkId
from cordee.signing import Signed
from cordee.v1 import statements_pb2 as v1
from cordee.views import (
    MAX_EVIDENCE,
    PROVEN,
    Verdict,
    ViewsReport,
    author_of,
    export_views,
    judge,
    make_view,
    shown_view,
)
from directory.administrator.home import Home, LogCopy
from directory.files import private_folder, read_whole, write_new

__all__ = ["KeptEvidence", "keep", "kept", "own_file"]

_SUFFIX = ".evidence"
_FILES = 200
"""How many are kept: whoever shows something else at every call must not fill the disk. The first ones tell it."""
_MOST = 100_000  # entries more than this machine knows: a directory may make up any size

Fetch = Callable[[], Awaitable[list[v1.Entry]]]
"""The whole log, as the directory shows it now."""


@dataclass(frozen=True)
class KeptEvidence:
    """One file."""

    path: Path
    at: datetime
    report: ViewsReport | None
    """What anybody finds who judges it; None where it does not hold."""

    @property
    def verdict(self) -> Verdict | None:
        """None where nothing follows from it."""
        found = self.report.verdict if self.report else None
        return found if found in PROVEN else None

    @property
    def shows(self) -> tuple[Said, ...]:
        """In sentences; none where nothing follows."""
        return said_of_views(self.report) if self.report is not None and self.verdict is not None else ()


async def keep(log: LogCopy, *, size: int, shown: str, refusal: CordeeError, fetch: Fetch) -> Path | None:
    """Keep what the directory showed and this machine refused. `size` is how much of the log was verified before.

    The same note is kept once. None where there is nothing to set it against, no note was shown, or enough is kept.
    """
    own = _own_view(log, size)
    if own is None or not shown:
        return None
    name = f"{refusal.reason.lower()}-{hashlib.sha256(shown.encode()).hexdigest()[:16]}{_SUFFIX}"
    path = private_folder(log.evidence) / name
    if path.exists():
        return path
    if len(list(log.evidence.iterdir())) >= _FILES:
        return None
    other = v1.RosterView(checkpoint=shown)
    if _may_be_longer(shown, size):
        with contextlib.suppress(CordeeError):  # it gives nothing out: the note alone is kept
            entries = await fetch()
            found: v1.RosterView | None = await asyncio.to_thread(shown_view, entries, note=shown)
            other = found or other
    write_new(path, export_views([own, other]))
    return path


def keep_word(log: LogCopy, statement: v1.Signed) -> Path | None:
    """Keep what a member signed, that it was shown another log than this machine. The same statement is kept once; None
    where nothing follows from it.
    """
    try:
        signed = Signed.from_message(statement)
    except CordeeError:
        return None
    author, own = author_of(signed), _own_view(log, log.size)
    if author is None or own is None or log.roster is None:
        return None
    note = peek_checkpoint(own.checkpoint)
    own = make_view(log.entries, note=own.checkpoint, size=note.size, members={author})
    file = export_views([own], [signed])
    try:
        if judge([file], network=log.roster.network).verdict is not Verdict.SPLIT_VIEW:
            return None
    except CordeeError:
        return None
    return _written(log, f"split_view-{signed.digest.hex()[:16]}{_SUFFIX}", file)


def _written(log: LogCopy, name: str, file: bytes) -> Path | None:
    path = private_folder(log.evidence) / name
    if path.exists():
        return path
    if len(list(log.evidence.iterdir())) >= _FILES:
        return None
    write_new(path, file)
    return path


def kept(home: Home, *, most: int = _FILES) -> list[KeptEvidence]:
    """The files, the newest first. Raises: NotFound before the network is known here."""
    network = home.network().id
    if not home.evidence.exists():
        return []
    aged = sorted(((path.stat().st_mtime, path) for path in home.evidence.glob(f"*{_SUFFIX}")), reverse=True)
    return [KeptEvidence(path, datetime.fromtimestamp(at, UTC), _judged(path, network)) for at, path in aged[:most]]


def _judged(path: Path, network: NetworkId) -> ViewsReport | None:
    try:
        return judge([read_whole(path, limit=MAX_EVIDENCE)], network=network)
    except CordeeError:
        return None


def own_file(home: Home) -> bytes:
    """What this machine was shown up to now, to be compared with others. Raises: NotFound before the first look."""
    log = home.log()
    view = _own_view(log, log.size)
    if view is None:
        raise NotFound(what=N_("roster"))
    return export_views([view])


def _own_view(log: LogCopy, size: int) -> v1.RosterView | None:
    try:
        known = peek_checkpoint(log.note).size if log.note else 0
        return make_view(log.entries, note=log.note, size=known) if 1 <= known <= size else None
    except CordeeError:
        return None


def _may_be_longer(note: str, known: int) -> bool:
    try:
        return known < peek_checkpoint(note).size <= known + _MOST
    except CordeeError:
        return False
