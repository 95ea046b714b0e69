"""What an association says of itself, edited by its administrator and published as a new card.

Free places and whether a service takes anybody in are told elsewhere, in two clicks (`node.capacity`): what is edited
here keeps them as they stand when it is published. Legal name and number are what the network's administrators
admitted: a profile that bears others is refused by everybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from cordee.errors import N_, InvalidInput, InvalidRecord
from cordee.jsonform import canonical
from cordee.profile import Profile
from node import journal
from node.people import Role

if TYPE_CHECKING:
    from node.app import Node
    from node.people import Handler

__all__ = ["base_of", "changes", "checked", "history", "is_corrected", "present", "publish"]

_TOLD_ELSEWHERE = ("intake_status", "intake_told_at")
_TOLD_OF_PLACES = ("places_available", "places_occupied", "updated_at")
_TIMES = frozenset({"updated_at", "intake_told_at"})
_LONGEST_FACT = 200  # characters that the journal takes of one fact


def present(node: Node) -> dict[str, Any]:
    """The profile that everybody reads now. Raises CardExpired."""
    document: dict[str, Any] = json.loads(node.roster.card(node.member, now=node.clock.now()).profile_bytes)
    return document


def base_of(document: Mapping[str, Any]) -> str:
    """What an edit starts from: a digest of all but what is told elsewhere meanwhile."""
    plain = json.loads(canonical(document))
    plain.pop("updated_at", None)
    for service in plain["services"]:
        _drop(service, _TOLD_ELSEWHERE)
        _drop(service.get("shelter") or {}, _TOLD_OF_PLACES)
    return hashlib.blake2b(canonical(plain), digest_size=16).hexdigest()


def is_corrected(node: Node) -> bool:
    """The network's administrators corrected name or number, and what everybody reads still bears the old ones."""
    known = node.roster.card(node.member, now=node.clock.now()).profile_bytes
    try:
        Profile.parse(known, node.roster.roster.members[node.member].registration)
    except InvalidRecord:
        return True
    return False


def checked(node: Node, document: Mapping[str, Any]) -> Profile:
    """The profile as everybody will read it. Raises InvalidRecord with every place that will not do."""
    registrations = node.roster.roster.members[node.member].registrations
    return Profile.parse(canonical(document), *registrations)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The paths of what differs, as labels know them, each once, in order; of services without saying which."""
    found: dict[str, None] = {}
    known = {each["service_id"]: each for each in before["services"]}
    for name in sorted({*before, *after} - {"services"} - _TIMES):
        found.update(dict.fromkeys(_differing(name, before.get(name), after.get(name))))
    for service in after["services"]:
        old = known.pop(service["service_id"], None)
        if old is None:
            found["services"] = None
            continue
        for name in sorted({*old, *service} - _TIMES):
            found.update(dict.fromkeys(_differing(f"services.{name}", old.get(name), service.get(name))))
    if known:
        found["services"] = None
    return list(found)


async def publish(node: Node, handler: Handler, document: Mapping[str, Any], *, base: str) -> int:
    """Publish it as a new card; the card's number. `base`: of the profile that the edit started from.

    Raises: RoleMissing; InvalidRecord; InvalidInput where another was published meanwhile, or nothing differs;
    Unreachable, CardRefused, CardExpired, and nothing has changed then.
    """
    handler.require(Role.ADMINISTRATOR)
    now, before = node.clock.now(), present(node)
    if base_of(before) != base:
        raise InvalidInput(field=N_("profile"), problem=N_("another one was published meanwhile"))
    after = _with_what_is_told(document, before)
    changed = changes(before, after)
    if not changed:
        raise InvalidInput(field=N_("profile"), problem=N_("nothing in it is new"))
    after["updated_at"] = now.isoformat(timespec="seconds")
    checked(node, after)
    number = await node.publishing.publish(canonical(after), by=handler.account_id)
    facts = {"number": str(number), "fields": _told(changed)}

    def note(tx: Connection) -> None:
        journal.append(tx, now=now, actor=handler.account_id, action="profile.published", subject="", facts=facts)

    await node.db.write(note)
    return number


def history(tx: Connection, *, limit: int) -> list[journal.JournalEntry]:
    """The last cards and profiles that this node published, newest first."""
    lines = [
        *journal.latest(tx, action="card.published", limit=limit),
        *journal.latest(tx, action="profile.published", limit=limit),
    ]
    return sorted(lines, key=lambda each: each.line, reverse=True)[:limit]


def _with_what_is_told(document: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The edit, with the capacities as they stand now; no more places free than there are."""
    after: dict[str, Any] = json.loads(canonical(document))
    # What a service said of its intake stays as old as it is, whatever else is edited.
    known = {each["service_id"]: {"intake_told_at": before["updated_at"], **each} for each in before["services"]}
    for service in after["services"]:
        old = known.get(service["service_id"], {})
        _keep(service, old, _TOLD_ELSEWHERE)
        shelter = service.get("shelter")
        if shelter and old.get("shelter"):
            _keep(shelter, old["shelter"], _TOLD_OF_PLACES)
            most = max(0, shelter["places_total"] - shelter["places_closed"])
            shelter["places_available"] = min(shelter["places_available"], most)
            shelter["places_occupied"] = most - shelter["places_available"]
    return after


def _told(changed: Iterable[str]) -> str:
    """As many of them as one fact of the journal holds."""
    told = ""
    for each in changed:
        longer = f"{told},{each}" if told else each
        if len(longer) > _LONGEST_FACT:
            break
        told = longer
    return told


def _keep(new: dict[str, Any], old: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in old:
            new[name] = old[name]


def _drop(document: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        document.pop(name, None)


def _differing(path: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new} - _TIMES):
            yield from _differing(f"{path}.{name}", old.get(name), new.get(name))
        return
    yield path
