"""A process that is refused what it needs while it runs: room on its disk, file descriptors, memory.

`Cramped` uses the kernel's own limits for one process, which every machine allows. `small_disk` mounts a small file
system where root may do that.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Cramped", "filled", "may_mount", "small_disk"]

_LEAVE = 0  # bytes


class Cramped:
    """One running process and its limits, to be lowered and raised again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @contextmanager
    def no_room(self, *, beyond: int = 0) -> Iterator[None]:
        """No file can be written beyond so many bytes. What is there already can be read, and written over before."""
        with self._limited(resource.RLIMIT_FSIZE, beyond):
            yield

    @contextmanager
    def no_descriptors(self) -> Iterator[None]:
        """It can open nothing more."""
        used = len(os.listdir(f"/proc/{self._pid}/fd"))
        with self._limited(resource.RLIMIT_NOFILE, used):
            yield

    @contextmanager
    def no_memory(self, *, more: int) -> Iterator[None]:
        """Only so many bytes of addresses more than it has."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[0])
        with self._limited(resource.RLIMIT_AS, pages * resource.getpagesize() + more):
            yield

    @contextmanager
    def _limited(self, what: int, limit: int) -> Iterator[None]:
        soft, hard = resource.prlimit(self._pid, what)
        resource.prlimit(self._pid, what, (limit, hard))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(self._pid, what, (soft, hard))


def may_mount() -> bool:
    """Whether a file system can be mounted here: root may, unless it is kept from it."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, *, size: int) -> Iterator[Path]:
    """`folder`, made anew on a file system of `size` bytes in memory. Raises: CalledProcessError."""
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path, *, leave: int = _LEAVE) -> Iterator[Path]:
    """As long as the block lasts, a file of somebody else's takes the rest of the disk but `leave` bytes."""
    path = folder / "somebody-elses"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        size = max(shutil.disk_usage(folder).free - leave, 0)
        while size >= 4096:  # the file system's own blocks take some of it
            try:
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, size)
                size = max(shutil.disk_usage(folder).free - leave, 0)
            except OSError:
                size //= 2
        yield path
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
