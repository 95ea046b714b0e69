"""Secrets that must be gone: how they are told apart, how they may be written down, where they are looked for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.looking import readable_blocks

__all__ = ["Drawn", "Place", "Secret", "drawn_in", "found_in", "in_folder", "in_process", "in_running"]

_BLOCK = 8 << 20
_OVERLAP = 512  # bytes; no writing of a secret is longer


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
        """As it is, backwards, in hexadecimal and in base64, at each place of a group of three."""
        raw = self.value
        found = {raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode()}
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
    """Which secrets stand where. Each is looked for by itself: nothing is as fast as `bytes.find`."""
    wanted = [(each, writing) for each in secrets for writing in each.writings()]
    found: set[tuple[str, Secret]] = set()
    for place in places:
        for block in place.blocks:
            found |= {(place.name, secret) for secret, writing in wanted if writing in block}
    return found


def in_folder(folder: Path, *, but: frozenset[Path] = frozenset()) -> Iterator[Place]:
    """Every file below a folder, databases, logs and what lies beside them; names included."""
    for path in sorted(folder.rglob("*")):
        if path in but or any(each in but for each in path.parents):
            continue
        yield Place(f"{folder.name}, a name", [str(path.relative_to(folder)).encode()])
        with suppress(FileNotFoundError):
            if path.is_file():
                yield Place(f"{folder.name}/{path.relative_to(folder)}", list(_in_file(path)))


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


def _in_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        rest = b""
        while block := file.read(_BLOCK):
            yield rest + block
            rest = block[-_OVERLAP:]
