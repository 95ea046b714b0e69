"""Where a case that came finds its place: as a new one, beside the record here, or back in its place.

A record that is ours to write is never overwritten: what comes for it stands beside. One that we handed over is
read-only, and the one that has it writes on: when it comes back, theirs is the newer, and ours from before stands
beside. Either way nothing is lost (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from cordee.case import Case, come_back, told_of, with_entries
from cordee.errors import N_, CaseExists, InvalidRecord, RecordClosed
from cordee.ids import MemberId, TransferId
from node import journal, records, transfer_store, versions
from node.attachments import StoredAttachment
from node.tombstones import TRANSFER, Tombstones
from node.vault import DataKey, Vault
from node.versions import Version

__all__ = ["Parcel", "Place", "place_of", "put_in_place", "take_out", "take_out_again"]


class Place(StrEnum):
    """What becomes of a case that came."""

    NEW = "new"
    BACK = "back"
    BESIDE = "beside"


@dataclass(frozen=True)
class Parcel:
    """What a transfer brought, checked; its attachments are on disk, sealed with `data_key`."""

    transfer: TransferId
    sender: MemberId
    kind: str  # transfer, referral or update
    case: Case  # as `cordee.case.received_case` made it
    sections: Mapping[str, Any]  # as they came
    attachments: tuple[StoredAttachment, ...]
    data_key: DataKey


def place_of(tx: Connection, case_id: str, *, sender: MemberId, kind: str) -> Place:
    """Whether a case of this id may come from this sender, and how.

    That an update follows a referral of this very case is checked by the caller (`node.updating`).

    Raises: CaseExists where the case here is none of the sender's business; RecordClosed where it was closed, or where
    it was erased or handed over before an update of it came.
    """
    here = records.standing_of(tx, case_id)
    if here is None:
        if kind == "update":
            raise RecordClosed()
        return Place.NEW
    if here.holder == "handed_over":
        if kind == "update":
            raise RecordClosed()
        if here.handed_to is None or transfer_store.read_transfer(tx, here.handed_to).peer != sender:
            raise CaseExists(case=case_id)
        return Place.BACK
    if kind != "update" and sender not in here.senders:
        raise CaseExists(case=case_id)
    if here.state != "open":
        raise RecordClosed()
    return Place.BESIDE


def put_in_place(
    tx: Connection, vault: Vault, place: Place, parcel: Parcel, *, me: MemberId, by: str, now: datetime
) -> list[str]:
    """Keep what came, once. The files that are not needed, for they are here already: to be unlinked afterwards.

    Raises: AlreadyImported, InvalidRecord.
    """
    case_id = parcel.case.case_id
    if place is Place.NEW:
        records.import_case(
            tx,
            vault,
            parcel.case,
            data_key=parcel.data_key,
            attachments=parcel.attachments,
            transfer=parcel.transfer,
            sender=parcel.sender,
            by=by,
            now=now,
        )
        return []
    records.note_import(tx, case_id, transfer=parcel.transfer, sender=parcel.sender, now=now)
    here = records.read_case(tx, vault, case_id)
    new, known = _sorted_out(here.attachments, parcel.attachments)
    records.add_files(tx, here.data_key, case_id, new, now=now)
    files = tuple(each.attachment_id for each in new)
    if place is Place.BACK:
        before = here.case.to_dict()
        keep = Version(parcel.transfer, case_id, me, now, ours=True, sections=before, files=files)
        records.put_case(tx, here.data_key, come_back(here.case, parcel.case, parcel.sections.keys()), now=now)
        records.hold_again(tx, case_id, shared=parcel.kind != "transfer", now=now)
    else:
        told = told_of(parcel.case, parcel.sections)
        keep = Version(parcel.transfer, case_id, parcel.sender, now, ours=False, sections=told, files=files)
        if new:
            listed = [each for each in parcel.case.attachments if each["attachment_id"] in files]
            records.put_case(tx, here.data_key, with_entries(here.case, "attachments", listed), now=now)
        if parcel.kind == "transfer":  # what was shared is handed over to us
            records.hold_again(tx, case_id, shared=False, now=now)
        records.touch(tx, case_id, now=now)
    versions.keep_version(tx, here.data_key, keep)
    facts = {"transfer": parcel.transfer.hex(), "sender": parcel.sender.hex()}
    action = "case.came_back" if place is Place.BACK else "case.version_came"
    journal.append(tx, now=now, actor=by, action=action, subject=case_id, facts=facts)
    return [each.file_id for each in known]


def take_out(tx: Connection, vault: Vault, transfer: TransferId, *, now: datetime) -> list[str]:
    """Erase the version that a transfer put beside a case, with the files that came with it; the record here stays.

    The files to unlink afterwards. Where there is no such version, nothing happens.
    """
    version = versions.read_version(tx, vault, transfer)
    if version is None or version.ours:
        return []
    files = records.remove_files(tx, version.case_id, version.files)
    if files:
        here = records.read_case(tx, vault, version.case_id)
        left = [each for each in here.case.attachments if each["attachment_id"] not in version.files]
        records.put_case(tx, here.data_key, here.case.with_section("attachments", left or None), now=now)
    versions.remove_version(tx, transfer)
    records.touch(tx, version.case_id, now=now)
    return files


def take_out_again(tx: Connection, vault: Vault, tombstones: Tombstones, *, now: datetime) -> list[str]:
    """Erase again the versions that an old backup brought back (protocol §10). The files to unlink afterwards."""
    files: list[str] = []
    for stone in tombstones.all():
        if stone.kind == TRANSFER:
            files += take_out(tx, vault, TransferId.fromhex(stone.id), now=now)
    return files


def _sorted_out(
    here: Sequence[StoredAttachment], came: Sequence[StoredAttachment]
) -> tuple[list[StoredAttachment], list[StoredAttachment]]:
    """Those that are new, and those that are here already. An id stands for one content: it never changes."""
    digests = {each.attachment_id: each.sha256 for each in here}
    for each in came:
        if digests.get(each.attachment_id, each.sha256) != each.sha256:
            raise InvalidRecord(path="attachments", problem=N_("a file of this case has another content here"))
    return (
        [each for each in came if each.attachment_id not in digests],
        [each for each in came if each.attachment_id in digests],
    )
