"""What stands beside a case: the other association's version of a shared one, or ours from before it came back.

Of a shared case each association writes its own record; nobody overwrites the other's. What arrives is kept whole, one
version for each transfer that brought one, sealed with the case's data key and erased with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from cordee.ids import MemberId, TransferId
from cordee.jsonform import canonical
from node.case_sealing import data_key_of
from node.store import table_of
from node.store.records import VersionRow
from node.vault import DataKey, Vault

__all__ = ["Version", "forget_versions", "keep_version", "read_version", "remove_version", "versions_of"]

_VERSION = table_of(VersionRow)
_PLACE = "case_version.sealed_content"


@dataclass(frozen=True)
class Version:
    """The sections as one association wrote them, and which transfer put them here."""

    transfer: TransferId
    case_id: str
    author: MemberId
    at: datetime  # when it was put here
    ours: bool  # what stood here before the case came back; else what the author sent
    sections: dict[str, Any]
    files: tuple[str, ...] = ()  # ids of the attachments that came with it and were not here before


def keep_version(tx: Connection, key: DataKey, version: Version) -> None:
    """Keep one, sealed with its case's `key`."""
    plain = canonical({"sections": version.sections, "files": list(version.files)})
    row = {
        "transfer": bytes(version.transfer),
        "case_id": version.case_id,
        "author": bytes(version.author),
        "at": version.at,
        "ours": version.ours,
        "sealed_content": key.seal(plain, place=_PLACE, row=bytes(version.transfer)),
    }
    tx.execute(insert(_VERSION), row)


def versions_of(tx: Connection, vault: Vault, case_id: str) -> list[Version]:
    """Every version beside a case, the newest first. Raises NotFound, CannotOpen."""
    key = data_key_of(tx, vault, case_id)
    query = select(_VERSION).where(_VERSION.c.case_id == case_id).order_by(_VERSION.c.at.desc(), _VERSION.c.transfer)
    return [_open(key, row) for row in tx.execute(query)]


def read_version(tx: Connection, vault: Vault, transfer: TransferId) -> Version | None:
    """What a transfer put beside a case, or None. Raises CannotOpen."""
    row = tx.execute(select(_VERSION).where(_VERSION.c.transfer == bytes(transfer))).one_or_none()
    return None if row is None else _open(data_key_of(tx, vault, row.case_id), row)


def remove_version(tx: Connection, transfer: TransferId) -> None:
    """Delete what a transfer put beside a case."""
    tx.execute(delete(_VERSION).where(_VERSION.c.transfer == bytes(transfer)))


def forget_versions(tx: Connection, case_id: str) -> None:
    """Delete every version beside a case that is being erased."""
    tx.execute(delete(_VERSION).where(_VERSION.c.case_id == case_id))


def _open(key: DataKey, row: Row[tuple[Any, ...]]) -> Version:
    content = json.loads(key.unseal(row.sealed_content, place=_PLACE, row=row.transfer))
    return Version(
        transfer=TransferId(row.transfer),
        case_id=row.case_id,
        author=MemberId(row.author),
        at=row.at,
        ours=row.ours,
        sections=content["sections"],
        files=tuple(content["files"]),
    )
