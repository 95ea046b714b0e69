from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cordee.act import NO_LIMITS, Act, ActLimits, parse_act
from cordee.case import Case, parse_case
from cordee.errors import (
    AlreadyImported,
    CannotOpen,
    CaseExists,
    Conflict,
    InvalidInput,
    NotFound,
    RecordClosed,
    StaleRecord,
)
from cordee.ids import MemberId, TransferId
from cordee.runtime.database import Database
from node import acts, journal, records
from node.attachments import AttachmentStore, StoredAttachment
from node.tombstones import CASE, Tombstones
from node.vault import DataKey, Vault

from .conftest import NOW, everything, holds

Chance = Callable[[int], bytes]
SAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "cases_sample.jsonl").read_text(encoding="utf-8").splitlines()
]
FIRST, SECOND = TransferId(b"1" * 16), TransferId(b"2" * 16)
SENDER = MemberId(b"s" * 16)
ATTACHMENT = "0b0e5f3c-6d53-4f6e-9d0e-6f6f0e7b1c11"


def _largest() -> dict[str, Any]:
    return max(SAMPLES, key=lambda each: len(json.dumps(each)))


def _case(**changes: object) -> Case:
    document = _largest()
    document["situation"]["request_summary"] = changes.get("summary", "as it was")
    return parse_case(json.dumps(document).encode())


def _act(case: Case, number: int = 0) -> Act:
    """One of the samples' acts, as if it belonged to this case."""
    found = [act for sample in SAMPLES for act in sample.get("consents", []) if act["status"] == "active"]
    return parse_act(found[number] | {"case_id": case.case_id})


@pytest.fixture
def case() -> Case:
    return _case()


@pytest.fixture
async def kept(db: Database, vault: Vault, chance: Chance, case: Case) -> Case:
    await db.write(lambda tx: records.create_case(tx, vault, case, by="claire", now=NOW, random=chance))
    return case


async def _read(db: Database, vault: Vault, case: Case) -> records.StoredCase:
    return await db.read(lambda tx: records.read_case(tx, vault, case.case_id))


def _stored(store: AttachmentStore, key: DataKey, data: bytes, attachment_id: str = ATTACHMENT) -> StoredAttachment:
    written = store.write(key, attachment_id, [data])
    return StoredAttachment(
        attachment_id=attachment_id,
        file_id=written.file_id,
        file_name="MARKED-certificate.pdf",
        media_type="application/pdf",
        kind="medical_certificate",
        section="health",
        size=written.size,
        sha256=written.sha256,
        may_be_sent=True,
        third_party_data=False,
    )


@pytest.fixture
def store(tmp_path: Path, chance: Chance) -> AttachmentStore:
    return AttachmentStore(tmp_path / "attachments", random=chance)


# ---- reading and changing ----


async def test_a_case_comes_back_as_it_was_kept(db: Database, vault: Vault, kept: Case) -> None:
    stored = await _read(db, vault, kept)
    assert json.loads(stored.case.to_bytes()) == json.loads(kept.to_bytes())
    assert (stored.version, stored.holder, stored.state, stored.attachments) == (1, "here", "open", ())
    (line,) = await db.read(lambda tx: records.list_cases(tx, vault))
    document = json.loads(kept.to_bytes())
    assert (line.case_id, line.pseudonym) == (kept.case_id, document["meta"]["pseudonym"])
    assert (line.status, line.risk_level) == (document["meta"]["status"], document["risk"]["level"])
    assert (line.version, line.updated_at, line.attachments) == (1, NOW, 0)


async def test_every_sample_case_can_be_kept_and_listed(db: Database, vault: Vault, chance: Chance) -> None:
    cases = [parse_case(json.dumps(each).encode()) for each in SAMPLES]

    def step(tx: Connection) -> None:
        for each in cases:
            records.create_case(tx, vault, each, by="claire", now=NOW, random=chance)

    await db.write(step)
    lines = await db.read(lambda tx: records.list_cases(tx, vault))
    assert {each.case_id for each in lines} == {each.case_id for each in cases}
    keys = [(await _read(db, vault, each)).data_key for each in cases]
    assert len(set(keys)) == len(cases)


async def test_an_update_needs_the_version_that_was_read(db: Database, vault: Vault, kept: Case) -> None:
    changed = _case(summary="as it is")

    def step(tx: Connection, version: int) -> int:
        return records.update_case(
            tx, vault, kept.case_id, changed, expected_version=version, by="claire", now=NOW + timedelta(hours=1)
        )

    assert await db.write(partial(step, version=1)) == 2
    with pytest.raises(StaleRecord) as stale:
        await db.write(partial(step, version=1))
    assert stale.value.facts == {"present": "2", "given": "1"}
    stored = await _read(db, vault, kept)
    assert json.loads(stored.case.to_bytes())["situation"]["request_summary"] == "as it is"


async def test_a_case_keeps_its_id(db: Database, vault: Vault, chance: Chance, kept: Case) -> None:
    other = next(each for each in SAMPLES if each["meta"]["case_id"] != kept.case_id)
    moved = parse_case(json.dumps(other).encode())
    with pytest.raises(InvalidInput):
        await db.write(
            lambda tx: records.update_case(tx, vault, kept.case_id, moved, expected_version=1, by="c", now=NOW)
        )
    with pytest.raises(CaseExists):
        await db.write(lambda tx: records.create_case(tx, vault, kept, by="claire", now=NOW, random=chance))
    with pytest.raises(NotFound):
        await db.read(lambda tx: records.read_case(tx, vault, "no-such-case"))


async def test_a_closed_case_is_read_only(db: Database, vault: Vault, kept: Case, store: AttachmentStore) -> None:
    close = partial(records.close_case, case_id=kept.case_id, by="claire", now=NOW)
    with pytest.raises(StaleRecord):
        await db.write(partial(close, expected_version=7))
    assert await db.write(partial(close, expected_version=1)) == 2
    assert (await _read(db, vault, kept)).read_only
    stored = _stored(store, (await _read(db, vault, kept)).data_key, b"x")
    for step in (
        partial(close, expected_version=2),
        partial(records.update_case, vault=vault, case_id=kept.case_id, case=kept, expected_version=2, by="c", now=NOW),
        partial(records.add_attachment, vault=vault, case_id=kept.case_id, stored=stored, by="c", now=NOW),
    ):
        with pytest.raises(RecordClosed):
            await db.write(step)


# ---- who holds it ----


async def test_a_case_is_handed_over_once_and_is_then_read_only(db: Database, vault: Vault, kept: Case) -> None:
    hand = partial(records.hand_over, case_id=kept.case_id, now=NOW)
    await db.write(partial(hand, transfer=FIRST))
    await db.write(partial(hand, transfer=FIRST))
    with pytest.raises(RecordClosed):
        await db.write(partial(hand, transfer=SECOND))
    assert (await _read(db, vault, kept)).holder == "handed_over"
    with pytest.raises(RecordClosed):
        await db.write(
            lambda tx: records.update_case(tx, vault, kept.case_id, kept, expected_version=1, by="c", now=NOW)
        )
    await db.write(lambda tx: records.share(tx, kept.case_id, transfer=SECOND, now=NOW))
    assert await db.read(lambda tx: records.holder_of(tx, kept.case_id)) == "handed_over"
    await db.write(lambda tx: records.take_back(tx, kept.case_id, transfer=SECOND, now=NOW))
    assert await db.read(lambda tx: records.holder_of(tx, kept.case_id)) == "handed_over"  # another's to give back
    await db.write(lambda tx: records.take_back(tx, kept.case_id, transfer=FIRST, now=NOW))
    assert await db.read(lambda tx: records.holder_of(tx, kept.case_id)) == "here"


async def test_a_shared_case_can_still_be_changed_and_handed_over(db: Database, vault: Vault, kept: Case) -> None:
    await db.write(lambda tx: records.share(tx, kept.case_id, transfer=FIRST, now=NOW))
    await db.write(lambda tx: records.update_case(tx, vault, kept.case_id, kept, expected_version=1, by="c", now=NOW))
    await db.write(lambda tx: records.hand_over(tx, kept.case_id, transfer=SECOND, now=NOW))
    assert (await _read(db, vault, kept)).holder == "handed_over"


# ---- importing ----


def _import(tx: Connection, vault: Vault, case: Case, key: DataKey, transfer: TransferId, now: datetime = NOW) -> None:
    records.import_case(
        tx, vault, case, data_key=key, attachments=(), transfer=transfer, sender=SENDER, by="node", now=now
    )


async def test_a_transfers_case_is_imported_exactly_once(
    db: Database, vault: Vault, chance: Chance, store: AttachmentStore, case: Case
) -> None:
    key = DataKey.generate(chance)
    stored = [_stored(store, key, b"MARKED", ATTACHMENT)]
    step = partial(
        records.import_case,
        vault=vault,
        case=case,
        data_key=key,
        attachments=stored,
        transfer=FIRST,
        sender=SENDER,
        by="node",
        now=NOW,
    )
    await db.write(step)
    with pytest.raises(AlreadyImported) as again:
        await db.write(step)
    assert isinstance(again.value, Conflict)
    with pytest.raises(CaseExists):
        await db.write(partial(step, transfer=SECOND))
    assert await db.read(lambda tx: records.imported_as(tx, FIRST)) == case.case_id
    assert await db.read(lambda tx: records.imported_as(tx, SECOND)) is None
    kept = await _read(db, vault, case)
    assert kept.attachments == tuple(stored)
    assert b"".join(store.read(kept.data_key, kept.attachments[0])) == b"MARKED"
    assert [each.action for each in await db.read(journal.entries)] == ["case.imported"]


async def test_an_erased_case_may_come_again_but_not_by_the_same_transfer(
    db: Database, vault: Vault, chance: Chance, case: Case
) -> None:
    key = DataKey.generate(chance)
    await db.write(partial(_import, vault=vault, case=case, key=key, transfer=FIRST))
    await db.write(lambda tx: records.erase_case(tx, case.case_id, now=NOW))
    with pytest.raises(AlreadyImported):
        await db.write(partial(_import, vault=vault, case=case, key=key, transfer=FIRST))
    await db.write(partial(_import, vault=vault, case=case, key=DataKey.generate(chance), transfer=SECOND))
    assert (await _read(db, vault, case)).version == 2


# ---- attachments ----


async def test_an_attachment_is_listed_in_the_case_and_belongs_to_its_row(
    db: Database, vault: Vault, kept: Case, store: AttachmentStore
) -> None:
    stored = _stored(store, (await _read(db, vault, kept)).data_key, b"content")
    add = partial(records.add_attachment, vault=vault, case_id=kept.case_id, by="claire", now=NOW)
    assert await db.write(partial(add, stored=stored)) == 2
    found = await _read(db, vault, kept)
    assert found.attachments == (stored,)
    (entry,) = [
        each for each in json.loads(found.case.to_bytes())["attachments"] if each["attachment_id"] == ATTACHMENT
    ]
    assert (entry["size_bytes"], entry["sha256"]) == (7, stored.sha256.hex())
    with pytest.raises(Conflict):
        await db.write(partial(add, stored=_stored(store, found.data_key, b"another file")))
    assert await db.read(records.file_ids) == {stored.file_id}
    assert store.sweep(await db.read(records.file_ids)) == 1

    await db.write(lambda tx: tx.exec_driver_sql("UPDATE attachment SET file_id = 'another'").close())
    with pytest.raises(CannotOpen):
        await _read(db, vault, kept)


async def test_a_description_that_breaks_the_schema_is_refused_whole(
    db: Database, vault: Vault, kept: Case, store: AttachmentStore
) -> None:
    stored = replace(_stored(store, (await _read(db, vault, kept)).data_key, b"x"), kind="no such kind")
    with pytest.raises(InvalidInput):
        await db.write(lambda tx: records.add_attachment(tx, vault, kept.case_id, stored, by="claire", now=NOW))
    assert (await _read(db, vault, kept)).version == 1
    assert await db.read(records.file_ids) == set()


# ---- at rest ----


async def test_no_field_of_a_case_stands_in_clear_in_any_file(
    db: Database, vault: Vault, chance: Chance, store: AttachmentStore, tmp_path: Path
) -> None:
    marks: set[bytes] = set()

    def mark(schema: dict[str, Any], value: Any) -> Any:
        if isinstance(value, dict):
            known = schema.get("properties", {})
            return {name: mark(known.get(name, {}), each) for name, each in value.items()}
        if isinstance(value, list):
            return [mark(schema.get("items", {}), each) for each in value]
        free = isinstance(value, str) and schema.get("type") == "string" and not {"pattern", "format"} & schema.keys()
        if free and schema.get("maxLength", 0) >= 20:
            text = f"MARKED-{len(marks):05}"
            marks.add(text.encode())
            return text
        return value

    schema = json.loads((Path(__file__).parents[2] / "cordee" / "data" / "case.schema.json").read_text())
    for sample in SAMPLES:
        case = parse_case(json.dumps(mark(schema, sample)).encode())
        await db.write(partial(records.create_case, vault=vault, case=case, by="claire", now=NOW, random=chance))
        for act in json.loads(case.to_bytes()).get("consents", []):
            record = parse_act(act | {"case_id": case.case_id})
            await db.write(partial(acts.record_act, vault=vault, act=record, by="claire", now=NOW))
        key = (await _read(db, vault, case)).data_key
        stored = _stored(store, key, b"MARKED-CONTENT" * 1000)
        await db.write(
            partial(records.add_attachment, vault=vault, case_id=case.case_id, stored=stored, by="claire", now=NOW)
        )
    assert len(marks) > 500
    names = {
        str(each["identity"]["last_name"]) for each in SAMPLES if len(each.get("identity", {}).get("last_name", "")) > 4
    }
    assert len(names) > 10
    assert not holds(tmp_path, b"MARKED", b"certificate", b"medical", *(name.encode() for name in names))


async def test_once_its_key_is_destroyed_nothing_of_a_case_can_be_read(
    db: Database, vault: Vault, kept: Case, store: AttachmentStore, tmp_path: Path
) -> None:
    key = (await _read(db, vault, kept)).data_key
    stored = _stored(store, key, b"content")
    await db.write(lambda tx: records.add_attachment(tx, vault, kept.case_id, stored, by="claire", now=NOW))
    await db.write(lambda tx: acts.record_act(tx, vault, _act(kept), by="claire", now=NOW))

    def sealed(tx: Connection) -> list[bytes]:
        columns = {
            "case_key": "sealed_key",
            "case_record": "sealed_body",
            "attachment": "sealed_description",
            "act": "sealed_act",
        }
        rows = [tx.exec_driver_sql(f"SELECT {column} FROM {table}").scalar_one() for table, column in columns.items()]
        return [bytes(each) for each in rows]

    before = await db.read(sealed)
    assert all(each[:40] in everything(tmp_path) for each in before)

    assert await db.write(lambda tx: records.erase_case(tx, kept.case_id, now=NOW)) == [stored.file_id]
    assert await db.write(lambda tx: records.erase_case(tx, kept.case_id, now=NOW)) == []
    assert db.truncate_log()
    left = everything(tmp_path)
    assert not [number for number, each in enumerate(before) if each[:40] in left]
    for step in (
        partial(records.read_case, vault=vault, case_id=kept.case_id),
        partial(acts.read_act, vault=vault, act_id=_act(kept).act_id),
        partial(acts.acts_of, vault=vault, case_id=kept.case_id),
    ):
        with pytest.raises(NotFound):
            await db.read(step)
    assert await db.read(lambda tx: records.list_cases(tx, vault)) == []
    row = await db.read(lambda tx: tx.exec_driver_sql("SELECT id, state, sealed_body FROM case_record").one())
    assert tuple(row) == (kept.case_id, "erased", None)


async def test_rows_of_two_cases_cannot_be_swapped(db: Database, vault: Vault, chance: Chance, kept: Case) -> None:
    other = parse_case(json.dumps(SAMPLES[0] if SAMPLES[0]["meta"]["case_id"] != kept.case_id else SAMPLES[1]).encode())
    await db.write(lambda tx: records.create_case(tx, vault, other, by="claire", now=NOW, random=chance))
    for table, column, key in (
        ("case_record", "sealed_line", "id"),
        ("case_record", "sealed_body", "id"),
        ("case_key", "sealed_key", "case_id"),
    ):
        swap = f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {key} = ?) WHERE {key} = ?"
        ids = (other.case_id, kept.case_id)
        await db.write(lambda tx, swap=swap, ids=ids: tx.exec_driver_sql(swap, ids).close())  # type: ignore[misc]
        with pytest.raises(CannotOpen):
            await db.read(lambda tx: (records.list_cases(tx, vault), records.read_case(tx, vault, kept.case_id)))
        assert (await _read(db, vault, other)).version == 1


async def test_a_restored_backup_does_not_bring_an_erased_case_back(
    db: Database, vault: Vault, chance: Chance, kept: Case, tmp_path: Path
) -> None:
    stones = Tombstones(tmp_path / "tombstones")
    stones.add(CASE, kept.case_id, NOW + timedelta(days=1))
    step = partial(records.apply_tombstones, tombstones=stones, now=NOW + timedelta(days=2))
    assert await db.write(step) == []
    with pytest.raises(NotFound):
        await _read(db, vault, kept)
    later = NOW + timedelta(days=3)
    await db.write(partial(_import, vault=vault, case=kept, key=DataKey.generate(chance), transfer=FIRST, now=later))
    await db.write(step)
    assert (await _read(db, vault, kept)).state == "open"


# ---- acts ----


async def test_an_act_comes_back_byte_for_byte(db: Database, vault: Vault, kept: Case) -> None:
    act = _act(kept)
    await db.write(lambda tx: acts.record_act(tx, vault, act, by="claire", now=NOW))
    assert (await db.read(lambda tx: acts.read_act(tx, vault, act.act_id))).to_bytes() == act.to_bytes()
    with pytest.raises(Conflict):
        await db.write(lambda tx: acts.record_act(tx, vault, act, by="claire", now=NOW))


async def test_an_act_is_used_once_a_transfer_was_received(db: Database, vault: Vault, kept: Case) -> None:
    act, other = _act(kept), _act(kept, 1)
    for each in (act, other):
        await db.write(partial(acts.record_act, vault=vault, act=each, by="claire", now=NOW))
    for transfer in (FIRST, SECOND, FIRST):
        await db.write(partial(acts.mark_used, vault=vault, act_id=act.act_id, transfer=transfer))
    read = await db.read(lambda tx: acts.read_act(tx, vault, act.act_id))
    assert read.to_dict() == act.to_dict() | {"status": "used"}
    assert sorted(await db.read(lambda tx: acts.used_by(tx, act.act_id))) == [FIRST, SECOND]
    found = await db.read(lambda tx: acts.acts_of(tx, vault, kept.case_id))
    assert {each.act_id: each.status for each in found} == {act.act_id: "used", other.act_id: "active"}
    await db.write(lambda tx: acts.withdraw_act(tx, vault, act.act_id, by_role="minor", reason="", now=NOW))
    assert (await db.read(lambda tx: acts.read_act(tx, vault, act.act_id))).status == "withdrawn"
    await db.write(lambda tx: acts.mark_used(tx, vault, "no-such-act", FIRST))


async def test_a_withdrawn_act_says_so_from_then_on(db: Database, vault: Vault, kept: Case) -> None:
    act, other = _act(kept), _act(kept, 1)
    for each in (act, other):
        await db.write(partial(acts.record_act, vault=vault, act=each, by="claire", now=NOW))
    withdraw = partial(acts.withdraw_act, vault=vault, act_id=act.act_id, now=NOW + timedelta(hours=1))
    await db.write(partial(withdraw, by_role="minor", reason="MARKED-REASON"))
    with pytest.raises(Conflict):
        await db.write(partial(withdraw, by_role="minor", reason=""))
    document = json.loads((await db.read(lambda tx: acts.read_act(tx, vault, act.act_id))).to_bytes())
    assert document["status"] == "withdrawn"
    assert document["withdrawal"] == {
        "at": "2026-03-14T10:30:00Z",
        "by_role": "minor",
        "reason": "MARKED-REASON",
        "effect": "stop_future",
    }
    assert await db.read(lambda tx: acts.is_withdrawn(tx, act.act_id))
    assert not await db.read(lambda tx: acts.is_withdrawn(tx, other.act_id))
    found = await db.read(lambda tx: acts.acts_of(tx, vault, kept.case_id))
    assert {json.loads(each.to_bytes())["status"] for each in found} == {"withdrawn", "active"}


async def test_an_act_is_in_force_within_its_times_until_it_is_withdrawn(
    db: Database, vault: Vault, kept: Case
) -> None:
    act = _act(kept)
    await db.write(lambda tx: acts.record_act(tx, vault, act, by="claire", now=NOW))

    async def in_force(now: datetime, act_id: str = act.act_id, limits: ActLimits = NO_LIMITS) -> bool:
        return await db.read(lambda tx: acts.in_force(tx, vault, act_id, now=now, limits=limits))

    inside = act.valid_from + (act.valid_until - act.valid_from) / 2
    second = timedelta(seconds=1)
    assert await in_force(inside)
    assert not await in_force(act.valid_from - second)
    assert await in_force(act.valid_until - second)
    assert not await in_force(act.valid_until)
    assert not await in_force(inside, limits=ActLimits(life=inside - act.valid_from))
    assert not await in_force(inside, act_id="no-such-act")
    await db.write(lambda tx: acts.withdraw_act(tx, vault, act.act_id, by_role="mother", reason="", now=inside))
    assert not await in_force(inside)


async def test_an_act_needs_a_case_that_is_here(db: Database, vault: Vault, case: Case) -> None:
    with pytest.raises(NotFound):
        await db.write(lambda tx: acts.record_act(tx, vault, _act(case), by="claire", now=NOW))


async def test_what_is_done_to_a_case_is_journalled_by_id(db: Database, vault: Vault, kept: Case) -> None:
    await db.write(lambda tx: records.update_case(tx, vault, kept.case_id, kept, expected_version=1, by="c", now=NOW))
    await db.write(lambda tx: acts.record_act(tx, vault, _act(kept), by="c", now=NOW))
    lines = await db.read(lambda tx: journal.entries(tx, about=kept.case_id))
    assert [each.action for each in lines] == ["case.created", "case.changed", "act.recorded"]
