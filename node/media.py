"""What kind of file it is, by its first bytes: neither a name nor what a browser says of it can be believed."""

from __future__ import annotations

from typing import Final

__all__ = ["BEGINNING", "UNKNOWN", "may_stand_in", "media_type_of"]

BEGINNING: Final = 512
"""Bytes that are looked at."""

UNKNOWN: Final = "application/octet-stream"

_MARKS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
)
_TEXT: Final = "text/plain"
_CONTROLS: Final = frozenset(range(32)) - {9, 10, 12, 13}
_NO_IMAGES: Final = "online_traces"
_WITHOUT_IMAGES: Final = frozenset({_TEXT, "application/pdf"})


def media_type_of(beginning: bytes) -> str:
    """One of the few types that pages name, or `application/octet-stream`."""
    for offset, mark, found in _MARKS:
        if beginning[offset : offset + len(mark)] == mark:
            return found
    return _TEXT if _is_text(beginning) else UNKNOWN


def may_stand_in(section: str, beginning: bytes) -> bool:
    """Whether a file may be kept beside this section.

    Beside online traces no image is: holding a sexual image of a minor is an offence by any means (code pénal 227-23).
    An image has a hundred formats, so what is let in is told: texts and PDF documents.
    """
    return section != _NO_IMAGES or media_type_of(beginning) in _WITHOUT_IMAGES


def _is_text(beginning: bytes) -> bool:
    if not beginning or _CONTROLS.intersection(beginning):
        return False
    try:
        beginning.decode("utf-8")
    except UnicodeDecodeError as broken:
        # A character may be cut where the beginning ends, and nowhere else.
        return broken.reason == "unexpected end of data" and len(beginning) - broken.start < 4
    return True
