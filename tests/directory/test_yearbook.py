from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, insert, select, update

from cordee.errors import InvalidInput, NotFound, YearNotClosed
from cordee.figures.years import begin, closes
from cordee.runtime.clock import ManualClock
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory import transfers
from directory.store import micros, table_of
from directory.store.figures import ClosedYearRow, CountingRow, TallyRow
from directory.store.migrations import MIGRATIONS, directory_database
from directory.yearbook import Yearbook
from tests.directory.test_broker import Play
from tests.directory.town import Town, refused

TALLY, COUNTING, CLOSED = table_of(TallyRow), table_of(CountingRow), table_of(ClosedYearRow)


def tallied(town: Town) -> dict[str, int]:
    """What was counted so far, which is the same from both sides."""
    rows = town.directory.db.read_sync(lambda tx: tx.execute(select(TALLY)).all())
    sides: list[dict[str, int]] = []
    for side, node in (("sender", "Paris"), ("recipient", "Marseille")):
        here = [row for row in rows if row.side == side and row.number]
        assert {row.member for row in here} <= {bytes(town.nodes[node].keys.id)}
        assert {row.year for row in here} <= {town.clock.now().year}
        sides.append({row.figure: row.number for row in here})
    assert sides[0] == sides[1]
    return sides[0]


async def play_of(town: Town) -> Play:
    for name in ("Paris", "Marseille"):
        if name not in town.nodes:
            await town.join(name)
    return Play(town, town.nodes["Paris"], town.nodes["Marseille"])


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        (("offer",), {}),
        (("offer", "accept", "ship"), {}),
        (("offer", "decline"), {"declined": 1}),
        (("offer", "withdraw"), {"withdrawn": 1}),
        (("offer", "accept", "ship", "refuse_receipt"), {"not_received": 1}),
        (("offer", "accept", "ship", "receive"), {"received": 1}),
        (("offer", "accept", "ship", "withdraw", "receive"), {"received": 1, "asked": 1}),
        (("offer", "accept", "ship", "receive", "withdraw"), {"received": 1, "asked": 1}),
        (("offer", "accept", "ship", "receive", "withdraw", "erase"), {"received": 1, "asked": 1, "erased": 1}),
        (("offer", "accept", "ship", "receive", "withdraw", "keep_by_law"), {"received": 1, "asked": 1, "kept": 1}),
    ],
)
async def test_what_becomes_of_a_transfer_is_counted_once(
    town: Town, steps: tuple[str, ...], counted: dict[str, int]
) -> None:
    play = await play_of(town)
    await play.steps(*steps)
    for signed in play.story.statements:
        await play.submit(signed)  # the same again has no second effect
    assert tallied(town) == counted


async def test_what_ran_out_of_time_is_counted(town: Town) -> None:
    play = await play_of(town)
    await play.step("offer")
    town.move(timedelta(days=15))
    await town.directory.broker.expire_due()
    assert tallied(town) == {"not_received": 1}


async def test_no_transfer_and_no_day_is_counted_with(town: Town) -> None:
    play = await play_of(town)
    await play.steps("offer", "accept", "ship", "receive", "withdraw", "erase")
    rows = town.directory.db.read_sync(lambda tx: tx.execute(select(TALLY)).all())
    known = {town.nodes[name].keys.id for name in ("Paris", "Marseille")}
    assert {row.member for row in rows} == known
    assert all(isinstance(row.year, int) and row.number in (0, 1) for row in rows)


# ---- closing a year ----


class Book:
    """A yearbook over a database of its own."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.clock = ManualClock(now)
        self.db = directory_database(folder / "directory.db")
        self.db.create()
        self.yearbook = Yearbook(self.db, self.clock, folder / "closed-years")

    def tally(self, year: int, figure: str, senders: Iterable[int], recipients: Iterable[int]) -> None:
        for side, numbers in (("sender", senders), ("recipient", recipients)):
            for at, number in enumerate(numbers):
                row = {"year": year, "figure": figure, "side": side, "member": bytes([at]), "number": number}
                self.db.write_sync(lambda tx, row=row: tx.execute(insert(TALLY), row))

    def at(self, time: datetime) -> None:
        self.clock.advance(time - self.clock.now())


@pytest.fixture
def book(tmp_path: Path) -> Any:
    made = Book(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    yield made
    made.db.close()


def numbers(table: pb.FigureTable) -> dict[str, int | None]:
    return {each.name: each.count if each.HasField("count") else None for each in table.figures}


async def test_a_year_is_told_from_the_first_of_february_on_and_what_was_counted_is_then_gone(book: Book) -> None:
    await book.yearbook.begin()
    book.tally(2026, "received", (50, 40, 30), (30, 40, 50))
    book.tally(2026, "declined", (20, 12, 12), (12, 12, 20))
    book.tally(2026, "withdrawn", (12, 12, 12), (12, 12, 12))
    book.tally(2026, "not_received", (2, 1, 0), (1, 1, 1))
    book.at(closes(2026) - timedelta(seconds=1))
    with pytest.raises(YearNotClosed):
        await book.yearbook.of(2026)
    book.at(closes(2026))
    figures = await book.yearbook.of(2026)
    assert not figures.HasField("since"), "counted from the year's first moment on"
    transfers, erasures, returned = figures.tables
    assert numbers(transfers) == {"received": 120, "declined": 45, "withdrawn": None, "not_received": None}
    assert transfers.total == 205
    assert set(numbers(erasures).values()) == {None}
    assert not erasures.HasField("total")
    assert numbers(returned) == {"returned": None}
    assert book.db.read_sync(lambda tx: tx.execute(select(TALLY)).all()) == []


async def test_a_closed_year_is_told_the_same_for_ever(book: Book) -> None:
    await book.yearbook.begin()
    book.tally(2026, "returned", (20, 20, 20), (20, 20, 20))
    book.at(closes(2026))
    told = await book.yearbook.of(2026)
    assert numbers(told.tables[2]) == {"returned": 60}
    book.tally(2026, "returned", (1, 0, 0), (1, 0, 0))  # as if something had been counted too late
    book.at(closes(2027))
    assert await book.yearbook.of(2026) == told
    assert numbers((await book.yearbook.of(2027)).tables[2]) == {"returned": None}
    assert book.db.read_sync(lambda tx: tx.execute(select(TALLY)).all()) == []


async def test_a_database_from_an_older_backup_does_not_tell_a_year_otherwise(book: Book) -> None:
    await book.yearbook.begin()
    book.tally(2026, "returned", (20, 20, 20), (20, 20, 20))
    book.at(closes(2026))
    told = await book.yearbook.of(2026)
    book.db.write_sync(lambda tx: tx.execute(delete(CLOSED)))  # as it was in January, with less counted
    book.tally(2026, "returned", (19, 20, 20), (19, 20, 20))
    assert await book.yearbook.of(2026) == told
    assert book.db.read_sync(lambda tx: tx.execute(select(TALLY)).all()) == []


async def test_requests_without_an_answer_are_what_is_left_of_those_made(book: Book) -> None:
    await book.yearbook.begin()
    book.tally(2026, "asked", (40, 40, 40), (40, 40, 40))
    book.tally(2026, "erased", (20, 20, 15), (20, 20, 15))
    book.tally(2026, "kept", (10, 10, 10), (10, 10, 10))
    book.at(closes(2026))
    figures = await book.yearbook.of(2026)
    assert numbers(figures.tables[1]) == {"erased": 55, "unanswered": 35, "kept": 30}


async def test_a_year_of_which_a_part_was_not_counted_says_so_and_earlier_ones_are_not_told(book: Book) -> None:
    book.at(datetime(2026, 5, 4, tzinfo=UTC))
    await book.yearbook.begin()
    book.at(closes(2027))
    await book.yearbook.begin()  # a restart changes nothing
    assert (await book.yearbook.of(2026)).since.ToDatetime(UTC) == datetime(2026, 5, 4, tzinfo=UTC)
    assert not (await book.yearbook.of(2027)).HasField("since")
    with pytest.raises(NotFound):
        await book.yearbook.of(2025)
    with pytest.raises(InvalidInput):
        await book.yearbook.of(0)


async def test_what_ends_after_the_close_changes_nothing(town: Town) -> None:
    play = await play_of(town)
    await play.steps("offer", "accept", "ship")
    id_, late = play.story.parties.transfer_id, closes(town.clock.now().year)
    assert await town.directory.db.write(lambda tx: transfers.expire(tx, id_, late)) is not None
    assert tallied(town) == {}


# ---- asking for it ----


async def test_administrators_alone_read_figures_and_only_of_closed_years(town: Town) -> None:
    past = town.clock.now().year - 2
    since = {"since": micros(begin(past))}
    await town.directory.db.write(lambda tx: tx.execute(update(COUNTING).values(since)))
    request = pb.ReadFiguresRequest(command=town.command(v1.ReadFigures(year=past)))
    answer = await town.administer("ReadFigures", request)
    assert answer.figures.year == past
    assert [each.name for each in answer.figures.tables] == ["transfers", "erasures", "returned"]
    with refused("REPLAYED"):
        await town.administer("ReadFigures", request)
    with refused("YEAR_NOT_CLOSED"):
        command = town.command(v1.ReadFigures(year=town.clock.now().year))
        await town.administer("ReadFigures", pb.ReadFiguresRequest(command=command))
    with refused("NOT_FOUND"):
        command = town.command(v1.ReadFigures(year=past - 1))
        await town.administer("ReadFigures", pb.ReadFiguresRequest(command=command))
    paris = await town.join("Paris")
    message = v1.ReadFigures(network=town.network.roster.network, year=past)
    with refused("NOT_AN_ADMINISTRATOR"):
        signed = paris.keys.identity.sign(message).to_message()
        await town.administer("ReadFigures", pb.ReadFiguresRequest(command=signed))


def test_an_older_database_gets_the_same_tables(tmp_path: Path) -> None:
    with directory_database(tmp_path / "new.db"):
        pass
    new, old = sqlite3.connect(tmp_path / "new.db"), create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with old.begin() as tx:
        next(each for each in MIGRATIONS if each.__name__ == "_figures")(tx)
        for name in ("tally", "counting", "closed_year"):
            columns = f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}')"
            assert new.execute(columns).fetchall() == [tuple(row) for row in tx.exec_driver_sql(columns)] != []
