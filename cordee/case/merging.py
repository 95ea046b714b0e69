"""Two records of one case: what the other association wrote, and what becomes of a record that comes back.

Nothing that was written here is lost: the node keeps what came, or what stood here before, beside the record.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from cordee.case.form import LIST_SECTIONS
from cordee.case.record import CASE_LIMIT, Case, case_of
from cordee.errors import N_, InvalidRecord
from cordee.jsonform import canonical

__all__ = ["come_back", "told_of", "with_entries"]

_IDS: Final[Mapping[str, str]] = {
    "actions": "action_id",
    "attachments": "attachment_id",
    "family": "person_id",
    "online_traces": "trace_id",
}
_OF_THE_CASE: Final = ("status", "opened_on", "closed_on", "closure_reason", "updated_at")
"""What the other association's `meta` tells of its own follow-up."""


def told_of(came: Case, sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sections as the other association wrote them, to be kept beside the record here.

    `came` is `received_case` of the `sections` of a shipment. Of `meta`, what tells of the follow-up there stays.

    Raises: InvalidRecord where that part of `meta` breaks the schema.
    """
    told = {name: came.section(name) for name in sections if name != "meta"}
    theirs = sections.get("meta", {})
    meta = {key: theirs[key] for key in _OF_THE_CASE if key in theirs}
    if meta:
        case_of({"meta": came.section("meta") | meta})
        told["meta"] = meta
    return told


def come_back(here: Case, came: Case, sections: Collection[str]) -> Case:
    """The record of a case that was handed over and comes back to its former holder.

    The other association held it meanwhile and wrote what is newest. Of the `sections` that came, one that is an
    object takes the place of ours; a list is joined entry by entry, an entry of theirs in the place of ours with the
    same id. What did not come stays as it is, and so do our own references in `meta`.

    Raises: InvalidRecord, also where the two together are too long.
    """
    document = here.to_dict()
    for name in sections:
        if name == "attachments":
            # The same file under the same id; ours says more of it.
            document[name] = _joined(document.get(name, []), came.section(name) or [], _IDS[name], replace=False)
        elif name in LIST_SECTIONS:
            document[name] = _joined(document.get(name, []), came.section(name) or [], _IDS.get(name))
        elif name != "meta":
            document[name] = came.section(name)
    meta = {key: value for key, value in document["meta"].items() if key not in ("closed_on", "closure_reason")}
    new = came.section("meta")
    taken = ("status", "received_from_org_id", "received_transfer_id", "updated_at")
    document["meta"] = meta | {key: new[key] for key in taken} | {"version": meta["version"] + 1}
    return _within_limit(document)


def with_entries(here: Case, section: str, entries: Iterable[Mapping[str, Any]]) -> Case:
    """The record with these entries at the end of a list section. Raises: InvalidRecord."""
    document = here.to_dict()
    document[section] = [*document.get(section, []), *copy.deepcopy(list(entries))]
    return _within_limit(document)


def _joined(ours: list[Any], theirs: list[Any], key: str | None, *, replace: bool = True) -> list[Any]:
    """Both lists, ours first. Of two entries with the same id theirs stands, in the place of ours, or with `replace`
    off ours; without an id, entries that are equal stand once.
    """
    entries: dict[bytes, Any] = {}
    for entry in ours:
        entries[_name(entry, key)] = entry
    for entry in theirs:
        if replace or _name(entry, key) not in entries:
            entries[_name(entry, key)] = entry
    return list(entries.values())


def _name(entry: Mapping[str, Any], key: str | None) -> bytes:
    return str(entry[key]).encode() if key and key in entry else canonical(entry)


def _within_limit(document: dict[str, Any]) -> Case:
    if len(canonical(document)) > CASE_LIMIT:
        raise InvalidRecord(path=N_("the case"), problem=N_("longer than {limit} bytes"), limit=CASE_LIMIT)
    return case_of(document)
