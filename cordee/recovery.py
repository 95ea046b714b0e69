"""What happens to a member's identity key that is lost or stolen: entries of the administrators, and the objection.

Administrators announce the new key; the present one may object until the recovery is done; it is done after the delay
that the policy gave at the announcement, by the times in the entries, to the announced key and no other. Each entry
that the present key signs shows that it is not lost, and so ends what was announced. A key in the wrong hands is
revoked at once: the member is suspended, and the key can neither act nor object (decision 18).

In a network whose policy has no delay, a recovery that was not announced is done at once, as in logs of before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cordee.entry_checks import Rule, Step, new_key, require
from cordee.members import Member, MemberState, Recovery
from cordee.signing import SigningPublicKey
from cordee.v1 import statements_pb2 as v1

__all__ = ["DELAY", "LAPSE", "announced", "objected", "recovered", "revoked", "still_held", "with_identity"]

DELAY = timedelta(days=7)
"""From announcement to recovery where the policy says nothing."""
LAPSE = timedelta(days=30)
"""How long after that day the recovery may still be done."""

_LAST_YEAR = 9999
_REASONS = frozenset({v1.RECOVERY_REASON_LOST, v1.RECOVERY_REASON_STOLEN})


def announced(step: Step, member: Member) -> Member:
    """A new key waits; one that was announced before waits no more. Raises: Breach, MalformedKey."""
    require(step.statement.reason in _REASONS, Rule.MALFORMED)
    require(step.time.year < _LAST_YEAR, Rule.WRONG_TIME)  # the calendar must have the day on which it lapses
    delay = step.roster.policy.recovery_delay or DELAY
    recovery = Recovery(
        identity=new_key(step.roster, step.statement.identity_key),
        stolen=step.statement.reason == v1.RECOVERY_REASON_STOLEN,
        announced=step.time,
        due=step.time + delay,
        lapses=step.time + delay + LAPSE,
    )
    return replace(member, recovery=recovery)


def objected(_step: Step, member: Member) -> Member:
    """What was announced is void. Raises: Breach."""
    require(not member.revoked, Rule.KEY_REVOKED)
    require(member.recovery is not None, Rule.NO_RECOVERY)
    return replace(member, recovery=None)


def recovered(step: Step, member: Member) -> Member:
    """The new key is in force; a member that was suspended for its key alone is back. Raises: Breach, MalformedKey."""
    recovery = member.recovery
    if recovery is None:
        require(step.roster.policy.recovery_delay is None, Rule.NO_RECOVERY)
        identity = new_key(step.roster, step.statement.identity_key)
    else:
        identity = SigningPublicKey.from_message(step.statement.identity_key)
        require(identity == recovery.identity, Rule.NOT_THE_ANNOUNCED_KEY)
        require(recovery.due <= step.time < recovery.lapses, Rule.RECOVERY_NOT_DUE)
    state = member.resumes if member.revoked else member.state
    back = replace(member, state=state, revoked=False, resumes=MemberState.ACTIVE, recovery=None)
    return with_identity(step, back, identity)


def revoked(_step: Step, member: Member) -> Member:
    """The present key counts no more; what was announced goes on. Raises: Breach."""
    require(not member.revoked, Rule.KEY_REVOKED)
    return replace(member, state=MemberState.SUSPENDED, revoked=True, resumes=member.state)


def still_held(member: Member) -> Member:
    """The member signed an entry with its present key, which is therefore not lost."""
    return replace(member, recovery=None)


def with_identity(step: Step, member: Member, identity: SigningPublicKey) -> Member:
    """The member with another identity key."""
    # The size before this entry is the last at which the old key is in force.
    former = (*member.former_identities, (step.roster.size, member.identity))
    return replace(member, identity=identity, identity_since=step.time, former_identities=former)
