"""How a case is sealed: its data key under the vault, everything else of it under that data key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, insert, select

from cordee.case import Case, parse_case
from cordee.errors import N_, NotFound
from cordee.runtime.prepared import prepared
from node.attachments import StoredAttachment
from node.store import table_of
from node.store.records import CaseKeyRow
from node.vault import DataKey, Vault

__all__ = [
    "BODY_PLACE",
    "KEY_PLACE",
    "LINE_PLACE",
    "Line",
    "data_key_of",
    "keep_data_key",
    "named_in",
    "open_attachment",
    "open_body",
    "open_line",
    "seal_attachment",
    "seal_body",
    "seal_line",
    "unwrap",
    "with_attachment",
]

_KEY = table_of(CaseKeyRow)
_KEY_OF = prepared(select(_KEY.c.sealed_key).where(_KEY.c.case_id == bindparam("case")))
_ADD = prepared(insert(_KEY))
KEY_PLACE = "case_key.sealed_key"
BODY_PLACE = "case_record.sealed_body"
LINE_PLACE = "case_record.sealed_line"
_SHORT = 3  # what a line held before it said whose the case is
_ATTACHMENT_PLACE = "attachment.sealed_description"


@dataclass(frozen=True)
class Line:
    """What lists show of a case, and what they need to know whether to show it."""

    pseudonym: str
    status: str
    risk_level: str
    local_number: str = ""
    restriction: str | None = None  # None: sealed before lists knew, and told by the body alone
    named: tuple[str, ...] = ()  # its referent and those named beside


def keep_data_key(tx: Connection, vault: Vault, case_id: str, key: DataKey) -> None:
    """Keep a new case's data key."""
    sealed = vault.seal(bytes(key), place=KEY_PLACE, row=case_id)
    tx.execute(_ADD, {"case_id": case_id, "sealed_key": sealed})


def data_key_of(tx: Connection, vault: Vault, case_id: str) -> DataKey:
    """A case's data key. Raises NotFound where there is no such case or it was erased; CannotOpen."""
    sealed = tx.execute(_KEY_OF, {"case": case_id}).scalar()
    if sealed is None:
        raise NotFound(what=N_("case"))
    return unwrap(vault, case_id, sealed)


def unwrap(vault: Vault, case_id: str, sealed: bytes) -> DataKey:
    """Open one row of the key table. Raises CannotOpen."""
    return DataKey(vault.unseal(sealed, place=KEY_PLACE, row=case_id))


def seal_body(key: DataKey, case: Case) -> bytes:
    """The whole case, for its row."""
    return key.seal(case.to_bytes(), place=BODY_PLACE, row=case.case_id)


def open_body(key: DataKey, case_id: str, sealed: bytes) -> Case:
    """Raises CannotOpen; InvalidRecord where the schema has changed since."""
    return parse_case(key.unseal(sealed, place=BODY_PLACE, row=case_id))


def seal_line(key: DataKey, case: Case) -> bytes:
    """What lists show, apart from the body, so that a list does not open every case."""
    status, level = case.value("meta.status"), case.value("risk.level")
    whose = [case.value("meta.local_number") or "", case.value("meta.access_restriction") or "", named_in(case)]
    line = json.dumps([case.pseudonym, status or "", level or "", *whose], ensure_ascii=False)
    return key.seal(line.encode(), place=LINE_PLACE, row=case.case_id)


def open_line(key: DataKey, case_id: str, sealed: bytes) -> Line:
    """Raises CannotOpen."""
    told = json.loads(key.unseal(sealed, place=LINE_PLACE, row=case_id))
    if len(told) == _SHORT:
        return Line(*told)
    pseudonym, status, level, number, restriction, named = told
    return Line(pseudonym, status, level, number, restriction, tuple(named))


def named_in(case: Case) -> list[str]:
    """Whom a case names: its referent, then the others who work on it."""
    told = [case.value("meta.owner_user_id"), *(case.value("meta.co_handler_ids") or ())]
    return [str(each) for each in told if each]


def seal_attachment(key: DataKey, case_id: str, stored: StoredAttachment) -> bytes:
    """An attachment's description, bound to its case, its id and its file."""
    document = {
        "file_name": stored.file_name,
        "media_type": stored.media_type,
        "kind": stored.kind,
        "section": stored.section,
        "size": stored.size,
        "sha256": stored.sha256.hex(),
        "may_be_sent": stored.may_be_sent,
        "third_party_data": stored.third_party_data,
    }
    plain = json.dumps(document, ensure_ascii=False).encode()
    return key.seal(plain, place=_ATTACHMENT_PLACE, row=_attachment_row(case_id, stored.attachment_id, stored.file_id))


def open_attachment(key: DataKey, *, case_id: str, attachment_id: str, file_id: str, sealed: bytes) -> StoredAttachment:
    """Raises CannotOpen."""
    row = _attachment_row(case_id, attachment_id, file_id)
    document = json.loads(key.unseal(sealed, place=_ATTACHMENT_PLACE, row=row))
    document["sha256"] = bytes.fromhex(document["sha256"])
    return StoredAttachment(attachment_id=attachment_id, file_id=file_id, **document)


def with_attachment(case: Case, stored: StoredAttachment, *, now: datetime) -> Case:
    """The case with this attachment in its section `attachments`, in the place of one of the same id.

    Raises: InvalidRecord where the description breaks the schema.
    """
    others = [each for each in case.attachments if each["attachment_id"] != stored.attachment_id]
    entry = {
        "attachment_id": stored.attachment_id,
        "kind": stored.kind,
        "file_name": stored.file_name,
        "media_type": stored.media_type,
        "size_bytes": stored.size,
        "sha256": stored.sha256.hex(),
        "section": stored.section,
        "third_party_data": stored.third_party_data,
        "may_be_sent": stored.may_be_sent,
        "added_at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return case.with_section("attachments", [*others, entry])


def _attachment_row(case_id: str, attachment_id: str, file_id: str) -> str:
    return f"{case_id}/{attachment_id}/{file_id}"
