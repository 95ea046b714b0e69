"""What is wrong with a node's folder, settings and machine, also while the node does not run."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from cordee.errors import N_, CannotOpen, CordeeError, InvalidInput, NotFound, VaultLocked
from cordee.runtime.checkup import (
    database_findings,
    disk_findings,
    in_words,
    reading,
    rights_findings,
    sizes,
)
from cordee.runtime.doctor import Finding
from node.findings import NODE
from node.joining import CERTIFICATE, DATABASE, MEMBERSHIP, VAULT
from node.store.migrations import MIGRATIONS
from node.vault import Vault
from node.vault_file import VaultFile

__all__ = ["UNIT", "Settings", "check_folder", "room_findings"]

_SOON = timedelta(days=7)
_FOLDERS = ("attachments", "spool", "inflight", "mailbox", "run")
UNIT: Final = "cordee-node.service"


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
    yield from rights_findings(folder, _private(folder), known=NODE)
    yield from room_findings(folder)
    yield from database_findings(folder / DATABASE, newest=len(MIGRATIONS) + 1, known=NODE)
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


def _private(folder: Path) -> Iterator[Path]:
    yield from (folder / each for each in _FOLDERS)
    yield from (each for each in folder.iterdir() if each.is_file())
    for name in ("inflight", "spool"):
        yield from (folder / name).iterdir() if (folder / name).is_dir() else ()


def room_findings(folder: Path) -> Iterator[Finding]:
    """The disk, or disks, and what transfers under way take of it."""
    yield from disk_findings(folder, known=NODE, within=(folder / each for each in _FOLDERS))
    free = shutil.disk_usage(folder).free
    under_way = sum(sizes(folder / "spool")) + sum(sizes(folder / "mailbox"))
    if under_way > free:
        yield NODE.found("spool_full", size=in_words(under_way), free=in_words(free))


def _has_roster(database: Path) -> bool:
    with suppress(sqlite3.Error), closing(reading(database)) as db:
        return bool(db.execute("SELECT 1 FROM roster_entry LIMIT 1").fetchone())
    return False


# ---- the database, the vault, the certificate ----


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
    except ValueError:
        yield NODE.found("certificate_damaged", file=path)
        return
    except OSError:
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
