"""Secrets that must be gone: how they are told apart, how they may be written down, where they are looked for."""

from __future__ import annotations

import base64
import hashlib
import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.looking import readable_blocks

__all__ = [
    "Drawn",
    "Place",
    "Secret",
    "drawn_in",
    "found_in",
    "in_folder",
    "in_process",
    "in_running",
    "planted_in_memory",
]

_BLOCK = 8 << 20
_OVERLAP = 512  # bytes; no writing of a secret is longer
_NO_TEXT = bytes(set(range(256)) - set(string.ascii_letters.encode() + string.digits.encode() + b"+/-_="))
_LONG, _SHORT = 4096, 128  # of one byte in a row; no writing has as many as the shorter


@dataclass(frozen=True)
class Drawn:
    """One random value, and which of our modules asked for it."""

    who: str
    value: bytes


@dataclass(frozen=True)
class Secret:
    """A value that must be gone, with what it is."""

    kind: str
    value: bytes

    def writings(self) -> set[bytes]:
        """As it is, backwards, and as text."""
        return {self.value, self.value[::-1], *self.texts()}

    def texts(self) -> set[bytes]:
        """In hexadecimal, in base32, and in base64 at each place of a group of three; without what would pad it."""
        raw = self.value
        found = {raw.hex().encode(), raw.hex().upper().encode(), base64.b32encode(raw)[: len(raw) * 8 // 5]}
        for at, first in enumerate((0, 2, 3)):
            last = (at + len(raw)) * 8 // 6
            middle = base64.b64encode(bytes(at) + raw + bytes(3))[first:last]
            found |= {middle, middle.translate(bytes.maketrans(b"+/", b"-_"))}
        return found

    def with_halves(self) -> list[Secret]:
        """A seed with the two private keys that are made of it (X-Wing: ML-KEM-768 and X25519)."""
        expanded = hashlib.shake_256(self.value).digest(96)
        return [self, Secret(f"{self.kind}, ML-KEM", expanded[:64]), Secret(f"{self.kind}, X25519", expanded[64:])]


@dataclass(frozen=True)
class Place:
    """Bytes somewhere, in blocks that overlap."""

    name: str
    blocks: Iterable[bytes]


def drawn_in(path: Path, *, after: int = 0) -> list[Drawn]:
    """What `recording` wrote, from a byte on. A record that is still being written is left out."""
    data, found = path.read_bytes()[after:] if path.exists() else b"", []
    while data:
        who, _, rest = data.partition(b" ")
        count, _, rest = rest.partition(b" ")
        if not count or len(rest) < int(count):
            break
        found.append(Drawn(who.decode(), rest[: int(count)]))
        data = rest[int(count) :]
    return found


def found_in(places: Iterable[Place], secrets: Iterable[Secret]) -> set[tuple[str, Secret]]:
    """Which secrets stand where. Each is looked for by itself: nothing is as fast as `bytes.find`.

    What is written as text is looked for among the bytes of text alone, which are few: what stood together stays so.
    """
    raw = [(each, writing) for each in secrets for writing in each.writings() - each.texts()]
    text = [(each, writing) for each in secrets for writing in each.texts()]
    found: set[tuple[str, Secret]] = set()
    for place in places:
        for block in place.blocks:
            shorter = _without_filling(block)
            found |= {(place.name, secret) for secret, writing in raw if writing in shorter}
            letters = shorter.translate(None, _NO_TEXT)
            found |= {(place.name, secret) for secret, writing in text if writing in letters}
    return found


def _without_filling(block: bytes) -> bytes:
    """The same with long rows of one byte made shorter: memory that was never used, or was overwritten."""
    for each in (b"\0", b"\x55", b"\xaa", b"\xff"):
        block = block.replace(each * _LONG, each * _SHORT)
    return block


def in_folder(folder: Path, *, but: frozenset[Path] = frozenset(), name: str = "") -> Iterator[Place]:
    """Every file below a folder, databases, logs and what lies beside them; names included. `name` says whose it is."""
    name = name or folder.name
    for path in sorted(folder.rglob("*")):
        if path in but or any(each in but for each in path.parents):
            continue
        yield Place(f"{name}, a name", [str(path.relative_to(folder)).encode()])
        with suppress(FileNotFoundError):
            if path.is_file():
                yield Place(f"{name}/{path.relative_to(folder)}", list(_in_file(path)))


def in_process(pid: int, name: str) -> Iterator[Place]:
    """What everybody on a machine may see of a process: its command line and, its owner only, its environment; and
    what it holds open without a name."""
    folder = Path(f"/proc/{pid}")
    for part in ("cmdline", "environ"):
        yield Place(f"{name}, {part}", [(folder / part).read_bytes()])
    for link in (folder / "fd").iterdir():
        with suppress(OSError):
            if link.readlink().name.endswith(" (deleted)") and link.is_file():
                yield Place(f"{name}, a file without a name", list(_in_file(link)))


def in_running(pid: int, name: str) -> Place:
    """The memory of a process, all that it can write to."""
    return Place(f"{name}, memory", readable_blocks(pid, block=_BLOCK, overlap=_OVERLAP))


@contextmanager
def planted_in_memory(pid: int, data: bytes) -> Iterator[None]:
    """Data in the memory of a process that knows nothing of it, as long as the block lasts: at the far end of its
    stack, where it was once and seldom comes again. Needs what reading that memory needs.
    """
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    begin = int(next(each for each in maps if each.endswith("[stack]")).partition("-")[0], 16)
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(begin)
        before = memory.read(len(data))
        memory.seek(begin)
        memory.write(data)
        try:
            yield
        finally:
            memory.seek(begin)
            memory.write(before)


def _in_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        rest = b""
        while block := file.read(_BLOCK):
            yield rest + block
            rest = block[-_OVERLAP:]
