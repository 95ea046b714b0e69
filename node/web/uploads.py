"""A form with a file in it, read while it comes: its fields first, then the file piece by piece.

Starlette's own reading of forms writes files in clear to a temporary folder. Nothing here touches a disk.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from cordee.errors import N_, InvalidInput

__all__ = ["Upload", "safe_name"]

_MANY_FIELDS = 20
_FIELD_BYTES = 4096
_LONGEST_NAME = 200  # characters; the schema takes 300, other systems' file systems 255 bytes
_UNNAMED = "document"
_PARTS_OF_PATH = re.compile(r"[/\\]")
# Controls, and what turns the direction of writing: "gpj.exe" can be made to look like "exe.jpg".
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')


def safe_name(given: str) -> str:
    """A file's name without folders, without characters that nobody sees, and no longer than file systems take."""
    # Half a surrogate pair becomes a question mark, so it goes before what forbids those.
    name = _PARTS_OF_PATH.split(given.encode("utf-8", "replace").decode())[-1]
    name = _FORBIDDEN.sub("_", _UNSEEN.sub("", name)).strip(" .")
    if len(name) > _LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[: _LONGEST_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 12 else name
    return name[:_LONGEST_NAME].strip(" .") or _UNNAMED


class Upload:
    """The body of one request. `fields` first; then `file`, once."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        """Raises InvalidInput where this is no form with a file."""
        described = Message()
        described["content-type"] = content_type
        boundary = described.get_param("boundary")
        if described.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
            raise _broken()
        self.file_name: str | None = None
        self._body = body
        self._fields: dict[str, str] = {}
        self._header = (bytearray(), bytearray())
        self._name = ""
        self._text = bytearray()
        self._pieces: deque[bytes] = deque()
        self._in_file = False
        self._file_ended = False
        self._over = False
        try:
            self._parser = MultipartParser(
                boundary.encode("latin-1", "replace"),
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._header_ends,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_ends,
                    "on_end": self._ends,
                },
            )
        except FormParserError as refused:
            raise _broken() from refused

    async def fields(self) -> dict[str, str]:
        """What was filled in before the file; no more of the body is read than that takes. Raises InvalidInput."""
        while not self._in_file and not self._over and await self._more():
            pass
        return dict(self._fields)

    async def file(self) -> AsyncIterator[bytes]:
        """The file, as it comes. Raises InvalidInput where the body ends before the file does."""
        while True:
            while self._pieces:
                yield self._pieces.popleft()
            if self._over:
                return
            if not await self._more():
                raise InvalidInput(field="file", problem=N_("the connection broke off; send it again"))

    async def _more(self) -> bool:
        chunk = await anext(self._body, None)
        if chunk is None:
            return False
        try:
            self._parser.write(chunk)
        except FormParserError as broken:
            raise _broken() from broken
        return True

    # ---- what the parser tells ----

    def _part_begins(self) -> None:
        if self._file_ended or len(self._fields) >= _MANY_FIELDS:
            raise _broken()
        self._name = ""

    def _header_ends(self) -> None:
        name, value = bytes(self._header[0]).strip().lower(), bytes(self._header[1])
        self._header = (bytearray(), bytearray())
        if name != b"content-disposition":
            return
        self._name = _parameter(_NAME, value) or ""
        file_name = _parameter(_FILE_NAME, value)
        if file_name is not None:
            self.file_name = file_name
            self._in_file = True

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _FIELD_BYTES:
            raise _broken()

    def _part_ends(self) -> None:
        if self._in_file:
            self._file_ended = True
            return
        self._fields[self._name] = self._text.decode("utf-8", "replace")
        self._text = bytearray()

    def _ends(self) -> None:
        self._over = True


# Browsers write a quotation mark in a name as %22 (HTML, multipart/form-data encoding), so the first one ends it.
_NAME = re.compile(rb';\s*name="([^"]*)"')
_FILE_NAME = re.compile(rb';\s*filename="([^"]*)"')


def _parameter(form: re.Pattern[bytes], value: bytes) -> str | None:
    found = form.search(value)
    return None if found is None else found[1].decode("utf-8", "replace").replace("%22", '"')


def _broken() -> InvalidInput:
    return InvalidInput(field="file", problem=N_("this is no form with one file at its end"))
