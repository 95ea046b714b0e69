"""A member's profile: names, services, places, secrecy. Published to the members; never the address of a shelter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from cordee.errors import N_, InvalidInput, InvalidRecord
from cordee.ids import Digest
from cordee.jsonform import Form, load_json, package_data
from cordee.members import registration_digest
from cordee.profile.numbers import has_rna_form, is_siren, is_siret

__all__ = ["PROFILE_LIMIT", "Profile", "Service", "Shelter", "departement_name"]

PROFILE_LIMIT: Final = 64 * 1024
"""Bytes of one profile."""

_FORM: Final = Form(package_data("directory_entry.schema.json"))
_DEPARTEMENTS: Final[Mapping[str, str]] = package_data("departements.json")


def departement_name(code: str) -> str:
    """The name of a département by its code; the code itself for `abroad` and `unknown`."""
    return _DEPARTEMENTS.get(code, code)


@dataclass(frozen=True, slots=True)
class Shelter:
    """The places of a shelter, as they were last told."""

    places_available: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Service:
    """One service of an establishment."""

    service_id: str
    name: str
    specialities: frozenset[str]
    age_min: int  # years, both ends included
    age_max: int
    genders_accepted: frozenset[str]
    languages: frozenset[str]
    interpreter_on_request: bool
    national: bool
    departements: frozenset[str]
    accepts_from_elsewhere: bool
    emergency_24_7: bool
    accepts_same_day: bool
    accepts_runaways: bool
    can_do_accueil_72h: bool
    intake_status: str  # open, limited or closed
    waiting_days: int | None
    shelter: Shelter | None
    intake_told_at: datetime | None = None
    """When it was last said whether it takes anybody in; None in a profile that does not tell it apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One establishment as it describes itself. Two profiles are never equal but to themselves."""

    data: bytes
    org_id: str
    kind: str
    authority_type: str
    display_name: str
    legal_name: str
    registration_number: str  # SIRET, else RNA, else FINESS
    commune: str  # may be empty
    departement: str
    professional_secrecy: bool  # as it says itself; the roster tells what the administrators checked
    services: tuple[Service, ...]
    last_verified_on: date | None
    updated_at: datetime
    warnings: tuple[str, ...]  # codes: siret_checksum, siren_checksum, siren_mismatch, rna_form

    @classmethod
    def parse(cls, data: bytes, *registrations: Digest) -> Profile:
        """Check a profile: 64 KiB at most, its schema, and that it is the association that was admitted.

        `registrations` stand in the roster log: digests of legal name and SIRET, RNA or FINESS, the present one and
        those before its corrections, of which the profile must bear one. A number whose check digits are wrong is a
        warning and no refusal: official examples have such numbers.

        Raises: InvalidRecord, without values.
        """
        document = load_json(data, limit=PROFILE_LIMIT, what=N_("the profile"))
        _FORM.check(document)
        numbers = [document[key] for key in ("siret", "rna", "finess_et") if document.get(key)]
        if not any(_is_registered(document["legal_name"], number, registrations) for number in numbers):
            raise InvalidRecord(path="legal_name", problem=N_("name and number are not those that were registered"))
        office = document["head_office"]
        return cls(
            data=data,
            org_id=document["org_id"],
            kind=document["kind"],
            authority_type=document["authority_type"],
            display_name=document["display_name"],
            legal_name=document["legal_name"],
            registration_number=numbers[0],
            commune=office.get("commune") or "",
            departement=office["departement"],
            professional_secrecy=document["professional_secrecy"]["bound"],
            services=tuple(_service(each) for each in document["services"]),
            last_verified_on=_day(document.get("last_verified_on"), "last_verified_on"),
            updated_at=_moment(document["updated_at"], "updated_at"),
            warnings=tuple(_warnings(document)),
        )

    def __repr__(self) -> str:
        return f"Profile({self.org_id})"

    @property
    def departement_name(self) -> str:
        """For people."""
        return departement_name(self.departement)

    @property
    def specialities(self) -> frozenset[str]:
        """What all its services together offer."""
        return frozenset().union(*(service.specialities for service in self.services))

    @property
    def categories(self) -> frozenset[str]:
        """The categories by which an act may name it: specialities, type of authority, kind of organisation."""
        return self.specialities | {self.authority_type, self.kind}

    def to_bytes(self) -> bytes:
        """The bytes that were published; their digest stands on the card."""
        return self.data


def _is_registered(legal_name: str, number: str, registrations: tuple[Digest, ...]) -> bool:
    try:
        return registration_digest(legal_name, number) in registrations
    except InvalidInput:  # nothing is left of name or number
        return False


def _warnings(document: Mapping[str, Any]) -> Iterator[str]:
    siret, siren, rna = (document.get(key) or "" for key in ("siret", "siren", "rna"))
    if siret and not is_siret(siret):
        yield "siret_checksum"
    if (siren or siret) and not is_siren(siren or siret[:9]):
        yield "siren_checksum"
    if siret and siren and siret[:9] != siren:
        yield "siren_mismatch"
    if rna and not has_rna_form(rna):
        yield "rna_form"


def _service(document: Mapping[str, Any]) -> Service:
    territory, shelter, told = document["territory"], document.get("shelter"), document.get("intake_told_at")
    return Service(
        service_id=document["service_id"],
        name=document["name"],
        specialities=frozenset(document["specialities"]),
        age_min=document["age_min"],
        age_max=document["age_max"],
        genders_accepted=frozenset(document["genders_accepted"]),
        languages=frozenset(document["languages"]),
        interpreter_on_request=document.get("interpreter_on_request", False),
        national=territory["scope"] == "national",
        departements=frozenset(territory["departements"]),
        accepts_from_elsewhere=territory["accepts_from_elsewhere"],
        emergency_24_7=document["emergency_24_7"],
        accepts_same_day=document.get("accepts_same_day", False),
        accepts_runaways=document["accepts_runaways"],
        can_do_accueil_72h=document.get("can_do_accueil_72h", False),
        intake_status=document["intake_status"],
        waiting_days=document.get("waiting_days"),
        shelter=_shelter(shelter) if shelter else None,
        intake_told_at=_moment(told, "services.intake_told_at") if told else None,
    )


def _shelter(document: Mapping[str, Any]) -> Shelter:
    return Shelter(
        places_available=document["places_available"],
        updated_at=_moment(document["updated_at"], "services.shelter.updated_at"),
    )


def _day(text: str | None, path: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:  # the year 0
        raise InvalidRecord(path=path, problem=N_("is no day that can be")) from None


def _moment(text: str, path: str) -> datetime:
    """In UTC. RFC 3339 knows the year 0 and leap seconds, Python does not. Raises: InvalidRecord."""
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRecord(path=path, problem=N_("is no time that can be")) from None
