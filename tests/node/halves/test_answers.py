"""What a recipient answers, kept together with its effect, step by step (node/answers.py)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cordee.errors import Conflict, OutOfScope, StatementRefused
from cordee.ids import TransferId
from cordee.signing import Signed
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node import acts, receiving, records
from node.came import REASON_PLACE

from .stage import PERSON, REFERRAL, Half, Stage, optional

REFUSED = StatementRefused(what="Shipment", problem="—")


def reason(half: Half, transfer: TransferId) -> tuple[str, str]:
    """As it is kept for our own eyes."""
    sealed = half.row(transfer).sealed_reason
    assert sealed is not None
    found = v1.Reason.FromString(half.house.vault.unseal(sealed, place=REASON_PLACE, row=transfer))
    return found.code, found.text


def said(half: Half, transfer: TransferId, kind: Kind) -> Signed:
    signed = half.statement(transfer, kind)
    assert signed is not None
    return signed


# ---- accepted ----


async def test_an_acceptance_is_kept_with_the_content_key(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await stage.hears(marseille, said(paris, made.transfer, Kind.OFFER), Kind.OFFER)
    await marseille.receiving.accept(PERSON, made.transfer)
    paris.news.clear()
    await stage.hears(paris, said(marseille, made.transfer, Kind.ACCEPTANCE), Kind.ACCEPTANCE, sequence=8)
    row = paris.row(made.transfer)
    assert (row.state, row.job) == (State.ACCEPTED, "ship")
    assert row.sealed_content_key is not None
    assert row.expires_at == paris.chain(made.transfer).answer.accepted().key_expires
    assert paris.kinds(made.transfer) == {Kind.OFFER: False, Kind.ACCEPTANCE: False}
    assert paris.told(made.transfer)[-1] == ("node", "transfer.accepted", "done")
    assert (paris.news, paris.cursor()) == ([made.transfer], 8)
    await stage.carry(made.transfer, Kind.ACCEPTANCE, sequence=9)
    assert (paris.row(made.transfer), paris.cursor()) == (row, 9)
    assert len(paris.told(made.transfer)) == 2


async def test_what_is_held_gets_no_key_yet(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille, hold=True)
    row = paris.row(made.transfer)
    assert (row.state, row.job, row.sealed_content_key) == (State.ACCEPTED, None, None)


async def test_fewer_sections_are_all_that_is_kept(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille, files=1)
    offered = paris.terms(made.transfer).offered
    one = optional(offered)
    fewer = [each for each in offered if each not in ("attachments", one)]
    assert len(fewer) == len(offered) - 2
    await marseille.receiving.accept(PERSON, made.transfer, sections=fewer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    terms = paris.terms(made.transfer)
    assert (set(terms.package), terms.attachments, terms.offered) == (set(fewer), (), offered)


async def test_the_files_stay_where_they_are_taken(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille, files=1)
    offered = paris.terms(made.transfer).offered
    fewer = [each for each in offered if each != optional(offered)]
    await marseille.receiving.accept(PERSON, made.transfer, sections=fewer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    assert len(paris.terms(made.transfer).attachments) == 1


async def test_what_the_purpose_needs_cannot_be_left_out(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.offered(paris, marseille)
    monkeypatch.setattr(receiving, "mandatory_sections", lambda _: frozenset())
    await marseille.receiving.accept(PERSON, made.transfer, sections=["risk"])
    with pytest.raises(OutOfScope):
        await stage.carry(made.transfer, Kind.ACCEPTANCE)
    assert paris.state(made.transfer) is State.OFFERED


# ---- one holder ----


async def test_the_first_acceptance_withdraws_the_other_offers(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    made = await stage.offered(paris, marseille, also=(lyon,), act={"single_use": False})
    rival = await stage.again(paris, lyon, made.case_id, made.act_id)
    paris.house.spool(rival, outgoing=True).write_bytes(b"x")
    await marseille.receiving.accept(PERSON, made.transfer)
    paris.news.clear()
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    assert (paris.state(made.transfer), paris.state(rival)) == (State.ACCEPTED, State.WITHDRAWN)
    assert paris.told(rival)[-1] == ("node", "transfer.withdrawn", "done")
    assert paris.news == [rival, made.transfer]
    assert paris.spools() == set()


async def test_a_second_acceptance_is_withdrawn(stage: Stage, paris: Half, marseille: Half, lyon: Half) -> None:
    made = await stage.accepted(paris, marseille, also=(lyon,), act={"single_use": False})
    second = await stage.again(paris, lyon, made.case_id, made.act_id)
    await stage.carry(second, Kind.OFFER)
    await lyon.receiving.accept(PERSON, second)
    await stage.carry(second, Kind.ACCEPTANCE)
    assert (paris.state(second), paris.state(made.transfer)) == (State.WITHDRAWN, State.ACCEPTED)
    assert paris.row(second).sealed_content_key is None
    assert second in paris.news


@pytest.mark.parametrize("shipped", [False, True])
async def test_a_second_acceptance_comes_too_late_also_for_what_is_shipped(
    stage: Stage, paris: Half, marseille: Half, lyon: Half, shipped: bool
) -> None:
    made = await stage.accepted(paris, marseille, also=(lyon,), act={"single_use": False})
    second = await stage.again(paris, lyon, made.case_id, made.act_id)
    await stage.carry(second, Kind.OFFER)
    await lyon.receiving.accept(PERSON, second)
    if shipped:
        await paris.shipping.run(made.transfer)
    await stage.carry(second, Kind.ACCEPTANCE)
    assert paris.state(second) is State.WITHDRAWN


async def test_what_is_shared_and_what_hands_over_do_not_stand_in_each_others_way(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.offered(paris, marseille, also=(lyon,), act=act)
    shared = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    await stage.carry(shared, Kind.OFFER)
    await marseille.receiving.accept(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    assert paris.state(shared) is State.OFFERED
    await lyon.receiving.accept(PERSON, shared)
    await stage.carry(shared, Kind.ACCEPTANCE)
    assert (paris.row(shared).job, paris.row(made.transfer).job) == ("ship", "ship")


async def test_what_is_shared_first_is_handed_over_all_the_same(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.accepted(paris, marseille, also=(lyon,), act=act, **REFERRAL)
    handed = await stage.again(paris, lyon, made.case_id, made.act_id)
    await stage.carry(handed, Kind.OFFER)
    await lyon.receiving.accept(PERSON, handed)
    await stage.carry(handed, Kind.ACCEPTANCE)
    assert paris.row(handed).job == "ship"


async def test_what_was_handed_over_meanwhile_is_not_shared(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.accepted(paris, marseille, also=(lyon,), act=act)
    shared = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    await stage.carry(shared, Kind.OFFER)
    await paris.shipping.run(made.transfer)
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    assert paris.state(shared) is State.OFFERED
    await lyon.receiving.accept(PERSON, shared)
    await stage.carry(shared, Kind.ACCEPTANCE)
    assert paris.state(shared) is State.WITHDRAWN


@pytest.mark.parametrize("until", ["accepted", "shipped", "received"])
async def test_an_act_for_one_transfer_serves_one(
    stage: Stage, paris: Half, marseille: Half, lyon: Half, until: str
) -> None:
    made = await stage.offered(paris, marseille, also=(lyon,), act={"single_use": True}, **REFERRAL)
    second = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    await stage.carry(second, Kind.OFFER)
    await lyon.receiving.accept(PERSON, second)
    await marseille.receiving.accept(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    if until != "accepted":
        await paris.shipping.run(made.transfer)
    if until == "received":
        await stage.carry(made.transfer, Kind.SHIPMENT)
        await marseille.fetching.run(made.transfer)
        await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    await stage.carry(second, Kind.ACCEPTANCE)
    assert paris.state(second) is State.WITHDRAWN


@pytest.mark.parametrize("act", [{"single_use": False}, {"single_use": True}])
async def test_another_transfer_goes_ahead_where_the_act_allows_it(
    stage: Stage, paris: Half, marseille: Half, lyon: Half, act: dict[str, bool]
) -> None:
    made = await stage.accepted(paris, marseille, also=(lyon,), act=act, **REFERRAL)
    act_id = made.act_id
    if act["single_use"]:  # another act for the other
        stored = paris.house.db.read_sync(lambda tx: records.read_case(tx, paris.house.vault, made.case_id))
        act_id = await stage.act(paris, stored.case.to_dict(), lyon, purpose=REFERRAL["purpose"])
    second = await stage.again(paris, lyon, made.case_id, act_id, **REFERRAL)
    await stage.carry(second, Kind.OFFER)
    await lyon.receiving.accept(PERSON, second)
    await stage.carry(second, Kind.ACCEPTANCE)
    assert paris.row(second).job == "ship"


async def test_an_update_goes_under_an_act_that_has_served(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await paris.sending.update(PERSON, made.transfer)
    await stage.carry(update, Kind.OFFER)
    await marseille.receiving.accept_update(update, sections=paris.terms(update).offered)
    await stage.carry(update, Kind.ACCEPTANCE)
    assert paris.row(update).job == "ship"


# ---- declined ----


async def test_a_refusal_ends_it_and_its_reason_is_ours_to_read(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity", text="Complet.")
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"x")
    await stage.carry(made.transfer, Kind.REFUSAL)
    assert paris.state(made.transfer) is State.DECLINED
    assert reason(paris, made.transfer) == ("no_capacity", "Complet.")
    assert paris.terms(made.transfer).package == {}
    assert paris.told(made.transfer)[-1] == ("node", "transfer.declined", "done")
    assert paris.spools() == set()
    assert paris.row(made.transfer).job is None


async def test_a_refusal_that_was_there_before_our_withdrawal_counts(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.REFUSAL)
    assert paris.state(made.transfer) is State.DECLINED
    assert reason(paris, made.transfer)[0] == "no_capacity"


async def test_an_acceptance_that_our_withdrawal_has_overtaken_changes_nothing(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.accept(PERSON, made.transfer)
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE, sequence=5)
    assert (paris.state(made.transfer), paris.cursor()) == (State.WITHDRAWN, 5)
    assert Kind.ACCEPTANCE not in paris.kinds(made.transfer)


async def test_a_refusal_after_an_acceptance_changes_nothing(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    refusal = said(marseille, made.transfer, Kind.REFUSAL)
    await marseille.arrivals.dropped(made.transfer, Kind.REFUSAL, None, at_broker=State.OFFERED)
    await marseille.receiving.accept(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    with pytest.raises(Conflict):
        await stage.hears(paris, refusal, Kind.REFUSAL)
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.hears(paris, refusal, Kind.REFUSAL)
    assert paris.state(made.transfer) is State.WITHDRAWN
    assert Kind.REFUSAL not in paris.kinds(made.transfer)


async def test_a_refusal_of_what_has_expired_changes_nothing(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    await paris.answers.expired(made.transfer, sequence=0)
    await stage.carry(made.transfer, Kind.REFUSAL)
    assert paris.state(made.transfer) is State.EXPIRED


# ---- receipts ----


async def test_a_receipt_hands_the_case_over(stage: Stage, paris: Half, marseille: Half, lyon: Half) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.accepted(paris, marseille, also=(lyon,), act=act)
    rival = await stage.again(paris, lyon, made.case_id, made.act_id)
    await paris.shipping.run(made.transfer)
    await stage.hears(marseille, said(paris, made.transfer, Kind.SHIPMENT), Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    for each in (made.transfer, rival):
        paris.house.spool(each, outgoing=True).write_bytes(b"x")
    paris.news.clear()
    receipt = said(marseille, made.transfer, Kind.RECEIPT_TAKEN)
    await stage.hears(paris, receipt, Kind.RECEIPT_TAKEN, sequence=30)
    row = paris.row(made.transfer)
    assert (row.state, row.job, row.sealed_content_key, row.erasure) == (State.RECEIVED, None, None, None)
    assert row.sealed_reason is None
    assert paris.holder(made.case_id) == "handed_over"
    assert paris.house.db.read_sync(lambda tx: acts.used_by(tx, made.act_id)) == [made.transfer]
    assert paris.kinds(made.transfer)[Kind.SHIPMENT] is False
    assert paris.kinds(made.transfer)[Kind.RECEIPT_TAKEN] is False
    assert paris.terms(made.transfer).package == {}
    assert paris.told(made.transfer)[-1] == ("node", "transfer.received", "done")
    assert paris.state(rival) is State.WITHDRAWN
    assert (set(paris.news), paris.spools(), paris.cursor()) == ({made.transfer, rival}, set(), 30)
    await stage.hears(paris, receipt, Kind.RECEIPT_TAKEN, sequence=31)
    assert (paris.row(made.transfer), paris.cursor()) == (row, 31)
    assert [action for _, action, _ in paris.told(made.transfer)].count("transfer.received") == 1


async def test_what_is_shared_is_followed_by_both(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    assert (paris.holder(made.case_id), marseille.holder(made.case_id)) == ("shared", "here")


async def test_a_handing_over_leaves_what_is_shared_alone(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.shipped(paris, marseille, also=(lyon,), act=act)
    shared = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    await marseille.fetching.run(made.transfer)
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    assert paris.state(shared) is State.OFFERED


async def refused(stage: Stage, paris: Half, marseille: Half) -> tuple[str, str, TransferId]:
    """What came is damaged, and refused there."""
    made = await stage.shipped(paris, marseille)
    held = paris.line.held[made.transfer]
    paris.line.held[made.transfer] = held[:-1] + bytes([held[-1] ^ 1])
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.REFUSED
    return made.case_id, made.act_id, made.transfer


async def test_a_receipt_that_refuses_leaves_the_case_here(stage: Stage, paris: Half, marseille: Half) -> None:
    case_id, act_id, transfer = await refused(stage, paris, marseille)
    await stage.carry(transfer, Kind.RECEIPT_REFUSED)
    assert paris.state(transfer) is State.REFUSED
    assert reason(paris, transfer)[0] == "damaged"
    assert paris.holder(case_id) == "here"
    assert paris.house.db.read_sync(lambda tx: acts.used_by(tx, act_id)) == []
    assert paris.told(transfer)[-1] == ("node", "transfer.refused", "done")


async def test_a_receipt_that_refuses_what_was_withdrawn_asks_for_nothing(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    case_id, _, transfer = await refused(stage, paris, marseille)
    await paris.sending.withdraw(PERSON, transfer)
    await stage.carry(transfer, Kind.WITHDRAWAL)
    await stage.carry(transfer, Kind.RECEIPT_REFUSED)
    row = paris.row(transfer)
    assert (row.state, row.erasure, paris.holder(case_id)) == (State.WITHDRAWN, None, "here")
    assert paris.kinds(transfer)[Kind.WITHDRAWAL] is False


@pytest.mark.parametrize(("options", "holder"), [({}, "handed_over"), (REFERRAL, "here")])
async def test_a_receipt_that_crosses_a_withdrawal_asks_them_to_erase(
    stage: Stage, paris: Half, marseille: Half, options: dict[str, str], holder: str
) -> None:
    made = await stage.shipped(paris, marseille, **options)
    await marseille.fetching.run(made.transfer)
    await paris.sending.withdraw(PERSON, made.transfer)
    await paris.answers.dropped(made.transfer, Kind.WITHDRAWAL, None, at_broker=State.EXPIRED)
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is False
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    row = paris.row(made.transfer)
    assert (row.state, row.erasure) == (State.RECEIVED, "asked")
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is True, "it is sent once more"
    assert paris.holder(made.case_id) == holder


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_a_receipt_that_comes_after_the_end_never_makes_two_holders(
    stage: Stage, paris: Half, marseille: Half, lyon: Half, withdrawn: bool
) -> None:
    made = await stage.shipped(paris, marseille, also=(lyon,), act={"single_use": False})
    await marseille.fetching.run(made.transfer)
    if withdrawn:
        await paris.sending.withdraw(PERSON, made.transfer)
    else:
        await paris.answers.expired(made.transfer, sequence=0)
    second = await stage.again(paris, lyon, made.case_id, made.act_id)
    await stage.carry(second, Kind.OFFER)
    await lyon.receiving.accept(PERSON, second)
    await stage.carry(second, Kind.ACCEPTANCE)
    await paris.shipping.run(second)
    await stage.carry(second, Kind.SHIPMENT)
    await lyon.fetching.run(second)
    await stage.carry(second, Kind.RECEIPT_TAKEN)
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    row = paris.row(made.transfer)
    assert (row.state, row.erasure) == (State.RECEIVED, "asked")
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is True
    taken_by = paris.house.db.read_sync(lambda tx: records.standing_of(tx, made.case_id))
    assert taken_by is not None
    assert taken_by.handed_to == second


@pytest.mark.parametrize(("options", "holder"), [({}, "handed_over"), (REFERRAL, "here")])
async def test_what_came_under_an_act_that_was_withdrawn_after_its_time_is_asked_back(
    stage: Stage, paris: Half, marseille: Half, options: dict[str, str], holder: str
) -> None:
    made = await stage.shipped(paris, marseille, **options)
    await marseille.fetching.run(made.transfer)
    await paris.answers.expired(made.transfer, sequence=0)
    assert await paris.sending.withdraw_act(PERSON, made.act_id, by_role="minor", reason="—") == []
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    row = paris.row(made.transfer)
    assert (row.state, row.erasure, paris.holder(made.case_id)) == (State.RECEIVED, "asked", holder)
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is True
    assert ("node", "transfer.withdrawn", "done") in paris.told(made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    await stage.carry(made.transfer, Kind.ERASURE)
    assert (paris.row(made.transfer).erasure, paris.holder(made.case_id)) == ("done", "here")


async def test_what_came_after_its_time_under_an_act_that_stands_is_theirs(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.shipped(paris, marseille)
    await marseille.fetching.run(made.transfer)
    await paris.answers.expired(made.transfer, sequence=0)
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    row = paris.row(made.transfer)
    assert (row.state, row.erasure, paris.holder(made.case_id)) == (State.RECEIVED, None, "handed_over")
    assert Kind.WITHDRAWAL not in paris.kinds(made.transfer)


async def test_why_a_shipment_was_refused_is_told_also_when_it_came_after_all(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.shipped(paris, marseille)
    await marseille.fetching.run(made.transfer)
    await paris.answers.dropped(made.transfer, Kind.SHIPMENT, REFUSED, at_broker=State.ACCEPTED)
    await stage.carry(made.transfer, Kind.RECEIPT_TAKEN)
    assert paris.state(made.transfer) is State.RECEIVED
    assert reason(paris, made.transfer)[0] == "statement_refused"


# ---- erased ----


async def test_what_they_have_erased_is_ours_again(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.hears(marseille, said(paris, made.transfer, Kind.WITHDRAWAL), Kind.WITHDRAWAL)
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    erasure = said(marseille, made.transfer, Kind.ERASURE)
    paris.news.clear()
    await stage.hears(paris, erasure, Kind.ERASURE, sequence=60)
    row = paris.row(made.transfer)
    assert (row.state, row.erasure, row.sealed_reason) == (State.RECEIVED, "done", None)
    assert paris.holder(made.case_id) == "here"
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is False
    assert paris.kinds(made.transfer)[Kind.ERASURE] is False
    assert paris.told(made.transfer)[-1] == ("node", "transfer.erasure", "done")
    assert (paris.news, paris.cursor()) == ([made.transfer], 60)
    await stage.hears(paris, erasure, Kind.ERASURE, sequence=61)
    assert (paris.row(made.transfer), paris.cursor()) == (row, 61)
    assert [action for _, action, _ in paris.told(made.transfer)].count("transfer.erasure") == 1


async def test_what_they_must_keep_stays_theirs(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.asked_to_erase(paris, marseille)
    await marseille.receiving.answer_erasure(
        PERSON, made.transfer, erase=False, code="legal_obligation", text="Procédure en cours."
    )
    await stage.carry(made.transfer, Kind.ERASURE)
    assert paris.row(made.transfer).erasure == "refused"
    assert reason(paris, made.transfer) == ("legal_obligation", "Procédure en cours.")
    assert paris.holder(made.case_id) == "handed_over"
    assert paris.told(made.transfer)[-1] == ("node", "transfer.erasure", "refused")


async def test_what_is_not_for_them_is_ours_again_and_our_request_still_goes_out(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille)
    await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient", text="Un homonyme.")
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ERASURE)
    assert paris.row(made.transfer).erasure == "returned"
    assert reason(paris, made.transfer) == ("wrong_recipient", "Un homonyme.")
    assert paris.holder(made.case_id) == "here"
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is True, "the directory has not answered it"
    assert paris.told(made.transfer)[-1] == ("node", "transfer.returned", "returned")


async def test_erasing_what_was_shared_changes_nothing_for_the_others_who_follow_it(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.asked_to_erase(paris, marseille, **REFERRAL)
    before = paris.holder(made.case_id)
    await marseille.receiving.answer_erasure(PERSON, made.transfer, erase=True)
    await stage.carry(made.transfer, Kind.ERASURE)
    assert (paris.row(made.transfer).erasure, paris.holder(made.case_id)) == ("done", before)


# ---- time ----


async def test_time_ends_what_was_shipped(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    await paris.shipping.run(made.transfer)
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"x")
    paris.news.clear()
    await paris.answers.expired(made.transfer, sequence=70)
    row = paris.row(made.transfer)
    assert (row.state, row.sealed_content_key) == (State.EXPIRED, None)
    assert paris.kinds(made.transfer)[Kind.SHIPMENT] is False
    assert paris.terms(made.transfer).package == {}
    assert paris.told(made.transfer)[-1] == ("node", "transfer.expired", "done")
    assert (paris.news, paris.spools(), paris.cursor()) == ([made.transfer], set(), 70)
    await paris.answers.expired(made.transfer, sequence=71)
    assert paris.cursor() == 71
    assert [action for _, action, _ in paris.told(made.transfer)].count("transfer.expired") == 1


async def test_time_changes_nothing_of_what_is_over(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    await paris.answers.expired(made.transfer, sequence=0)
    assert paris.state(made.transfer) is State.WITHDRAWN
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is True


# ---- what the directory did not take ----


@pytest.mark.parametrize(
    ("passed", "then"),
    [(timedelta(days=7), State.EXPIRED), (timedelta(days=7, seconds=-1), State.WITHDRAWN)],
)
async def test_an_offer_that_never_came_there_is_over(
    stage: Stage, paris: Half, marseille: Half, passed: timedelta, then: State
) -> None:
    made = await stage.offer(paris, marseille)
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"x")
    stage.clock.advance(passed.total_seconds())
    paris.news.clear()
    await paris.answers.dropped(made.transfer, Kind.OFFER, REFUSED, at_broker=None)
    assert paris.state(made.transfer) is then
    assert paris.kinds(made.transfer) == {}
    assert reason_code(paris, made.transfer) == "statement_refused"
    assert paris.told(made.transfer)[-1] == ("node", "statement.offer", "STATEMENT_REFUSED")
    assert (paris.news, paris.spools()) == ([made.transfer], set())


def reason_code(half: Half, transfer: TransferId) -> str:
    return reason(half, transfer)[0]


async def test_an_offer_that_was_overtaken_has_no_reason(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await paris.answers.dropped(made.transfer, Kind.OFFER, None, at_broker=None)
    assert (paris.state(made.transfer), paris.row(made.transfer).sealed_reason) == (State.WITHDRAWN, None)


async def test_an_offer_that_is_there_goes_on(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"x")
    paris.news.clear()
    for kind, there in ((Kind.OFFER, State.OFFERED), (None, None), (None, State.OFFERED), (None, State.EXPIRED)):
        await paris.answers.dropped(made.transfer, kind, REFUSED, at_broker=there)
        assert paris.state(made.transfer) is State.OFFERED
    assert paris.spools() == {".out"}
    assert paris.news == [made.transfer] * 4


async def test_what_is_over_here_stays_as_it_is(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    stage.clock.advance(timedelta(days=8).total_seconds())
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"x")
    await paris.answers.dropped(made.transfer, Kind.OFFER, REFUSED, at_broker=None)
    assert (paris.state(made.transfer), paris.row(made.transfer).sealed_reason) == (State.WITHDRAWN, None)
    assert paris.spools() == set()


@pytest.mark.parametrize(
    ("refusal", "there", "then"),
    [
        (REFUSED, State.ACCEPTED, State.WITHDRAWN),
        (None, State.ACCEPTED, State.SHIPPED),
        (REFUSED, State.SHIPPED, State.SHIPPED),
        (REFUSED, None, State.SHIPPED),
    ],
)
async def test_a_shipment_that_is_refused_for_good_is_withdrawn(
    stage: Stage, paris: Half, marseille: Half, refusal: StatementRefused | None, there: State | None, then: State
) -> None:
    made = await stage.accepted(paris, marseille)
    await paris.shipping.run(made.transfer)
    await paris.answers.dropped(made.transfer, Kind.SHIPMENT, refusal, at_broker=there)
    assert paris.state(made.transfer) is then
    assert paris.kinds(made.transfer)[Kind.SHIPMENT] is False, "a receipt may still follow it"
    outcome = refusal.reason if refusal else "overtaken"
    assert ("node", "statement.shipment", outcome) in paris.told(made.transfer)
    if then is State.WITHDRAWN:
        assert reason_code(paris, made.transfer) == "statement_refused"
        assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is True
        assert paris.told(made.transfer)[-1] == ("node", "transfer.withdrawn", "done")
    else:
        assert Kind.WITHDRAWAL not in paris.kinds(made.transfer)


@pytest.mark.parametrize(
    ("there", "then"), [(State.EXPIRED, State.EXPIRED), (State.WITHDRAWN, State.WITHDRAWN), (None, State.WITHDRAWN)]
)
async def test_a_withdrawal_that_time_has_overtaken_was_none(
    stage: Stage, paris: Half, marseille: Half, there: State | None, then: State
) -> None:
    made = await stage.offered(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    await paris.answers.dropped(made.transfer, Kind.WITHDRAWAL, None, at_broker=there)
    assert paris.state(made.transfer) is then
    assert paris.kinds(made.transfer)[Kind.WITHDRAWAL] is False
    told = [action for _, action, _ in paris.told(made.transfer)]
    assert told[-1] == ("transfer.expired" if then is State.EXPIRED else "statement.withdrawal")


async def test_what_was_received_did_not_expire(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    for kind in (Kind.WITHDRAWAL, Kind.SHIPMENT, None):
        await paris.answers.dropped(made.transfer, kind, None, at_broker=State.EXPIRED)
        assert paris.state(made.transfer) is State.RECEIVED


async def test_another_step_that_is_dropped_does_not_end_what_was_withdrawn_as_expired(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offered(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    await paris.answers.dropped(made.transfer, Kind.SHIPMENT, None, at_broker=State.EXPIRED)
    assert paris.state(made.transfer) is State.WITHDRAWN


async def test_a_withdrawal_of_what_they_have_erased_is_forgotten(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ERASURE)
    await paris.answers.dropped(made.transfer, Kind.WITHDRAWAL, None, at_broker=State.RECEIVED)
    assert Kind.WITHDRAWAL not in paris.kinds(made.transfer)
