"""The crowd at work: a directory's process, the nodes' processes, and the administrators who suspend and reinstate."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.crowd.founding import Founded, Secrets, found
from cordee.entries import propose
from cordee.roster import apply
from cordee.runtime.clock import SystemClock
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import channel
from cordee.signing import SigningKey
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administrator.client import FrontClient, connected
from node.demo.processes import Program, peak_memory

__all__ = ["Crowd", "CrowdFailed", "crowd"]

_PROCESSES = 2
_PEER = "directory"


class CrowdFailed(Exception):
    """The nodes did not do what they are watched for."""


class _Process:
    """Some of the nodes."""

    def __init__(self, folder: Path, address: str, first: int, end: int) -> None:
        self._log = folder / f"nodes-{first}.log"
        with self._log.open("ab") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bench.crowd.nodes", str(folder), address, str(first), str(end)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
            )
        self.first, self.end = first, end

    def answer(self) -> dict[str, Any]:
        """The next line. Raises: CrowdFailed where it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise CrowdFailed(f"the nodes from {self.first} on ended:\n{self._log.read_text(errors='replace')[-2000:]}")
        told: dict[str, Any] = json.loads(line)
        return told

    def order(self, **fields: Any) -> None:
        """Tell them what to do; `answer` gives what came of it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(fields) + "\n")
        self.process.stdin.flush()

    def end_it(self) -> None:
        """Close its input, and wait."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Crowd:
    """Many nodes that listen. The last member is the one who is suspended, and has no node here."""

    founded: Founded
    members: str  # host:port
    front: str
    processes: Sequence[_Process]
    directory: Program
    heard: int = 0  # events that asked for nothing so far

    @property
    def suspect(self) -> Secrets:
        """Who is suspended."""
        return self.founded.members[-1]

    @property
    def root(self) -> bytes:
        """The network's CA."""
        return self.founded.roster.ca_certificate

    def suspended(self) -> float:
        """Suspend: seconds from the last administrator's signature until the last node refuses."""
        return asyncio.run(self._change(v1.MemberSuspended, refuse=True))

    def reinstated(self) -> float:
        """The way back."""
        return asyncio.run(self._change(v1.MemberReinstated, refuse=False))

    def empty_event(self) -> float:
        """Seconds until an event that asks for nothing has reached all of them, over the same streams."""
        return asyncio.run(self._empty_event())

    def restarted(self, end: Callable[[], None], *, seconds: float) -> tuple[list[float], list[float]]:
        """`end` the directory's process and start it again: when the nodes asked it for something, sorted, and when
        each was back, in seconds from the end on.
        """
        listening = ("--listen-members", self.members, "--listen-front", self.front)
        self.directory.arguments = (*self.directory.arguments[:4], *listening)
        began = time.monotonic()
        end()
        self.directory.start()
        for each in self.processes:
            each.order(order="back", since=began, seconds=seconds)
        told = [each.answer() for each in self.processes]
        asked, back = ([at - began for one in told for at in one[what]] for what in ("asked", "back"))
        return sorted(asked), sorted(back)

    def hear_offers(self, offers: Sequence[bytes]) -> list[str]:
        """Hand an offer to each node: the reason why it is refused, or nothing."""
        for each in self.processes:
            each.order(order="offers", offers=[offer.hex() for offer in offers[each.first : each.end]])
        return [reason for each in self.processes for reason in each.answer()["reasons"]]

    def memory(self) -> dict[str, int]:
        """The highest resident memory of each process so far, in bytes."""
        peaks = {f"nodes {each.first}": peak_memory(each.process.pid) for each in self.processes}
        return peaks | {"directory": self.directory.measure()}

    async def _change(self, kind: type[v1.MemberSuspended | v1.MemberReinstated], *, refuse: bool) -> float:
        member = self.suspect.member
        first, second = self.founded.administrators
        statement = kind(**self.founded.roster.head(member, SystemClock().now()), member=member)
        entry = self.founded.signed(statement)
        begun = propose(statement)
        begun.CopyFrom(entry)
        del begun.signatures[:]
        begun.signatures.append(next(one for one in entry.signatures if one.signer == first.public.key_id))
        async with self.administering(second) as client:
            await client.sign_entry(begun)
            for each in self.processes:
                each.order(order="decide", member=member.hex(), refuse=refuse)
            began = time.monotonic()
            answer = await client.sign_entry(entry)
            if not answer.appended:
                raise CrowdFailed("the entry is not in the log")
            told = await asyncio.gather(*(asyncio.to_thread(each.answer) for each in self.processes))
        self._replace_roster(entry)
        return float(max(each["last"] for each in told)) - began

    def _replace_roster(self, entry: v1.Entry) -> None:
        founded = self.founded
        grown = apply(founded.roster, entry)
        self.founded = Founded(founded.folder, founded.administrators, grown, founded.members)

    async def _empty_event(self) -> float:
        self.heard += 1
        one = self.founded.members[0]
        request = pb.PublishCardRequest(card=v1.Signed.FromString(one.card), profile=one.profile)
        async with channel(self.members, root=self.root, key=one.transport, certificate=one.certificate) as line:
            stub: Any = directory_pb2_grpc.RosterStub(line)
            with reaching(_PEER):
                await stub.GetCheckpoint(pb.GetCheckpointRequest(), timeout=30)  # so that the connection is there
                for each in self.processes:
                    each.order(order="hear", count=self.heard)
                began = time.monotonic()
                await stub.PublishCard(request, timeout=30)  # the card that it has: an event to all, and no news
            told = await asyncio.gather(*(asyncio.to_thread(each.answer) for each in self.processes))
        return float(max(each["last"] for each in told)) - began

    @contextlib.asynccontextmanager
    async def administering(self, key: SigningKey) -> AsyncIterator[FrontClient]:
        """An administrator's line to the directory."""
        async with connected(
            self.front,
            root=self.root,
            network=self.founded.network,
            key=key,
            clock=SystemClock(),
            random=os.urandom,
        ) as client:
            await client.pending()  # so that the connection is there
            yield client


@contextlib.contextmanager
def crowd(folder: Path, count: int) -> Iterator[Crowd]:
    """A founded network of `count` nodes that listen, and one member more, until the block ends.

    Raises: CrowdFailed, RuntimeError where a process does not start.
    """
    founded = found(folder, count + 1)
    arguments = ["directory", "serve", "--data-dir", str(founded.directory)]
    arguments += ["--listen-members", "127.0.0.1:0", "--listen-front", "127.0.0.1:0"]
    directory = Program("directory", arguments, {}, folder / "directory.log")
    processes: list[_Process] = []
    try:
        ready = directory.start()
        told = {
            "network": founded.network.hex(),
            "root": founded.roster.ca_certificate.hex(),
            "front": ready["front"],
        }
        (folder / "network.json").write_text(json.dumps(told), encoding="ascii")
        share = -(-count // _PROCESSES)
        for first in range(0, count, share):
            processes.append(_Process(folder, ready["members"], first, min(first + share, count)))
        for each in processes:
            each.answer()
        yield Crowd(founded, ready["members"], ready["front"], processes, directory)
    finally:
        for each in processes:
            each.end_it()
        directory.stop()
