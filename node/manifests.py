"""The manifest of an offer: what the content will hold, with sizes and digests (protocol §7)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from cordee.case import encode_sections
from cordee.v1 import statements_pb2
from node.attachments import StoredAttachment
from node.terms import Terms

__all__ = ["manifest_of"]


def manifest_of(
    terms: Terms,
    attachments: Collection[StoredAttachment],
    *,
    transfer: bytes,
    sender: bytes,
    recipient: bytes,
    case_id: str,
) -> statements_pb2.Manifest:
    """The manifest for these terms; `attachments` are those that the terms name, in their order."""
    encoded = encode_sections(terms.package)
    return statements_pb2.Manifest(
        transfer_id=transfer,
        sender=sender,
        recipient=recipient,
        case_id=case_id,
        kind=terms.kind,
        purpose=terms.purpose,
        sections=[
            statements_pb2.ManifestSection(name=name, size=len(data), sha256=hashlib.sha256(data).digest())
            for name, data in encoded.items()
        ],
        attachments=[
            statements_pb2.ManifestAttachment(
                attachment_id=each.attachment_id,
                file_name=each.file_name,
                media_type=each.media_type,
                size=each.size,
                sha256=each.sha256,
            )
            for each in attachments
        ],
        act=terms.act,
        nonce=terms.nonce,
    )
