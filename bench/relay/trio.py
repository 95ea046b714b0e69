"""The three processes of the plain relay, and one transfer through them, timed."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.certificates import write_certificates
from bench.services import PeerFailed

__all__ = ["Companion", "companion", "plain_relay"]

_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0


class Companion:
    """A process of the measurement's own that is spoken to in JSON lines."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.ready = self.answer()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def answer(self) -> dict[str, Any]:
        """The next line. Raises: PeerFailed where the process has ended."""
        output = self._process.stdout
        line = output.readline() if output is not None else ""
        if not line:
            raise PeerFailed(f"{self._process.args!r} ended:\n{self._log.read_text(errors='replace')[-1000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, order: Mapping[str, object]) -> dict[str, Any]:
        """Give one order and wait for its answer."""
        pipe = self._process.stdin
        if pipe is None:
            raise PeerFailed("this process takes no orders")
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()
        return self.answer()


@contextlib.contextmanager
def companion(module: str, *arguments: object, log: Path) -> Iterator[Companion]:
    """`python -m module …`, for as long as the block lasts."""
    command: Sequence[str] = [sys.executable, "-m", module, *map(str, arguments)]
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
        )
    try:
        yield Companion(process, log)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def plain_relay(folder: Path) -> Iterator[Callable[[Path, float], float]]:
    """The relay and both parties, running and connected. Gives `carry(file, limit) -> seconds`: up, then down.

    The parties' own time limit (bench/relay/party.py) holds; `limit` is there because every peer has one.
    """
    write_certificates(folder)
    numbers = itertools.count(1)
    with contextlib.ExitStack() as running:
        relay = running.enter_context(companion("bench.relay.relay", folder, log=folder / "relay.log"))
        sender, recipient = (
            running.enter_context(
                companion("bench.relay.party", folder, relay.ready["port"], log=folder / f"{name}.log")
            )
            for name in ("sender", "recipient")
        )

        def carry(file: Path, limit: float) -> float:
            name, size = next(numbers).to_bytes(16, "big").hex(), file.stat().st_size
            out = folder / "arrived"
            began = time.perf_counter()
            sent = sender.ask({"do": "put", "id": name, "path": str(file)})
            received = recipient.ask({"do": "get", "id": name, "path": str(out)})
            seconds = time.perf_counter() - began
            if not sent["size"] == received["size"] == out.stat().st_size == size:
                raise PeerFailed("plain relay: another size arrived than was sent")
            out.unlink()
            (folder / name).unlink()
            return seconds

        yield carry
