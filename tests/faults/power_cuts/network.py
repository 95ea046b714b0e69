"""The long story: a directory and two nodes, over real TLS, in one process and three folders."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.faults.power_cuts.telling import Marking, lasts, say

__all__ = ["a_network"]

_FILE = 70_000  # bytes: several chunks, several pages


def a_network(root: Path) -> None:
    """A directory and two nodes, from the first key to an erasure."""
    from cordee.transfer import State
    from node import drafts
    from node.shipping import Shipping
    from tests.directory.town import Town
    from tests.neighbours import LiveClock, Neighbour, Street, eventually, knows

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
            say("a draft")
            now = clock.now()
            fields = [("note", "x" * 5000)]
            await marseille.here.db.write(
                lambda tx: drafts.keep(tx, marseille.here.vault, "camille", "note", fields, now=now)
            )
            say("withdrawal, erasure")
            await paris.here.sending.withdraw(paris.person, transfer)
            await _erasure(marseille, transfer, "asked")
            await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
            lasts("Marseille", "tombstones")
            await _erasure(paris, transfer, "done")
            say("received, and given back")
            transfer = await received(paris, marseille)
            await marseille.here.receiving.give_back(marseille.person, transfer, code="wrong_recipient")
            lasts("Marseille", "tombstones")
            await _erasure(paris, transfer, "returned")
            say("a new transport key, a new card")
            await paris.here.publishing.rotate_transport()
            say("a new identity")
            await paris.here.identity.rotate(by="camille", despite_transfers=True)
            say("nodes stop")
            for each in (paris, marseille):
                await each.stop()
                lasts(each.name)
        lasts("directory")
        _offline(root)

    _run(all_of_it())


def _offline(root: Path) -> None:
    """What administrators do while the directory is closed."""
    from datetime import UTC, datetime

    from directory import maintenance
    from directory.roster_store import RosterStore  # noqa: F401 - its tables

    say("the directory is saved")
    maintenance.save(root / "directory", root / "copy", with_keys=True)
    lasts("copy")
    say("its next keys are made")
    maintenance.next_log_key(root / "directory", os.urandom)
    maintenance.next_authority(root / "directory", datetime.now(UTC))
    lasts("directory")


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
