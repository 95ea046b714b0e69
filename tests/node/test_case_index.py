"""The list in memory says what the database says, whatever was written since."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cordee.case import parse_case
from cordee.ids import TransferId
from cordee.runtime.database import Database
from node import records, teams
from node.case_access import Access
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


class Everything:
    """Somebody to whom each case is open, but for those kept to others of these accesses."""

    def __init__(self, *kept: Access, opened: frozenset[str] = frozenset()) -> None:
        self.kept, self.opened = kept, opened

    def is_mine(self, access: Access) -> bool:
        return access not in self.kept

    def sees(self, case_id: str, access: Access) -> bool:
        return self.is_mine(access) or case_id in self.opened


ALL: Any = Everything()


async def same(db: Database, vault: Vault, index: CaseIndex) -> list[CaseLine]:
    """Both ways say the same."""
    lines = await db.read(lambda tx: records.list_cases(tx, vault))
    told = await db.read(lambda tx: index.find(tx, vault, sight=ALL))
    assert list(told.lines) == lines
    assert told.count == told.total == len(lines)
    names = await db.read(lambda tx: index.names(tx, vault, sight=ALL))
    assert dict(names) == {each.case_id: each.pseudonym for each in lines}
    return lines


async def found(db: Database, vault: Vault, index: CaseIndex, wanted: str, state: str = "all") -> list[str]:
    told = await db.read(lambda tx: index.find(tx, vault, sight=ALL, wanted=wanted, state=state, limit=50))
    assert told.count == len(told.lines)
    return [each.pseudonym for each in told.lines]


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
        piece = await db.read(lambda tx, start=start: index.find(tx, vault, sight=ALL, start=start, limit=3))
        assert piece.count == 7
        told += [each.case_id for each in piece.lines]
    assert told == ids[::-1]


async def test_what_is_kept_to_others_is_neither_listed_nor_counted_nor_found_by_a_part_of_its_name(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    first, second, third = await kept(db, vault, chance, "Alba", "Brume", "Cèdre")
    for case_id, restriction in ((second, "named_users"), (third, "sealed")):

        def restrict(tx: Connection, case_id: str = case_id, restriction: str = restriction) -> None:
            case = records.read_case(tx, vault, case_id).case
            meta = case.section("meta") | {"access_restriction": restriction}
            changed = case.with_section("meta", meta)
            records.update_case(tx, vault, case_id, changed, expected_version=1, by="claire", now=NOW)

        await db.write(restrict)
    lines = {each.case_id: each for each in await same(db, vault, index)}
    assert len({each.access for each in lines.values()}) == 3
    for opened in ((), (third,)):
        sight: Any = Everything(lines[second].access, lines[third].access, opened=frozenset(opened))
        told = await db.read(lambda tx, sight=sight: index.find(tx, vault, sight=sight))
        assert {each.case_id for each in told.lines} == {first, *opened}
        assert told.count == told.total == 1 + len(opened)
        shut = await db.read(lambda tx, sight=sight: index.find(tx, vault, sight=sight, state="closed"))
        assert (list(shut.lines), shut.count) == ([], 0)
        part = await db.read(lambda tx, sight=sight: index.find(tx, vault, sight=sight, wanted="brum"))
        assert (list(part.lines), part.kept) == ([], ())
        whole = await db.read(lambda tx, sight=sight: index.find(tx, vault, sight=sight, wanted=" BRUME "))
        assert (list(whole.lines), whole.kept) == ([], (second,))
        names = await db.read(lambda tx, sight=sight: index.names(tx, vault, sight=sight))
        assert set(names) == {first, *opened}
        assert names.get(second) is None


async def test_a_case_given_to_a_team_is_looked_at_again(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    (case_id,) = await kept(db, vault, chance, "Alba")
    await same(db, vault, index)

    def give(tx: Connection) -> str:
        team = teams.add_team(tx, vault, "Nuit", now=NOW, random=chance, by="claire")
        teams.place(tx, case_id, team, now=NOW, by="claire")
        return team

    team = await db.write(give)
    (line,) = await same(db, vault, index)
    assert line.access.team == team


async def test_it_is_filled_piece_by_piece_and_opens_each_line_once(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    index = CaseIndex()
    await kept(db, vault, chance, *(f"Nom {number}" for number in range(5)))
    more = [await db.read(lambda tx: index.catch_up(tx, vault, limit=2)) for _ in range(4)]
    assert more == [True, True, False, False]
    await same(db, vault, index)


async def test_a_look_within_a_step_that_comes_to_nothing_leaves_nothing_in_the_list(
    db: Database, vault: Vault, chance: Callable[[int], bytes]
) -> None:
    [first] = await kept(db, vault, chance, "Lou")
    index = CaseIndex()
    await db.read(lambda tx: index.catch_up(tx, vault))
    case = parse_case(json.dumps(SAMPLES[1] | {"meta": SAMPLES[1]["meta"] | {"pseudonym": "Max"}}).encode())

    class Broken(Exception):
        pass

    def step(tx: Connection) -> None:
        records.create_case(tx, vault, case, by="claire", now=NOW + HOUR, random=chance)
        assert [each.pseudonym for each in index.look(tx, vault)] == ["Max", "Lou"]
        raise Broken

    with pytest.raises(Broken):
        await db.write(step)
    assert [each.case_id for each in await db.read(lambda tx: index.look(tx, vault))] == [first]
    assert [each.case_id for each in (await db.read(lambda tx: index.find(tx, vault, sight=ALL))).lines] == [first]
