"""What a database refuses is told in one of the words that there are for it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from cordee.runtime.checkup import COMMON, refused_by_database
from cordee.runtime.doctor import Ailments

KNOWN = Ailments(COMMON)


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (sqlite3.SQLITE_FULL, "disk_full"),
        (sqlite3.SQLITE_CORRUPT, "database_damaged"),
        (sqlite3.SQLITE_NOTADB, "database_damaged"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk_failed"),
        (sqlite3.SQLITE_NOMEM, "nothing_left"),
        (sqlite3.SQLITE_CANTOPEN, "nothing_left"),
        (sqlite3.SQLITE_BUSY, "database_locked"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "database_locked"),
        (sqlite3.SQLITE_READONLY, "read_only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "read_only"),
    ],
)
def test_each_refusal_has_its_finding(tmp_path: Path, code: int, finding: str) -> None:
    for error in (of_sqlite(code), OperationalError("SELECT 1", {}, of_sqlite(code))):
        found = refused_by_database(error, tmp_path / "node.db", known=KNOWN)
        assert found is not None
        assert found.ailment.code == finding
        assert "{" not in found.ailment.words.format(**found.facts) + found.ailment.remedy.format(**found.facts)


def test_beyond_what_an_account_may_have_the_disk_is_full(tmp_path: Path) -> None:
    """By the greatest size of a file, which a process can have without a quota."""
    look = f"""
import resource
from pathlib import Path
from cordee.runtime.checkup import COMMON, disk_findings
from cordee.runtime.doctor import Ailments
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(*(each.ailment.code for each in disk_findings(Path({str(tmp_path)!r}), known=Ailments(COMMON))))
"""
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["disk_full"]


def test_a_writer_that_does_not_answer_waits_for_another_program(tmp_path: Path) -> None:
    found = refused_by_database(TimeoutError(), tmp_path / "node.db", known=KNOWN)
    assert found is not None
    assert found.ailment.code == "database_locked"


def test_another_fault_is_none_of_the_databases(tmp_path: Path) -> None:
    for error in (RuntimeError(), of_sqlite(sqlite3.SQLITE_MISUSE), sqlite3.ProgrammingError()):
        assert refused_by_database(error, tmp_path / "node.db", known=KNOWN) is None
