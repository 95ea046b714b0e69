"""Fetching a shipment, checking it and importing it, step by step (node/fetching.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from cordee import content
from cordee.case import case_of
from cordee.errors import NotFound, TooManyRequests, Unreachable
from cordee.ids import Digest, TransferId
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node import acts, records, sending, shipping, spool, transfer_store, versions
from node.came import REASON_PLACE
from node.demo import cases as synthetic
from node.tombstones import TRANSFER
from node.updating import ground_of

from .stage import PERSON, REFERRAL, Half, Offered, Stage, optional

HOURS_72 = timedelta(hours=72)


def refused_as(half: Half, transfer: TransferId) -> str:
    """Refused whole: the code, with nothing left of it."""
    row = half.row(transfer)
    assert (row.state, row.job, row.sealed_one_time_seed) == (State.REFUSED, None, None)
    assert half.kinds(transfer)[Kind.RECEIPT_REFUSED] is True
    assert Kind.RECEIPT_TAKEN not in half.kinds(transfer)
    assert half.spools() == set()
    assert half.files() == set()
    reason = v1.Reason.FromString(half.house.vault.unseal(row.sealed_reason or b"", place=REASON_PLACE, row=transfer))
    assert half.told(transfer)[-1][1] == "transfer.refused"
    assert half.news[-1] == transfer
    return reason.code


async def test_what_was_checked_is_imported_as_one(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille, files=2)
    marseille.news.clear()
    path = marseille.house.spool(made.transfer, outgoing=False)
    marseille.at("node.fetch.fetched", lambda: path.write_bytes(b"x") and None)  # as from a slow line
    await marseille.fetching.run(made.transfer)
    row, house = marseille.row(made.transfer), marseille.house
    assert (row.state, row.job, row.sealed_one_time_seed) == (State.RECEIVED, None, None)
    assert (row.case_id, row.act_id, row.erasure) == (made.case_id, made.act_id, None)
    assert marseille.kinds(made.transfer)[Kind.RECEIPT_TAKEN] is True
    assert marseille.told(made.transfer)[-1] == ("node", "transfer.received", "done")
    assert (marseille.news, marseille.spools()) == ([made.transfer], set())
    stored = house.db.read_sync(lambda tx: records.read_case(tx, house.vault, made.case_id))
    assert stored.case.value("meta.owner_org_id") == marseille.profile["org_id"]
    assert {each.file_id for each in stored.attachments} == marseille.files()
    sent = paris.house.db.read_sync(lambda tx: records.read_case(tx, paris.house.vault, made.case_id)).attachments
    for ours, theirs in zip(stored.attachments, sent, strict=True):
        assert (ours.kind, ours.section, ours.sha256) == (theirs.kind, theirs.section, theirs.sha256)
        assert (ours.may_be_sent, ours.third_party_data) == (False, False)
        assert b"".join(house.attachments.read(stored.data_key, ours)) == b"".join(
            paris.house.attachments.read(
                paris.house.db.read_sync(lambda tx: records.data_key_of(tx, paris.house.vault, made.case_id)), theirs
            )
        )
    assert [each.act_id for each in house.db.read_sync(lambda tx: acts.acts_of(tx, house.vault, made.case_id))] == [
        made.act_id
    ]
    for point in ("fetch.fetching", "fetch.fetched", "fetch.quarantined", "import.before_write", "import.after_write"):
        assert f"node.{point}" in marseille.points
    await marseille.fetching.run(made.transfer)
    assert marseille.line.gets == [0]


async def test_whose_data_a_file_holds_is_told_with_it(stage: Stage, paris: Half, marseille: Half) -> None:
    record = await stage.case(paris)
    case_id = record["meta"]["case_id"]
    file = await paris.attach(case_id, b"x", third_party_data=True)
    act = await stage.act(paris, record, marseille, attachments=[file])
    transfer = await stage.again(paris, marseille, case_id, act, attachments=[file])
    made = Offered(case_id, act, transfer)
    await stage.carry(made.transfer, Kind.OFFER)
    await marseille.receiving.accept(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    await paris.shipping.run(made.transfer)
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    (ours,) = marseille.house.db.read_sync(lambda tx: records.read_case(tx, marseille.house.vault, case_id)).attachments
    assert ours.third_party_data


async def test_its_progress_is_told(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    moved: list[int] = []
    marseille.house.changes.moved = lambda transfer, done: moved.append(done)  # type: ignore[method-assign]
    await marseille.fetching.run(made.transfer)
    size = len(marseille.line.held[made.transfer])
    assert (moved[0], moved[-1]) == (min(size, 40_000), size)


# ---- over before it is fetched ----


@pytest.mark.parametrize("there", [State.EXPIRED, State.WITHDRAWN])
async def test_what_is_over_for_the_directory_too_ends_so(
    stage: Stage, paris: Half, marseille: Half, there: State
) -> None:
    made = await stage.shipped(paris, marseille)
    marseille.house.spool(made.transfer, outgoing=False).write_bytes(b"x")
    stage.clock.advance(HOURS_72.total_seconds())
    marseille.line.state = there
    marseille.news.clear()
    await marseille.fetching.run(made.transfer)
    row = marseille.row(made.transfer)
    assert (row.state, row.job) == (there, None)
    assert marseille.told(made.transfer)[-1] == ("node", f"transfer.{there}", "done")
    assert (marseille.news, marseille.spools(), marseille.line.gets) == ([made.transfer], set(), [])
    assert Kind.RECEIPT_REFUSED not in marseille.kinds(made.transfer)


async def test_what_is_over_here_alone_is_refused(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    await stage.pass_time(HOURS_72)
    marseille.line.state = State.SHIPPED
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "over"
    assert marseille.line.gets == []


async def test_until_its_last_moment_it_is_fetched(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    await stage.pass_time(HOURS_72 - timedelta(seconds=1))
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.RECEIVED


async def test_what_has_a_tombstone_is_not_fetched(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    marseille.house.tombstones.add(TRANSFER, made.transfer.hex(), stage.clock.now())
    marseille.line.state = State.SHIPPED
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "over"


async def test_while_the_directory_is_away_nobody_decides(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    stage.clock.advance(HOURS_72.total_seconds())
    marseille.line.state = Unreachable(peer="directory")
    with pytest.raises(Unreachable):
        await marseille.fetching.run(made.transfer)
    assert (marseille.state(made.transfer), marseille.row(made.transfer).job) == (State.SHIPPED, "fetch")


async def test_what_ended_while_the_directory_was_asked_ends_once(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    stage.clock.advance(HOURS_72.total_seconds())
    job, chain = marseille.row(made.transfer), marseille.chain(made.transfer)
    marseille.line.state = State.EXPIRED
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    await marseille.fetching._end(job, chain.shipment, None)  # type: ignore[arg-type]
    assert marseille.state(made.transfer) is State.WITHDRAWN


# ---- lines that break ----


async def test_a_line_that_broke_goes_on_where_the_spool_ends(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    marseille.line.get_breaks = [50_000]
    with pytest.raises(Unreachable):
        await marseille.fetching.run(made.transfer)
    assert (marseille.state(made.transfer), marseille.row(made.transfer).job) == (State.SHIPPED, "fetch")
    await marseille.fetching.run(made.transfer)
    assert marseille.line.gets == [0, 50_000]
    assert marseille.state(made.transfer) is State.RECEIVED


async def test_an_answer_that_says_nothing_is_asked_for_again_after_a_pause(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.shipped(paris, marseille)
    marseille.line.get_breaks = [0]
    with pytest.raises(Unreachable):
        await marseille.fetching.run(made.transfer)
    assert marseille.line.gets == [0]
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.RECEIVED


@pytest.mark.parametrize("answer", [NotFound(what="transfer"), TooManyRequests()], ids=lambda each: each.reason)
async def test_what_the_directory_answers_is_no_reason_to_refuse(
    stage: Stage, paris: Half, marseille: Half, answer: Any
) -> None:
    made = await stage.shipped(paris, marseille)
    marseille.line.get_breaks = [answer]
    with pytest.raises(type(answer)):
        await marseille.fetching.run(made.transfer)
    assert (marseille.state(made.transfer), marseille.row(made.transfer).job) == (State.SHIPPED, "fetch")


async def test_a_spool_that_a_power_cut_has_damaged_is_fetched_anew(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    marseille.line.get_breaks = [50_000]
    with pytest.raises(Unreachable):
        await marseille.fetching.run(made.transfer)
    path = marseille.house.spool(made.transfer, outgoing=False)
    path.write_bytes(bytes(len(path.read_bytes())))
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.RECEIVED
    assert marseille.line.gets[-1] == 0
    assert len(marseille.files()) == 1


async def test_what_waits_damaged_is_refused(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    held = marseille.line.held[made.transfer]
    marseille.line.held[made.transfer] = held[:-1] + bytes([held[-1] ^ 1])
    path = marseille.house.spool(made.transfer, outgoing=False)
    marseille.at("node.fetch.fetched", lambda: path.write_bytes(held) and None)  # as from a slow line
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "damaged"
    assert marseille.house.db.read_sync(lambda tx: records.standing_of(tx, made.case_id)) is None
    assert marseille.told(made.transfer)[-1][2] in ("CANNOT_OPEN", "CONTENT_DAMAGED")


async def test_what_waits_damaged_is_refused_also_when_part_of_it_was_here(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    held = marseille.line.held[made.transfer]
    marseille.line.held[made.transfer] = held[:-1] + bytes([held[-1] ^ 1])
    marseille.line.get_breaks = [50_000]
    with pytest.raises(Unreachable):
        await marseille.fetching.run(made.transfer)
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "damaged"
    assert marseille.line.gets == [0, 50_000, 0]


# ---- what a crooked sender ships ----


def packed_with(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """What is shipped names something else in its manifest."""
    made = shipping.manifest_of

    def other(*args: Any, **kwargs: Any) -> Any:
        manifest = made(*args, **kwargs)
        for name, value in changes.items():
            setattr(manifest, name, value)
        return manifest

    monkeypatch.setattr(shipping, "manifest_of", other)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"transfer_id": bytes(16)}, "other"),
        ({"sender": bytes(16)}, "other"),
        ({"recipient": bytes(16)}, "other"),
        ({"kind": "referral"}, "out_of_scope"),
        ({"purpose": "specialised_support"}, "out_of_scope"),
        ({"nonce": bytes(32)}, "act_refused"),
        ({"case_id": "00000000-0000-4000-8000-000000000000"}, "act_refused"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
async def test_a_manifest_that_says_something_else_is_refused(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    packed_with(monkeypatch, **changes)
    made = await stage.shipped(paris, marseille)
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == code


async def test_another_manifest_than_was_announced_is_refused(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.accepted(paris, marseille)
    with monkeypatch.context() as patch:
        patch.setattr(content, "manifest_digest", lambda _: Digest(bytes(32)))
        await paris.shipping.run(made.transfer)
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "damaged"


async def test_more_than_was_taken_is_refused(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    offered = paris.terms(made.transfer).offered
    await marseille.receiving.accept(
        PERSON, made.transfer, sections=[each for each in offered if each != optional(offered)]
    )
    paris.answers._narrow = lambda terms, taken: terms  # type: ignore[method-assign]
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    await paris.shipping.run(made.transfer)
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "out_of_scope"


async def test_a_case_that_is_ours_is_none_of_theirs(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    await own_case(stage, marseille, made.case_id)
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "invalid_record"
    assert versions_of(marseille, made.case_id) == []


async def own_case(stage: Stage, half: Half, case_id: str) -> None:
    await half.house.db.write(own_case_step(stage, half, case_id))


def own_case_step(stage: Stage, half: Half, case_id: str) -> Callable[[Connection], None]:
    """A case of this id is written here, by whoever."""
    house, now = half.house, stage.clock.now()
    record = synthetic.cases(now=now, owner=half.profile["org_id"], random=house.random)[0]
    record["meta"]["case_id"] = case_id
    return lambda tx: records.create_case(tx, house.vault, case_of(record), by="camille", now=now, random=house.random)


def versions_of(half: Half, case_id: str) -> list[Any]:
    return half.house.db.read_sync(lambda tx: versions.versions_of(tx, half.house.vault, case_id))


# ---- overtaken while it is opened ----


def ends(half: Half, transfer: TransferId) -> Callable[[], None]:
    now = half.house.clock.now()
    return lambda: half.house.db.write_sync(lambda tx: transfer_store.end(tx, transfer, State.WITHDRAWN, now=now))


@pytest.mark.parametrize("at", ["node.fetch.fetched", "node.fetch.quarantined", "node.import.before_write"])
async def test_what_is_withdrawn_while_it_is_opened_is_not_imported(
    stage: Stage, paris: Half, marseille: Half, at: str
) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    marseille.at(at, ends(marseille, made.transfer))
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.WITHDRAWN
    assert (marseille.files(), marseille.spools()) == (set(), set())
    assert marseille.house.db.read_sync(lambda tx: records.standing_of(tx, made.case_id)) is None
    assert not {Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED} & marseille.kinds(made.transfer).keys()


async def test_what_is_withdrawn_while_it_is_refused_is_not_refused(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    marseille.line.held[made.transfer] = bytes(len(marseille.line.held[made.transfer]))
    marseille.at("node.fetch.fetching", ends(marseille, made.transfer))
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.WITHDRAWN
    assert Kind.RECEIPT_REFUSED not in marseille.kinds(made.transfer)


@pytest.mark.parametrize("values", [{"job": None}, {"state": State.RECEIVED}])
async def test_what_is_no_job_any_more_is_neither_imported_nor_refused(
    stage: Stage, paris: Half, marseille: Half, values: dict[str, Any]
) -> None:
    now = stage.clock.now()
    for damaged in (False, True):
        made = await stage.shipped(paris, marseille)
        if damaged:
            marseille.line.held[made.transfer] = bytes(len(marseille.line.held[made.transfer]))
        transfer = made.transfer
        marseille.at(
            "node.fetch.fetching",
            lambda transfer=transfer: marseille.house.db.write_sync(
                lambda tx: transfer_store.set_fields(tx, transfer, now=now, **values)
            ),
        )
        await marseille.fetching.run(made.transfer)
        assert not {Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED} & marseille.kinds(made.transfer).keys()
        assert marseille.files() == set()


async def test_what_runs_out_while_it_is_opened_is_refused(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    await stage.pass_time(HOURS_72 - timedelta(seconds=1))
    marseille.at("node.import.before_write", lambda: stage.clock.advance(1.0))
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "over"


async def test_a_case_that_is_written_here_meanwhile_is_not_overwritten(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.shipped(paris, marseille, files=1)
    step = own_case_step(stage, marseille, made.case_id)
    marseille.at("node.import.before_write", lambda: marseille.house.db.write_sync(step))
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "invalid_record"


async def test_what_was_imported_meanwhile_is_not_put_in_its_place(stage: Stage, paris: Half, marseille: Half) -> None:
    """It was to be a new case; now there is one of the same sender's, and it would have to stand beside."""
    made = await stage.shipped(paris, marseille, files=1)
    step, now = own_case_step(stage, marseille, made.case_id), stage.clock.now()
    another = TransferId(bytes(15) + b"\1")

    def came(tx: Connection) -> None:
        step(tx)
        records.note_import(tx, made.case_id, transfer=another, sender=paris.keys.id, now=now)

    marseille.at("node.import.before_write", lambda: marseille.house.db.write_sync(came))
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "other"
    assert versions_of(marseille, made.case_id) == []


async def handed_over_after_all(stage: Stage, paris: Half, marseille: Half) -> Offered:
    """What was shared comes once more, to be handed over; it is shipped, and would stand beside the record."""
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.received(paris, marseille, act=act, **REFERRAL)
    handed = await stage.again(paris, marseille, made.case_id, made.act_id)
    await stage.carry(handed, Kind.OFFER)
    await marseille.receiving.accept(PERSON, handed)
    await stage.carry(handed, Kind.ACCEPTANCE)
    await paris.shipping.run(handed)
    await stage.carry(handed, Kind.SHIPMENT)
    return Offered(made.case_id, made.act_id, handed)


async def test_of_a_case_that_was_erased_meanwhile_none_is_made_with_its_key(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made, now = await handed_over_after_all(stage, paris, marseille), stage.clock.now()
    marseille.at(
        "node.import.before_write",
        lambda: marseille.house.db.write_sync(lambda tx: records.erase_case(tx, made.case_id, now=now)) and None,
    )
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "other"
    assert marseille.house.db.read_sync(lambda tx: records.standing_of(tx, made.case_id)) is None


async def test_what_was_opened_for_one_record_is_not_put_beside_another(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made, now = await handed_over_after_all(stage, paris, marseille), stage.clock.now()
    step, another = own_case_step(stage, marseille, made.case_id), TransferId(bytes(15) + b"\1")

    def anew(tx: Connection) -> None:
        records.erase_case(tx, made.case_id, now=now)
        step(tx)
        records.note_import(tx, made.case_id, transfer=another, sender=paris.keys.id, now=now)

    marseille.at("node.import.before_write", lambda: marseille.house.db.write_sync(anew))
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "other"
    assert versions_of(marseille, made.case_id) == []


# ---- updates ----


async def updated(stage: Stage, paris: Half, marseille: Half, made: Offered, **options: Any) -> TransferId:
    """An update on its way, shipped."""
    update = await paris.sending.update(PERSON, made.transfer, **options)
    await stage.carry(update, Kind.OFFER)
    await marseille.receiving.accept_update(update, sections=paris.terms(update).offered)
    await stage.carry(update, Kind.ACCEPTANCE)
    await paris.shipping.run(update)
    await stage.carry(update, Kind.SHIPMENT)
    return update


async def test_an_update_stands_beside_the_record(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await updated(stage, paris, marseille, made)
    await marseille.fetching.run(update)
    assert marseille.state(update) is State.RECEIVED
    assert [each.transfer for each in versions_of(marseille, made.case_id)] == [update]
    assert not versions_of(marseille, made.case_id)[0].ours


async def test_an_update_comes_back_from_the_one_that_was_told(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await updated(stage, marseille, paris, made)
    await paris.fetching.run(update)
    assert paris.state(update) is State.RECEIVED
    assert [each.transfer for each in versions_of(paris, made.case_id)] == [update]


async def test_an_update_with_a_file_that_is_here_already_keeps_one(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, files=1, **REFERRAL)
    (file,) = paris.terms(made.transfer).attachments
    update = await updated(stage, paris, marseille, made, attachments=[file])
    await marseille.fetching.run(update)
    assert marseille.state(update) is State.RECEIVED
    assert len(marseille.files()) == 1
    stored = marseille.house.db.read_sync(lambda tx: records.read_case(tx, marseille.house.vault, made.case_id))
    assert {each.file_id for each in stored.attachments} == marseille.files()


async def test_an_update_of_what_was_withdrawn_meanwhile_is_refused(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await updated(stage, paris, marseille, made)
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    await marseille.fetching.run(update)
    assert refused_as(marseille, update) == "act_refused"


@pytest.mark.parametrize("case_id", ["00000000-0000-4000-8000-000000000000"])
async def test_an_update_of_another_case_is_refused(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch, case_id: str
) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    packed_with(monkeypatch, case_id=case_id)
    update = await updated(stage, paris, marseille, made)
    await marseille.fetching.run(update)
    assert refused_as(marseille, update) == "invalid_record"


async def test_an_update_under_another_act_is_refused(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    stored = paris.house.db.read_sync(lambda tx: records.read_case(tx, paris.house.vault, made.case_id))
    other = await stage.act(paris, stored.case.to_dict(), marseille, purpose=REFERRAL["purpose"])
    act = paris.house.db.read_sync(lambda tx: acts.travelling_act(tx, paris.house.vault, other))

    def another(*args: Any, **kwargs: Any) -> Any:
        return replace(ground_of(*args, **kwargs), act=act)

    monkeypatch.setattr(sending, "ground_of", another)
    update = await updated(stage, paris, marseille, made)
    await marseille.fetching.run(update)
    assert refused_as(marseille, update) == "act_refused"


async def test_of_a_case_that_was_erased_meanwhile_nothing_is_put_beside(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await updated(stage, paris, marseille, made)
    now = stage.clock.now()
    marseille.at(
        "node.import.before_write",
        lambda: marseille.house.db.write_sync(lambda tx: records.erase_case(tx, made.case_id, now=now)) and None,
    )
    await marseille.fetching.run(update)
    assert refused_as(marseille, update) == "other"


async def test_it_is_spooled_after_a_line_broke_however_fast(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 20.0)
    made = await stage.shipped(paris, marseille, files=1)
    marseille.line.get_breaks = [50_000]
    with pytest.raises(Unreachable):
        await marseille.fetching.run(made.transfer)
    assert made.transfer in marseille.fetching._broke
    await marseille.fetching.run(made.transfer)
    assert made.transfer not in marseille.fetching._broke


# ---- beside a mailbox of one's own, and what was fetched along ----


async def test_what_was_lost_in_ones_own_mailbox_is_refused_as_damaged(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    marseille.work(replace(marseille.house, endpoint="boite.marseille.test:8443"))
    paris.shipping._mailboxes._avoid(marseille.house.endpoint)  # the bytes go where a test can lose them
    made = await stage.shipped(paris, marseille)
    assert marseille.chain(made.transfer).answer.accepted().mailbox == marseille.house.endpoint
    marseille.line.held.clear()
    await marseille.fetching.run(made.transfer)
    assert refused_as(marseille, made.transfer) == "damaged"
    assert marseille.line.gets == [0], "it is not looked for a second time"


async def test_fetching_along_has_stopped_before_the_rest_is_fetched(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.shipped(paris, marseille)
    stopped: list[tuple[TransferId, int]] = []

    async def stop(transfer: TransferId) -> None:
        stopped.append((transfer, len(marseille.line.gets)))

    monkeypatch.setattr(marseille.fetching._prefetching, "stop", stop)
    await marseille.fetching.run(made.transfer)
    assert stopped == [(made.transfer, 0)]
    assert marseille.state(made.transfer) is State.RECEIVED
