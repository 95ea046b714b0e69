"""Defects that are put into the code while a story is recorded: the judge must find every one of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PLANTED", "Planted"]


@dataclass(frozen=True)
class Planted:
    """`put` changes the code of this process, which is a child that ends with the story."""

    story: str
    put: Callable[[], None]
    finds: str
    """What is found: one of these words stands in it."""


def _normal() -> None:
    from cordee.runtime import database

    database._PRAGMAS = tuple(each.replace("synchronous = FULL", "synchronous = NORMAL") for each in database._PRAGMAS)


def _off() -> None:
    from cordee.runtime import database

    database._PRAGMAS = tuple(each.replace("synchronous = FULL", "synchronous = OFF") for each in database._PRAGMAS)


def _no_file_is_synchronised() -> None:
    synchronise = os.fsync
    os.fsync = lambda each: synchronise(each) if os.path.isdir(f"/proc/self/fd/{each}") else None


def _no_folder_is_synchronised() -> None:
    synchronise = os.fsync
    os.fsync = lambda each: None if os.path.isdir(f"/proc/self/fd/{each}") else synchronise(each)


def _written_in_place() -> None:
    from node import files

    def replace(path: Path, data: bytes) -> None:
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    files.replace = replace


def _drafts_written_over() -> None:
    from cordee.runtime import durable

    def draft(path: Path, data: bytes, mode: int) -> Path:
        beside = path.with_name(f".{path.name}.draft")
        with open(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return beside

    durable._draft = draft


def _a_folder_forgotten() -> None:
    from cordee.runtime import durable

    def private_folder(folder: Path) -> Path:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    _everywhere("private_folder", durable.private_folder, private_folder)


def _a_name_left_by_the_dead() -> None:
    from node import inflight

    before = inflight.InFlight._key

    def key(self: Any, day: Any, *, make: bool) -> Any:
        return before(self, day, make=make and not (self._folder / f"{day.isoformat()}.key").exists())

    inflight.InFlight._key = key  # type: ignore[method-assign]


def _handed_over_source_first() -> None:
    from cordee.runtime import mailbox

    synchronise = mailbox.sync_folder
    mailbox.sync_folder = lambda folder: synchronise(folder) if folder.name == "mailbox" else None


def _the_log_only_grows() -> None:
    from directory import log_file

    def append_entries(path: Path, before: Any, entries: Any) -> None:
        with open(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b") as file:
            file.seek(len(log_file.encode_entries(before)))
            file.write(log_file.encode_entries(entries))
            file.flush()
            os.fsync(file.fileno())

    log_file.append_entries = append_entries


def _tombstones_not_synchronised() -> None:
    from node import tombstones

    class Hasty:
        """os, but for fsync."""

        def __getattr__(self, name: str) -> Any:
            return (lambda _: None) if name == "fsync" else getattr(os, name)

    tombstones.os = Hasty()  # type: ignore[assignment]


def _a_file_named_too_early() -> None:
    from node import attachments

    class Hasty:
        """os, but for fsync."""

        def __getattr__(self, name: str) -> Any:
            return (lambda _: None) if name == "fsync" else getattr(os, name)

    attachments.os = Hasty()  # type: ignore[assignment]


def _a_backup_not_flushed() -> None:
    from node.cli import files

    files.sync_folder = lambda folder: None


def _everywhere(name: str, old: object, new: object) -> None:
    """Also where it was imported from."""
    import sys

    for module in list(sys.modules.values()):
        if getattr(module, name, None) is old:
            setattr(module, name, new)


PLANTED: dict[str, Planted] = {
    "synchronous=NORMAL": Planted("transactions", _normal, "lost a committed step"),
    "synchronous=OFF": Planted("transactions", _off, "does not open"),
    "no file is synchronised": Planted("keys", _no_file_is_synchronised, "vault.json"),
    "no folder is synchronised": Planted("keys", _no_folder_is_synchronised, "is missing"),
    "a file is written in place": Planted("keys", _written_in_place, "vault.json"),
    "a new folder's name is not synchronised": Planted("keys", _a_folder_forgotten, "is missing"),
    "tombstones are not synchronised": Planted("keys", _tombstones_not_synchronised, "tombstones"),
    "a draft is written over": Planted("killed", _drafts_written_over, "vault.json"),
    "what a killed process left is believed": Planted("killed", _a_name_left_by_the_dead, "inflight"),
    "a letter is handed over, its old name goes first": Planted("mailbox", _handed_over_source_first, "handed"),
    "the log in the office only grows": Planted("office", _the_log_only_grows, "log"),
    "a case names a file before it is on disk": Planted("attachment", _a_file_named_too_early, "attachments/"),
    "a backup's name is not synchronised": Planted("kit", _a_backup_not_flushed, "backup is missing"),
}
"""By what is done."""
