"""Every statement that runs all the time finds its rows by an index: its cost must not grow with what is kept."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

import directory
import node
from cordee.runtime.database import Database
from cordee.runtime.prepared import is_prepared
from directory.store import DirectoryTable
from node.store import NodeTable

# What is read whole on purpose: a list that people ask for, and tables that hold only what is still to be done.
WHOLE = {
    ("node.transfer_store", "_ALL_TRANSFERS"),
    ("node.transfer_store", "_ERASED_HERE"),  # at each start, and where one more is erased
    ("node.transfer_store", "_ASIDE"),  # the table holds only what waits for a suspension to end
    ("node.agenda", "_MAKE"),  # the index holds only what is still to be made
    ("node.journal", "_LAST"),  # from its end, one row
    ("directory.transfers", "_TO_ERASE"),
}
PROGRAMS = {"node": (node, NodeTable.metadata), "directory": (directory, DirectoryTable.metadata)}


def statements(program: str) -> Iterator[tuple[str, str, sa.Executable]]:
    package, _ = PROGRAMS[program]
    for module in pkgutil.iter_modules(package.__path__, f"{program}."):
        if not module.ispkg:
            for name, value in vars(importlib.import_module(module.name)).items():
                if is_prepared(value):
                    yield module.name, name, value


def plan(statement: sa.Executable, connection: sqlite3.Connection) -> list[str]:
    columns = [each.key for each in statement.table.columns] if isinstance(statement, sa.Update | sa.Insert) else None
    compiled = statement.compile(dialect=sa.create_engine("sqlite://").dialect, column_keys=columns)
    assert isinstance(compiled, SQLCompiler)
    values = [None] * len(compiled.positiontup or ())
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", values)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_statement_in_use_reads_a_whole_table(program: str, tmp_path: Path) -> None:
    _, metadata = PROGRAMS[program]
    found = list(statements(program))  # first: whoever imports a module makes its tables known
    with Database(tmp_path / "empty.db", metadata):
        connection = sqlite3.connect(tmp_path / "empty.db")
        plans = {(module, name): plan(statement, connection) for module, name, statement in found}
        connection.close()
    scans = {where for where, steps in plans.items() if any("SCAN" in step for step in steps)}
    assert len(found) > 10
    assert scans == {each for each in WHOLE if each[0].startswith(program)}
