"""The commands by which an office governs its network for years: real processes, real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cordee.words import six_words
from tests.directory.test_commands import Office
from tests.directory.town import profile_of

pytestmark = pytest.mark.journey


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    if made.server is not None:
        made.server.kill()
        made.server.wait(10)


def admit(office: Office, name: str) -> str:
    """An association, admitted by both. Its id."""
    profile, invitation = profile_of(name), office.folder / f"{name}.json"
    naming = ["--legal-name", profile["legal_name"], "--number", profile["siret"]]
    office.admin("alice", "invite", *naming, "--secrecy", "--out", str(invitation))
    identity, member = office.ask(invitation, name)
    for who in ("alice", "bruno"):
        office.admin(who, "admit", member, "--words", " ".join(six_words(identity.public)))
    return member


def test_two_administrators_change_the_policy_and_read_what_they_sign(office: Office) -> None:
    office.found()
    before = office.admin("alice", "policy", "show")
    assert (before["threshold"], before["administrators"], before["freshness_limit"]) == (2, 2, 86_400)
    assert (before["act_life_limit"], before["shared_secrecy_closed"]) == (None, False)

    limits = ["--freshness", "12h", "--mailbox-megabytes", "512", "--act-life", "90d", "--no-shared-secrecy"]
    first = office.admin("alice", "policy", "change", *limits)
    assert not first["appended"]
    assert first["changed"] == ["freshness_limit", "mailbox_quota", "act_life_limit", "shared_secrecy_closed"]
    for told in (
        "age at which a node no longer trusts its roster: 1 days → 12 h",
        "most that may wait for one sender: 4 GiB → 512 MiB",
        "longest that an act counts: as long as it says → 90 days",
        "sharing on professional secrecy alone is closed: no → yes",
    ):
        assert told in office.told
    other = office.admin("bruno", "policy", "change", *limits[:2])
    assert (other["signatures"], other["entry"] == first["entry"]) == (1, False), "he did not say the same"
    assert office.admin("bruno", "policy", "change", *limits)["appended"]
    after = office.admin("bruno", "policy", "show")
    assert (after["freshness_limit"], after["mailbox_quota"]) == (12 * 3600, 512 * 2**20)
    assert (after["act_life_limit"], after["shared_secrecy_closed"]) == (90 * 86_400, True)
    assert {name for name in after if after[name] != before[name]} == set(first["changed"])
    assert [row["type"] for row in office.admin("alice", "log")] == ["Genesis", "PolicyChanged"]

    assert office.admin("alice", "policy", "change", *limits, code=4)["facts"]["field"] == "policy"
    assert office.admin("alice", "policy", "change", "--threshold", "3", code=4)["facts"]["field"] == "--threshold"
    assert office.admin("alice", "policy", "change", "--freshness", "8d", code=4)["reason"] == "MALFORMED_STATEMENT"


def test_an_association_takes_another_name_and_each_administrator_types_it(office: Office) -> None:
    office.found()
    member = admit(office, "Marseille")
    renamed = ["--legal-name", "Association Marseille et Aubagne", "--number", "W131234567"]
    first = office.admin("alice", "correct", member, *renamed)
    assert not first["appended"]
    assert "Association Marseille et Aubagne, number W131234567" in office.told
    assert "its keys stay" in office.told
    assert office.admin("alice", "members")[0]["name"] == "Association Marseille", "not before both have signed"
    slip = ["--legal-name", "Association Marseille et Aubagne", "--number", "W131234568"]
    assert office.admin("bruno", "correct", member, *slip)["entry"] != first["entry"]
    done = office.admin("bruno", "correct", "Association Marseille", *renamed)
    assert (done["appended"], done["entry"]) == (True, first["entry"])
    for who in ("alice", "bruno"):
        (row,) = office.admin(who, "members")
        assert (row["name"], row["state"]) == ("Association Marseille et Aubagne", "active")

    for who in ("alice", "bruno"):
        done = office.admin(who, "correct", member, "--no-secrecy")
    assert done["appended"]
    assert not office.admin("alice", "members")[0]["bound_by_secrecy"]
    assert office.admin("alice", "correct", member, "--no-secrecy", code=8)["reason"] == "ENTRY_REFUSED"
    assert office.admin("alice", "correct", member, "--number", "1", code=4)["facts"]["field"] == "--number"
