"""What must hold after each durable step of a transfer, not only at its end: a machine can stop between any two."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, text

from cordee import content
from cordee.errors import TransferOver
from cordee.ids import Digest, TransferId
from cordee.signing import Signed
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node import records, transfer_store
from node.directory_client import DirectoryClient
from node.fetching import Fetching
from node.tombstones import TRANSFER
from tests.neighbours import Neighbour, Street, neighbourhood

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path_factory.mktemp("steps"), "Paris", "Marseille") as (street, _):
        yield street


@pytest_asyncio.fixture(loop_scope="module")
async def nodes(street: Street) -> AsyncIterator[tuple[Neighbour, Neighbour]]:
    """Paris and Marseille, at work and hearing everything on one stream, whatever the test before did to them."""
    paris, marseille = street.neighbours.values()
    for each in (paris, marseille):
        if each.node is not None:
            await each.stop()
        await each.start()
    yield paris, marseille


async def offered(paris: Neighbour, marseille: Neighbour, **options: Any) -> tuple[str, TransferId]:
    record = await paris.case()
    transfer = await paris.offer(record, marseille, await paris.act(record, marseille), **options)
    await marseille.reaches(transfer, State.OFFERED)
    await paris.reaches(transfer, State.OFFERED)
    return str(record["meta"]["case_id"]), transfer


async def silent(neighbour: Neighbour) -> None:
    """It neither hears nor sends any more."""
    for loop in neighbour.here.loops[:2]:
        loop.cancel()
    await asyncio.gather(*neighbour.here.loops[:2], return_exceptions=True)


# ---- what belongs together ----


class Watched:
    """A node whose database is looked at after each of its durable steps, before anybody hears of the step."""

    def __init__(self, neighbour: Neighbour, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self.wrong: list[str] = []
        self._name = neighbour.name
        self._member = bytes(neighbour.here.member)
        self._directory = directory
        db = neighbour.here.db
        write = db.write

        async def watched(step: Any) -> Any:
            result = await write(step)
            await db.read(self._look)
            return result

        patch.setattr(db, "write", watched)

    def _look(self, tx: Connection) -> None:
        self.steps += 1
        for each in transfer_store.all_transfers(tx):
            kinds = {kind for kind, _ in transfer_store.kinds(tx, each.id)}
            imported = records.imported_as(tx, each.id) is not None
            self._require(imported == (Kind.RECEIPT_TAKEN in kinds and not each.outgoing), "the case and its receipt")
            if each.state is State.RECEIVED:
                self._require(Kind.RECEIPT_TAKEN in kinds, "received and the receipt")
            if each.over:
                keys = (each.sealed_content_key, each.sealed_one_time_seed)
                self._require(keys == (None, None), "the end and that of the keys")
            if each.outgoing and each.state is State.SHIPPED:
                self._require(Kind.SHIPMENT in kinds, "shipped and the shipment")
            if each.outgoing and each.job == "ship":
                self._require(each.sealed_content_key is not None, "the acceptance and the content key")
            if not each.outgoing and each.state is State.ACCEPTED:
                self._require(each.sealed_one_time_seed is not None, "the acceptance and its one-time key")
            told = tx.execute(text("SELECT action FROM journal WHERE subject = :id"), {"id": each.id.hex()}).scalars()
            self._require(self._journalled(each) in set(told), f"{each.state} and the journal")
        self._heard(tx)

    @staticmethod
    def _journalled(transfer: transfer_store.Transfer) -> str:
        if not transfer.outgoing and transfer.state is State.OFFERED:
            return "transfer.offer_came"
        if not transfer.outgoing and transfer.state is State.SHIPPED:
            return "transfer.shipment_came"
        return f"transfer.{transfer.state}"

    def _heard(self, tx: Connection) -> None:
        """Whatever the directory may forget, because it is said to be kept, is kept."""
        cursor = transfer_store.cursor(tx)
        with sqlite3.connect(f"file:{self._directory / 'directory.db'}?mode=ro", uri=True) as db:
            query = (
                "SELECT s.digest FROM event e JOIN statement s USING (transfer_id, position)"
                " WHERE e.member = ? AND e.sequence <= ?"
            )
            events = [digest for (digest,) in db.execute(query, (self._member, cursor))]
        kept = set(tx.execute(text("SELECT digest FROM statement")).scalars())
        self._require(kept.issuperset(events), "the cursor and what was heard")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(f"{self._name}, step {self.steps}: {what}")


async def test_after_each_step_of_a_transfer_all_that_belongs_together_is_there(
    street: Street, nodes: tuple[Neighbour, Neighbour], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = nodes
    both = [Watched(each, street.town.folder, monkeypatch) for each in nodes]
    case_id, transfer = await offered(paris, marseille)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.RECEIVED)
    await marseille.reaches(transfer, State.RECEIVED)
    assert [wrong for each in both for wrong in each.wrong] == []
    assert all(each.steps >= 4 for each in both), "the steps were looked at"
    await marseille.here.db.read(lambda tx: records.read_case(tx, marseille.here.vault, case_id))


async def test_what_leaves_was_kept_before(
    street: Street, nodes: tuple[Neighbour, Neighbour], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = nodes
    left: list[tuple[str, bool]] = []
    submit = DirectoryClient.submit

    async def looked_at(client: DirectoryClient, signed: Signed) -> Any:
        left.append((signed.type, any(_keeps(each.folder, signed) for each in nodes)))
        return await submit(client, signed)

    monkeypatch.setattr(DirectoryClient, "submit", looked_at)
    _, transfer = await offered(paris, marseille)
    await silent(marseille)
    await marseille.here.receiving.accept(marseille.person, transfer)
    street.clock.advance(timedelta(minutes=10))  # it waited for too long, and is signed anew
    await marseille.stop()
    await marseille.start()
    await paris.reaches(transfer, State.RECEIVED)
    await marseille.reaches(transfer, State.RECEIVED)
    assert [kind for kind, kept in left if not kept] == []
    assert [kind.rpartition(".")[2] for kind, _ in left].count("Answer") == 2, "it was signed anew"


def _keeps(folder: Path, signed: Signed) -> bool:
    with sqlite3.connect(f"file:{folder / 'node.db'}?mode=ro", uri=True) as db:
        return db.execute("SELECT 1 FROM statement WHERE digest = ? AND ours", (signed.digest,)).fetchone() is not None


async def test_each_acceptance_has_a_key_of_its_own(nodes: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = nodes
    keys = set()
    for _ in range(2):
        _, transfer = await offered(paris, marseille, hold=True)
        await marseille.here.receiving.accept(marseille.person, transfer)
        signed = await marseille.here.db.read(
            lambda tx, transfer=transfer: transfer_store.statement(tx, transfer, Kind.ACCEPTANCE)
        )
        keys.add(v1.Answer.FromString(signed.body).acceptance.one_time_key)
    assert len(keys) == 2
    assert b"" not in keys


# ---- what comes to nothing ----


async def test_an_offer_is_not_answered_here_once_its_time_is_over(
    street: Street, nodes: tuple[Neighbour, Neighbour]
) -> None:
    paris, marseille = nodes
    _, transfer = await offered(paris, marseille, expires_in=timedelta(minutes=2))
    await silent(marseille)  # that it is over comes by no line
    street.clock.advance(timedelta(minutes=2, seconds=1))
    with pytest.raises(TransferOver):
        await marseille.here.receiving.accept(marseille.person, transfer)
    with pytest.raises(TransferOver):
        await marseille.here.receiving.decline(marseille.person, transfer, code="no_capacity")
    assert await marseille.state(transfer) is State.OFFERED


async def test_what_is_withdrawn_while_it_is_opened_is_not_imported(
    nodes: tuple[Neighbour, Neighbour], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = nodes
    case_id, transfer = await offered(paris, marseille)
    put_in_place, opened = Fetching._import, asyncio.Event()

    async def withdrawn_meanwhile(fetching: Fetching, *checked: Any) -> None:
        await paris.here.sending.withdraw(paris.person, transfer)
        await marseille.reaches(transfer, State.WITHDRAWN)
        try:
            await put_in_place(fetching, *checked)
        finally:
            opened.set()

    monkeypatch.setattr(Fetching, "_import", withdrawn_meanwhile)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await asyncio.wait_for(opened.wait(), 30)
    await paris.reaches(transfer, State.WITHDRAWN)
    assert await marseille.state(transfer) is State.WITHDRAWN
    assert await marseille.here.db.read(lambda tx: records.standing_of(tx, case_id)) is None
    assert list((marseille.folder / "attachments").iterdir()) == []


async def test_what_is_not_the_manifest_that_was_announced_is_refused(
    nodes: tuple[Neighbour, Neighbour], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = nodes
    # The sender names another manifest than the one inside; whoever receives it takes the digest itself.
    monkeypatch.setattr(content, "manifest_digest", lambda raw: Digest(hashlib.sha256(raw).digest()))
    case_id, transfer = await offered(paris, marseille)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.REFUSED)
    assert await marseille.state(transfer) is State.REFUSED
    assert await marseille.here.db.read(lambda tx: records.standing_of(tx, case_id)) is None
    assert list((marseille.folder / "attachments").iterdir()) == []


async def test_what_has_a_tombstone_is_not_fetched_again(nodes: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = nodes
    case_id, transfer = await offered(paris, marseille, hold=True)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.ACCEPTED)
    # As where a backup from before its erasure was put back.
    marseille.here.house.tombstones.add(TRANSFER, transfer.hex(), marseille.street.clock.now())
    await paris.here.sending.ship(paris.person, transfer)
    await paris.reaches(transfer, State.REFUSED)
    assert await marseille.state(transfer) is State.REFUSED
    assert await marseille.here.db.read(lambda tx: records.standing_of(tx, case_id)) is None
