"""A line between a node and the directory that carries everything until it is told not to. TLS passes as it is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_PIECE = 65_536


class Line:
    """A TCP proxy. What it does not carry it keeps, as the ends' own systems do while a cable is pulled, and it tells
    nobody; once the line is whole again it comes late, or never, if the connection has been cut meanwhile.
    """

    def __init__(self, target: str, *, listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(listen)
        self.address = f"{listen[0]}:{self._listener.getsockname()[1]}"
        self._forth, self._back = threading.Event(), threading.Event()  # set while bytes pass in that direction
        self._forth.set()
        self._back.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """For ever."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection that there is, in the eyes of both ends; new ones may be made."""
        with self._lock:
            ended, self._open = self._open, set()
        for each in ended:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """As long as the block lasts, nothing that the directory says comes back."""
        with self._without(self._back):
            yield

    @contextlib.contextmanager
    def mute(self) -> Iterator[None]:
        """Nothing that the node says gets there."""
        with self._without(self._forth):
            yield

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Neither."""
        with self._without(self._forth), self._without(self._back):
            yield

    @contextlib.contextmanager
    def _without(self, way: threading.Event) -> Iterator[None]:
        way.clear()
        try:
            yield
        finally:
            way.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closed:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        with self._lock:
            self._open |= {near, far}
        for source, sink, way in ((near, far, self._forth), (far, near, self._back)):
            threading.Thread(target=self._pass, args=(source, sink, way), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, way: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                way.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(each)
