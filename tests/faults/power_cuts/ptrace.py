"""Stops a child, and all its threads, at the system calls that change files: Linux' ptrace through ctypes.

A filter (seccomp) lets every other call pass at full speed. Nothing needs to be installed, and nothing of the child is
patched: what SQLite or an extension module asks of the system is seen as well. ptrace(2), seccomp(2); x86-64, AArch64.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["CALLS", "Entry", "Exit", "NotPossible", "traced"]

_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "write": 1,
        "open": 2,
        "mmap": 9,
        "pwrite64": 18,
        "writev": 20,
        "sendfile": 40,
        "fsync": 74,
        "fdatasync": 75,
        "truncate": 76,
        "ftruncate": 77,
        "rename": 82,
        "mkdir": 83,
        "rmdir": 84,
        "creat": 85,
        "link": 86,
        "unlink": 87,
        "symlink": 88,
        "sync": 162,
        "openat": 257,
        "mkdirat": 258,
        "unlinkat": 263,
        "renameat": 264,
        "linkat": 265,
        "symlinkat": 266,
        "splice": 275,
        "sync_file_range": 277,
        "fallocate": 285,
        "pwritev": 296,
        "syncfs": 306,
        "renameat2": 316,
        "copy_file_range": 326,
        "pwritev2": 328,
        "openat2": 437,
    },
    "aarch64": {
        "mkdirat": 34,
        "unlinkat": 35,
        "symlinkat": 36,
        "linkat": 37,
        "renameat": 38,
        "truncate": 45,
        "ftruncate": 46,
        "fallocate": 47,
        "openat": 56,
        "write": 64,
        "writev": 66,
        "pwrite64": 68,
        "pwritev": 70,
        "sendfile": 71,
        "splice": 76,
        "sync": 81,
        "fsync": 82,
        "fdatasync": 83,
        "sync_file_range": 84,
        "mmap": 222,
        "syncfs": 267,
        "renameat2": 276,
        "copy_file_range": 285,
        "pwritev2": 287,
        "openat2": 437,
    },
}
CALLS = _NUMBERS.get(platform.machine(), {})
"""The system calls at which the child stops, and their numbers on this machine."""
_NAMES = {number: name for name, number in CALLS.items()}

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
_CLONE, _EXITKILL, _SECCOMP = 3, 1 << 20, 7
_OPTIONS = 1 | 1 << 1 | 1 << 2 | 1 << _CLONE | 1 << _SECCOMP | _EXITKILL  # SYSGOOD, FORK, VFORK, CLONE, SECCOMP
_ALL = 0x40000000  # __WALL: threads too
_AT_ENTRY, _AT_EXIT, _AT_FILTER = 1, 2, 3
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class NotPossible(Exception):
    """This machine lets nobody trace its own child, or is of another kind."""


@dataclass(frozen=True)
class Entry:
    """A thread is about to make a call."""

    thread: int
    name: str
    arguments: tuple[int, ...]

    def read(self, address: int, size: int) -> bytes:
        """So many bytes of the child's memory."""
        with open(f"/proc/{self.thread}/mem", "rb", buffering=0) as memory:
            return os.pread(memory.fileno(), size, address)

    def text(self, address: int) -> str:
        """A path, which ends with a zero."""
        found = bytearray()
        while b"\0" not in found:
            more = self.read(address + len(found), 4096 - (address + len(found)) % 4096)
            if not more:
                break
            found += more
        return os.fsdecode(bytes(found.partition(b"\0")[0]))


@dataclass(frozen=True)
class Exit:
    """The call is over. `result` is negative, an errno, where it failed."""

    entry: Entry
    result: int


def traced(work: Callable[[], None], *, ended: Callable[[int], None] = lambda status: None) -> Iterator[Entry | Exit]:
    """Run `work` in a forked child and stop at each call of `CALLS`, before and after it.

    The child goes on when the next stop is asked for. `ended` hears its status, as `os.waitpid` gives it, last.
    Call it where only one thread runs. Raises: NotPossible.
    """
    if not CALLS:
        raise NotPossible(f"no system call of {platform.machine()} is known here")
    child = os.fork()
    if not child:
        _be_traced(work)
    try:
        _, status = os.waitpid(child, _ALL)
        if not os.WIFSTOPPED(status):
            raise NotPossible("the child could not be traced")
        if _ptrace(_SETOPTIONS, child, _OPTIONS):
            raise NotPossible("the child could not be traced: its calls cannot be filtered")
        yield from _stops(child, ended)
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            while True:
                os.waitpid(-1, _ALL)


def _stops(child: int, ended: Callable[[int], None]) -> Iterator[Entry | Exit]:
    _ptrace(_CONT, child)
    under_way: dict[int, Entry] = {}
    begun = {child}
    while True:
        thread, status = os.waitpid(-1, _ALL)
        if not os.WIFSTOPPED(status):
            if thread == child:
                ended(status)
                return
            continue
        number, event = os.WSTOPSIG(status), status >> 16
        if number == signal.SIGTRAP | 0x80:  # after a call
            entry = under_way.pop(thread, None)
            if entry is not None:
                yield Exit(entry, _result(thread))
            _ptrace(_CONT, thread)
        elif event == _SECCOMP:
            entry = _entry(thread)
            under_way[thread] = entry
            yield entry
            _ptrace(_SYSCALL, thread)  # and stop at its end
        elif event:
            _ptrace(_CONT, thread)
        elif thread not in begun and number == signal.SIGSTOP:  # a thread's first stop
            begun.add(thread)
            _ptrace(_CONT, thread)
        else:
            _ptrace(_CONT, thread, number)


def _be_traced(work: Callable[[], None]) -> NoReturn:
    """In the child. It ends here."""
    code = 70
    try:
        if _libc.ptrace(_TRACEME, 0, None, None) == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            _filter()
            work()
            code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _filter() -> None:
    """Stop at `CALLS` alone."""
    numbers = sorted(CALLS.values())
    program = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # load the call's number
    for index, number in enumerate(numbers):
        program.append(struct.pack("HBBI", 0x15, len(numbers) - index, 0, number))  # equal: to the last instruction
    program += [struct.pack("HBBI", 0x06, 0, 0, _ALLOW), struct.pack("HBBI", 0x06, 0, 0, _TRACE)]
    code = ctypes.create_string_buffer(b"".join(program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    if _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or _libc.prctl(_SET_SECCOMP, _FILTER, described, 0, 0):
        raise OSError(ctypes.get_errno(), "the filter was refused")


def _ptrace(request: int, thread: int, data: int = 0) -> int:
    """0, or an errno: a thread may have died meanwhile."""
    return ctypes.get_errno() if _libc.ptrace(request, thread, None, data) < 0 else 0


def _information(thread: int) -> bytes:
    buffer = ctypes.create_string_buffer(88)
    if _libc.ptrace(_GET_SYSCALL_INFO, thread, len(buffer), ctypes.cast(buffer, ctypes.c_void_p)) <= 0:
        raise NotPossible("the kernel does not say which call it is")
    return buffer.raw


def _entry(thread: int) -> Entry:
    raw = _information(thread)
    number, *arguments = struct.unpack_from("Q6Q", raw, 24)
    if raw[0] not in (_AT_ENTRY, _AT_FILTER):
        raise NotPossible("a thread stopped elsewhere than before a call")
    return Entry(thread, _NAMES[number], tuple(arguments))


def _result(thread: int) -> int:
    raw = _information(thread)
    if raw[0] != _AT_EXIT:
        raise NotPossible("a thread stopped elsewhere than after a call")
    (value,) = struct.unpack_from("q", raw, 24)
    return int(value)
