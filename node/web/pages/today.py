"""What waits for the one who opens the node's first page. Nothing here names a child: pseudonyms only."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.responses import Response

from cordee.case.due import CLOCK
from cordee.ids import TransferId
from cordee.transfer import END_STATES, State
from node import agenda, drafts, journal, need_to_know, records, transfer_store
from node.agenda import Asked
from node.people import Role
from node.transfers import TransferLine
from node.web.asked import Line, clocks_of_transfers, draft_lines, lines_of, sections_of
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit
from node.web.wall import HERE

__all__ = ["PAGES"]

_RECENT = timedelta(days=7)
_SOON = timedelta(minutes=30)  # an emergency's offer lives for two hours
_SLOW = timedelta(minutes=10)  # after which what still waits for the network is worth a look
_PRESSING = timedelta(hours=24)
_UNWANTED = frozenset({State.DECLINED, State.REFUSED, State.EXPIRED})
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})
_NOT_FOR_US = "transfer.not_for_us"


async def _today(visit: Visit) -> Response:
    node, now, asked_for = visit.node, visit.node.clock.now(), visit.request.query_params
    whole, everybody = asked_for.get("whole") == "1", asked_for.get("whose") == "all"
    lines: list[TransferLine] = []
    held: set[TransferId] = set()
    if visit.handler.roles & (_CASE_TEAM | {Role.AUDITOR}):
        lines = await node.transfers.lately(visit.handler, since=now - _RECENT)
        held = await node.db.read(lambda tx: _held(tx, now))
    names: dict[str, str] = {}
    kept: list[drafts.Kept] = []
    waiting = agenda.Waiting((), complete=True)
    noted: dict[str, datetime] = {}
    if visit.handler.roles & _CASE_TEAM:

        def query(tx: Connection) -> tuple[agenda.Waiting, list[drafts.Kept], dict[str, str], dict[str, datetime]]:
            today = now.astimezone(HERE).date()
            told = agenda.waiting(tx, node.vault, visit.handler, node.house.agenda, today=today, now=now)
            begun = drafts.waiting(tx, node.vault, visit.handler.account_id, now=now)
            cases = [each for each in (*(line.case_id for line in lines), *(draft.case_id for draft in begun)) if each]
            return told, begun, records.pseudonyms(tx, node.vault, cases), _noted(tx, lines)

        waiting, kept, names, noted = await node.db.read(query)
    openings = []
    if Role.LEAD in visit.handler.roles:
        openings = await node.db.read(lambda tx: need_to_know.openings(tx, node.vault))
    mine = [each for each in waiting.asked if everybody or each.mine or each.due.kind == CLOCK]
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
            [*lines_of(mine, now=now), *_clocks(lines, waiting.asked, names, noted, now)], whole=whole
        ),
        colleagues=len(waiting.asked) - len(mine),
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
            and each.transfer_id not in held
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
        held=[each for each in lines if each.transfer_id in held],
        openings=len(openings),
        oldest_opening=min((each.at for each in openings), default=None),
        soon=_SOON,
        pressing=_PRESSING,
        connected=status.connected,
        alarm=status.alarm,
    )


def _clocks(
    lines: list[TransferLine],
    asked: tuple[Asked, ...],
    names: dict[str, str],
    noted: dict[str, datetime],
    now: datetime,
) -> list[tuple[str, Line]]:
    with_clock = {each.case_id for each in asked if each.due.what in ("act_72h", "accueil_72h")}
    return clocks_of_transfers(lines, names=names, with_clock=with_clock, noted=noted, now=now)


def _held(tx: Connection, now: datetime) -> set[TransferId]:
    """Ours that were accepted and leave only when somebody here says so."""
    return {
        each.id
        for each in transfer_store.lately(tx, since=now)
        if each.outgoing and each.state is State.ACCEPTED and each.job is None
    }


def _noted(tx: Connection, lines: list[TransferLine]) -> dict[str, datetime]:
    """When somebody said of what came that it was not for us, by the transfer's id."""
    came = [each.transfer_id.hex() for each in lines if each.direction == "in" and each.state is State.RECEIVED]
    return {
        transfer: line.at
        for transfer in came
        for line in journal.of_subject(tx, transfer)
        if line.action == _NOT_FOR_US
    }


def _is_in_trouble(line: TransferLine, now: datetime) -> bool:
    """Nothing of ours arrived and nobody took it, or it does not leave: somebody has to think of another way."""
    if line.waits and now - line.updated_at > _SLOW:
        return True
    return line.direction == "out" and line.state in _UNWANTED and now - line.updated_at < _RECENT


PAGES = (Page("today", "/", get=_today),)
