"""What is wrong with a node's folder, settings and machine, also while the node does not run."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from cordee.errors import N_, CannotOpen, CordeeError, InvalidInput, NotFound, VaultLocked
from cordee.runtime.doctor import Finding
from node.findings import NODE
from node.joining import CERTIFICATE, DATABASE, MEMBERSHIP, VAULT
from node.vault import Vault
from node.vault_file import VaultFile

__all__ = ["DISK_FULL", "DISK_LOW", "Settings", "check_folder", "disk_findings", "plain_swaps", "unit_findings"]

DISK_LOW: Final = 5 * 1024**3  # bytes: some dozens of the largest cases
DISK_FULL: Final = 32 * 1024**2
_PROBE = 64 * 1024
_SOON = timedelta(days=7)
_FOLDERS = ("attachments", "spool", "inflight", "mailbox", "run")
_LOCK_SECONDS = 2.0
_UNIT: Final = "cordee-node.service"


@dataclass(frozen=True)
class Settings:
    """How the node is started, as far as it can be looked at from outside. Empty where it is not set."""

    passphrase_file: str = ""
    pages: str = "none"
    pages_certificate: Path | None = None
    pages_key: Path | None = None
    mail_password_file: str = ""
    mailbox_listen: str = ""
    status: str = ""


def check_folder(folder: Path, *, settings: Settings, now: datetime, running: bool) -> Iterator[Finding]:
    """Everything that is wrong there. Reads only, but for a small file that it makes and takes away again."""
    if not (folder / VAULT).exists() and not (folder / DATABASE).exists():
        yield NODE.found("not_initialised", folder=folder)
        return
    yield from _files(folder)
    yield from _rights(folder)
    yield from disk_findings(folder)
    yield from _database(folder / DATABASE)
    yield from _vault(folder / VAULT, settings.passphrase_file)
    if not running:
        yield from _certificate(folder / CERTIFICATE, now)
        yield from _ports(settings)
    yield from _settings(settings)


# ---- files and rights ----


def _files(folder: Path) -> Iterator[Finding]:
    for name in (VAULT, DATABASE):
        if not (folder / name).exists():
            yield NODE.found("file_missing", file=folder / name)
    if not (folder / MEMBERSHIP).exists():
        yield NODE.found("not_joined")
    elif not (folder / CERTIFICATE).exists():
        # It is fetched when the node is admitted; a node that knows a roster has had one.
        yield NODE.found("file_missing" if _has_roster(folder / DATABASE) else "not_joined", file=folder / CERTIFICATE)


def _has_roster(database: Path) -> bool:
    with suppress(sqlite3.Error), closing(_reading(database)) as db:
        return bool(db.execute("SELECT 1 FROM roster_entry LIMIT 1").fetchone())
    return False


def _rights(folder: Path) -> Iterator[Finding]:
    owner = folder.stat().st_uid
    paths = [folder, *(folder / each for each in _FOLDERS), *(each for each in folder.iterdir() if each.is_file())]
    paths += [each for name in ("inflight", "spool") if (folder / name).is_dir() for each in (folder / name).iterdir()]
    for path in paths:
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if found.st_uid != owner:
            yield NODE.found("another_owner", path=path, owner=_account(found.st_uid), account=_account(owner))
        mode = stat.S_IMODE(found.st_mode)
        # What lies in a folder that nobody else can enter is out of reach; the folder itself is not.
        if mode & 0o077 and (path == folder or folder.stat().st_mode & 0o011):
            yield NODE.found("open_to_others", path=path, mode=f"{mode:o}")


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def disk_findings(folder: Path) -> Iterator[Finding]:
    """Whether something can be written, and how much room is left."""
    usage = shutil.disk_usage(folder)
    free = _size(usage.free)
    refused = _refused(folder)
    if refused in (errno.ENOSPC, errno.EDQUOT) or (not refused and usage.free < DISK_FULL):
        yield NODE.found("disk_full", free=free, folder=folder)
    elif refused:
        yield NODE.found("read_only", folder=folder, reason=errno.errorcode.get(refused, str(refused)))
    elif usage.free < DISK_LOW:
        yield NODE.found("disk_low", free=free, folder=folder)
    under_way = sum(_sizes(folder / "spool")) + sum(_sizes(folder / "mailbox"))
    if under_way > usage.free:
        yield NODE.found("spool_full", size=_size(under_way), free=free)


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


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*") if folder.exists() else ():
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_size


def _size(count: int) -> str:
    return f"{count / 10**9:.1f} GB" if count >= 10**9 else f"{count // 10**6} MB"


# ---- the database, the vault, the certificate ----


def _database(path: Path) -> Iterator[Finding]:
    if not path.exists():
        return
    from node.store.migrations import MIGRATIONS

    try:
        with closing(_reading(path)) as db:
            (found,) = db.execute("SELECT max(version) FROM schema_version").fetchone()
            known = len(MIGRATIONS) + 1
            if found is not None and found > known:
                yield NODE.found("database_too_new", found=found, known=known)
            rows = db.execute("PRAGMA integrity_check(100)").fetchall()
            if rows != [("ok",)]:
                yield NODE.found("database_damaged", file=path, count=len(rows))
                return
    except sqlite3.DatabaseError as failed:
        if not _is_lock(failed):
            yield NODE.found("database_damaged", file=path, count=1)
            return
    try:
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
    except sqlite3.OperationalError as failed:
        if _is_lock(failed):
            yield NODE.found("database_locked", file=path)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_LOCK_SECONDS)


def _is_lock(failed: sqlite3.Error) -> bool:
    return failed.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _vault(path: Path, passphrase_file: str) -> Iterator[Finding]:
    if not path.exists():
        return
    try:
        VaultFile.read(path)
    except CannotOpen:
        yield NODE.found("vault_damaged", file=path)
        return
    except (NotFound, OSError):
        return
    if passphrase_file in ("", "-"):
        return
    secret = Path(passphrase_file)
    try:
        if stat.S_IMODE(secret.stat().st_mode) & 0o077:
            yield NODE.found("passphrase_file", file=secret, problem=N_("others may read it"))
        passphrase = secret.read_bytes().split(b"\n", 1)[0].removesuffix(b"\r")
        Vault.open(path, passphrase)
    except VaultLocked:
        yield NODE.found("vault_locked", file=secret)
    except FileNotFoundError:
        yield NODE.found("passphrase_file", file=secret, problem=N_("it is not there"))
    except (OSError, InvalidInput):
        yield NODE.found("passphrase_file", file=secret, problem=N_("it cannot be read"))


def _certificate(path: Path, now: datetime) -> Iterator[Finding]:
    try:
        ends = x509.load_der_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return
    told = ends.strftime("%Y-%m-%d %H:%M UTC")
    if ends <= now:
        yield NODE.found("certificate_expired", time=told)
    elif ends - now <= _SOON:
        yield NODE.found("certificate_soon", time=told)


# ---- settings, ports, the machine ----


def _settings(settings: Settings) -> Iterator[Finding]:
    from cordee.web.serving import Listening

    if settings.pages != "none":
        try:
            where = Listening.parse(
                settings.pages, host="", certificate=settings.pages_certificate, key=settings.pages_key
            )
            where.require_sound()
        except CordeeError as wrong:
            problem = str(wrong.facts.get("problem", wrong.reason))
            yield NODE.found("setting_wrong", setting="CORDEE_NODE_PAGES", problem=problem)
    for name, path in (
        ("CORDEE_NODE_PAGES_CERTIFICATE", settings.pages_certificate),
        ("CORDEE_NODE_PAGES_KEY", settings.pages_key),
        ("CORDEE_NODE_MAIL_PASSWORD_FILE", settings.mail_password_file),
    ):
        if path and not os.access(path, os.R_OK):
            yield NODE.found("setting_wrong", setting=name, problem=N_("the file cannot be read"))


def _ports(settings: Settings) -> Iterator[Finding]:
    """Addresses that the node is to listen on, while it does not run."""
    for name, address in (
        ("CORDEE_NODE_PAGES", settings.pages),
        ("CORDEE_NODE_MAILBOX_LISTEN", settings.mailbox_listen),
        ("CORDEE_NODE_STATUS", settings.status),
    ):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not int(port):
            continue
        try:
            with socket.create_server((host.strip("[]"), int(port)), family=_family(host), reuse_port=False):
                pass
        except OSError as failed:
            if failed.errno == errno.EADDRINUSE:
                yield NODE.found("port_taken", address=address, setting=name)
            else:
                problem = N_("this machine cannot listen there")
                yield NODE.found("setting_wrong", setting=name, problem=problem)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def plain_swaps(table: Path = Path("/proc/swaps")) -> list[str]:
    """Swap that is neither compressed memory nor behind the device mapper, which encrypts it where it was set up so."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    names = [line.split()[0] for line in lines if line.split()]
    return [each for each in names if not each.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]


def unit_findings(unit: str = _UNIT, *, command: Sequence[str] = ("systemctl",)) -> Iterator[Finding]:
    """What systemd says of the node's unit; nothing where there is no systemd or no such unit."""
    asked = (*command, "show", unit, "--property=LoadState,ActiveState,UnitFileState,Result")
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if told.get("LoadState") != "loaded":
        return
    if told.get("ActiveState") == "failed":
        yield NODE.found("unit_failed", unit=unit, state=told.get("Result", "failed"))
    if told.get("UnitFileState") == "disabled":
        yield NODE.found("unit_not_enabled", unit=unit)
