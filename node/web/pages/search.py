"""Who can help: the search over the members, and one association in words. Asked of this node's own copy alone."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from babel import Locale
from starlette.responses import Response

from cordee.errors import N_, MalformedStatement, NotFound
from cordee.ids import MemberId
from cordee.profile import Match, Profile, departement_name
from cordee.words import six_words
from node.roster_sync import MemberView
from node.web import france
from node.web.criteria import DEPARTEMENTS, GENDERS, SPECIALITIES, Criteria, Mistake, folded
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = [
    "PAGES",
    "Found",
    "facts_of",
    "found",
    "is_shelter",
    "languages_told",
    "member_of",
    "seats_of",
    "telephone_of",
]

STATES: Final[Mapping[str, str]] = {
    "active": N_("member of the network"),
    "suspended": N_("suspended: it cannot be chosen"),
    "removed": N_("no longer a member: it cannot be chosen"),
}
REASONS: Final[Mapping[str, str]] = {
    "speciality": N_("does what is needed"),
    "in_departement": N_("works in this département"),
    "national": N_("works everywhere in France"),
    "from_elsewhere": N_("takes people from elsewhere"),
    "far": N_("far from the départements to avoid"),
    "age": N_("takes this age"),
    "gender": N_("takes this gender"),
    "language": N_("speaks the language"),
    "interpreter": N_("has an interpreter on request"),
    "open_24_7": N_("open day and night"),
    "same_day": N_("takes in on the same day"),
    "runaways": N_("takes runaways"),
    "free_places": N_("has a free place"),
}
AGAINST: Final[Mapping[str, str]] = {
    "unverified": N_("its entry was not verified for six months"),
    "intake_limited": N_("takes in few people at present"),
    "intake_closed": N_("takes in nobody at present"),
}
_SHELTERS: Final = frozenset({"emergency_shelter", "secure_relocation_shelter"})


@dataclass(frozen=True, slots=True)
class Found:
    """One association that may help, as the list shows it."""

    id: str
    name: str
    place: str
    service: str
    for_it: tuple[str, ...]
    against: tuple[str, ...]
    places: int | None  # None: a service without places
    told: timedelta  # since when that stands
    stale: bool
    waiting_days: int | None


def found(visit: Visit, criteria: Criteria, avoided: Collection[str] = ()) -> tuple[list[Found], tuple[Mistake, ...]]:
    """Everybody who fits, best first, and what of the search could not be used."""
    query, mistakes = criteria.query(avoided)
    if mistakes:
        return [], mistakes
    wanted = folded(criteria.name)
    lines = [_found(member, match) for member, match in visit.node.roster.find(query)]
    return [each for each in lines if wanted in folded(each.name)], ()


def facts_of(
    visit: Visit, criteria: Criteria, lines: Collection[Found], departements: Collection[str]
) -> dict[str, Any]:
    """What the form of a search and its map need. `departements`: the one of each line."""
    counts = Counter(departements)
    return {
        "criteria": criteria,
        "specialities": SPECIALITIES,
        "genders": GENDERS,
        "departements": [(code, departement_name(code)) for code in DEPARTEMENTS],
        "languages": languages_told(visit),
        "found": lines,
        "away": [each for each in visit.node.roster.members() if each.state != "active"],
        "tiles": france.tiles(counts),
        "columns": france.COLUMNS,
        "rows": france.ROWS,
        "seats": [(code, departement_name(code), counts[code]) for code in sorted(counts)],
        "states": STATES,
    }


def languages_told(visit: Visit) -> list[tuple[str, str]]:
    """Every language that some member speaks, by its code and its name, in the order of the names."""
    spoken = {
        language
        for member in visit.node.roster.members()
        if member.profile
        for service in member.profile.services
        for language in service.languages
    }
    names = Locale.parse(visit.language).languages
    return sorted(((code, names.get(code, code)) for code in spoken), key=lambda each: folded(each[1]))


def is_shelter(member: MemberView) -> bool:
    """Whether it takes minors in: then its département is typed once more before a case is offered (domain W8)."""
    services = member.profile.services if member.profile else ()
    return any(each.shelter is not None or each.specialities & _SHELTERS for each in services)


def member_of(visit: Visit, member: MemberId) -> MemberView:
    """A member as the verified roster has it, in whatever state. Raises NotFound."""
    known = visit.node.roster.roster.members.get(member)
    if known is None:
        raise NotFound(what=N_("member"))
    return visit.node.roster.view(known)


def telephone_of(profile: Profile | None) -> str:
    """The number that an association publishes: in an emergency one calls first. Empty where it has none."""
    contact = json.loads(profile.to_bytes()).get("public_contact", {}) if profile else {}
    return str(contact.get("phone", ""))


def more_of(profile: Profile | None) -> dict[str, Any]:
    """What the page of an association shows of its profile beyond what searches use: contact, and by service."""
    document = json.loads(profile.to_bytes()) if profile else {}
    told = {each["service_id"]: each for each in document.get("services", ())}
    return {"profile": profile, "contact": document.get("public_contact", {}), "told": told}


def _found(member: MemberId, match: Match) -> Found:
    profile, service = match.profile, match.service
    return Found(
        id=member.hex(),
        name=profile.display_name,
        place=place_of(profile.commune, profile.departement),
        service=service.name,
        for_it=tuple(REASONS[each] for each in match.reasons if each in REASONS),
        against=tuple(AGAINST[each] for each in match.reasons if each in AGAINST),
        places=service.shelter.places_available if service.shelter else None,
        told=match.capacity_age,
        stale=match.stale,
        waiting_days=service.waiting_days,
    )


def place_of(commune: str, departement: str) -> str:
    name = f"{departement_name(departement)} ({departement})"
    return f"{commune}, {name}" if commune else name


async def _members(visit: Visit) -> Response:
    criteria = Criteria.read(visit.request.query_params)
    lines, mistakes = found(visit, criteria)
    seats = seats_of(visit, lines)
    own = member_of(visit, visit.node.member)
    facts = facts_of(visit, criteria, lines, seats)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK
    return page("members.html", visit.language, status=status, visit=visit, mistakes=mistakes, own=own, **facts)


def seats_of(visit: Visit, lines: Collection[Found]) -> list[str]:
    """The département in which each of them sits."""
    where = {each.member.hex(): each.departement for each in visit.node.roster.members()}
    return [where[each.id] for each in lines]


async def _member(visit: Visit) -> Response:
    try:
        wanted = MemberId(bytes.fromhex(str(visit.request.path_params["member"])))
    except (ValueError, MalformedStatement):
        raise NotFound(what=N_("member")) from None
    shown = member_of(visit, wanted)
    key = visit.node.roster.roster.members[wanted].identity
    words = await asyncio.to_thread(six_words, key)  # stretched: a tenth of a second and more
    return page(
        "member.html",
        visit.language,
        visit=visit,
        member=shown,
        telephone=telephone_of(shown.profile),
        **more_of(shown.profile),
        place=place_of(shown.commune, shown.departement) if shown.departement else "",
        ours=wanted == visit.node.member,
        words=words,
        states=STATES,
        now=visit.node.clock.now(),
        language_names=Locale.parse(visit.language).languages,
        departement_name=departement_name,
    )


PAGES = (
    Page("members", "/members", get=_members),
    Page("member", "/members/{member}", get=_member),
)
