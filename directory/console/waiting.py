"""What waits for somebody: entries that want signatures, associations that ask to join."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cordee.entries import entry_digest
from cordee.errors import CordeeError
from cordee.ids import KeyId
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.administrator.applicants import Applicant
from directory.administrator.entries import about_of, describe
from directory.console.visit import Visit

__all__ = ["Asking", "Pending", "Requests", "Waiting", "applicants_of", "in_words", "pending_of"]


@dataclass(frozen=True)
class Pending:
    """An entry that somebody has begun."""

    digest: str
    lines: tuple[str, ...]
    signers: tuple[KeyId, ...]
    left: int
    """How many more must sign."""
    mine: bool
    """It waits for this administrator."""


@dataclass(frozen=True)
class Waiting:
    """All of them."""

    mine: tuple[Pending, ...]
    others: tuple[Pending, ...]
    """Signed here, and waiting for colleagues."""
    doubts: tuple[CordeeError, ...]


@dataclass(frozen=True)
class Asking:
    """An association that asks to join and is not a member."""

    applicant: Applicant
    refused: bool
    begun: str | None
    """The entry that admits it, where a colleague has begun one."""


@dataclass(frozen=True)
class Requests:
    """Who asks to join."""

    waiting: tuple[Asking, ...]
    refused: tuple[Asking, ...]
    doubts: tuple[CordeeError, ...]


async def in_words(visit: Visit, entry: v1.Entry) -> tuple[str, ...]:
    """What an entry does, line by line. Raises: Refused for a kind that administrators do not sign."""
    names = visit.desk.names()
    lines = await asyncio.to_thread(describe, entry, visit.roster, names, visit.words)  # six words take a while
    return tuple(lines)


async def pending_of(visit: Visit) -> Waiting:
    """What the directory tells, as far as it can be told in words; nothing of it is verified before it is signed."""
    mine: list[Pending] = []
    others: list[Pending] = []
    doubts: list[CordeeError] = []
    own, threshold = visit.desk.key.public.key_id, visit.roster.policy.threshold
    for entry in await visit.desk.pending():
        try:
            lines = await in_words(visit, entry)
        except CordeeError as doubt:
            doubts.append(doubt)
            continue
        signers = tuple(KeyId(one.signer) for one in entry.signatures)
        found = Pending(
            digest=entry_digest(entry).hex(),
            lines=lines,
            signers=signers,
            left=max(0, threshold - len(signers)),
            mine=own not in signers,
        )
        (mine if found.mine else others).append(found)
    return Waiting(tuple(mine), tuple(others), tuple(doubts))


async def applicants_of(visit: Visit) -> Requests:
    """Who asks to join; members are none any more, and removed ones never come back under their id."""
    roster = visit.roster
    known, doubts = await visit.desk.client.applicants(roster)
    begun = {
        about: entry_digest(entry).hex()
        for entry in await visit.desk.pending()
        if entry.type == v1.MemberAdmitted.DESCRIPTOR.full_name
        for about, _ in (about_of(entry),)
    }
    asking = [
        Asking(applicant, told == pb.JOIN_STATE_REFUSED, begun.get(applicant.member))
        for applicant, told in known
        if applicant.member not in roster.members
    ]
    return Requests(
        waiting=tuple(each for each in asking if not each.refused),
        refused=tuple(each for each in asking if each.refused),
        doubts=tuple(doubts),
    )
