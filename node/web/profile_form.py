"""What an association says of itself as a form, and the form back into its profile.

What a form does not hold stays as it was: ids, free places, keys of one's own. Labels and lists are those of
`cordee.case.labels`; errors come back beside the field that they are about.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.datastructures import FormData

from cordee.case.labels import field_label, value_label, values_of
from cordee.errors import N_, Problem
from cordee.profile import departement_name
from node.web.forms import Entry, Field

__all__ = ["association_fields", "document_from", "problems_on_page", "service_entries"]

_MANY_SERVICES = 30
_LONG = 10_000
_NUMBER = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True)
class _Ask:
    """One field of the form: where it stands in the document, and how it is asked."""

    path: str  # below the profile, or below a service
    kind: str  # as `node.web.forms.Field` has them, and "codes": départements on one line
    needed: bool = False
    longest: int = 300
    hint: str | None = None
    shelter: bool = False  # only of a service with beds


_LEGAL_NAME: Final = _Ask("legal_name", "text", needed=True, hint=N_("As it was told to the network’s administrators."))
_ASSOCIATION: Final = (
    _Ask("display_name", "text", needed=True, longest=150),
    _Ask("legal_form", "choice"),
    _Ask("siret", "text", longest=14, hint=N_("14 digits, without spaces.")),
    _Ask("rna", "text", longest=20, hint=N_("W and nine digits; none in Alsace-Moselle.")),
    _Ask("finess_et", "text", longest=9, hint=N_("Nine characters, of the establishment.")),
    _Ask("habilitations", "several"),
    _Ask("professional_secrecy.bound", "yes"),
    _Ask("professional_secrecy.ground", "radio", needed=True),
    _Ask("professional_secrecy.volunteers_may_see_cases", "yes"),
    _Ask("head_office.departement", "choice", needed=True),
    _Ask("head_office.commune", "text", longest=100),
    _Ask("public_contact.phone", "text", longest=16, hint=N_("As +33123456789, without spaces.")),
    _Ask("public_contact.email", "text", longest=254),
    _Ask("public_contact.website", "text"),
)
_SERVICE: Final = (
    _Ask("name", "text", needed=True, longest=150),
    _Ask("description", "lines", longest=_LONG, hint=N_("Never the address of a shelter.")),
    _Ask("specialities", "several", needed=True),
    _Ask("age_min", "number", needed=True, longest=3),
    _Ask("age_max", "number", needed=True, longest=3),
    _Ask("genders_accepted", "several"),
    _Ask("languages", "codes", hint=N_("Codes with spaces between: fr en ar.")),
    _Ask("interpreter_on_request", "yes"),
    _Ask("territory.scope", "radio", needed=True),
    _Ask("territory.departements", "codes", longest=600, hint=N_("Numbers with spaces between: 13 2A 971.")),
    _Ask("territory.accepts_from_elsewhere", "yes"),
    _Ask("modes", "several"),
    _Ask("opening_hours", "text"),
    _Ask("emergency_24_7", "yes"),
    _Ask("accepts_same_day", "yes"),
    _Ask("accepts_runaways", "yes"),
    _Ask("can_do_accueil_72h", "yes"),
    _Ask("needs_ase_agreement", "yes"),
    _Ask("needs_parental_agreement", "yes"),
    _Ask("waiting_days", "number", longest=4),
    _Ask("intake_note", "text"),
    _Ask("cost", "radio"),
    _Ask("shelter.places_total", "number", longest=4, shelter=True),
    _Ask("shelter.places_closed", "number", longest=4, shelter=True),
    _Ask("shelter.minimum_distance_rule", "radio", shelter=True),
)
_NEEDED_FLAGS: Final = ("emergency_24_7", "accepts_runaways")


def association_fields(document: Mapping[str, Any], *, corrected: bool = False) -> tuple[Field, ...]:
    """The fields of the association itself; its legal name too where the network's administrators corrected it."""
    asked = (_LEGAL_NAME, *_ASSOCIATION) if corrected else _ASSOCIATION
    return tuple(_field(ask, document, "profile", "profile", "") for ask in asked)


def service_entries(document: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The services, and an empty one to fill."""
    services = document["services"]
    kept = [_entry(str(index), each, f"profile.services[{index}]") for index, each in enumerate(services)]
    return (*kept, _entry("new", {}, "profile.services[new]"))


def document_from(
    before: Mapping[str, Any], form: FormData, *, now: datetime, random: Callable[[int], bytes]
) -> dict[str, Any]:
    """The profile as the form says it. Nothing is checked here: the profile's own rules judge the whole."""
    after = copy.deepcopy(dict(before))
    for ask in (_LEGAL_NAME, *_ASSOCIATION):
        _take(ask, after, form, ask.path)
    office = after.get("head_office", {})
    if "departement_name" in office:
        office["departement_name"] = departement_name(str(office.get("departement", "")))
    services = []
    for index, service in enumerate(before["services"][:_MANY_SERVICES]):
        if form.get(f"services.{index}:remove") != "on":
            services.append(_service(copy.deepcopy(service), form, f"services.{index}.", now))
    fresh = _service({}, form, "services.new.", now)
    if any(fresh.get(name) for name in ("name", "description", "specialities")) and len(services) < _MANY_SERVICES:
        services.append({"service_id": str(uuid.UUID(bytes=random(16), version=4)), "intake_status": "open", **fresh})
    after["services"] = services
    return after


def problems_on_page(problems: Sequence[Problem], kept: int, *, corrected: bool = False) -> list[Problem]:
    """The profile's problems at the places of this page; `kept`: services before the one that was added.

    `corrected`: the legal name is asked for too.
    """
    found = []
    for each in problems:
        path = each.path
        if path == "legal_name" and not corrected:
            path = "siret"  # the name is not asked for here; the numbers beside it are
        path = path.replace(f"services[{kept}]", "services[new]")
        found.append(Problem(f"profile.{path}", each.problem, each.facts))
    return found


def _entry(key: str, service: Mapping[str, Any], place: str) -> Entry:
    asked = [ask for ask in _SERVICE if not ask.shelter or key == "new" or service.get("shelter")]
    return Entry(key, tuple(_field(ask, service, "profile.services", place, f"services.{key}.") for ask in asked))


def _field(ask: _Ask, document: Mapping[str, Any], path: str, place: str, prefix: str) -> Field:
    own, value = f"{path}.{ask.path}", _read(document, ask.path)
    choices: tuple[tuple[str, str], ...] = ()
    if ask.kind in ("choice", "radio", "several"):
        choices = tuple((code, value_label(own, code)) for code in values_of(own))
    if ask.kind == "codes":
        value = " ".join(value) if isinstance(value, list) else value
    return Field(
        path=own,
        place=f"{place}.{ask.path}",
        name=prefix + ask.path,
        label=field_label(own),
        kind="text" if ask.kind == "codes" else ask.kind,
        value=value,
        choices=choices,
        hint=ask.hint,
        needed=ask.needed,
        longest=ask.longest,
    )


def _service(service: dict[str, Any], form: FormData, prefix: str, now: datetime) -> dict[str, Any]:
    beds = bool(service.get("shelter")) or bool(str(form.get(f"{prefix}shelter.places_total", "")).strip())
    for ask in _SERVICE:
        if not ask.shelter or beds:
            _take(ask, service, form, prefix + ask.path)
    if f"{prefix}emergency_24_7:there" in form:
        for name in _NEEDED_FLAGS:
            service.setdefault(name, False)
        for name in ("genders_accepted", "languages", "modes"):
            service.setdefault(name, [])
        territory = service.setdefault("territory", {})
        territory.setdefault("departements", [])
        territory.setdefault("accepts_from_elsewhere", False)
    if beds:
        _complete(service["shelter"], now)
    return service


def _complete(shelter: dict[str, Any], now: datetime) -> None:
    """A shelter that is new has all its places taken until somebody says that there are free ones."""
    shelter.setdefault("places_closed", 0)
    total, closed = shelter.get("places_total"), shelter["places_closed"]
    if "places_available" not in shelter and isinstance(total, int) and isinstance(closed, int):
        shelter.update(places_available=0, places_occupied=max(0, total - closed))
    shelter.setdefault("updated_at", now.isoformat(timespec="seconds"))
    shelter["address_confidential"] = True


def _take(ask: _Ask, document: dict[str, Any], form: FormData, name: str) -> None:
    if f"{name}:there" not in form:
        return
    *above, last = ask.path.split(".")
    value = _value(ask, form, name)
    nothing = value in (None, "", [])
    inside = document
    for each in above:
        if not isinstance(inside.get(each), dict):
            if nothing or (value is False):
                return
            inside[each] = {}
        inside = inside[each]
    if value == inside.get(last) or _means_the_same(value, inside.get(last)):
        return
    if nothing and not (isinstance(value, list) and last in inside):
        inside.pop(last, None)
    elif value is not False or last in inside:
        inside[last] = value


def _means_the_same(value: Any, before: Any) -> bool:
    """Boxes know no order; nothing typed is nothing kept."""
    if isinstance(value, list) and isinstance(before, list):
        return sorted(map(str, value)) == sorted(map(str, before))
    return value in (None, "") and before is None


def _value(ask: _Ask, form: FormData, name: str) -> Any:
    if ask.kind == "several":
        chosen: Collection[str] = {str(each) for each in form.getlist(name)}
        return [each for each in values_of(_label_path(ask)) if each in chosen]
    typed = str(form.get(name, "")).replace("\r\n", "\n").strip()[: _LONG * 2]
    if ask.kind == "yes":
        return typed == "on"
    if ask.kind == "number":
        return int(typed) if _NUMBER.fullmatch(typed) else typed
    if ask.kind == "codes":
        codes = [each for each in re.split(r"[\s,;]+", typed) if each]
        return list(dict.fromkeys(each.lower() if ask.path == "languages" else each.upper() for each in codes))
    return typed


def _label_path(ask: _Ask) -> str:
    return f"profile.services.{ask.path}" if ask in _SERVICE else f"profile.{ask.path}"


def _read(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for each in path.split("."):
        value = value.get(each) if isinstance(value, Mapping) else None
    return value
