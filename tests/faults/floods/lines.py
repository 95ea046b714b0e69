"""An attacker's connections: plain or TLS, silent or not, from any address of the machine's own network."""

from __future__ import annotations

import json
import select
import socket
import ssl
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Line", "Target"]

_SECONDS = 3.0
_PIECE = 65_536


@dataclass(frozen=True)
class Target:
    """What is attacked: a port or a unix socket; over TLS where there is a root, as a member where there is a key."""

    host: str = "127.0.0.1"
    port: int = 0
    socket: str = ""
    root: str = ""  # PEM file
    certificate: str = ""
    key: str = ""
    name: str = "cordee-directory"
    h2: bool = True
    source: str = ""
    method: str = "/cordee.v1.Broker/Submit"
    many: int = 2_000  # connections of a flood of connections

    def save(self, path: Path) -> Path:
        """For another process."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> Target:
        """What `save` wrote."""
        return cls(**json.loads(path.read_text()))

    def context(self) -> ssl.SSLContext | None:
        """How to shake hands; None where it is plain."""
        if not self.root:
            return None
        made = ssl.create_default_context(cafile=self.root)
        if self.key:
            made.load_cert_chain(self.certificate, self.key)
        if self.h2:
            made.set_alpn_protocols(["h2"])
        return made

    def plain(self, *, blocking: bool = True) -> socket.socket:
        """A connection without a word. Raises OSError."""
        if self.socket:
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(_SECONDS)
            line.connect(self.socket)
            if not blocking:
                line.setblocking(False)
            return line
        line = socket.socket()
        if self.source:
            line.bind((self.source, 0))
        if not blocking:
            line.setblocking(False)
            line.connect_ex((self.host, self.port))
            return line
        line.settimeout(_SECONDS)
        line.connect((self.host, self.port))
        return line


class Line:
    """One connection that says what it is told to, and drops what comes back."""

    opened = 0
    heard = 0  # bytes, by all of them

    def __init__(self, target: Target, context: ssl.SSLContext | None, *, listening: bool = True) -> None:
        plain = target.plain()
        self._line: socket.socket = plain
        if context is not None:
            try:
                self._line = context.wrap_socket(plain, server_hostname=target.name)
            except OSError:
                plain.close()
                raise
        self._listening = listening
        self.ended = False
        Line.opened += 1

    def say(self, data: bytes) -> bool:
        """Send it all. False where the other side has closed, or takes nothing for three seconds."""
        try:
            self._line.sendall(data)
        except OSError:  # a reset, a broken TLS record, nothing taken in time
            self.ended = True
            return False
        if self._listening:
            self.hear()
        return not self.ended

    def hear(self) -> bytes:
        """What has come, without waiting for more."""
        got = b""
        try:
            self._line.settimeout(0)
            while piece := self._line.recv(_PIECE):
                got += piece
                Line.heard += len(piece)
            self.ended = True
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.ended = True
        finally:
            if not self.ended:
                self._line.settimeout(_SECONDS)
        return got

    def closed_within(self, seconds: float) -> bool:
        """Whether the other side closes in so many seconds."""
        until = time.monotonic() + seconds
        while not self.ended and time.monotonic() < until:
            select.select([self._line], [], [], 0.1)
            self.hear()
        return self.ended

    def close(self) -> None:
        """Without a word."""
        self._line.close()
