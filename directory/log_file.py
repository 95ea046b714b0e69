"""The roster log in a file: each entry after its length (4 bytes, big-endian)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from cordee.errors import N_, InvalidRecord
from cordee.v1 import statements_pb2 as v1
from directory.files import read_whole, replace

__all__ = ["append_entries", "encode_entries", "read_entries"]

_LENGTH = 4
_MAX_BYTES = 1 << 30


def encode_entries(entries: Sequence[v1.Entry]) -> bytes:
    """The bytes of a file that holds these entries."""
    written = bytearray()
    for each in entries:
        data = each.SerializeToString()
        written += len(data).to_bytes(_LENGTH, "big") + data
    return bytes(written)


def read_entries(path: Path) -> list[v1.Entry]:
    """The entries; none where there is no file. What a crash left incomplete at the end is not read.

    They are not verified. Raises: InvalidRecord.
    """
    if not path.exists():
        return []
    data = read_whole(path, limit=_MAX_BYTES)
    entries, position = [], 0
    while position + _LENGTH <= len(data):
        size = int.from_bytes(data[position : position + _LENGTH], "big")
        position += _LENGTH
        if position + size > len(data):
            break
        try:
            entries.append(v1.Entry.FromString(data[position : position + size]))
        except DecodeError as error:
            raise InvalidRecord(
                path=path.name, problem=N_("entry {index} cannot be parsed"), index=len(entries)
            ) from error
        position += size
    return entries


def append_entries(path: Path, before: Sequence[v1.Entry], entries: Sequence[v1.Entry]) -> None:
    """Add entries, durably, after those that were read. After a crash there are those before, or all.

    The file is written anew: where it only grew, a power cut could leave its new length filled with zeros, which are
    entries of their own to whoever reads it.
    """
    replace(path, encode_entries([*before, *entries]))
