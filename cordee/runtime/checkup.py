"""What every server's doctor looks at: rights, disk, database, swap, the unit. Reads only, but for one small file."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from cordee.errors import N_, DatabaseDamaged, DiskFailed, ExitCode, NothingLeft, StorageFull
from cordee.runtime.doctor import Ailment, Ailments, Finding, Severity
from cordee.runtime.exhausted import FULL, told

__all__ = [
    "COMMON",
    "DISK_FULL",
    "DISK_LOW",
    "database_findings",
    "disk_findings",
    "in_words",
    "plain_swaps",
    "reading",
    "refused_by_database",
    "rights_findings",
    "sizes",
    "unit_findings",
]

DISK_LOW: Final = 5 * 1024**3  # bytes: some dozens of the largest cases
DISK_FULL: Final = 32 * 1024**2
_PROBE = 64 * 1024
_LOCK_SECONDS = 2.0
_BROKEN, _SOON, _ADVICE = Severity

COMMON: Final = (
    Ailment(
        "open_to_others",
        _BROKEN,
        N_("Other accounts of this machine may read or enter {path} (mode {mode})."),
        N_("Take their rights away: chmod go-rwx {path}"),
    ),
    Ailment(
        "another_owner",
        _BROKEN,
        N_("{path} belongs to the account {owner}, the folder to {account}."),
        N_("Give it back: chown {account} {path} – and run every command as that account."),
    ),
    Ailment(
        "read_only",
        _BROKEN,
        N_("Nothing can be written in {folder} ({reason})."),
        N_("Look at the disk: mounted read-only after a fault, or the rights of the folder."),
    ),
    Ailment(
        "disk_full",
        _BROKEN,
        N_("The disk is full: {free} left in {folder}."),
        N_("Make room on that disk; work goes on by itself. Nothing that was acknowledged is lost."),
    ),
    Ailment(
        "disk_low",
        _SOON,
        N_("Little room is left on the disk: {free} in {folder}."),
        N_("Make room, or take a larger disk, before the next large case comes."),
    ),
    Ailment(
        "disk_failed",
        _BROKEN,
        N_("The disk of {folder} refuses what is asked of it."),
        N_("See whether a quota is full, and whether the system reports errors on that disk (dmesg)."),
    ),
    Ailment(
        "nothing_left",
        _BROKEN,
        N_("The program has nothing left to work with ({what})."),
        N_("Start it again; if that repeats itself, raise the service’s limits or give the machine more memory."),
    ),
    Ailment(
        "database_damaged",
        _BROKEN,
        N_("The database is damaged: SQLite finds {count} faults in {file}."),
        N_("Stop the program, keep a copy of its folder, and restore the newest backup (docs/operations.md)."),
        ExitCode.INTEGRITY,
    ),
    Ailment(
        "database_locked",
        _BROKEN,
        N_("Another program holds the database {file}: nothing can be written."),
        N_("End the program that has it open (a backup tool, sqlite3); fuser {file} names it."),
        ExitCode.CONFLICT,
    ),
    Ailment(
        "database_too_new",
        _BROKEN,
        N_("The database was written by newer software (version {found}; this one knows {newest})."),
        N_("Install the newer software again, or restore a backup made before the upgrade."),
    ),
    Ailment(
        "unit_failed",
        _BROKEN,
        N_("systemd has given up on {unit}: {state}."),
        N_("Read why (journalctl -u {unit} -n 50), mend it, then: systemctl restart {unit}"),
    ),
    Ailment(
        "unit_not_enabled",
        _SOON,
        N_("{unit} does not start with this machine."),
        N_("systemctl enable {unit}"),
    ),
    Ailment(
        "loop_dead",
        _BROKEN,
        N_("A part of the program has ended: {loop}."),
        N_("Start it again (systemctl restart), and tell its maintainers what its log says."),
    ),
    Ailment(
        "swap_plain",
        _ADVICE,
        N_("This machine may write memory to {device}, which is not encrypted."),
        N_("Encrypt the swap (crypttab: swap), or switch it off: swapoff -a."),
    ),
)
"""What can be wrong with any of them."""


def rights_findings(folder: Path, paths: Iterable[Path], *, known: Ailments) -> Iterator[Finding]:
    """Whether others may read what is private, or somebody else owns it. Paths that are not there are passed over."""
    owner = folder.stat().st_uid
    for path in (folder, *paths):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if found.st_uid != owner:
            yield known.found("another_owner", path=path, owner=_account(found.st_uid), account=_account(owner))
        mode = stat.S_IMODE(found.st_mode)
        # What lies in a folder that nobody else can enter is out of reach; the folder itself is not.
        if mode & 0o077 and (path == folder or folder.stat().st_mode & 0o011):
            yield known.found("open_to_others", path=path, mode=f"{mode:o}")


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def disk_findings(folder: Path, *, known: Ailments, within: Iterable[Path] = ()) -> Iterator[Finding]:
    """Whether something can be written, and how much room is left: in the folder, and in those of the folders `within`
    it that lie on a disk of their own. What is not there is passed over.
    """
    disks: set[int] = set()
    for each in (folder, *within):
        with suppress(FileNotFoundError):
            disk = each.stat().st_dev
            if disk not in disks:
                disks.add(disk)
                yield from _room(each, known)


def _room(folder: Path, known: Ailments) -> Iterator[Finding]:
    usage = shutil.disk_usage(folder)
    free = in_words(usage.free)
    refused = _refused(folder)
    if refused in FULL or (not refused and usage.free < DISK_FULL):
        yield known.found("disk_full", free=free, folder=folder)
    elif refused:
        yield known.found("read_only", folder=folder, reason=errno.errorcode.get(refused, str(refused)))
    elif usage.free < DISK_LOW:
        yield known.found("disk_low", free=free, folder=folder)


def _refused(folder: Path) -> int:
    """Make room for a small file, as a step would need it: 0, or the errno that says why not."""
    path = folder / f".probe.{os.getpid()}"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as failed:
        return failed.errno or errno.EIO
    try:
        os.posix_fallocate(descriptor, 0, _PROBE)
    except OSError as failed:
        return failed.errno or errno.EIO
    finally:
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
    return 0


def sizes(folder: Path) -> Iterator[int]:
    """Of every file below it, in bytes."""
    for path in folder.rglob("*") if folder.exists() else ():
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_size


def in_words(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 10**9:.1f} GB" if count >= 10**9 else f"{count // 10**6} MB"


def database_findings(path: Path, *, newest: int, known: Ailments) -> Iterator[Finding]:
    """Whether it can be read whole and written. `newest`: the schema version that this software makes."""
    if not path.exists():
        return
    try:
        with closing(reading(path)) as db:
            (found,) = db.execute("SELECT max(version) FROM schema_version").fetchone()
            if found is not None and found > newest:
                yield known.found("database_too_new", found=found, newest=newest)
            rows = db.execute("PRAGMA integrity_check(100)").fetchall()
            if rows != [("ok",)]:
                yield known.found("database_damaged", file=path, count=len(rows))
                return
    except sqlite3.DatabaseError as failed:
        if not _is_lock(failed):
            yield known.found("database_damaged", file=path, count=1)
            return
    try:
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
    except sqlite3.OperationalError as failed:
        if _is_lock(failed):
            yield known.found("database_locked", file=path)


def refused_by_database(error: Exception, path: Path, *, known: Ailments) -> Finding | None:
    """What is wrong where a running server's database refused a step or a query, or None for another fault."""
    error = told(error, what=N_("the database")) or error
    match error:
        case StorageFull():
            return known.found("disk_full", free=in_words(shutil.disk_usage(path.parent).free), folder=path.parent)
        case DatabaseDamaged():
            return known.found("database_damaged", file=path, count=1)
        case DiskFailed():
            return known.found("disk_failed", folder=path.parent)
        case NothingLeft():
            return known.found("nothing_left", what=error.facts["what"])
        case TimeoutError():
            return known.found("database_locked", file=path)
    origin = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(origin, sqlite3.Error):
        return None
    if _is_lock(origin):
        return known.found("database_locked", file=path)
    if _code(origin) == sqlite3.SQLITE_READONLY:
        return known.found("read_only", folder=path.parent, reason="SQLITE_READONLY")
    return None


def reading(path: Path) -> sqlite3.Connection:
    """The database, to look at."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_LOCK_SECONDS)


def _is_lock(failed: sqlite3.Error) -> bool:
    return _code(failed) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(failed: sqlite3.Error) -> int:
    """The primary result code; the driver's own errors have none."""
    return getattr(failed, "sqlite_errorcode", 0) & 0xFF


def plain_swaps(table: Path = Path("/proc/swaps")) -> list[str]:
    """Swap that is neither compressed memory nor behind the device mapper, which encrypts it where it was set up so."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    names = [line.split()[0] for line in lines if line.split()]
    return [each for each in names if not each.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]


def unit_findings(unit: str, *, known: Ailments, command: Sequence[str] = ("systemctl",)) -> Iterator[Finding]:
    """What systemd says of a unit; nothing where there is no systemd or no such unit."""
    asked = (*command, "show", unit, "--property=LoadState,ActiveState,UnitFileState,Result")
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if told.get("LoadState") != "loaded":
        return
    if told.get("ActiveState") == "failed":
        yield known.found("unit_failed", unit=unit, state=told.get("Result", "failed"))
    if told.get("UnitFileState") == "disabled":
        yield known.found("unit_not_enabled", unit=unit)
