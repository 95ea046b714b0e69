"""A directory that lied to one node: what the node then keeps, put into its database as it would be there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from cordee.checkpoint import peek_checkpoint, sign_checkpoint
from cordee.ids import Digest
from cordee.signing import SigningKey
from directory.house import House as DirectoryHouse
from node.demo.stage import House, Stage

__all__ = ["show_two_rosters"]

_KEEP = "INSERT INTO evidence (at, reason, kept, shown) VALUES (?, ?, ?, ?)"


def show_two_rosters(stage: Stage, house: House) -> None:
    """The node was shown another root, once under the directory's key and once under a key that nobody knows."""
    key = DirectoryHouse(stage.folder / "directory").log_key()
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with closing(sqlite3.connect(house.data_dir / "node.db", timeout=30)) as db, db:
        (kept,) = db.execute("SELECT note FROM roster_head").fetchone()
        known = peek_checkpoint(kept)
        other = type(known)(origin=known.origin, size=known.size, root=Digest(bytes(32)), time=known.time)
        stranger = SigningKey.from_seed(bytes(64))
        for by, reason in ((stranger, "CHECKPOINT_REFUSED"), (key, "ROSTER_FORKED")):
            db.execute(_KEEP, (moment, reason, kept, sign_checkpoint(other, by)))
