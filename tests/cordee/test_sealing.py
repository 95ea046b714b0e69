"""Sealing: who can open, what shows from outside, and that every failure is one error."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.errors import CannotOpen, MalformedKey
from cordee.frame import Label, frame
from cordee.sealing import (
    OVERHEAD,
    PUBLIC_KEY_SIZE,
    SealingKey,
    SealingPublicKey,
    open_padded,
    open_sealed,
    seal,
    seal_padded,
)

LILLE = SealingKey.from_seed(hashlib.shake_256(b"lille").digest(32))
BREST = SealingKey.from_seed(hashlib.shake_256(b"brest").digest(32))
INFO = frame(Label.CONTENT_KEY, b"transcript")


@settings(max_examples=60)
@given(st.binary(max_size=3_000), st.binary(max_size=500), st.binary(min_size=32, max_size=32))
def test_what_is_sealed_to_a_key_opens_with_it(secret: bytes, info: bytes, seed: bytes) -> None:
    key = SealingKey.from_seed(seed)
    sealed = seal(secret, to=key.public, info=info)
    assert len(sealed) == len(secret) + OVERHEAD
    assert open_sealed(sealed, key=key, info=info) == secret


def test_a_key_survives_its_seed_and_its_bytes() -> None:
    key = SealingKey.generate(os.urandom)
    assert SealingKey.from_seed(key.seed).public == key.public
    assert SealingPublicKey.parse(bytes(key.public)) == key.public
    assert len(key.public) == PUBLIC_KEY_SIZE
    sealed = seal(b"secret", to=SealingPublicKey.parse(bytes(key.public)), info=INFO)
    assert open_sealed(sealed, key=SealingKey.from_seed(key.seed), info=INFO) == b"secret"


def test_a_key_never_shows_its_seed() -> None:
    assert repr(LILLE.seed)[2:20] not in repr(LILLE)


def test_the_same_secret_is_never_sealed_twice_alike() -> None:
    assert seal(b"x", to=LILLE.public, info=INFO) != seal(b"x", to=LILLE.public, info=INFO)


def test_another_key_or_another_info_cannot_open() -> None:
    sealed = seal(b"secret", to=LILLE.public, info=INFO)
    with pytest.raises(CannotOpen):
        open_sealed(sealed, key=BREST, info=INFO)
    with pytest.raises(CannotOpen):
        open_sealed(sealed, key=LILLE, info=INFO + b"\0")
    with pytest.raises(CannotOpen):
        open_sealed(sealed, key=LILLE, info=b"")


def test_every_altered_byte_and_every_truncation_is_refused() -> None:
    sealed = seal(b"secret", to=LILLE.public, info=INFO)
    for position in [*range(0, len(sealed), 7), len(sealed) - 1]:
        altered = bytearray(sealed)
        altered[position] ^= 1 << position % 8
        with pytest.raises(CannotOpen):
            open_sealed(bytes(altered), key=LILLE, info=INFO)
        with pytest.raises(CannotOpen):
            open_sealed(sealed[:position], key=LILLE, info=INFO)
    with pytest.raises(CannotOpen):
        open_sealed(sealed + b"\0", key=LILLE, info=INFO)


@given(st.binary(max_size=2_000))
def test_no_bytes_open_by_chance(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        open_sealed(sealed, key=LILLE, info=INFO)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        bytes(LILLE.public)[:-1],
        bytes(LILLE.public) + b"\0",
        b"\xff" * 1184 + bytes(LILLE.public)[1184:],  # coefficients of 4095: not reduced mod 3329
    ],
)
def test_a_malformed_public_key_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedKey):
        SealingPublicKey.parse(value)


# RFC 7748 §6.1 in X25519's own terms: 0, 1, a point of order 8, p - 1, p, and p + 1
@pytest.mark.parametrize(
    "low_order",
    [
        bytes(32),
        b"\1" + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        *((2**255 - 19 + more).to_bytes(32, "little") for more in (-1, 0, 1)),
    ],
)
def test_a_public_key_of_low_order_is_refused_before_anybody_has_to_seal_to_it(low_order: bytes) -> None:
    with pytest.raises(MalformedKey):
        SealingPublicKey.parse(bytes(LILLE.public)[:1184] + low_order)


def test_a_sealed_text_with_a_low_order_share_is_refused() -> None:
    sealed = seal(b"secret", to=LILLE.public, info=INFO)
    with pytest.raises(CannotOpen):
        open_sealed(sealed[:1088] + bytes(32) + sealed[1120:], key=LILLE, info=INFO)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(MalformedKey):
        SealingKey.from_seed(bytes(size))


@settings(max_examples=60)
@given(st.binary(max_size=1_500), st.integers(min_value=1, max_value=600))
def test_a_padded_secret_comes_back_whatever_the_bucket(secret: bytes, bucket: int) -> None:
    sealed = seal_padded(secret, to=LILLE.public, info=INFO, bucket=bucket)
    assert (len(sealed) - OVERHEAD) % bucket == 0
    assert open_padded(sealed, key=LILLE, info=INFO, bucket=bucket) == secret


def test_padding_hides_the_length() -> None:
    sizes = {len(seal_padded(bytes(n), to=LILLE.public, info=INFO, bucket=256)) for n in range(0, 253, 9)}
    assert sizes == {256 + OVERHEAD}
    assert len(seal_padded(bytes(253), to=LILLE.public, info=INFO, bucket=256)) == 512 + OVERHEAD


@pytest.mark.parametrize(
    "inner",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\1a" + bytes(10) + b"\1",  # padding that is not zero
        b"\0\0\0\1a" + bytes(27),  # two buckets where one is enough
        b"\0\0\0\x0d" + bytes(12),  # a length past the end
        b"\xff\xff\xff\xff" + bytes(12),
        b"\0\0\0\1a" + bytes(10),  # no whole bucket
    ],
)
def test_padding_has_one_form_only(inner: bytes) -> None:
    sealed = seal(inner, to=LILLE.public, info=INFO)
    with pytest.raises(CannotOpen):
        open_padded(sealed, key=LILLE, info=INFO, bucket=16)


def test_a_bucket_has_one_byte_at_least() -> None:
    with pytest.raises(ValueError, match="bucket"):
        seal_padded(b"", to=LILLE.public, info=INFO, bucket=0)
    with pytest.raises(ValueError, match="bucket"):
        open_padded(b"", key=LILLE, info=INFO, bucket=0)
