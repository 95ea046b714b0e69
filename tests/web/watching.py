"""Looks, again and again, whether a marked text stands in clear in any file that some processes could have written."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

__all__ = ["Watcher"]

_BLOCK = 1 << 20
_TEMPORARY = Path("/tmp")
_MEMORY = "/memfd:"  # of a process alone, on no disk
_DEVICES, _FILES_AMONG_THEM = "/dev/", "/dev/shm/"
_PAUSE = 0.005  # seconds

Seen = tuple[int, int, int]  # inode, size, time of the last change in nanoseconds


class Watcher:
    """Watches folders, what appears in /tmp meanwhile, and every file that the processes hold open, deleted or not.

    A file that has not changed since it was looked at is not read again; at the end everything is.
    """

    def __init__(
        self,
        marker: bytes,
        folders: Sequence[Path],
        pids: Callable[[], Collection[int]],
        *,
        left_out: Collection[Path] = (),
    ) -> None:
        """`left_out` are folders that hold the file by right: the desk of whoever sends it, the browser's own."""
        self.found: set[str] = set()
        self.rounds = 0
        self.largest = 0  # bytes; of the files looked at
        self._marker = marker
        self._folders = folders
        self._pids = pids
        self._left_out = left_out
        self._there_before = frozenset(os.listdir(_TEMPORARY))
        self._seen: dict[str, Seen] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._failed: BaseException | None = None

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._seen.clear()
        self._round()
        if self._failed is not None and error is None:
            raise self._failed

    def _watch(self) -> None:
        try:
            while not self._over.wait(_PAUSE):
                self._round()
        except BaseException as failed:  # told by whoever waits for the end
            self._failed = failed

    def _round(self) -> None:
        for place, path in (*self._open_files(), *self._files()):
            with suppress(FileNotFoundError, PermissionError):  # gone meanwhile, or no file of ours
                self._look(place, path)
        self.rounds += 1

    def _open_files(self) -> Iterator[tuple[str, str]]:
        for pid in self._pids():
            folder = f"/proc/{pid}/fd"
            with suppress(FileNotFoundError, ProcessLookupError):
                for each in os.listdir(folder):
                    with suppress(FileNotFoundError):
                        target = os.readlink(f"{folder}/{each}")
                        if target.startswith("/") and _on_a_disk(target):
                            yield f"{pid}: {target}", f"{folder}/{each}"

    def _files(self) -> Iterator[tuple[str, str]]:
        new = [_TEMPORARY / each for each in set(os.listdir(_TEMPORARY)) - self._there_before]
        for top in (*self._folders, *new):
            if top.is_file():
                yield str(top), str(top)
            for folder, folders, names in os.walk(top):
                folders[:] = [each for each in folders if Path(folder, each) not in self._left_out]
                yield from ((f"{folder}/{name}", f"{folder}/{name}") for name in names)

    def _look(self, place: str, path: str) -> None:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            return
        seen = (about.st_ino, about.st_size, about.st_mtime_ns)
        if self._seen.get(place) == seen:
            return
        self._seen[place] = seen
        self.largest = max(self.largest, about.st_size)
        rest = b""
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                if self._marker in rest + block:
                    self.found.add(place)
                    return
                rest = block[-len(self._marker) + 1 :]


def _on_a_disk(target: str) -> bool:
    """Whether an open file could be on a disk. Folders of tests may lie in memory: they count as if they did not."""
    return target.startswith(_FILES_AMONG_THEM) or not target.startswith((_MEMORY, _DEVICES))
