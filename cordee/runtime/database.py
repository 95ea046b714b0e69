"""One SQLite file, one writer. Steps that arrive together share one durable COMMIT (performance.md §3).

WAL with `synchronous=FULL`: nothing that was acknowledged is lost in a power cut. A step is a function of a
`sqlalchemy.Connection`; what must happen together stands in one step.
"""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from cordee.errors import N_, DatabaseDamaged, DatabaseTooNew, DiskFailed, InvalidInput, StorageFull
from cordee.runtime.ballast import Ballast
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.durable import sync_folder
from cordee.runtime.exhausted import told
from cordee.runtime.prepared import Connection

__all__ = ["Database", "Migration", "require_whole"]

T = TypeVar("T")
Step = Callable[[Connection], T]
Migration = Callable[[Connection], None]

BEFORE_COMMIT = register("database.before_commit")
AFTER_COMMIT = register("database.after_commit")

_SHARED_MEMORY = 65_536  # bytes: what opening takes beside the file, and as much again

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged transactions in a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
)


@dataclass(frozen=True)
class _Pending:
    """A step and where its outcome goes: a future of `loop`, or of a thread that waits."""

    step: Step[Any]
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None


@dataclass(frozen=True)
class _Outcome:
    pending: _Pending
    result: Any = None
    error: BaseException | None = None


class Database:
    """A database and its writer thread.

    `migrations[n]` brings schema version n + 1 to n + 2; a new database is made from `metadata` as it is now.
    A step that raises is rolled back alone, and its error goes to its caller. Where the COMMIT itself fails, every
    step that shared it fails. A caller that is cancelled while its step runs does not undo it.
    """

    def __init__(
        self,
        url: str | Path,
        metadata: MetaData,
        *,
        crashpoints: Crashpoints | None = None,
        migrations: Sequence[Migration] = (),
        readers: int = 4,
        batch: int = 64,
        ballast: Ballast | None = None,
    ) -> None:
        """`ballast` is given up where the disk is full."""
        self.path = _path_of(url)
        self._metadata = metadata
        self._migrations = tuple(migrations)
        self._crashpoints = crashpoints or Crashpoints()
        self._batch = batch
        self._ballast = ballast
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._writing = _engine(self.path, begin="BEGIN IMMEDIATE", size=1)
        self._reading = _engine(self.path, begin="BEGIN", size=readers, pragmas=("PRAGMA query_only = ON",))
        self._readers_count = readers
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="database-reader")
        self._writer: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def create(self) -> None:
        """Make or open the file (0600), bring its schema up to date and start the writer.

        Raises: DatabaseTooNew, StorageFull, DatabaseDamaged, and what else is told of a disk.
        """
        try:
            self._open()
        except (DBAPIError, sqlite3.Error, OSError) as error:
            if self._ballast is None or not self._ballast.release():
                raise self._told(error) from error
            self._open_again(error)
        self._writer = threading.Thread(target=self._write_for_ever, name="database-writer", daemon=True)
        self._writer.start()

    def _open_again(self, first: Exception) -> None:
        """There is room now that was held back."""
        if not isinstance(_typed(first), StorageFull | DiskFailed):
            raise _typed(first) from first
        self._writing.dispose()
        try:
            self._open()
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise self._told(error) from error

    def _told(self, error: BaseException) -> BaseException:
        """Where SQLite's shared memory finds no room it says no more than that the disk failed."""
        known = _typed(error)
        if isinstance(known, DiskFailed) and shutil.disk_usage(self.path.parent).free < _SHARED_MEMORY:
            return StorageFull(**known.facts)
        return known

    def _open(self) -> None:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        sync_folder(self.path.parent)
        connection = Connection(self._writing)
        with connection, connection.begin():
            self._upgrade(connection)
        # All of them now: a process that has run out of file descriptors can still read and write what it has open.
        reading = [self._reading.connect() for _ in range(self._readers_count)]
        for each in reading:
            with each, each.begin():
                each.exec_driver_sql("SELECT version FROM schema_version").all()

    def close(self) -> None:
        """Finish the steps that wait, then close everything."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._queue.put(None)
            writer.join()
        self._readers.shutdown()
        self._reading.dispose()
        self._writing.dispose()

    async def write(self, step: Step[T]) -> T:
        """Run one durable step; returns after the COMMIT.

        Return plain values, not cursors or rows still to be fetched. Never commit or roll back inside.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._enqueue(_Pending(step, future, loop))
        return await future

    def write_sync(self, step: Step[T]) -> T:
        """`write` for tools without an event loop."""
        future: Future[T] = Future()
        self._enqueue(_Pending(step, future, None))
        return future.result()

    async def read(self, query: Step[T]) -> T:
        """Run a query in a reader thread, on one consistent snapshot that holds every acknowledged step."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_sync, query)

    def read_sync(self, query: Step[T]) -> T:
        """`read` in the caller's own thread."""
        try:
            connection = Connection(self._reading)
            with connection, connection.begin():
                return query(connection)
        except (DBAPIError, sqlite3.Error) as error:
            raise _typed(error) from error

    def look(self, query: Step[T]) -> T:
        """`read` in the event loop itself, for a few rows found by an index: they cost less than the way to a thread.

        In the write-ahead log a reader waits for nobody. Whatever reads many rows, or opens many, belongs in `read`.
        """
        return self.read_sync(query)

    def truncate_log(self) -> bool:
        """Move all pages from the write-ahead log into the file and empty the log: what was deleted is then in neither.

        Returns False where a reader was in the way: try again later.
        """
        with sqlite3.connect(self.path, timeout=5) as connection:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.close()
        return not busy

    def check(self) -> None:
        """Read the whole file: its pages, and its indexes against its tables. Run it in a thread; it holds up nobody.

        Raises: DatabaseDamaged.
        """
        connection = sqlite3.connect(self.path, timeout=5)
        try:
            require_whole(connection)
        except sqlite3.Error as error:
            raise _typed(error) from error
        finally:
            connection.close()

    def backup(self, target: Path) -> None:
        """Write a consistent copy to `target` (0600), which must not exist, while the database is in use.

        Raises: DatabaseDamaged where the file is not what SQLite wrote; StorageFull, and what else is told of a disk.
        """
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=5)
        try:
            # A damaged file is not to take the place of a backup that is whole.
            require_whole(connection)
            connection.execute("VACUUM INTO ?", (str(target),))
        except sqlite3.Error as error:
            raise _typed(error) from error
        finally:
            connection.close()
        sync_folder(target.parent)

    # ---- the writer thread ----

    def _enqueue(self, pending: _Pending) -> None:
        if self._writer is None:
            raise RuntimeError("the database is not open")
        self._queue.put(pending)

    def _write_for_ever(self) -> None:
        connection = Connection(self._writing)
        with connection:
            while self._write_batch(connection):
                pass

    def _write_batch(self, connection: Connection) -> bool:
        """Wait for a step, and do it with those that came meanwhile. False where there are none to come.

        A function of its own: while it waits nothing of the last batch is held, for steps hold what people typed.
        """
        first = self._queue.get()
        if first is None:
            return False
        batch = [first]
        last = False
        while len(batch) < self._batch and not last:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                last = True
            else:
                batch.append(following)
        _deliver(self._commit_together(connection, batch))
        return not last

    def _commit_together(self, connection: Connection, batch: list[_Pending]) -> list[_Outcome]:
        try:
            with connection.begin():
                outcomes = [_run(connection, pending) for pending in batch if not pending.future.cancelled()]
                self._crashpoints.reach(BEFORE_COMMIT)
        except BaseException as error:  # BEGIN, a savepoint or COMMIT failed: nothing of this batch is durable
            connection.invalidate()  # a failed COMMIT leaves the transaction open; a new connection surely has none
            known = _typed(error)
            if isinstance(known, StorageFull | DiskFailed) and self._ballast is not None:
                self._ballast.release()  # who asks again finds room
            return [_Outcome(pending, error=known) for pending in batch]
        self._crashpoints.reach(AFTER_COMMIT)
        return outcomes

    def _upgrade(self, tx: Connection) -> None:
        known = len(self._migrations) + 1
        tx.exec_driver_sql("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        found = tx.exec_driver_sql("SELECT max(version) FROM schema_version").scalar()
        if found is None:
            self._metadata.create_all(tx)
            tx.exec_driver_sql("INSERT INTO schema_version (version) VALUES (?)", (known,))
            return
        if found > known:
            raise DatabaseTooNew(found=found, known=known)
        if found == known:
            return  # nothing is written, so that it opens on a full disk too
        for migration in self._migrations[found - 1 :]:
            migration(tx)
        tx.exec_driver_sql("UPDATE schema_version SET version = ?", (known,))


def require_whole(connection: sqlite3.Connection) -> None:
    """Raises: DatabaseDamaged where SQLite finds anything amiss; sqlite3.Error."""
    try:
        found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except UnicodeDecodeError:  # it quotes what it finds amiss, and that may be no text
        found = []
    if found != [("ok",)]:
        raise DatabaseDamaged(what=N_("the database"))


def _run(connection: Connection, pending: _Pending) -> _Outcome:
    savepoint = connection.begin_nested()
    try:
        result = pending.step(connection)
        savepoint.commit()
    except BaseException as error:  # the writer thread must outlive whatever a step raises
        # A full disk ends SQLite's whole transaction by itself: the other steps of the batch are then lost as well.
        if not _driver_of(connection).in_transaction:
            raise
        savepoint.rollback()
        return _Outcome(pending, error=_typed(error))
    return _Outcome(pending, result=result)


def _deliver(outcomes: list[_Outcome]) -> None:
    """Resolve the futures: one wake-up for each event loop, not one for each step."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.pending.loop, []).append(outcome)
    for loop, group in by_loop.items():
        if loop is None:
            _resolve(group)
        elif not loop.is_closed():  # else whoever asked is gone
            loop.call_soon_threadsafe(_resolve, group)


def _resolve(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        future = outcome.pending.future
        if future.done():  # cancelled meanwhile
            continue
        if outcome.error is None:
            future.set_result(outcome.result)
        else:
            future.set_exception(outcome.error)


def _typed(error: BaseException) -> BaseException:
    return told(error, what=N_("the database")) or error


def _engine(path: Path, *, begin: str, size: int, pragmas: tuple[str, ...] = ()) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )

    # The driver's own transactions begin late and too weak, so we begin them. SQLAlchemy's manual does it by listening
    # to the event "begin"; but an engine with such a listener goes through its events at every statement.
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (*_PRAGMAS, *pragmas):
            connection.execute(pragma)

    def _begin(dbapi_connection: Any) -> None:
        dbapi_connection.dbapi_connection.execute(begin)

    dialect: Any = engine.dialect  # this engine's own
    dialect.do_begin = _begin
    # As they stand, but for the compiler in between: each step has its savepoint.
    dialect.do_savepoint = lambda on, name: _driver_of(on).execute(f"SAVEPOINT {name}")
    dialect.do_release_savepoint = lambda on, name: _driver_of(on).execute(f"RELEASE SAVEPOINT {name}")
    dialect.do_rollback_to_savepoint = lambda on, name: _driver_of(on).execute(f"ROLLBACK TO SAVEPOINT {name}")
    return engine


def _driver_of(connection: Any) -> Any:
    return connection.connection.dbapi_connection


def _path_of(url: str | Path) -> Path:
    if isinstance(url, Path):
        return url
    if "://" not in url:
        return Path(url)
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise InvalidInput(field="database_url", problem=N_("only sqlite:///path is supported"))
    return Path(parsed.database)
