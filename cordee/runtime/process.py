"""The process that serves: what it leaves behind when it dies."""

from __future__ import annotations

import resource

__all__ = ["forbid_core_dumps"]


def forbid_core_dumps() -> None:
    """Let no crash write this process's memory to a disk, nor that of a process it starts.

    A node's memory holds cases and opened keys, a directory's holds its signing key. To be called before the first
    secret is read; without privileges it cannot be taken back. Where the kernel hands dumps to a program (core(5)),
    that program is told the limit: systemd-coredump keeps nothing then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
