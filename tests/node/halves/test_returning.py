"""Erasing what came, asked for or unasked, step by step (node/returning.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cordee.errors import (
    AnotherStatement,
    CaseWasOurs,
    Conflict,
    InvalidInput,
    NeedToKnow,
    NotFound,
    NotInThisState,
    OfferAlreadyOpen,
    RecordClosed,
    RoleMissing,
)
from cordee.ids import TransferId
from cordee.statements import Erasure
from cordee.summary import open_report
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node import records, returning, versions
from node.came import REASON_PLACE, read_taken
from node.people import Role
from node.returning import bury
from node.tombstones import CASE, TRANSFER

from .stage import NOBODY, PERSON, REFERRAL, Half, Offered, Stage

HANDLER = replace(PERSON, roles=frozenset({Role.HANDLER}))
LEAD = replace(PERSON, roles=frozenset({Role.LEAD}))
UNKNOWN = TransferId(bytes(16))


def gone(half: Half, case_id: str) -> bool:
    return half.house.db.read_sync(lambda tx: records.standing_of(tx, case_id)) is None


def reported(stage: Stage, author: Half, reader: Half, transfer: TransferId) -> tuple[str, ...]:
    """The sections that its author says it has erased, as the other one reads it."""
    signed = author.statement(transfer, Kind.ERASURE)
    assert signed is not None
    chain = author.chain(transfer)
    before = chain.shipment if Erasure.follows(signed) is Kind.SHIPMENT else chain.withdrawal
    read = Erasure.parse(signed, reader.house.roster.roster, before=before, now=stage.clock.now())
    assert read.sealed_report is not None
    key = reader.house.keys.sealing_key(read.sender_card)
    return tuple(open_report(read.sealed_report, parties=read.parties, about=before.digest, key=key).erased)


# ---- who may ----


async def test_who_may_erase_and_who_may_refuse_to(stage: Stage, paris: Half, marseille: Half) -> None:
    with pytest.raises(RoleMissing):
        await marseille.receiving.answer_erasure(NOBODY, UNKNOWN, erase=True)
    with pytest.raises(RoleMissing):
        await marseille.receiving.answer_erasure(LEAD, UNKNOWN, erase=True)
    with pytest.raises(RoleMissing):
        await marseille.receiving.answer_erasure(HANDLER, UNKNOWN, erase=False, code="legal_obligation")
    with pytest.raises(RoleMissing):
        await marseille.receiving.give_back(LEAD, UNKNOWN, code="wrong_recipient")
    with pytest.raises(NotFound):
        await marseille.receiving.answer_erasure(HANDLER, UNKNOWN, erase=True)
    with pytest.raises(NotFound):
        await marseille.receiving.answer_erasure(LEAD, UNKNOWN, erase=False, code="legal_obligation")


async def test_reasons_are_those_of_the_list(stage: Stage, paris: Half, marseille: Half) -> None:
    with pytest.raises(InvalidInput) as refused:
        await marseille.receiving.answer_erasure(PERSON, UNKNOWN, erase=False, code="wrong_recipient")
    assert refused.value.facts["field"] == "reason"
    with pytest.raises(InvalidInput):
        await marseille.receiving.give_back(PERSON, UNKNOWN, code="legal_obligation")


async def test_whoever_may_not_open_the_case_erases_nothing(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await marseille.keep_to(made.case_id, "Léa")
    with pytest.raises(NeedToKnow):
        await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    with pytest.raises(NeedToKnow):
        await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    assert not gone(marseille, made.case_id)


async def test_what_was_not_asked_for_is_not_answered(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    for erase in (True, False):
        with pytest.raises(NotInThisState):
            await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=erase, code="legal_obligation")
    with pytest.raises(NotFound):
        await paris.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    assert (marseille.row(made.transfer).erasure, gone(marseille, made.case_id)) == (None, False)


async def test_what_has_not_come_is_not_given_back(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.shipped(paris, marseille)
    with pytest.raises(NotInThisState):
        await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")


# ---- asked for ----


async def test_what_they_ask_for_is_erased_and_signed(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.asked_to_erase(paris, marseille, files=2)
    sections = marseille.house.db.read_sync(
        lambda tx: records.read_case(tx, marseille.house.vault, made.case_id)
    ).case.sections()
    emptied: list[bool] = []
    monkeypatch.setattr(
        marseille.house.db, "truncate_log", lambda log=marseille.house.db.truncate_log: emptied.append(log()) or True
    )
    marseille.news.clear()
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    assert gone(marseille, made.case_id)
    assert marseille.files() == set()
    assert (marseille.state(made.transfer), marseille.row(made.transfer).erasure) == (State.RECEIVED, "done")
    assert marseille.kinds(made.transfer)[Kind.ERASURE] is True
    assert marseille.told(made.transfer)[-1] == ("camille", "transfer.erasure", "done")
    assert marseille.news == [made.transfer]
    assert marseille.house.tombstones.contains(CASE, made.case_id)
    assert marseille.house.tombstones.contains(TRANSFER, made.transfer.hex())
    assert len(emptied) == 1
    assert set(reported(stage, marseille, paris, made.transfer)) == set(sections)
    assert [each for each in marseille.points if each.startswith("node.erase.")] == [
        f"node.erase.{each}" for each in ("before_write", "after_write", "buried", "unlinked")
    ]
    with pytest.raises(Conflict):
        await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    with pytest.raises(AnotherStatement):
        await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")


async def test_what_must_be_kept_is_kept_with_the_reason(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.asked_to_erase(paris, marseille, files=1)
    marseille.news.clear()
    await marseille.receiving.answer_erasure(LEAD, made.transfer, erase=False, code="legal_obligation")
    assert not gone(marseille, made.case_id)
    assert len(marseille.files()) == 1
    assert marseille.row(made.transfer).erasure == "refused"
    assert marseille.kinds(made.transfer)[Kind.ERASURE] is True
    assert marseille.told(made.transfer)[-1] == ("camille", "transfer.erasure", "legal_obligation")
    assert marseille.news == [made.transfer]
    assert not marseille.house.tombstones.contains(TRANSFER, made.transfer.hex())
    assert "node.erase.before_write" not in marseille.points


async def test_it_can_be_refused_though_the_case_was_offered_on(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    made = await stage.asked_to_erase(paris, marseille)
    await offered_on(stage, marseille, lyon, made)
    await marseille.receiving.answer_erasure(LEAD, made.transfer, erase=False, code="legal_obligation")
    assert marseille.row(made.transfer).erasure == "refused"


# ---- unasked ----


async def test_what_is_not_for_us_is_erased_and_given_back(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, files=1)
    marseille.news.clear()
    await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient", text="Un homonyme.")
    row = marseille.row(made.transfer)
    assert gone(marseille, made.case_id)
    assert marseille.files() == set()
    assert (row.state, row.erasure) == (State.RECEIVED, "returned")
    kept = v1.Reason.FromString(
        marseille.house.vault.unseal(row.sealed_reason or b"", place=REASON_PLACE, row=made.transfer)
    )
    assert (kept.code, kept.text) == ("wrong_recipient", "Un homonyme.")
    assert marseille.told(made.transfer)[-1] == ("camille", "transfer.returned", "wrong_recipient")
    assert marseille.news == [made.transfer]
    assert marseille.house.tombstones.contains(TRANSFER, made.transfer.hex())
    assert "risk" in reported(stage, marseille, paris, made.transfer)
    with pytest.raises(Conflict):
        await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")


async def offered_on(stage: Stage, half: Half, to: Half, made: Offered) -> TransferId:
    """The case that came goes on, under an act of its new holder's."""
    stored = half.house.db.read_sync(lambda tx: records.read_case(tx, half.house.vault, made.case_id))
    act = await stage.act(half, stored.case.to_dict(), to)
    return await stage.again(half, to, made.case_id, act)


async def test_what_was_offered_on_is_not_erased_under_that_offer(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    made = await stage.received(paris, marseille)
    on = await offered_on(stage, marseille, lyon, made)
    with pytest.raises(OfferAlreadyOpen):
        await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    with pytest.raises(OfferAlreadyOpen):
        await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    assert not gone(marseille, made.case_id)
    await marseille.sending.withdraw(PERSON, on)
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    assert gone(marseille, made.case_id)


async def test_what_was_handed_on_is_not_erased(stage: Stage, paris: Half, marseille: Half, lyon: Half) -> None:
    made = await stage.received(paris, marseille)
    on = await offered_on(stage, marseille, lyon, made)
    await stage.carry(on, Kind.OFFER)
    await lyon.receiving.accept(PERSON, on)
    await stage.carry(on, Kind.ACCEPTANCE)
    await marseille.shipping.run(on)
    await stage.carry(on, Kind.SHIPMENT)
    await lyon.fetching.run(on)
    await stage.carry(on, Kind.RECEIPT_TAKEN)
    with pytest.raises(RecordClosed):
        await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    assert not gone(marseille, made.case_id)


async def test_what_had_been_ours_before_it_came_back_is_not_erased_unasked(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille)
    back = await offered_on(stage, marseille, paris, made)
    await stage.carry(back, Kind.OFFER)
    await paris.receiving.accept(PERSON, back)
    await stage.carry(back, Kind.ACCEPTANCE)
    await marseille.shipping.run(back)
    await stage.carry(back, Kind.SHIPMENT)
    await paris.fetching.run(back)
    row = paris.row(back)
    assert row.state is State.RECEIVED
    assert not paris.house.db.read_sync(lambda tx: paris.receiving._returning.stands_beside(tx, row))
    with pytest.raises(CaseWasOurs):
        await paris.receiving.give_back(PERSON, back, code="wrong_recipient")
    assert not gone(paris, made.case_id)
    now = stage.clock.now()
    await paris.house.db.write(lambda tx: records.erase_case(tx, made.case_id, now=now))
    await paris.receiving.give_back(PERSON, back, code="wrong_recipient")  # a lead has erased it: it is only said
    assert set(reported(stage, paris, marseille, back)) == set(read_taken(paris.house, paris.row(back)))


# ---- what stands beside ----


async def beside(stage: Stage, paris: Half, marseille: Half, **options: Any) -> tuple[Offered, TransferId]:
    """An update that came, beside the record that it is about."""
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await paris.sending.update(PERSON, made.transfer, **options)
    await stage.carry(update, Kind.OFFER)
    await marseille.receiving.accept_update(update, sections=paris.terms(update).offered)
    await stage.carry(update, Kind.ACCEPTANCE)
    await paris.shipping.run(update)
    await stage.carry(update, Kind.SHIPMENT)
    await marseille.fetching.run(update)
    await stage.carry(update, Kind.RECEIPT_TAKEN)
    return made, update


async def test_an_update_is_erased_alone(stage: Stage, paris: Half, marseille: Half) -> None:
    made, update = await beside(stage, paris, marseille)
    stored = marseille.house.db.read_sync(lambda tx: records.read_case(tx, marseille.house.vault, made.case_id)).case
    await marseille.receiving.give_back(PERSON, update, code="wrong_recipient")
    assert not gone(marseille, made.case_id)
    now = marseille.house.db.read_sync(lambda tx: records.read_case(tx, marseille.house.vault, made.case_id)).case
    assert now == stored
    assert marseille.house.db.read_sync(lambda tx: versions.read_version(tx, marseille.house.vault, update)) is None
    assert set(reported(stage, marseille, paris, update)) == set(read_taken(marseille.house, marseille.row(update)))
    assert marseille.house.tombstones.contains(TRANSFER, update.hex())
    assert not marseille.house.tombstones.contains(CASE, made.case_id)


async def test_an_update_can_be_erased_though_its_case_was_offered_on(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    made, update = await beside(stage, paris, marseille)
    await offered_on(stage, marseille, lyon, made)
    await marseille.receiving.give_back(PERSON, update, code="wrong_recipient")
    assert marseille.row(update).erasure == "returned"


async def test_an_update_is_one_also_where_its_case_was_erased(stage: Stage, paris: Half, marseille: Half) -> None:
    made, update = await beside(stage, paris, marseille)
    now = stage.clock.now()
    await marseille.house.db.write(lambda tx: records.erase_case(tx, made.case_id, now=now))
    row = marseille.row(update)
    assert marseille.house.db.read_sync(lambda tx: marseille.receiving._returning.stands_beside(tx, row))
    await marseille.receiving.give_back(PERSON, update, code="wrong_recipient")
    assert set(reported(stage, marseille, paris, update)) == set(read_taken(marseille.house, row))


async def test_a_record_of_its_own_stands_beside_nothing(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    row = marseille.row(made.transfer)
    assert not marseille.house.db.read_sync(lambda tx: marseille.receiving._returning.stands_beside(tx, row))


async def test_a_case_handed_over_that_we_had_been_told_of_stands_beside_our_record(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.received(paris, marseille, act=act, **REFERRAL)
    handed = await stage.again(paris, marseille, made.case_id, made.act_id)
    await stage.carry(handed, Kind.OFFER)
    await marseille.receiving.accept(PERSON, handed)
    await stage.carry(handed, Kind.ACCEPTANCE)
    await paris.shipping.run(handed)
    await stage.carry(handed, Kind.SHIPMENT)
    await marseille.fetching.run(handed)
    row = marseille.row(handed)
    assert row.state is State.RECEIVED, marseille.told(handed)
    assert marseille.house.db.read_sync(lambda tx: marseille.receiving._returning.stands_beside(tx, row))
    await marseille.receiving.give_back(PERSON, handed, code="wrong_recipient")
    assert not gone(marseille, made.case_id)


async def test_what_a_lead_has_erased_can_still_be_answered_for(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.asked_to_erase(paris, marseille)
    now = stage.clock.now()
    await marseille.house.db.write(lambda tx: records.erase_case(tx, made.case_id, now=now))
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    assert set(reported(stage, marseille, paris, made.transfer)) == set(
        read_taken(marseille.house, marseille.row(made.transfer))
    )


# ---- tombstones ----


async def test_each_tombstone_is_set_once_and_again_where_the_case_was_erased_anew(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.asked_to_erase(paris, marseille)
    stones = marseille.house.tombstones
    added: list[tuple[Any, ...]] = []
    add: Callable[..., None] = stones.add
    monkeypatch.setattr(stones, "add", lambda *stone: (added.append(stone), add(*stone))[1])
    await bury(marseille.house)
    assert added == []
    erased_at = stage.clock.now()
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    assert sorted(added) == sorted([(CASE, made.case_id, erased_at), (TRANSFER, made.transfer.hex(), erased_at)])
    added.clear()
    await bury(marseille.house)
    assert added == []
    later = erased_at + timedelta(hours=1)
    monkeypatch.setattr(returning.records, "erased_cases", lambda _: [(made.case_id, later)])
    await bury(marseille.house)
    assert added == [(CASE, made.case_id, later)]
