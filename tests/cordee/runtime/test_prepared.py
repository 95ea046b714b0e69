from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError, InvalidRequestError, MultipleResultsFound
from sqlmodel import Field, SQLModel

from cordee.runtime.database import Database
from cordee.runtime.prepared import Rows, prepared

METADATA = sa.MetaData()


class Line(SQLModel, table=True):
    __tablename__ = "line"
    metadata = METADATA

    id: bytes = Field(primary_key=True)
    at: datetime
    done: bool
    note: str | None = None


LINE = METADATA.tables["line"]
ADD = prepared(sa.insert(LINE))
READ = prepared(sa.select(LINE).where(LINE.c.id == sa.bindparam("wanted")))
ALL = prepared(sa.select(LINE).order_by(LINE.c.id))
COUNT = prepared(sa.select(sa.func.count()).where(LINE.c.done == sa.bindparam("state")))
SET = prepared(sa.update(LINE).where(LINE.c.id == sa.bindparam("wanted")))
CLEAR = prepared(sa.update(LINE).where(LINE.c.note == "old").values(note=None))
KEEP = prepared(upsert(LINE).on_conflict_do_nothing().returning(LINE.c.id))
DROP = prepared(sa.delete(LINE).where(LINE.c.id == sa.bindparam("wanted")))

AT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(tmp_path / "lines.db", METADATA)
    with database:
        yield database


def line(number: int, *, done: bool = False, note: str | None = None) -> dict[str, object]:
    return {"id": bytes([number]), "at": AT, "done": done, "note": note}


def test_rows_have_the_types_that_sqlalchemy_gives(database: Database) -> None:
    database.write_sync(lambda tx: tx.execute(ADD, line(1, done=True)) and None)
    short = database.read_sync(lambda tx: tx.execute(READ, {"wanted": b"\x01"}).one())
    usual = database.read_sync(lambda tx: tx.execute(sa.select(LINE)).one())
    assert tuple(short) == tuple(usual) == (b"\x01", AT, True, None)
    assert (short.at.tzinfo, type(short.done)) == (UTC, bool)
    assert short._asdict() == {"id": b"\x01", "at": AT, "done": True, "note": None}


def test_what_is_written_the_short_way_is_what_sqlalchemy_writes(database: Database) -> None:
    def step(tx: sa.Connection) -> list[tuple[object, ...]]:
        tx.execute(ADD, line(1))
        tx.execute(sa.insert(LINE), line(2))
        return [tuple(row) for row in tx.exec_driver_sql("SELECT at, done, note FROM line")]

    first, second = database.write_sync(step)
    assert first == second


def test_an_update_takes_the_columns_of_its_parameters_each_time(database: Database) -> None:
    def step(tx: sa.Connection) -> tuple[int, int]:
        tx.execute(ADD, line(1))
        return (
            tx.execute(SET, {"wanted": b"\x01", "done": True}).rowcount,
            tx.execute(SET, {"wanted": b"\x01", "note": "said", "done": False}).rowcount,
        )

    assert database.write_sync(step) == (1, 1)
    row = database.read_sync(lambda tx: tx.execute(READ, {"wanted": b"\x01"}).one())
    assert (row.done, row.note) == (False, "said")


def test_literals_of_the_statement_keep_their_values(database: Database) -> None:
    def step(tx: sa.Connection) -> int:
        for number, note in ((1, "old"), (2, "new")):
            tx.execute(ADD, line(number, note=note))
        return int(tx.execute(CLEAR).rowcount)

    assert database.write_sync(step) == 1
    notes = database.read_sync(lambda tx: [row.note for row in tx.execute(ALL)])
    assert notes == [None, "new"]


def test_an_upsert_returns_what_it_wrote(database: Database) -> None:
    assert database.write_sync(lambda tx: tx.execute(KEEP, line(1)).scalar()) == b"\x01"
    assert database.write_sync(lambda tx: tx.execute(KEEP, line(1)).scalar()) is None


def test_errors_are_sqlalchemys_and_hold_no_value(database: Database) -> None:
    database.write_sync(lambda tx: tx.execute(ADD, line(1, note="Marked")) and None)
    with pytest.raises(IntegrityError) as caught:
        database.write_sync(lambda tx: tx.execute(ADD, line(1, note="Marked")) and None)
    assert "Marked" not in str(caught.value)


def test_a_function_has_a_scalar_and_nothing_found_is_none(database: Database) -> None:
    assert database.read_sync(lambda tx: tx.execute(COUNT, {"state": False}).scalar_one()) == 0
    assert database.read_sync(lambda tx: tx.execute(READ, {"wanted": b"?"}).one_or_none()) is None
    assert database.read_sync(lambda tx: tx.execute(READ, {"wanted": b"?"}).first()) is None
    assert database.read_sync(lambda tx: tx.execute(ALL).scalars().all()) == []


def test_several_rows_are_no_one(database: Database) -> None:
    database.write_sync(lambda tx: [tx.execute(ADD, line(number)) for number in (1, 2)] and None)
    with pytest.raises(MultipleResultsFound):
        database.read_sync(lambda tx: tx.execute(ALL).one_or_none())


def test_a_step_that_fails_is_undone_alone_whichever_way_it_wrote(database: Database) -> None:
    def fails(tx: sa.Connection) -> None:
        tx.execute(ADD, line(1))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write_sync(fails)
    assert database.read_sync(lambda tx: tx.execute(ALL).all()) == []


def test_a_statement_that_is_not_marked_or_has_many_rows_goes_the_usual_way(database: Database) -> None:
    usual = database.read_sync(lambda tx: tx.execute(sa.select(LINE)))
    many = database.write_sync(lambda tx: tx.execute(ADD, [line(1), line(2)]))
    assert not isinstance(usual, Rows)
    assert not isinstance(many, Rows)
    assert len(database.read_sync(lambda tx: tx.execute(ALL).all())) == 2


def test_what_sqlalchemy_fills_in_each_time_cannot_be_prepared(database: Database) -> None:
    statement = prepared(sa.select(LINE).where(LINE.c.id.in_([b"\x01", b"\x02"])))
    with pytest.raises(InvalidRequestError):
        database.read_sync(lambda tx: tx.execute(statement))
