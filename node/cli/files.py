"""What commands read from files and write to them. A dash is standard input. What is written is for the owner alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from cordee.errors import N_, AlreadyExists, InvalidInput
from cordee.runtime.durable import sync_folder
from cordee.runtime.exhausted import told
from cordee.runtime.texts import why

__all__ = [
    "new_folder",
    "open_source",
    "parse_json",
    "private_file",
    "read_bytes",
    "read_json",
    "read_secret",
    "read_text",
]

_DOCUMENT_LIMIT = 8 << 20  # bytes
_SECRET_LIMIT = 1024


def read_bytes(path: str, *, limit: int = _DOCUMENT_LIMIT) -> bytes:
    """A whole small file. Raises InvalidInput, naming the file, where it cannot be read or is too long."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise InvalidInput(field=path, problem=why(error, N_("it cannot be read"))) from error
    if len(data) > limit:
        raise InvalidInput(field=path, problem=N_("it has more than {limit} bytes"), limit=limit)
    return data


def read_text(path: str) -> str:
    """A small text file in UTF-8, without the white space at its ends. Raises InvalidInput."""
    try:
        return read_bytes(path).decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            field=path, problem=N_("it is no text in UTF-8 (byte {position})"), position=error.start
        ) from error


def read_secret(path: str) -> str:
    """A password or a passphrase: the first line. Raises InvalidInput where there is none."""
    try:
        secret = read_bytes(path, limit=_SECRET_LIMIT).decode("utf-8").split("\n", 1)[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise InvalidInput(field=path, problem=N_("it is no text in UTF-8")) from error
    if not secret:
        raise InvalidInput(field=path, problem=N_("its first line is empty; put the secret there"))
    return secret


def read_json(path: str) -> Any:
    """A JSON document. Raises InvalidInput with the line and column where it breaks, never with its content."""
    return parse_json(read_bytes(path), where=path)


def parse_json(data: bytes, *, where: str) -> Any:
    """JSON, with `where` naming its source in errors."""
    try:
        return json.loads(data)
    except RecursionError:
        raise InvalidInput(field=where, problem=N_("it nests too deep")) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(field=where, problem=N_("it is no text in UTF-8")) from error
    except json.JSONDecodeError as error:
        raise InvalidInput(
            field=where,
            problem=N_("it is no JSON (line {line}, column {column})"),
            line=error.lineno,
            column=error.colno,
        ) from error


@contextmanager
def private_file(path: Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """Write a file for the owner alone, whole or not at all: it has its name only once every byte is on disk.

    Raises: AlreadyExists unless `replace`; InvalidInput where the folder cannot be written; StorageFull.
    """
    if path.exists() and not replace:
        raise AlreadyExists(what=path)
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)  # of a command that was killed, or laid out by somebody else: then it stays theirs
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # somebody else's that cannot be taken away is told of as what it is
            part.unlink(missing_ok=True)
        known = told(error, what=str(path))  # a full disk is no wrong input: the same command works once there is room
        raise known or InvalidInput(field=str(path), problem=why(error, N_("it cannot be written"))) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def open_source(path: Path) -> tuple[BinaryIO, int]:
    """A file to be sent piece by piece, and its size in bytes. Raises InvalidInput, naming the file."""
    try:
        source = path.open("rb")
        return source, os.fstat(source.fileno()).st_size
    except OSError as error:
        raise InvalidInput(field=str(path), problem=why(error, N_("it cannot be read"))) from error


def new_folder(path: Path) -> None:
    """Make a folder that only its owner may open. Raises AlreadyExists; InvalidInput where it cannot be made."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise AlreadyExists(what=path) from error
    except OSError as error:
        raise InvalidInput(field=str(path), problem=why(error, N_("it cannot be made"))) from error
