"""What this node can show to others: what it was shown of the roster, and its own journal (docs/evidence.md)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, select

from cordee.checkpoint import peek_checkpoint
from cordee.errors import N_, CordeeError, NotFound
from cordee.evidence import Said, said_of_views
from cordee.excerpt import make_excerpt
from cordee.ids import MemberId
from cordee.journal import first_line
from cordee.signing import Signed
from cordee.v1 import statements_pb2
from cordee.views import PROVEN, Verdict, author_of, export_views, judge, make_view
from node import journal
from node.house import House
from node.store import table_of
from node.store.roster import EntryRow, EvidenceRow, EvidenceViewRow

__all__ = ["EvidenceLine", "evidence_file", "evidence_kept", "present_view", "whole_journal"]

_ENTRY, _EVIDENCE, _VIEW = table_of(EntryRow), table_of(EvidenceRow), table_of(EvidenceViewRow)
_LISTED = 20
"""How many are told at once: each is judged anew."""


@dataclass(frozen=True)
class EvidenceLine:
    """What was kept when an alarm was raised."""

    number: int
    at: datetime
    reason: str
    """The alarm's reason code."""
    verdict: Verdict | None
    """What anybody finds who judges the file; None where nothing follows from it."""
    shows: tuple[Said, ...]
    kept_size: int
    shown_size: int
    """0 where that is not known."""
    shown_by: MemberId | None
    """Whose statement it was, if it was no checkpoint of the directory."""


async def evidence_kept(house: House) -> list[EvidenceLine]:
    """All of it, the newest first."""

    def read(tx: Connection) -> list[EvidenceLine]:
        rows = tx.execute(select(_EVIDENCE).order_by(_EVIDENCE.c.id.desc()).limit(_LISTED)).all()
        return [_line(tx, house, row) for row in rows]

    return await house.db.read(read)


async def evidence_file(house: House, number: int, *, by: str) -> bytes:
    """The file for the network's office. That it is taken along is journalled first.

    Raises: NotFound.
    """
    now = house.clock.now()

    def note(tx: Connection) -> None:
        row = _row(tx, number)
        journal.append(tx, now=now, actor=by, action="evidence.exported", subject=str(number), outcome=row.reason)

    await house.db.write(note)
    return await house.db.read(lambda tx: _file(tx, _row(tx, number)))


async def present_view(house: House, *, by: str) -> bytes:
    """The roster as this node was shown it up to now, to be compared with another's.

    Raises: NotFound before the first.
    """
    now, shown = house.clock.now(), house.roster.note
    if not shown:
        raise NotFound(what=N_("roster"))

    def take(tx: Connection) -> bytes:
        view = _own_view(tx, shown)
        return export_views([] if view is None else [view])

    await house.db.write(lambda tx: journal.append(tx, now=now, actor=by, action="evidence.exported", subject=""))
    return await house.db.read(take)


async def whole_journal(house: House, *, by: str) -> bytes:
    """The journal as a file that anybody can check (`cordee.journal`). That it was taken along is its last line but
    one; the last is the signature over all of it.
    """
    now = house.clock.now()

    def sign(tx: Connection) -> int:
        journal.append(tx, now=now, actor=by, action="journal.exported", subject="")
        return journal.sign_head(tx, house.keys.identity, now=now)

    upto = await house.db.write(sign)

    def write(tx: Connection) -> bytes:
        excerpt = statements_pb2.RosterExcerpt()
        if house.roster.note:
            tree, size = house.roster.tree, peek_checkpoint(house.roster.note).size
            entries = _entries(tx)
            excerpt = make_excerpt(entries, tree=tree, note=house.roster.note, size=size, members={house.member})
        return first_line(house.member, house.network, excerpt) + journal.export(tx, upto=upto)

    return await house.db.read(write)


# ---- what a row is in a file ----


def _row(tx: Connection, number: int) -> Row[tuple[object, ...]]:
    row = tx.execute(select(_EVIDENCE).where(_EVIDENCE.c.id == number)).one_or_none()
    if row is None:
        raise NotFound(what=N_("evidence"))
    return row


def _line(tx: Connection, house: House, row: Row[tuple[object, ...]]) -> EvidenceLine:
    statement = _statement(row.shown)
    verdict: Verdict | None = None
    shows: tuple[Said, ...] = ()
    try:
        report = judge([_file(tx, row)], network=house.network)
    except CordeeError:
        pass  # what was shown does not verify: whoever made it, it is nobody's word
    else:
        if report.verdict in PROVEN:
            verdict, shows = report.verdict, said_of_views(report)
    return EvidenceLine(
        number=row.id,
        at=row.at,
        reason=row.reason,
        verdict=verdict,
        shows=shows,
        kept_size=_size_of(row.kept),
        shown_size=_size_of(row.shown),
        shown_by=author_of(statement) if statement is not None else None,
    )


def _file(tx: Connection, row: Row[tuple[object, ...]]) -> bytes:
    statement = _statement(row.shown)
    author = author_of(statement) if statement is not None else None
    views = [_own_view(tx, row.kept, author)]
    if statement is None and row.shown:
        held = tx.execute(select(_VIEW.c.view).where(_VIEW.c.evidence_id == row.id)).scalar_one_or_none()
        bare = statements_pb2.RosterView(checkpoint=row.shown)
        views.append(bare if held is None else statements_pb2.RosterView.FromString(held))
    return export_views([each for each in views if each is not None], [] if statement is None else [statement])


def _own_view(tx: Connection, note: str, member: MemberId | None = None) -> statements_pb2.RosterView | None:
    """Our own log under a checkpoint that we took; None before the first. A log only grows, so it is there still."""
    if not note:
        return None
    size = peek_checkpoint(note).size
    return make_view(list(_entries(tx, size)), note=note, size=size, members=() if member is None else {member})


def _entries(tx: Connection, size: int | None = None) -> Iterator[statements_pb2.Entry]:
    query = select(_ENTRY.c.entry).order_by(_ENTRY.c.position)
    if size is not None:
        query = query.where(_ENTRY.c.position < size)
    for raw in tx.execute(query).scalars():
        yield statements_pb2.Entry.FromString(raw)


def _statement(shown: str) -> Signed | None:
    """A member's statement, where it was that and no note."""
    try:
        return Signed.from_bytes(base64.b64decode(shown, validate=True)) if shown else None
    except (CordeeError, binascii.Error, ValueError):
        return None


def _size_of(note: str) -> int:
    try:
        return peek_checkpoint(note).size
    except CordeeError:
        return 0
