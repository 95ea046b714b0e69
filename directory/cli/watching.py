"""`--watch`: how many nodes know of what was just signed, which do not, since when (the stopwatch)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from cordee.errors import N_, Unreachable
from cordee.ids import MemberId
from cordee.runtime.texts import facts_in_words, text, translate
from cordee.times import span_text
from directory.administrator.stopwatch import NodeKnows, Stopwatch, in_words, stopwatch
from directory.cli.session import Session

__all__ = ["follow", "node_row", "say_doubts", "watch_options"]

_SECONDS = 60
_PAUSES = (0.2, 0.3, 0.5)
_PAUSE = 1.0


def watch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--watch`, and for how long. The command gets `watch`: seconds, or nothing."""

    @click.option("--watch", is_flag=True, help="Then follow how many nodes know of it.")
    @click.option(
        "--watch-seconds",
        type=click.IntRange(1, 3600),
        default=_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="For how long at most.",
    )
    @functools.wraps(command)
    def chosen(*given: Any, watch: bool, watch_seconds: int, **arguments: Any) -> Any:
        return command(*given, watch=watch_seconds if watch else None, **arguments)

    return chosen


async def follow(session: Session, outcome: dict[str, Any], watch: int | None) -> dict[str, Any]:
    """With `--watch`, once the entry is in the log: tell how far it has come, until every node that is connected
    knows or `watch` seconds are over. Returns `outcome` with what was seen.
    """
    if watch is None or not outcome.get("appended"):
        return outcome
    session.output.say(N_("It is in force. Who knows of it is followed now; to end this command changes nothing."))
    size, clock = session.log.size, session.clock
    began = clock.now()
    nodes: dict[MemberId, NodeKnows] = {}
    doubts: dict[MemberId, Any] = {}
    newest: datetime | None = None
    told = -1
    pauses = iter(_PAUSES)
    while True:
        answered = False
        with contextlib.suppress(Unreachable):  # it is in force all the same: look again
            good, bad = await session.client.nodes(session.log, heard_after=newest)
            session.roster = session.log.roster or session.roster
            nodes |= good
            doubts |= bad
            answered = True
        newest = max((each.heard for each in nodes.values() if each.heard is not None), default=None)
        seen = stopwatch(nodes, session.roster, size=size)
        seconds = (clock.now() - began).total_seconds()
        if len(seen.know) != told:
            told = len(seen.know)
            session.output.say(
                N_("{know} of {nodes} nodes know, after {seconds} s."),
                know=told,
                nodes=seen.nodes,
                seconds=f"{seconds:.0f}",
            )
        if (answered and seen.reached) or seconds >= watch:
            break
        await clock.sleep(next(pauses, _PAUSE))
    _say_rest(session, seen)
    say_doubts(session, doubts)
    names = session.home.names()
    return outcome | {
        "nodes": seen.nodes,
        "know": len(seen.know),
        "seconds": round(seconds, 1),
        "not_yet": [node_row(each, names, size=size) for each in seen.not_yet],
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
