"""An invitation as a file and as a link: the same, whole or not at all."""

from __future__ import annotations

import base64
import zlib
from datetime import UTC, datetime

import pytest

from cordee.errors import InvalidRecord
from cordee.ids import NetworkId
from cordee.invitation import Invitation

INVITATION = Invitation(
    network=NetworkId(b"n" * 32),
    members="cordee.example:7443",
    front="cordee.example:7444",
    ca_certificate=bytes(range(256)) * 2,
    invitation=b"i" * 16,
    secret=b"s" * 32,
    legal_name="Association Équipe de Rue",
    registration_number="00097228100034",
    bound_by_secrecy=True,
    expires=datetime(2026, 12, 24, tzinfo=UTC),
)


@pytest.mark.parametrize("practice", [False, True])
def test_the_link_says_the_same_as_the_file(practice: bool) -> None:
    made = Invitation(**{**vars(INVITATION), "practice": practice})
    assert Invitation.parse(made.to_link().encode()) == Invitation.parse(made.to_bytes()) == made
    assert Invitation.parse(f"\n  {made.to_link()} \n".encode()) == made, "as it is pasted"
    assert len(made.to_link()) < 2000
    assert made.to_link().replace("cordee:invitation:", "").replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_link_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(InvalidRecord):
        Invitation.parse(INVITATION.to_link()[:-cut].encode())


def test_a_link_that_unpacks_to_more_than_an_invitation_is_refused() -> None:
    packed = zlib.compress(b" " * 10_000_000)
    link = b"cordee:invitation:" + base64.urlsafe_b64encode(packed).rstrip(b"=")
    with pytest.raises(InvalidRecord):
        Invitation.parse(link)
