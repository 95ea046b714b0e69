"""The list in memory says what the database says, whatever was written since."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from cordee.case import parse_case
from cordee.ids import TransferId
from cordee.runtime.database import Database
from node import records
from node.case_index import CaseIndex
from node.records import CaseLine
from node.vault import Vault

from .conftest import NOW

HOUR = timedelta(hours=1)
SAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "cases_sample.jsonl").read_text(encoding="utf-8").splitlines()
]
TRANSFER = TransferId(b"1" * 16)


async def kept(db: Database, vault: Vault, chance: Callable[[int], bytes], *names: str) -> list[str]:
    """Cases of these pseudonyms, each an hour younger than the one before. Their ids."""
    found = []
    for number, (name, sample) in enumerate(zip(names, SAMPLES, strict=False)):
        case = parse_case(json.dumps(sample | {"meta": sample["meta"] | {"pseudonym": name}}).encode())
        now = NOW + number * HOUR

        def step(tx: Connection, case=case, now=now) -> None:  # type: ignore[no-untyped-def]
            records.create_case(tx, vault, case, by="claire", now=now, random=chance)

        await db.write(step)
        found.append(case.case_id)
    return found


async def same(db: Database, vault: Vault, index: CaseIndex) -> list[CaseLine]:
    """Both ways say the same."""
    lines = await db.read(lambda tx: records.list_cases(tx, vault))
    assert list(await db.read(lambda tx: index.lines(tx, vault))) == lines
    assert dict(await db.read(lambda tx: index.names(tx, vault))) == {each.case_id: each.pseudonym for each in lines}
    assert await db.read(lambda tx: index.count(tx, vault)) == len(lines)
    return lines


async def found(db: Database, vault: Vault, index: CaseIndex, wanted: str, state: str = "all") -> list[str]:
    lines, count = await db.read(lambda tx: index.find(tx, vault, wanted=wanted, state=state, limit=50))
    assert count == len(lines)
    return [each.pseudonym for each in lines]


async def test_every_change_to_a_case_is_seen_by_the_next_reader(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    assert await same(db, vault, index) == []
    first, second, third = await kept(db, vault, chance, "Alba", "Brume", "Cèdre")
    assert [each.case_id for each in await same(db, vault, index)] == [third, second, first]
    later = NOW + 9 * HOUR

    def rename(tx: Connection) -> None:
        case = records.read_case(tx, vault, first).case
        renamed = case.with_section("meta", case.section("meta") | {"pseudonym": "Zéphyr"})
        records.update_case(tx, vault, first, renamed, expected_version=1, by="claire", now=later)

    await db.write(rename)
    assert [each.pseudonym for each in await same(db, vault, index)] == ["Zéphyr", "Cèdre", "Brume"]
    await db.write(lambda tx: records.hand_over(tx, second, transfer=TRANSFER, now=later))
    await same(db, vault, index)
    await db.write(lambda tx: records.take_back(tx, second, transfer=TRANSFER, now=later))
    assert {each.holder for each in await same(db, vault, index)} == {"here"}
    await db.write(lambda tx: records.close_case(tx, second, expected_version=1, by="claire", now=later))
    assert await found(db, vault, index, "", "closed") == ["Brume"]
    await db.write(lambda tx: records.erase_case(tx, third, now=later))
    assert [each.pseudonym for each in await same(db, vault, index)] == ["Zéphyr", "Brume"][
        :: 1 if first < second else -1
    ]
    assert await found(db, vault, index, "cedre") == []


async def test_a_change_is_seen_though_the_clock_went_back(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    first, second = await kept(db, vault, chance, "Alba", "Brume")
    await same(db, vault, index)
    await db.write(lambda tx: records.touch(tx, second, now=NOW - HOUR))
    assert [each.case_id for each in await same(db, vault, index)] == [first, second]


async def test_a_name_is_found_by_any_part_of_it_without_accents_and_capitals(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    await kept(db, vault, chance, "Étoile du Nord", "Petite étoile", "Galet")
    assert await found(db, vault, index, "ETOILE") == ["Petite étoile", "Étoile du Nord"]
    assert await found(db, vault, index, "du nord", "open") == ["Étoile du Nord"]
    assert await found(db, vault, index, "étoile", "closed") == []


async def test_pieces_of_a_list_follow_one_another(db: Database, vault: Vault, chance: Callable[[int], bytes]) -> None:
    index = CaseIndex()
    ids = await kept(db, vault, chance, *(f"Nom {number}" for number in range(7)))
    told: list[str] = []
    for start in (0, 3, 6, 9):
        lines, count = await db.read(lambda tx, start=start: index.find(tx, vault, start=start, limit=3))
        assert count == 7
        told += [each.case_id for each in lines]
    assert told == ids[::-1]


async def test_it_is_filled_piece_by_piece_and_opens_each_line_once(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    await kept(db, vault, chance, *(f"Nom {number}" for number in range(5)))
    more = [await db.read(lambda tx: index.catch_up(tx, vault, limit=2)) for _ in range(4)]
    assert more == [True, True, False, False]
    await same(db, vault, index)
