"""Looks for what only cases hold, in files and in a process's memory."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.demo.holding import require

__all__ = ["Search", "sample_of"]

_BLOCK = 4 * 1024 * 1024
_OVERLAP = 256  # bytes; no needle has more
_HEAD = 4  # bytes of a needle for which the data is gone through
_ENOUGH = 100


@dataclass
class Search:
    """What is looked for, and where: folders, and the memory of the process `pid`.

    What was there before any case was written cannot have come from one: `before` is asked first.
    """

    words: Collection[str]
    samples: list[bytes]
    places: Sequence[Path]
    pid: int | None = None
    there_before: frozenset[bytes] = frozenset()

    def before(self) -> None:
        """Remember what is there already."""
        self.there_before = frozenset(self._look([word.encode() for word in self.words]))

    def after(self) -> int:
        """How many names, dates, numbers, phrases and pieces of files were searched for; none is there.

        Raises: DoesNotHold.
        """
        needles = [word.encode() for word in sorted(self.words)] + self.samples
        needles = [each for each in needles if each not in self.there_before]
        found = self._look(needles)
        require(len(needles) > _ENOUGH, "there is enough to search for")
        shown = ", ".join(repr(each.decode(errors="backslashreplace")) for each in sorted(found)[:3])
        require(not found, f"found in clear: {shown}")
        return len(needles)

    def _look(self, needles: list[bytes]) -> set[bytes]:
        finder = _Finder(needles)
        found: set[bytes] = set()
        for place in self.places:
            for data in _in_files(place):
                found |= finder.find(data)
        for data in _in_memory(self.pid) if self.pid is not None else ():
            found |= finder.find(data)
        return found


class _Finder:
    """Finds many needles in one pass, also those that overlap: first their beginnings, then the whole."""

    def __init__(self, needles: Collection[bytes]) -> None:
        self._needles: dict[bytes, list[bytes]] = defaultdict(list)
        for each in needles:
            self._needles[each[:_HEAD]].append(each)
        by_byte: dict[bytes, list[bytes]] = defaultdict(list)
        for head in self._needles:
            by_byte[head[:1]].append(re.escape(head[1:]))
        # Parted by the first byte: an alternative for each needle would be tried at every place.
        self._heads = re.compile(
            b"|".join(re.escape(first) + b"(?:%b)" % b"|".join(by_byte[first]) for first in by_byte)
        )

    def find(self, data: bytes) -> set[bytes]:
        found: set[bytes] = set()
        at = 0
        while hit := self._heads.search(data, at):
            at = hit.start() + 1
            found.update(each for each in self._needles[hit.group()] if data.startswith(each, hit.start()))
        return found


def sample_of(path: Path) -> bytes:
    """A piece from the middle of a file, long enough not to occur by chance."""
    with path.open("rb") as file:
        file.seek(path.stat().st_size // 2)
        return file.read(48)


def _in_files(folder: Path) -> Iterator[bytes]:
    """Every file below a folder, in blocks that overlap, so that nothing is missed at an edge."""
    for path in folder.rglob("*"):
        try:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                rest = b""
                while block := file.read(_BLOCK):
                    yield rest + block
                    rest = block[-_OVERLAP:]
        except FileNotFoundError:
            continue  # a program that works removes files; one that is gone holds nothing


def _in_memory(pid: int) -> Iterator[bytes]:
    """Every readable mapping of a process that it can write to."""
    regions = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in regions:
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(each, 16) for each in span.split("-"))
            try:
                memory.seek(begin)
                yield memory.read(end - begin)
            except OSError:
                continue  # a mapping that cannot be read, such as a guard page, or one that is gone
