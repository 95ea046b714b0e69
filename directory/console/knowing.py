"""Which nodes know of an entry, which do not and since when: the stopwatch, for a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cordee.errors import CordeeError
from cordee.ids import MemberId
from cordee.runtime.texts import facts_in_words, text
from cordee.web.wall import HERE
from directory.administrator.stopwatch import NodeKnows, Stopwatch, in_words, silent, stopwatch
from directory.console.visit import Visit

__all__ = ["Knowing", "Lost", "knowing_of"]


@dataclass(frozen=True)
class Lost:
    """One node that does not know, or was not heard of lately."""

    member: MemberId
    sentence: str
    """In the reader's language, with the member's name."""


@dataclass(frozen=True)
class Knowing:
    """How far an entry has come."""

    watch: Stopwatch
    not_yet: tuple[Lost, ...]
    silent: tuple[Lost, ...]
    """Whatever they know: those that were not heard of lately."""
    doubts: tuple[tuple[MemberId, CordeeError], ...]
    connected: dict[MemberId, bool]
    heard: dict[MemberId, datetime | None]


async def knowing_of(visit: Visit, size: int) -> Knowing | None:
    """Of the first `size` entries; None where the directory does not tell."""
    try:
        nodes, doubts = await visit.desk.nodes()
    except CordeeError:
        return None
    watch = stopwatch(nodes, visit.roster, size=size)
    return Knowing(
        watch=watch,
        not_yet=tuple(_told(visit, each) for each in watch.not_yet),
        silent=tuple(_told(visit, each) for each in silent(nodes, visit.roster, now=visit.now)),
        doubts=tuple(doubts.items()),
        connected={member: each.connected for member, each in nodes.items()},
        heard={member: each.heard for member, each in nodes.items()},
    )


def _told(visit: Visit, node: NodeKnows) -> Lost:
    message, facts = in_words(node, zone=HERE)
    who = visit.desk.names().get(node.member, node.member.short)
    told = facts_in_words(facts, visit.language) | {"who": who}
    return Lost(node.member, text(message, visit.language).format(**told))
