"""What a node gives back to a directory that came back from a backup, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import CordeeError, DirectoryBehind, NotAMember, RosterRolledBack, StatementRefused, Unreachable
from cordee.times import timestamp_of
from cordee.transfer import Kind, State, kind_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from node import journal, transfer_store
from node.giving_back import GivingBack
from tests.neighbours import Neighbour, neighbourhood


class Directory:
    """Takes what it is given, or answers with an error."""

    def __init__(self) -> None:
        self.transfers: list[list[v1.Signed]] = []
        self.logs: list[list[pb.GiveBackRequest]] = []
        self.answer: CordeeError | None = None
        self.restored = 0

    async def give_back_transfer(self, statements: Sequence[v1.Signed]) -> pb.GiveBackTransferResponse:
        if self.answer is not None:
            raise self.answer
        self.transfers.append(list(statements))
        return pb.GiveBackTransferResponse(state="offered", added=1)

    async def give_back(self, parts: Any) -> pb.GiveBackResponse:
        self.logs.append([part async for part in parts])
        entries = sum(part.WhichOneof("part") == "entry" for part in self.logs[-1])
        return pb.GiveBackResponse(entries=entries)


def kinds(statements: list[v1.Signed]) -> list[Kind]:
    return [kind_of(getattr(v1, each.type.rpartition(".")[2]).FromString(each.body)) for each in statements]


def parts(given: list[pb.GiveBackRequest]) -> list[str | None]:
    return [part.WhichOneof("part") for part in given]


def restored(at: datetime, since: datetime | None = None) -> pb.DirectoryRestored:
    told = pb.DirectoryRestored(restored=timestamp_of(at))
    if since is not None:
        told.since.CopyFrom(timestamp_of(since))
    return told


def giving(node: Neighbour, directory: Directory) -> GivingBack:
    return GivingBack(node.here.house, directory, directory)  # type: ignore[arg-type]  # two calls of it


async def journalled(node: Neighbour, action: str) -> int:
    return len(await node.here.db.read(lambda tx: journal.latest(tx, action=action, limit=100)))


@pytest.mark.journey
async def test_what_is_given_back(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        now = street.clock.now()
        directory = Directory()
        here = giving(marseille, directory)

        # A restore: every card before we look at any, once.
        roster = marseille.here.roster.roster
        await here.cards(roster)
        assert directory.logs == [], "there was none"
        directory.restored = 5
        await here.cards(roster)
        await here.cards(roster)
        assert [parts(each) for each in directory.logs] == [["start", "card", "card"]]

        # What was taken of each transfer, once.
        await here.since(restored(now))
        assert [kinds(each) for each in directory.transfers] == [[Kind.OFFER]]
        await here.since(restored(now))
        assert len(directory.transfers) == 1
        assert await journalled(marseille, "transfer.given_back") == 1
        await here.since(restored(now + timedelta(seconds=1)))
        assert len(directory.transfers) == 2, "another restore"

        # Only what may have changed since the backup was made.
        await here.since(restored(now + timedelta(seconds=2), since=now + timedelta(days=32)))
        assert len(directory.transfers) == 2

        # Away in the middle: it begins anew.
        directory.answer = Unreachable(peer="directory")
        with pytest.raises(Unreachable):
            await here.since(restored(now + timedelta(seconds=3)))
        directory.answer = StatementRefused(what="Offer", problem="")
        await here.since(restored(now + timedelta(seconds=3)))  # one that is refused does not keep the others
        directory.answer = None
        await here.since(restored(now + timedelta(seconds=3)))
        assert len(directory.transfers) == 2, "it was done with"

        # What still waits for the broker is no part of it: that goes through the outbox.
        def waits_again(tx: Any) -> None:
            tx.exec_driver_sql("UPDATE statement SET waits = 1 WHERE kind = 'offer'")

        await paris.here.db.write(waits_again)
        assert await giving(paris, directory).transfer(transfer) == 0
        assert len(directory.transfers) == 2
        await paris.here.db.write(lambda tx: transfer_store.mark_taken(tx, transfer, Kind.OFFER))

        # A log that is behind: from its end on, then every card; nothing where it has as much as we.
        size = marseille.here.roster.tree.size
        await here.after(DirectoryBehind(size=1, signed=size))
        assert parts(directory.logs[-1]) == ["start", *["entry"] * (size - 1), "card", "card"]
        assert directory.logs[-1][0].start.checkpoint == marseille.here.roster.note
        await here.after(RosterRolledBack(shown=size - 1, known=size))
        assert parts(directory.logs[-1]) == ["start", "entry", "card", "card"]
        told = len(directory.logs)
        await here.after(DirectoryBehind(size=size, signed=size + 1))
        await here.after(DirectoryBehind(size="?", signed=size))
        await here.after(Unreachable(peer="directory"))
        assert len(directory.logs) == told

        # Not known any more: perhaps our key is not. Seldom, for it may be true.
        await here.after(NotAMember())
        await here.after(NotAMember())
        assert [parts(each) for each in directory.logs[told:]] == [["start", "card"]]
