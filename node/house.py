"""What every part of a running node shares: its keys, its stores, its clock. Built in one place, `app.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cordee.errors import N_, CannotOpen
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.runtime.clock import Clock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.sealing import SealingKey
from cordee.signing import SigningKey
from cordee.statements import TreeHead
from node.attachments import AttachmentStore
from node.inflight import InFlight
from node.roster_sync import RosterSync
from node.tombstones import Tombstones
from node.vault import Vault

__all__ = ["Changes", "House", "Keys"]


@dataclass(frozen=True)
class Keys:
    """The node's private keys, opened from the vault."""

    identity: SigningKey
    sealing: dict[int, SealingKey]  # by the number of the card that bears the public half

    def sealing_key(self, number: int) -> SealingKey:
        """The key of one card; an older card's is kept as long as an offer may live (protocol §2).

        Raises: CannotOpen where this node no longer has it.
        """
        if number not in self.sealing:
            raise CannotOpen(what=N_("card {number}"), number=number)
        return self.sealing[number]


class Changes:
    """Tells those who wait that a transfer changed or that there is something to send."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[TransferId]] = set()
        self.work = asyncio.Event()
        self.post = asyncio.Event()
        self.ended = asyncio.Event()  # a transfer is over: its keys are to leave the write-ahead log too
        self.progress: dict[TransferId, int] = {}

    def tell(self, transfer: TransferId) -> None:
        """A transfer changed: watchers are told, the worker and the outbox look again."""
        self.work.set()
        self.post.set()
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(transfer)

    def moved(self, transfer: TransferId, done: int) -> None:
        """Bytes sent or fetched so far, for progress bars."""
        self.progress[transfer] = done
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(transfer)

    def listen(self) -> asyncio.Queue[TransferId]:
        """A queue that receives the id of every transfer that changes; give it back to `leave`."""
        queue: asyncio.Queue[TransferId] = asyncio.Queue(maxsize=1024)
        self._watchers.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[TransferId]) -> None:
        """Stop listening."""
        self._watchers.discard(queue)


@dataclass(frozen=True)
class House:
    """One association's node, as its parts see it."""

    data_dir: Path
    network: NetworkId
    member: MemberId
    db: Database
    vault: Vault
    keys: Keys
    clock: Clock
    random: Callable[[int], bytes]
    in_flight: InFlight
    attachments: AttachmentStore
    tombstones: Tombstones
    roster: RosterSync
    crashpoints: Crashpoints
    changes: Changes = field(default_factory=Changes)

    def tree_head(self) -> TreeHead:
        """The roster as this node knows it, for a statement. Raises RosterStale before the first one."""
        head = self.roster.checkpoint
        return TreeHead(size=head.size, root=Digest(head.root))

    def spool(self, transfer: TransferId, *, outgoing: bool) -> Path:
        """Where this node keeps a transfer's ciphertext while it is under way."""
        folder = self.data_dir / "spool"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{transfer.hex()}.{'out' if outgoing else 'in'}"

    def drop_spool(self, transfer: TransferId) -> None:
        """Erase a transfer's ciphertext here; it is swept again at each start."""
        for outgoing in (True, False):
            self.spool(transfer, outgoing=outgoing).unlink(missing_ok=True)
        self.changes.progress.pop(transfer, None)
        self.changes.ended.set()
