"""Light nodes: `python -m bench.crowd.nodes FOLDER ADDRESS FIRST END`.

Those with the numbers FIRST to END - 1 of FOLDER/members.json listen to the directory at ADDRESS. Orders come on
standard input, one JSON object a line, and are answered in the same way; times are of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bench.crowd.founding import Secrets
from cordee.errors import CordeeError
from cordee.ids import MemberId, NetworkId
from cordee.runtime import logs
from cordee.runtime.clock import SystemClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.memory import keep_few_arenas
from cordee.signing import Signed
from cordee.transfer import Kind
from cordee.v1 import directory_pb2
from node.acknowledging import Acknowledging
from node.answers import Answers
from node.arrivals import Arrivals
from node.attachments import AttachmentStore
from node.directory_client import DirectoryClient
from node.giving_back import Front, GivingBack
from node.house import House, Keys
from node.inflight import InFlight
from node.listening import Listener
from node.prefetching import Prefetching
from node.roster_sync import RosterSync
from node.store.migrations import node_database
from node.tombstones import Tombstones
from node.vault import Vault

__all__ = ["LightNode"]

_STATE = ("_roster", "_note", "_checkpoint", "_revision")
_SECONDS = 60.0
_AT_ONCE = 16
_LOOK = 0.005  # seconds between two looks at what each has decided: as exactly as it is measured


class _HearingClient(DirectoryClient):
    """Notes when an event came that asks for nothing."""

    heard = 0
    heard_at = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[float] = []  # when it asked for the checkpoint: first of all, each time it comes back
        self.back: list[float] = []  # when each of its streams said that it was ready

    async def checkpoint(self) -> str:
        self.asked.append(time.monotonic())
        return await super().checkpoint()

    async def events(self, *, cursor: int) -> AsyncIterator[directory_pb2.Event]:
        async for event in super().events(cursor=cursor):
            if event.WhichOneof("kind") == "stream_ready":
                self.back.append(time.monotonic())
            if event.WhichOneof("kind") == "card_published":
                self.heard += 1
                self.heard_at = time.monotonic()
            yield event


class LightNode:
    """One association's node, as far as it hears and decides."""

    def __init__(
        self, folder: Path, address: str, front: str, network: NetworkId, root: bytes, secrets: Secrets, template: Path
    ) -> None:
        folder.mkdir(mode=0o700)
        shutil.copyfile(template, folder / "node.db")
        self.db = node_database(folder / "node.db")
        self.db.create()
        self.client = _HearingClient(address, root=root, key=secrets.transport, certificate=secrets.certificate)
        clock, crashpoints = SystemClock(), Crashpoints()
        self.roster = RosterSync(self.db, network=network, member=secrets.member, client=self.client, clock=clock)
        self.house = House(
            data_dir=folder,
            network=network,
            member=secrets.member,
            db=self.db,
            vault=Vault(os.urandom(32)),
            keys=Keys(identity=secrets.identity, sealing={1: secrets.sealing}),
            clock=clock,
            random=os.urandom,
            in_flight=InFlight(folder / "inflight", clock=clock, random=os.urandom),
            attachments=AttachmentStore(folder / "attachments", random=os.urandom, crashpoints=crashpoints),
            tombstones=Tombstones(folder / "tombstones"),
            roster=self.roster,
            crashpoints=crashpoints,
        )
        self.arrivals = Arrivals(self.house)
        prefetching = Prefetching(self.house, self.client)
        giving_back = GivingBack(self.house, self.client, Front(front, root=root))
        self.listener = Listener(self.house, self.client, Answers(self.house), self.arrivals, prefetching, giving_back)
        self._acknowledging = Acknowledging(self.house, self.client)
        self._tasks: list[asyncio.Task[None]] = []
        self.decided_at = 0.0

    def begin_like(self, other: LightNode) -> None:
        """Begin with the roster that another light node of this process has verified, entry by entry: to do it again
        two hundred times would take minutes. What comes from here on, each verifies for itself.
        """
        mine, theirs = vars(self.roster), vars(other.roster)
        mine.update({name: theirs[name] for name in _STATE})
        mine.update({"_tree": theirs["_tree"].copy(), "_cards": dict(theirs["_cards"])})
        mine["_numbers"] = dict(theirs["_numbers"])

    def start(self) -> None:
        """Listen."""
        self._tasks = [asyncio.create_task(each) for each in (self.listener.run(), self._acknowledging.run())]

    async def stop(self) -> None:
        """Close everything."""
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.close()
        self.house.tombstones.close()
        self.db.close()

    def refuses(self, member: MemberId) -> bool:
        """Whether it takes nothing from a member, by its own verified roster: asked as for an offer."""
        try:
            self.roster.require_fresh(self.house.clock.now()).active(member)
        except CordeeError:
            return True
        return False

    async def hears(self, offer: Signed) -> str:
        """What becomes of an offer that is handed to it: the reason why it is refused, or nothing."""
        try:
            await self.arrivals.hear(offer, Kind.OFFER, sequence=0)
        except CordeeError as refused:
            return refused.reason
        return ""


class _Crowd:
    """The nodes of this process, and what they are asked."""

    def __init__(self, nodes: list[LightNode]) -> None:
        self._nodes = nodes

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order."""
        match order["order"]:
            case "decide":  # when did the last begin to refuse a member, or to take it again
                member, wanted = MemberId(bytes.fromhex(order["member"])), bool(order["refuse"])
                return await self._until(lambda node: node.refuses(member) is wanted)
            case "hear":  # when did the last hear its n-th event that asks for nothing
                await self._wait(lambda node: node.client.heard >= order["count"])
                return {"last": max(node.client.heard_at for node in self._nodes)}
            case "back":  # when each asked, and when each was there, since a time
                since = float(order["since"])
                await self._wait(lambda node: bool(node.client.back) and node.client.back[-1] > since, order["seconds"])
                asked = [each for node in self._nodes for each in node.client.asked if each > since]
                return {"asked": asked, "back": [node.client.back[-1] for node in self._nodes]}
            case "offers":
                offers = [Signed.from_bytes(bytes.fromhex(each)) for each in order["offers"]]
                return {"reasons": [await node.hears(each) for node, each in zip(self._nodes, offers, strict=True)]}
            case _:
                return {"sizes": [node.roster.status().size for node in self._nodes]}

    async def _until(self, decided: Callable[[LightNode], bool]) -> dict[str, Any]:
        for node in self._nodes:
            node.decided_at = 0.0

        def found(node: LightNode) -> bool:
            if not node.decided_at and decided(node):
                node.decided_at = time.monotonic()
            return bool(node.decided_at)

        await self._wait(found)
        return {"last": max(node.decided_at for node in self._nodes)}

    async def _wait(self, done: Callable[[LightNode], bool], seconds: float = _SECONDS) -> None:
        waiting = self._nodes
        async with asyncio.timeout(seconds):
            while waiting:
                waiting = [node for node in waiting if not done(node)]
                await asyncio.sleep(_LOOK)


async def _run(folder: Path, address: str, first: int, end: int) -> None:
    told = json.loads((folder / "network.json").read_text(encoding="ascii"))
    secrets = [Secrets.from_plain(each) for each in json.loads((folder / "members.json").read_text(encoding="ascii"))]
    network, root = NetworkId(bytes.fromhex(told["network"])), bytes.fromhex(told["root"])
    template = folder / f"template-{first}.db"
    node_database(template).__enter__().close()
    async with contextlib.AsyncExitStack() as stack:
        nodes: list[LightNode] = []
        for number in range(first, end):
            node = LightNode(
                folder / f"node-{number}", address, told["front"], network, root, secrets[number], template
            )
            stack.push_async_callback(node.stop)
            if nodes:
                node.begin_like(nodes[0])
            else:
                await node.roster.sync()
            nodes.append(node)
        for begin in range(0, len(nodes), _AT_ONCE):  # by and by: a handshake takes a server some time
            for node in nodes[begin : begin + _AT_ONCE]:
                node.start()
            for node in nodes[begin : begin + _AT_ONCE]:
                await asyncio.wait_for(node.listener.caught_up.wait(), _SECONDS)
        crowd = _Crowd(nodes)
        print(json.dumps({"ready": True}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await crowd.obey(json.loads(line))), flush=True)


def main() -> None:
    """See above."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    keep_few_arenas()
    logs.configure(level="warning")
    folder, address, first, end = sys.argv[1:]
    asyncio.run(_run(Path(folder), address, int(first), int(end)))


if __name__ == "__main__":
    main()
