"""The audit journal: who did what to which record, and when. Lines are chained by hashes and signed now and then.

It holds ids and codes only: it outlives the cases that it speaks of. Whoever edits, removes or reorders a line breaks
the chain; whoever rebuilds the chain lacks the signature over it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, Row, insert, or_, select

from cordee.errors import N_, BadSignature, CordeeError, JournalBroken
from cordee.frame import Label, blake2b_256, frame
from cordee.runtime.prepared import prepared
from cordee.signing import SigningKey, SigningPublicKey, verify_signature
from cordee.v1 import statements_pb2
from node.store import table_of
from node.store.journal import JournalHeadRow, JournalRow

__all__ = [
    "JournalEntry",
    "JournalReport",
    "append",
    "began",
    "entries",
    "export",
    "latest",
    "of_subject",
    "sign_head",
    "until",
    "verify",
]

_JOURNAL = table_of(JournalRow)
_HEAD = table_of(JournalHeadRow)
_HEAD_TYPE = "cordee.v1.JournalHead"
_SIGNED_ACTION = "journal.signed"
_START = bytes(32)
_CODE = re.compile(r"[A-Za-z0-9_.:,;/+=@-]{0,200}")
_NO_FACTS: Mapping[str, str] = {}

_LAST = prepared(select(_JOURNAL.c.line, _JOURNAL.c.hash).order_by(_JOURNAL.c.line.desc()).limit(1))
_ADD = prepared(insert(_JOURNAL))


@dataclass(frozen=True)
class JournalEntry:
    """One line. `actor` is an account's id or "node", `subject` the id of a case, a transfer or an act."""

    line: int
    at: datetime
    actor: str
    action: str
    subject: str
    outcome: str
    facts: Mapping[str, str]
    hash: bytes


@dataclass(frozen=True)
class JournalReport:
    """What was verified. Lines after `signed_lines` are chained, but no signature covers them yet."""

    lines: int
    head: bytes
    signed_lines: int
    signatures: int


def append(
    tx: Connection,
    *,
    now: datetime,
    actor: str,
    action: str,
    subject: str,
    outcome: str = "done",
    facts: Mapping[str, str] = _NO_FACTS,
) -> int:
    """Add a line in the same step as what it tells of. Returns its number, from 1.

    Raises: ValueError where something is no code or id: a name or a sentence must never get into the journal.
    """
    for text in (actor, action, subject, outcome, *facts.keys(), *facts.values()):
        if _CODE.fullmatch(text) is None:
            raise ValueError(f"the journal holds ids and codes only ({action})")
    last = tx.execute(_LAST).one_or_none()
    line, previous = (last.line + 1, last.hash) if last else (1, _START)
    written = json.dumps(dict(facts), sort_keys=True, separators=(",", ":"))
    hashed = _canonical(line=line, at=now, actor=actor, action=action, subject=subject, outcome=outcome, facts=written)
    row = {
        "line": line,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": subject,
        "outcome": outcome,
        "facts": written,
        "hash": blake2b_256(Label.JOURNAL, previous, hashed),
    }
    tx.execute(_ADD, row)
    return line


def sign_head(tx: Connection, key: SigningKey, *, now: datetime) -> int:
    """Sign the chain as it stands, and journal that this was done. Returns the line that the signature covers."""
    line = append(tx, now=now, actor="node", action=_SIGNED_ACTION, subject="")
    head = tx.execute(select(_JOURNAL.c.hash).where(_JOURNAL.c.line == line)).scalar_one()
    signature = key.sign_entry(_HEAD_TYPE, _head_body(line, head, now)).SerializeToString()
    tx.execute(insert(_HEAD), {"line": line, "at": now, "hash": head, "signature": signature})
    return line


def verify(tx: Connection, key: SigningPublicKey, *, former: tuple[SigningPublicKey, ...] = ()) -> JournalReport:
    """Follow the whole chain and check every signature; `former` are identity keys that signed earlier heads.

    What it cannot see: the newest lines cut off together with every signature and every trace that covers them.
    Keep an exported head elsewhere against that.

    Raises: JournalBroken with the first line that does not hold.
    """
    keys = {bytes(each.key_id): each for each in (key, *former)}
    heads = {row.line: row for row in tx.execute(select(_HEAD))}
    signatures, signed = len(heads), 0
    line, previous = 0, _START
    for row in tx.execute(select(_JOURNAL).order_by(_JOURNAL.c.line).execution_options(yield_per=1000)):
        line += 1
        if row.line != line:
            raise JournalBroken(line=line, problem=N_("the line is missing"))
        chained = blake2b_256(Label.JOURNAL, previous, _canonical_of(row))
        if chained != row.hash:
            raise JournalBroken(line=line, problem=N_("the line was altered, or follows another one"))
        previous = chained
        head = heads.pop(line, None)
        if head is not None:
            _check_head(head, chained, keys)
            signed = line
        elif row.action == _SIGNED_ACTION:
            raise JournalBroken(line=line, problem=N_("its signature is missing"))
    if heads:
        raise JournalBroken(line=min(heads), problem=N_("a signature covers lines that are missing"))
    return JournalReport(lines=line, head=previous, signed_lines=signed, signatures=signatures)


def entries(
    tx: Connection, *, after: int = 0, about: str | None = None, limit: int | None = None
) -> list[JournalEntry]:
    """Lines in order. `about`: only those whose subject, or one of whose facts, is this id."""
    query = select(_JOURNAL).where(_JOURNAL.c.line > after).order_by(_JOURNAL.c.line)
    if about is not None:
        named = _JOURNAL.c.facts.contains(f':"{about}"', autoescape=True)
        query = query.where(or_(_JOURNAL.c.subject == about, named))
    if limit is not None:
        query = query.limit(limit)
    return [_entry(row) for row in tx.execute(query)]


def began(tx: Connection) -> datetime | None:
    """The time of the earliest line, or None where there is none."""
    row = tx.execute(select(_JOURNAL.c.at).order_by(_JOURNAL.c.at).limit(1)).one_or_none()
    return row.at if row else None


def until(tx: Connection, end: datetime, *, actions: Collection[str]) -> Iterator[JournalEntry]:
    """The lines before a time whose action begins with one of these, in order, read piece by piece."""
    wanted = or_(*(_JOURNAL.c.action.startswith(each, autoescape=True) for each in actions))
    query = select(_JOURNAL).where(_JOURNAL.c.at < end, wanted).order_by(_JOURNAL.c.line)
    for row in tx.execute(query.execution_options(yield_per=1000)):
        yield _entry(row)


def latest(
    tx: Connection,
    *,
    before: int | None = None,
    about: str = "",
    actor: str = "",
    action: str = "",
    limit: int,
) -> list[JournalEntry]:
    """The newest lines first, those before a line. `action` may be the beginning of one: "case." """
    query = select(_JOURNAL).order_by(_JOURNAL.c.line.desc()).limit(limit)
    if before is not None:
        query = query.where(_JOURNAL.c.line < before)
    if about:
        query = query.where(or_(_JOURNAL.c.subject == about, _JOURNAL.c.facts.contains(f':"{about}"', autoescape=True)))
    if actor:
        query = query.where(_JOURNAL.c.actor == actor)
    if action:
        query = query.where(_JOURNAL.c.action.startswith(action, autoescape=True))
    return [_entry(row) for row in tx.execute(query)]


def of_subject(tx: Connection, subject: str) -> list[JournalEntry]:
    """Lines in order whose subject is this id, by its index: `entries` looks at every line there is."""
    query = select(_JOURNAL).where(_JOURNAL.c.subject == subject).order_by(_JOURNAL.c.line)
    return [_entry(row) for row in tx.execute(query)]


def export(tx: Connection) -> bytes:
    """The whole journal as NDJSON: each line with its hash, then the signed heads. Enough to verify it elsewhere."""
    return b"".join(_export_lines(tx))


def _export_lines(tx: Connection) -> Iterator[bytes]:
    for row in tx.execute(select(_JOURNAL).order_by(_JOURNAL.c.line)):
        document = json.loads(_canonical_of(row))
        document["hash"] = row.hash.hex()
        yield _json(document) + b"\n"
    for row in tx.execute(select(_HEAD).order_by(_HEAD.c.line)):
        head = {"at": _time(row.at), "hash": row.hash.hex(), "line": row.line, "signature": row.signature.hex()}
        yield _json({"head": head}) + b"\n"


def _check_head(head: Row[tuple[object, ...]], chained: bytes, keys: Mapping[bytes, SigningPublicKey]) -> None:
    if head.hash != chained:
        raise JournalBroken(line=head.line, problem=N_("the signed hash is another"))
    try:
        signature = statements_pb2.Signature.FromString(head.signature)
        signer = keys.get(signature.signer)
        if signer is None:
            raise BadSignature(what=N_("the journal's head"))
        verify_signature(signature, _HEAD_TYPE, _head_body(head.line, head.hash, head.at), signer)
    except (CordeeError, DecodeError) as refused:
        raise JournalBroken(line=head.line, problem=N_("its signature does not verify")) from refused


def _head_body(line: int, head: bytes, at: datetime) -> bytes:
    return frame(Label.JOURNAL, b"head", line.to_bytes(8, "big"), head, _time(at).encode())


def _canonical(*, line: int, at: datetime, actor: str, action: str, subject: str, outcome: str, facts: str) -> bytes:
    """The bytes that are hashed: one JSON object, sorted, ASCII, without spaces; times in UTC to the microsecond."""
    document = {
        "line": line,
        "at": _time(at),
        "actor": actor,
        "action": action,
        "subject": subject,
        "outcome": outcome,
        "facts": facts,
    }
    return _json(document)


def _canonical_of(row: Row[tuple[object, ...]]) -> bytes:
    return _canonical(
        line=row.line,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        outcome=row.outcome,
        facts=row.facts,
    )


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _entry(row: Row[tuple[object, ...]]) -> JournalEntry:
    return JournalEntry(
        line=row.line,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        outcome=row.outcome,
        facts=json.loads(row.facts),
        hash=row.hash,
    )
