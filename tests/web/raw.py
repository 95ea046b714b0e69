"""HTTP by hand: what no browser would send."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from node.demo.stage import House

__all__ = ["Answer", "connect", "exchange", "head"]

_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back; 0 where the connection was closed without a word."""

    status: int
    text: str


def connect(house: House) -> socket.socket:
    """A connection to the node's pages."""
    return socket.create_connection(("127.0.0.1", port_of(house)), timeout=_SECONDS)


def port_of(house: House) -> int:
    """Where the node's pages are served."""
    port = urlsplit(house.pages).port
    assert port is not None
    return port


def head(house: House, *lines: str, request: str = "GET /sign-in HTTP/1.1", host: bool = True) -> bytes:
    """A request's head; with the node's own name unless `host` is False."""
    own = [f"Host: localhost:{port_of(house)}"] if host else []
    return "\r\n".join([request, *own, *lines, "Connection: close", "", ""]).encode("latin-1")


def exchange(house: House, sent: bytes) -> Answer:
    """Send it, and read what comes until the node closes."""
    with connect(house) as line:
        with suppress(ConnectionError):
            line.sendall(sent)
        return read(line)


def read(line: socket.socket) -> Answer:
    """Read until the other side closes."""
    got = bytearray()
    with suppress(ConnectionError):
        while piece := line.recv(65_536):
            got += piece
    text = got.decode(errors="replace")
    return Answer(int(text.split(" ", 2)[1]) if text.startswith("HTTP/") else 0, text)
