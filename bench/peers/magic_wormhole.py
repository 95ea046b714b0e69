"""magic-wormhole through a mailbox server and a transit relay of its own on this machine.

Its time is that of two whole processes: a person starts it anew for each file, and that is how it is timed here. Direct
connections are forbidden to it (`--no-listen`), so that its bytes too pass through a third party.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.peers.installing import wormhole
from bench.place import free_port
from bench.services import PeerFailed, service

__all__ = ["magic_wormhole"]


@contextlib.contextmanager
def magic_wormhole(folder: Path) -> Iterator[Callable[[Path, float], float]]:
    """Both servers. Gives `carry(file, limit) -> seconds`, process start included. Raises: PeerMissing, PeerFailed."""
    programs = wormhole()
    mailbox, transit = free_port(), free_port()
    environment = {"HOME": str(folder)}
    servers = (
        ("mailbox", mailbox, ["wormhole-mailbox", f"--channel-db={folder / 'mailbox.sqlite'}"]),
        ("transit", transit, ["transitrelay"]),
    )
    numbers = itertools.count(1)

    def carry(file: Path, limit: float) -> float:
        code = f"{next(numbers)}-some-words"
        out = folder / "arrived"
        relayed = [f"--relay-url=ws://127.0.0.1:{mailbox}/v1", f"--transit-helper=tcp:127.0.0.1:{transit}"]
        both = [
            ["send", "--no-listen", "--hide-progress", f"--code={code}", str(file)],
            ["receive", "--no-listen", "--hide-progress", "--accept-file", f"--output-file={out}", code],
        ]
        seconds = _together([[str(programs / "wormhole"), *relayed, *words] for words in both], limit, folder)
        if out.stat().st_size != file.stat().st_size:
            raise PeerFailed("wormhole: another size arrived than was sent")
        out.unlink()
        return seconds

    with contextlib.ExitStack() as running:
        for name, port, words in servers:
            endpoint = f"--port=tcp:{port}:interface=127.0.0.1"
            command: list[str | Path] = [programs / "twist", *words, endpoint]
            running.enter_context(service(command, port=port, log=folder / f"{name}.log", environment=environment))
        yield carry


def _together(commands: list[list[str]], limit: float, folder: Path) -> float:
    began = time.perf_counter()
    processes = []
    try:
        for command in commands:
            with (folder / f"{command[3]}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                )
        for process, command in zip(processes, commands, strict=True):
            if process.wait(limit):
                told = (folder / f"{command[3]}.log").read_text(errors="replace")[-500:]
                raise PeerFailed(f"wormhole {command[3]}: exit code {process.returncode}: {told}")
        return time.perf_counter() - began
    except subprocess.TimeoutExpired as late:
        raise PeerFailed(f"wormhole took longer than {limit:.0f} s") from late
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
