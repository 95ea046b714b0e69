"""Entries on their way into the log: signatures of administrators are gathered until there are enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.entries import entry_digest
from cordee.errors import N_, BadSignature, EntryRefused, NotAnAdministrator, Refused, TooManyRequests
from cordee.ids import Digest, KeyId
from cordee.members import Roster
from cordee.roster import apply
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.signing import MAX_SIGNED, parse_message, verify_signature
from cordee.v1 import statements_pb2 as v1
from directory.roster_store import RosterStore, require_recent, would_apply
from directory.store import micros, table_of
from directory.store.roster import PendingEntryRow

__all__ = ["BY_ADMINISTRATORS", "Gathered", "Governance"]

_PENDING = table_of(PendingEntryRow)
_MAX_OF_ONE = 64
"""Waiting entries that bear one administrator's signature: whose keys are stolen must not fill the list."""

BY_ADMINISTRATORS = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        v1.MemberAdmitted,
        v1.MemberSuspended,
        v1.MemberReinstated,
        v1.MemberRemoved,
        v1.MemberCorrected,
        v1.RecoveryAnnounced,
        v1.MemberRecovered,
        v1.IdentityRevoked,
        v1.AdministratorAdded,
        v1.AdministratorRemoved,
        v1.PolicyChanged,
        v1.DirectoryKeyRotated,
        v1.AuthorityRotated,
    )
)

MayAppend = Callable[[Connection, v1.Entry], None]


@dataclass(frozen=True)
class Gathered:
    """How far an entry has come."""

    appended: bool
    signatures: int
    threshold: int


class Governance:
    """Gathers signatures. Nothing here decides: an entry that `apply` refuses never gets into the log."""

    def __init__(self, db: Database, rosters: RosterStore, clock: Clock) -> None:
        self._db = db
        self._rosters = rosters
        self._clock = clock
        self.begun: list[Callable[[Connection, v1.Entry], None]] = []
        """Called with each entry that gets signatures, in the transaction that keeps them."""

    async def sign(self, entry: v1.Entry) -> Gathered:
        """Add an entry's signatures to those that are here; with enough of them it goes into the log.

        Raises: NotAnAdministrator, BadSignature, MalformedStatement, EntryRefused, NotFounded.
        """
        roster = self._rosters.roster
        entry = parse_message(entry.SerializeToString(), v1.Entry, MAX_SIGNED)
        digest = entry_digest(entry)
        threshold = roster.policy.threshold
        if await self._rosters.index_of(digest) is not None:
            return Gathered(appended=True, signatures=len(entry.signatures), threshold=threshold)
        if entry.type not in BY_ADMINISTRATORS:
            raise Refused(entry=entry.type)
        _check_signers(entry, roster)
        self._rosters.require_ready(entry)
        merged = await self._db.write(lambda tx: self._merge(tx, digest, entry, roster))
        signatures = len(merged.signatures)
        if signatures < threshold:
            return Gathered(appended=False, signatures=signatures, threshold=threshold)
        await self._rosters.append(merged)
        return Gathered(appended=True, signatures=signatures, threshold=threshold)

    async def pending(self) -> list[v1.Entry]:
        """Entries that want signatures, oldest first."""
        rows = await self._db.read(
            lambda tx: tx.execute(select(_PENDING.c.entry).order_by(_PENDING.c.changed_at)).scalars().all()
        )
        return [entry for entry in map(v1.Entry.FromString, rows) if self._in_time(entry)]

    def _in_time(self, entry: v1.Entry) -> bool:
        try:
            require_recent(entry, self._clock.now(), index=self._rosters.roster.size)
        except EntryRefused:
            return False
        return True

    def _merge(self, tx: Connection, digest: Digest, entry: v1.Entry, roster: Roster) -> v1.Entry:
        known = tx.execute(select(_PENDING.c.entry).where(_PENDING.c.digest == digest)).scalar()
        if known is None:
            _require_room(tx, entry, roster)
        signatures = {one.signer: one for one in entry.signatures}
        for one in v1.Entry.FromString(known).signatures if known is not None else ():
            if KeyId(one.signer) in roster.administrators:  # who is none any more does not count
                signatures.setdefault(one.signer, one)
        merged = v1.Entry(
            type=entry.type, body=entry.body, signatures=[signatures[signer] for signer in sorted(signatures)]
        )
        if not would_apply(roster, merged):
            apply(roster, merged)  # raises what is wrong with it
            raise EntryRefused(index=roster.size, rule=N_("it has not enough signatures and is not next"))
        row = {"entry": merged.SerializeToString(), "changed_at": micros(self._clock.now())}
        statement = upsert(_PENDING).values(digest=digest, **row)
        tx.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=row))
        for each in self.begun:
            each(tx, merged)
        return merged


def _require_room(tx: Connection, entry: v1.Entry, roster: Roster) -> None:
    """For one entry more of each of its signers; one that need not wait needs none. Raises: TooManyRequests.

    All together have no limit: a few who may not decide alone would reach it, and keep the others from beginning what
    removes them.
    """
    signers = {one.signer for one in entry.signatures}
    if len(signers) >= roster.policy.threshold:
        return
    waiting = [v1.Entry.FromString(row) for row in tx.execute(select(_PENDING.c.entry)).scalars()]
    counts = Counter(one.signer for each in waiting for one in each.signatures)
    if any(counts[signer] >= _MAX_OF_ONE for signer in signers):
        raise TooManyRequests()


def _check_signers(entry: v1.Entry, roster: Roster) -> None:
    if not entry.signatures:
        raise BadSignature(what=entry.type.rpartition(".")[2])
    for one in entry.signatures:
        key = roster.administrators.get(KeyId(one.signer))
        if key is None:
            raise NotAnAdministrator()
        verify_signature(one, entry.type, entry.body, key)
