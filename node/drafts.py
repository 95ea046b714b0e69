"""What was typed into a form and not yet saved: it survives a crash, a lost connection and the end of a session.

A draft belongs to one person and one form. One about a case is sealed with the case's data key and erased with it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import N_, CannotOpen, InvalidInput, NotFound
from node.case_sealing import data_key_of
from node.store import table_of
from node.store.drafts import DraftRow
from node.vault import DataKey, Vault

__all__ = [
    "LIFE",
    "MANY",
    "Draft",
    "Fields",
    "Kept",
    "case_of_form",
    "discard",
    "forget_drafts",
    "forget_old",
    "keep",
    "read",
    "waiting",
]

Fields = tuple[tuple[str, str], ...]

LIFE = timedelta(days=30)
MANY = 50
"""Drafts of one person; a further one takes the place of the oldest."""

_DRAFT = table_of(DraftRow)
_PLACE = "draft.sealed_fields"
_FORM = "draft.sealed_form"
_LONGEST_KEY = 200
_LARGEST = 3 * 1024 * 1024  # bytes of what was typed; a case has two MiB at most
_CASE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Draft:
    """The fields of a form, in their order, and when they were typed."""

    fields: Fields
    saved_at: datetime


@dataclass(frozen=True)
class Kept:
    """That there is a draft: of which form (empty where that was not kept), about which case, from when."""

    key: str
    case_id: str | None
    saved_at: datetime


def keep(
    tx: Connection, vault: Vault, account_id: str, key: str, fields: Iterable[tuple[str, str]], *, now: datetime
) -> None:
    """Keep a form as it stands, in the place of an earlier draft of it.

    `key` says which form; the id of a case in it binds the draft to that case. Raises: InvalidInput for a key or a
    form that is too long; NotFound where the case is not here.
    """
    if not key or len(key) > _LONGEST_KEY:
        raise InvalidInput(field="draft_key", problem=N_("it needs 1 to {maximum} characters"), maximum=_LONGEST_KEY)
    plain = json.dumps(list(fields), ensure_ascii=False).encode()
    if len(plain) > _LARGEST:
        raise InvalidInput(field="draft", problem=N_("it has more than {limit} bytes"), limit=_LARGEST)
    case_id = case_of_form(key)
    sealer = vault if case_id is None else data_key_of(tx, vault, case_id)
    index = _index(vault, key)
    row = {
        "account_id": account_id,
        "key_index": index,
        "case_id": case_id,
        "saved_at": now,
        "sealed_fields": sealer.seal(zlib.compress(plain), place=_PLACE, row=_row(account_id, index)),
        "sealed_form": sealer.seal(key.encode(errors="surrogatepass"), place=_FORM, row=_row(account_id, index)),
    }
    statement = upsert(_DRAFT).values(row)
    tx.execute(statement.on_conflict_do_update(index_elements=["account_id", "key_index"], set_=row))
    forget_old(tx, now=now)
    newest = select(_DRAFT.c.key_index).where(_DRAFT.c.account_id == account_id)
    newest = newest.order_by(_DRAFT.c.saved_at.desc(), _DRAFT.c.key_index).limit(MANY)
    tx.execute(delete(_DRAFT).where(_DRAFT.c.account_id == account_id, _DRAFT.c.key_index.not_in(newest)))


def read(tx: Connection, vault: Vault, account_id: str, key: str, *, now: datetime) -> Draft | None:
    """A person's draft of a form, or None. Raises CannotOpen."""
    index = _index(vault, key)
    mine = (_DRAFT.c.account_id == account_id) & (_DRAFT.c.key_index == index)
    row = tx.execute(select(_DRAFT).where(mine, _DRAFT.c.saved_at > now - LIFE)).one_or_none()
    if row is None:
        return None
    try:
        sealer: Vault | DataKey = vault if row.case_id is None else data_key_of(tx, vault, row.case_id)
    except NotFound:  # erased meanwhile
        return None
    plain = sealer.unseal(row.sealed_fields, place=_PLACE, row=_row(account_id, index))
    try:
        fields = json.loads(zlib.decompress(plain))
    except (ValueError, zlib.error) as broken:
        raise CannotOpen(what=_PLACE) from broken
    return Draft(tuple((str(name), str(value)) for name, value in fields), row.saved_at)


def waiting(tx: Connection, vault: Vault, account_id: str, *, now: datetime) -> list[Kept]:
    """A person's drafts, the newest first. What was typed stays shut. Raises CannotOpen."""
    mine = (_DRAFT.c.account_id == account_id) & (_DRAFT.c.saved_at > now - LIFE)
    columns = [_DRAFT.c[name] for name in ("key_index", "case_id", "saved_at", "sealed_form")]
    found = []
    for row in tx.execute(select(*columns).where(mine).order_by(_DRAFT.c.saved_at.desc(), _DRAFT.c.key_index)):
        try:
            sealer: Vault | DataKey = vault if row.case_id is None else data_key_of(tx, vault, row.case_id)
        except NotFound:  # erased meanwhile
            continue
        told = row.sealed_form
        key = "" if told is None else sealer.unseal(told, place=_FORM, row=_row(account_id, row.key_index)).decode()
        found.append(Kept(key, row.case_id, row.saved_at))
    return found


def discard(tx: Connection, vault: Vault, account_id: str, key: str) -> None:
    """Throw a draft away: it was saved, or is no longer wanted. Nothing happens where there is none."""
    tx.execute(delete(_DRAFT).where(_DRAFT.c.account_id == account_id, _DRAFT.c.key_index == _index(vault, key)))


def forget_drafts(tx: Connection, case_id: str) -> None:
    """Delete everybody's drafts about a case that is being erased."""
    tx.execute(delete(_DRAFT).where(_DRAFT.c.case_id == case_id))


def forget_old(tx: Connection, *, now: datetime) -> None:
    """Delete what nobody took up for thirty days."""
    tx.execute(delete(_DRAFT).where(_DRAFT.c.saved_at <= now - LIFE))


def case_of_form(key: str) -> str | None:
    """The case that a form is about, as its key says."""
    found = _CASE.search(key)
    return None if found is None else found[0]


def _index(vault: Vault, key: str) -> bytes:
    return vault.index(key.encode(errors="surrogatepass"), place="draft.key")


def _row(account_id: str, index: bytes) -> str:
    return f"{account_id}/{index.hex()}"
