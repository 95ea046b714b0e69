"""What must hold, asked of the disks and of the running processes (the invariants I1 to I9).

While things go wrong: what has ended stays as it ended, no log grows shorter. At the end: everything is over and over
in the same way for everybody, nobody has lost what it was told was done, each case has one holder, no key is left.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from cordee.errors import CardExpired, JournalBroken, NotFound
from cordee.ids import KeyId, MemberId, TransferId
from cordee.transfer import END_STATES, Kind, State
from directory import transfers as brokered
from directory.store import table_of
from directory.store.transfers import TransferRow
from node import journal, records, transfer_store
from node.joining import IDENTITY, NEXT_IDENTITY
from node.secrets import get_secret

from .people import People
from .template import NAMES, Template
from .world import World

__all__ = ["Ledger", "Wrong"]

_ATTACHED = b"une note confidentielle"
_LATE = {State.WITHDRAWN, State.EXPIRED, State.REFUSED}  # that a late receipt may still turn into RECEIVED


@dataclass(frozen=True)
class Wrong:
    """Something that must not be: `lost`, `twice`, `leaked` or `stuck`."""

    kind: str
    what: str


class Ledger:
    """What was seen so far, and what was wrong with it."""

    def __init__(self, world: World, template: Template, people: People) -> None:
        self.world, self.template, self.people = world, template, people
        self.wrong: list[Wrong] = []
        self.received = self.transfers = 0
        self._ended: dict[tuple[str, TransferId], State] = {}
        self._sizes: dict[str, int] = {}
        self._restored: dict[str, float] = {}  # since which time a place may have forgotten something
        self.mailbox_lost = False
        """The directory's disk went with what waited there: what was shipped and not fetched ends with its time."""

    def restored(self, name: str, made: float) -> None:
        """A place goes on from a backup of that time: what it knew later, others tell it, or nobody does."""
        self._restored[name] = min(made, self._restored.get(name, made))
        self._sizes.pop(name, None)
        for key in [each for each in self._ended if each[0] == name]:
            del self._ended[key]

    def blame(self, kind: str, what: str, *, many: int = 1) -> None:
        self.world.trace(f"WRONG ({kind}): {what}")
        self.wrong.append(Wrong(kind, what + (f" and {many - 1} more" if many > 1 else "")))

    # ---- at any time ----

    def look(self) -> None:
        """Of whatever runs now."""
        for place in self.world.places.values():
            if not place.up:
                continue
            here = place.here
            size = here.rosters.size if place.is_directory else here.roster.checkpoint.size if here.roster.note else 0
            if size < self._sizes.get(place.name, 0):
                self.blame("lost", f"{place.name}'s log is shorter than it was")
            self._sizes[place.name] = max(size, self._sizes.get(place.name, 0))
            for transfer, state in self._states(place).items():
                self._seen(place.name, transfer, state)

    def _states(self, place: Any) -> dict[TransferId, State]:
        if place.is_directory:
            return {each.id: each.state for each in self._at_broker().values()}
        kept, waits = place.here.db.read_sync(lambda tx: (transfer_store.all_transfers(tx), transfer_store.waiting(tx)))
        # As long as its own last word waits, a node does not know whether that ends it.
        return {each.id: each.state for each in kept if each.id not in waits}

    def _seen(self, name: str, transfer: TransferId, state: State) -> None:
        before = self._ended.get((name, transfer))
        if before is not None and state is not before and not (before in _LATE and state is State.RECEIVED):
            self.blame("lost", f"{name}: {transfer.hex()[:8]} was {before} and is {state}")
        if state in END_STATES:
            self._ended[name, transfer] = state

    def _at_broker(self) -> dict[TransferId, Any]:
        def every(tx: Any) -> list[Any]:
            ids = tx.execute(select(table_of(TransferRow).c.id)).scalars().all()
            return [brokered.find(tx, TransferId(each)) for each in ids]

        return {each.id: each for each in self.world.directory.here.db.read_sync(every)}

    # ---- has everything come to rest? ----

    def restless(self, *, over: bool) -> Iterator[str]:
        """What is still under way; with `over`, also what has not ended."""
        if self.world.loop.time() <= self.world.network.given_up_by:
            yield "a connection on which a message was lost has not been given up"
        for place in self.world.nodes:
            node = place.here
            if not node.listener.caught_up.is_set():
                yield f"{place.name} is not connected"
            if node.roster.alarm is not None:
                yield f"{place.name} has an alarm: {node.roster.alarm.reason}"
            for each in node.db.read_sync(transfer_store.waiting):
                yield f"{place.name}: a statement of {each.hex()[:8]} waits"
            if over and self.changes_key(place):
                yield f"{place.name} has not come to the end with its new identity key"
        rows = self._rows()
        for name, kept in rows.items():
            for each in kept.values():
                if over and not each.over:
                    yield f"{name}: {each.id.hex()[:8]} is {each.state}"
                elif each.job is not None and not each.over and not (each.job == "fetch" and self.mailbox_lost):
                    yield f"{name}: {each.id.hex()[:8]} has the job {each.job}"
        at_broker = self._at_broker()
        yield from self._unfinished(rows, at_broker)
        if over:
            for each in at_broker.values():
                if each.state not in END_STATES:
                    yield f"directory: {each.id.hex()[:8]} is {each.state}"
            for each in self.world.directory.here.mailbox.names():
                yield f"directory: {each.hex()[:8]} has bytes"

    def _unfinished(self, rows: dict[str, dict[TransferId, Any]], at_broker: dict[TransferId, Any]) -> Iterator[str]:
        """What the three say differently, and what was accepted and goes on nowhere."""
        names = self._names()
        for id_, known in at_broker.items():
            sender, recipient = names[bytes(known.sender)], names[bytes(known.recipient)]
            sent, came = rows[sender].get(id_), rows[recipient].get(id_)
            if self._forgotten(sent, came, sender, recipient, known.state) or self.mailbox_lost:
                continue
            if self._unreadable(known, sent, came):
                continue
            states = [known.state, *(each.state if each is not None else None for each in (sent, came))]
            told = f"{id_.hex()[:8]} is {', '.join(map(str, states))} (broker, sender, recipient)"
            held = sent is not None and sent.held
            if len(set(states)) > 1 or (known.state in (State.ACCEPTED, State.SHIPPED) and not held):
                yield told

    def _forgotten(self, sent: Any, came: Any, sender: str, recipient: str, state: State) -> bool:
        """A restored node does not know of it any more: an offer of its own is journalled with whom to ask, and what
        never came to it is nothing to it.
        """
        if sent is None:
            return sender in self._restored
        return came is None and recipient in self._restored and state is not State.RECEIVED

    def changes_key(self, place: Any) -> bool:
        """Whether a node has begun to replace its identity key, and log, vault or card are not there yet: it goes on
        within an hour, and when it is started again.
        """
        node = place.here
        waits: bytes | None = node.db.read_sync(lambda tx: get_secret(tx, node.vault, NEXT_IDENTITY))
        return waits is not None or _signer_of_card(node, node.member) != node.identity_public.key_id

    def _unreadable(self, known: Any, sent: Any, came: Any) -> bool:
        """An offer, acceptance or shipment that the other had not read when its author's identity key was replaced is
        read by nobody. The node asks before it does that; and an offer that is over anyway may be one.
        """
        peers = {Kind.OFFER: (came, known.recipient), Kind.SHIPMENT: (came, known.recipient)}
        peers[Kind.ACCEPTANCE] = sent, known.sender
        members = self.world.directory.here.rosters.roster.members
        for taken in self.world.directory.here.db.read_sync(lambda tx: brokered.statements_of(tx, known.id)):
            if taken.kind not in peers:
                continue
            row, reader = peers[taken.kind]
            author = members[known.other(reader)]
            signer: KeyId = taken.signed.signer
            if signer == author.identity.key_id or self._has_read(row, reader, taken):
                continue
            if signer in self.people.given_up or (row is None and known.state in END_STATES):
                return True
        return False

    def _has_read(self, row: Any, reader: Any, taken: Any) -> bool:
        if row is None:
            return False
        place = self.world.places[self._names()[bytes(reader)]]
        kept = place.here.db.read_sync(lambda tx: transfer_store.statement(tx, row.id, taken.kind))
        return kept is not None and bool(kept.digest == taken.signed.digest)

    def _rows(self) -> dict[str, dict[TransferId, Any]]:
        return {
            place.name: {each.id: each for each in place.here.db.read_sync(transfer_store.all_transfers)}
            for place in self.world.nodes
        }

    def _names(self) -> dict[bytes, str]:
        return {bytes(self.template.members[name]): name for name in NAMES}

    # ---- the end ----

    async def close(self) -> None:
        """Everything that must be true once all is over."""
        self.look()
        at_broker = self._at_broker()
        self.transfers = len(at_broker)
        rows, names = self._rows(), self._names()
        for id_, known in at_broker.items():
            sender, recipient = names[bytes(known.sender)], names[bytes(known.recipient)]
            ends = rows[sender].get(id_), rows[recipient].get(id_)
            if not self._forgotten(*ends, sender, recipient, known.state) and not self._unreadable(known, *ends):
                self._same_end(id_, known, *ends)
            self.received += known.state is State.RECEIVED
        for name, kept in rows.items():
            for each in kept.values():
                self._clean(name, each, at_broker)
        self._words(rows)
        self._imports(rows)
        self._holders()
        self._identities()
        self._files()
        for place in self.world.nodes:
            node = place.here
            try:
                node.db.read_sync(lambda tx, node=node: _verified(tx, node))
            except JournalBroken as broken:
                self.blame("lost", f"{place.name}'s journal does not verify: {broken}")
        await asyncio.sleep(0)

    def _same_end(self, id_: TransferId, known: Any, sent: Any, came: Any) -> None:
        short = id_.hex()[:8]
        if sent is None or came is None:
            self.blame("lost", f"{short} is known to the broker, not to {'sender' if sent is None else 'recipient'}")
            return
        if not known.state == sent.state == came.state:
            self.blame("lost", f"{short} ended as {known.state}, {sent.state} (sender), {came.state} (recipient)")
        if sent.erasure != came.erasure:
            self.blame("lost", f"{short}: erasure {sent.erasure} (sender), {came.erasure} (recipient)")

    def _clean(self, name: str, each: Any, at_broker: dict[TransferId, Any]) -> None:
        short = each.id.hex()[:8]
        if each.sealed_content_key is not None or each.sealed_one_time_seed is not None:
            self.blame("leaked", f"{name} still has a key of {short}")
        if each.id not in at_broker and each.state not in (State.WITHDRAWN, State.EXPIRED):
            self.blame("lost", f"{name}: {short} is {each.state}, and the broker does not know it")

    def _words(self, rows: dict[str, dict[TransferId, Any]]) -> None:
        """Nobody has lost what it was told was done."""
        for word in self.people.words:
            kept = rows[word.node].get(word.transfer)
            if kept is None and word.at < self._restored.get(word.node, word.at + 1):
                self.blame("lost", f"{word.node} said that it did “{word.step}” {word.transfer.hex()[:8]}, unknown now")

    def _imports(self, rows: dict[str, dict[TransferId, Any]]) -> None:
        """A case is stored at most once for each transfer, and exactly once where its receipt says so."""
        for place in self.world.nodes:
            lines = place.here.db.read_sync(journal.entries)
            count = Counter(each.subject for each in lines if each.action == "transfer.received" and each.facts)
            for each in rows[place.name].values():
                if each.outgoing:
                    continue
                times, wanted = count[each.id.hex()], int(each.state is State.RECEIVED)
                if times != wanted and (times > 1 or place.name not in self._restored):
                    kind = "twice" if times > wanted else "lost"
                    self.blame(kind, f"{place.name}: {each.id.hex()[:8]} is {each.state}, imported {times} times")

    def _holders(self) -> None:
        for name in NAMES:
            for known in self.template.cases[name]:
                if known.kind == "referral":
                    continue  # both follow it
                holders = [each.name for each in self.world.nodes if self._holds(each, known.case_id)]
                # A node from a backup may hold what it had handed on since: that is journalled with whom to ask.
                sure = set(holders) - set(self._restored)
                if not holders or len(sure) > 1 or (len(holders) > 1 and not self._restored):
                    self.blame("twice" if holders else "lost", f"a case of {name}'s is held by {holders or 'nobody'}")

    def _holds(self, place: Any, case_id: str) -> bool:
        node = place.here
        try:
            found = node.db.read_sync(lambda tx: records.read_case(tx, node.vault, case_id))
        except NotFound:
            return False
        return bool(found.holder == "here")

    def _identities(self) -> None:
        """Each node signs with the key that all others know as its own, and no key that was promised is forgotten."""
        known = self.world.directory.here.rosters.roster.members
        for place in self.world.nodes:
            node, member = place.here, self.template.members[place.name]
            present = known[member].identity
            kept = node.db.read_sync(lambda tx, node=node: get_secret(tx, node.vault, IDENTITY))
            if node.identity_public != present or kept != node.house.keys.identity.seed:
                self.blame("lost", f"{place.name} signs with a key that is not the one of the log")
            for other in self.world.nodes:
                if other.here.roster.roster.members[member].identity != present:
                    self.blame("lost", f"{other.name} knows another key of {place.name}'s than the directory")
                elif _signer_of_card(other.here, member) != present.key_id:
                    self.blame("lost", f"{other.name} has a card of {place.name}'s that its key has not signed")
        for word in self.people.new_keys:
            its = known[self.template.members[word.node]]
            if word.key not in {its.identity.key_id, *(key.key_id for _, key in its.former_identities)}:
                self.blame("lost", f"{word.node} said that it has the key {word.key.hex()[:8]}, which no log knows")

    def _files(self) -> None:
        """No ciphertext is left under way, and nothing of a case was ever in clear at the directory."""
        for place in self.world.nodes:
            for folder in ("spool", "mailbox"):
                left = [each.name[:8] for each in (place.folder / folder).glob("*")]
                if left:
                    self.blame("leaked", f"{place.name}: {folder} holds {left}")
        secret = {_ATTACHED, *(known.words for cases in self.template.cases.values() for known in cases)}
        for path in self.world.directory.folder.rglob("*"):
            if path.is_file() and not _hollow(path):
                data = path.read_bytes()
                if any(each in data for each in secret):
                    self.blame("leaked", f"a word of a case is in the directory's {path.name}")


def _signer_of_card(node: Any, member: MemberId) -> KeyId | None:
    """Of the newest card that a node has of a member; None where none was signed by a key that it knows."""
    try:
        signer: KeyId = node.roster.last_card(member).card.signed.signer
    except CardExpired:
        return None
    return signer


def _hollow(path: Path) -> bool:
    """Whether nothing was ever written to it: the ballast is a hole of some megabytes."""
    with path.open("rb", buffering=0) as file:
        try:
            os.lseek(file.fileno(), 0, os.SEEK_DATA)
        except OSError as failed:
            return failed.errno == errno.ENXIO
    return False


def _verified(tx: Any, node: Any) -> None:
    journal.verify(tx, node.identity_public, former=node.former_identities)
