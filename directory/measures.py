"""What a directory counts of itself beside its calls, and whether it is well, told on this machine.

Labels are states and findings, never a member: counts by member, or by pair, would already be traffic analysis.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import Gauge
from sqlalchemy import Connection, func, select

from cordee.members import MemberState
from cordee.runtime.checkup import refused_by_database
from cordee.runtime.doctor import Finding, ready
from cordee.runtime.metrics import Metrics, render
from cordee.runtime.telling import Told, telling
from directory.checking import examine
from directory.findings import DIRECTORY
from directory.saving import saved_at
from directory.store import table_of
from directory.store.roster import PendingEntryRow
from directory.store.transfers import TransferRow

if TYPE_CHECKING:
    from directory.app import Listening

__all__ = ["DirectoryMeasures", "watched"]

_TRANSFER, _PENDING = table_of(TransferRow), table_of(PendingEntryRow)


class DirectoryMeasures:
    """Read when somebody asks."""

    def __init__(self, listening: Listening, metrics: Metrics) -> None:
        self._listening = listening
        self._calls = metrics
        self.registry = registry = metrics.registry

        def gauge(name: str, told: str, *labels: str) -> Gauge:
            return Gauge(f"cordee_directory_{name}", told, labels, registry=registry)

        self._findings = gauge("finding", "1 for what is wrong now.", "finding", "severity")
        self._ready = gauge("ready", "1 while nothing is broken.")
        self._streams = gauge("streams", "Members whose nodes are connected.")
        self._members = gauge("members", "Members, by state.", "state")
        self._transfers = gauge("open_transfers", "Transfers, by the state they are in.", "state")
        self._pending = gauge("pending_entries", "Entries that wait for signatures.")
        self._entries = gauge("log_entries", "Entries of the log.")
        self._signed = gauge("log_signed_timestamp_seconds", "When the log was last signed.")
        self._database = gauge("database_bytes", "Size of the database with its write-ahead log.")
        self._free = gauge("disk_free_bytes", "Room left on the disk of the data folder.")
        self._saved = gauge("backup_timestamp_seconds", "When the last backup was made; 0 where none is known.")
        self._age = gauge("backup_age_seconds", "How long ago that was; infinite where none is known.")
        self._loops = gauge("loops", "Parts of the directory that run.")

    async def examine(self) -> list[Finding]:
        """What is wrong now."""
        listening = self._listening
        return await examine(listening.directory, listening.upkeep, listening.loops)

    async def render(self) -> bytes:
        """Look now; OpenMetrics text."""
        found, directory = await self.examine(), self._listening.directory
        self._loops.set(sum(not each.done() for each in self._listening.loops))
        self._calls.count_doors(self._listening.doors)
        saved = saved_at(directory.house)
        self._saved.set(0 if saved is None else saved.timestamp())
        self._age.set(math.inf if saved is None else max(0.0, (directory.clock.now() - saved).total_seconds()))
        self._streams.set(directory.events.streams)
        rosters = directory.rosters
        self._entries.set(rosters.size)
        self._signed.set(0 if rosters.signed_at is None else rosters.signed_at.timestamp())
        states = [each.state for each in rosters.roster.members.values()] if rosters.founded else []
        for state in MemberState:
            self._members.labels(state.value).set(states.count(state))
        self._free.set(shutil.disk_usage(directory.house.folder).free)
        path = directory.db.path
        beside = [path.with_name(path.name + end) for end in ("", "-wal")]
        self._database.set(sum(each.stat().st_size for each in beside if each.exists()))
        try:
            counts, pending = await directory.db.read(_counted)
        except Exception as failed:  # these two stay as they were last measured, and what is wrong is told
            refused = refused_by_database(failed, path, known=DIRECTORY)
            if refused is None:
                raise
            found.append(refused)
        else:
            self._transfers.clear()
            for name, count in counts.items():
                self._transfers.labels(name).set(count)
            self._pending.set(pending)
        self._findings.clear()
        for each in found:
            self._findings.labels(each.ailment.code, each.ailment.severity.value).set(1)
        self._ready.set(ready(found))
        return render(self.registry)


def _counted(tx: Connection) -> tuple[dict[str, int], int]:
    rows = tx.execute(select(_TRANSFER.c.state, func.count()).group_by(_TRANSFER.c.state)).all()
    pending = tx.execute(select(func.count()).select_from(_PENDING)).scalar_one()
    return {str(state): int(count) for state, count in rows}, int(pending)


@asynccontextmanager
async def watched(listening: Listening, metrics: Metrics, address: str) -> AsyncIterator[str]:
    """Tell until the block ends; the address is given. Raises InvalidInput, OSError."""
    measures = DirectoryMeasures(listening, metrics)

    def alive() -> bool:
        return not any(each.done() for each in listening.loops)

    async with telling(address, Told(alive=alive, examine=measures.examine, metrics=measures.render)) as where:
        yield where
