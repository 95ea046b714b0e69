"""The encrypted content: what comes back, and that nothing altered ever does."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.content import (
    CHUNK,
    HEADER_SIZE,
    MINIMUM_SIZE,
    AttachmentData,
    AttachmentEnd,
    ContentLimits,
    ContentReader,
    ContentWriter,
    ManifestRead,
    Released,
    SectionRead,
    ciphertext_size,
    encode_manifest,
    manifest_digest,
    padded_size,
    plaintext_size,
    size_bound,
    write_content,
)
from cordee.errors import ContentDamaged, MalformedKey, TooLarge
from cordee.v1 import statements_pb2 as v1

KEY = hashlib.sha256(b"key").digest()
CONTEXT = b"transcript"
CIPHER_CHUNK = 16_384 + 16


def noise(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


@dataclass
class Case:
    """What goes in, and what should come out."""

    sections: dict[str, bytes]
    attachments: dict[str, bytes]

    @property
    def manifest(self) -> v1.Manifest:
        return v1.Manifest(
            case_id="c",
            sections=[
                v1.ManifestSection(name=name, size=len(data), sha256=hashlib.sha256(data).digest())
                for name, data in self.sections.items()
            ],
            attachments=[
                v1.ManifestAttachment(attachment_id=name, size=len(data), sha256=hashlib.sha256(data).digest())
                for name, data in self.attachments.items()
            ],
        )

    def write(self, manifest: v1.Manifest | None = None, *, chunk: int = CHUNK) -> bytes:
        pieces = ([data[i : i + chunk] for i in range(0, len(data), chunk)] for data in self.attachments.values())
        return b"".join(
            write_content(manifest or self.manifest, self.sections.values(), pieces, key=KEY, context=CONTEXT)
        )


SMALL = Case({"identity": noise("identity", 300), "health": noise("health", 1_000)}, {})
LARGE = Case(SMALL.sections, {"photo": noise("photo", 90_000), "empty": b"", "letter": noise("letter", 40_000)})


def reader(size: int, **changes: object) -> ContentReader:
    return ContentReader(**({"key": KEY, "context": CONTEXT, "expected_size": size} | changes))  # type: ignore[arg-type]


def read(ciphertext: bytes, *, piece: int = CHUNK, **changes: object) -> list[Released]:
    """All that is released, once the end is authenticated."""
    opened = reader(**({"size": len(ciphertext)} | changes))  # type: ignore[arg-type]
    released: list[Released] = []
    for start in range(0, len(ciphertext), piece):
        released.extend(opened.feed(ciphertext[start : start + piece]))
    opened.finish()
    return released


def case_of(released: Iterable[Released]) -> Case:
    case, begun = Case({}, {}), dict[str, bytes]()
    for found in released:
        match found:
            case SectionRead(name, data):
                case.sections[name] = data
            case AttachmentData(name, data):
                begun[name] = begun.get(name, b"") + data
            case AttachmentEnd(name, sha256):
                case.attachments[name] = begun.pop(name, b"")
                assert hashlib.sha256(case.attachments[name]).digest() == sha256
            case ManifestRead():
                pass
    assert not begun
    return case


def encrypt(plaintext: bytes) -> bytes:
    """A plaintext that no honest writer makes."""
    writer = ContentWriter(KEY, CONTEXT)
    return writer.update(plaintext) + writer.finish()


def plaintext_of(case: Case, manifest: v1.Manifest | None = None) -> bytes:
    raw = encode_manifest(manifest or case.manifest)
    return b"".join((len(raw).to_bytes(4, "big"), raw, *case.sections.values(), *case.attachments.values()))


def padded(plaintext: bytes, size: int) -> bytes:
    return plaintext + bytes(size - len(plaintext))


@pytest.mark.parametrize("case", [Case({}, {}), SMALL, LARGE, Case({}, {"film": noise("film", 3 * CHUNK + 5)})])
@pytest.mark.parametrize("piece", [CHUNK, 7_777, 10**7])
def test_a_case_comes_back_as_it_was(case: Case, piece: int) -> None:
    ciphertext = case.write()
    released = read(ciphertext, piece=piece)
    assert case_of(released) == case
    assert isinstance(released[0], ManifestRead)
    assert released[0].message == case.manifest
    assert released[0].digest == manifest_digest(encode_manifest(case.manifest))
    assert len(ciphertext) == size_bound(case.manifest) == ciphertext_size(padded_size(case.manifest))


def test_a_case_comes_back_fed_byte_by_byte() -> None:
    assert case_of(read(SMALL.write(), piece=1)) == SMALL


@settings(max_examples=40, deadline=None)
@given(
    sections=st.lists(st.binary(max_size=2_000), max_size=4),
    sizes=st.lists(st.integers(min_value=0, max_value=70_000), max_size=4),
    chunk=st.integers(min_value=1_000, max_value=80_000),
    piece=st.integers(min_value=1_000, max_value=80_000),
)
def test_any_case_comes_back_whatever_the_pieces(
    sections: list[bytes], sizes: list[int], chunk: int, piece: int
) -> None:
    case = Case(
        {f"s{i}": data for i, data in enumerate(sections)}, {f"a{i}": noise(f"a{i}", n) for i, n in enumerate(sizes)}
    )
    assert case_of(read(case.write(chunk=chunk), piece=piece)) == case


@pytest.mark.parametrize("missing", [0, 1, 16, 17])
def test_a_case_comes_back_when_padding_is_little_or_none(missing: int) -> None:
    empty = Case({}, {"film": b""})
    size = 2 * MINIMUM_SIZE - missing - plaintext_size(empty.manifest)
    size -= Case({}, {"film": bytes(size)}).manifest.ByteSize() - empty.manifest.ByteSize()
    case = Case({}, {"film": noise("film", size)})
    assert plaintext_size(case.manifest) == 2 * MINIMUM_SIZE - missing
    assert padded_size(case.manifest) == 2 * MINIMUM_SIZE
    assert case_of(read(case.write())) == case


def test_the_header_is_known_first_and_checked_when_given() -> None:
    writer = ContentWriter(KEY, CONTEXT)
    header = writer.header
    ciphertext = writer.update(padded(plaintext_of(SMALL), MINIMUM_SIZE)) + writer.finish()
    assert ciphertext[:HEADER_SIZE] == header
    assert len(header) == HEADER_SIZE
    for piece in (1, 50, CHUNK):
        assert case_of(read(ciphertext, header=header, piece=piece)) == SMALL
    for wrong in (header[:-1], b"", bytes(56), SMALL.write()[:HEADER_SIZE]):
        with pytest.raises(ContentDamaged):
            read(ciphertext, header=wrong)


def test_two_cases_of_one_bucket_cannot_be_told_apart_by_size() -> None:
    assert len(SMALL.write()) == len(Case({}, {}).write()) == ciphertext_size(MINIMUM_SIZE)


def boundaries(ciphertext: bytes) -> list[int]:
    """Around the header, and around the edge of each of the cipher's chunks."""
    edges = {0, 1, 23, 24, 55, *range(HEADER_SIZE, len(ciphertext), CIPHER_CHUNK), len(ciphertext)}
    near = {edge + step for edge in edges for step in (-17, -16, -1, 0, 1)}
    return sorted(position for position in near if 0 <= position < len(ciphertext))


def test_a_truncation_anywhere_is_refused() -> None:
    ciphertext = LARGE.write()
    for end in boundaries(ciphertext):
        with pytest.raises(ContentDamaged):
            read(ciphertext[:end], size=len(ciphertext))
        with pytest.raises(ContentDamaged):
            read(ciphertext[:end], size=end)


def test_a_flipped_bit_anywhere_is_refused() -> None:
    ciphertext = LARGE.write()
    positions = boundaries(ciphertext)
    assert len(positions) > 50
    for position in positions:
        altered = bytearray(ciphertext)
        altered[position] ^= 1 << position % 8
        with pytest.raises(ContentDamaged):
            read(bytes(altered))


def chunks_of(ciphertext: bytes) -> tuple[bytes, list[bytes]]:
    body = ciphertext[HEADER_SIZE:]
    return ciphertext[:HEADER_SIZE], [body[i : i + CIPHER_CHUNK] for i in range(0, len(body), CIPHER_CHUNK)]


@pytest.mark.parametrize(
    "reorder",
    [
        lambda chunks: [chunks[1], chunks[0], *chunks[2:]],
        lambda chunks: [chunks[0], chunks[0], *chunks[2:]],
        lambda chunks: [*chunks[:3], chunks[4], chunks[3], *chunks[5:]],
        lambda chunks: [*chunks[:3], *chunks[4:]],
        lambda chunks: [chunks[0], *chunks],
        lambda chunks: [*chunks, chunks[-1]],
    ],
)
def test_chunks_out_of_their_place_are_refused(reorder: Callable[[list[bytes]], list[bytes]]) -> None:
    header, chunks = chunks_of(LARGE.write())
    altered = header + b"".join(reorder(chunks))
    with pytest.raises(ContentDamaged):
        read(altered, size=len(LARGE.write()))
    with pytest.raises(ContentDamaged):
        read(altered)


def test_chunks_of_another_shipment_are_refused() -> None:
    (header, one), (_, other) = chunks_of(LARGE.write()), chunks_of(LARGE.write())
    with pytest.raises(ContentDamaged):
        read(header + b"".join([*one[:2], *other[2:]]))


@pytest.mark.parametrize("extra", [b"\0", b"x" * 16, b"x" * CIPHER_CHUNK])
def test_anything_after_the_end_is_refused(extra: bytes) -> None:
    ciphertext = SMALL.write()
    opened = reader(len(ciphertext))
    list(opened.feed(ciphertext))
    with pytest.raises(ContentDamaged, match="longer"):
        opened.feed(extra)
    with pytest.raises(ContentDamaged):
        read(ciphertext + extra)
    with pytest.raises(ContentDamaged):
        read(ciphertext + extra, size=len(ciphertext))


def test_another_key_or_context_releases_nothing() -> None:
    ciphertext = SMALL.write()
    for change in ({"key": bytes(32)}, {"context": b"another"}, {"context": b""}):
        opened = reader(len(ciphertext), **change)
        with pytest.raises(ContentDamaged):
            opened.feed(ciphertext[:1_000])


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(MalformedKey):
        ContentWriter(KEY[:31], CONTEXT)
    with pytest.raises(ContentDamaged):
        reader(ciphertext_size(MINIMUM_SIZE), key=KEY + b"\0")


def test_a_reader_stays_dead_after_an_error() -> None:
    good = LARGE.write()
    ciphertext = good[:60_000] + bytes((good[60_000] ^ 1,)) + good[60_001:]
    opened = reader(len(ciphertext))
    assert list(opened.feed(ciphertext[:30_000]))
    with pytest.raises(ContentDamaged):
        opened.feed(ciphertext[30_000:])
    for again in (lambda: opened.feed(good[30_000:]), lambda: opened.feed(b""), opened.finish):
        with pytest.raises(ContentDamaged, match="failed before"):
            again()


def test_nothing_more_at_the_end_is_no_error() -> None:
    ciphertext = LARGE.write()
    opened = reader(len(ciphertext))
    list(opened.feed(ciphertext))
    assert list(opened.feed(b"")) == []
    opened.finish()


def test_its_sizes_are_those_of_the_protocol() -> None:
    assert (HEADER_SIZE, CHUNK) == (56, 2**20)
    assert ciphertext_size(16_383) == 56 + 16_383 + 16
    assert ciphertext_size(16_384) == 56 + 16_384 + 2 * 16


def test_a_reader_that_was_not_fed_to_the_end_does_not_finish() -> None:
    ciphertext = LARGE.write()
    opened = reader(len(ciphertext))
    released = list(opened.feed(ciphertext[:-1]))
    assert released, "plaintext is released before the end is known: this is why it stays in quarantine"
    assert opened.missing == 1
    with pytest.raises(ContentDamaged, match="truncated"):
        opened.finish()
    with pytest.raises(ContentDamaged):
        opened.feed(ciphertext[-1:])
    with pytest.raises(ContentDamaged, match="truncated"):
        reader(len(ciphertext)).finish()


@pytest.mark.parametrize(
    "size", [-1, 0, 55, HEADER_SIZE, ciphertext_size(MINIMUM_SIZE) - 1, HEADER_SIZE + 5 * 16_400 + 3]
)
def test_a_size_that_no_content_has_is_refused_at_once(size: int) -> None:
    with pytest.raises(ContentDamaged, match="announced size"):
        reader(size)


@pytest.mark.parametrize("at", [0, 1, -1])
def test_padding_that_is_not_zero_is_refused(at: int) -> None:
    plaintext = plaintext_of(SMALL)
    padding = bytearray(MINIMUM_SIZE - len(plaintext))
    assert case_of(read(encrypt(plaintext + padding))) == SMALL
    padding[at] = 1
    with pytest.raises(ContentDamaged, match="padding"):
        read(encrypt(plaintext + padding))


def test_more_or_less_padding_than_padme_is_refused() -> None:
    plaintext = plaintext_of(LARGE)
    right = padded_size(LARGE.manifest)
    assert case_of(read(encrypt(padded(plaintext, right)))) == LARGE
    for size in (right - 1, right + 1, right + 16_384, len(plaintext)):
        with pytest.raises(ContentDamaged, match="another size"):
            read(encrypt(padded(plaintext, size)))


def test_a_section_or_attachment_that_does_not_match_its_digest_is_refused() -> None:
    for altered in (
        Case(LARGE.sections | {"health": noise("other", 1_000)}, LARGE.attachments),
        Case(LARGE.sections, LARGE.attachments | {"letter": noise("other", 40_000)}),
    ):
        plaintext = padded(plaintext_of(altered, LARGE.manifest), padded_size(LARGE.manifest))
        with pytest.raises(ContentDamaged, match="digest"):
            read(encrypt(plaintext))


def test_sizes_that_lie_are_refused_on_reading() -> None:
    lying = SMALL.manifest
    lying.sections[0].size += 1
    lying.sections[1].size -= 1
    with pytest.raises(ContentDamaged, match="digest"):
        read(encrypt(padded(plaintext_of(SMALL, lying), MINIMUM_SIZE)))
    lying.sections[1].size = 2 * MINIMUM_SIZE
    with pytest.raises(ContentDamaged, match="another size"):
        read(encrypt(padded(plaintext_of(SMALL, lying), MINIMUM_SIZE)))
    lying.sections[1].size = 2**64 - 1
    with pytest.raises(TooLarge):
        read(encrypt(padded(plaintext_of(SMALL, lying), MINIMUM_SIZE)))


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xff\xff\xff",  # a manifest of 4 GiB
        b"\0\x10\0\x01",  # one byte over 1 MiB
    ],
)
def test_a_manifest_over_its_limit_is_refused_before_it_is_read(head: bytes) -> None:
    with pytest.raises(TooLarge):
        read(encrypt(padded(head, MINIMUM_SIZE)))


@pytest.mark.parametrize("raw", [b"\xff", b"\xfa\x01\x01x", b"\x22\x01\xff"])
def test_a_manifest_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(ContentDamaged, match="parsed"):
        read(encrypt(padded(len(raw).to_bytes(4, "big") + raw, MINIMUM_SIZE)))


def test_the_limits_can_be_set() -> None:
    with pytest.raises(TooLarge):
        read(SMALL.write(), limits=ContentLimits(sections=1_299))
    with pytest.raises(TooLarge):
        write_content(
            SMALL.manifest, SMALL.sections.values(), [], key=KEY, context=CONTEXT, limits=ContentLimits(manifest=10)
        )


@pytest.mark.parametrize(
    ("sections", "attachments"),
    [
        ({"a": b"1234"}, {}),
        ({"a": b"12345", "b": b"12345"}, {}),
        ({"a": b"12345"}, {"x": b"123456"}),
        ({"a": b"12345"}, {"x": b"1234567", "y": b""}),
        ({"a": b"12345"}, {"x": b"12345678"}),
        ({}, {"x": b"1234567"}),
    ],
)
def test_a_writer_refuses_what_its_manifest_does_not_say(
    sections: dict[str, bytes], attachments: dict[str, bytes]
) -> None:
    manifest = Case({"a": b"12345"}, {"x": b"1234567"}).manifest
    with pytest.raises(ContentDamaged):
        Case(sections, attachments).write(manifest, chunk=3)


def test_an_attachment_that_does_not_end_is_cut_off_at_its_size() -> None:
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        while asked < 100:
            asked += 1
            yield b"123"

    manifest = Case({}, {"x": b"1234567"}).manifest
    with pytest.raises(ContentDamaged, match="another size"):
        list(write_content(manifest, [], [endless()], key=KEY, context=CONTEXT))
    assert asked == 3


def test_a_writer_refuses_a_bad_manifest_before_it_gives_anything() -> None:
    manifest = SMALL.manifest
    manifest.sections[1].name = manifest.sections[0].name
    with pytest.raises(ContentDamaged):
        write_content(manifest, [], [], key=KEY, context=CONTEXT)


def test_pieces_are_never_much_larger_than_a_chunk() -> None:
    case = Case({}, {"film": noise("film", 5 * CHUNK)})
    pieces = list(write_content(case.manifest, [], [[case.attachments["film"]]], key=KEY, context=CONTEXT))
    assert max(map(len, pieces)) < CHUNK + 2 * CIPHER_CHUNK


def peak_memory(size: int) -> int:
    """Most bytes held at once while `size` bytes are written and read, piece by piece."""
    block = noise("block", CHUNK)
    sha256 = hashlib.sha256()
    for _ in range(size // CHUNK):
        sha256.update(block)
    entry = v1.ManifestAttachment(attachment_id="film", size=size, sha256=sha256.digest())
    manifest = v1.Manifest(attachments=[entry])

    def film() -> Iterator[bytes]:
        for _ in range(size // CHUNK):
            yield bytes(bytearray(block))  # a new object each time, as from a file

    opened = reader(size_bound(manifest))
    arrived = 0
    tracemalloc.start()
    for piece in write_content(manifest, [], [film()], key=KEY, context=CONTEXT):
        arrived += sum(len(found.data) for found in opened.feed(piece) if isinstance(found, AttachmentData))
    opened.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert arrived == size
    return peak


def test_memory_does_not_grow_with_the_content() -> None:
    small, large = peak_memory(8 * 2**20), peak_memory(64 * 2**20)
    assert large < 6 * CHUNK
    assert large < small * 1.2
