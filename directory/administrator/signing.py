"""Before an administrator signs: everything is checked, the same in the command and in the console."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message

from cordee.entries import add_signature, entry_digest, propose
from cordee.errors import NotAnAdministrator
from cordee.ids import Digest
from cordee.members import Roster
from cordee.signing import SigningKey, SigningPublicKey
from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import find_pending, parse_entry, require_next

__all__ = ["Ready", "begun_or_new", "key_to_compare", "ready_to_sign"]

_KEY = v1.PublicKey.DESCRIPTOR.full_name


@dataclass(frozen=True)
class Ready:
    """An entry that the roster would take, with as many signatures as it takes, and that may be shown and signed."""

    entry: v1.Entry
    """As it was begun."""
    signed: v1.Entry
    """With this administrator's signature."""
    already: bool
    """This administrator has signed it before."""

    @property
    def digest(self) -> Digest:
        """Which entry it is, whoever has signed."""
        return entry_digest(self.entry)


def begun_or_new(pending: Iterable[v1.Entry], statement: Message) -> v1.Entry:
    """What a colleague has begun and says the same; else a new entry that nobody has signed."""
    begun = find_pending(list(pending), statement)
    return begun if begun is not None else propose(statement)


def ready_to_sign(entry: v1.Entry, roster: Roster, key: SigningKey, now: datetime) -> Ready:
    """Check the colleagues' signatures, the place in the log and the time, before anything is shown.

    Raises: NotAnAdministrator, EntryRefused, Refused, MalformedStatement.
    """
    own = key.public.key_id
    if own not in roster.administrators:
        raise NotAnAdministrator()
    already = any(one.signer == own for one in entry.signatures)
    signed = entry if already else add_signature(entry, key)
    require_next(signed, roster, now)
    return Ready(entry=entry, signed=signed, already=already)


def key_to_compare(entry: v1.Entry) -> SigningPublicKey | None:
    """The key that an entry puts in force: its six words are compared by telephone before anybody signs.

    Raises: Refused, MalformedStatement, MalformedKey.
    """
    statement = parse_entry(entry)
    for field in statement.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name == _KEY:
            return SigningPublicKey.from_message(getattr(statement, field.name))
    return None
