"""How many places are free: what this association tells the network of itself, published at once as a new card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cordee.errors import N_, InvalidInput, NotFound
from cordee.jsonform import canonical
from cordee.profile import Profile

if TYPE_CHECKING:
    from node.app import Node
    from node.people import Handler

__all__ = ["INTAKE", "Offering", "offerings", "tell_intake", "tell_places", "with_intake", "with_places"]

INTAKE = ("open", "limited", "closed")


@dataclass(frozen=True)
class Offering:
    """One service of the association as it stands on its card."""

    service_id: str
    name: str
    intake: str  # open, limited or closed
    waiting_days: int | None
    places: int | None  # that could be free at most; None for a service without beds
    free: int | None
    told_at: datetime | None


def offerings(profile: Profile) -> list[Offering]:
    """The association's services, those with beds first."""
    found = []
    for each in json.loads(profile.to_bytes())["services"]:
        shelter = each.get("shelter")
        found.append(
            Offering(
                service_id=each["service_id"],
                name=each["name"],
                intake=each["intake_status"],
                waiting_days=each.get("waiting_days"),
                places=shelter["places_total"] - shelter["places_closed"] if shelter else None,
                free=shelter["places_available"] if shelter else None,
                told_at=datetime.fromisoformat(shelter["updated_at"].upper()) if shelter else None,
            )
        )
    return sorted(found, key=lambda each: each.places is None)


async def tell_places(node: Node, handler: Handler, service_id: str, free: int) -> None:
    """Say how many places are free now. Raises NotFound, InvalidInput; Unreachable, and nothing has changed then."""
    await _publish(node, handler, lambda profile, now: with_places(profile, service_id, free, now=now))


async def tell_intake(node: Node, handler: Handler, service_id: str, intake: str) -> None:
    """Say whether a service takes anybody in now. Raises as `tell_places`."""
    await _publish(node, handler, lambda profile, now: with_intake(profile, service_id, intake, now=now))


def with_places(profile: bytes, service_id: str, free: int, *, now: datetime) -> bytes:
    """A profile with another count of free places. Raises NotFound for a service without beds; InvalidInput."""
    document, service = _service(profile, service_id, now)
    shelter = service.get("shelter")
    if shelter is None:
        raise NotFound(what=N_("service"))
    most = max(0, shelter["places_total"] - shelter["places_closed"])
    if not 0 <= free <= most:
        raise InvalidInput(field=N_("places"), problem=N_("it is from 0 to {maximum}"), maximum=most)
    shelter.update(places_available=free, places_occupied=most - free, updated_at=_stamp(now))
    return canonical(document)


def with_intake(profile: bytes, service_id: str, intake: str, *, now: datetime) -> bytes:
    """A profile with another answer to whether a service takes in. Raises NotFound, InvalidInput."""
    document, service = _service(profile, service_id, now)
    if intake not in INTAKE:
        raise InvalidInput(field="intake", problem=N_("it must be one of {options}"), options=", ".join(INTAKE))
    service["intake_status"], service["intake_told_at"] = intake, _stamp(now)
    return canonical(document)


async def _publish(node: Node, handler: Handler, change: Callable[[bytes, datetime], bytes]) -> None:
    now = node.clock.now()
    known = node.roster.card(node.member, now=now)
    profile = change(known.profile_bytes, now)
    Profile.parse(profile, *node.roster.roster.members[node.member].registrations)  # as everybody else will read it
    await node.publishing.publish(profile, by=handler.account_id)


def _service(profile: bytes, service_id: str, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    document: dict[str, Any] = json.loads(profile)
    service = next((each for each in document["services"] if each["service_id"] == service_id), None)
    if service is None:
        raise NotFound(what=N_("service"))
    for each in document["services"]:  # what the others said of their intake stays as old as it is
        each.setdefault("intake_told_at", document["updated_at"])
    document["updated_at"] = _stamp(now)
    return document, service


def _stamp(now: datetime) -> str:
    return now.isoformat(timespec="seconds")
