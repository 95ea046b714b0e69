"""Where a case that came finds its place, and what stands beside the record afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cordee.act import Act, parse_act
from cordee.case import Case, case_of, parse_case, received_case
from cordee.errors import ActRefused, AlreadyImported, CannotOpen, CaseExists, InvalidRecord, NotFound, RecordClosed
from cordee.ids import MemberId, TokenId, TransferId
from cordee.runtime.database import Database
from cordee.transfer import State
from node import acts, journal, records, transfer_store, versions
from node.attachments import AttachmentStore, StoredAttachment
from node.placing import Parcel, Place, place_of, put_in_place, take_out, take_out_again
from node.tombstones import TRANSFER, Tombstones
from node.transfer_store import Transfer
from node.vault import DataKey, Vault
from node.versions import Version

from .conftest import NOW, everything, holds

Chance = Callable[[int], bytes]
FIRST, SECOND = TransferId(b"1" * 16), TransferId(b"2" * 16)
ME, SENDER, STRANGER = MemberId(b"m" * 16), MemberId(b"s" * 16), MemberId(b"x" * 16)
FILE = "0b0e5f3c-6d53-4f6e-9d0e-6f6f0e7b1c11"
THERE = "bc2f07a7-fa12-496c-a745-ba1caccd0d48"
SAMPLE = json.loads((Path(__file__).parents[1] / "data" / "cases_sample.jsonl").read_text().splitlines()[0])


@pytest.fixture
def store(tmp_path: Path, chance: Chance) -> AttachmentStore:
    return AttachmentStore(tmp_path / "attachments", random=chance)


@pytest.fixture
async def kept(db: Database, vault: Vault, chance: Chance) -> Case:
    document = SAMPLE | {"attachments": []}
    case = parse_case(json.dumps(document).encode())
    await db.write(lambda tx: records.create_case(tx, vault, case, by="claire", now=NOW, random=chance))
    return case


def stored(store: AttachmentStore, key: DataKey, data: bytes) -> StoredAttachment:
    written = store.write(key, FILE, [data])
    return StoredAttachment(
        FILE, written.file_id, "f.pdf", "application/pdf", "report", "risk", written.size, written.sha256, False, False
    )


def parcel(case: Case, key: DataKey, *, attachments: tuple[StoredAttachment, ...] = (), **changes: Any) -> Parcel:
    sections: dict[str, Any] = {"risk": {"level": "high", "immediate_danger": "yes", "narrative": "MARKED-NARRATIVE"}}
    if attachments:
        sections["attachments"] = [entry(each) for each in attachments]
    came = received_case(
        sections,
        case_id=case.case_id,
        owner_org_id=SAMPLE["meta"]["owner_org_id"],
        received_from=THERE,
        transfer=SECOND,
        now=NOW,
    )
    given = Parcel(SECOND, SENDER, "update", came, sections, attachments, key)
    return replace(given, **changes)


def entry(each: StoredAttachment) -> dict[str, Any]:
    return {
        "attachment_id": each.attachment_id,
        "kind": each.kind,
        "file_name": each.file_name,
        "media_type": each.media_type,
        "size_bytes": each.size,
        "sha256": each.sha256.hex(),
        "section": each.section,
        "third_party_data": False,
        "may_be_sent": True,
        "added_at": "2026-03-01T10:00:00Z",
    }


async def read(db: Database, vault: Vault, case: Case) -> records.StoredCase:
    return await db.read(lambda tx: records.read_case(tx, vault, case.case_id))


async def place(db: Database, case: Case, kind: str, sender: MemberId = SENDER) -> Place:
    return await db.read(lambda tx: place_of(tx, case.case_id, sender=sender, kind=kind))


def handed_to(tx: Connection, case_id: str, peer: MemberId) -> None:
    """As after a transfer that the peer received."""
    row = Transfer(
        id=FIRST,
        outgoing=True,
        peer=peer,
        state=State.RECEIVED,
        case_id=case_id,
        token_id=TokenId(b"t" * 16),
        act_id=None,
        opened_at=NOW,
        updated_at=NOW,
        expires_at=NOW,
        hands_over=True,
        sealed_terms=b"",
        sealed_reason=None,
        sealed_content_key=None,
        sealed_one_time_seed=None,
        ciphertext_header=None,
        manifest_digest=None,
        job=None,
        total_bytes=0,
        erasure=None,
    )
    transfer_store.insert_transfer(tx, row)
    records.hand_over(tx, case_id, transfer=FIRST, now=NOW)


# ---- the place ----


async def test_a_case_of_our_own_is_nobodys_to_send(db: Database, kept: Case) -> None:
    for kind in ("transfer", "referral"):
        with pytest.raises(CaseExists):
            await place(db, kept, kind)
    assert await place(db, kept, "update") is Place.BESIDE


async def test_what_came_from_an_association_it_may_send_again_and_no_other(
    db: Database, vault: Vault, chance: Chance, kept: Case
) -> None:
    document = kept.to_dict() | {"meta": kept.section("meta") | {"case_id": THERE}, "consents": []}
    other = case_of(document)
    assert await place(db, other, "referral") is Place.NEW
    with pytest.raises(RecordClosed):
        await place(db, other, "update")
    new = parcel(other, DataKey.generate(chance), transfer=FIRST, kind="referral")
    await db.write(lambda tx: put_in_place(tx, vault, Place.NEW, new, me=ME, by="node", now=NOW))
    assert await place(db, other, "transfer") is Place.BESIDE
    with pytest.raises(CaseExists):
        await place(db, other, "transfer", STRANGER)
    await db.write(lambda tx: records.erase_case(tx, THERE, now=NOW))
    assert await place(db, other, "referral", STRANGER) is Place.NEW


async def test_a_closed_case_takes_nothing_in(db: Database, kept: Case) -> None:
    await db.write(lambda tx: records.close_case(tx, kept.case_id, expected_version=1, by="claire", now=NOW))
    with pytest.raises(RecordClosed):
        await place(db, kept, "update")


async def test_a_case_that_was_handed_over_comes_back_from_its_holder_alone(db: Database, kept: Case) -> None:
    await db.write(lambda tx: handed_to(tx, kept.case_id, SENDER))
    assert await place(db, kept, "transfer") is Place.BACK
    assert await place(db, kept, "referral") is Place.BACK
    with pytest.raises(CaseExists):
        await place(db, kept, "transfer", STRANGER)
    with pytest.raises(RecordClosed):
        await place(db, kept, "update")


# ---- beside ----


async def test_what_stands_beside_changes_nothing_of_the_record_and_comes_once(
    db: Database, vault: Vault, kept: Case, tmp_path: Path
) -> None:
    before = await read(db, vault, kept)
    came = parcel(kept, before.data_key)
    step = partial(put_in_place, vault=vault, place=Place.BESIDE, parcel=came, me=ME, by="node", now=NOW)
    assert await db.write(step) == []
    assert await read(db, vault, kept) == before
    (version,) = await db.read(lambda tx: versions.versions_of(tx, vault, kept.case_id))
    assert version == Version(SECOND, kept.case_id, SENDER, NOW, ours=False, sections=dict(came.sections))
    with pytest.raises(AlreadyImported):
        await db.write(step)
    lines = await db.read(lambda tx: journal.entries(tx, about=kept.case_id))
    assert [each.action for each in lines] == ["case.created", "case.version_came"]
    assert not holds(tmp_path, b"MARKED-NARRATIVE")


async def test_a_file_that_is_here_is_not_kept_twice_and_never_exchanged(
    db: Database, vault: Vault, kept: Case, store: AttachmentStore
) -> None:
    key = (await read(db, vault, kept)).data_key
    file = stored(store, key, b"content")
    step = partial(put_in_place, vault=vault, place=Place.BESIDE, me=ME, by="node", now=NOW)
    first = parcel(kept, key, attachments=(file,), transfer=FIRST)
    assert await db.write(partial(step, parcel=first)) == []
    there = await read(db, vault, kept)
    assert there.attachments == (file,)
    assert [each["may_be_sent"] for each in there.case.attachments] == [False]

    again = stored(store, key, b"content")
    assert await db.write(partial(step, parcel=parcel(kept, key, attachments=(again,)))) == [again.file_id]
    another = stored(store, key, b"another content")
    third = parcel(kept, key, attachments=(another,), transfer=TransferId(b"3" * 16))
    with pytest.raises(InvalidRecord):
        await db.write(partial(step, parcel=third))
    assert (await read(db, vault, kept)).attachments == (file,)
    assert len(await db.read(lambda tx: versions.versions_of(tx, vault, kept.case_id))) == 2
    assert await db.read(lambda tx: records.imported_as(tx, third.transfer)) is None


async def test_a_version_is_taken_out_with_the_files_that_came_with_it_alone(
    db: Database, vault: Vault, kept: Case, store: AttachmentStore, tmp_path: Path
) -> None:
    key = (await read(db, vault, kept)).data_key
    file = stored(store, key, b"content")
    came = parcel(kept, key, attachments=(file,))
    put = partial(put_in_place, vault=vault, place=Place.BESIDE, parcel=came, me=ME, by="node", now=NOW)
    await db.write(put)
    sealed = await db.read(lambda tx: tx.exec_driver_sql("SELECT sealed_content FROM case_version").scalar_one())
    assert await db.write(lambda tx: take_out(tx, vault, SECOND, now=NOW)) == [file.file_id]
    assert await db.write(lambda tx: take_out(tx, vault, SECOND, now=NOW)) == []
    assert db.truncate_log()
    assert bytes(sealed)[:40] not in everything(tmp_path)
    left = await read(db, vault, kept)
    assert left.attachments == ()
    assert left.case.with_section("attachments", []) == kept

    # The database is put back from a backup in which it still stood.
    await db.write(lambda tx: tx.exec_driver_sql("DELETE FROM imported").close())
    await db.write(put)
    stones = Tombstones(tmp_path / "tombstones")
    stones.add(TRANSFER, SECOND.hex(), NOW)
    files = await db.write(lambda tx: take_out_again(tx, vault, stones, now=NOW))
    assert files == [file.file_id]
    assert await db.read(lambda tx: versions.versions_of(tx, vault, kept.case_id)) == []


async def test_versions_go_with_their_case_and_cannot_be_moved(db: Database, vault: Vault, kept: Case) -> None:
    key = (await read(db, vault, kept)).data_key
    for transfer in (FIRST, SECOND):
        came = parcel(kept, key, transfer=transfer)
        await db.write(
            lambda tx, came=came: put_in_place(tx, vault, Place.BESIDE, came, me=ME, by="node", now=NOW)  # type: ignore[misc]
        )
    swap = (
        "UPDATE case_version SET sealed_content = (SELECT sealed_content FROM case_version WHERE transfer = ?)"
        " WHERE transfer = ?"
    )
    await db.write(lambda tx: tx.exec_driver_sql(swap, (bytes(FIRST), bytes(SECOND))).close())
    with pytest.raises(CannotOpen):
        await db.read(lambda tx: versions.read_version(tx, vault, SECOND))
    await db.write(lambda tx: records.erase_case(tx, kept.case_id, now=NOW))
    with pytest.raises(NotFound):
        await db.read(lambda tx: versions.versions_of(tx, vault, kept.case_id))
    assert await db.read(lambda tx: versions.read_version(tx, vault, FIRST)) is None


# ---- back ----


async def test_a_case_that_comes_back_is_open_and_ours_and_ours_from_before_stands_beside(
    db: Database, vault: Vault, kept: Case
) -> None:
    key = (await read(db, vault, kept)).data_key
    await db.write(lambda tx: records.close_case(tx, kept.case_id, expected_version=1, by="claire", now=NOW))
    await db.write(lambda tx: handed_to(tx, kept.case_id, SENDER))
    came = parcel(kept, key, kind="transfer")
    await db.write(lambda tx: put_in_place(tx, vault, Place.BACK, came, me=ME, by="node", now=NOW))
    here = await read(db, vault, kept)
    assert (here.holder, here.state, here.version, here.read_only) == ("here", "open", 3, False)
    assert here.case.section("risk") == came.sections["risk"]
    assert here.case.section("notes") == kept.section("notes")
    (version,) = await db.read(lambda tx: versions.versions_of(tx, vault, kept.case_id))
    assert (version.ours, version.author, version.sections) == (True, ME, kept.to_dict())
    assert await db.write(lambda tx: take_out(tx, vault, SECOND, now=NOW)) == []


# ---- the act that comes with it ----


async def test_an_act_that_comes_again_must_be_the_very_same_and_in_force(
    db: Database, vault: Vault, kept: Case
) -> None:
    act = parse_act(SAMPLE["consents"][0])
    await db.write(lambda tx: acts.record_act(tx, vault, act, by="claire", now=NOW))
    same = act.for_travel()

    async def comes(act: Act) -> None:
        await db.write(lambda tx: acts.record_received(tx, vault, act, by="node", now=NOW))

    await comes(same)
    await db.write(lambda tx: acts.mark_used(tx, vault, act.act_id, FIRST))
    await comes(same)
    assert len(await db.read(lambda tx: acts.acts_of(tx, vault, kept.case_id))) == 1
    with pytest.raises(ActRefused):
        await comes(parse_act(same.to_dict() | {"sections": sorted({*same.sections, "online_traces", "links"})}))
    await db.write(lambda tx: acts.withdraw_act(tx, vault, act.act_id, by_role="minor", reason="", now=NOW))
    with pytest.raises(ActRefused):
        await comes(same)
