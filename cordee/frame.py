"""Framing: one injective encoding for all that is hashed, signed or given as HPKE `info` (protocol §3)."""

from __future__ import annotations

import hashlib
from enum import StrEnum

__all__ = ["Label", "blake2b_128", "blake2b_256", "frame"]

_MAX_LABEL = 255
_MAX_PART = 2**32 - 1


class Label(StrEnum):
    """Every use of a key or a hash has its own label; this is the whole list."""

    SIGNATURE = "cordee/v1/signature"
    DIGEST = "cordee/v1/digest"
    NETWORK = "cordee/v1/network"
    ENTRY = "cordee/v1/entry"
    LEAF = "cordee/v1/leaf"
    CHECKPOINT = "cordee/v1/checkpoint"
    KEY_ID = "cordee/v1/key-id"
    MEMBER_ID = "cordee/v1/member-id"
    FINGERPRINT = "cordee/v1/fingerprint"
    REGISTRATION = "cordee/v1/registration"
    PROFILE = "cordee/v1/profile"
    INVITATION = "cordee/v1/invitation"
    ACT = "cordee/v1/act"
    MANIFEST = "cordee/v1/manifest"
    TRANSCRIPT = "cordee/v1/transcript"
    SEALED_SUMMARY = "cordee/v1/sealed-summary"
    SEALED_SECTIONS = "cordee/v1/sealed-sections"
    SEALED_REASON = "cordee/v1/sealed-reason"
    SEALED_REPORT = "cordee/v1/sealed-report"
    CONTENT_KEY = "cordee/v1/content-key"
    CONTENT = "cordee/v1/content"
    VAULT = "cordee/v1/vault"
    RECORD = "cordee/v1/record"
    ATTACHMENT = "cordee/v1/attachment"
    IN_FLIGHT = "cordee/v1/in-flight"
    BLIND_INDEX = "cordee/v1/blind-index"
    JOURNAL = "cordee/v1/journal"
    TOMBSTONE = "cordee/v1/tombstone"
    ADMINISTRATOR_KEY = "cordee/v1/administrator-key"
    RECOVERY = "cordee/v1/recovery"
    BACKUP = "cordee/v1/backup"


def frame(label: Label, *parts: bytes) -> bytes:
    """Encode a label and parts so that no two different inputs give the same bytes (protocol §3).

    One length byte, the label, then for each part a 4-byte big-endian length and the part.

    Raises: ValueError if a part is longer than 4 GiB, which no caller has.
    """
    name = label.value.encode("ascii")
    if not name or len(name) > _MAX_LABEL:
        raise ValueError("a label has 1 to 255 bytes")
    out = bytearray((len(name),))
    out += name
    for part in parts:
        if len(part) > _MAX_PART:
            raise ValueError("a part has 4 GiB at most")
        out += len(part).to_bytes(4, "big")
        out += part
    return bytes(out)


def blake2b_256(label: Label, *parts: bytes) -> bytes:
    """BLAKE2b with a 32-byte result (RFC 7693) over a frame."""
    return hashlib.blake2b(frame(label, *parts), digest_size=32).digest()


def blake2b_128(label: Label, *parts: bytes) -> bytes:
    """BLAKE2b with a 16-byte result (RFC 7693) over a frame: for ids."""
    return hashlib.blake2b(frame(label, *parts), digest_size=16).digest()
