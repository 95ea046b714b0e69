"""What of the platform is exchanged for the simulation, all in one place: sockets, threads, the disk.

The code that runs is the product's. Where it asks the system for a channel, a server, a thread or a write, it gets the
simulation's. This is done once in a process that does nothing else.
"""

from __future__ import annotations

import queue
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from cordee import sealing, signing
from cordee.runtime import database
from directory import app as directory_app
from node import directory_client, feed, front_desk, giving_back, joining, rejoining, spool

from . import disk, threads
from .network import Channel, SimServer

__all__ = ["install"]


def _dial(target: str, *, root: bytes, key: Any = None, certificate: bytes | None = None, **_options: Any) -> Channel:
    """In the place of `cordee.runtime.tls.channel`."""
    return Channel(SimServer.network, target, certificate)


class _Dialect(SQLiteDialect_pysqlite):
    """All of them are alike, as far as compiling is concerned."""

    supports_statement_cache = True

    def __hash__(self) -> int:
        return hash(_Dialect)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Dialect)


_COMPILED: LRUCache[Any, Any] = LRUCache(2000)


def _engine(*arguments: Any, **options: Any) -> Engine:
    """In the place of `create_engine`: what one engine has compiled, the others need not compile again."""
    engine = create_engine(*arguments, **options)
    engine.dialect.__class__ = _Dialect
    engine._compiled_cache = _COMPILED
    return engine


def _remember() -> None:
    """Whether a signature holds, whether a key is one, and how it is unfolded has one answer for ever, whoever asks.
    That something is wrong is not kept: it is raised each time.
    """
    signing._verify = lru_cache(maxsize=20_000)(signing._verify)
    for module, name in (
        (signing, "MLDSA65PublicKey"),
        (signing, "MLDSA65PrivateKey"),
        (sealing, "MLKEM768PublicKey"),
        (sealing, "MLKEM768PrivateKey"),
    ):
        setattr(module, name, _Unfolding(getattr(module, name)))
    signing.crypto_core_ed25519_is_valid_point = lru_cache(maxsize=2_000)(signing.crypto_core_ed25519_is_valid_point)


class _Unfolding:
    """A class of keys, of which each is made from its bytes once."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        for name in ("from_seed_bytes", "from_public_bytes"):
            if hasattr(kind, name):
                setattr(self, name, lru_cache(maxsize=2_000)(getattr(kind, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)


def install() -> bool:
    """Exchange it. False where SQLite's own writes cannot be watched on this machine."""
    for module in (directory_client, front_desk, giving_back, joining, rejoining):
        module.channel = _dial  # type: ignore[attr-defined]
    directory_app.Server = SimServer  # type: ignore[misc, assignment]
    directory_app.rotating_server_credentials = lambda *_args, **_options: None  # type: ignore[assignment]
    database.threading = SimpleNamespace(Thread=threads.Thread)  # type: ignore[assignment]
    database.queue = SimpleNamespace(SimpleQueue=threads.SimpleQueue, Empty=queue.Empty)  # type: ignore[assignment]
    database.create_engine = _engine
    database.Future = threads.Future  # type: ignore[misc, assignment]
    spool.threading = SimpleNamespace(Condition=threads.Condition)  # type: ignore[assignment]
    feed.SimpleQueue = threads.SimpleQueue  # type: ignore[misc, assignment]
    _remember()
    return disk.install()
