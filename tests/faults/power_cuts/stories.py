"""What is done while it is recorded: every step that somebody relies on, by the product's own code.

Each story is a function of an empty folder, in which it makes a folder for each machine. It says where it stands by
marks: `step …` for what follows, `lasts …` for what was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from tests.faults.power_cuts.judge import COMMITTED, LASTS, STEP
from tests.faults.power_cuts.recorder import mark

__all__ = ["STORIES"]

_FILE = 70_000  # bytes: several chunks, several pages


def say(step: str) -> None:
    """What follows, on every machine."""
    mark(STEP + step)


def lasts(machine: str, path: str = "") -> None:
    """Acknowledged, with all that was before."""
    mark(LASTS + path, machine)


def a_network(root: Path) -> None:
    """A directory and two nodes, from the first key to an erasure."""
    from cordee.runtime.crashpoint import Crashpoints
    from cordee.transfer import State
    from node.shipping import Shipping
    from tests.directory.town import Town
    from tests.neighbours import LiveClock, Neighbour, Street, eventually, knows

    class Marking(Crashpoints):
        """Says what lasts where the code says that it does."""

        AT: ClassVar = {
            "database.after_commit": COMMITTED,
            "mailbox.put.after_fsync": LASTS + "mailbox/",
            "directory.roster.after_last_signed": LASTS + "last-signed",
            "node.ship.spooled": LASTS + "spool/",
        }

        def __init__(self, machine: str) -> None:
            super().__init__()
            self._machine = machine

        def reach(self, name: str) -> None:
            if name in self.AT:
                mark(self.AT[name], self._machine)

    async def settles(street: Street, name: str, number: int) -> Neighbour:
        from node import joining
        from tests.neighbours import PASSPHRASE

        say("a node is made")
        key, profile = await street.invite(name, number)
        lasts(name)
        say("a node asks to join")
        await street.ask(name)
        lasts(name)
        say("a member is admitted")
        await street.admit(key, profile, secrecy=True)
        say("a node is certified")
        folder = street.folder / name
        await joining.wait(folder, passphrase=PASSPHRASE, clock=street.clock, random=os.urandom)
        lasts(name)
        street.neighbours[name] = Neighbour(name=name, folder=folder, profile=profile, street=street)
        return street.neighbours[name]

    async def received(paris: Neighbour, marseille: Neighbour) -> Any:
        say("a case, a file, an act")
        record = await paris.case()
        attached = [await paris.attach(record["meta"]["case_id"], os.urandom(_FILE))]
        act = await paris.act(record, marseille, attachments=attached)
        say("offer")
        transfer = await paris.offer(record, marseille, act, attachments=attached)
        await marseille.reaches(transfer, State.OFFERED)
        say("accept, ship, fetch, receipt")
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        await marseille.reaches(transfer, State.RECEIVED)
        return transfer

    async def all_of_it() -> None:
        say("a directory is made")
        town = Town.make(root / "directory")
        lasts("directory")
        clock = LiveClock(town.clock.now() + timedelta(seconds=1))
        town.clock = clock  # type: ignore[assignment]
        town.network.now = clock.now()
        street = Street(town, clock, root, crashpoints=Marking)
        say("a network is founded")
        async with town.open(crashpoints=Marking("directory")):
            await town.found()
            paris, marseille = await settles(street, "Paris", 0), await settles(street, "Marseille", 1)
            say("nodes start")
            await paris.start(parts=_spooling(Shipping))
            await marseille.start()
            for each in (paris, marseille):
                await eventually(lambda each=each: knows(each, 2), what="cards")
            transfer = await received(paris, marseille)
            say("withdrawal, erasure")
            await paris.here.sending.withdraw(paris.person, transfer)
            await _erasure(marseille, transfer, "asked")
            await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
            lasts("Marseille", "tombstones")
            await _erasure(paris, transfer, "done")
            say("a new transport key, a new card")
            await paris.here.publishing.rotate_transport()
            say("a new identity")
            await paris.here.identity.rotate(by="camille", despite_transfers=True)
            say("nodes stop")
            for each in (paris, marseille):
                await each.stop()
                lasts(each.name)
        lasts("directory")

    _run(all_of_it())


def _spooling(shipping: Any) -> Any:
    """A node that writes what it packs to its spool, however fast the line is."""
    from node.app import Parts

    class Everything(set[Any]):
        def __contains__(self, item: object) -> bool:
            return True

    class Spooling(shipping):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._broke = Everything()

    return Parts(shipping=Spooling)


async def _erasure(neighbour: Any, transfer: Any, answer: str) -> None:
    from node import transfer_store
    from tests.neighbours import eventually

    async def said() -> bool:
        row = await neighbour.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
        return bool(row.erasure == answer)

    await eventually(said, what=f"{neighbour.name}: erasure {answer}")


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


STORIES: dict[str, Callable[[Path], None]] = {"network": a_network}
"""By name."""
