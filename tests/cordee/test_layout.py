"""Sizes: what is announced before anything is encrypted, and what it tells."""

from __future__ import annotations

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.content import CHUNK, ciphertext_size, size_bound
from cordee.errors import ContentDamaged, TooLarge
from cordee.layout import (
    MINIMUM_SIZE,
    AttachmentData,
    AttachmentEnd,
    ContentLimits,
    ManifestRead,
    PlaintextParser,
    SectionRead,
    check_manifest,
    encode_manifest,
    manifest_digest,
    padded_size,
    padme,
    plaintext_size,
)
from cordee.v1 import statements_pb2 as v1

DIGEST = b"d" * 32


def manifest(sections: dict[str, int], attachments: dict[str, int]) -> v1.Manifest:
    return v1.Manifest(
        sections=[v1.ManifestSection(name=name, size=size, sha256=DIGEST) for name, size in sections.items()],
        attachments=[
            v1.ManifestAttachment(attachment_id=name, size=size, sha256=DIGEST) for name, size in attachments.items()
        ],
    )


@pytest.mark.parametrize(
    ("size", "padded"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (8, 8), (9, 10), (100, 104), (1_000, 1_024), (1_025, 1_088), (10**6, 1_015_808)],
)
def test_padme_gives_the_sizes_of_its_paper(size: int, padded: int) -> None:
    assert padme(size, minimum=0) == padded


@given(st.integers(min_value=1, max_value=2**50))
def test_padme_adds_an_eighth_at_most_and_tells_few_bits(size: int) -> None:
    padded = padme(size, minimum=0)
    assert size <= padded <= size * 1.12 + 1
    assert padme(padded, minimum=0) == padded
    exponent = math.floor(math.log2(size)) if size < 2**48 else size.bit_length() - 1
    significant = math.floor(math.log2(exponent)) + 1 if exponent else 1
    assert padded % 2 ** max(0, exponent - significant) == 0


@given(st.integers(min_value=0, max_value=2**40), st.integers(min_value=0, max_value=2**40))
def test_more_content_never_gives_fewer_bytes(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert MINIMUM_SIZE <= padme(small) <= padme(large)
    assert ciphertext_size(padme(small)) <= ciphertext_size(padme(large))


def test_all_small_cases_look_alike() -> None:
    assert {padme(size) for size in range(0, MINIMUM_SIZE + 1, 1_024)} == {MINIMUM_SIZE}


def test_a_manifest_with_less_in_it_is_within_the_bound() -> None:
    offered = manifest({"identity": 500, "health": 70_000}, {"a": 3 * CHUNK, "b": 5})
    taken = manifest({"identity": 500}, {"a": 3 * CHUNK})
    assert plaintext_size(offered) == 4 + len(encode_manifest(offered)) + 70_500 + 3 * CHUNK + 5
    assert padded_size(offered) == padme(plaintext_size(offered))
    assert size_bound(taken) <= size_bound(offered) == ciphertext_size(padded_size(offered))


def test_the_manifests_digest_depends_on_every_byte() -> None:
    raw = encode_manifest(manifest({"identity": 5}, {}))
    assert manifest_digest(raw) != manifest_digest(raw + b"\0")


@pytest.mark.parametrize(
    "bad",
    [
        v1.Manifest(sections=[v1.ManifestSection(name="", size=1, sha256=DIGEST)]),
        v1.Manifest(sections=[v1.ManifestSection(name="a", sha256=DIGEST)] * 2),
        v1.Manifest(sections=[v1.ManifestSection(name="a", sha256=DIGEST[:31])]),
        v1.Manifest(attachments=[v1.ManifestAttachment(attachment_id="", sha256=DIGEST)]),
        v1.Manifest(attachments=[v1.ManifestAttachment(attachment_id="a", sha256=DIGEST)] * 2),
        v1.Manifest(attachments=[v1.ManifestAttachment(attachment_id="a", sha256=b"")]),
    ],
)
def test_a_manifest_that_names_a_part_badly_is_refused(bad: v1.Manifest) -> None:
    with pytest.raises(ContentDamaged):
        check_manifest(bad, ContentLimits())


def test_what_is_held_in_memory_has_limits() -> None:
    good = manifest({"a": 600, "b": 400}, {"film": 10**12})
    check_manifest(good, ContentLimits(manifest=good.ByteSize(), sections=1_000))
    with pytest.raises(TooLarge):
        check_manifest(good, ContentLimits(manifest=good.ByteSize() - 1))
    with pytest.raises(TooLarge):
        check_manifest(good, ContentLimits(sections=999))


# ---- the plaintext, read in pieces ----


def plaintext_of(sections: dict[str, bytes], attachments: dict[str, bytes]) -> bytes:
    written = v1.Manifest(
        sections=[
            v1.ManifestSection(name=name, size=len(data), sha256=hashlib.sha256(data).digest())
            for name, data in sections.items()
        ],
        attachments=[
            v1.ManifestAttachment(attachment_id=name, size=len(data), sha256=hashlib.sha256(data).digest())
            for name, data in attachments.items()
        ],
    )
    raw = encode_manifest(written)
    content = len(raw).to_bytes(4, "big") + raw + b"".join(sections.values()) + b"".join(attachments.values())
    return content + bytes(padded_size(written) - len(content))


@pytest.mark.parametrize("piece", [1, 3, 1_000, 2**20])
def test_every_part_is_read_whole_in_whatever_pieces_it_comes(piece: int) -> None:
    sections, attachments = {"identity": b"Lina, 14", "risk": bytes(range(250)) * 9}, {"a": b"scan " * 500}
    plaintext = plaintext_of(sections, attachments)
    parser = PlaintextParser(len(plaintext), ContentLimits())
    released = [
        each for start in range(0, len(plaintext), piece) for each in parser.take(plaintext[start : start + piece])
    ]
    assert parser.complete
    assert {each.name: each.data for each in released if isinstance(each, SectionRead)} == sections
    assert b"".join(each.data for each in released if isinstance(each, AttachmentData)) == attachments["a"]
    assert not any("Lina" in repr(each) or "scan" in repr(each) for each in released)
    assert not any("identity" in repr(each) for each in released if isinstance(each, ManifestRead))
    assert not any("sha256" in repr(each) for each in released if isinstance(each, AttachmentEnd))


def test_a_byte_behind_the_padding_is_refused() -> None:
    plaintext = plaintext_of({"identity": b"Lina"}, {})
    parser = PlaintextParser(len(plaintext), ContentLimits())
    with pytest.raises(ContentDamaged):
        list(parser.take(plaintext + b"\0"))


def test_the_manifest_and_eight_mebibytes_of_sections_are_held_in_memory_and_no_more() -> None:
    check_manifest(manifest({"a": 8 * 2**20}, {}), ContentLimits())
    with pytest.raises(TooLarge):
        check_manifest(manifest({"a": 8 * 2**20 + 1}, {}), ContentLimits())
