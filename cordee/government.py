"""Entries about the network's government: one chain from the genesis on, signed by the administrators (protocol §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

from cordee.entry_checks import Rule, Step, check_place, grown, new_key, require, statement_of
from cordee.ids import Digest, KeyId
from cordee.members import AuthorityTrust, Roster
from cordee.policy import MAX_ADMINISTRATORS, Policy
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["MAX_OVERLAP", "govern", "is_government"]

MAX_OVERLAP = timedelta(days=400)
"""How long a CA that was replaced may be trusted: leaves live for 90 days."""

_Change = Callable[[Step], dict[str, Any]]


def _add_administrator(step: Step) -> dict[str, Any]:
    roster = step.roster
    require(len(roster.administrators) < MAX_ADMINISTRATORS, Rule.TOO_MANY_ADMINISTRATORS)
    key = new_key(roster, step.statement.key)
    return {
        "administrators": MappingProxyType({**roster.administrators, key.key_id: key}),
        "used_keys": roster.used_keys.with_item(key.key_id, None),
    }


def _remove_administrator(step: Step) -> dict[str, Any]:
    left = dict(step.roster.administrators)
    require(left.pop(KeyId(step.statement.administrator), None) is not None, Rule.NO_SUCH_ADMINISTRATOR)
    require(step.roster.policy.threshold <= len(left), Rule.THRESHOLD_OUT_OF_REACH)
    return {"administrators": MappingProxyType(left)}


def _change_policy(step: Step) -> dict[str, Any]:
    policy = Policy.from_message(step.statement.policy)
    require(policy.threshold <= len(step.roster.administrators), Rule.THRESHOLD_OUT_OF_REACH)
    # Else a recovery could be made sudden by two entries, and no member would have been warned.
    kept = policy.recovery_delay is not None or step.roster.policy.recovery_delay is None
    require(kept, Rule.DELAY_SWITCHED_OFF)
    return {"policy": policy}


def _rotate_directory_key(step: Step) -> dict[str, Any]:
    key = new_key(step.roster, step.statement.key)
    return {"directory_key": key, "used_keys": step.roster.used_keys.with_item(key.key_id, None)}


def _rotate_authority(step: Step) -> dict[str, Any]:
    digest = Digest(step.statement.certificate_digest)
    present, *former = step.roster.authorities
    require(all(each.digest != digest for each in step.roster.authorities), Rule.AUTHORITY_TAKEN)
    require(step.statement.HasField("old_end_time"), Rule.MALFORMED)
    until = moment_of(step.statement.old_end_time)
    require(step.time <= until and until - step.time <= MAX_OVERLAP, Rule.AUTHORITY_OVERLAP)
    still = [each for each in former if each.until is not None and each.until > step.time]
    return {"authorities": (AuthorityTrust(digest), replace(present, until=until), *still)}


_GOVERNMENT: Mapping[str, tuple[type[Message], _Change]] = {
    statement.DESCRIPTOR.full_name: (statement, change)
    for statement, change in (
        (v1.AdministratorAdded, _add_administrator),
        (v1.AdministratorRemoved, _remove_administrator),
        (v1.PolicyChanged, _change_policy),
        (v1.DirectoryKeyRotated, _rotate_directory_key),
        (v1.AuthorityRotated, _rotate_authority),
    )
}


def is_government(type_name: str) -> bool:
    """Whether an entry of this type is about the network's government."""
    return type_name in _GOVERNMENT


def govern(roster: Roster, entry: v1.Entry, latest: datetime | None) -> Roster:
    """The roster after an entry for which `is_government` holds.

    Raises: Breach, MalformedStatement, MalformedKey, BadSignature.
    """
    statement, change = _GOVERNMENT[entry.type]
    step = check_place(
        roster,
        entry,
        statement_of(entry, statement),
        signers=roster.administrators,
        at_least=roster.policy.threshold,
        previous=roster.last_governance_entry,
        not_before=roster.last_governance_time,
        latest=latest,
    )
    return grown(step, last_governance_entry=step.digest, last_governance_time=step.time, **change(step))
