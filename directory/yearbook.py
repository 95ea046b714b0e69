"""The years: each is closed once, what may be told of it is written down, and what was counted is erased."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import N_, AlreadyExists, NotFound
from cordee.figures.catalogue import BY_NAME
from cordee.figures.protection import Count
from cordee.figures.report import Table, counted
from cordee.figures.years import begin, is_closed, require_closed, year_of
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.logs import logger
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from directory import tally
from directory.files import private_folder, read_whole, write_new
from directory.store import micros, moment, table_of
from directory.store.figures import ClosedYearRow, CountingRow, TallyRow

__all__ = ["TABLES", "Yearbook"]

log = logger("directory.yearbook")

_TALLY, _COUNTING, _CLOSED = table_of(TallyRow), table_of(CountingRow), table_of(ClosedYearRow)
_EVERY: Final = timedelta(hours=1)

TABLES: Final = ("transfers", "erasures", "returned")
"""The tables of the report that only the directory can fill."""

_NOTHING: Final = Count(0, ({}, {}))


class Yearbook:
    """The figures that this directory tells. `begin` first."""

    def __init__(self, db: Database, clock: Clock, folder: Path) -> None:
        self._db = db
        self._clock = clock
        self._folder = folder
        self._looked: datetime | None = None

    async def begin(self) -> None:
        """Remember since when is counted; a directory that was there before this was does not know what it missed."""
        if await self._db.read(lambda tx: tx.execute(select(_COUNTING.c.since)).scalar()) is not None:
            return
        row = {"id": 1, "since": micros(self._clock.now())}
        await self._db.write(lambda tx: tx.execute(upsert(_COUNTING).values(row).on_conflict_do_nothing()))

    async def close_due(self) -> None:
        """Close what is over; asked every few seconds, it looks once an hour."""
        now = self._clock.now()
        if self._looked is not None and abs(now - self._looked) < _EVERY:
            return
        self._looked = now
        for year in await self._db.read(lambda tx: _open_years(tx, now)):
            figures = await self._db.read(partial(_figures_of, year=year))
            # In a file first: a database that comes back from an older backup must not tell the year otherwise.
            kept = await asyncio.to_thread(self._kept, year, figures.SerializeToString())
            await self._db.write(partial(_close, year=year, figures=kept, now=now))
            log.info("year.closed", number=year)

    def _kept(self, year: int, figures: bytes) -> bytes:
        private_folder(self._folder)
        path = self._folder / str(year)
        with contextlib.suppress(AlreadyExists):
            write_new(path, figures)
        return read_whole(path)

    async def of(self, year: int) -> pb.YearFigures:
        """What may be told of a year. Raises: YearNotClosed, InvalidInput, NotFound for one before counting began."""
        require_closed(year, self._clock.now())
        self._looked = None
        await self.close_due()
        query = select(_CLOSED.c.figures).where(_CLOSED.c.year == year)
        written = await self._db.read(lambda tx: tx.execute(query).scalar())
        if written is None:
            raise NotFound(what=N_("figures of that year"))
        return pb.YearFigures.FromString(written)


def _open_years(tx: Connection, now: datetime) -> list[int]:
    """Years that are over and not closed yet, from the one in which counting began."""
    since = tx.execute(select(_COUNTING.c.since)).scalar()
    if since is None:
        return []
    closed = set(tx.execute(select(_CLOSED.c.year)).scalars())
    return [each for each in range(year_of(moment(since)), now.year) if is_closed(each, now) and each not in closed]


def _figures_of(tx: Connection, year: int) -> pb.YearFigures:
    """What may be told of a year, from what was counted."""
    since = moment(tx.execute(select(_COUNTING.c.since)).scalar_one())
    return pb.YearFigures(
        year=year,
        since=timestamp_of(since) if since > begin(year) else None,
        tables=[_message(counted(BY_NAME[name], counts)) for name, counts in _counts(tx, year).items()],
    )


def _close(tx: Connection, year: int, figures: bytes, now: datetime) -> None:
    """In one step: what may be told is there, and what was counted is gone."""
    tx.execute(insert(_CLOSED), {"year": year, "closed_at": micros(now), "figures": figures})
    tx.execute(delete(_TALLY).where(_TALLY.c.year <= year))


def _counts(tx: Connection, year: int) -> Mapping[str, Mapping[str, Count]]:
    """The true counts of a year, each with who is behind it."""
    behind: dict[str, dict[str, Counter[bytes]]] = {}
    query = select(_TALLY).where(_TALLY.c.year == year, _TALLY.c.number != 0)
    for row in tx.execute(query):
        sides = behind.setdefault(row.figure, {side: Counter() for side in tally.SIDES})
        sides[row.side][row.member] += row.number

    def counted_as(figure: str) -> Count:
        if figure not in behind:
            return _NOTHING
        ways = tuple(behind[figure][side] for side in tally.SIDES)
        return Count(ways[0].total(), ways)

    asked, erased, kept = (counted_as(each) for each in (tally.ASKED, tally.ERASED, tally.KEPT))
    return {
        "transfers": {name: counted_as(name) for name in tally.OF_STATE.values()},
        "erasures": {tally.ERASED: erased, tally.KEPT: kept, "unanswered": _less(asked, erased + kept)},
        "returned": {tally.RETURNED: counted_as(tally.RETURNED)},
    }


def _less(whole: Count, part: Count) -> Count:
    ways = tuple(Counter(one) - Counter(another) for one, another in zip(whole.behind, part.behind, strict=True))
    return Count(sum(ways[0].values()), ways)


def _message(table: Table) -> pb.FigureTable:
    figures = [pb.Figure(name=row.code, count=row.count) for row in table.rows]
    return pb.FigureTable(name=table.kind.code, figures=figures, total=table.total)
