"""The members: who they are by the log, how they stand, and what may be decided about them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, CordeeError, InvalidInput, MalformedStatement, NotFound
from cordee.ids import MemberId
from cordee.members import Member, MemberState
from cordee.profile import departement_name
from cordee.runtime.texts import translate
from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import about_member
from directory.administrator.history import told_all
from directory.administrator.notices import notices
from directory.administrator.standings import Standing
from directory.administrator.words import words_of
from directory.console.knowing import knowing_of
from directory.console.pages.signing import lead_to_signing
from directory.console.site import Page
from directory.console.visit import Visit

__all__ = ["PAGES", "member_of"]

_STATES: Final = {
    MemberState.ACTIVE: N_("active"),
    MemberState.SUSPENDED: N_("suspended"),
    MemberState.REMOVED: N_("removed"),
}
_GROUPS: Final = {
    MemberState.ACTIVE: N_("Active members"),
    MemberState.SUSPENDED: N_("Suspended members"),
    MemberState.REMOVED: N_("Removed members"),
}
_CHANGES: Final[Mapping[str, type[v1.MemberSuspended | v1.MemberReinstated | v1.MemberRemoved]]] = {
    "suspend": v1.MemberSuspended,
    "reinstate": v1.MemberReinstated,
    "remove": v1.MemberRemoved,
}
_LONGEST_SEARCH = 100


@dataclass(frozen=True)
class _Row:
    member: Member
    name: str
    standing: Standing | None
    place: str


async def _list(visit: Visit) -> Response:
    standings, trouble = await _standings(visit)
    names = visit.desk.names()
    wanted = visit.request.query_params.get("q", "")[:_LONGEST_SEARCH]
    folded = wanted.strip().casefold()
    rows = [
        _Row(each, names.get(each.id, ""), standings.get(each.id), _place(standings.get(each.id)))
        for each in visit.roster.members.values()
    ]
    rows = [row for row in rows if not folded or folded in row.name.casefold() or _is(row.member, folded)]
    rows.sort(key=lambda row: (row.name.casefold() or "\uffff", row.member.id))
    told = notices(visit.roster, standings, names, now=visit.now)
    return visit.page(
        "members.html",
        groups=[(state, _GROUPS[state], [row for row in rows if row.member.state is state]) for state in MemberState],
        wrong={each.member for each in told if each.member is not None},
        wanted=wanted,
        trouble=trouble,
        quota=visit.roster.policy.mailbox_quota,
    )


async def _show(visit: Visit) -> Response:
    member = member_of(visit)
    standings, trouble = await _standings(visit)
    standing = standings.get(member.id)
    names = visit.desk.names()
    told = notices(visit.roster, standings, names, now=visit.now)
    knowing = await knowing_of(visit, visit.desk.log.size) if trouble is None else None
    return visit.page(
        "member.html",
        member=member,
        name=names.get(member.id) or member.id.short,
        state=_STATES[member.state],
        standing=standing,
        profile=standing.profile if standing is not None else None,
        place=_place(standing),
        notices=[each for each in told if each.member == member.id],
        words=await asyncio.to_thread(words_of, member.identity),
        history=list(told_all(visit.desk.log.entries, about=member.id)),
        names=names,
        quota=visit.roster.policy.mailbox_quota,
        trouble=trouble,
        connected=knowing.connected.get(member.id, False) if knowing is not None else None,
        heard=knowing.heard.get(member.id) if knowing is not None else None,
    )


async def _change(visit: Visit, form: FormData) -> Response:
    """To the page that shows what would be signed."""
    member = member_of(visit)
    kind = _CHANGES.get(str(form.get("do", "")))
    if kind is None:
        raise InvalidInput(field="do", problem=N_("choose one of those that are offered"))
    return await lead_to_signing(visit, about_member(kind, member.id, visit.roster, visit.now))


async def _standings(visit: Visit) -> tuple[Mapping[MemberId, Standing], tuple[str, str] | None]:
    """What the directory tells, or why it does not."""
    if visit.desk.trouble is not None:
        return {}, translate(visit.desk.trouble, visit.language)
    try:
        return await visit.desk.standings(), None
    except CordeeError as failed:
        return {}, translate(failed, visit.language)


def member_of(visit: Visit) -> Member:
    """Whom the address names. Raises: NotFound."""
    try:
        found = visit.roster.members.get(MemberId(bytes.fromhex(str(visit.request.path_params["member"]))))
    except (ValueError, MalformedStatement):
        found = None
    if found is None:
        raise NotFound(what=N_("member"))
    return found


def _is(member: Member, wanted: str) -> bool:
    return len(wanted) >= 4 and member.id.hex().startswith(wanted)


def _place(standing: Standing | None) -> str:
    profile = standing.profile if standing is not None else None
    if profile is None:
        return ""
    return f"{profile.commune} ({profile.departement})" if profile.commune else departement_name(profile.departement)


PAGES: Final = (
    Page("members", "/members", get=_list),
    Page("member", "/members/{member:str}", get=_show),
    Page("member_change", "/members/{member:str}/change", post=_change),
)
