"""`cordee admin status`: the network at a glance, and which nodes know how much of it."""

from __future__ import annotations

from typing import Any

import click

from cordee.errors import N_
from cordee.members import MemberState
from directory.administrator.stopwatch import silent, stopwatch
from directory.cli.session import Session, administering
from directory.cli.watching import node_row, say_doubts

__all__ = ["status"]

_COLUMNS = ("name", "member", "knows", "behind", "connected", "heard")


@click.command("status")
@administering
async def status(session: Session) -> None:
    """The network at a glance: members, and which nodes know the newest entry, which do not, since when.

    What a node knows it signed itself; that it is connected, and when it was heard of, is the directory's word.

    JSON: {network, entries, members: {active, suspended, removed}, pending, nodes, know, silent: [], doubts: [],
    nodes_known: [{member, name, knows, behind, connected, heard}]}
    """
    nodes, doubts = await session.client.nodes(session.log)
    roster = session.roster = session.log.roster or session.roster
    size = session.log.size
    watch = stopwatch(nodes, roster, size=size)
    names = session.home.names()
    states = [each.state for each in roster.members.values()]
    lost = silent(nodes, roster, now=session.clock.now())
    rows = [node_row(each, names, size=size) for each in (*watch.not_yet, *watch.know)]
    facts: dict[str, Any] = {
        "network": roster.network.hex(),
        "entries": size,
        "members": {state.value: states.count(state) for state in MemberState},
        "pending": len(await session.client.pending()),
        "nodes": watch.nodes,
        "know": len(watch.know),
        "silent": [each.member.hex() for each in lost],
        "doubts": [member.hex() for member in doubts],
        "nodes_known": rows,
    }
    session.output.say(
        N_("{know} of {nodes} nodes know the newest entry; not heard of lately: {silent}."),
        know=len(watch.know),
        nodes=watch.nodes,
        silent=len(lost),
    )
    say_doubts(session, doubts)
    if session.output.for_programs:
        session.output.record(facts)
    else:
        session.output.record(facts, hide=("nodes_known", "silent", "doubts"))
        session.output.rows(rows, _COLUMNS)
