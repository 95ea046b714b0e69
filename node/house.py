"""What every part of a running node shares: its keys, its stores, its clock. Built in one place, `app.py`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cordee.errors import N_, CannotOpen
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.runtime.clock import Clock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.runtime.durable import private_folder
from cordee.runtime.logs import logger
from cordee.runtime.mailbox import MailboxStore
from cordee.sealing import SealingKey
from cordee.signing import SigningKey, SigningPublicKey, member_id_of
from cordee.statements import Recall, TreeHead
from node.agenda import Opened
from node.attachments import AttachmentStore
from node.case_index import CaseIndex
from node.inflight import InFlight
from node.roster_sync import RosterSync
from node.tombstones import Tombstones
from node.vault import Vault

__all__ = ["Changes", "House", "Keys", "Watcher"]

log = logger("node.house")

_PROGRESS_SECONDS = 0.25


@dataclass
class Keys:
    """The node's private keys, opened from the vault."""

    identity: SigningKey
    sealing: dict[int, SealingKey]  # by the number of the card that bears the public half
    waiting: SigningKey | None = None
    """The identity key that is to follow: made and kept, not in force before the log says so."""
    named: MemberId | None = None
    """The member's id, where its first identity key has been replaced."""

    @property
    def member(self) -> MemberId:
        """The member whose keys these are."""
        return self.named or member_id_of(self.identity.public)

    def holds(self, key: SigningPublicKey) -> bool:
        """Whether the private half of an identity key is here."""
        return key in (self.identity.public, self.waiting.public if self.waiting else None)

    def sealing_key(self, number: int) -> SealingKey:
        """The key of one card; an older card's is kept as long as an offer may live (protocol §2).

        Raises: CannotOpen where this node no longer has it.
        """
        if number not in self.sealing:
            raise CannotOpen(what=N_("card {number}"), number=number)
        return self.sealing[number]


class Watcher:
    """The transfers that changed since one listener last looked: a set, so nothing is lost and nothing grows."""

    def __init__(self) -> None:
        self._changed: set[TransferId] = set()
        self._news = asyncio.Event()

    def add(self, transfer: TransferId) -> None:
        """It changed (again)."""
        self._changed.add(transfer)
        self._news.set()

    async def changed(self) -> set[TransferId]:
        """What changed since the last call; waits until there is something."""
        await self._news.wait()
        self._news.clear()
        found, self._changed = self._changed, set()
        return found


class Changes:
    """Tells those who wait that a transfer changed or that there is something to send."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._told: dict[TransferId, float] = {}  # when watchers last heard of its progress
        self.work = asyncio.Event()
        self.post = asyncio.Event()
        self.ended = asyncio.Event()  # a transfer is over: its keys are to leave the write-ahead log too
        self.progress: dict[TransferId, int] = {}

    def tell(self, transfer: TransferId) -> None:
        """A transfer changed: watchers are told, the worker and the outbox look again."""
        self.work.set()
        self.post.set()
        for watcher in self._watchers:
            watcher.add(transfer)

    def moved(self, transfer: TransferId, done: int) -> None:
        """Bytes sent or fetched so far, for progress bars: watchers hear of it four times a second at most.

        The last bytes may go untold: `tell` follows with the new state.
        """
        self.progress[transfer] = done
        now = asyncio.get_running_loop().time()
        if now - self._told.get(transfer, -_PROGRESS_SECONDS) < _PROGRESS_SECONDS:
            return
        self._told[transfer] = now
        for watcher in self._watchers:
            watcher.add(transfer)

    def forget(self, transfer: TransferId) -> None:
        """Its bytes move no more."""
        self.progress.pop(transfer, None)
        self._told.pop(transfer, None)

    def listen(self) -> Watcher:
        """Hears of every transfer that changes; give it back to `leave`."""
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Stop listening."""
        self._watchers.discard(watcher)


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
    cases: CaseIndex = field(default_factory=CaseIndex)
    recall: Recall = field(default_factory=Recall)
    agenda: Opened = field(default_factory=Opened)
    endpoint: str = ""
    """host:port where other members reach this node's own mailbox; empty where it has none (protocol §8)."""
    mailbox: MailboxStore | None = None
    """What came to that endpoint, also while it is closed; None in a house that is not at work."""

    def tree_head(self) -> TreeHead:
        """The roster as this node knows it, for a statement. Raises RosterStale before the first one."""
        head = self.roster.checkpoint
        return TreeHead(size=head.size, root=Digest(head.root))

    def spool(self, transfer: TransferId, *, outgoing: bool) -> Path:
        """Where this node keeps a transfer's ciphertext while it is under way."""
        folder = self.data_dir / "spool"
        if not folder.exists():
            private_folder(folder)
        return folder / f"{transfer.hex()}.{'out' if outgoing else 'in'}"

    def drop_spool(self, transfer: TransferId) -> None:
        """Erase a transfer's ciphertext here; it is swept again at each start."""
        self._unlink_spool(transfer)
        self._moves_no_more(transfer)

    async def drop_large_spool(self, transfer: TransferId) -> None:
        """The same in a thread: to give a large file back takes a file system some time."""
        await asyncio.to_thread(self._unlink_spool, transfer)
        self._moves_no_more(transfer)

    def _unlink_spool(self, transfer: TransferId) -> None:
        for outgoing in (True, False):
            self.spool(transfer, outgoing=outgoing).unlink(missing_ok=True)

    async def scrub(self) -> None:
        """Empty the write-ahead log: what was deleted is then in no file. Where a reader, or a full disk, is in the
        way, the upkeep goes on trying.
        """
        try:
            done = await asyncio.to_thread(self.db.truncate_log)
        except sqlite3.Error as failed:
            log.warning("log.waits", reason=type(failed).__name__)
            done = False
        if not done:
            self.changes.ended.set()

    def _moves_no_more(self, transfer: TransferId) -> None:
        if self.mailbox is not None:
            self.mailbox.drop(transfer)
        self.changes.forget(transfer)
        self.changes.ended.set()
