"""Statements are read in protocol order, and nothing that breaks a rule is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from cordee.errors import (
    BadSignature,
    BrokenChain,
    ClockSkew,
    CordeeError,
    MalformedKey,
    MalformedStatement,
    MemberIsSuspended,
    NotAMember,
    RosterBehind,
    SplitView,
    StatementRefused,
    TooLarge,
    TransferOver,
    WrongNetwork,
    WrongParty,
)
from cordee.ids import Digest
from cordee.signing import Signed, SigningKey
from cordee.statements import Statement, TreeHead, peek, redate, time_of
from cordee.times import timestamp_of
from cordee.transfer import Kind, Party
from cordee.v1 import statements_pb2 as v1
from tests.builders import Network
from tests.transfers import Story

Case = tuple[Story, Signed, Callable[..., Statement]]

BODIES: dict[str, Any] = {
    "offer": v1.Offer,
    "acceptance": v1.Answer,
    "refusal": v1.Answer,
    "shipment": v1.Shipment,
    "receipt": v1.Receipt,
    "refused_receipt": v1.Receipt,
    "withdrawal": v1.Withdrawal,
    "erasure": v1.Erasure,
    "refused_erasure": v1.Erasure,
    "return": v1.Erasure,
}


@pytest.fixture
def story() -> Story:
    network = Network.found()
    network.admit("Lille")
    return Story.between(network, "Paris", "Marseille")


def made(story: Story, name: str) -> Case:
    """A statement of this name, made and not yet taken, and how it is read."""
    if name == "offer":
        return story, story.make_offer(), story.read_offer
    story.offer()
    if name in ("acceptance", "refusal"):
        return story, getattr(story, f"make_{name}")(), story.read_answer
    if name == "withdrawal":
        return story, story.make_withdrawal(), story.read_withdrawal
    story.accept()
    if name == "shipment":
        return story, story.make_shipment(), story.read_shipment
    story.ship()
    if name in ("receipt", "refused_receipt"):
        return story, getattr(story, f"make_{name}")(), story.read_receipt
    story.receive()
    if name == "return":
        return story, story.make_return(), story.read_return
    story.withdraw()
    return story, getattr(story, f"make_{name}")(), story.read_erasure


@pytest.fixture(params=BODIES)
def case(request: pytest.FixtureRequest, story: Story) -> Case:
    return made(story, request.param)


def author(story: Story, signed: Signed) -> SigningKey:
    both = (story.sender.identity, story.recipient.identity)
    return next(key for key in both if key.public.key_id == signed.signer)


def body_of(signed: Signed) -> Any:
    return getattr(v1, signed.type.rpartition(".")[2]).FromString(signed.body)


def again(story: Story, signed: Signed, change: Callable[[Any], object]) -> Signed:
    """The same statement with a change, signed by its author: what a cheating node would send."""
    body = body_of(signed)
    change(body)
    return author(story, signed).sign(body)


def leaves(message: Message, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field that is set, at any depth."""
    for descriptor, value in message.ListFields():
        here = (*path, descriptor.name)
        if descriptor.message_type is not None:
            yield from leaves(value, here)
        else:
            yield here, value


def inner(message: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        message = getattr(message, name)
    return message


# ---- what is whole is taken ----


def test_a_whole_transfer_is_read_as_it_was_made(story: Story) -> None:
    story.offer().accept().ship().receive().withdraw().erase()
    offer, answer, shipment = story.offered, story.answered, story.shipped
    assert offer.parties == story.parties
    assert (offer.sender, offer.recipient) == (story.sender.id, story.recipient.id)
    assert offer.token.transfer_id == offer.transfer_id
    assert offer.checkpoint == story.head
    assert answer.accepted().one_time_key == story.one_time.public
    assert answer.accepted().mailbox == "node.example:4433"
    assert answer.sealed_reason is None
    assert shipment.ciphertext_header == bytes(range(56))
    assert story.received.manifest_digest == story.manifest_digest
    assert story.withdrawn.token_id == offer.token.id
    assert story.erased.sealed_report is not None
    taken: list[Statement] = [offer, answer, shipment, story.received, story.withdrawn, story.erased]
    assert [one.kind for one in taken] == [
        Kind.OFFER,
        Kind.ACCEPTANCE,
        Kind.SHIPMENT,
        Kind.RECEIPT_TAKEN,
        Kind.WITHDRAWAL,
        Kind.ERASURE,
    ]
    assert [one.by for one in taken] == [
        Party.SENDER,
        Party.RECIPIENT,
        Party.SENDER,
        Party.RECIPIENT,
        Party.SENDER,
        Party.RECIPIENT,
    ]
    assert [one.author for one in taken] == [offer.sender, offer.recipient] * 3
    assert [one.signed for one in taken] == story.statements


def test_each_statement_is_read_alike_by_broker_node_and_history(case: Case) -> None:
    _, signed, read = case
    fresh = read(signed)
    assert read(signed, fresh=False) == fresh
    assert read(signed, fresh=False, history=True) == fresh
    assert read(Signed.from_bytes(signed.to_bytes())) == fresh
    assert peek(signed).kind == fresh.kind
    assert peek(signed).parties == fresh.parties


def test_a_declined_offer_has_no_key_to_ship_to(story: Story) -> None:
    story.offer().decline()
    assert story.answered.kind is Kind.REFUSAL
    assert story.answered.acceptance is None
    with pytest.raises(StatementRefused, match="declined"):
        story.read_shipment(story.make_shipment())


# ---- what was altered on the way is not ----


def test_every_field_altered_on_the_way_is_refused(case: Case) -> None:
    _, signed, read = case
    original = body_of(signed)
    for path, value in leaves(original):
        body = type(original).FromString(signed.body)
        holder = inner(body, path[:-1])
        if isinstance(value, bytes):
            setattr(holder, path[-1], bytes([value[0] ^ 1]) + value[1:])
        else:
            setattr(holder, path[-1], value + ("x" if isinstance(value, str) else 1))
        altered = replace(signed, body=body.SerializeToString(deterministic=True))
        with pytest.raises(CordeeError):
            read(altered)
        with pytest.raises(CordeeError):
            read(altered, fresh=False, history=True)


FREE = {
    ("acceptance", "mailbox"),  # a member need not host one
    ("token", "not_before", "seconds"),  # 1970: consent that began long ago
}


def test_every_field_left_out_is_refused_though_its_author_signed(case: Case) -> None:
    story, signed, read = case
    for path, _ in leaves(body_of(signed)):
        if path in FREE:
            continue
        body = body_of(signed)
        inner(body, path[:-1]).ClearField(path[-1])
        with pytest.raises(CordeeError):
            read(author(story, signed).sign(body))


def test_every_part_left_out_is_refused_though_its_author_signed(case: Case) -> None:
    story, signed, read = case
    parts = [one.name for one, _ in body_of(signed).ListFields() if one.message_type is not None]
    for name in parts:
        body = body_of(signed)
        body.ClearField(name)
        with pytest.raises(MalformedStatement):
            read(author(story, signed).sign(body))


def test_a_signature_by_another_member_is_refused(case: Case) -> None:
    story, signed, read = case
    outsider = story.network.members["Lille"].identity
    other = next(key for key in (story.sender.identity, story.recipient.identity) if key != author(story, signed))
    for key in (outsider, other):
        with pytest.raises(BadSignature):
            read(key.sign(body_of(signed)))


def test_one_good_signature_is_not_enough(case: Case) -> None:
    story, signed, read = case
    again_signed = author(story, signed).sign(body_of(signed))
    foreign = story.network.members["Lille"].identity.sign(body_of(signed))
    assert read(again_signed)
    with pytest.raises(BadSignature):
        read(replace(signed, ed25519_signature=foreign.ed25519_signature))
    with pytest.raises(BadSignature):
        read(replace(signed, mldsa65_signature=foreign.mldsa65_signature))


def test_a_body_under_another_type_is_refused(case: Case) -> None:
    _, signed, read = case
    for message_class in {one.DESCRIPTOR.full_name for one in BODIES.values()} - {signed.type}:
        with pytest.raises(MalformedStatement):
            read(replace(signed, type=message_class))


def test_a_field_that_nobody_knows_is_refused_though_its_author_signed(case: Case) -> None:
    story, signed, read = case
    unknown = bytes([0xFA, 0x3E, 0x01, 0x00])  # field 1007, one byte
    body = signed.body + unknown
    key = author(story, signed)
    signature = key.sign_entry(signed.type, body)
    forged = replace(
        signed,
        body=body,
        ed25519_signature=signature.ed25519_signature,
        mldsa65_signature=signature.mldsa65_signature,
    )
    with pytest.raises(MalformedStatement):
        read(forged)
    with pytest.raises(MalformedStatement):
        peek(forged)


def test_a_body_over_its_size_is_refused_before_anything_else(case: Case) -> None:
    _, signed, read = case
    with pytest.raises(MalformedStatement, match="limit"):
        read(replace(signed, body=signed.body + bytes(8192)))


# ---- what a cheating author signs is not either ----


def test_another_network_is_refused(case: Case) -> None:
    story, signed, read = case
    with pytest.raises(WrongNetwork):
        read(again(story, signed, lambda body: setattr(body, "network", bytes(32))))


def test_another_members_transfer_is_refused(case: Case) -> None:
    story, signed, read = case
    lille = story.network.members["Lille"].id
    field = "recipient" if author(story, signed) == story.sender.identity else "sender"
    with pytest.raises((WrongParty, StatementRefused)):
        read(again(story, signed, lambda body: setattr(body, field, lille)))


def test_an_outsider_as_party_is_refused(case: Case) -> None:
    story, signed, read = case
    for field in ("sender", "recipient"):
        body = body_of(signed)
        setattr(body, field, bytes(16))
        with pytest.raises(NotAMember):
            read(author(story, signed).sign(body))


def test_another_transfer_is_refused(case: Case) -> None:
    story, signed, read = case
    with pytest.raises((WrongParty, StatementRefused)):
        read(again(story, signed, lambda body: setattr(body, "transfer_id", bytes(16))))


def test_a_statement_far_from_now_is_refused_only_while_fresh(case: Case) -> None:
    story, signed, read = case
    for late in (timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)):
        with pytest.raises(ClockSkew):
            read(signed, now=story.now + late)
        assert read(signed, now=story.now + late, fresh=False)
    for within in (timedelta(minutes=5), -timedelta(minutes=5)):
        assert read(signed, now=story.now + within)


CHAIN = {
    "acceptance": ["offer"],
    "refusal": ["offer"],
    "shipment": ["offer", "answer"],
    "receipt": ["shipment"],
    "refused_receipt": ["shipment"],
    "withdrawal": ["offer"],
    "erasure": ["withdrawal"],
    "refused_erasure": ["withdrawal"],
}


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in CHAIN.items() for field in fields])
def test_a_statement_that_follows_another_one_is_refused(story: Story, name: str, field: str) -> None:
    story, signed, read = made(story, name)
    with pytest.raises(BrokenChain):
        read(again(story, signed, lambda body: setattr(body, field, bytes(32))))


def _time(story: Story, hours: float) -> Any:
    return timestamp_of(story.now + timedelta(hours=hours))


# What the author may not say, though it signs it: statement, change, reason.
LIES: list[tuple[str, str, Callable[[Story, Any], object], type[CordeeError]]] = [
    ("offer", "to itself", lambda s, b: setattr(b, "recipient", b.sender), WrongParty),
    ("offer", "token of another transfer", lambda s, b: setattr(b.token, "transfer_id", bytes(16)), StatementRefused),
    ("offer", "token of another sender", lambda s, b: setattr(b.token, "sender", b.recipient), StatementRefused),
    ("offer", "token for another", lambda s, b: setattr(b.token, "recipient", b.sender), StatementRefused),
    ("offer", "token not begun", lambda s, b: b.token.not_before.CopyFrom(_time(s, 1)), StatementRefused),
    ("offer", "token ended", lambda s, b: b.token.expire_time.CopyFrom(_time(s, 0)), StatementRefused),
    ("offer", "short commitment", lambda s, b: setattr(b.token, "commitment", bytes(31)), MalformedStatement),
    ("offer", "ends as it begins", lambda s, b: b.expire_time.CopyFrom(_time(s, 0)), StatementRefused),
    ("offer", "lives too long", lambda s, b: b.expire_time.CopyFrom(_time(s, 14 * 24 + 1)), StatementRefused),
    ("offer", "too large", lambda s, b: setattr(b, "size_bound", 2**30 + 1), TooLarge),
    ("offer", "an unpadded summary", lambda s, b: setattr(b, "sealed_summary", bytes(1200)), MalformedStatement),
    ("offer", "another root", lambda s, b: setattr(b.checkpoint, "root", bytes(32)), SplitView),
    ("offer", "a longer log", lambda s, b: setattr(b.checkpoint, "size", 99), RosterBehind),
    ("offer", "a log without them", lambda s, b: setattr(b.checkpoint, "size", 1), NotAMember),
    ("offer", "an empty log", lambda s, b: setattr(b.checkpoint, "size", 0), MalformedStatement),
    ("acceptance", "no such key", lambda s, b: setattr(b.acceptance, "one_time_key", b"\xff" * 1216), MalformedKey),
    (
        "acceptance",
        "a short key",
        lambda s, b: setattr(b.acceptance, "one_time_key", b.acceptance.one_time_key[:-1]),
        MalformedKey,
    ),
    (
        "acceptance",
        "a key for ever",
        lambda s, b: b.acceptance.key_expire_time.CopyFrom(_time(s, 73)),
        StatementRefused,
    ),
    ("acceptance", "a dead key", lambda s, b: b.acceptance.key_expire_time.CopyFrom(_time(s, 0)), StatementRefused),
    ("acceptance", "no host", lambda s, b: setattr(b.acceptance, "mailbox", "here"), MalformedStatement),
    ("acceptance", "a host and more", lambda s, b: setattr(b.acceptance, "mailbox", "a:1\n"), MalformedStatement),
    ("acceptance", "a longer log", lambda s, b: setattr(b.checkpoint, "size", 99), RosterBehind),
    ("acceptance", "an empty log", lambda s, b: setattr(b.checkpoint, "size", 0), MalformedStatement),
    ("acceptance", "another root", lambda s, b: setattr(b.checkpoint, "root", bytes(32)), SplitView),
    ("acceptance", "unpadded", lambda s, b: setattr(b.acceptance, "sealed_sections", b"x"), MalformedStatement),
    ("refusal", "another root", lambda s, b: setattr(b.checkpoint, "root", bytes(32)), SplitView),
    ("refusal", "unpadded", lambda s, b: setattr(b.refusal, "sealed_reason", b"x"), MalformedStatement),
    ("shipment", "larger than offered", lambda s, b: setattr(b, "ciphertext_size", 65_537), TooLarge),
    ("shipment", "no content", lambda s, b: setattr(b, "ciphertext_size", 56), StatementRefused),
    ("shipment", "short header", lambda s, b: setattr(b, "ciphertext_header", bytes(55)), MalformedStatement),
    ("shipment", "another key size", lambda s, b: setattr(b, "sealed_content_key", bytes(1169)), MalformedStatement),
    ("receipt", "another manifest", lambda s, b: setattr(b.taken, "manifest_digest", bytes(32)), BrokenChain),
    ("receipt", "a card", lambda s, b: setattr(b, "sender_card", 1), StatementRefused),
    ("refused_receipt", "unpadded", lambda s, b: setattr(b.refused, "sealed_reason", b""), MalformedStatement),
    ("withdrawal", "another token", lambda s, b: setattr(b, "token_id", bytes(16)), StatementRefused),
    ("erasure", "unpadded", lambda s, b: setattr(b.erased, "sealed_report", b"x"), MalformedStatement),
    ("refused_erasure", "unpadded", lambda s, b: setattr(b.refused, "sealed_reason", b"x"), MalformedStatement),
    ("return", "another shipment", lambda s, b: setattr(b.returned, "shipment", bytes(32)), BrokenChain),
    ("return", "a withdrawal too", lambda s, b: setattr(b, "withdrawal", bytes(32)), StatementRefused),
    ("return", "unpadded report", lambda s, b: setattr(b.returned, "sealed_report", b"x"), MalformedStatement),
    ("return", "unpadded reason", lambda s, b: setattr(b.returned, "sealed_reason", b"x"), MalformedStatement),
    ("return", "no card", lambda s, b: setattr(b, "sender_card", 0), StatementRefused),
]


@pytest.mark.parametrize(("name", "lie", "change", "reason"), LIES, ids=[f"{name}: {lie}" for name, lie, *_ in LIES])
def test_what_its_author_may_not_say_is_refused(
    story: Story, name: str, lie: str, change: Callable[[Story, Any], object], reason: type[CordeeError]
) -> None:
    story, signed, read = made(story, name)
    with pytest.raises(reason):
        read(again(story, signed, lambda body: change(story, body)))


def test_times_finer_than_a_microsecond_are_refused(case: Case) -> None:
    story, signed, read = case
    with pytest.raises(MalformedStatement):
        read(again(story, signed, lambda body: setattr(body.time, "nanos", 1)))


def test_an_answer_that_names_an_older_roster_than_the_offer_is_refused(story: Story) -> None:
    before = story.head
    story.network.admit("Lyon")
    story.offer()
    with pytest.raises(StatementRefused, match="older roster"):
        story.read_answer(story.make_acceptance(checkpoint=before))


# ---- members come and go ----


def test_a_suspended_sender_offers_nothing_and_gets_no_answer(story: Story) -> None:
    offer = story.make_offer()
    story.offer()
    answer = story.make_acceptance()
    story.network.suspend(story.sender)
    for fresh in (True, False):
        with pytest.raises(MemberIsSuspended):
            story.read_offer(offer, fresh=fresh)
        with pytest.raises(MemberIsSuspended):
            story.read_answer(answer, fresh=fresh)
    assert story.read_answer(answer, fresh=False, history=True)


def test_nothing_is_shipped_to_a_suspended_recipient(story: Story) -> None:
    story.offer().accept()
    story.network.suspend(story.recipient)
    for fresh in (True, False):
        with pytest.raises(MemberIsSuspended):
            story.read_shipment(story.make_shipment(), fresh=fresh)


def test_a_receipt_that_the_broker_took_is_read_though_its_author_was_suspended_since(story: Story) -> None:
    story.offer().accept().ship()
    receipt = story.make_receipt()
    story.network.suspend(story.recipient)
    with pytest.raises(MemberIsSuspended):
        story.read_receipt(receipt)
    assert story.read_receipt(receipt, fresh=False).kind is Kind.RECEIPT_TAKEN


def test_a_replaced_key_opens_nothing_new(story: Story) -> None:
    old = story.recipient.identity
    before = story.head
    story.offer()
    stolen = story.make_acceptance(key=old, checkpoint=before)
    story.network.recover(story.recipient)
    for fresh in (True, False):
        with pytest.raises(BadSignature):
            story.read_answer(stolen, fresh=fresh)
        with pytest.raises(BadSignature):
            story.read_answer(story.make_acceptance(key=old), fresh=fresh)
    story.accept()
    assert story.answered.signed.signer == story.recipient.identity.public.key_id


def test_a_receipt_signed_before_its_authors_key_was_replaced_still_counts_for_the_node(story: Story) -> None:
    story.offer().accept().ship()
    receipt = story.make_receipt()
    story.network.rotate(story.recipient)
    story.network.rotate(story.recipient)
    assert story.read_receipt(receipt, fresh=False)
    with pytest.raises(BadSignature):
        story.read_receipt(receipt)
    assert story.read_receipt(story.make_receipt())


def test_a_key_given_up_before_the_offer_signs_no_receipt(story: Story) -> None:
    old = story.recipient.identity
    story.network.rotate(story.recipient)
    story.offer().accept().ship()
    for history in (True, False):
        with pytest.raises(BadSignature):
            story.read_receipt(story.make_receipt(key=old), fresh=False, history=history)


def test_a_kept_offer_is_read_under_a_stricter_policy_as_history_alone(story: Story) -> None:
    signed = story.make_offer()
    story.network.change_policy(offer_life_limit=timedelta(days=1))
    with pytest.raises(StatementRefused, match="policy"):
        story.read_offer(signed, fresh=False)
    assert story.read_offer(signed, fresh=False, history=True)


# ---- the end of time ----


def test_an_offer_is_answered_until_it_or_its_token_ends(story: Story) -> None:
    start = story.now
    story.offer(
        expires=start + timedelta(hours=2), token=story.token(expires=start + timedelta(hours=1), not_before=start)
    )
    story.offered.require_in_force(start + timedelta(minutes=59))
    for hours in (1, 2):
        with pytest.raises(TransferOver):
            story.offered.require_in_force(start + timedelta(hours=hours))
        story.now = start + timedelta(hours=hours)
        for answer in (story.make_acceptance(), story.make_refusal()):
            with pytest.raises(TransferOver):
                story.read_answer(answer)
            assert story.read_answer(answer, fresh=False)


def test_a_shipment_is_late_with_its_key_and_not_with_its_offer(story: Story) -> None:
    start = story.now
    story.offer(expires=start + timedelta(hours=1)).accept(key_expires=start + timedelta(hours=3))
    story.now = start + timedelta(hours=2)
    assert story.read_shipment(story.make_shipment())
    story.now = start + timedelta(hours=3)
    with pytest.raises(TransferOver):
        story.read_shipment(story.make_shipment())
    assert story.read_shipment(story.make_shipment(), fresh=False)


def test_a_receipt_a_withdrawal_and_an_erasure_are_never_too_late(story: Story) -> None:
    story.offer().accept().ship()
    story.now += timedelta(days=400)
    story.receive().withdraw().keep_by_law()
    assert story.erased.sealed_reason is not None
    assert story.erased.sealed_report is None


# ---- addresses and tombstones ----


def test_a_node_refuses_what_is_not_its_own(story: Story) -> None:
    story.offer()
    offer, withdrawal = story.statements[0], story.make_withdrawal()
    lille = story.network.members["Lille"].id
    for me in (story.sender.id, story.recipient.id):
        assert story.read_offer(offer, me=me)
        assert story.read_withdrawal(withdrawal, me=me)
    with pytest.raises(WrongParty):
        story.read_offer(offer, me=lille)
    with pytest.raises(WrongParty):
        story.read_withdrawal(withdrawal, me=lille)


def test_a_withdrawal_that_overtakes_its_offer_is_kept_as_a_tombstone(story: Story) -> None:
    story.offer()
    tombstone = story.read_withdrawal(story.make_withdrawal(), offer=None)
    assert tombstone.offer == story.offered.digest
    assert tombstone.token_id == story.offered.token.id
    with pytest.raises(BadSignature):
        story.read_withdrawal(story.make_withdrawal(key=story.recipient.identity), offer=None)


def test_without_our_own_log_a_longer_roster_is_still_noticed(story: Story) -> None:
    head = TreeHead(size=story.network.tree.size + 1, root=Digest(bytes(32)))
    with pytest.raises(RosterBehind):
        story.read_offer(story.make_offer(checkpoint=head), tree=None)


def test_a_log_of_our_own_that_is_too_short_to_judge_by_accuses_nobody(story: Story) -> None:
    with pytest.raises(RosterBehind):
        story.read_offer(story.make_offer(), tree=lambda _size: None)


def test_an_unsigned_head_is_no_evidence_of_a_split_view(story: Story) -> None:
    lie = again(story, story.make_offer(), lambda body: setattr(body.checkpoint, "root", bytes(32)))
    with pytest.raises(BadSignature):
        story.read_offer(replace(lie, ed25519_signature=bytes(64)))


def test_what_is_no_statement_of_a_transfer_cannot_be_peeked_into(story: Story) -> None:
    with pytest.raises(MalformedStatement):
        peek(story.sender.card)


@pytest.mark.parametrize("name", ["offer", "acceptance"])
def test_what_a_clock_that_was_ahead_had_dated_moves_back_whole_and_keeps_its_length(story: Story, name: str) -> None:
    story, _, read = made(story, name)
    right, ahead = story.now, timedelta(seconds=400)
    story.now += ahead
    token = story.token(not_before=story.now - timedelta(minutes=5))
    signed = story.make_offer(token=token) if name == "offer" else story.make_acceptance()
    with pytest.raises(ClockSkew):
        read(signed, now=right)
    anew = redate(signed, key=author(story, signed), now=right)
    taken = read(anew, now=right)
    assert taken.time == right
    before, after = body_of(signed), body_of(anew)
    if name == "offer":
        assert taken.expires - taken.time == timedelta(days=7)
        assert taken.token.not_before == right - timedelta(minutes=5)
        assert before.token.expire_time.ToDatetime() - after.token.expire_time.ToDatetime() == ahead
        assert after.token.commitment == before.token.commitment
    else:
        assert taken.accepted().key_expires - taken.time == timedelta(hours=72)


def test_a_statement_that_waited_too_long_is_dated_anew_and_otherwise_the_same(case: Case) -> None:
    story, signed, read = case
    later = story.now + timedelta(hours=1)
    with pytest.raises(ClockSkew):
        read(signed, now=later)
    anew = redate(signed, key=author(story, signed), now=later)
    assert read(anew, now=later).digest != signed.digest
    assert (time_of(signed), time_of(anew)) == (story.now, later)
    body = body_of(anew)
    body.time.CopyFrom(body_of(signed).time)
    assert body == body_of(signed)
    with pytest.raises(MalformedStatement):
        redate(story.sender.card, key=story.sender.identity, now=later)
