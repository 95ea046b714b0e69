"""HTTP/2 by hand (RFC 9113), so that it can be wrong: frames, and the head of a call, without any library's manners."""

from __future__ import annotations

import gzip
from functools import cache

__all__ = [
    "CANCEL",
    "CONTINUATION",
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "HEADERS",
    "PING",
    "PREFACE",
    "RST_STREAM",
    "SETTINGS",
    "bomb",
    "call_head",
    "fields",
    "frame",
    "message",
    "opening",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
CANCEL = (8).to_bytes(4, "big")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame (§4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def opening(settings: bytes = b"") -> bytes:
    """What a client says first (§3.4)."""
    return PREFACE + frame(SETTINGS, 0, 0, settings)


def fields(*pairs: tuple[str, str]) -> bytes:
    """Header fields as literals that go into no table (RFC 7541 §6.2.2)."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in pairs)


def call_head(method: str, *more: tuple[str, str]) -> bytes:
    """The head of a gRPC call to `/service/Method`."""
    return fields(
        (":method", "POST"),
        (":scheme", "https"),
        (":path", method),
        (":authority", "cordee-directory"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *more,
    )


def message(body: bytes, *, packed: bool = False) -> bytes:
    """A gRPC message with its prefix: one byte for compression, four for the length."""
    return bytes([packed]) + len(body).to_bytes(4, "big") + body


@cache
def bomb(size: int) -> bytes:
    """So many zero bytes, packed: a thousandth of them."""
    return gzip.compress(bytes(size), 9)


def _string(text: str) -> bytes:
    data = text.encode("latin-1")
    return _length(len(data)) + data


def _length(value: int) -> bytes:
    """An integer with a prefix of seven bits (RFC 7541 §5.1)."""
    if value < 127:
        return bytes([value])
    rest, out = value - 127, bytearray([127])
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    out.append(rest)
    return bytes(out)
