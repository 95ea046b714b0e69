"""What the recipient fetched before it was cut off: gone on from, and fetched again where the disk lost it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cordee.ids import TransferId
from cordee.transfer import State
from node import records
from tests.neighbours import Neighbour, Street, neighbourhood

FILES = [os.urandom(1_300_000), b"", os.urandom(700_000)]


def zeroed(data: bytes) -> bytes:
    """As a power cut may leave a file: long enough, and empty in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes(20_000) + data[middle + 20_000 :]


async def shipped(street: Street, paris: Neighbour, marseille: Neighbour) -> tuple[str, TransferId, Path]:
    """A shipment that waits for a recipient that is away: case, transfer, and the directory's file."""
    record = await paris.case()
    case_id = record["meta"]["case_id"]
    attached = [await paris.attach(case_id, data) for data in FILES]
    act = await paris.act(record, marseille, attachments=attached)
    transfer = await paris.offer(record, marseille, act, attachments=attached, hold=True)
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.ACCEPTED)
    await marseille.stop()
    await paris.here.sending.ship(paris.person, transfer)
    await paris.reaches(transfer, State.SHIPPED)
    mailbox = street.town.directory.mailbox
    assert await mailbox.size(transfer)
    return case_id, transfer, mailbox._folder / transfer.hex()


def spool_of(neighbour: Neighbour, transfer: TransferId) -> Path:
    folder = neighbour.folder / "spool"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{transfer.hex()}.in"


async def files_there(marseille: Neighbour, case_id: str) -> list[bytes]:
    here = marseille.here
    there = await here.db.read(lambda tx: records.read_case(tx, here.vault, case_id))
    return [b"".join(here.attachments.read(there.data_key, each)) for each in there.attachments]


@pytest.mark.parametrize(
    "left",
    [
        lambda data: data[:1_000_001],
        lambda data: data,
        lambda data: zeroed(data[:1_000_001]),
        zeroed,
        lambda data: data + bytes(5),
        lambda data: bytes(10),
    ],
    ids=["a part", "all", "a damaged part", "all damaged", "too much", "a wrong start"],
)
async def test_whatever_lies_in_the_spool_the_case_arrives_whole(
    tmp_path: Path, left: Callable[[bytes], bytes]
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        case_id, transfer, waiting = await shipped(street, paris, marseille)
        spool_of(marseille, transfer).write_bytes(left(waiting.read_bytes()))
        await marseille.start()
        await marseille.reaches(transfer, State.RECEIVED)
        await paris.reaches(transfer, State.RECEIVED)
        assert await files_there(marseille, case_id) == FILES
        assert len(list((marseille.folder / "attachments").iterdir())) == len(FILES)
        assert not spool_of(marseille, transfer).exists()


@pytest.mark.parametrize("kept", [0, 1_000_001])
async def test_what_waits_damaged_at_the_directory_is_refused_and_nothing_of_it_stays(
    tmp_path: Path, kept: int
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        _, transfer, waiting = await shipped(street, paris, marseille)
        spool_of(marseille, transfer).write_bytes(waiting.read_bytes()[:kept])
        waiting.write_bytes(zeroed(waiting.read_bytes()))
        await marseille.start()
        await marseille.reaches(transfer, State.REFUSED)
        await paris.reaches(transfer, State.REFUSED)
        assert list((marseille.folder / "attachments").iterdir()) == []
        assert not spool_of(marseille, transfer).exists()
