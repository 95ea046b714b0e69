"""Looks for marks in bytes: files, a process's memory, what a server answers. As text, and as text is written down."""

from __future__ import annotations

import base64
import binascii
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from tests.attacks.marks import Marks

__all__ = ["Found", "Look", "readable_blocks", "writings"]

_BLOCK = 32 << 20
_OVERLAP = 1024  # bytes; a mark written down in hexadecimal UTF-16 has fewer
_WINDOW = 256
_PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_PACKED_LIMIT = 1 << 20


@dataclass(frozen=True)
class Found:
    """One mark, or a piece of one, where none may be."""

    place: str
    writing: str
    what: str


@dataclass(frozen=True)
class _Beginning:
    """How the beginning of a kind of mark stands in bytes, and how to read on from there."""

    writing: str
    literal: bytes
    read: Callable[[bytes], bytes]  # from the literal on: the mark as text again
    confirm: re.Pattern[bytes]  # what a mark of this kind looks like


@dataclass
class Look:
    """A search for all marks of a run. `rows`: also for the ids that a node keeps in clear by design."""

    marks: Marks
    rows: bool = True
    looked_at: int = 0  # bytes
    _beginnings: dict[bytes, _Beginning] = field(init=False, repr=False)
    _any: re.Pattern[bytes] = field(init=False, repr=False)
    _names: dict[bytes, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        marks = self.marks
        kinds = [
            (marks.word, marks.word + r"-?[a-z]{0,8}"),
            (marks.number, marks.number + r"[0-9]{3}"),
            (marks.year + "-", marks.year + r"-[01][0-9]-[0-3][0-9]"),
        ]
        if marks.born:
            kinds.append((marks.born, marks.born))
        raw = []
        for digits in (marks.hex, *([marks.row] if self.rows else [])):
            kinds += [(f"{digits[:8]}-{digits[8:]}", f"{digits[:8]}-{digits[8:]}-[0-9a-f-]*")]
            kinds += [(digits, f"{digits}[0-9a-f]*")]
            raw.append(
                _Beginning("raw bytes", bytes.fromhex(digits), lambda data: data[:6].hex().encode(), _any(digits))
            )
        literals = marks.literals | (marks.row_literals if self.rows else {})
        raw += [_Beginning("as it is", each, lambda data: data, re.compile(re.escape(each))) for each in literals]
        written = [each for text, form in kinds for each in _written(text, re.compile(form.encode(), re.IGNORECASE))]
        self._beginnings = {each.literal: each for each in (*raw, *written)}
        # One pass over the data: nothing else here is as fast.
        self._any = re.compile(b"|".join(re.escape(each) for each in self._beginnings))

    # ---- places ----

    def in_bytes(self, data: bytes, place: str) -> set[Found]:
        """Whatever of a mark stands in these bytes, packed by DEFLATE too."""
        self.looked_at += len(data)
        found = self._plain(data, place, "")
        for start in _PACKED.finditer(data):
            inner = _unpacked(memoryview(data)[start.start() :])
            if inner:
                found |= self._plain(inner, place, "packed, ")
        return found

    def in_file(self, path: Path, place: str) -> set[Found]:
        """A file, in blocks that overlap. One that is gone meanwhile holds nothing."""
        found: set[Found] = set()
        try:
            with path.open("rb") as file:
                for block in _blocks(file.read):
                    found |= self.in_bytes(block, place)
        except FileNotFoundError:
            return found
        return found

    def in_folder(self, folder: Path, place: str) -> set[Found]:
        """Every file below a folder, names included."""
        found: set[Found] = set()
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            found |= self.in_bytes(name.encode(), f"{place}, a name")
            if path.is_file():
                found |= self.in_file(path, f"{place}/{name}")
        return found

    def in_memory(self, pid: int, place: str, *, files: bool = True, first: bool = False) -> set[Found]:
        """Every readable private mapping of a process; without `files`, not those of files that it cannot change.
        With `first`, only until something is found.
        """
        found: set[Found] = set()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for begin, end, name in _mappings(pid, files=files):
                try:
                    for block in _blocks(_reading(memory, begin, end)):
                        found |= self.in_bytes(block, f"{place} {name}".strip())
                except OSError:
                    if end - begin > _BLOCK:
                        raise  # one of the kernel's own cannot be read; a heap can
                if found and first:
                    break
        return found

    def in_open_files(self, pid: int, place: str) -> set[Found]:
        """What a process holds open without a name: a temporary file may be unlinked at once."""
        found: set[Found] = set()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(link)
                if target.endswith(" (deleted)") and link.is_file():
                    found |= self.in_file(link, f"{place}, a file without a name")
            except FileNotFoundError:
                continue  # closed meanwhile
        return found

    # ---- bytes ----

    def _plain(self, data: bytes, place: str, how: str) -> set[Found]:
        found: set[Found] = set()
        for hit in self._any.finditer(data):
            beginning = self._beginnings[hit.group()]
            for mark in beginning.confirm.findall(beginning.read(data[hit.start() : hit.start() + _WINDOW])):
                found.add(Found(place, how + beginning.writing, self._told(mark)))
        return found

    def _told(self, mark: bytes) -> str:
        if mark not in self._names:
            text = mark.decode("latin-1").lower()
            literals = self.marks.literals | self.marks.row_literals
            known = self.marks.fields | {each.decode("latin-1").lower(): path for each, path in literals.items()}
            whole = next((each for each in known if text in each and len(text) > 9), None)
            self._names[mark] = known[whole] if whole else f"a piece: {text}"
        return self._names[mark]


def readable_blocks(pid: int, *, block: int = _BLOCK, overlap: int = _OVERLAP) -> Iterator[bytes]:
    """The memory of a process, as far as it can change it, in blocks that overlap."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end, _ in _mappings(pid, files=False):
            try:
                yield from _blocks(_reading(memory, begin, end), block=block, overlap=overlap)
            except OSError:
                continue  # given back meanwhile, or one of the kernel's own


def writings(text: str) -> dict[str, bytes]:
    """A text in each of the ways in which it is looked for."""
    raw = text.encode()
    return {
        "UTF-8": b"<" + raw + b">",
        "upper case": b"<" + raw.upper() + b">",
        "UTF-16": text.encode("utf-16-le"),
        "UTF-32": text.encode("utf-32-le"),
        "hexadecimal": raw.hex().encode(),
        "HEXADECIMAL": raw.hex().upper().encode(),
        **{f"base64 at {at}": base64.b64encode(b"\xfa\x01\x3c"[:at] + raw + b"\xff\x80") for at in range(3)},
        "packed": zlib.compress(b"x" * 40 + raw + b"y" * 40),
    }


# ---- how a text is written down ----


def _any(text: str) -> re.Pattern[bytes]:
    return re.compile(re.escape(text.encode()))


def _written(text: str, confirm: re.Pattern[bytes]) -> Iterator[_Beginning]:
    raw = text.encode()
    yield _Beginning("UTF-8", raw, bytes, confirm)
    if raw.upper() != raw:
        yield _Beginning("upper case", raw.upper(), bytes, confirm)
    yield _Beginning("UTF-16", text.encode("utf-16-le"), lambda data: data[::2], confirm)
    yield _Beginning("UTF-32", text.encode("utf-32-le"), lambda data: data[::4], confirm)
    yield _Beginning("hexadecimal", raw.hex().encode(), _from_hex, confirm)
    if raw.hex().upper() != raw.hex():
        yield _Beginning("HEXADECIMAL", raw.hex().upper().encode(), _from_hex, confirm)
    for at in range(3):
        literal, lost = _middle_of_base64(raw, at)
        yield _Beginning(f"base64 at {at}", literal, _from_base64(raw, at, lost), confirm)


def _middle_of_base64(raw: bytes, at: int) -> tuple[bytes, int]:
    """The digits that depend on nothing but `raw` when it stands at this place of a group of three; and how many
    digits of the group come before them.
    """
    first = (0, 2, 3)[at]
    last = (at + len(raw)) * 8 // 6
    return base64.b64encode(bytes(at) + raw + bytes(3))[first:last], first


def _from_base64(raw: bytes, at: int, lost: int) -> Callable[[bytes], bytes]:
    digits = re.compile(rb"[A-Za-z0-9+/_-]*")

    def read(data: bytes) -> bytes:
        run = digits.match(data)
        text = base64.b64encode(bytes(at) + raw + bytes(3))[:lost] + (run.group() if run else b"")
        text = text.translate(bytes.maketrans(b"-_", b"+/"))
        return binascii.a2b_base64(text[: len(text) // 4 * 4])

    return read


def _from_hex(data: bytes) -> bytes:
    run = re.match(rb"(?:[0-9a-fA-F]{2})*", data)
    return bytes.fromhex(run.group().decode()) if run else b""


def _unpacked(data: memoryview) -> bytes:
    """What these bytes hold if they are the beginning of something packed; most are not."""
    try:
        if zlib.decompressobj(wbits=47).decompress(data[:_WINDOW], _WINDOW):
            return zlib.decompressobj(wbits=47).decompress(data[:_PACKED_LIMIT], _PACKED_LIMIT)
    except zlib.error:
        pass
    return b""


def _mappings(pid: int, *, files: bool) -> Iterator[tuple[int, int, str]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, _, _, _, *name = line.split(maxsplit=5)
        begin, end = (int(each, 16) for each in span.split("-"))
        private = rights.startswith("r") and rights.endswith("p") and begin < 1 << 63  # beyond is the kernel's
        unchanged = bool(name) and name[0].startswith("/") and rights[1] == "-"
        if private and (files or not unchanged):
            yield begin, end, name[0] if name else ""


def _reading(memory: FileIO, begin: int, end: int) -> Callable[[int], bytes]:
    memory.seek(begin)

    def read(size: int) -> bytes:
        return memory.read(min(size, end - memory.tell()))

    return read


def _blocks(read: Callable[[int], bytes], *, block: int = _BLOCK, overlap: int = _OVERLAP) -> Iterator[bytes]:
    """What is read, in blocks that overlap, so that nothing is missed at an edge."""
    rest = b""
    while data := read(block):
        yield rest + data
        rest = data[-overlap:]
