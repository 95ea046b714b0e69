"""What can be wrong with the recovery of a lost or stolen key: its announcement, its time, its key, the objection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from cordee.members import Member
from cordee.recovery import LAPSE
from cordee.roster import Roster, Rule
from cordee.times import timestamp_of
from tests.builders import MemberKeys
from tests.cordee.entry_rows import MEMBER_SIGNED, Draw, Good, Row, Wrong, copy_of, signed_by, world


def _about(good: Good, member: MemberKeys) -> Wrong:
    """The same statement in its right place about another member."""
    town, statement = world(), copy_of(good.statement)
    statement.MergeFrom(type(statement)(**town.network.roster.head(member.id, town.network.now), member=member.id))
    signers = (member.identity,) if good.name in MEMBER_SIGNED else good.signers
    return Wrong(good.roster, signed_by(statement, *signers))


def _of_lyon(roster: Roster | None) -> tuple[Roster, Member]:
    assert roster is not None
    return roster, roster.members[world().lyon.id]


def _unannounced(good: Good, draw: Draw) -> Wrong:
    return _about(good, draw(st.sampled_from([world().nice, world().lille])))


def _of_a_revoked_key(good: Good, _draw: Draw) -> Wrong:
    return _about(good, world().metz)


def _revoked_meanwhile(good: Good, _draw: Draw) -> Wrong:
    roster, lyon = _of_lyon(good.roster)
    return Wrong(replace(roster, members=roster.members.with_item(lyon.id, replace(lyon, revoked=True))), good.entry)


def _too_early(good: Good, draw: Draw) -> Wrong:
    _, lyon = _of_lyon(good.roster)
    assert lyon.recovery is not None
    statement, delay = copy_of(good.statement), lyon.recovery.due - lyon.recovery.announced
    earlier = timedelta(microseconds=draw(st.integers(1, delay // timedelta(microseconds=1))))
    statement.time.CopyFrom(timestamp_of(lyon.recovery.due - earlier))
    return Wrong(good.roster, signed_by(statement, *good.signers))


def _too_late(good: Good, draw: Draw) -> Wrong:
    _, lyon = _of_lyon(good.roster)
    assert lyon.recovery is not None
    statement = copy_of(good.statement)
    later = timedelta(seconds=draw(st.integers(0, 10**9)))
    statement.time.CopyFrom(timestamp_of(lyon.recovery.due + LAPSE + later))
    return Wrong(good.roster, signed_by(statement, *good.signers))


def _another_key(good: Good, _draw: Draw) -> Wrong:
    statement = copy_of(good.statement)
    statement.identity_key.CopyFrom(world().attacker.public.to_message())
    return Wrong(good.roster, signed_by(statement, *good.signers))


def _at_the_end_of_days(good: Good, draw: Draw) -> Wrong:
    """No day would be left on which it lapses."""
    statement = copy_of(good.statement)
    statement.time.seconds = draw(st.integers(253_370_764_800, 253_402_300_799))
    return Wrong(good.roster, signed_by(statement, *good.signers))


def recovery_rows(name: str) -> Iterator[Row]:
    if name == "RecoveryAnnounced":
        yield Row("time", "in the last year that there is", Rule.WRONG_TIME, _at_the_end_of_days)
    if name == "MemberRecovered":
        yield Row("recovery", "not announced", Rule.NO_RECOVERY, _unannounced)
        yield Row("recovery", "before the delay has passed", Rule.RECOVERY_NOT_DUE, _too_early)
        yield Row("recovery", "long after it", Rule.RECOVERY_NOT_DUE, _too_late)
        yield Row("recovery", "to another key", Rule.NOT_THE_ANNOUNCED_KEY, _another_key)
    if name == "RecoveryObjected":
        yield Row("recovery", "not announced", Rule.NO_RECOVERY, _unannounced)
        yield Row("recovery", "by a revoked key", Rule.KEY_REVOKED, _revoked_meanwhile)
    if name == "MemberReinstated":
        yield Row("recovery", "of a member whose key is revoked", Rule.KEY_REVOKED, _of_a_revoked_key)
    if name == "IdentityRevoked":
        yield Row("recovery", "of a key that is revoked", Rule.KEY_REVOKED, _of_a_revoked_key)
