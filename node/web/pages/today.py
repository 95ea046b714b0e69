"""What waits for the one who opens the node's first page. Nothing here names a child: pseudonyms only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.responses import Response

from cordee.ids import TransferId
from cordee.summary import RETURN_REASONS
from cordee.transfer import END_STATES, State
from node import need_to_know, transfer_store
from node.listing import pseudonyms_of
from node.people import Role
from node.transfers import TransferLine
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_RECENT = timedelta(days=7)
_SOON = timedelta(minutes=30)  # an emergency's offer lives for two hours
_SLOW = timedelta(minutes=10)  # after which what still waits for the network is worth a look
_UNWANTED = frozenset({State.DECLINED, State.REFUSED, State.EXPIRED})
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})


async def _today(visit: Visit) -> Response:
    node, now = visit.node, visit.node.clock.now()
    lines: list[TransferLine] = []
    names: Mapping[str, str] = {}
    if visit.handler.roles & (_CASE_TEAM | {Role.AUDITOR}):
        lines = await node.transfers.list(visit.handler)
    if visit.handler.roles & _CASE_TEAM:
        names = await node.db.read(lambda tx: pseudonyms_of(tx, node.house.cases, node.vault, visit.handler, now=now))
    openings = 0
    if Role.LEAD in visit.handler.roles:
        openings = len(await node.db.read(lambda tx: need_to_know.openings(tx, node.vault)))
    status = node.roster.status()
    held = await node.db.read(_held)
    trouble = [each for each in lines if _is_in_trouble(each, now)]
    return page(
        "today.html",
        visit.language,
        visit=visit,
        now=now,
        names=names,
        offers=[each for each in lines if each.direction == "in" and each.state is State.OFFERED],
        to_erase=[each for each in lines if each.direction == "in" and each.erasure == "asked"],
        under_way=[
            each
            for each in lines
            if each.state not in END_STATES
            and not (each.direction == "in" and each.state is State.OFFERED)
            and each not in trouble
            and each.transfer_id not in held
        ],
        ended=[
            each
            for each in lines
            if each.state in END_STATES and now - each.updated_at < _RECENT and each not in trouble
        ],
        trouble=trouble,
        held=[each for each in lines if each.transfer_id in held],
        openings=openings,
        soon=_SOON,
        reasons=RETURN_REASONS,
        connected=status.connected,
        alarm=status.alarm,
    )


def _held(tx: Connection) -> set[TransferId]:
    """Ours that were accepted and leave only when somebody here says so."""
    return {each.id for each in transfer_store.all_transfers(tx) if each.held}


def _is_in_trouble(line: TransferLine, now: datetime) -> bool:
    """Nothing of ours arrived and nobody took it, or it does not leave: somebody has to think of another way."""
    if line.waits and now - line.updated_at > _SLOW:
        return True
    came_back = line.state in _UNWANTED or line.erasure == "returned"
    return line.direction == "out" and came_back and now - line.updated_at < _RECENT


PAGES = (Page("today", "/", get=_today),)
