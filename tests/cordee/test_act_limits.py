"""What a network's policy allows less of than the law: asked by the sender's table and by the recipient's checks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cordee.act import Act, ActLimits, Decision, check_act, commitment, decide
from cordee.errors import ActRefused
from cordee.policy import Policy
from tests.cordee.test_act import NONCE, SENDER, SHARING, a_token
from tests.cordee.test_decision import NOW, RECIPIENT, a_case, agreement, duty, holder, minor, sharing

WEEK = timedelta(days=7)


def limits(**policy: Any) -> ActLimits:
    return ActLimits.of(Policy(threshold=1, **policy))


def asked(act: Act, purpose: str = "specialised_support", **policy: Any) -> Decision:
    return decide(
        act=act,
        acts_on_record=[act],
        case=a_case(),
        purpose=purpose,
        recipient=RECIPIENT,
        now=NOW,
        limits=limits(**policy),
    )


def test_a_policy_without_limits_of_its_own_changes_nothing() -> None:
    act = agreement()
    assert limits() == ActLimits()
    assert limits().end_of(act) == act.valid_until
    assert asked(act).allowed


def test_an_act_counts_no_longer_than_the_network_lets_it() -> None:
    act = agreement()  # twelve days old
    assert asked(act, act_life_limit=2 * WEEK).rule == 7
    old = asked(act, act_life_limit=WEEK)
    assert (old.allowed, old.rule) == (False, 10)
    assert "does not count one that is so old" in old.missing
    assert limits(act_life_limit=WEEK).end_of(act) == act.valid_from + WEEK
    assert limits(act_life_limit=100 * WEEK).end_of(act) == act.valid_until, "a network never makes an act live longer"


def test_a_network_may_ask_for_an_agreement_where_the_law_lets_professionals_share() -> None:
    assert asked(sharing(), "joint_followup").rule == 6
    closed = asked(sharing(), "joint_followup", shared_secrecy_closed=True)
    assert (closed.allowed, closed.rule) == (False, 10)
    assert "professional secrecy alone" in closed.missing


def test_a_network_may_ask_for_the_minor_s_own_answer() -> None:
    act = agreement(minor("not_asked", "not_able"), holder("agrees"))
    assert asked(act).rule == 8
    closed = asked(act, holders_alone_closed=True)
    assert (closed.allowed, closed.rule) == (False, 10)
    assert "the minor" in closed.missing


def test_no_policy_stands_in_the_way_of_a_danger() -> None:
    act = duty()
    (purpose, *_) = sorted(act.purposes)
    told = asked(
        act, purpose, act_life_limit=3 * timedelta(days=1), shared_secrecy_closed=True, holders_alone_closed=True
    )
    assert asked(act, purpose).allowed
    assert told.allowed


def arrives(act: Act, **policy: Any) -> Act:
    return check_act(
        act.to_bytes(),
        NONCE,
        token=a_token(act, commitment=commitment(act.to_bytes(), NONCE)),
        purpose=sorted(act.purposes)[0],
        sender_org=SENDER,
        recipient=RECIPIENT_OF_SHARING,
        now=act.valid_from + WEEK,
        limits=limits(**policy),
    )


RECIPIENT_OF_SHARING = type(RECIPIENT)(
    org_id=SHARING.recipients[0]["org_id"],
    active=True,
    card_valid=True,
    bound_by_secrecy=True,
    categories=frozenset(),
    departement="59",
)


def test_a_recipient_takes_no_case_under_an_act_that_the_network_does_not_count() -> None:
    assert arrives(SHARING) == SHARING
    assert arrives(SHARING, act_life_limit=2 * WEEK) == SHARING
    with pytest.raises(ActRefused, match="older than the network"):
        arrives(SHARING, act_life_limit=WEEK)
    with pytest.raises(ActRefused, match="professional secrecy alone"):
        arrives(SHARING, shared_secrecy_closed=True)
