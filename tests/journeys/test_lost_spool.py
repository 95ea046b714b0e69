"""A packed file that is gone before it left: packed anew, nothing lost; afterwards: withdrawn, and still ours. What a
packing that was cut off had sent along: replaced by the next one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import Unreachable
from cordee.ids import TransferId
from cordee.transfer import State
from node import records, transfer_store
from node.directory_client import DirectoryClient
from tests.neighbours import Neighbour, neighbourhood


async def accepted(paris: Neighbour, marseille: Neighbour) -> tuple[str, object]:
    """A case offered with `hold`, accepted, and marked as packed although there is no file."""
    record = await paris.case()
    transfer = await paris.offer(record, marseille, await paris.act(record, marseille), hold=True)
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.ACCEPTED)
    now = paris.street.clock.now()
    key = paris.here.house.in_flight.seal(bytes(32), place="transfer.sealed_content_key", row=transfer)
    packed = {"sealed_content_key": key, "ciphertext_header": bytes(56), "manifest_digest": bytes(32)}
    await paris.here.db.write(lambda tx: transfer_store.set_fields(tx, transfer, now=now, **packed))
    return record["meta"]["case_id"], transfer


async def test_a_spool_lost_before_anything_left_is_packed_anew(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        _, transfer = await accepted(paris, marseille)
        await paris.here.sending.ship(paris.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)


async def test_a_spool_lost_after_a_part_has_left_ends_in_a_withdrawal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def some(self: DirectoryClient, transfer: object, **_: object) -> int:
        return 1

    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        case_id, transfer = await accepted(paris, marseille)
        monkeypatch.setattr(DirectoryClient, "waiting_bytes", some)  # as if one byte had arrived before the fault
        await paris.here.sending.ship(paris.person, transfer)
        await paris.reaches(transfer, State.WITHDRAWN)
        await marseille.reaches(transfer, State.WITHDRAWN)
        assert await paris.here.db.read(lambda tx: records.holder_of(tx, case_id)) == "here"


async def test_what_a_packing_that_was_cut_off_had_sent_along_is_replaced(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        _, transfer = await accepted(paris, marseille)
        unpacked = {"ciphertext_header": None, "manifest_digest": None}
        now = street.clock.now()
        await paris.here.db.write(lambda tx: transfer_store.set_fields(tx, transfer, now=now, **unpacked))
        mailbox = street.town.directory.mailbox
        (mailbox._folder / transfer.hex()).write_bytes(bytes(1_000_000))
        await paris.here.sending.ship(paris.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        await marseille.reaches(transfer, State.RECEIVED)


@pytest.mark.parametrize("part", ["a part", "all of it"])
async def test_what_a_killed_process_had_sent_is_no_part_of_what_was_packed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """The directory counts it only once it has closed that upload: when the new one has broken already."""
    put, offsets = DirectoryClient.put, []

    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        mailbox = street.town.directory.mailbox

        async def breaks_once(
            self: DirectoryClient, transfer: TransferId, *, pieces: AsyncIterator[bytes], **more: Any
        ) -> int:
            offsets.append(more["offset"])
            if len(offsets) > 1:
                return await put(self, transfer, pieces=pieces, **more)
            size = sum([len(piece) async for piece in pieces])
            (mailbox._folder / transfer.hex()).write_bytes(bytes(size if part == "all of it" else 40_000))
            raise Unreachable(peer="mailbox")

        monkeypatch.setattr(DirectoryClient, "put", breaks_once)
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        await marseille.reaches(transfer, State.RECEIVED)
    assert offsets == [0, 0]


async def test_where_the_line_breaks_while_it_is_packed_the_rest_is_sent_from_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, offsets = DirectoryClient.put, []

    async def breaks_once(
        self: DirectoryClient,
        transfer: TransferId,
        *,
        offset: int,
        pieces: AsyncIterator[bytes],
        anew: bool,
        **more: Any,
    ) -> int:
        offsets.append((offset, anew))
        if len(offsets) > 1:
            return await put(self, transfer, offset=offset, pieces=pieces, anew=anew, **more)

        async def one() -> AsyncIterator[bytes]:
            yield (await anext(pieces))[:40_000]

        await put(self, transfer, offset=0, pieces=one(), anew=anew)
        raise Unreachable(peer="mailbox")

    monkeypatch.setattr(DirectoryClient, "put", breaks_once)
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
    assert offsets == [(0, True), (40_000, False)]
