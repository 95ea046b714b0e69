"""What waits in the cases: kept with them, sealed, found without opening others, gone with them."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.act import parse_act
from cordee.case import Case, case_of
from cordee.case.due import RISK
from cordee.ids import TransferId
from cordee.runtime.database import Database
from node import acts, agenda, need_to_know, records
from node.case_index import CaseIndex
from node.people import Handler, Role
from node.store import migrations
from node.store.migrations import node_database
from node.vault import Vault
from tests.samples import acts_in, cases

from .conftest import holds

Chance = Callable[[int], bytes]
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
CLAIRE = Handler("a" * 32, "Claire", frozenset({Role.HANDLER}), True)
LENA = Handler("b" * 32, "Léna", frozenset({Role.LEAD}), True)
DAY = timedelta(days=1)


def a_case(number: int = 1, *, meta: dict[str, Any] | None = None, **sections: Any) -> Case:
    document = copy.deepcopy(cases()[0].to_dict())
    kept = {
        "meta": document["meta"]
        | {"case_id": f"00000000-0000-4000-8000-{number:012x}", "owner_user_id": "-", "co_handler_ids": []}
        | {"opened_on": "2026-11-02", "access_restriction": "team", "pseudonym": f"Emprunt{number}"}
        | (meta or {}),
        "situation": document["situation"],
        "risk": {"immediate_danger": "no", "level": "low", "reassess_on": "2026-12-04"},
    }
    kept["meta"].pop("retention_review_on", None)
    return case_of(kept | sections)


@pytest.fixture
def keep(db: Database, vault: Vault, chance: Chance) -> Callable[[Case], None]:
    def kept(case: Case) -> None:
        db.write_sync(lambda tx: records.create_case(tx, vault, case, by="claire", now=NOW, random=chance))

    return kept


def told(
    db: Database,
    vault: Vault,
    *,
    today: date = TODAY,
    who: Handler = CLAIRE,
    now: datetime = NOW,
    opened: agenda.Opened | None = None,
) -> list[tuple[str, str]]:
    found = db.read_sync(
        lambda tx: agenda.waiting(tx, vault, who, opened or agenda.Opened(), CaseIndex(), today=today, now=now)
    )
    return [(each.pseudonym, each.due.what) for each in found.asked]


def weeks(db: Database) -> dict[str, int | None]:
    connection = sqlite3.connect(db.path)
    rows = dict(connection.execute("SELECT id, week FROM agenda").fetchall())
    connection.close()
    return rows


def test_a_date_is_told_from_its_first_day_and_not_the_day_before(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    keep(a_case())
    assert told(db, vault, today=date(2026, 11, 30)) == []
    assert told(db, vault, today=date(2026, 12, 1)) == [("Emprunt1", "reassess")]
    assert told(db, vault, today=date(2027, 6, 1)) == [("Emprunt1", "reassess")]


def test_a_case_that_is_written_again_asks_for_what_it_says_now(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    case = a_case()
    keep(case)
    changed = case.with_section("risk", case.section("risk") | {"reassess_on": "2027-03-01"})
    db.write_sync(
        lambda tx: records.update_case(tx, vault, case.case_id, changed, expected_version=1, by="claire", now=NOW)
    )
    assert told(db, vault, today=date(2026, 12, 10)) == []
    assert told(db, vault, today=date(2027, 3, 1)) == [("Emprunt1", "reassess")]


def test_a_clock_goes_on_when_something_else_of_the_case_is_written(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    case = a_case(housing={"shelter_need": "within_72h"})
    keep(case)
    later = NOW + timedelta(hours=30)
    changed = case.with_section("safety_plan", {"needed": "yes"})
    db.write_sync(
        lambda tx: records.update_case(tx, vault, case.case_id, changed, expected_version=1, by="claire", now=later)
    )
    found = db.read_sync(
        lambda tx: agenda.waiting(tx, vault, CLAIRE, agenda.Opened(), CaseIndex(), today=later.date(), now=later)
    ).asked
    assert [each.due.at for each in found] == [NOW + timedelta(hours=72)]


def test_only_the_team_is_told_of_a_restricted_case_and_whoever_opened_it_while_that_lasts(
    db: Database, vault: Vault, chance: Chance, keep: Callable[[Case], None]
) -> None:
    case = a_case(meta={"access_restriction": "named_users", "owner_user_id": LENA.account_id})
    keep(case)
    late = date(2026, 12, 10)
    assert told(db, vault, today=late, who=LENA) == [("Emprunt1", "reassess")]
    assert told(db, vault, today=late) == []
    db.write_sync(
        lambda tx: need_to_know.open_for_reason(
            tx, vault, CLAIRE, case.case_id, "La famille appelle cette nuit.", now=NOW, random=chance
        )
    )
    just_before = NOW + need_to_know.OPEN_FOR - timedelta(seconds=1)
    assert told(db, vault, today=late, now=just_before) == [("Emprunt1", "reassess")]
    assert told(db, vault, today=late, now=NOW + need_to_know.OPEN_FOR) == []


def test_acts_are_told_under_their_case_and_not_any_more_once_withdrawn(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    case = a_case()
    keep(case)
    sample = next(
        each for one in cases() for each in acts_in(one) if each.status == "active" and each.kind == "consent"
    )
    times = {"decided_at": "2026-11-24T09:00:00Z", "valid_from": "2026-11-24T09:00:00Z"}
    act = parse_act(sample.to_dict() | times | {"case_id": case.case_id, "valid_until": "2027-01-20T09:00:00Z"})
    db.write_sync(lambda tx: acts.record_act(tx, vault, act, by="claire", now=NOW))
    assert ("Emprunt1", "act") not in told(db, vault, today=date(2027, 1, 5))
    assert ("Emprunt1", "act") in told(db, vault, today=date(2027, 1, 6))
    assert ("Emprunt1", "act") in told(db, vault, today=date(2027, 1, 27))
    assert ("Emprunt1", "act") not in told(db, vault, today=date(2027, 1, 28))
    db.write_sync(lambda tx: acts.withdraw_act(tx, vault, act.act_id, by_role="minor", reason="", now=NOW))
    assert ("Emprunt1", "act") not in told(db, vault, today=date(2027, 1, 6))


def test_closed_handed_over_and_erased_cases_ask_for_nothing(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    for number in (1, 2, 3):
        keep(a_case(number))
    ids = [a_case(number).case_id for number in (1, 2, 3)]
    late = date(2026, 12, 10)
    assert len(told(db, vault, today=late)) == 3
    db.write_sync(lambda tx: records.close_case(tx, ids[0], expected_version=1, by="claire", now=NOW))
    db.write_sync(lambda tx: records.hand_over(tx, ids[1], transfer=TransferId(b"1" * 16), now=NOW))
    db.write_sync(lambda tx: records.erase_case(tx, ids[2], now=NOW))
    assert told(db, vault, today=late) == []
    assert ids[2] not in weeks(db)


def test_a_stolen_disk_tells_neither_kind_nor_number_nor_day(
    db: Database, vault: Vault, keep: Callable[[Case], None], tmp_path: Path
) -> None:
    keep(a_case(1))
    keep(a_case(2, housing={"shelter_need": "within_72h"}, health={"urgent_need": "within_72h"}))
    connection = sqlite3.connect(db.path)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(agenda)")]
    sizes = {row[0] for row in connection.execute("SELECT length(sealed_due) FROM agenda")}
    connection.close()
    assert columns == ["id", "case_id", "week", "sealed_due"]
    assert all((size - 40) % 512 == 0 for size in sizes)
    assert holds(tmp_path, b"Emprunt1", b"Emprunt2", b"within_72h", b"reassess", b"2026-12-04") == []


def test_what_is_over_is_taken_out_of_the_weeks_that_are_read_and_what_comes_later_stays(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    measure = {"kind": "placement", "starts_on": "2026-01-01", "ends_on": "2026-11-30"}
    case = a_case(judicial={"measures": [measure]}, risk={"immediate_danger": "no", "level": "low"})
    case = case.with_section("risk", case.section("risk") | {"reassess_on": "2027-05-01"})
    keep(case)
    assert told(db, vault) == [("Emprunt1", "measure")]
    assert db.write_sync(lambda tx: agenda.tidy(tx, vault, today=date(2026, 12, 7))) == 0
    assert db.write_sync(lambda tx: agenda.tidy(tx, vault, today=date(2026, 12, 8))) == 1
    assert weeks(db)[case.case_id] == agenda.week_of(date(2027, 4, 28))
    assert told(db, vault, today=date(2027, 4, 28)) == [("Emprunt1", "reassess")]


# ---- a database of before ----


def as_before(path: Path) -> None:
    """Take away what the migrations of this page and those after it bring."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE agenda")
    connection.execute("DROP TABLE notice")
    connection.execute("DROP TABLE evidence_view")
    connection.execute("ALTER TABLE withdrawn_by RENAME TO withdrawn")
    connection.execute("ALTER TABLE draft DROP COLUMN sealed_form")
    for index in ("transfer_by_time", "transfer_open", "transfer_to_erase"):
        connection.execute(f"DROP INDEX {index}")
    connection.execute("UPDATE schema_version SET version = ?", (migrations.MIGRATIONS.index(migrations._agenda) + 1,))
    connection.commit()
    connection.close()


def test_a_database_of_before_is_brought_up_to_date_and_says_so_until_it_is(
    tmp_path: Path, vault: Vault, chance: Chance
) -> None:
    path = tmp_path / "before.db"
    with node_database(path) as db:
        for number in (1, 2, 3):
            case = a_case(number)
            db.write_sync(
                lambda tx, case=case: records.create_case(tx, vault, case, by="claire", now=NOW, random=chance)
            )
        db.write_sync(lambda tx: records.erase_case(tx, a_case(3).case_id, now=NOW))
    as_before(path)
    late = date(2026, 12, 10)
    with node_database(path) as db:
        assert not db.read_sync(
            lambda tx: agenda.waiting(tx, vault, CLAIRE, agenda.Opened(), CaseIndex(), today=late, now=NOW)
        ).complete
        assert db.write_sync(lambda tx: records.catch_up(tx, vault, many=1, now=NOW)) == 1
        assert len(told(db, vault, today=late)) == 1
        assert db.write_sync(lambda tx: records.catch_up(tx, vault, many=50, now=NOW)) == 1
        assert db.write_sync(lambda tx: records.catch_up(tx, vault, many=50, now=NOW)) == 0
        assert db.read_sync(
            lambda tx: agenda.waiting(tx, vault, CLAIRE, agenda.Opened(), CaseIndex(), today=late, now=NOW)
        ).complete
        assert len(told(db, vault, today=late)) == 2


def test_the_migrated_schema_is_the_same_as_a_new_one(tmp_path: Path) -> None:
    def schema(path: Path) -> set[tuple[str, tuple[Any, ...]]]:
        connection = sqlite3.connect(path)
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: set[tuple[str, tuple[Any, ...]]] = set()
        for table in tables:
            found |= {(table, tuple(row[1:4])) for row in connection.execute(f"PRAGMA table_info({table})")}
            found |= {(table, ("index", row[1])) for row in connection.execute(f"PRAGMA index_list({table})")}
        connection.close()
        return found

    with node_database(tmp_path / "new.db"):
        pass
    with node_database(tmp_path / "old.db"):
        pass
    as_before(tmp_path / "old.db")
    with node_database(tmp_path / "old.db"):
        pass
    assert schema(tmp_path / "old.db") == schema(tmp_path / "new.db")


def test_a_case_that_does_not_open_stops_nobody(db: Database, vault: Vault, keep: Callable[[Case], None]) -> None:
    keep(a_case(1))
    keep(a_case(2))
    connection = sqlite3.connect(db.path)
    connection.execute("UPDATE agenda SET sealed_due = NULL, week = NULL")
    connection.execute("UPDATE case_record SET sealed_body = x'00' WHERE id = ?", (a_case(1).case_id,))
    connection.commit()
    connection.close()
    assert db.write_sync(lambda tx: records.catch_up(tx, vault, many=50, now=NOW)) == 2
    assert db.write_sync(lambda tx: records.catch_up(tx, vault, many=50, now=NOW)) == 0
    assert told(db, vault, today=date(2026, 12, 10)) == [("Emprunt2", "reassess")]


def test_what_was_opened_before_is_not_shown_once_it_was_written_closed_or_erased(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    opened, late = agenda.Opened(), date(2026, 12, 10)
    case, closed, erased = (a_case(number) for number in (1, 2, 3))
    for each in (case, closed, erased):
        keep(each)
    assert len(told(db, vault, today=late, opened=opened)) == 3
    changed = case.with_section("risk", case.section("risk") | {"reassess_on": "2026-12-05"})
    changed = changed.with_section("meta", changed.section("meta") | {"pseudonym": "Autrement"})
    db.write_sync(
        lambda tx: records.update_case(tx, vault, case.case_id, changed, expected_version=1, by="claire", now=NOW)
    )
    db.write_sync(lambda tx: records.close_case(tx, closed.case_id, expected_version=1, by="claire", now=NOW))
    db.write_sync(lambda tx: records.erase_case(tx, erased.case_id, now=NOW))
    assert told(db, vault, today=late, opened=opened) == [("Autrement", "reassess")]
    assert told(db, vault, today=late, who=LENA, opened=opened) == [("Autrement", "reassess")]


def test_of_each_kind_the_most_urgent_are_shown_and_all_are_counted(
    db: Database, vault: Vault, keep: Callable[[Case], None]
) -> None:
    for number, day in enumerate(("06", "04", "05", "07"), 1):
        keep(a_case(number, risk={"immediate_danger": "no", "level": "low", "reassess_on": f"2026-12-{day}"}))
    keep(a_case(5, meta={"owner_user_id": LENA.account_id}))
    opened, late = agenda.Opened(), date(2026, 12, 10)

    def look(*, everybody: bool) -> agenda.Waiting:
        return db.read_sync(
            lambda tx: agenda.waiting(
                tx, vault, CLAIRE, opened, CaseIndex(), today=late, now=NOW, everybody=everybody, most=2
            )
        )

    mine = look(everybody=False)
    assert [each.pseudonym for each in mine.asked] == ["Emprunt2", "Emprunt3"]
    assert (mine.counts, mine.colleagues) == ({RISK: 4}, 1)
    every = look(everybody=True)
    assert (every.counts, every.colleagues) == ({RISK: 5}, 0)


def test_what_is_opened_beforehand_piece_by_piece_is_not_opened_again(
    db: Database, vault: Vault, keep: Callable[[Case], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        keep(a_case(number))
    opened, late = agenda.Opened(), date(2026, 12, 10)
    assert db.read_sync(lambda tx: opened.catch_up(tx, vault, late, limit=2))
    assert not db.read_sync(lambda tx: opened.catch_up(tx, vault, late, limit=2))

    def again(*_: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(agenda, "_row", again)
    assert len(told(db, vault, today=late, opened=opened)) == 3
