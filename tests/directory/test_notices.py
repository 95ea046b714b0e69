"""What an administrator should know of is told once, in time, and nothing is told that is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cordee.card import Card
from cordee.errors import BadSignature, CardExpired, CardRefused, CordeeError, RosterForked, Unreachable
from cordee.members import MemberState
from directory.administrator.notices import Notice, authority_ends, notices
from directory.administrator.standings import Standing
from tests.builders import Network


@pytest.fixture
def network() -> Network:
    """Three administrators, two of whom must sign, and one member."""
    made = Network.found(administrators=3)
    made.admit("Paris")
    return made


def _told(network: Network, *, trouble: CordeeError | None = None, later: int = 0, **changes: Any) -> list[Notice]:
    """What is told of Paris, whose card and certificate end in ninety days, so many days later."""
    member = network.members["Paris"]
    card = Card.parse(member.card, network.roster, now=network.now)
    standing = Standing(
        member=member.id,
        card=card,
        profile=None,
        doubt=None,
        certificate_ends=card.not_before + timedelta(days=90),
        under_way=0,
        counted=0,
    )
    found = notices(
        network.roster,
        {member.id: replace(standing, **changes)},
        {member.id: "Paris"},
        now=card.not_before + timedelta(days=later),
        trouble=trouble,
    )
    return [each for each in found if "authority" not in each.sentence]  # the test network's is no certificate


def test_a_network_that_is_well_is_silent(network: Network) -> None:
    assert _told(network) == []
    assert _told(network, later=69) == []


@pytest.mark.parametrize(
    ("changes", "wrong", "sentence"),
    [
        ({"later": 71}, False, "The card of {who} ends on {day} and has not renewed itself."),
        (
            {"doubt": CardExpired(member="x"), "card": None},
            True,
            "The card of {who} has run out: nobody can send it anything.",
        ),
        ({"doubt": CardRefused(member="x", problem="x"), "card": None}, True, "The card of {who} does not verify."),
        ({"card": None}, False, "{who} has published no card yet: its node has not been connected."),
        ({"counted": 4 * 2**30}, False, "{who} has nearly used up what may wait for its recipients."),
    ],
)
def test_what_is_wrong_with_a_member_is_told(
    network: Network, changes: dict[str, Any], wrong: bool, sentence: str
) -> None:
    found = _told(network, **changes)

    assert (found[0].wrong, found[0].sentence, found[0].facts["who"]) == (wrong, sentence, "Paris")
    assert {each.member for each in found} == {network.members["Paris"].id}


def test_a_certificate_is_told_before_and_after_its_end(network: Network) -> None:
    sentence = "The certificate of {who} ends on {day} and has not renewed itself."
    soon = [each for each in _told(network, later=75) if each.sentence == sentence]
    late = [each for each in _told(network, later=91) if each.sentence == sentence]

    assert [each.wrong for each in (*soon, *late)] == [False, True]


def test_a_suspension_that_nobody_decides_about_is_told_after_a_month(network: Network) -> None:
    network.suspend(network.members["Paris"])
    assert network.roster.members[network.members["Paris"].id].state is MemberState.SUSPENDED

    assert _told(network, later=29) == []
    assert [each.sentence for each in _told(network, later=31)] == ["{who} is suspended since {day}: decide."]


def test_a_directory_that_is_silent_is_no_alarm_and_one_that_shows_another_log_is(network: Network) -> None:
    (silent,) = _told(network, trouble=Unreachable(peer="x"))
    (forked,) = _told(network, trouble=RosterForked(size=3))

    assert (silent.wrong, forked.wrong) == (False, True)
    assert "Sign nothing" in forked.sentence


def test_a_node_that_was_shown_another_log_is_an_alarm_and_one_whose_word_does_not_verify_is_told(
    network: Network,
) -> None:
    paris = network.members["Paris"].id
    told = {
        type(doubt): notices(network.roster, {}, {paris: "Paris"}, now=network.now, doubts={paris: doubt})
        for doubt in (RosterForked(size=3), BadSignature(what="x"))
    }

    (forked,) = (each for each in told[RosterForked] if each.member == paris)
    (doubted,) = (each for each in told[BadSignature] if each.member == paris)
    assert (forked.wrong, doubted.wrong) == (True, False)
    assert "shown another log" in forked.sentence


@pytest.mark.parametrize(
    ("administrators", "threshold", "told"),
    [(3, 2, 0), (2, 2, 1), (2, 1, 1), (1, 1, 2)],
)
def test_a_threshold_that_leaves_no_room_is_told(administrators: int, threshold: int, told: int) -> None:
    network = Network.found(administrators=administrators, threshold=threshold)

    found = notices(network.roster, {}, {}, now=network.now)

    assert len([each for each in found if "authority" not in each.sentence]) == told


def test_what_is_wrong_stands_first(network: Network) -> None:
    found = _told(network, doubt=CardExpired(member="x"), card=None, counted=4 * 2**30, trouble=Unreachable(peer="x"))

    assert [each.wrong for each in found] == [True, False, False]


def test_an_authority_that_cannot_be_read_has_no_end(network: Network) -> None:
    assert authority_ends(replace(network.roster, ca_certificate=b"x")) is None


def test_evidence_on_this_machine_is_told_and_needs_somebody_now() -> None:
    network = Network.found(administrators=3)
    assert all("evidence" not in each.sentence for each in notices(network.roster, {}, {}, now=network.now))
    (told,) = (
        each for each in notices(network.roster, {}, {}, now=network.now, proven=2) if "evidence" in each.sentence
    )
    assert (told.wrong, told.facts) == (True, {"count": 2})
