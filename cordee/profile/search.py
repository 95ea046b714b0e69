"""Who can help, tonight or this week, for this minor? A search over this node's own copy of all profiles (domain §3.1).

Nobody learns what was searched for: it is a function over what is here. What a service says it cannot do excludes it;
what makes it less likely to help (far, limited, not heard of lately) puts it lower and is told as a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cordee.profile.entry import Profile, Service

__all__ = ["Match", "Query", "search"]

SHELTER_STALE: Final = timedelta(hours=24)
"""Places told longer ago than this look stale."""

OTHERS_STALE: Final = timedelta(days=30)
"""What services without places say looks stale after this."""

UNVERIFIED: Final = timedelta(days=183)
"""Entries that nobody verified for this long sink."""

_NO_WAITING_TOLD: Final = 10_000  # days: after every waiting time that was told


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; what is left out does not matter. It says nothing of any case."""

    speciality: str | None = None
    departement: str | None = None
    far_from: tuple[str, ...] = ()
    age: int | None = None
    gender: str | None = None
    language: str | None = None
    tonight: bool = False
    runaways: bool = False
    free_places: bool = False
    authority_type: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """One association that may help, by its best service.

    Reasons are codes. For it: `speciality`, `in_departement`, `national`, `from_elsewhere`, `far`, `age`, `gender`,
    `language`, `interpreter`, `open_24_7`, `same_day`, `runaways`, `free_places`. Against it: `stale`, `unverified`,
    `intake_limited`, `intake_closed`.
    """

    profile: Profile
    service: Service
    reasons: tuple[str, ...]
    capacity_age: timedelta  # since its places, or else its entry, were last told
    stale: bool


def search(profiles: Iterable[Profile], query: Query, now: datetime) -> list[Match]:
    """Every profile with a service that fits, best first; the order depends on nothing but the profiles."""
    found = []
    for profile in profiles:
        if _excluded(profile, query):
            continue
        matches = [match for service in profile.services if (match := _match(profile, service, query, now))]
        if matches:
            found.append(min(matches, key=_rank))
    return sorted(found, key=_rank)


def _excluded(profile: Profile, query: Query) -> bool:
    if query.authority_type is not None and profile.authority_type != query.authority_type:
        return True
    return profile.departement in query.far_from


def _match(profile: Profile, service: Service, query: Query, now: datetime) -> Match | None:
    reasons = []
    for test in _TESTS:
        reason = test(service, query)
        if reason is None:
            return None
        reasons.append(reason)
    if query.far_from:
        reasons.append("far")
    age = _capacity_age(profile, service, now)
    stale = age > (SHELTER_STALE if service.shelter else OTHERS_STALE)
    against = {
        "stale": stale,
        "unverified": _unverified(profile, now),
        "intake_limited": service.intake_status == "limited",
        "intake_closed": service.intake_status == "closed",
    }
    told = [reason for reason in reasons if reason] + [reason for reason, holds in against.items() if holds]
    return Match(profile=profile, service=service, reasons=tuple(told), capacity_age=age, stale=stale)


def _capacity_age(profile: Profile, service: Service, now: datetime) -> timedelta:
    told = service.shelter.updated_at if service.shelter else service.intake_told_at or profile.updated_at
    return max(now - told, timedelta())  # their clock may be ahead


def _unverified(profile: Profile, now: datetime) -> bool:
    return profile.last_verified_on is None or now.date() - profile.last_verified_on > UNVERIFIED


def _rank(match: Match) -> tuple[object, ...]:
    """Smaller is better."""
    service, reasons = match.service, set(match.reasons)
    places = service.shelter.places_available if service.shelter else 0
    return (
        "intake_closed" in reasons,
        "unverified" in reasons,
        match.stale,
        _nearness(reasons),
        "interpreter" in reasons,
        "intake_limited" in reasons,
        "free_places" in reasons and -places,
        _NO_WAITING_TOLD if service.waiting_days is None else service.waiting_days,
        match.capacity_age,
        match.profile.display_name.casefold(),
        match.profile.org_id,
        service.service_id,
    )


def _nearness(reasons: set[str]) -> int:
    return next(
        (rank for rank, code in enumerate(("in_departement", "national", "from_elsewhere")) if code in reasons), 0
    )


# ---- tests: None excludes the service, a text is a reason for it, "" says nothing ----


def _speciality(service: Service, query: Query) -> str | None:
    if query.speciality is None:
        return ""
    return "speciality" if query.speciality in service.specialities else None


def _territory(service: Service, query: Query) -> str | None:
    if query.departement is None:
        return ""
    if query.departement in service.departements:
        return "in_departement"
    if service.national:
        return "national"
    return "from_elsewhere" if service.accepts_from_elsewhere else None


def _age(service: Service, query: Query) -> str | None:
    if query.age is None:
        return ""
    return "age" if service.age_min <= query.age <= service.age_max else None


def _gender(service: Service, query: Query) -> str | None:
    if query.gender is None:
        return ""
    return "gender" if query.gender in service.genders_accepted else None


def _language(service: Service, query: Query) -> str | None:
    if query.language is None:
        return ""
    if query.language.partition("-")[0] in service.languages:  # a record may say pt-BR, profiles say pt
        return "language"
    return "interpreter" if service.interpreter_on_request else None


def _tonight(service: Service, query: Query) -> str | None:
    if not query.tonight:
        return ""
    if service.intake_status == "closed":
        return None
    if service.emergency_24_7:
        return "open_24_7"
    return "same_day" if service.accepts_same_day else None


def _runaways(service: Service, query: Query) -> str | None:
    if not query.runaways:
        return ""
    return "runaways" if service.accepts_runaways else None


def _free_places(service: Service, query: Query) -> str | None:
    if not query.free_places:
        return ""
    return "free_places" if service.shelter and service.shelter.places_available > 0 else None


_TESTS: Final[tuple[Callable[[Service, Query], str | None], ...]] = (
    _speciality,
    _territory,
    _age,
    _gender,
    _language,
    _tonight,
    _runaways,
    _free_places,
)
