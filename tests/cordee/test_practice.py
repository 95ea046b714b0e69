"""What marks a network, and an invitation into it, as one for practice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cordee.errors import InvalidRecord, PracticeNetwork, RealNetwork
from cordee.ids import NetworkId
from cordee.invitation import Invitation
from cordee.practice import PRACTICE_ORIGIN, is_practice, require_kind

INVITED = Invitation(
    network=NetworkId(b"n" * 32),
    members="127.0.0.1:7443",
    front="127.0.0.1:7444",
    ca_certificate=b"certificate",
    invitation=b"i" * 16,
    secret=b"s" * 32,
    legal_name="Association Rive d'Aurore",
    registration_number="00043906700034",
    bound_by_secrecy=True,
    expires=datetime(2027, 1, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("origin", "practice"),
    [
        (PRACTICE_ORIGIN, True),
        ("PRACTICE.invalid/another", True),
        ("annuaire.example/roster", False),
        ("practice.invalid.example/roster", False),
        ("annuaire.example/practice.invalid", False),
    ],
)
def test_the_name_of_the_log_alone_tells(origin: str, practice: bool) -> None:
    assert is_practice(origin) is practice


@pytest.mark.parametrize("practice", [False, True])
def test_an_invitation_says_for_what_it_is(practice: bool) -> None:
    assert Invitation.parse(replace(INVITED, practice=practice).to_bytes()).practice is practice


def test_a_practice_invitation_has_a_form_that_an_older_node_does_not_know_either() -> None:
    assert json.loads(replace(INVITED, practice=True).to_bytes())["format"] != "cordee invitation 1"
    assert json.loads(INVITED.to_bytes())["format"] == "cordee invitation 1"


def test_a_field_beside_the_form_makes_no_invitation_one_for_practice() -> None:
    plain = json.loads(INVITED.to_bytes()) | {"practice": True}
    assert not Invitation.parse(json.dumps(plain).encode()).practice


def test_an_unknown_form_is_none() -> None:
    plain = json.loads(INVITED.to_bytes()) | {"format": "cordee invitation 2"}
    with pytest.raises(InvalidRecord):
        Invitation.parse(json.dumps(plain).encode())


def test_each_kind_takes_its_own_and_refuses_the_other() -> None:
    require_kind(True, practice=True)
    require_kind(False, practice=False)
    with pytest.raises(PracticeNetwork):
        require_kind(True, practice=False)
    with pytest.raises(RealNetwork):
        require_kind(False, practice=True)
