"""What stands where in a shipment's plaintext (protocol §7); `cordee/content.py` encrypts it.

    4 bytes of big-endian length ‖ manifest ‖ sections ‖ attachments ‖ zeros up to the Padmé size

The manifest names every section and attachment with its size and SHA-256, in the order in which they stand.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from cordee.errors import N_, ContentDamaged, MalformedStatement, TooLarge
from cordee.frame import Label, blake2b_256
from cordee.ids import Digest
from cordee.signing import parse_message
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "LENGTH_SIZE",
    "MINIMUM_SIZE",
    "AttachmentData",
    "AttachmentEnd",
    "ContentLimits",
    "ManifestRead",
    "PlaintextParser",
    "Released",
    "SectionRead",
    "check_manifest",
    "encode_manifest",
    "manifest_digest",
    "padded_size",
    "padme",
    "plaintext_size",
]

LENGTH_SIZE = 4
MINIMUM_SIZE = 65_536
"""Bytes of the smallest plaintext after padding: a case without attachments looks like any other."""

_SHA256_SIZE = 32


@dataclass(frozen=True)
class ContentLimits:
    """What is held in memory whole, in bytes; attachments are not."""

    manifest: int = 1024 * 1024
    sections: int = 8 * 1024 * 1024


@dataclass(frozen=True)
class ManifestRead:
    """The manifest has arrived; its size and its digests' form are checked, what it says is not."""

    raw: bytes = field(repr=False)
    message: v1.Manifest = field(repr=False)

    @property
    def digest(self) -> Digest:
        """What the shipment and the receipt name."""
        return manifest_digest(self.raw)


@dataclass(frozen=True)
class SectionRead:
    """One whole section of the case; its digest is that of the manifest."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class AttachmentData:
    """The next bytes of an attachment."""

    attachment_id: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class AttachmentEnd:
    """An attachment is complete and its digest is that of the manifest."""

    attachment_id: str
    sha256: bytes = field(repr=False)


Released: TypeAlias = ManifestRead | SectionRead | AttachmentData | AttachmentEnd


def padme(size: int, minimum: int = MINIMUM_SIZE) -> int:
    """The padded size: at most 12 % more, and O(log log size) bits told (Padmé: Nikitin et al., PETS 2019, §4.2)."""
    size = max(size, minimum)
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1
    return (size + mask) & ~mask


def encode_manifest(manifest: v1.Manifest) -> bytes:
    """The manifest's bytes as they travel and as they are digested."""
    return manifest.SerializeToString(deterministic=True)


def manifest_digest(raw: bytes) -> Digest:
    """What the shipment and the receipt name (protocol §6). The nonce inside keeps it from being guessed."""
    return Digest(blake2b_256(Label.MANIFEST, raw))


def plaintext_size(manifest: v1.Manifest) -> int:
    """Bytes of the content before padding."""
    return _content_size(manifest, manifest.ByteSize())


def padded_size(manifest: v1.Manifest) -> int:
    """Bytes of the content after padding, before encryption."""
    return padme(plaintext_size(manifest))


def _content_size(manifest: v1.Manifest, manifest_size: int) -> int:
    sections = sum(section.size for section in manifest.sections)
    attachments = sum(attachment.size for attachment in manifest.attachments)
    return LENGTH_SIZE + manifest_size + sections + attachments


def check_manifest(manifest: v1.Manifest, limits: ContentLimits) -> None:
    """Check what both ends rely on: names once each, digests of the right length, sections within their limit.

    Raises: TooLarge, ContentDamaged.
    """
    _check_size(N_("manifest"), manifest.ByteSize(), limits.manifest)
    _check_size(N_("sections"), sum(section.size for section in manifest.sections), limits.sections)
    _check_names([section.name for section in manifest.sections])
    _check_names([attachment.attachment_id for attachment in manifest.attachments])
    digests = [section.sha256 for section in manifest.sections] + [entry.sha256 for entry in manifest.attachments]
    if any(len(digest) != _SHA256_SIZE for digest in digests):
        raise ContentDamaged(problem=N_("a digest in the manifest has not 32 bytes"))


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(what=what, size=size, limit=limit)


def _check_names(names: list[str]) -> None:
    if "" in names or len(set(names)) != len(names):
        raise ContentDamaged(problem=N_("the manifest names a part twice, or not at all"))


class _Part:
    """One stretch of the plaintext, of which `left` bytes are still to come."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, data: bytes) -> Iterator[Released]:
        """The next bytes of it."""
        raise NotImplementedError

    def end(self) -> Iterator[Released]:
        """It is complete."""
        raise NotImplementedError


class _Whole(_Part):
    """Collected, then handed on in one piece."""

    def __init__(self, size: int, then: Callable[[bytes], Iterator[Released]]) -> None:
        super().__init__(size)
        self._data = bytearray()
        self._then = then

    def take(self, data: bytes) -> Iterator[Released]:
        self._data += data
        return iter(())

    def end(self) -> Iterator[Released]:
        return self._then(bytes(self._data))


class _Attachment(_Part):
    """Handed on as it comes, and digested on the way."""

    def __init__(self, entry: v1.ManifestAttachment) -> None:
        super().__init__(entry.size)
        self._entry = entry
        self._sha256 = hashlib.sha256()

    def take(self, data: bytes) -> Iterator[Released]:
        self._sha256.update(data)
        yield AttachmentData(self._entry.attachment_id, data)

    def end(self) -> Iterator[Released]:
        if self._sha256.digest() != self._entry.sha256:
            raise ContentDamaged(problem=N_("an attachment does not match its digest"))
        yield AttachmentEnd(self._entry.attachment_id, self._entry.sha256)


class _Padding(_Part):
    """Zeros. Anything else would be a place to hide what the act does not cover."""

    def take(self, data: bytes) -> Iterator[Released]:
        if data != bytes(len(data)):
            raise ContentDamaged(problem=N_("the padding is not empty"))
        return iter(())

    def end(self) -> Iterator[Released]:
        return iter(())


class PlaintextParser:
    """Takes the plaintext in pieces of any size and says what they hold.

    `size` is that of the whole plaintext: the manifest must account for exactly so much. Once it has raised it is not
    to be used again.
    """

    def __init__(self, size: int, limits: ContentLimits) -> None:
        self._size = size
        self._limits = limits
        self._parts: deque[_Part] = deque([_Whole(LENGTH_SIZE, self._read_length)])

    @property
    def complete(self) -> bool:
        """True once the last byte of padding has been seen."""
        return not self._parts

    def take(self, plaintext: bytes) -> Iterator[Released]:
        """Read the next bytes. Raises: ContentDamaged, TooLarge."""
        position = 0
        while self._parts:
            part = self._parts[0]
            data = plaintext[position : position + part.left]
            if data:
                position += len(data)
                part.left -= len(data)
                yield from part.take(data)
            if part.left:
                return
            self._parts.popleft()
            yield from part.end()
        if position < len(plaintext):
            raise ContentDamaged(problem=N_("something follows its end"))

    def _read_length(self, data: bytes) -> Iterator[Released]:
        size = int.from_bytes(data, "big")
        _check_size(N_("manifest"), size, self._limits.manifest)
        self._parts.append(_Whole(size, self._read_manifest))
        return iter(())

    def _read_manifest(self, raw: bytes) -> Iterator[Released]:
        try:
            manifest = parse_message(raw, v1.Manifest, max_size=self._limits.manifest)
        except MalformedStatement as error:
            raise ContentDamaged(problem=N_("the manifest cannot be parsed")) from error
        check_manifest(manifest, self._limits)
        used = _content_size(manifest, len(raw))
        if padme(used) != self._size:
            raise ContentDamaged(problem=N_("the manifest accounts for another size"))
        self._parts.extend(_Whole(section.size, _section_reader(section)) for section in manifest.sections)
        self._parts.extend(_Attachment(attachment) for attachment in manifest.attachments)
        self._parts.append(_Padding(self._size - used))
        yield ManifestRead(raw, manifest)


def _section_reader(section: v1.ManifestSection) -> Callable[[bytes], Iterator[Released]]:
    def read(data: bytes) -> Iterator[Released]:
        if hashlib.sha256(data).digest() != section.sha256:
            raise ContentDamaged(problem=N_("a section does not match its digest"))
        yield SectionRead(section.name, data)

    return read
