"""What can be wrong in a statement's fields, one by one.

The rows are found by a field's place in the statement's descriptor: a new field, or a new statement's, has none until
they are written in `FIELDS`, and `test_wrong_entries.py` fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from cordee.entries import entry_digest, propose
from cordee.ids import MemberId
from cordee.policy import MAX_ADMINISTRATORS
from cordee.roster import Rule
from cordee.times import moment_of, timestamp_of
from cordee.v1 import statements_pb2 as v1
from tests.cordee.entry_rows import (
    GOVERNMENT,
    MEMBER_SIGNED,
    Draw,
    Good,
    Row,
    Wrong,
    copy_of,
    descriptor_of,
    flipped,
    flipping,
    good_entries,
    holder_of,
    leaves,
    of_entry,
    of_statement,
    other_length,
    setting,
    signed_by,
    strangers,
    world,
)
from tests.cordee.wrong_envelopes import form_rows, signature_rows
from tests.cordee.wrong_keys import key_part_rows, whole_rows
from tests.cordee.wrong_recoveries import recovery_rows


def _changed_after_signing(path: str, field: FieldDescriptor) -> Callable[[v1.Entry, Good, Draw], None]:
    """Another value, whatever it is, under the signatures of the first."""

    def change(entry: v1.Entry, good: Good, draw: Draw) -> None:
        statement = copy_of(good.statement)
        holder, name = holder_of(statement, path)
        value = getattr(holder, name)
        if isinstance(value, Message):
            value.seconds += draw(st.integers(1, 1000))  # type: ignore[attr-defined]
        elif isinstance(value, bytes):
            # Half of what one could flip an Ed25519 key to is no point of the curve: it becomes another's key.
            other = world().attacker.public.ed25519 if name == "ed25519" else flipped(value, draw)
            setattr(holder, name, other)
        elif isinstance(value, bool):
            setattr(holder, name, not value)
        elif isinstance(value, int):
            setattr(holder, name, value + draw(st.integers(1, 1000)))
        else:
            setattr(holder, name, value + draw(st.sampled_from("abc")))
        entry.body = statement.SerializeToString(deterministic=True)

    return change


READ_BEFORE_SIGNATURES = {
    ("IdentityRotated", "identity_key.ed25519"): Rule.UNKNOWN_SIGNER,
    ("IdentityRotated", "identity_key.mldsa65"): Rule.UNKNOWN_SIGNER,
    ("Genesis", "administrators.ed25519"): Rule.UNKNOWN_SIGNER,
    ("Genesis", "administrators.mldsa65"): Rule.UNKNOWN_SIGNER,
    **{
        (name, "member"): Rule.NO_SUCH_MEMBER
        for name in (
            "MemberSuspended",
            "MemberReinstated",
            "MemberRemoved",
            "MemberCorrected",
            "RecoveryAnnounced",
            "MemberRecovered",
            "IdentityRevoked",
            *MEMBER_SIGNED,
        )
    },
}
"""What says who may sign: where it is changed, the signers are no longer those."""

FREE = {
    ("MemberAdmitted", "bound_by_secrecy"),
    ("MemberCorrected", "bound_by_secrecy"),
    *(
        (name, f"policy.{row}")
        for name in ("Genesis", "PolicyChanged")
        for row in ("shared_secrecy_closed", "holders_alone_closed")
    ),
}
"""Fields of which every value is a good one, if it is signed."""


def network_rows(path: str) -> list[Row]:
    twin = setting(path, lambda: st.just(world().elsewhere.network))
    return [
        of_statement(path, "another network of the same administrators", Rule.WRONG_NETWORK, twin),
        of_statement(path, "a bit of it", Rule.WRONG_NETWORK, flipping(path)),
        of_statement(path, "too long or short", Rule.WRONG_NETWORK, setting(path, other_length(32))),
    ]


def previous_rows(path: str) -> list[Row]:
    def another(statement: Any, draw: Draw) -> None:
        digests = [entry_digest(entry) for entry in world().network.entries]
        statement.previous = draw(st.sampled_from([one for one in digests if one != statement.previous]))

    return [
        of_statement(path, "any other entry of the log", Rule.WRONG_PREVIOUS, another),
        of_statement(path, "a bit of it", Rule.WRONG_PREVIOUS, flipping(path)),
        of_statement(path, "too long or short", Rule.WRONG_PREVIOUS, setting(path, other_length(32))),
        of_statement(path, "itself", Rule.WRONG_PREVIOUS, _previous_is_itself),
    ]


def _previous_is_itself(statement: Any, _draw: Draw) -> None:
    statement.previous = entry_digest(propose(statement))


def time_rows(path: str, name: str) -> list[Row]:
    def too_late(good: Good, draw: Draw) -> Wrong:
        limit = moment_of(good.statement.time) - timedelta(microseconds=draw(st.integers(1, 10**12)))
        return Wrong(good.roster, good.entry, latest=limit)

    def too_early(good: Good, draw: Draw) -> Wrong:
        assert good.roster is not None
        statement, roster = copy_of(good.statement), good.roster
        member = roster.members.get(MemberId(statement.member)) if hasattr(statement, "member") else None
        last = member.last_time if member else roster.genesis_time
        if name in GOVERNMENT:
            last = roster.last_governance_time
        earlier = last - timedelta(microseconds=draw(st.integers(1, 10**15)))
        statement.time.CopyFrom(timestamp_of(earlier))
        return Wrong(roster, signed_by(statement, *good.signers))

    def too_fine(statement: Any, draw: Draw) -> None:
        statement.time.nanos = draw(st.integers(0, 999_999_999).filter(lambda nanos: nanos % 1000))

    def broken(statement: Any, draw: Draw) -> None:
        if draw(st.booleans()):
            statement.time.nanos = draw(st.integers(-(2**31), -1) | st.integers(10**9, 2**31 - 1))
        else:
            statement.time.seconds = draw(st.integers(-(2**63), -1) | st.integers(253_402_300_800, 2**63 - 1))

    rows = [
        Row(path, "later than the directory takes", Rule.WRONG_TIME, too_late),
        of_statement(path, "not there", Rule.MALFORMED, setting(path, st.none())),
        of_statement(path, "too fine", Rule.MALFORMED, too_fine),
        of_statement(path, "out of range", Rule.MALFORMED, broken),
    ]
    if name != "Genesis":
        rows.append(Row(path, "before the last entry about its subject", Rule.WRONG_TIME, too_early))
    return rows


def member_rows(path: str, name: str) -> list[Row]:
    if name == "MemberAdmitted":
        others = st.deferred(lambda: st.sampled_from(sorted(world().network.roster.members)))
        return [
            of_statement(path, "a bit of it", Rule.WRONG_MEMBER_ID, flipping(path)),
            of_statement(path, "another member's", Rule.WRONG_MEMBER_ID, setting(path, others)),
            of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
        ]

    def in_another_state(good: Good, draw: Draw) -> Wrong:
        """All is right about another member, but for its state."""
        town = world()
        unfit = {
            "MemberSuspended": [town.lille, town.paris],
            "MemberReinstated": [town.marseille, town.nice, town.paris],
            "IdentityRotated": [town.lille, town.paris],
            "NodeRestored": [town.lille, town.paris],
        }.get(name, [town.paris])
        member, statement = draw(st.sampled_from(unfit)), copy_of(good.statement)
        head = town.network.roster.head(member.id, town.network.now)
        statement.MergeFrom(type(statement)(**head, member=member.id))
        signers = (member.identity, *good.signers[1:]) if name in MEMBER_SIGNED else good.signers
        return Wrong(good.roster, signed_by(statement, *signers))

    def others_place() -> st.SearchStrategy[bytes]:
        mine = good_entries()[name].statement.member
        return st.sampled_from([one for one in sorted(world().network.roster.members) if one != mine])

    # Of another member, its own key would have to sign; administrators sign for all, but its last entry is another.
    rule = Rule.UNKNOWN_SIGNER if name in MEMBER_SIGNED else Rule.WRONG_PREVIOUS
    return [
        of_statement(path, "a bit of it", Rule.NO_SUCH_MEMBER, flipping(path)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
        of_statement(path, "another member's", rule, setting(path, others_place)),
        Row(path, "a member whose state does not allow it", Rule.WRONG_STATE, in_another_state),
    ]


def registration_rows(path: str, name: str) -> list[Row]:
    corrects = name == "MemberCorrected"

    def present() -> st.SearchStrategy[bytes]:
        town = world()
        others = (town.marseille, town.lille) if corrects else (town.nice, town.lille)
        return st.sampled_from([town.network.member(one).registration for one in others])

    def as_it_is(statement: Any, _draw: Draw) -> None:
        known = world().network.member(world().nice)
        statement.registration, statement.bound_by_secrecy = known.registration, known.bound_by_secrecy

    return [
        *([of_statement(path, "the one it has", Rule.NOTHING_CORRECTED, as_it_is)] if corrects else []),
        of_statement(path, "of a member who is there", Rule.REGISTRATION_TAKEN, setting(path, present)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(32))),
    ]


def incarnation_rows(path: str, _name: str) -> list[Row]:
    def present() -> st.SearchStrategy[bytes | None]:
        return st.just(world().network.member(world().marseille).incarnation)

    return [
        of_statement(path, "the one it has", Rule.SAME_INCARNATION, setting(path, present)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
    ]


def administrator_rows(path: str, name: str) -> list[Row]:
    def strange() -> st.SearchStrategy[bytes]:
        return st.sampled_from([key.public.key_id for key in strangers(good_entries()[name])])

    def needed(good: Good, _draw: Draw) -> Wrong:
        """All three must sign, so that none can go."""
        assert good.roster is not None
        signers = world().network.administrators[:3]
        policy = replace(good.roster.policy, threshold=3)
        return Wrong(replace(good.roster, policy=policy), signed_by(good.statement, *signers))

    return [
        of_statement(path, "not of an administrator", Rule.NO_SUCH_ADMINISTRATOR, setting(path, strange)),
        of_statement(path, "a bit of it", Rule.NO_SUCH_ADMINISTRATOR, flipping(path)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
        Row(path, "one without whom too few are left", Rule.THRESHOLD_OUT_OF_REACH, needed),
    ]


def threshold_rows(path: str, _name: str) -> list[Row]:
    beyond = st.integers(4, MAX_ADMINISTRATORS)
    wrong = st.just(0) | st.integers(MAX_ADMINISTRATORS + 1, 2**32 - 1)
    return [
        of_statement(path, "more than there are", Rule.THRESHOLD_OUT_OF_REACH, setting(path, beyond)),
        of_statement(path, "out of range", Rule.MALFORMED, setting(path, wrong)),
    ]


def duration_rows(days: int) -> Callable[[str, str], list[Row]]:
    def rows(path: str, _name: str) -> list[Row]:
        def out_of_range(statement: Any, draw: Draw) -> None:
            holder, name = holder_of(statement, path)
            seconds = st.integers(-(2**63), 59) | st.integers(days * 86_400 + 1, 2**63 - 1)
            getattr(holder, name).seconds = draw(seconds)

        def not_whole(statement: Any, draw: Draw) -> None:
            holder, name = holder_of(statement, path)
            getattr(holder, name).nanos = draw(st.integers(-(2**31), 2**31 - 1).filter(bool))

        return [
            of_statement(path, "out of range", Rule.MALFORMED, out_of_range),
            of_statement(path, "no whole seconds", Rule.MALFORMED, not_whole),
            of_statement(path, "not there", Rule.MALFORMED, setting(path, st.none())),
        ]

    return rows


def act_life_rows(path: str, _name: str) -> list[Row]:
    def out_of_range(statement: Any, draw: Draw) -> None:
        seconds = st.integers(-(2**63), 3 * 86_400 - 1) | st.integers(7305 * 86_400 + 1, 2**63 - 1)
        statement.policy.act_life_limit.seconds = draw(seconds)

    def not_whole(statement: Any, draw: Draw) -> None:
        limit = statement.policy.act_life_limit
        limit.seconds, limit.nanos = 90 * 86_400, draw(st.integers(-(2**31), 2**31 - 1).filter(bool))

    return [
        of_statement(path, "out of range", Rule.MALFORMED, out_of_range),
        of_statement(path, "no whole seconds", Rule.MALFORMED, not_whole),
    ]


def delay_rows(path: str, name: str) -> list[Row]:
    def out_of_range(statement: Any, draw: Draw) -> None:
        holder, field = holder_of(statement, path)
        seconds = st.integers(-(2**63), 2 * 86_400 - 1) | st.integers(30 * 86_400 + 1, 2**63 - 1)
        getattr(holder, field).seconds = draw(seconds)

    def not_whole(statement: Any, draw: Draw) -> None:
        holder, field = holder_of(statement, path)
        getattr(holder, field).nanos = draw(st.integers(-(2**31), 2**31 - 1).filter(bool))

    rows = [
        of_statement(path, "out of range", Rule.MALFORMED, out_of_range),
        of_statement(path, "no whole seconds", Rule.MALFORMED, not_whole),
    ]
    if name == "PolicyChanged":  # a genesis may be without it: those of before are
        rows.append(of_statement(path, "switched off", Rule.DELAY_SWITCHED_OFF, setting(path, st.none())))
    return rows


def certificate_digest_rows(path: str, _name: str) -> list[Row]:
    def known() -> st.SearchStrategy[bytes]:
        return st.sampled_from([each.digest for each in world().network.roster.authorities])

    return [
        of_statement(path, "of a CA that is or was trusted", Rule.AUTHORITY_TAKEN, setting(path, known)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(32))),
    ]


def old_end_rows(path: str, _name: str) -> list[Row]:
    def too_early(statement: Any, draw: Draw) -> None:
        statement.old_end_time.seconds = statement.time.seconds - draw(st.integers(1, 10**8))

    def too_late(statement: Any, draw: Draw) -> None:
        statement.old_end_time.seconds = statement.time.seconds + 400 * 86_400 + draw(st.integers(1, 10**8))

    def broken(statement: Any, draw: Draw) -> None:
        statement.old_end_time.nanos = draw(st.integers(-(2**31), -1) | st.integers(10**9, 2**31 - 1))

    return [
        of_statement(path, "before the entry", Rule.AUTHORITY_OVERLAP, too_early),
        of_statement(path, "more than 400 days after it", Rule.AUTHORITY_OVERLAP, too_late),
        of_statement(path, "not there", Rule.MALFORMED, setting(path, st.none())),
        of_statement(path, "out of range", Rule.MALFORMED, broken),
    ]


def reason_rows(path: str, _name: str) -> list[Row]:
    wrong = st.just(0) | st.integers(3, 2**31 - 1) | st.integers(-(2**31), -1)
    return [of_statement(path, "no such reason", Rule.MALFORMED, setting(path, wrong))]


def size_rows(path: str, _name: str) -> list[Row]:
    wrong = st.integers(0, 64 * 1024 - 1) | st.integers(2**40 + 1, 2**64 - 1)
    return [of_statement(path, "out of range", Rule.MALFORMED, setting(path, wrong))]


def bytes_rows(wrong: st.SearchStrategy[Any]) -> Callable[[str, str], list[Row]]:
    return lambda path, _name: [of_statement(path, "no good value", Rule.MALFORMED, setting(path, wrong))]


BAD_ORIGINS = st.sampled_from(["", "a b", "a\nb", "a+b", "a\u00a0b", "\u200b", "é" * 1000])

FIELDS: dict[str, Callable[[str, str], list[Row]]] = {
    "network": lambda path, _name: network_rows(path),
    "previous": lambda path, _name: previous_rows(path),
    "time": time_rows,
    "member": member_rows,
    "identity_key.ed25519": key_part_rows,
    "identity_key.mldsa65": key_part_rows,
    "registration": registration_rows,
    "incarnation": incarnation_rows,
    "administrator": administrator_rows,
    "key.ed25519": key_part_rows,
    "key.mldsa65": key_part_rows,
    "policy.threshold": threshold_rows,
    "policy.freshness_limit": duration_rows(7),
    "policy.offer_life_limit": duration_rows(14),
    "policy.shipping_limit": duration_rows(14),
    "policy.content_size_limit": size_rows,
    "policy.mailbox_quota": size_rows,
    "policy.act_life_limit": act_life_rows,
    "policy.recovery_delay": delay_rows,
    "reason": reason_rows,
    "certificate_digest": certificate_digest_rows,
    "old_end_time": old_end_rows,
    "administrators.ed25519": key_part_rows,
    "administrators.mldsa65": key_part_rows,
    "directory_key.ed25519": key_part_rows,
    "directory_key.mldsa65": key_part_rows,
    "nonce": bytes_rows(other_length(32)),
    "origin": bytes_rows(BAD_ORIGINS),
    "ca_certificate": bytes_rows(st.sampled_from([b"", bytes(16 * 1024 + 1)])),
}
"""A field by its place in the statement → what can be wrong with it, though it is truly signed."""


def rows_of(name: str) -> list[Row]:
    """All that can be wrong with an entry of this name."""
    rows = [*signature_rows(name), *form_rows(name), *whole_rows(name), *recovery_rows(name)]
    for path, field in leaves(descriptor_of(name)):
        rule = READ_BEFORE_SIGNATURES.get((name, path), Rule.BAD_SIGNATURE)
        rows.append(of_entry(path, "changed after signing", rule, _changed_after_signing(path, field)))
        if (name, path) not in FREE and path in FIELDS:
            rows += FIELDS[path](path, name)
    return rows
