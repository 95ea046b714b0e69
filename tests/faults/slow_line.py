"""A slow line between one association and the directory, that may break once."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

from node.demo.stage import House
from node.joining import Membership

_PIECE = 32_768
_BUFFER = 131_072


class SlowLine:
    """Passes on what comes to `target`, so many bytes a second; answers pass freely."""

    def __init__(self, target: str, *, rate: int, breaks_after: int | None = None) -> None:
        """`breaks_after`: bytes after which the connection breaks; the next one holds."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._rate = rate
        self._breaks_after = breaks_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.broke = False

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._target)
                except OSError:  # nobody is there now; whoever asked tries again
                    near.close()
                    continue
                self._open += [near, far]
                self._run(self._pass, near, far, True)
                self._run(self._pass, far, near, False)

    def _pass(self, source: socket.socket, sink: socket.socket, slowly: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                sink.sendall(data)
                passed += len(data)
                if not slowly:
                    continue
                if self._breaks_after is not None and passed >= self._breaks_after:
                    self._breaks_after, self.broke = None, True
                    break
                time.sleep(len(data) / self._rate)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def slow_line(house: House, *, rate: int, breaks_after: int | None = None) -> Iterator[SlowLine]:
    """As long as the block lasts, the house's node reaches the directory by a slow line."""
    usual = Membership.load(house.data_dir)
    with SlowLine(usual.members, rate=rate, breaks_after=breaks_after) as line:
        house.program.stop()
        replace(usual, members=line.address).save(house.data_dir)
        house.program.start()
        try:
            yield line
        finally:
            house.program.stop()
            usual.save(house.data_dir)
            house.program.start()
