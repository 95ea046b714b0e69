"""Cards: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cordee.card import MAX_LIFE, MAX_PROFILE, Card, is_endpoint, make_card, profile_digest
from cordee.errors import CardExpired, CardRefused, NotAMember
from cordee.sealing import SealingPublicKey
from cordee.signing import Signed
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from tests.builders import MemberKeys, Network

NETWORK = Network.found()
MARSEILLE = NETWORK.admit("Marseille", endpoint="mailbox.marseille.example:8443")
LILLE = NETWORK.admit("Lille")
NOW = NETWORK.now


def body(card: Signed = MARSEILLE.card) -> v1.Card:
    return v1.Card.FromString(card.body)


def signed_with(**changes: Any) -> Signed:
    """Marseille's card with other fields, truly signed by Marseille."""
    statement = body()
    for name, value in changes.items():
        statement.ClearField(name)  # type: ignore[arg-type]  # any of its names
        if value is not None:
            statement.MergeFrom(v1.Card(**{name: value}))
    return MARSEILLE.identity.sign(statement)


def refusal_of(card: Signed, **how: Any) -> str:
    with pytest.raises(CardRefused) as refusal:
        Card.parse(card, NETWORK.roster, **{"now": NOW, **how})
    return refusal.value.facts["problem"]


def test_a_card_is_read_as_it_was_made() -> None:
    card = Card.parse(MARSEILLE.card, NETWORK.roster, now=NOW, profile=MARSEILLE.profile, at_least=1)
    assert card.member == MARSEILLE.id
    assert card.network == NETWORK.roster.network
    assert card.number == 1
    assert card.sealing_key == MARSEILLE.sealing.public
    assert isinstance(card.sealing_key, SealingPublicKey)
    assert card.transport_key_digest == MARSEILLE.transport_key_digest
    assert card.endpoint == "mailbox.marseille.example:8443"
    assert card.profile_digest == profile_digest(MARSEILLE.profile)
    assert card.expire_time - card.not_before == MAX_LIFE == timedelta(days=90)
    assert card.signed is MARSEILLE.card


def test_a_card_of_an_applicant_is_read_by_the_key_it_came_with() -> None:
    applicant = NETWORK.new_member("Paris")
    how: Any = {"network": NETWORK.roster.network, "member": applicant.id, "now": NOW}
    card = Card.parse_for(applicant.card, identity=applicant.identity.public, **how)
    assert card.member == applicant.id
    with pytest.raises(NotAMember):
        Card.parse(applicant.card, NETWORK.roster, now=NOW)
    with pytest.raises(CardRefused):
        Card.parse_for(MARSEILLE.card, identity=MARSEILLE.identity.public, **how)


def test_a_suspended_members_card_is_kept_and_a_removed_ones_is_not() -> None:
    network = Network.found()
    member = network.admit("Lille")
    network.suspend(member)
    assert Card.parse(member.card, network.roster, now=network.now).member == member.id
    network.remove(member)
    with pytest.raises(NotAMember):
        Card.parse(member.card, network.roster, now=network.now)


@pytest.mark.parametrize("change", ["rotate", "recover"])
def test_a_card_signed_by_a_key_given_up_is_refused(change: str) -> None:
    network = Network.found()
    member = network.admit("Lille")
    old = member.card
    getattr(network, change)(member)
    with pytest.raises(CardRefused):
        Card.parse(old, network.roster, now=network.now)
    assert Card.parse(member.card, network.roster, now=network.now, at_least=2).number == 2


def test_a_card_is_valid_to_its_last_moment_and_not_after() -> None:
    end = body().expire_time.ToDatetime(tzinfo=NOW.tzinfo)
    Card.parse(MARSEILLE.card, NETWORK.roster, now=end - timedelta(microseconds=1))
    with pytest.raises(CardExpired):
        Card.parse(MARSEILLE.card, NETWORK.roster, now=end)


def test_a_card_from_a_clock_five_minutes_ahead_is_taken_and_not_six() -> None:
    begin = body().not_before.ToDatetime(tzinfo=NOW.tzinfo)
    Card.parse(MARSEILLE.card, NETWORK.roster, now=begin - timedelta(minutes=5))
    assert refusal_of(MARSEILLE.card, now=begin - timedelta(minutes=5, microseconds=1)) == "it is not valid yet"


def test_a_lower_number_than_before_is_refused() -> None:
    Card.parse(MARSEILLE.card, NETWORK.roster, now=NOW, at_least=1)
    assert "number" in refusal_of(MARSEILLE.card, at_least=2)


def test_a_profile_that_is_another_is_refused() -> None:
    assert refusal_of(MARSEILLE.card, profile=MARSEILLE.profile + b" ") == "its profile is another"
    assert refusal_of(MARSEILLE.card, profile=b"") == "its profile is another"
    large = bytes(64 * 1024 + 1)
    card = signed_with(profile_digest=profile_digest(large))
    assert refusal_of(card, profile=large) == "its profile is too large"


def test_a_card_may_be_as_large_as_its_limits_say() -> None:
    assert MAX_PROFILE == 65_536  # bytes: every node takes what another makes (protocol §4)
    profile = bytes(65_536)
    card = signed_with(profile_digest=profile_digest(profile), number=2**62)
    assert Card.parse(card, NETWORK.roster, now=NOW, profile=profile).number == 2**62
    assert "number" in refusal_of(signed_with(number=2**62 + 1))


def test_of_a_card_over_4_kib_nothing_is_read() -> None:
    known = 2_000
    room = known + 4_096 - len(signed_with(endpoint="a" * known).body)
    assert refusal_of(signed_with(endpoint="a" * room)) == "its endpoint is malformed"
    assert refusal_of(signed_with(endpoint="a" * (room + 1))) == "it is malformed"


def test_the_profile_may_come_later() -> None:
    assert Card.parse(MARSEILLE.card, NETWORK.roster, now=NOW, profile=None).member == MARSEILLE.id


START = body().not_before.ToDatetime(tzinfo=NOW.tzinfo)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": bytes(32)},
        {"network": None},
        {"number": 0},
        {"number": 2**62 + 1},
        {"sealing_key": bytes(1215)},
        {"sealing_key": b"\xff" * 1216},
        {"sealing_key": None},
        {"transport_key_digest": bytes(31)},
        {"profile_digest": bytes(33)},
        {"endpoint": "mailbox.example"},
        {"endpoint": "mailbox.example:0"},
        {"endpoint": "https://mailbox.example:443"},
        {"expire_time": timestamp_of(START + MAX_LIFE + timedelta(microseconds=1))},
        {"expire_time": timestamp_of(START)},
        {"expire_time": timestamp_of(START - timedelta(days=1))},
        {"expire_time": None},
        {"not_before": None},
        {"member": LILLE.id},
        {"member": bytes(15)},
    ],
    ids=str,
)
def test_a_card_with_an_unsound_field_is_refused_though_truly_signed(changes: dict[str, Any]) -> None:
    refusal_of(signed_with(**changes))


def test_the_card_that_the_table_alters_is_good_itself() -> None:
    assert Card.parse(signed_with(), NETWORK.roster, now=NOW).number == 1


@pytest.mark.parametrize(
    "signer", [lambda: LILLE.identity, lambda: NETWORK.directory, lambda: NETWORK.administrators[0]]
)
def test_nobody_else_can_sign_a_members_card(signer: Callable[[], Any]) -> None:
    assert refusal_of(signer().sign(body())) == "its signature does not verify"


def test_any_bit_flipped_in_a_card_is_refused() -> None:
    card = MARSEILLE.card
    tried = 0
    for name, step in (("body", 1), ("ed25519_signature", 7), ("mldsa65_signature", 211), ("signer", 5)):
        value = getattr(card, name)
        for bit in range(0, 8 * len(value), step):
            flipped = bytearray(value)
            flipped[bit // 8] ^= 1 << bit % 8
            altered = replace(card, **{name: type(value)(flipped)})
            with pytest.raises((CardRefused, NotAMember)):  # NotAMember where it names a member that is not there
                Card.parse(altered, NETWORK.roster, now=NOW)
            tried += 1
    assert tried > 2000


def test_unknown_fields_and_other_statements_are_refused() -> None:
    longer = replace(MARSEILLE.card, body=MARSEILLE.card.body + b"\xf8\x07\x01")
    assert refusal_of(longer) == "it is malformed"
    assert refusal_of(MARSEILLE.identity.sign(v1.TreeHead(size=1))) == "it is malformed"
    assert refusal_of(replace(MARSEILLE.card, body=MARSEILLE.card.body + bytes(5000))) == "it is malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0},
        {"endpoint": "nonsense"},
        {"life": MAX_LIFE + timedelta(seconds=1)},
        {"profile": bytes(MAX_PROFILE + 1)},
        {"network": bytes(31)},
    ],
    ids=str,
)
def test_a_node_cannot_make_a_card_that_nobody_would_take(changes: dict[str, Any]) -> None:
    with pytest.raises(CardRefused):
        NETWORK.new_card(MARSEILLE, **{"number": 2, **changes})


def test_making_needs_no_endpoint_and_takes_a_shorter_life() -> None:
    member: MemberKeys = LILLE
    signed = make_card(
        member.identity,
        network=NETWORK.roster.network,
        member=member.id,
        number=7,
        sealing_key=member.sealing.public,
        transport_key_digest=member.transport_key_digest,
        profile=member.profile,
        now=NOW,
        life=timedelta(days=1),
    )
    card = Card.parse(signed, NETWORK.roster, now=NOW, profile=member.profile, at_least=7)
    assert (card.endpoint, card.number, card.expire_time) == ("", 7, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    "endpoint", ["a:1", "mailbox.example:443", "192.0.2.7:65535", "[2001:db8::7]:8443", "localhost:50051", "A-b.c:9"]
)
def test_host_and_port_are_an_endpoint(endpoint: str) -> None:
    assert is_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        ":",
        ":443",
        "a:",
        "a",
        "a:0",
        "a:01",
        "a:65536",
        "a:+1",
        "a:٣",
        "a b:1",
        "a:1 ",
        "a:1\n",
        "-a:1",
        "a-:1",
        "a..b:1",
        ".a:1",
        "a.:1",
        "é.example:1",
        "a/b:1",
        "user@a:1",
        "dns:///a:1",
        "unix:/tmp/socket:1",
        "256.1.1.1:1",
        "1.2.3:1",
        "2001:db8::7:1",
        "[2001:db8::7]",
        "[]:1",
        "[a]:1",
        "[192.0.2.300]:1",
        "a" * 64 + ":1",
        ("a" * 60 + ".") * 5 + "a:1",
    ],
)
def test_anything_else_is_no_endpoint(endpoint: str) -> None:
    assert not is_endpoint(endpoint)
