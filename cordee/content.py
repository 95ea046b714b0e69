"""The encrypted content of a shipment: written once, read into quarantine (protocol §7).

C2SP chunked encryption with AES-256-GCM, in the library `cryptography.cobblestone`: 56 bytes of header (salt, key
commitment), then chunks of 16 KiB with 16 bytes of tag each; the last one, shorter, authenticates the end. The salt
is drawn by the library. Nothing here holds more than a few pieces of 1 MiB, the manifest and one section.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import AlreadyFinalized, InvalidTag

from cordee.errors import N_, ContentDamaged, MalformedKey
from cordee.layout import (
    LENGTH_SIZE,
    MINIMUM_SIZE,
    AttachmentData,
    AttachmentEnd,
    ContentLimits,
    ManifestRead,
    PlaintextParser,
    Released,
    SectionRead,
    check_manifest,
    encode_manifest,
    manifest_digest,
    padded_size,
    padme,
    plaintext_size,
)
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "CHUNK",
    "HEADER_SIZE",
    "KEY_SIZE",
    "MINIMUM_SIZE",
    "AttachmentData",
    "AttachmentEnd",
    "ContentLimits",
    "ContentReader",
    "ContentWriter",
    "ManifestRead",
    "Released",
    "SectionRead",
    "ciphertext_size",
    "encode_manifest",
    "manifest_digest",
    "padded_size",
    "padme",
    "plaintext_size",
    "size_bound",
    "write_content",
]

HEADER_SIZE = 56
KEY_SIZE = 32
CHUNK = 1_048_576
"""Bytes of the pieces that are encrypted, stored and sent; the cipher's own chunks inside are smaller."""

_CIPHER_CHUNK = 16_384
_TAG_SIZE = 16
_ZEROS = bytes(CHUNK)
_DEFAULT_LIMITS = ContentLimits()


def ciphertext_size(plaintext_size: int) -> int:
    """Bytes of the ciphertext. The last chunk is always a short one, an empty one if need be."""
    chunks = plaintext_size // _CIPHER_CHUNK + 1
    return HEADER_SIZE + plaintext_size + chunks * _TAG_SIZE


def size_bound(manifest: v1.Manifest) -> int:
    """Bytes of the ciphertext of this manifest's content: known before anything is encrypted.

    A manifest with fewer sections or attachments never gives more, so the one offered bounds the one shipped.
    """
    return ciphertext_size(padded_size(manifest))


def _plaintext_size_of(ciphertext: int) -> int:
    """The inverse of `ciphertext_size`. Raises: ContentDamaged where no plaintext gives this size."""
    whole, rest = divmod(ciphertext - HEADER_SIZE, _CIPHER_CHUNK + _TAG_SIZE)
    size = whole * _CIPHER_CHUNK + rest - _TAG_SIZE
    if size < MINIMUM_SIZE or rest < _TAG_SIZE:
        raise ContentDamaged(problem=N_("no content has the announced size"))
    return size


class ContentWriter:
    """Encrypts one plaintext, piece by piece. It pads nothing: `write_content` does.

    `context` is authenticated with every chunk: the frame of the transfer's transcript.

    Raises: MalformedKey where the key has not 32 bytes.
    """

    def __init__(self, key: bytes, context: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise MalformedKey(what=N_("content key"))
        self._encryptor = Cobblestone256Encryptor(key, context)
        self._header: bytes = self._encryptor.update(b"")
        self._begun = False

    @property
    def header(self) -> bytes:
        """The ciphertext's first 56 bytes, as the shipment names them: known before anything is written."""
        return self._header

    def update(self, data: bytes | memoryview) -> bytes:
        """Encrypt more; gives the ciphertext that is ready, the header first. Feed about 1 MiB at a time."""
        ready: bytes = self._encryptor.update(data)
        return self._with_header(ready)

    def finish(self) -> bytes:
        """The rest of the ciphertext, with its authenticated end. The writer cannot be used afterwards."""
        ready: bytes = self._encryptor.finalize()
        return self._with_header(ready)

    def _with_header(self, ready: bytes) -> bytes:
        if self._begun:
            return ready
        self._begun = True
        return self._header + ready


def write_content(
    manifest: v1.Manifest,
    sections: Iterable[bytes],
    attachments: Iterable[Iterable[bytes]],
    *,
    key: bytes,
    context: bytes,
    limits: ContentLimits = _DEFAULT_LIMITS,
) -> Iterator[bytes]:
    """The whole ciphertext, in pieces of about 1 MiB; `size_bound(manifest)` bytes in all.

    `sections` and `attachments` (each as chunks of bytes) come in the manifest's order. Digests were taken when an
    attachment was attached and are not taken again.

    Raises: TooLarge, MalformedKey, or ContentDamaged for a manifest that names a part twice, all at once; while it
    runs, ContentDamaged where a part is missing, too many, or of another size than the manifest says. What was
    written until then is to be thrown away.
    """
    check_manifest(manifest, limits)
    writer = ContentWriter(key, context)
    return _encrypt(writer, _plaintext(manifest, sections, attachments))


def _encrypt(writer: ContentWriter, plaintext: Iterable[bytes]) -> Iterator[bytes]:
    for data in plaintext:
        view = memoryview(data)
        for start in range(0, len(view), CHUNK):
            ready = writer.update(view[start : start + CHUNK])
            if ready:
                yield ready
    yield writer.finish()


def _plaintext(
    manifest: v1.Manifest, sections: Iterable[bytes], attachments: Iterable[Iterable[bytes]]
) -> Iterator[bytes]:
    raw = encode_manifest(manifest)
    yield len(raw).to_bytes(LENGTH_SIZE, "big") + raw
    yield from _parts([section.size for section in manifest.sections], ((section,) for section in sections))
    yield from _parts([attachment.size for attachment in manifest.attachments], attachments)
    padding = padded_size(manifest) - plaintext_size(manifest)
    while padding:
        zeros = _ZEROS[:padding]
        yield zeros
        padding -= len(zeros)


def _parts(sizes: list[int], parts: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    rest = iter(parts)
    for size in sizes:
        chunks = next(rest, None)
        if chunks is None:
            raise ContentDamaged(problem=N_("a part of the manifest is missing"))
        left = size
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            raise ContentDamaged(problem=N_("a part has another size than the manifest says"))
    if next(rest, None) is not None:
        raise ContentDamaged(problem=N_("there are more parts than the manifest names"))


class ContentReader:
    """Decrypts one content and checks it against its manifest.

    **What it releases is not yet authenticated to its end**: keep all of it in quarantine, sealed, until `finish`
    has returned. After any error it stays dead.

    `expected_size` and `header` are those of the shipment. Memory: the piece fed, the manifest, one section.

    Raises: ContentDamaged for every alteration, truncation, wrong key or context; TooLarge over a limit.
    """

    def __init__(
        self,
        key: bytes,
        context: bytes,
        *,
        expected_size: int,
        header: bytes | None = None,
        limits: ContentLimits = _DEFAULT_LIMITS,
    ) -> None:
        if len(key) != KEY_SIZE:
            raise ContentDamaged(problem=N_("its key has not 32 bytes"))
        self._parser = PlaintextParser(_plaintext_size_of(expected_size), limits)
        self._decryptor = Cobblestone256Decryptor(key, context)
        self._header = header
        self._start = bytearray()
        self._left = expected_size
        self._dead = False

    @property
    def missing(self) -> int:
        """Bytes of ciphertext still to come."""
        return self._left

    def feed(self, data: bytes | memoryview) -> Iterator[Released]:
        """Decrypt the next bytes at once, and give what they held. Feed about 1 MiB at a time.

        Raises: ContentDamaged, TooLarge; what the same call would have released is then dropped.
        """
        if self._dead:
            raise ContentDamaged(problem=N_("it failed before"))
        self._dead = True  # until this piece has held
        released = [found for plaintext in self._decrypt(memoryview(data)) for found in self._parser.take(plaintext)]
        self._dead = False
        return iter(released)

    def finish(self) -> None:
        """The end was reached and authenticated; quarantine may be left. Raises: ContentDamaged if it was not."""
        if self._dead:
            raise ContentDamaged(problem=N_("it failed before"))
        if self._left or not self._parser.complete:
            self._dead = True
            raise ContentDamaged(problem=N_("it is truncated"))

    def _decrypt(self, data: memoryview) -> Iterator[bytes]:
        if len(data) > self._left:
            raise ContentDamaged(problem=N_("it is longer than announced"))
        self._check_header(data)
        self._left -= len(data)
        try:
            for start in range(0, len(data), CHUNK):
                yield self._decryptor.update(data[start : start + CHUNK])
            if not self._left and len(data):
                yield self._decryptor.finalize()
        except (InvalidTag, AlreadyFinalized, ValueError) as error:
            raise ContentDamaged(problem=N_("it is altered, or encrypted with another key")) from error

    def _check_header(self, data: memoryview) -> None:
        if self._header is None or len(self._start) == HEADER_SIZE:
            return
        self._start += data[: HEADER_SIZE - len(self._start)]
        if self._start != self._header[: len(self._start)]:
            raise ContentDamaged(problem=N_("it does not begin as the shipment says"))
