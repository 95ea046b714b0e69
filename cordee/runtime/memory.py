"""How much memory a server may take: what gRPC holds back for a slow reader, and what malloc keeps for its threads."""

from __future__ import annotations

import ctypes

__all__ = ["WINDOW", "keep_few_arenas", "keep_freed_memory"]

_WINDOW = 2048 * 1024  # bytes of one call that may be under way: two messages
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8  # malloc.h of glibc
_ARENAS = 2
_KEPT = 4 * 1024 * 1024  # bytes

# For both ends of a connection. gRPC's own estimate of what the network bears grows to tens of megabytes for each call,
# all of which lie in memory as soon as a disk is slower than the network.
WINDOW: tuple[tuple[str, int], ...] = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", _WINDOW),
    ("grpc.http2.max_frame_size", 1024 * 1024),
)


def keep_few_arenas() -> bool:
    """Let this process's threads share two of malloc's arenas: of its own it makes up to eight for each processor, and
    each keeps what its threads once needed. To be called before threads start. False where malloc is not glibc's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, _ARENAS) == 1


def keep_freed_memory() -> bool:
    """Let malloc keep 4 MiB of what was freed in each arena, for the next pieces of 1 MiB.

    It would otherwise give each piece back to the kernel and take fresh pages for the next one: 50,000 page faults for
    100 MB in a directory. False where malloc is not glibc's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    settings = ((_M_MMAP_THRESHOLD, _KEPT), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, _KEPT // 16))
    return mallopt is not None and all(mallopt(*setting) == 1 for setting in settings)
