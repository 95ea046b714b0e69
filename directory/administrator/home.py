"""What an administrator's tool keeps: the network, the directory's address, the verified log, local names."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cordee.checkpoint import MAX_NOTE, open_checkpoint
from cordee.entries import entry_leaf, network_id
from cordee.errors import N_, InvalidRecord, NotFound, RosterForked, RosterRolledBack, RosterStale, WrongNetwork
from cordee.ids import Digest, MemberId, NetworkId
from cordee.log import MerkleTree
from cordee.members import Roster
from cordee.roster import apply
from cordee.times import span_text
from cordee.v1 import statements_pb2 as v1
from directory.files import private_folder, read_whole, replace
from directory.house import Founding
from directory.log_file import append_entries, read_entries

__all__ = ["Home", "LogCopy", "Network"]

_FORMAT = "cordee administrator home 1"


@dataclass(frozen=True)
class Network:
    """Which network, and where its directory answers. Nothing in it is secret."""

    id: NetworkId
    origin: str
    ca_certificate: bytes  # of every CA that was trusted when this machine last looked, a bundle
    members: str
    front: str


class LogCopy:
    """The whole log, verified entry by entry by this machine; the directory's word counts for nothing."""

    def __init__(self, path: Path, network: NetworkId) -> None:
        self._path = path
        self.evidence = path.with_name("evidence")
        self._network = network
        self.roster: Roster | None = None
        self.tree = MerkleTree()
        self.entries: list[v1.Entry] = []
        self.note = ""
        """The newest checkpoint that verified, as the directory signed it; empty before the first."""
        self.rosters: list[Roster] = []
        """After each entry: they share nearly everything."""

    @property
    def size(self) -> int:
        """Entries verified."""
        return len(self.entries)

    def root_at(self, size: int) -> bytes | None:
        """The root of the log at a size; None where it is shorter."""
        return self.tree.root(size) if 1 <= size <= self.size else None

    def load(self) -> None:
        """Replay what is here. Raises: EntryRefused, WrongNetwork."""
        for entry in read_entries(self._path):
            self._take(entry)
        if self._note_file.exists():
            self.note = read_whole(self._note_file, limit=MAX_NOTE).decode("utf-8", errors="replace")

    def extend(self, fetched: list[v1.Entry], checkpoint: str, *, now: datetime) -> Roster:
        """Verify what follows, then the directory's signature over the whole; only then is it kept.

        Raises: EntryRefused, WrongNetwork, CheckpointRefused, RosterRolledBack, RosterForked, RosterStale; NotFound
        for no entry.
        """
        kept = self.size
        for entry in fetched:
            self._take(entry)
        if self.roster is None:
            raise NotFound(what=N_("roster"))
        signed = open_checkpoint(checkpoint, self.roster.directory_key, self.roster.origin)
        if signed.size < kept:
            raise RosterRolledBack(shown=signed.size, known=kept)
        if signed.size != self.size or signed.root != self.tree.root():
            raise RosterForked(size=signed.size)
        limit = self.roster.policy.freshness_limit
        if now - signed.time > limit:
            raise RosterStale(age=span_text(now - signed.time), limit=span_text(limit))
        if fetched:
            append_entries(self._path, self.entries[:kept], fetched)
        replace(self._note_file, checkpoint.encode())  # after the entries that it covers
        self.note = checkpoint
        return self.roster

    @property
    def _note_file(self) -> Path:
        return self._path.with_name("checkpoint")

    def _take(self, entry: v1.Entry) -> None:
        if self.roster is None and network_id(entry) != self._network:
            raise WrongNetwork(what=N_("Genesis"))
        self.roster = apply(self.roster, entry)
        self.tree.append(entry_leaf(entry))
        self.entries.append(entry)
        self.rosters.append(self.roster)


class Home:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, network: NetworkId, founding: Founding) -> None:
        """Make it for a network. For the same network again it changes nothing but the addresses.

        Raises: WrongNetwork where the folder is another network's.
        """
        private_folder(self._folder)
        if self._file.exists() and self.network().id != network:
            raise WrongNetwork(what=str(self._folder))
        plain = {
            "format": _FORMAT,
            "network": network.hex(),
            "origin": founding.origin,
            "ca_certificate": base64.b64encode(founding.ca_certificate).decode("ascii"),
            "members": founding.members,
            "front": founding.front,
        }
        replace(self._file, json.dumps(plain, indent=1).encode())

    def network(self) -> Network:
        """Raises: NotFound before the network was founded or joined here; InvalidRecord."""
        if not self._file.exists():
            raise NotFound(what=N_("network in {folder}"), folder=self._folder)
        try:
            plain = json.loads(read_whole(self._file))
            if plain["format"] != _FORMAT:
                raise ValueError("another format")
            return Network(
                id=NetworkId(bytes.fromhex(plain["network"])),
                origin=str(plain["origin"]),
                ca_certificate=base64.b64decode(plain["ca_certificate"], validate=True),
                members=str(plain["members"]),
                front=str(plain["front"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRecord(path=str(self._file), problem=N_("it is damaged")) from error

    def trust(self, bundle: bytes) -> None:
        """Remember which CAs are trusted, as the verified log says."""
        plain = json.loads(read_whole(self._file))
        plain["ca_certificate"] = base64.b64encode(bundle).decode("ascii")
        replace(self._file, json.dumps(plain, indent=1).encode())

    def log(self) -> LogCopy:
        """The log as it was verified, replayed."""
        copy = LogCopy(self._folder / "log", self.network().id)
        copy.load()
        return copy

    def names(self) -> dict[MemberId, str]:
        """Names that this administrator signed for, to tell members apart: the log has none."""
        if not self._names.exists():
            return {}
        plain = json.loads(read_whole(self._names, limit=16 << 20))
        return {MemberId(bytes.fromhex(member)): str(name) for member, name in plain.items()}

    def name(self, member: MemberId, name: str) -> None:
        """Remember a member's name."""
        plain = {key.hex(): value for key, value in self.names().items()} | {member.hex(): name}
        replace(self._names, json.dumps(plain, ensure_ascii=False, indent=1).encode())

    def expect(self, registration: Digest, name: str) -> None:
        """Remember the name behind a digest that a colleague may still have to sign for."""
        plain = self._expected() | {registration.hex(): name}
        replace(self._expectations, json.dumps(plain, ensure_ascii=False, indent=1).encode())

    def follow(self, roster: Roster) -> None:
        """Take over the new names of members that were corrected meanwhile."""
        expected = self._expected()
        known = self.names() if expected else {}
        for member in roster.members.values():
            name = expected.get(member.registration.hex())
            if name is not None and known.get(member.id) != name:
                self.name(member.id, name)

    def _expected(self) -> dict[str, str]:
        if not self._expectations.exists():
            return {}
        plain: dict[str, str] = json.loads(read_whole(self._expectations, limit=16 << 20))
        return plain

    @property
    def _expectations(self) -> Path:
        return self._folder / "new-names.json"

    @property
    def evidence(self) -> Path:
        """Where files of evidence are kept (`directory.administrator.evidence`)."""
        return self._folder / "evidence"

    @property
    def _file(self) -> Path:
        return self._folder / "network.json"

    @property
    def _names(self) -> Path:
        return self._folder / "names.json"
