"""The audit journal: who did what to which record, and when. Lines are chained by hashes and signed now and then.

It holds ids and codes only: it outlives the cases that it speaks of. Whoever edits, removes or reorders a line breaks
the chain; whoever rebuilds the chain lacks the signature over it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, or_, select

from cordee import journal
from cordee.errors import N_, JournalBroken
from cordee.journal import SIGNED_ACTION, START, canonical, chained, to_json, told_time
from cordee.runtime.prepared import prepared
from cordee.signing import SigningKey, SigningPublicKey
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
_CODE = re.compile(r"[A-Za-z0-9_.:,;/+=@-]{0,200}")
_ALL = 2**62  # lines
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
    line, previous = (last.line + 1, last.hash) if last else (1, START)
    written = json.dumps(dict(facts), sort_keys=True, separators=(",", ":"))
    hashed = canonical(line=line, at=now, actor=actor, action=action, subject=subject, outcome=outcome, facts=written)
    row = {
        "line": line,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": subject,
        "outcome": outcome,
        "facts": written,
        "hash": chained(previous, hashed),
    }
    tx.execute(_ADD, row)
    return line


def sign_head(tx: Connection, key: SigningKey, *, now: datetime) -> int:
    """Sign the chain as it stands, and journal that this was done. Returns the line that the signature covers."""
    line = append(tx, now=now, actor="node", action=SIGNED_ACTION, subject="")
    head = tx.execute(select(_JOURNAL.c.hash).where(_JOURNAL.c.line == line)).scalar_one()
    signature = journal.sign_head(key, line=line, head=head, at=now)
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
    line, previous = 0, START
    for row in tx.execute(select(_JOURNAL).order_by(_JOURNAL.c.line).execution_options(yield_per=1000)):
        line += 1
        if row.line != line:
            raise JournalBroken(line=line, problem=N_("the line is missing"))
        previous = chained(previous, _canonical_of(row))
        if previous != row.hash:
            raise JournalBroken(line=line, problem=N_("the line was altered, or follows another one"))
        head = heads.pop(line, None)
        if head is not None:
            if head.hash != previous:
                raise JournalBroken(line=line, problem=N_("the signed hash is another"))
            journal.check_head(head.signature, line=line, head=previous, at=told_time(head.at), keys=keys)
            signed = line
        elif row.action == SIGNED_ACTION:
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


def export(tx: Connection, *, upto: int = _ALL) -> bytes:
    """The journal as NDJSON, as far as a line or whole: each line with its hash, then the signed heads. Together with
    the first line of a file (`cordee.journal`), which says whose it is, it is enough to verify it elsewhere.
    """
    return b"".join(_export_lines(tx, upto))


def _export_lines(tx: Connection, upto: int) -> Iterator[bytes]:
    for row in tx.execute(select(_JOURNAL).where(_JOURNAL.c.line <= upto).order_by(_JOURNAL.c.line)):
        document = json.loads(_canonical_of(row))
        document["hash"] = row.hash.hex()
        yield to_json(document) + b"\n"
    for row in tx.execute(select(_HEAD).where(_HEAD.c.line <= upto).order_by(_HEAD.c.line)):
        head = {"at": told_time(row.at), "hash": row.hash.hex(), "line": row.line, "signature": row.signature.hex()}
        yield to_json({"head": head}) + b"\n"


def _canonical_of(row: Row[tuple[object, ...]]) -> bytes:
    return canonical(
        line=row.line,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        outcome=row.outcome,
        facts=row.facts,
    )


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
