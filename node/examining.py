"""What is wrong with a running node, found by looking now: for `cordee node doctor` and for readiness.

It tells no more than health does to an administrator: times, counts, reason codes; nothing of a case or a person.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterator, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from cordee.errors import ClockSkew, CordeeError
from cordee.runtime.checkup import plain_swaps, refused_by_database
from cordee.runtime.doctor import Finding, sorted_findings
from node.findings import NODE
from node.folder_check import room_findings
from node.health import health_of
from node.joining import CERTIFICATE
from node.restored import incarnations
from node.store import table_of
from node.store.transfers import StatementRow

if TYPE_CHECKING:
    from node.app import Node
    from node.health import Health

__all__ = ["RUNNING_VERSION", "examine", "wipes_memory"]

RUNNING_VERSION = version("cordee")
"""Of the program that was started, whatever was installed since."""

_STUCK = timedelta(minutes=10)
_SKEW = timedelta(minutes=5)  # as the directory bears (protocol §3)
_SIGNED_LATELY = timedelta(hours=3)  # the directory signs its log each hour
_SECONDS = 20.0
_STATEMENT = table_of(StatementRow)


async def examine(node: Node, *, thorough: bool = False) -> list[Finding]:
    """Everything that is wrong now, the worst first. `thorough` reads the whole database, which may take a while."""
    found = [NODE.found("loop_dead", loop=each.get_name()) for each in node.loops if each.done()]
    found += await asyncio.to_thread(lambda: list(room_findings(node.data_dir)))
    found += _machine()
    found += await _asked(node, _written(node))
    if thorough:
        found += await _asked(node, _looked_through(node))
    if all(each.ailment.code != "database_damaged" for each in found):
        found += await _asked(node, _read(node))
    return sorted_findings(found)


async def _asked(node: Node, question: Awaitable[list[Finding]]) -> list[Finding]:
    """Its answer, or what is wrong where the database refuses it. Raises: what is no refusal of the database's."""
    try:
        return await question
    except Exception as failed:
        refused = refused_by_database(failed, node.db.path, known=NODE)
        if refused is None:
            raise
        return [refused]


async def _written(node: Node) -> list[Finding]:
    """A step that changes nothing, but needs the writer and the lock: another program that holds it is waited for."""
    async with asyncio.timeout(_SECONDS):
        await node.db.write(_nothing)
    return []


async def _looked_through(node: Node) -> list[Finding]:
    faults = await node.db.read(_faults)
    return [NODE.found("database_damaged", file=node.db.path, count=faults)] if faults else []


async def _read(node: Node) -> list[Finding]:
    health = await health_of(node)
    return [*_network(node, health), *_looked_after(health), *await _sending(node)]


def wipes_memory(environment: Mapping[str, str]) -> bool:
    """Whether freed memory is overwritten, as docs/secrets.md advises."""
    tunables = environment.get("GLIBC_TUNABLES", "")
    return environment.get("PYTHONMALLOC") == "malloc" and "perturb=" in tunables and "tcache_count=0" in tunables


def _machine() -> Iterator[Finding]:
    if not wipes_memory(os.environ):
        yield NODE.found("freed_memory_kept")
    for device in plain_swaps():
        yield NODE.found("swap_plain", device=device)


def _nothing(tx: Connection) -> None:
    tx.exec_driver_sql("SELECT version FROM schema_version").close()


def _faults(tx: Connection) -> int:
    rows = tx.exec_driver_sql("PRAGMA integrity_check(100)").fetchall()
    return 0 if [tuple(each) for each in rows] == [("ok",)] else len(rows)


def _network(node: Node, health: Health) -> Iterator[Finding]:
    now = node.clock.now()
    if health.alarm is not None:
        yield NODE.found("roster_alarm", reason=health.alarm.reason)
    if not health.connected:
        yield NODE.found("directory_away")
    signed, refusal = health.roster_time, node.outbox.refusal
    if not health.roster_fresh:
        yield NODE.found("roster_stale", time=_told(signed), limit=_limit(node))
    if signed is not None and (signed - now > _SKEW or (health.connected and now - signed > _SIGNED_LATELY)):
        yield NODE.found("clock_wrong", here=_told(now), there=_told(signed))
    elif isinstance(refusal, ClockSkew):
        yield NODE.found("clock_wrong", here=_told(now), there=str(refusal.facts.get("time", "—")))
    if health.certificate_damaged:
        yield NODE.found("certificate_damaged", file=node.data_dir / CERTIFICATE)
    for name, ends, well in (
        ("certificate", health.certificate_ends, health.certificate_well),
        ("card", health.card_ends, health.card_well),
    ):
        if ends is not None and not well:
            yield NODE.found(f"{name}_expired" if ends <= now else f"{name}_soon", time=_told(ends))


def _limit(node: Node) -> str:
    try:
        return str(node.roster.roster.policy.freshness_limit)
    except CordeeError:  # none was ever verified
        return "—"


def _looked_after(health: Health) -> Iterator[Finding]:
    if health.backup_at is None:
        yield NODE.found("no_backup")
    elif not health.backup_well:
        yield NODE.found("no_recent_backup", time=_told(health.backup_at))
    if not health.recovery.set_up:
        yield NODE.found("kit_missing")
    elif not health.recovery_well:
        yield NODE.found("kit_due")
    if not health.journal_well:
        yield NODE.found("journal_unsigned")
    if health.mail is not None and not health.mail.well:
        yield NODE.found("mail_fails", reason=health.mail.reason)


async def _sending(node: Node) -> list[Finding]:
    found = []
    count, since = await node.db.read(_waiting)
    if count and since is not None and node.clock.now() - since > _STUCK:
        reason = node.outbox.refusal.reason if node.outbox.refusal else "—"
        found.append(NODE.found("outbox_stuck", count=count, time=_told(since), reason=reason))
    if await node.db.read(lambda tx: incarnations(tx, node.vault)) is None:
        found.append(NODE.found("restore_unfinished"))
    return found


def _waiting(tx: Connection) -> tuple[int, datetime | None]:
    """How many messages of ours wait, and since when the oldest does."""
    row = tx.execute(select(func.count(), func.min(_STATEMENT.c.at)).where(_STATEMENT.c.waits)).one()
    return int(row[0]), row[1]


def _told(moment: datetime | None) -> str:
    return "—" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")
