"""Cases at rest: each sealed with a data key of its own, so that erasing one means destroying 32 bytes.

A function that takes `by` (an account's id) writes its line into the journal in the same step; the others are parts
of a transfer's step, which is journalled there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cordee.case import Case
from cordee.errors import (
    N_,
    AlreadyImported,
    CaseExists,
    Conflict,
    CordeeError,
    DatabaseDamaged,
    InvalidInput,
    NotFound,
    RecordClosed,
    StaleRecord,
)
from cordee.ids import MemberId, TransferId
from cordee.runtime.prepared import prepared
from node import acts, agenda, drafts, journal, need_to_know, versions
from node import case_sealing as sealing
from node.attachments import StoredAttachment
from node.case_access import Access
from node.case_sealing import data_key_of
from node.store import table_of
from node.store.records import AttachmentRow, CaseKeyRow, CaseRow, ImportRow
from node.store.teams import CaseTeamRow
from node.tombstones import CASE, Tombstones
from node.vault import DataKey, Vault

__all__ = [
    "CaseLine",
    "Standing",
    "StoredCase",
    "add_attachment",
    "add_files",
    "apply_tombstones",
    "attachments_of",
    "catch_up",
    "changed_lines",
    "close_case",
    "create_case",
    "data_key_of",
    "erase_case",
    "erased_cases",
    "file_ids",
    "hand_over",
    "hold_again",
    "holder_of",
    "import_case",
    "imported_as",
    "list_cases",
    "note_change",
    "note_import",
    "put_case",
    "read_case",
    "remove_files",
    "share",
    "standing_of",
    "take_back",
    "touch",
    "update_case",
]

_CASE = table_of(CaseRow)
_KEY = table_of(CaseKeyRow)
_ATTACHMENT = table_of(AttachmentRow)
_IMPORT = table_of(ImportRow)
_OF_TEAM = table_of(CaseTeamRow)
_READ = prepared(select(_CASE).where(_CASE.c.id == bindparam("case")))
_NAMED = prepared(
    select(_CASE.c.id, _CASE.c.sealed_line, _KEY.c.sealed_key)
    .join(_KEY, _KEY.c.case_id == _CASE.c.id)
    .where(_CASE.c.id == bindparam("case"))
)
_FILES = prepared(
    select(_ATTACHMENT).where(_ATTACHMENT.c.case_id == bindparam("case")).order_by(_ATTACHMENT.c.position)
)
_HELD = prepared(select(_CASE.c.holder, _CASE.c.handed_to).where(_CASE.c.id == bindparam("case")))
_BEFORE = prepared(select(_CASE.c.state, _CASE.c.version).where(_CASE.c.id == bindparam("case")))
_STANDING = prepared(select(_CASE).where(_CASE.c.id == bindparam("case"), _CASE.c.state != bindparam("but")))
_LINES = (
    select(
        *(_CASE.c[name] for name in ("id", "holder", "version", "updated_at", "change", "state", "sealed_line")),
        _KEY.c.sealed_key,
        _OF_TEAM.c.team_id,
        select(func.count()).where(_ATTACHMENT.c.case_id == _CASE.c.id).scalar_subquery().label("attachments"),
    )
    .outerjoin(_KEY, _KEY.c.case_id == _CASE.c.id)
    .outerjoin(_OF_TEAM, _OF_TEAM.c.case_id == _CASE.c.id)
)
_CHANGED = prepared(_LINES.where(_CASE.c.change > bindparam("after")).order_by(_CASE.c.change).limit(bindparam("most")))
_NEXT_CHANGE = prepared(select(func.coalesce(func.max(_CASE.c.change), 0) + 1))
_SENDERS = prepared(
    select(_IMPORT.c.sender).where(_IMPORT.c.case_id == bindparam("case"), _IMPORT.c.at >= bindparam("since"))
)
_ADD = prepared(insert(_CASE))
_ADD_IMPORT = prepared(insert(_IMPORT))
_NOTE = prepared(update(_CASE).where(_CASE.c.id == bindparam("case")))
_SET = prepared(update(_CASE).where(_CASE.c.id == bindparam("case")))

_OPEN, _CLOSED, _ERASED = "open", "closed", "erased"
_HERE, _HANDED_OVER, _SHARED = "here", "handed_over", "shared"
_STATES, _HOLDERS = frozenset({_OPEN, _CLOSED, _ERASED}), frozenset({_HERE, _HANDED_OVER, _SHARED})


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case as lists show it. `status` is the case's own word, `state` this node's: open or closed."""

    case_id: str
    pseudonym: str
    status: str
    risk_level: str
    holder: str  # here, handed_over or shared
    version: int
    updated_at: datetime
    state: str
    attachments: int
    local_number: str
    access: Access  # whose it is: `node.listing` shows people what is theirs


@dataclass(frozen=True)
class StoredCase:
    """A case, opened. `version` is to be given back with a change."""

    case: Case
    version: int
    holder: str  # here, handed_over or shared
    data_key: DataKey
    attachments: tuple[StoredAttachment, ...]
    state: str  # open or closed

    @property
    def read_only(self) -> bool:
        """Closed, or handed over."""
        return self.state != _OPEN or self.holder == _HANDED_OVER


# ---- making, reading, changing ----


def create_case(
    tx: Connection, vault: Vault, case: Case, *, by: str, now: datetime, random: Callable[[int], bytes]
) -> None:
    """Keep a new case under a data key of its own. Raises CaseExists, unless the one of this id was erased."""
    _insert(tx, vault, case, DataKey.generate(random), now=now)
    journal.append(tx, now=now, actor=by, action="case.created", subject=case.case_id)


def import_case(
    tx: Connection,
    vault: Vault,
    case: Case,
    *,
    data_key: DataKey,
    attachments: Sequence[StoredAttachment],
    transfer: TransferId,
    sender: MemberId,
    by: str,
    now: datetime,
) -> None:
    """Keep a case that another association sent; its attachments are on disk already, sealed with `data_key`.

    Raises: AlreadyImported (a Conflict) where this transfer's case was imported before, even if it was erased since;
    CaseExists (a Conflict too) where another case of the same id is here.
    """
    note_import(tx, case.case_id, transfer=transfer, sender=sender, now=now)
    _insert(tx, vault, case, data_key, now=now)
    add_files(tx, data_key, case.case_id, attachments, now=now)
    facts = {"transfer": transfer.hex(), "sender": sender.hex()}
    journal.append(tx, now=now, actor=by, action="case.imported", subject=case.case_id, facts=facts)


def note_import(tx: Connection, case_id: str, *, transfer: TransferId, sender: MemberId, now: datetime) -> None:
    """A transfer's content goes into a case: once. Raises AlreadyImported."""
    row = {"transfer": bytes(transfer), "case_id": case_id, "sender": bytes(sender), "at": now}
    try:
        tx.execute(_ADD_IMPORT, row)
    except IntegrityError as imported:
        raise AlreadyImported(transfer=transfer.short) from imported


def imported_as(tx: Connection, transfer: TransferId) -> str | None:
    """The id of the case that a transfer brought, or None."""
    return tx.execute(select(_IMPORT.c.case_id).where(_IMPORT.c.transfer == bytes(transfer))).scalar()


def read_case(tx: Connection, vault: Vault, case_id: str) -> StoredCase:
    """Open a case. Raises NotFound, also where it was erased; CannotOpen."""
    row = _row(tx, case_id)
    key = data_key_of(tx, vault, case_id)
    return StoredCase(
        case=sealing.open_body(key, case_id, row.sealed_body),
        version=row.version,
        holder=row.holder,
        data_key=key,
        attachments=attachments_of(tx, key, case_id),
        state=row.state,
    )


def attachments_of(tx: Connection, key: DataKey, case_id: str) -> tuple[StoredAttachment, ...]:
    """A case's attachments, in the order in which they were added; its body stays shut. Raises CannotOpen."""
    return tuple(
        sealing.open_attachment(
            key, case_id=case_id, attachment_id=each.id, file_id=each.file_id, sealed=each.sealed_description
        )
        for each in tx.execute(_FILES, {"case": case_id})
    )


def list_cases(tx: Connection, vault: Vault) -> list[CaseLine]:
    """Every case that is not erased, whoever may see it, the one changed last first. Opens no body, but every line, and
    the bodies sealed before lines said whose a case is: a running node asks its `CaseIndex`. Raises CannotOpen.
    """
    rows = tx.execute(_LINES.order_by(_CASE.c.updated_at.desc(), _CASE.c.id)).all()
    return [_line(tx, vault, row) for row in rows if row.sealed_key is not None]


def changed_lines(tx: Connection, vault: Vault, *, after: int, limit: int) -> list[tuple[int, str, CaseLine | None]]:
    """What changed after the change of that number, in its order: the change, the case, its line; None where it was
    erased. Raises CannotOpen.
    """
    rows = tx.execute(_CHANGED, {"after": after, "most": limit}).all()
    return [(row.change, row.id, None if row.sealed_key is None else _line(tx, vault, row)) for row in rows]


def note_change(tx: Connection, case_id: str) -> None:
    """Whose a case is has changed beside its record: lists look at it again."""
    tx.execute(_NOTE, {"case": case_id, "change": _next_change(tx)})


def catch_up(tx: Connection, vault: Vault, *, many: int, now: datetime) -> int:
    """Make what some cases ask for, in a database of before; how many rows were looked at."""
    rows = agenda.to_make(tx, many=many)
    for row, case_id in rows:
        try:
            if row == case_id:
                stored = read_case(tx, vault, case_id)
                agenda.keep_case(tx, stored.data_key, stored.case, now=now)
            else:
                agenda.keep_acts(tx, data_key_of(tx, vault, case_id), case_id, acts.acts_of(tx, vault, case_id))
        except CordeeError:  # one that is damaged must not keep the others, nor the node, from their work
            agenda.give_up(tx, row)
    return len(rows)


def update_case(
    tx: Connection, vault: Vault, case_id: str, case: Case, *, expected_version: int, by: str, now: datetime
) -> int:
    """Replace a case's content; the new version.

    Raises: NotFound, RecordClosed; StaleRecord where it was changed since `expected_version` was read; InvalidInput
    where the content bears another id.
    """
    if case.case_id != case_id:
        raise InvalidInput(field="meta.case_id", problem=N_("a case keeps its id"))
    _changeable(tx, case_id, expected_version)
    version = _replace_body(tx, data_key_of(tx, vault, case_id), case, now=now)
    journal.append(tx, now=now, actor=by, action="case.changed", subject=case_id, facts={"version": str(version)})
    return version


def close_case(tx: Connection, case_id: str, *, expected_version: int, by: str, now: datetime) -> int:
    """Make a case read-only; the new version. Raises NotFound, RecordClosed, StaleRecord."""
    _changeable(tx, case_id, expected_version)
    version = expected_version + 1
    _set(tx, case_id, now=now, state=_CLOSED, version=version)
    journal.append(tx, now=now, actor=by, action="case.closed", subject=case_id, facts={"version": str(version)})
    return version


def add_attachment(
    tx: Connection, vault: Vault, case_id: str, stored: StoredAttachment, *, by: str, now: datetime
) -> int:
    """Record an attachment that is on disk already, and list it in the case itself; the case's new version.

    Raises: NotFound, RecordClosed; Conflict where the case has a file for this attachment; InvalidRecord where its
    description breaks the schema. The file is then an orphan, and the caller's to erase.
    """
    _changeable(tx, case_id, None)
    key = data_key_of(tx, vault, case_id)
    try:
        _insert_attachment(tx, key, case_id, stored, position=_next_position(tx, case_id), now=now)
    except IntegrityError as known:
        raise Conflict() from known
    body = sealing.open_body(key, case_id, _row(tx, case_id).sealed_body)
    version = _replace_body(tx, key, sealing.with_attachment(body, stored, now=now), now=now)
    facts = {"attachment": stored.attachment_id, "version": str(version)}
    journal.append(tx, now=now, actor=by, action="case.attached", subject=case_id, facts=facts)
    return version


def add_files(
    tx: Connection, key: DataKey, case_id: str, attachments: Sequence[StoredAttachment], *, now: datetime
) -> None:
    """Record attachments that are on disk already, after those that the case has."""
    position = _next_position(tx, case_id)
    for number, stored in enumerate(attachments):
        _insert_attachment(tx, key, case_id, stored, position=position + number, now=now)


def remove_files(tx: Connection, case_id: str, attachment_ids: Collection[str]) -> list[str]:
    """Forget some of a case's attachments. The files to unlink afterwards."""
    mine = (_ATTACHMENT.c.case_id == case_id) & _ATTACHMENT.c.id.in_(list(attachment_ids))
    files = list(tx.execute(select(_ATTACHMENT.c.file_id).where(mine)).scalars())
    tx.execute(delete(_ATTACHMENT).where(mine))
    return files


def put_case(tx: Connection, key: DataKey, case: Case, *, now: datetime) -> int:
    """Write a record's content as part of a transfer's step; the new version."""
    return _replace_body(tx, key, case, now=now)


# ---- who holds it ----


@dataclass(frozen=True)
class Standing:
    """What stands here under a case's id. Of an erased case nothing does."""

    state: str  # open or closed
    holder: str  # here, handed_over or shared
    handed_to: TransferId | None
    senders: frozenset[MemberId]  # who sent this case here, since it is here


def standing_of(tx: Connection, case_id: str) -> Standing | None:
    """None where there is no such case, or it was erased."""
    row = tx.execute(_STANDING, {"case": case_id, "but": _ERASED}).one_or_none()
    if row is None:
        return None
    senders = tx.execute(_SENDERS, {"case": case_id, "since": row.created_at}).scalars()
    return Standing(
        state=row.state,
        holder=row.holder,
        handed_to=None if row.handed_to is None else TransferId(row.handed_to),
        senders=frozenset(MemberId(each) for each in senders),
    )


def hold_again(tx: Connection, case_id: str, *, shared: bool, now: datetime) -> None:
    """A case that was handed over has come back: open, and ours again, or shared with the one that has it."""
    holder = _SHARED if shared else _HERE
    _set(tx, case_id, now=now, state=_OPEN, holder=holder, handed_to=None)


def touch(tx: Connection, case_id: str, *, now: datetime) -> None:
    """Something was put beside the record: lists show it as changed."""
    _set(tx, case_id, now=now)


def holder_of(tx: Connection, case_id: str) -> str:
    """Who holds the case: here, handed_over or shared. Answers for an erased one too. Raises NotFound."""
    holder = tx.execute(_HELD, {"case": case_id}).scalar()
    if holder is None:
        raise NotFound(what=N_("case"))
    return str(holder)


def hand_over(tx: Connection, case_id: str, *, transfer: TransferId, now: datetime) -> None:
    """Another association has the case now; the copy here is read-only. The same transfer twice changes nothing.

    Raises: NotFound; RecordClosed where another transfer took it: there is one holder at any time.
    """
    row = tx.execute(_HELD, {"case": case_id}).one_or_none()
    if row is None:
        raise NotFound(what=N_("case"))
    if row.holder == _HANDED_OVER:
        if row.handed_to == bytes(transfer):
            return
        raise RecordClosed()
    _set(tx, case_id, now=now, holder=_HANDED_OVER, handed_to=bytes(transfer))


def share(tx: Connection, case_id: str, *, transfer: TransferId, now: datetime) -> None:
    """Another association follows the case as well. One that was handed over meanwhile stays so. Raises NotFound."""
    if holder_of(tx, case_id) == _HERE:
        _set(tx, case_id, now=now, holder=_SHARED)


def take_back(tx: Connection, case_id: str, *, transfer: TransferId, now: datetime) -> None:
    """The association that had taken the case with this transfer has erased it: it is ours again. Where another
    transfer took it, that one's recipient holds it, and nothing changes. Raises NotFound.
    """
    holder_of(tx, case_id)
    tx.execute(
        update(_CASE)
        .where(_CASE.c.id == case_id, _CASE.c.holder == _HANDED_OVER, _CASE.c.handed_to == bytes(transfer))
        .values(updated_at=now, change=_next_change(tx), holder=_HERE, handed_to=None)
    )


# ---- erasing ----


def erase_case(tx: Connection, case_id: str, *, now: datetime) -> list[str]:
    """Destroy a case's data key and all that it sealed; id, state and times stay. The files to unlink afterwards.

    Set the tombstone before and empty the write-ahead log (`Database.truncate_log`) after this step: only then are
    the key's bytes gone from every file. A second time it does nothing. Raises NotFound.
    """
    holder_of(tx, case_id)
    query = select(_ATTACHMENT.c.file_id).where(_ATTACHMENT.c.case_id == case_id)
    files = list(tx.execute(query).scalars())
    acts.forget_acts(tx, case_id)
    versions.forget_versions(tx, case_id)
    need_to_know.forget_openings(tx, case_id)
    drafts.forget_drafts(tx, case_id)
    tx.execute(delete(_OF_TEAM).where(_OF_TEAM.c.case_id == case_id))
    agenda.forget_agenda(tx, case_id)
    tx.execute(delete(_KEY).where(_KEY.c.case_id == case_id))
    tx.execute(delete(_ATTACHMENT).where(_ATTACHMENT.c.case_id == case_id))
    tx.execute(
        update(_CASE)
        .where(_CASE.c.id == case_id, _CASE.c.state != _ERASED)
        .values(state=_ERASED, sealed_body=None, sealed_line=None, updated_at=now, change=_next_change(tx))
    )
    return files


def erased_cases(tx: Connection) -> list[tuple[str, datetime]]:
    """The ids of what was erased, and when."""
    query = select(_CASE.c.id, _CASE.c.updated_at).where(_CASE.c.state == _ERASED)
    return [(case_id, at) for case_id, at in tx.execute(query)]


def apply_tombstones(tx: Connection, tombstones: Tombstones, *, now: datetime) -> list[str]:
    """Erase again what an old backup brought back (protocol §10). The files to unlink afterwards."""
    files: list[str] = []
    rows = tx.execute(select(_CASE.c.id, _CASE.c.created_at).where(_CASE.c.state != _ERASED)).all()
    for row in rows:
        erased = tombstones.time_of(CASE, row.id)
        # A case that came a second time, after it was erased, is younger than its tombstone.
        if erased is not None and erased >= row.created_at:
            files += erase_case(tx, row.id, now=now)
            journal.append(tx, now=now, actor="node", action="case.erased", subject=row.id, outcome="tombstone")
    return files


def file_ids(tx: Connection) -> set[str]:
    """The ids of all attachment files that a case knows: the rest may be swept."""
    return set(tx.execute(select(_ATTACHMENT.c.file_id)).scalars())


# ---- rows ----


def _row(tx: Connection, case_id: str) -> Row[tuple[Any, ...]]:
    row = tx.execute(_READ, {"case": case_id}).one_or_none()
    if row is None or row.state == _ERASED:
        raise NotFound(what=N_("case"))
    _require_words(row)
    return row


def _require_words(row: Row[tuple[Any, ...]]) -> None:
    """Raises: DatabaseDamaged for a word that was never written here."""
    if row.state not in _STATES or row.holder not in _HOLDERS:
        raise DatabaseDamaged(what=N_("the database"))


def _changeable(tx: Connection, case_id: str, expected_version: int | None) -> None:
    columns = (_CASE.c.state, _CASE.c.holder, _CASE.c.version)
    row = tx.execute(select(*columns).where(_CASE.c.id == case_id)).one_or_none()
    if row is None or row.state == _ERASED:
        raise NotFound(what=N_("case"))
    if row.state != _OPEN or row.holder == _HANDED_OVER:
        raise RecordClosed()
    if expected_version is not None and row.version != expected_version:
        raise StaleRecord(present=row.version, given=expected_version)


def _insert(tx: Connection, vault: Vault, case: Case, key: DataKey, *, now: datetime) -> None:
    values = {
        "id": case.case_id,
        "state": _OPEN,
        "holder": _HERE,
        "version": 1,
        "handed_to": None,
        "created_at": now,
        "updated_at": now,
        "change": _next_change(tx),
        "sealed_body": sealing.seal_body(key, case),
        "sealed_line": sealing.seal_line(key, case),
    }
    before = tx.execute(_BEFORE, {"case": case.case_id}).one_or_none()
    if before is None:
        tx.execute(_ADD, values)
    elif before.state == _ERASED:
        tx.execute(update(_CASE).where(_CASE.c.id == case.case_id).values(values | {"version": before.version + 1}))
    else:
        raise CaseExists(case=case.case_id)
    sealing.keep_data_key(tx, vault, case.case_id, key)
    agenda.keep_case(tx, key, case, now=now)


def _next_position(tx: Connection, case_id: str) -> int:
    query = select(func.coalesce(func.max(_ATTACHMENT.c.position), 0) + 1).where(_ATTACHMENT.c.case_id == case_id)
    return int(tx.execute(query).scalar_one())


def _insert_attachment(
    tx: Connection, key: DataKey, case_id: str, stored: StoredAttachment, *, position: int, now: datetime
) -> None:
    values = {
        "case_id": case_id,
        "id": stored.attachment_id,
        "file_id": stored.file_id,
        "position": position,
        "added_at": now,
        "sealed_description": sealing.seal_attachment(key, case_id, stored),
    }
    tx.execute(insert(_ATTACHMENT), values)


def _replace_body(tx: Connection, key: DataKey, case: Case, *, now: datetime) -> int:
    version = tx.execute(select(_CASE.c.version).where(_CASE.c.id == case.case_id)).scalar_one() + 1
    body, line = sealing.seal_body(key, case), sealing.seal_line(key, case)
    _set(tx, case.case_id, now=now, version=version, sealed_body=body, sealed_line=line)
    agenda.keep_case(tx, key, case, now=now)
    return int(version)


def _set(tx: Connection, case_id: str, *, now: datetime, **values: object) -> None:
    tx.execute(_SET, {"case": case_id, "updated_at": now, "change": _next_change(tx), **values})


def _next_change(tx: Connection) -> int:
    return int(tx.execute(_NEXT_CHANGE).scalar_one())


def _line(tx: Connection, vault: Vault, row: Row[*tuple[Any, ...]]) -> CaseLine:
    key = sealing.unwrap(vault, row.id, row.sealed_key)

    _require_words(row)

    def opened() -> Case:
        return sealing.open_body(key, row.id, _row(tx, row.id).sealed_body)

    line = sealing.open_line(key, row.id, row.sealed_line)
    return CaseLine(
        case_id=row.id,
        pseudonym=line.pseudonym,
        status=intern(line.status),  # one of a handful of words: kept once, not for each of many cases
        risk_level=intern(line.risk_level),
        holder=intern(row.holder),
        version=row.version,
        updated_at=row.updated_at,
        state=intern(row.state),
        attachments=row.attachments,
        local_number=line.local_number,
        access=Access.of_line(line, row.team_id, opened),
    )
