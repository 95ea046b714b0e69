"""Who knows of an entry, who does not, and since when they have not been heard of.

What counts is what each node signed itself: the directory can keep such a word back, not make one. That a node is
connected, and when it was last heard of, is the directory's word alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from cordee.errors import N_, ClockSkew, MalformedStatement, RosterForked, WrongNetwork, WrongParty
from cordee.ids import MemberId
from cordee.members import Member, MemberState, Roster
from cordee.signing import Signed, parse_body, verify
from cordee.times import moment_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1

__all__ = ["SILENT_AFTER", "NodeKnows", "Stopwatch", "in_words", "read_node", "silent", "stopwatch"]

SILENT_AFTER = timedelta(hours=2)
"""A node that is connected says how much it knows every hour."""

_SKEW = timedelta(minutes=5)
_WHAT = v1.HeldCheckpoint.DESCRIPTOR.name


@dataclass(frozen=True)
class NodeKnows:
    """What is known of one member's node."""

    member: MemberId
    size: int = 0
    """How many entries it has verified, by its own signed word; 0: it never said."""
    said: datetime | None = None
    """When it signed that, by its own clock."""
    heard: datetime | None = None
    """When the directory took it."""
    connected: bool = False
    """It listens to the directory now."""


@dataclass(frozen=True)
class Stopwatch:
    """How far the first `size` entries of the log have come. Only nodes of active members count."""

    size: int
    know: tuple[NodeKnows, ...]
    not_yet: tuple[NodeKnows, ...]
    """Connected ones first, then by when they were last heard of, the newest first."""

    @property
    def nodes(self) -> int:
        """How many there are in all."""
        return len(self.know) + len(self.not_yet)

    @property
    def reached(self) -> bool:
        """Every node that can be reached now knows."""
        return not any(each.connected for each in self.not_yet)


def read_node(
    answer: pb.ListHeldCheckpointsResponse,
    roster: Roster,
    *,
    root_at: Callable[[int], bytes | None],
    now: datetime,
) -> NodeKnows:
    """Check what a node is said to have signed. `root_at` gives the root of our own verified log at a size.

    Raises: MalformedStatement, BadSignature, WrongNetwork, WrongParty, ClockSkew; RosterForked where the node was
    shown another log than we were.
    """
    member = MemberId(answer.member)
    known = roster.members.get(member)
    if known is None or not answer.HasField("held"):
        return NodeKnows(member, connected=answer.connected)
    signed = Signed.from_message(answer.held)
    body = parse_body(signed, v1.HeldCheckpoint)
    if MemberId(body.member) != member:
        raise WrongParty(what=_WHAT)
    verify(signed, known.identity)
    if body.network != roster.network:
        raise WrongNetwork(what=_WHAT)
    said, heard = moment_of(body.time), moment_of(answer.heard_time)
    if said > now + _SKEW:
        raise ClockSkew(what=_WHAT, time=said.isoformat(timespec="seconds"))
    if body.size == 0:
        raise MalformedStatement(what=_WHAT, problem=N_("it is out of range"))
    if root_at(body.size) != body.root:
        raise RosterForked(size=body.size)
    return NodeKnows(member, size=body.size, said=said, heard=heard, connected=answer.connected)


def stopwatch(nodes: Mapping[MemberId, NodeKnows], roster: Roster, *, size: int) -> Stopwatch:
    """Who of the active members knows the first `size` entries."""
    all_ = [nodes.get(each.id) or NodeKnows(each.id) for each in _active(roster)]
    not_yet = sorted((each for each in all_ if each.size < size), key=_by_hope)
    return Stopwatch(size, know=tuple(each for each in all_ if each.size >= size), not_yet=tuple(not_yet))


def silent(
    nodes: Mapping[MemberId, NodeKnows], roster: Roster, *, now: datetime, longer_than: timedelta = SILENT_AFTER
) -> list[NodeKnows]:
    """The active members' nodes that are not connected and were not heard of lately, those never heard of first."""
    all_ = [nodes.get(each.id) or NodeKnows(each.id) for each in _active(roster)]
    lost = [each for each in all_ if not each.connected and (each.heard is None or now - each.heard > longer_than)]
    return sorted(lost, key=lambda each: (each.heard is not None, each.heard or now))


def in_words(node: NodeKnows, *, zone: tzinfo | None = None) -> tuple[str, dict[str, str]]:
    """How it stands with a node that does not know, as a marked text and its facts but for the name `{who}`. The time
    is that of `zone`, or of this machine's; `day` is a date that whoever shows it writes out (texts.facts_in_words).
    """
    if node.connected:
        return N_("{who}: connected, has not answered yet"), {}
    if node.heard is None:
        return N_("{who}: never heard of"), {}
    local = node.heard.astimezone(zone)
    return N_("{who}: not heard of since {day}, {at}"), {"day": local.date().isoformat(), "at": f"{local:%H:%M}"}


def _active(roster: Roster) -> Iterable[Member]:
    return (each for each in roster.members.values() if each.state is MemberState.ACTIVE)


def _by_hope(node: NodeKnows) -> tuple[bool, float]:
    return not node.connected, -(node.heard.timestamp() if node.heard else 0.0)
