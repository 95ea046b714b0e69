"""A part of the roster log: the entries about the network's government and about some members, each at its own place.

Chains about different subjects are independent of one another (protocol §4), so leaving the other members' entries out
changes nothing that a statement, or a checkpoint, is checked against. What an excerpt cannot show is that no *later*
entry about its subjects was left out: it holds what is in the log, and nothing about what is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from cordee.checkpoint import Checkpoint, open_checkpoint
from cordee.entries import entry_leaf, network_id
from cordee.errors import N_, ProofRefused, WrongNetwork
from cordee.ids import MemberId, NetworkId
from cordee.log import MerkleTree, verify_inclusion
from cordee.members import Roster
from cordee.roster import apply
from cordee.signing import parse_message
from cordee.v1 import statements_pb2 as v1

__all__ = ["MAX_EXCERPT", "about", "check_excerpt", "make_excerpt", "one_signature", "replay_places", "subject"]

MAX_EXCERPT = 16 * 2**20
"""Bytes of an excerpt; one of a network with ten administrators and a few changes has about 200 kB."""
_MAX_ENTRY = 512 * 1024


def subject(entry: v1.Entry) -> MemberId | None:
    """Which member an entry is about; None for the network's government. Raises: MalformedStatement."""
    message_class = _ABOUT_MEMBERS.get(entry.type)
    if message_class is None:
        return None
    statement: Any = parse_message(entry.body, message_class, max_size=_MAX_ENTRY)
    return MemberId(statement.member)


_ABOUT_MEMBERS: dict[str, type[Message]] = {
    each.full_name: getattr(v1, name)
    for name, each in v1.DESCRIPTOR.message_types_by_name.items()
    if "member" in each.fields_by_name
}
"""Every statement that names a member. Whether the log takes such a kind is for `apply` to say."""


def about(entries: Iterable[v1.Entry], members: Collection[MemberId], *, size: int) -> Iterator[tuple[int, v1.Entry]]:
    """Of the first `size` entries of a log, those after the genesis that are of an excerpt, with their index.

    Raises: MalformedStatement.
    """
    wanted = {None, *members}
    for index, entry in enumerate(entries):
        if index >= size:
            return
        if index and subject(entry) in wanted:
            yield index, entry


def replay_places(
    genesis: v1.Entry, placed: Iterable[tuple[int, v1.Entry]], members: Collection[MemberId] | None = None
) -> Iterator[Roster]:
    """Apply entries, each at its own place in the log: the roster of the genesis, then the one after each entry. With
    `members`, an entry about another member is refused.

    Raises: ProofRefused, EntryRefused, MalformedStatement.
    """
    roster = apply(None, genesis)
    yield roster
    for index, entry in placed:
        if index < roster.size:
            raise ProofRefused(problem=N_("the entries are out of order"))
        if members is not None and subject(entry) not in {None, *members}:
            raise ProofRefused(problem=N_("an entry is about another member"))
        # The size is what keys are looked up by, so it must be that of the whole log.
        roster = apply(replace(roster, size=index), entry)
        yield roster


def make_excerpt(
    entries: Iterable[v1.Entry], *, tree: MerkleTree, note: str, size: int, members: Collection[MemberId]
) -> v1.RosterExcerpt:
    """The excerpt about some members. `entries` is the whole log in its order, `note` the checkpoint at `size`.

    Raises: MalformedStatement.
    """
    made = v1.RosterExcerpt(checkpoint=note)

    def seen() -> Iterator[v1.Entry]:
        for index, entry in enumerate(entries):
            if index == 0:
                made.genesis.CopyFrom(entry)
                made.entries.add(index=0, inclusion=tree.inclusion_proof(0, size))
            yield entry

    for index, entry in about(seen(), members, size=size):
        made.entries.add(index=index, entry=entry, inclusion=tree.inclusion_proof(index, size))
    return made


def check_excerpt(
    excerpt: v1.RosterExcerpt | v1.TransferProof, *, network: NetworkId, members: Collection[MemberId]
) -> tuple[Roster, Checkpoint]:
    """The roster that an excerpt gives, of the size of its checkpoint, and the checkpoint: every entry is signed as
    its kind asks for, follows the one before it, and is in the log that the directory signed.

    Raises: WrongNetwork, ProofRefused, EntryRefused, CheckpointRefused, MalformedStatement.
    """
    if network_id(excerpt.genesis) != network:
        raise WrongNetwork(what=N_("Genesis"))
    if not excerpt.entries or excerpt.entries[0].index != 0 or excerpt.entries[0].HasField("entry"):
        raise ProofRefused(problem=N_("the genesis is not proven"))
    later = excerpt.entries[1:]
    *_, roster = replay_places(excerpt.genesis, ((each.index, each.entry) for each in later), members)
    one_signature(excerpt.checkpoint)
    checkpoint = open_checkpoint(excerpt.checkpoint, roster.directory_key, roster.origin)
    leaves = [entry_leaf(excerpt.genesis), *(entry_leaf(each.entry) for each in later)]
    for proven, leaf in zip(excerpt.entries, leaves, strict=True):
        verify_inclusion(
            leaf=leaf, index=proven.index, size=checkpoint.size, root=checkpoint.root, proof=list(proven.inclusion)
        )
    return replace(roster, size=checkpoint.size), checkpoint


def one_signature(note: str) -> None:
    """A note with the directory's signature alone: lines by other keys would stand there unverified.

    Raises: ProofRefused.
    """
    if note.count("\n— ") != 1:
        raise ProofRefused(problem=N_("the checkpoint has other signatures than the directory's"))
