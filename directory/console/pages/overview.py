"""The first page: what waits, what is wrong, where the log stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from cordee.errors import CordeeError
from cordee.ids import MemberId
from cordee.members import MemberState
from directory.administrator.evidence import kept
from directory.administrator.home import Home
from directory.administrator.notices import authority_ends, notices
from directory.administrator.standings import Standing
from directory.console.knowing import knowing_of
from directory.console.site import Page
from directory.console.visit import Visit
from directory.console.waiting import applicants_of, pending_of

__all__ = ["PAGES"]

_LOOKED_AT: Final = 5  # files: each is judged anew


async def _overview(visit: Visit) -> Response:
    roster, desk = visit.roster, visit.desk
    trouble = desk.trouble
    standings: Mapping[MemberId, Standing] = {}
    waiting: Any = None
    requests: Any = None
    if trouble is None:
        try:
            standings = await desk.standings()
            waiting = await pending_of(visit)
            requests = await applicants_of(visit)
        except CordeeError as failed:
            trouble = failed
    knowing = await knowing_of(visit, desk.log.size) if trouble is None else None
    states = [each.state for each in roster.members.values()]
    return visit.page(
        "overview.html",
        notices=notices(
            roster,
            standings,
            desk.names(),
            now=visit.now,
            trouble=trouble,
            doubts=dict(knowing.doubts) if knowing is not None else {},
            proven=await asyncio.to_thread(_proven, desk.home),
        ),
        waiting=waiting,
        requests=requests,
        counts={state.value: states.count(state) for state in MemberState},
        administrators=len(roster.administrators),
        threshold=roster.policy.threshold,
        size=desk.log.size,
        root=(await asyncio.to_thread(desk.log.tree.root)).hex(),
        checked=desk.checked,
        authority_ends=authority_ends(roster),
        knowing=knowing,
        own=desk.key.public.key_id in roster.administrators,
    )


def _proven(home: Home) -> int:
    """How many of the newest files of evidence say that something is wrong."""
    return sum(each.verdict is not None for each in kept(home, most=_LOOKED_AT))


PAGES: Final = (Page("overview", "/", get=_overview),)
