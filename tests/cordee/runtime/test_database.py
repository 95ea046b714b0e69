from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, select

from cordee.errors import DatabaseTooNew, InvalidInput, StorageFull
from cordee.runtime.crashpoint import registered
from cordee.runtime.database import Database

METADATA = sa.MetaData()
PARENTS = sa.Table("parents", METADATA, sa.Column("id", sa.Integer, primary_key=True))
CHILDREN = sa.Table(
    "children",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent", sa.ForeignKey("parents.id", deferrable=True, initially="DEFERRED"), nullable=False),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "test.db", METADATA) as opened:
        yield opened


def insert(number: int) -> sa.Insert:
    return PARENTS.insert().values(id=number)


async def numbers(database: Database) -> set[int]:
    return await database.read(lambda tx: set(tx.scalars(sa.select(PARENTS.c.id))))


class Gate:
    """Holds the writer inside a step, so that what comes meanwhile is committed together."""

    def __init__(self, database: Database) -> None:
        self._entered = asyncio.Event()
        self._opened = threading.Event()
        loop = asyncio.get_running_loop()

        def wait(_: sa.Connection) -> None:
            loop.call_soon_threadsafe(self._entered.set)
            self._opened.wait(10)

        self._step = asyncio.ensure_future(database.write(wait))

    async def __aenter__(self) -> None:
        await self._entered.wait()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.01)  # let the callers put their steps into the queue
        self._opened.set()
        await self._step


async def test_a_step_returns_its_value_and_is_there_for_readers(database: Database) -> None:
    assert await database.write(lambda tx: tx.execute(insert(1)).rowcount) == 1
    assert await numbers(database) == {1}


async def test_steps_of_many_callers_are_all_kept(database: Database) -> None:
    await asyncio.gather(*(database.write(lambda tx, n=n: tx.execute(insert(n)) and None) for n in range(500)))
    assert await numbers(database) == set(range(500))


async def test_a_step_that_raises_is_rolled_back_alone(database: Database) -> None:
    def fails(tx: sa.Connection) -> None:
        tx.execute(insert(2))
        tx.execute(insert(1))  # already there

    await database.write(lambda tx: tx.execute(insert(1)) and None)
    async with Gate(database):
        before = asyncio.ensure_future(database.write(lambda tx: tx.execute(insert(10)) and None))
        failing = asyncio.ensure_future(database.write(fails))
        after = asyncio.ensure_future(database.write(lambda tx: tx.execute(insert(11)) and None))
    await before
    await after
    with pytest.raises(IntegrityError):
        await failing
    assert await numbers(database) == {1, 10, 11}


async def test_where_the_commit_fails_every_caller_hears_of_it(database: Database) -> None:
    orphan = CHILDREN.insert().values(id=1, parent=99)  # refused only by COMMIT
    async with Gate(database):
        first = asyncio.ensure_future(database.write(lambda tx: tx.execute(insert(1)) and None))
        second = asyncio.ensure_future(database.write(lambda tx: tx.execute(orphan) and None))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [IntegrityError, IntegrityError]
    assert await numbers(database) == set()
    await database.write(lambda tx: tx.execute(insert(2)) and None)
    assert await numbers(database) == {2}


async def test_a_step_that_commits_by_itself_is_refused_and_the_writer_lives_on(database: Database) -> None:
    def commits(tx: sa.Connection) -> None:
        tx.commit()

    with pytest.raises(Exception, match=r"(?i)transaction|savepoint"):
        await database.write(commits)
    await database.write(lambda tx: tx.execute(insert(3)) and None)
    assert await numbers(database) == {3}


async def test_a_session_that_rolls_back_undoes_its_own_step_only(database: Database) -> None:
    def rolls_back(tx: sa.Connection) -> None:
        with Session(tx) as session:
            session.connection().execute(insert(5))
            session.rollback()

    async with Gate(database):
        kept = asyncio.ensure_future(database.write(lambda tx: tx.execute(insert(4)) and None))
        undone = asyncio.ensure_future(database.write(rolls_back))
    await asyncio.gather(kept, undone)
    assert await numbers(database) == {4}


async def test_a_caller_cancelled_while_it_waits_has_no_effect(database: Database) -> None:
    async with Gate(database):
        waiting = asyncio.ensure_future(database.write(lambda tx: tx.execute(insert(6)) and None))
        await asyncio.sleep(0)
        waiting.cancel()
    await database.write(lambda tx: tx.execute(insert(7)) and None)
    assert await numbers(database) == {7}


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        await database.read(lambda tx: tx.execute(insert(8)))


async def test_a_reader_sees_one_moment_even_while_others_write(database: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    def counts_twice(tx: sa.Connection) -> tuple[int, int]:
        count = sa.select(sa.func.count()).select_from(PARENTS)
        first = tx.scalar(count)
        started.set()
        go_on.wait(10)
        return first or 0, tx.scalar(count) or 0

    reading = asyncio.ensure_future(database.read(counts_twice))
    await asyncio.to_thread(started.wait, 10)
    await database.write(lambda tx: tx.execute(insert(9)) and None)
    go_on.set()
    assert await reading == (0, 0)


async def test_sqlmodel_tables_on_their_own_registry_work(tmp_path: Path) -> None:
    class Own(SQLModel, registry=registry()):
        pass

    class Thing(Own, table=True):
        name: str = Field(primary_key=True)

    def add(tx: sa.Connection) -> None:
        with Session(tx) as session:
            session.add(Thing(name="lamp"))
            session.commit()

    with Database(f"sqlite:///{tmp_path}/things.db", Own.metadata) as database:
        await database.write(add)
        assert await database.read(lambda tx: Session(tx).exec(select(Thing.name)).all()) == ["lamp"]


def test_tools_without_an_event_loop_use_the_same_writer(database: Database) -> None:
    database.write_sync(lambda tx: tx.execute(insert(1)) and None)
    assert database.read_sync(lambda tx: tx.scalar(sa.select(PARENTS.c.id))) == 1
    with pytest.raises(IntegrityError):
        database.write_sync(lambda tx: tx.execute(insert(1)) and None)


def test_the_settings_are_those_that_keep_what_was_acknowledged(database: Database) -> None:
    def settings(tx: sa.Connection) -> dict[str, object]:
        names = (
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "busy_timeout",
            "secure_delete",
            "trusted_schema",
            "temp_store",
        )
        return {name: tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}

    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "secure_delete": 1,
        "trusted_schema": 0,
        "temp_store": 2,
    }
    assert database.write_sync(settings) == expected
    assert database.read_sync(settings) == expected
    for path in database.path.parent.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name


def test_a_full_disk_has_its_own_reason(database: Database) -> None:
    def fills(tx: sa.Connection) -> None:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        tx.execute(PARENTS.insert(), [{"id": number} for number in range(10_000)])

    with pytest.raises(StorageFull):
        database.write_sync(fills)
    database.write_sync(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1000000") and None)
    database.write_sync(lambda tx: tx.execute(insert(1)) and None)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with Database(path, METADATA, migrations=[lambda _: None]):
        pass
    with pytest.raises(DatabaseTooNew) as refusal:
        Database(path, METADATA).create()
    assert refusal.value.facts == {"found": "2", "known": "1"}


def test_an_older_database_is_brought_up_to_date_once(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with Database(path, METADATA):
        pass

    def adds_a_name(tx: sa.Connection) -> None:
        tx.exec_driver_sql("ALTER TABLE parents ADD COLUMN name TEXT")

    for _ in range(2):
        with Database(path, METADATA, migrations=[adds_a_name]) as database:
            database.write_sync(lambda tx: tx.exec_driver_sql("UPDATE parents SET name = 'x'") and None)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with Database(path, METADATA):
        pass

    def half(tx: sa.Connection) -> None:
        tx.exec_driver_sql("ALTER TABLE parents ADD COLUMN name TEXT")
        tx.exec_driver_sql("ALTER TABLE nowhere ADD COLUMN name TEXT")

    with pytest.raises(OperationalError):
        Database(path, METADATA, migrations=[half]).create()
    with Database(path, METADATA) as database:
        columns = database.read_sync(lambda tx: [c["name"] for c in sa.inspect(tx).get_columns("parents")])
    assert columns == ["id"]


def test_what_was_erased_is_in_neither_file_after_truncating_the_log(tmp_path: Path) -> None:
    marked = b"a-secret-that-must-go"
    with Database(tmp_path / "test.db", METADATA) as database:
        database.write_sync(lambda tx: tx.exec_driver_sql("CREATE TABLE keys (k BLOB)") and None)
        database.write_sync(lambda tx: tx.exec_driver_sql("INSERT INTO keys VALUES (?)", (marked,)) and None)
        assert database.truncate_log()
        assert any(marked in path.read_bytes() for path in tmp_path.iterdir())
        database.write_sync(lambda tx: tx.exec_driver_sql("DELETE FROM keys") and None)
        assert database.truncate_log()
        assert not any(marked in path.read_bytes() for path in tmp_path.iterdir())


def test_a_backup_is_whole_and_never_overwrites(database: Database, tmp_path: Path) -> None:
    database.write_sync(lambda tx: tx.execute(insert(1)) and None)
    target = tmp_path / "copy.db"
    database.backup(target)
    assert target.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(target)
    assert connection.execute("SELECT id FROM parents").fetchall() == [(1,)]
    connection.close()
    with pytest.raises(FileExistsError):
        database.backup(target)


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Database("postgresql://localhost/x", METADATA)


def test_a_closed_database_takes_no_step(tmp_path: Path) -> None:
    database = Database(tmp_path / "test.db", METADATA)
    with database:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        database.write_sync(lambda _: None)


PROGRAM = """
import sys
import sqlalchemy as sa
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database

metadata = sa.MetaData()
table = sa.Table("parents", metadata, sa.Column("id", sa.Integer, primary_key=True))
with Database(sys.argv[1], metadata, crashpoints=Crashpoints.from_environment()) as database:
    for number in range(5):
        database.write_sync(lambda tx: tx.execute(table.insert().values(id=number)) and None)
        print(number, flush=True)
"""


@pytest.mark.parametrize(("point", "kept"), [("database.before_commit", {0, 1}), ("database.after_commit", {0, 1, 2})])
def test_after_a_crash_what_was_acknowledged_is_there(tmp_path: Path, point: str, kept: set[int]) -> None:
    assert point in registered()
    path = tmp_path / "test.db"
    crashed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        env=os.environ | {"CORDEE_CRASH_AT": f"{point}:3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert crashed.returncode == -signal.SIGKILL
    acknowledged = {int(line) for line in crashed.stdout.split()}
    with Database(path, METADATA) as database:
        found = database.read_sync(lambda tx: set(tx.scalars(sa.select(PARENTS.c.id))))
    assert acknowledged == {0, 1}
    assert found == kept


class _Typed:
    """What somebody typed."""


async def test_what_a_step_held_is_let_go_of_once_it_is_written_also_where_no_other_follows(tmp_path: Path) -> None:
    with Database(tmp_path / "quiet.db", METADATA) as db:
        typed = _Typed()
        held = weakref.ref(typed)

        async def write(value: _Typed) -> None:
            await db.write(lambda _: repr(value))

        await write(typed)
        del typed
        for _ in range(600):
            gc.collect()
            if held() is None:
                break
            await asyncio.sleep(0.05)
        assert held() is None, "the writer waits for the next step and holds the last one"
