"""Hybrid signatures: what verifies, and that nothing else does."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.errors import BadSignature, CordeeError, MalformedKey, MalformedStatement
from cordee.frame import Label, blake2b_128
from cordee.ids import KeyId, MemberId
from cordee.signing import (
    MAX_BODY,
    MAX_SIGNED,
    Signed,
    SigningKey,
    SigningPublicKey,
    _Proved,
    member_id_of,
    parse_body,
    parse_message,
    verify,
    verify_signature,
)
from cordee.v1 import statements_pb2 as v1

MARSEILLE = SigningKey.from_seed(hashlib.shake_256(b"marseille").digest(64))
LILLE = SigningKey.from_seed(hashlib.shake_256(b"lille").digest(64))


def withdrawal(**changes: bytes) -> v1.Withdrawal:
    fields = {"network": b"n" * 32, "transfer_id": b"t" * 16, "sender": b"s" * 16, "recipient": b"r" * 16}
    return v1.Withdrawal(
        **(fields | changes), offer=b"o" * 32, token_id=b"k" * 16, time=Timestamp(seconds=1_800_000_000)
    )


def unknown_field(number: int = 200) -> bytes:
    """Field `number`, length-delimited, two bytes: what a newer version might add."""
    tag = number << 3 | 2
    return bytes((tag & 0x7F | 0x80, tag >> 7, 2)) + b"hi"


def test_a_signed_statement_verifies_and_survives_bytes_and_message() -> None:
    signed = MARSEILLE.sign(withdrawal())
    verify(signed, MARSEILLE.public)
    assert signed.type == "cordee.v1.Withdrawal"
    assert Signed.from_bytes(signed.to_bytes()) == signed
    assert Signed.from_message(signed.to_message()) == signed
    assert parse_body(signed, v1.Withdrawal) == withdrawal()


def test_a_key_comes_back_from_its_seed() -> None:
    key = SigningKey.generate(os.urandom)
    assert SigningKey.from_seed(key.seed).public == key.public
    assert key.public != SigningKey.generate(os.urandom).public


def test_a_key_never_shows_its_seed() -> None:
    assert MARSEILLE.seed.hex()[:16] not in repr(MARSEILLE)
    assert repr(MARSEILLE.seed)[2:20] not in repr(MARSEILLE)


def test_ids_are_digests_of_both_halves() -> None:
    key = MARSEILLE.public
    assert key.key_id == KeyId(blake2b_128(Label.KEY_ID, key.ed25519, key.mldsa65))
    assert member_id_of(key) == MemberId(blake2b_128(Label.MEMBER_ID, key.ed25519, key.mldsa65))
    other_half = SigningPublicKey(key.ed25519, LILLE.public.mldsa65)
    assert other_half.key_id != key.key_id
    assert member_id_of(other_half) != member_id_of(key)


def test_a_key_survives_its_message() -> None:
    assert SigningPublicKey.from_message(MARSEILLE.public.to_message()) == MARSEILLE.public


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(MalformedKey):
        SigningKey.from_seed(bytes(size))


@pytest.mark.parametrize(
    ("ed25519", "mldsa65"),
    [
        (MARSEILLE.public.ed25519[:31], MARSEILLE.public.mldsa65),
        (MARSEILLE.public.ed25519, MARSEILLE.public.mldsa65 + b"\0"),
        (b"", b""),
        (bytes(32), MARSEILLE.public.mldsa65),  # order 4
        (b"\1" + bytes(31), MARSEILLE.public.mldsa65),  # the neutral element
        (b"\xed" + b"\xff" * 30 + b"\x7f", MARSEILLE.public.mldsa65),  # p: not canonical
        (b"\xff" * 32, MARSEILLE.public.mldsa65),
    ],
)
def test_a_key_of_wrong_form_is_refused(ed25519: bytes, mldsa65: bytes) -> None:
    with pytest.raises(MalformedKey):
        SigningPublicKey(ed25519, mldsa65)
    with pytest.raises(MalformedKey):
        SigningPublicKey.from_message(v1.PublicKey(ed25519=ed25519, mldsa65=mldsa65))


def test_another_signer_is_refused_even_with_its_own_good_signatures() -> None:
    signed = LILLE.sign(withdrawal())
    with pytest.raises(BadSignature):
        verify(signed, MARSEILLE.public)
    with pytest.raises(BadSignature):
        verify(replace(signed, signer=MARSEILLE.public.key_id), MARSEILLE.public)
    with pytest.raises(BadSignature):
        verify(replace(signed, signer=MARSEILLE.public.key_id), LILLE.public)


def test_both_signatures_must_hold() -> None:
    signed = MARSEILLE.sign(withdrawal())
    other = MARSEILLE.sign(withdrawal(sender=b"x" * 16))
    with pytest.raises(BadSignature):
        verify(replace(signed, ed25519_signature=other.ed25519_signature), MARSEILLE.public)
    with pytest.raises(BadSignature):
        verify(replace(signed, mldsa65_signature=other.mldsa65_signature), MARSEILLE.public)


def test_what_has_verified_lends_its_answer_to_nothing_else() -> None:
    signed = MARSEILLE.sign(withdrawal())
    for _ in range(2):
        verify(signed, MARSEILLE.public)
    again = MARSEILLE.sign(withdrawal())  # ML-DSA signs anew each time: a good signature, and not this one's
    altered = bytes((signed.ed25519_signature[0] ^ 1,)) + signed.ed25519_signature[1:]
    for other in (
        replace(signed, signer=LILLE.public.key_id),
        replace(signed, body=withdrawal(sender=b"x" * 16).SerializeToString(deterministic=True)),
        replace(signed, ed25519_signature=altered),
        replace(signed, mldsa65_signature=LILLE.sign(withdrawal()).mldsa65_signature),
    ):
        for _ in range(2):  # a refusal is not remembered as anything else either
            with pytest.raises(BadSignature):
                verify(other, MARSEILLE.public)
    for key in (LILLE.public, SigningPublicKey(MARSEILLE.public.ed25519, LILLE.public.mldsa65)):
        with pytest.raises(BadSignature):
            verify(signed, key)
    verify(again, MARSEILLE.public)


def test_what_is_remembered_of_the_past_is_bounded() -> None:
    proved = _Proved(3)
    digests = [MARSEILLE.sign(withdrawal(sender=bytes((number,)) * 16)).digest for number in range(5)]
    for digest in (*digests, digests[-1]):
        proved.add(digest, MARSEILLE.public)
    assert [proved.holds(each, MARSEILLE.public) for each in digests] == [False, False, True, True, True]


def test_a_signature_for_one_type_does_not_serve_another() -> None:
    signed = MARSEILLE.sign(withdrawal())
    with pytest.raises(BadSignature):
        verify(replace(signed, type="cordee.v1.Erasure"), MARSEILLE.public)


def test_the_ml_dsa_signature_is_bound_to_its_context_string() -> None:
    signed = MARSEILLE.sign(withdrawal())
    bare = MARSEILLE._mldsa65.sign(b"cordee/v1/signature")
    with pytest.raises(BadSignature):
        verify(replace(signed, mldsa65_signature=bare), MARSEILLE.public)


def test_the_digest_covers_both_signatures_the_body_and_the_type() -> None:
    signed = MARSEILLE.sign(withdrawal())
    others = [
        replace(signed, type="cordee.v1.Offer"),
        replace(signed, body=signed.body + b"\0"),
        replace(signed, ed25519_signature=bytes(64)),
        replace(signed, mldsa65_signature=bytes(3309)),
    ]
    assert len({signed.digest, *(other.digest for other in others)}) == 5
    assert Signed.from_bytes(signed.to_bytes()).digest == signed.digest


def test_every_flipped_bit_of_a_signed_statement_is_refused() -> None:
    data = MARSEILLE.sign(withdrawal()).to_bytes()
    head = data.index(b"\x22\x40") + 2  # type, body and signer, up to the Ed25519 signature: every bit
    positions = [*range(head * 8), *range(head * 8, len(data) * 8, 89)]
    assert len(positions) > 1_500
    for position in positions:
        altered = bytearray(data)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises((BadSignature, MalformedStatement)):
            verify(Signed.from_bytes(bytes(altered)), MARSEILLE.public)


@given(st.binary(max_size=300))
def test_no_bytes_make_anything_but_a_cordee_error(data: bytes) -> None:
    with pytest.raises(CordeeError):
        Signed.from_bytes(data)


def test_a_signed_statement_has_one_form_only() -> None:
    signed = MARSEILLE.sign(withdrawal())
    data = signed.to_bytes()
    type_field = data[: 2 + data[1]]
    for other in (
        data + unknown_field(),
        data + type_field,
        data[len(type_field) :] + type_field,
        data[:-1],
        data + b"\0",
    ):
        with pytest.raises(MalformedStatement):
            Signed.from_bytes(other)


def test_unknown_fields_of_the_envelope_are_refused_in_a_message_too() -> None:
    message = v1.Signed.FromString(MARSEILLE.sign(withdrawal()).to_bytes() + unknown_field())
    with pytest.raises(MalformedStatement):
        Signed.from_message(message)


@pytest.mark.parametrize(
    "change",
    [
        {"signer": b"x" * 15},
        {"ed25519_signature": b"x" * 63},
        {"ed25519_signature": b""},
        {"mldsa65_signature": b"x" * 3308},
        {"mldsa65_signature": b"x" * 3310},
        {"type": ""},
        {"type": "cordee/v1"},
        {"type": "é" * 3},
        {"type": "a" * 101},
    ],
)
def test_an_envelope_of_wrong_lengths_is_refused(change: dict[str, object]) -> None:
    message = MARSEILLE.sign(withdrawal()).to_message()
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(MalformedStatement):
        Signed.from_message(message)
    with pytest.raises(MalformedStatement):
        Signed.from_bytes(message.SerializeToString())


def test_a_statement_too_large_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(MalformedStatement, match="the limit is"):
        Signed.from_bytes(b"\0" * (MAX_SIGNED + 1))
    signed = MARSEILLE.sign(withdrawal())
    assert parse_body(signed, v1.Withdrawal, max_size=len(signed.body))
    with pytest.raises(MalformedStatement, match="the limit is"):
        parse_body(signed, v1.Withdrawal, max_size=len(signed.body) - 1)


def test_a_statement_may_be_as_large_as_its_limit() -> None:
    assert (MAX_BODY, MAX_SIGNED) == (65_536, 524_288)  # bytes, the same for every node (protocol §3)
    body = v1.Shipment(ciphertext_header=bytes(65_536))
    body = v1.Shipment(ciphertext_header=bytes(65_536 - (body.ByteSize() - 65_536)))
    assert body.ByteSize() == 65_536
    assert parse_body(MARSEILLE.sign(body), v1.Shipment) == body
    body.ciphertext_header += b"x"
    with pytest.raises(MalformedStatement, match="the limit is 65536"):
        parse_body(MARSEILLE.sign(body), v1.Shipment)


def test_a_body_is_parsed_only_as_what_it_is() -> None:
    with pytest.raises(MalformedStatement):
        parse_body(MARSEILLE.sign(withdrawal()), v1.Offer)
    suspended = v1.MemberSuspended(member=bytes(16))  # its body would do for another kind as well
    assert v1.MemberReinstated.FromString(suspended.SerializeToString()).member == bytes(16)
    with pytest.raises(MalformedStatement, match="another kind"):
        parse_body(MARSEILLE.sign(suspended), v1.MemberReinstated)


def test_unknown_fields_are_refused_at_every_depth() -> None:
    good = v1.Genesis(administrators=[MARSEILLE.public.to_message()], policy=v1.Policy(threshold=1))
    assert parse_message(good.SerializeToString(), v1.Genesis) == good
    in_policy = v1.Policy.FromString(good.policy.SerializeToString() + unknown_field())
    in_key = v1.PublicKey.FromString(good.administrators[0].SerializeToString() + unknown_field())
    for bad in (
        v1.Genesis.FromString(good.SerializeToString() + unknown_field()),
        v1.Genesis(policy=in_policy),
        v1.Genesis(administrators=[MARSEILLE.public.to_message(), in_key]),
        v1.Genesis(nonce=bytes(32), origin="a log", policy=in_policy),  # behind fields that hold no message
    ):
        with pytest.raises(MalformedStatement, match="does not know"):
            parse_message(bad.SerializeToString(), v1.Genesis)


def test_text_that_is_no_utf_8_is_refused() -> None:
    assert v1.Reason(code="a").SerializeToString() == b"\n\x01a"
    with pytest.raises(MalformedStatement):
        parse_message(b"\n\x01\xff", v1.Reason)


@pytest.mark.parametrize("depth", [1, 50, 20_000])
def test_nested_groups_are_refused_at_any_depth(depth: int) -> None:
    start, end = b"\xa3\x06", b"\xa4\x06"  # field 100: a group, which no message of ours has
    with pytest.raises(MalformedStatement):
        parse_message(start * depth + end * depth, v1.Withdrawal, max_size=100_000)


def test_an_entry_is_signed_by_several_hands() -> None:
    body = withdrawal().SerializeToString()
    for key in (MARSEILLE, LILLE):
        signature = key.sign_entry("cordee.v1.MemberAdmitted", body)
        verify_signature(signature, "cordee.v1.MemberAdmitted", body, key.public)
        with pytest.raises(BadSignature):
            verify_signature(signature, "cordee.v1.MemberRemoved", body, key.public)
        with pytest.raises(BadSignature):
            verify_signature(signature, "cordee.v1.MemberAdmitted", body + b"\0", key.public)
    with pytest.raises(BadSignature):
        verify_signature(signature, "cordee.v1.MemberAdmitted", body, MARSEILLE.public)
    short = v1.Signature(signer=signature.signer, ed25519_signature=b"x" * 64, mldsa65_signature=b"")
    with pytest.raises(MalformedStatement):
        verify_signature(short, "cordee.v1.MemberAdmitted", body, LILLE.public)
    more = v1.Signature.FromString(signature.SerializeToString() + unknown_field())
    with pytest.raises(MalformedStatement, match="does not know"):
        verify_signature(more, "cordee.v1.MemberAdmitted", body, LILLE.public)
    in_anothers_name = v1.Signature()
    in_anothers_name.CopyFrom(signature)
    in_anothers_name.signer = MARSEILLE.public.key_id
    with pytest.raises(BadSignature):
        verify_signature(in_anothers_name, "cordee.v1.MemberAdmitted", body, LILLE.public)


def test_a_body_has_64_kibibytes_at_most() -> None:
    largest = v1.Reason(text="é" * 32_766).SerializeToString()
    assert len(largest) == 65_536
    assert parse_message(largest, v1.Reason).SerializeToString() == largest
    with pytest.raises(MalformedStatement, match="65537 bytes"):
        parse_message(largest + b"\0", v1.Reason)


@settings(max_examples=40)
@given(st.binary(max_size=2_000), st.binary(min_size=64, max_size=64))
def test_any_body_signed_with_any_key_verifies_with_that_key_only(body: bytes, seed: bytes) -> None:
    key = SigningKey.from_seed(seed)
    signature = key.sign_entry("cordee.v1.Offer", body)
    verify_signature(signature, "cordee.v1.Offer", body, key.public)
    with pytest.raises(BadSignature):
        verify_signature(signature, "cordee.v1.Offer", body + b"\0", key.public)
    with pytest.raises(BadSignature):
        verify_signature(signature, "cordee.v1.Offer", body, MARSEILLE.public)
