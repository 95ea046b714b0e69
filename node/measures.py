"""What a node counts of itself, for Prometheus. No label names a case, a person, a transfer or another association."""

from __future__ import annotations

import math
import shutil
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Connection, func, select

from cordee.runtime.checkup import refused_by_database, sizes
from cordee.runtime.doctor import ready
from cordee.runtime.metrics import Metrics, render
from node.examining import examine
from node.findings import NODE
from node.health import health_of
from node.store import table_of
from node.store.transfers import StatementRow, TransferRow

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["NodeMeasures"]

_TRANSFER, _STATEMENT = table_of(TransferRow), table_of(StatementRow)


class NodeMeasures:
    """Read when somebody asks: a node that nobody watches pays nothing for it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.registry = registry = CollectorRegistry()
        self.calls = Metrics(registry, version=version("cordee"), transfers=False)
        """The observer of the node's own API."""

        def gauge(name: str, told: str, *labels: str) -> Gauge:
            return Gauge(f"cordee_node_{name}", told, labels, registry=registry)

        self._findings = gauge("finding", "1 for what the doctor finds wrong now.", "finding", "severity")
        self._ready = gauge("ready", "1 while nothing is broken.")
        self._connected = gauge("connected", "1 while the directory's stream of events is open.")
        self._transfers = gauge("transfers", "Transfers, by state and direction.", "state", "direction")
        self._waiting = gauge("outbox_waiting", "Messages that the directory has not taken yet.")
        self._oldest = gauge("outbox_oldest_seconds", "How long the oldest of them has waited.")
        self._jobs = gauge("jobs", "Transfers for which the node still has something to do, by what.", "job")
        self._loops = gauge("loops", "Parts of the node that run.")
        self._database = gauge("database_bytes", "Size of the database with its write-ahead log.")
        self._spool = gauge("spool_bytes", "Ciphertext under way on this disk.")
        self._free = gauge("disk_free_bytes", "Room left on the disk of the data folder.")
        self._journal = gauge("journal_lines", "Lines of the journal.")
        self._roster = gauge("roster_entries", "Verified entries of the network's log.")
        self._age = gauge("backup_age_seconds", "How long ago the last backup was made; infinite where there was none.")
        self._times = {
            name: gauge(f"{name}_timestamp_seconds", told)
            for name, told in (
                ("certificate_expiry", "When the node's certificate runs out."),
                ("card_expiry", "When the association's card runs out."),
                ("roster_signed", "When the directory signed the newest verified roster."),
                ("journal_signed", "When the journal was last signed."),
                ("backup", "When the last backup was made; 0 where there was none."),
            )
        }

    async def render(self) -> bytes:
        """Look now; OpenMetrics text."""
        node, found = self._node, await examine(self._node)
        self._loops.set(sum(not each.done() for each in node.loops))
        self.calls.count_doors(node.doors)
        self.calls.count_refusals(node.refused)
        status = node.roster.status()
        self._connected.set(status.connected)
        self._roster.set(status.size)
        self._free.set(shutil.disk_usage(node.data_dir).free)
        beside = (node.db.path.with_name(node.db.path.name + end) for end in ("", "-wal"))
        self._database.set(sum(each.stat().st_size for each in beside if each.exists()))
        self._spool.set(sum(sizes(node.data_dir / "spool")) + sum(sizes(node.data_dir / "mailbox")))
        try:
            await self._measure()
        except Exception as failed:  # what it holds stays as it was last measured, and what is wrong with it is told
            refused = refused_by_database(failed, node.db.path, known=NODE)
            if refused is None:
                raise
            found.append(refused)
        self._findings.clear()
        for each in found:
            self._findings.labels(each.ailment.code, each.ailment.severity.value).set(1)
        self._ready.set(ready(found))
        return render(self.registry)

    async def _measure(self) -> None:
        """What the database holds."""
        node = self._node
        health, now = await health_of(node), node.clock.now()
        self._journal.set(health.journal_lines)
        for name, moment in (
            ("certificate_expiry", health.certificate_ends),
            ("card_expiry", health.card_ends),
            ("roster_signed", health.roster_time),
            ("journal_signed", health.journal_signed_at),
            ("backup", health.backup_at),
        ):
            self._times[name].set(0 if moment is None else moment.timestamp())
        saved = health.backup_at
        self._age.set(math.inf if saved is None else max(0.0, (now - saved).total_seconds()))
        states, jobs, waiting, since = await node.db.read(_counted)
        self._transfers.clear()
        for (state, outgoing), count in states.items():
            self._transfers.labels(state, "out" if outgoing else "in").set(count)
        self._jobs.clear()
        for job, count in jobs.items():
            self._jobs.labels(job).set(count)
        self._waiting.set(waiting)
        self._oldest.set(0 if since is None else max(0.0, (now - since).total_seconds()))


def _counted(tx: Connection) -> tuple[dict[tuple[str, bool], int], dict[str, int], int, datetime | None]:
    states = tx.execute(
        select(_TRANSFER.c.state, _TRANSFER.c.outgoing, func.count()).group_by(_TRANSFER.c.state, _TRANSFER.c.outgoing)
    ).all()
    jobs = tx.execute(
        select(_TRANSFER.c.job, func.count()).where(_TRANSFER.c.job.is_not(None)).group_by(_TRANSFER.c.job)
    ).all()
    waiting = tx.execute(select(func.count(), func.min(_STATEMENT.c.at)).where(_STATEMENT.c.waits)).one()
    return (
        {(state, outgoing): int(count) for state, outgoing, count in states},
        {str(job): int(count) for job, count in jobs},
        int(waiting[0]),
        waiting[1],
    )
