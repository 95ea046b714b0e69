"""One case with one file, from Paris to Marseille: how it begins and ends, for tests of what lies between."""

from __future__ import annotations

from cordee.ids import TransferId
from cordee.transfer import State
from node import records
from tests.journeys.aftermath import nothing_is_left
from tests.neighbours import Neighbour, Street

__all__ = ["accepted", "arrives"]


async def accepted(paris: Neighbour, marseille: Neighbour, file: bytes) -> tuple[str, TransferId]:
    """A case with a file, whose upload has begun."""
    record = await paris.case()
    case_id = record["meta"]["case_id"]
    attached = [await paris.attach(case_id, file)]
    act = await paris.act(record, marseille, attachments=attached)
    transfer = await paris.offer(record, marseille, act, attachments=attached)
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    return case_id, transfer


async def arrives(
    paris: Neighbour, marseille: Neighbour, case_id: str, transfer: TransferId, street: Street, file: bytes
) -> None:
    """Equal, once, and nothing of its way is left."""
    await paris.reaches(transfer, State.RECEIVED)
    await marseille.reaches(transfer, State.RECEIVED)
    here = marseille.here
    there = await here.db.read(lambda tx: records.read_case(tx, here.vault, case_id))
    assert [b"".join(here.attachments.read(there.data_key, each)) for each in there.attachments] == [file]
    assert len(list((marseille.folder / "attachments").iterdir())) == 1
    await nothing_is_left(street, transfer, paris, marseille)
