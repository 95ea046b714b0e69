"""What is wrong with a directory: its folder, whether it runs or not; and itself, asked while it runs."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from cordee.errors import CordeeError
from cordee.runtime.checkup import (
    database_findings,
    disk_findings,
    plain_swaps,
    reading,
    refused_by_database,
    rights_findings,
)
from cordee.runtime.doctor import Finding, sorted_findings
from directory.findings import DIRECTORY
from directory.house import House
from directory.lastsigned import LastSigned
from directory.saving import saving_findings
from directory.store.migrations import MIGRATIONS

if TYPE_CHECKING:
    from directory.app import Directory
    from directory.upkeep import Upkeep

__all__ = ["UNIT", "ask_running", "check_folder", "examine"]

UNIT = "cordee-directory.service"
_SIGNED_LATELY = timedelta(hours=3)  # it is signed each hour
_SOON = timedelta(days=2)  # the certificate is made anew at two thirds of its life
_SECONDS = 20.0
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_LONGEST = 1 << 20  # bytes


# ---- the folder ----


def check_folder(folder: Path, *, now: datetime, listening: bool = True) -> Iterator[Finding]:
    """Everything that is wrong there; with `listening`, also whether the addresses of founding.json answer here."""
    house = House(folder)
    try:
        founding = house.founding()
    except CordeeError:
        yield DIRECTORY.found("not_initialised", folder=folder)
        return
    for path in (folder / "ca.key", folder / "log.key", folder / "server.key"):
        # The first CA and log key are erased once others have followed them.
        if not path.exists() and not any(folder.glob(f"{path.stem}-*.key")):
            yield DIRECTORY.found("file_missing", file=path)
    private = [each for each in folder.iterdir() if each.is_file() and each != house.founding_file]
    yield from rights_findings(folder, [house.mailbox, *private], known=DIRECTORY)
    yield from disk_findings(folder, known=DIRECTORY, within=(house.mailbox,))
    yield from database_findings(house.database, newest=len(MIGRATIONS) + 1, known=DIRECTORY)
    yield from _log(house, now)
    if listening:
        for code, address in (("not_running", founding.members), ("front_closed", founding.front)):
            if not _answers(address):
                yield DIRECTORY.found(code, address=address)
    for device in plain_swaps():
        yield DIRECTORY.found("swap_plain", device=device)


def _log(house: House, now: datetime) -> Iterator[Finding]:
    entries = 0
    with suppress(sqlite3.Error):
        if house.database.exists():
            with closing(reading(house.database)) as db:
                (entries,) = db.execute("SELECT count(*) FROM entry").fetchone()
    if not entries:
        yield DIRECTORY.found("not_founded")
        return
    yield from saving_findings(house, now)
    if not house.last_signed.exists():
        yield DIRECTORY.found("last_signed_lost")
        return
    try:
        signed = LastSigned(house.last_signed).size
    except CordeeError:
        yield DIRECTORY.found("last_signed_lost")
        return
    if entries < signed:
        yield DIRECTORY.found("log_behind", entries=entries, signed=signed)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


# ---- while it runs ----


def ask_running(port: int) -> list[Finding]:
    """What a running directory says of itself on that port of this machine (`serve --metrics-port`)."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        line.request("GET", "/findings")
        answer = line.getresponse()
        listed = json.loads(answer.read(_LONGEST)) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        listed = None
    finally:
        line.close()
    if not isinstance(listed, list):
        return [DIRECTORY.found("not_answering", address=f"127.0.0.1:{port}")]
    known = [each for each in listed if each["finding"] in DIRECTORY.by_code]  # a newer one may know more
    return [DIRECTORY.found(each["finding"], **each["facts"]) for each in known]


async def examine(directory: Directory, upkeep: Upkeep, loops: Sequence[asyncio.Task[None]] = ()) -> list[Finding]:
    """Everything that is wrong now, the worst first."""
    house = directory.house
    found = [DIRECTORY.found("loop_dead", loop=each.get_name()) for each in loops if each.done()]
    found += await asyncio.to_thread(
        lambda: list(disk_findings(house.folder, known=DIRECTORY, within=(house.mailbox,)))
    )
    found += await _database(directory)
    if upkeep.failing:
        found.append(DIRECTORY.found("round_failed", reason=upkeep.failing))
    return sorted_findings([*found, *_signing(directory)])


async def _database(directory: Directory) -> list[Finding]:
    try:
        async with asyncio.timeout(_SECONDS):
            await directory.db.write(_nothing)
    except Exception as failed:
        found = refused_by_database(failed, directory.db.path, known=DIRECTORY)
        if found is None:
            raise
        return [found]
    return []


def _nothing(tx: Connection) -> None:
    tx.exec_driver_sql("SELECT version FROM schema_version").close()


def _signing(directory: Directory) -> Iterator[Finding]:
    now, rosters = directory.clock.now(), directory.rosters
    if rosters.founded:
        yield from saving_findings(directory.house, now)
    if not rosters.founded:
        yield DIRECTORY.found("not_founded")
    elif rosters.behind:
        yield DIRECTORY.found("log_behind", entries=rosters.size, signed=rosters.was_signed or "?")
    else:
        signed = rosters.signed_at
        if signed is None or not -_SIGNED_LATELY < now - signed < _SIGNED_LATELY:
            yield DIRECTORY.found("log_unsigned", time=_told(signed))
    ends = directory.authority.own_expiry
    if ends is not None and ends - now < _SOON:
        yield DIRECTORY.found("certificate_expired" if ends <= now else "certificate_soon", time=_told(ends))


def _told(moment: datetime | None) -> str:
    return "—" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")
