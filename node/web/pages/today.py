"""What waits for the one who opens the node's first page. Nothing here names a child: pseudonyms only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.responses import Response

from cordee.runtime.texts import translate
from cordee.summary import RETURN_REASONS
from cordee.transfer import END_STATES, State
from cordee.web.wall import HERE
from node import agenda, drafts, mistakes, need_to_know
from node import recovery as recovering
from node.identity import own_recovery
from node.listing import pseudonyms_of
from node.people import Role
from node.restored import handed_on
from node.transfers import TransferLine
from node.web.asked import clocks_of_transfers, draft_lines, lines_of, most_of, sections_of
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_RECENT = timedelta(days=7)
_RESTORED = timedelta(days=30)  # so long it is said that others hold cases which a restored node does not know of
_SOON = timedelta(minutes=30)  # an emergency's offer lives for two hours
_SLOW = timedelta(minutes=10)  # after which what still waits for the network is worth a look
_PRESSING = timedelta(hours=24)
_UNWANTED = frozenset({State.DECLINED, State.REFUSED, State.EXPIRED})
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})


async def _today(visit: Visit) -> Response:
    node, now, asked_for = visit.node, visit.node.clock.now(), visit.request.query_params
    whole, everybody = asked_for.get("whole") == "1", asked_for.get("whose") == "all"
    lines: list[TransferLine] = []
    if visit.handler.roles & (_CASE_TEAM | {Role.AUDITOR}):
        lines = await node.transfers.lately(visit.handler, since=now - _RECENT)
    mistaken = await node.db.read(lambda tx: mistakes.noted(tx, lines))
    names: Mapping[str, str] = {}
    kept: list[drafts.Kept] = []
    stands: recovering.Standing | None = None
    waiting = agenda.Waiting((), complete=True)
    if Role.ADMINISTRATOR in visit.handler.roles:
        kept = await node.db.read(lambda tx: drafts.waiting(tx, node.vault, visit.handler.account_id, now=now))
        stands = await node.db.read(lambda tx: recovering.standing(tx, node.vault))
    gone = 0
    if visit.may("journal"):
        gone = len(await node.db.read(lambda tx: handed_on(tx, since=now - _RESTORED)))
    if visit.handler.roles & _CASE_TEAM:

        def query(tx: Connection) -> tuple[agenda.Waiting, list[drafts.Kept], Mapping[str, str]]:
            today = now.astimezone(HERE).date()
            told = agenda.waiting(
                tx,
                node.vault,
                visit.handler,
                node.house.agenda,
                node.house.cases,
                today=today,
                now=now,
                everybody=everybody,
                most=most_of(whole=whole),
            )
            begun = drafts.waiting(tx, node.vault, visit.handler.account_id, now=now)
            shown = pseudonyms_of(tx, node.house.cases, node.vault, visit.handler, now=now)
            return told, begun, shown

        waiting, kept, names = await node.db.read(query)
    openings = []
    if Role.LEAD in visit.handler.roles:
        openings = await node.db.read(lambda tx: need_to_know.openings(tx, node.vault))
    shown = Counter(each.due.kind for each in waiting.asked)
    beyond = {kind: count - shown[kind] for kind, count in waiting.counts.items()}
    status = node.roster.status()
    trouble = [each for each in lines if _is_in_trouble(each, now)]
    updates = [
        each
        for each in lines
        if each.direction == "in" and each.kind == "update" and each.state is State.RECEIVED and not each.erasure
    ]
    return page(
        "today.html",
        visit.language,
        visit=visit,
        now=now,
        names=names,
        sections=sections_of(
            [
                *lines_of(waiting.asked, now=now),
                *clocks_of_transfers(lines, names=names, with_clock=waiting.clocks, noted=mistaken, now=now),
            ],
            whole=whole,
            beyond=beyond,
        ),
        colleagues=waiting.colleagues,
        everybody=everybody,
        whole=whole,
        complete=waiting.complete,
        drafts=draft_lines(kept, names),
        updates=updates,
        offers=[each for each in lines if each.direction == "in" and each.state is State.OFFERED],
        to_erase=[each for each in lines if each.direction == "in" and each.erasure == "asked"],
        under_way=[
            each
            for each in lines
            if each.state not in END_STATES
            and not (each.direction == "in" and each.state is State.OFFERED)
            and each not in trouble
            and not each.held
        ],
        ended=[
            each
            for each in lines
            if each.state in END_STATES
            and now - each.updated_at < _RECENT
            and each not in trouble
            and each not in updates
        ],
        trouble=trouble,
        held=[each for each in lines if each.held],
        openings=len(openings),
        oldest_opening=min((each.at for each in openings), default=None),
        soon=_SOON,
        reasons=RETURN_REASONS,
        pressing=_PRESSING,
        connected=status.connected,
        alarm=translate(status.alarm, visit.language) if status.alarm else None,
        recovery=own_recovery(node.house),
        rekeyed=[each for each in node.roster.members() if each.recovery_due and each.member != node.member],
        kit=None if visit.stamp else stands,
        handed_on=gone,
    )


def _is_in_trouble(line: TransferLine, now: datetime) -> bool:
    """Nothing of ours arrived and nobody took it, or it does not leave: somebody has to think of another way."""
    if line.waits and now - line.updated_at > _SLOW:
        return True
    came_back = line.state in _UNWANTED or line.erasure == "returned"
    return line.direction == "out" and came_back and now - line.updated_at < _RECENT


PAGES = (Page("today", "/", get=_today),)
