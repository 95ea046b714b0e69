"""The process that serves: what it leaves behind when it dies, and how many files it may open."""

from __future__ import annotations

import resource

__all__ = ["allow_many_files", "forbid_core_dumps"]

_FILES = 16_384


def forbid_core_dumps() -> None:
    """Let no crash write this process's memory to a disk, nor that of a process it starts.

    A node's memory holds cases and opened keys, a directory's holds its signing key. To be called before the first
    secret is read; without privileges it cannot be taken back. Where the kernel hands dumps to a program (core(5)),
    that program is told the limit: systemd-coredump keeps nothing then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_many_files() -> None:
    """Let this process open as many files as a flood of connections takes, as far as it may without privileges.

    Many systems give 1,024 and let a program raise that: where connections have used them up, no database opens, and
    no member gets in. Connections themselves are bounded far below (doorkeeper.py).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
