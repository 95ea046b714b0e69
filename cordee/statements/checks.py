"""The checks that all statements share, in the order of protocol §3.

Size, exact parse and type; the signer on the roster; both signatures; network and parties; times; content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from google.protobuf.message import Message

from cordee.card import is_endpoint
from cordee.errors import (
    N_,
    BadSignature,
    BrokenChain,
    ClockSkew,
    MalformedStatement,
    NotAMember,
    RosterBehind,
    SplitView,
    StatementRefused,
    WrongNetwork,
    WrongParty,
)
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.roster import Roster
from cordee.signing import Signed, parse_body, verify
from cordee.summary import Parties
from cordee.times import moment_of
from cordee.transfer import Kind
from cordee.v1 import statements_pb2 as v1

__all__ = ["MAX_STATEMENT_BODY", "SKEW", "Body", "Reading", "RootAt", "TreeHead", "moment", "parties_of"]

SKEW = timedelta(minutes=5)
MAX_STATEMENT_BODY = 8 * 1024
"""Bytes of a transfer statement's body: the longest, an erasure unasked with report and reason, has about 7.5 kB."""

RootAt = Callable[[int], bytes | None]
"""The root of our own roster log at a size, or None where our log is shorter."""

_EXPOSING = frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT})

Body = v1.Offer | v1.Answer | v1.Shipment | v1.Receipt | v1.Withdrawal | v1.Erasure
"""The body of any statement of a transfer."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The roster log as the author of a statement knows it: its size and its RFC 9162 root."""

    size: int
    root: Digest

    def to_message(self) -> v1.TreeHead:
        """The head as it stands in statements."""
        return v1.TreeHead(size=self.size, root=self.root)


@dataclass(frozen=True, slots=True)
class Reading:
    """With what a statement is read, and how strictly.

    `fresh`: the broker takes it for the first time, so its time is now, and both its signer and what it rests on are
    in force now. Without it: a node reads what the broker has taken, perhaps a week ago. `history`: it was verified
    before (one's own store, a proof), so nothing is asked that changes with time: membership, policy, clock.
    """

    what: str
    roster: Roster
    now: datetime
    fresh: bool
    history: bool

    def body(self, signed: Signed, message_class: type[M]) -> M:
        """The statement inside, exactly. Raises: MalformedStatement."""
        return parse_body(signed, message_class, max_size=MAX_STATEMENT_BODY)

    def signer(
        self, signed: Signed, *, author: MemberId, other: MemberId, kind: Kind, since: int, at: TreeHead | None = None
    ) -> None:
        """Check that `author` is on the roster, in good standing where that matters now, and signed.

        With `at`, the key is the one in force at that checkpoint; else one in force between `since` and now, for a key
        may be rotated while a statement waits. What is fresh, and an offer, acceptance or shipment at any time but in
        history, needs the present key as well: a key that was given up, perhaps because it was stolen, opens nothing,
        even if the directory lends a hand. For these three both parties must be active too (a suspended member's
        transfers stand still); a receipt, a withdrawal or an erasure that the broker took tells what has happened and
        is read whatever became of its author since.

        Raises: NotAMember, MemberIsSuspended, RosterBehind, BadSignature.
        """
        size = since if at is None else at.size
        if size > self.roster.size:
            raise RosterBehind(size=size, known=self.roster.size)
        exposing = kind in _EXPOSING and not self.history
        for member in (author, other):
            found = self.roster.members.get(member)
            if found is None or found.admitted_size > size:
                raise NotAMember(member=member.hex())
        if self.fresh or exposing:
            self.roster.active(author)
        if exposing:
            self.roster.active(other)
        present = self.roster.members[author]
        keys = [self.roster.identity_at(author, size)]
        if at is None:
            keys += [key for until, key in present.former_identities if until > size] + [present.identity]
        if self.fresh or exposing:
            keys = [key for key in keys if key == present.identity]
        for key in keys:
            if key.key_id == signed.signer:
                verify(signed, key)
                return
        raise BadSignature(what=self.what)

    def same_root(self, at: TreeHead, tree: RootAt | None) -> None:
        """Find out at the first contact whether the other was shown another roster. After the signature: only a
        signed head is evidence.

        Raises: SplitView, RosterBehind.
        """
        if tree is None:
            return
        root = tree(at.size)
        if root is None:
            raise RosterBehind(size=at.size, known=self.roster.size)
        if root != at.root:
            raise SplitView(size=at.size)

    def agree(self, parties: Parties, expected: Parties | None = None, *, me: MemberId | None = None) -> None:
        """This network, two different parties, the same as before, and one of them is `me`.

        Raises: WrongNetwork, WrongParty.
        """
        if parties.network != self.roster.network:
            raise WrongNetwork(what=self.what)
        if parties.sender == parties.recipient:
            raise WrongParty(what=self.what)
        if expected is not None and parties != expected:
            raise WrongParty(what=self.what)
        if me is not None and me not in (parties.sender, parties.recipient):
            raise WrongParty(what=self.what)

    def on_time(self, time: datetime) -> None:
        """Fresh: within five minutes of now. Raises: ClockSkew."""
        if self.fresh and abs(time - self.now) > SKEW:
            raise ClockSkew(what=self.what, time=time.isoformat(timespec="seconds"))

    def follows(self, given: bytes, expected: bytes, before: str) -> None:
        """What a statement says of the one before it is so. Raises: BrokenChain, MalformedStatement."""
        if Digest(given) != expected:
            raise BrokenChain(what=self.what, before=before)

    def require(self, condition: bool, problem: str) -> None:
        """Raises: StatementRefused with the problem, unless the condition holds."""
        if not condition:
            raise StatementRefused(what=self.what, problem=problem)

    def sized(self, sealed: bytes, size: int, name: str) -> bytes:
        """A sealed text of its one size. Raises: MalformedStatement."""
        if len(sealed) != size:
            raise MalformedStatement(
                what=self.what,
                problem=N_("{field} has {size} bytes instead of {expected}"),
                field=name,
                size=len(sealed),
                expected=size,
            )
        return sealed

    def host(self, address: str) -> str:
        """A mailbox's `host:port`, or empty. Raises: MalformedStatement."""
        if address and not is_endpoint(address):
            raise MalformedStatement(what=self.what, problem=N_("the mailbox is no host:port"))
        return address

    def head(self, body: v1.Offer | v1.Answer) -> TreeHead:
        """The author's checkpoint. Raises: MalformedStatement."""
        if not body.HasField("checkpoint") or body.checkpoint.size < 1:
            raise MalformedStatement(what=self.what, problem=N_("it names no checkpoint"))
        return TreeHead(size=body.checkpoint.size, root=Digest(body.checkpoint.root))


def parties_of(body: Body) -> Parties:
    """The four ids of a statement, by their form. Raises: MalformedStatement."""
    return Parties(
        network=NetworkId(body.network),
        transfer_id=TransferId(body.transfer_id),
        sender=MemberId(body.sender),
        recipient=MemberId(body.recipient),
    )


def moment(message: Message, field: str) -> datetime:
    """A time inside a message. Raises: MalformedStatement where it is missing, out of range or too fine."""
    if not message.HasField(field):
        raise MalformedStatement(what=message.DESCRIPTOR.name, problem=N_("{field} is missing"), field=field)
    return moment_of(getattr(message, field))
