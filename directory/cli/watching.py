"""`--watch`: how many nodes know of what was just signed, which do not, since when (the stopwatch)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from cordee.errors import N_
from cordee.ids import MemberId
from cordee.runtime.texts import facts_in_words, text, translate
from cordee.times import span_text
from directory.administrator.stopwatch import NodeKnows, Stopwatch, in_words, stopwatch
from directory.cli.session import Session

__all__ = ["follow", "node_row", "say_doubts", "watch_option"]

_PAUSES = (0.2, 0.3, 0.5)
_PAUSE = 1.0

watch_option: Callable[..., Any] = click.option(
    "--watch",
    "watch_seconds",
    type=click.IntRange(1, 3600),
    is_flag=False,
    flag_value=60,
    metavar="[SECONDS]",
    help="Then follow how many nodes know of it, for 60 seconds or as long as given.",
)


async def follow(session: Session, outcome: dict[str, Any], watch_seconds: int | None) -> dict[str, Any]:
    """With `--watch`, once the entry is in the log: tell how far it has come, until every node that is connected
    knows or the time is over. Returns `outcome` with what was seen.
    """
    if watch_seconds is None or not outcome.get("appended"):
        return outcome
    size, clock = session.log.size, session.clock
    began = clock.now()
    nodes: dict[MemberId, NodeKnows] = {}
    doubts: dict[MemberId, Any] = {}
    newest: datetime | None = None
    told = -1
    pauses = iter(_PAUSES)
    while True:
        good, bad = await session.client.nodes(session.log, heard_after=newest)
        session.roster = session.log.roster or session.roster
        nodes |= good
        doubts |= bad
        newest = max((each.heard for each in nodes.values() if each.heard is not None), default=None)
        watch = stopwatch(nodes, session.roster, size=size)
        seconds = (clock.now() - began).total_seconds()
        if len(watch.know) != told:
            told = len(watch.know)
            session.output.say(
                N_("{know} of {nodes} nodes know, after {seconds} s."),
                know=told,
                nodes=watch.nodes,
                seconds=f"{seconds:.0f}",
            )
        if watch.reached or seconds >= watch_seconds:
            break
        await clock.sleep(next(pauses, _PAUSE))
    _say_rest(session, watch)
    say_doubts(session, doubts)
    names = session.home.names()
    return outcome | {
        "nodes": watch.nodes,
        "know": len(watch.know),
        "seconds": round(seconds, 1),
        "not_yet": [node_row(each, names, size=size) for each in watch.not_yet],
    }


def node_row(node: NodeKnows, names: dict[MemberId, str], *, size: int) -> dict[str, Any]:
    """One node, for a table."""
    return {
        "member": node.member.hex(),
        "name": names.get(node.member),
        "knows": node.size >= size,
        "behind": max(0, size - node.size),
        "connected": node.connected,
        "heard": node.heard.isoformat(timespec="seconds") if node.heard else None,
    }


def say_doubts(session: Session, doubts: dict[MemberId, Any]) -> None:
    """What nodes are said to have signed and is not believed: one may have been shown another log than we were."""
    names = session.home.names()
    for member, doubt in doubts.items():
        session.output.say(
            N_("What the node of {who} says is not believed: {why}"),
            who=names.get(member) or member.short,
            why=translate(doubt, session.language)[0],
        )


def _say_rest(session: Session, watch: Stopwatch) -> None:
    if not watch.not_yet:
        session.output.say(N_("Every node knows."))
        return
    names = session.home.names()
    for each in watch.not_yet:
        message, facts = in_words(each)
        told = facts_in_words(facts, session.language) | {"who": names.get(each.member) or each.member.short}
        session.output.say("{line}", line=text(message, session.language).format(**told))
    limit = span_text(session.roster.policy.freshness_limit)
    session.output.say(
        N_("Who is not reached hears of it when it connects; cut off for {limit}, it takes and sends nothing."),
        limit=limit,
    )
