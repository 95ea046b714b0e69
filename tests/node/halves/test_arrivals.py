"""What senders tell, kept together with its effect, step by step (node/arrivals.py)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cordee.errors import BadSignature, CannotOpen, StatementRefused
from cordee.times import timestamp_of
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node import transfer_store
from node.came import read_summary

from .stage import PERSON, REFERRAL, Half, Stage

OVER = timedelta(days=7)


async def test_an_offer_is_kept_with_all_that_it_says(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await stage.carry(made.transfer, Kind.OFFER, sequence=41)
    row = marseille.row(made.transfer)
    assert (row.outgoing, row.peer, row.state, row.job) == (False, paris.keys.id, State.OFFERED, None)
    assert (row.case_id, row.act_id, row.hands_over, row.total_bytes) == (None, None, True, 0)
    assert row.expires_at == paris.row(made.transfer).expires_at
    assert row.token_id == paris.row(made.transfer).token_id
    assert read_summary(marseille.house, row).purpose == "relocation"
    assert marseille.kinds(made.transfer) == {Kind.OFFER: False}
    assert marseille.told(made.transfer) == [("node", "transfer.offer_came", "done")]
    assert marseille.news == [made.transfer]
    assert marseille.cursor() == 41


async def test_an_offer_that_comes_again_changes_nothing_but_the_cursor(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.accept(PERSON, made.transfer)
    before = marseille.row(made.transfer)
    await stage.carry(made.transfer, Kind.OFFER, sequence=77)
    assert marseille.row(made.transfer) == before
    assert len(marseille.told(made.transfer)) == 2
    assert marseille.cursor() == 77


async def test_an_update_is_answered_by_the_node_itself(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await paris.sending.update(PERSON, made.transfer)
    await stage.carry(update, Kind.OFFER)
    assert marseille.row(update).job == "answer"
    assert not marseille.row(update).hands_over


async def test_a_summary_that_nobody_here_can_read_is_declined_by_the_node_itself(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offer(paris, marseille)
    marseille.house.keys.sealing.clear()
    await stage.carry(made.transfer, Kind.OFFER)
    row = marseille.row(made.transfer)
    assert (row.job, row.hands_over) == ("answer", False)
    assert read_summary(marseille.house, row).kind == "unreadable"


async def test_an_offer_for_another_is_not_kept(stage: Stage, paris: Half, marseille: Half, lyon: Half) -> None:
    made = await stage.offer(paris, marseille)
    signed = paris.statement(made.transfer, Kind.OFFER)
    assert signed is not None
    with pytest.raises((StatementRefused, BadSignature, CannotOpen, Exception)):
        await stage.hears(lyon, signed, Kind.OFFER, sequence=5)
    assert lyon.house.db.read_sync(transfer_store.all_transfers) == []
    assert lyon.cursor() == 0


# ---- shipments ----


async def test_a_shipment_is_work_to_do(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.accept(PERSON, made.transfer)
    signed = marseille.statement(made.transfer, Kind.ACCEPTANCE)
    assert signed is not None
    await stage.hears(paris, signed, Kind.ACCEPTANCE)
    await paris.shipping.run(made.transfer)
    assert marseille.kinds(made.transfer)[Kind.ACCEPTANCE], "nobody has told that it was taken"
    marseille.news.clear()
    await stage.carry(made.transfer, Kind.SHIPMENT, sequence=9)
    row = marseille.row(made.transfer)
    assert (row.state, row.job, row.total_bytes) == (State.SHIPPED, "fetch", len(paris.line.held[made.transfer]))
    assert marseille.kinds(made.transfer) == {Kind.OFFER: False, Kind.ACCEPTANCE: False, Kind.SHIPMENT: False}
    assert marseille.told(made.transfer)[-1] == ("node", "transfer.shipment_came", "done")
    assert (marseille.news, marseille.cursor()) == ([made.transfer], 9)
    await stage.carry(made.transfer, Kind.SHIPMENT, sequence=10)
    assert (marseille.row(made.transfer), marseille.cursor()) == (row, 10)
    assert [action for _, action, _ in marseille.told(made.transfer)].count("transfer.shipment_came") == 1


async def test_a_shipment_that_comes_again_after_the_receipt_changes_nothing(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille)
    before = marseille.row(made.transfer)
    await stage.carry(made.transfer, Kind.SHIPMENT)
    assert marseille.row(made.transfer) == before


async def test_a_shipment_of_what_is_over_here_is_let_pass(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    await paris.shipping.run(made.transfer)
    await marseille.arrivals.expired(made.transfer, sequence=0)
    await stage.carry(made.transfer, Kind.SHIPMENT, sequence=99)
    assert (marseille.state(made.transfer), marseille.row(made.transfer).job) == (State.EXPIRED, None)
    assert Kind.SHIPMENT not in marseille.kinds(made.transfer)
    assert marseille.cursor() == 99


# ---- withdrawals ----


async def test_a_withdrawal_ends_the_offer_and_what_waits_to_answer_it(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.accept(PERSON, made.transfer)
    await paris.sending.withdraw(PERSON, made.transfer)
    marseille.house.spool(made.transfer, outgoing=False).write_bytes(b"x")
    marseille.news.clear()
    await stage.carry(made.transfer, Kind.WITHDRAWAL, sequence=12)
    row = marseille.row(made.transfer)
    assert (row.state, row.job, row.sealed_one_time_seed) == (State.WITHDRAWN, None, None)
    assert marseille.kinds(made.transfer) == {Kind.OFFER: False, Kind.WITHDRAWAL: False}
    assert marseille.told(made.transfer)[-1] == ("node", "transfer.withdrawal_came", "done")
    assert (marseille.news, marseille.cursor(), marseille.spools()) == ([made.transfer], 12, set())
    await stage.carry(made.transfer, Kind.WITHDRAWAL, sequence=13)
    assert marseille.cursor() == 13
    assert [action for _, action, _ in marseille.told(made.transfer)].count("transfer.withdrawal_came") == 1


async def test_an_acceptance_that_was_taken_is_not_forgotten_with_the_withdrawal(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.accepted(paris, marseille, hold=True)
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    assert Kind.ACCEPTANCE in marseille.kinds(made.transfer)


async def test_a_withdrawal_of_what_was_received_asks_to_erase_it(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.asked_to_erase(paris, marseille)
    assert (marseille.state(made.transfer), marseille.row(made.transfer).erasure) == (State.RECEIVED, "asked")
    assert marseille.holder(made.case_id) == "here"


async def test_a_withdrawal_of_what_was_declined_asks_for_nothing(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    await paris.sending.withdraw(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    row = marseille.row(made.transfer)
    assert (row.state, row.erasure) == (State.DECLINED, None)
    assert marseille.kinds(made.transfer)[Kind.REFUSAL], "it still waits for the directory, which decides"


@pytest.mark.parametrize("then", [State.WITHDRAWN, State.EXPIRED])
async def test_what_had_ended_before_it_was_refused_has_ended_so_for_all(
    stage: Stage, paris: Half, marseille: Half, then: State
) -> None:
    made = await stage.shipped(paris, marseille)
    marseille.line.held[made.transfer] = bytes(len(marseille.line.held[made.transfer]))
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.REFUSED
    if then is State.WITHDRAWN:
        await paris.sending.withdraw(PERSON, made.transfer)
        await stage.carry(made.transfer, Kind.WITHDRAWAL)
    else:
        await marseille.arrivals.expired(made.transfer, sequence=0)
    row = marseille.row(made.transfer)
    assert (row.state, row.erasure, row.sealed_reason) == (then, None, None)
    assert marseille.kinds(made.transfer)[Kind.RECEIPT_REFUSED], "it still waits for the directory, which takes it"


async def test_a_withdrawal_that_crosses_what_was_given_back_asks_for_nothing(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    assert marseille.row(made.transfer).erasure == "returned"


async def test_a_withdrawal_that_overtakes_its_offer_is_remembered(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    signed = paris.statement(made.transfer, Kind.WITHDRAWAL)
    assert signed is not None
    for sequence in (3, 4):
        await stage.hears(marseille, signed, Kind.WITHDRAWAL, sequence=sequence)
        assert marseille.cursor() == sequence
    assert marseille.news == [made.transfer] * 2
    assert marseille.house.db.read_sync(transfer_store.all_transfers) == []
    await stage.carry(made.transfer, Kind.OFFER)
    row = marseille.row(made.transfer)
    assert (row.state, row.job) == (State.WITHDRAWN, None)
    assert [action for _, action, _ in marseille.told(made.transfer)] == [
        "transfer.offer_came",
        "transfer.withdrawal_came",
    ]


async def test_a_withdrawal_by_another_member_is_none_of_an_offer_that_is_still_to_come(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    """Lyon and the directory, which knows the token, against Paris: the same transfer, the same offer, its token."""
    made = await stage.offer(paris, marseille)
    signed = paris.statement(made.transfer, Kind.OFFER)
    assert signed is not None
    body = v1.Withdrawal(
        network=marseille.house.network,
        transfer_id=made.transfer,
        sender=lyon.keys.id,
        recipient=marseille.keys.id,
        offer=signed.digest,
        token_id=paris.row(made.transfer).token_id,
        time=timestamp_of(marseille.house.clock.now()),
    )
    await stage.hears(marseille, lyon.keys.identity.sign(body), Kind.WITHDRAWAL)
    await stage.carry(made.transfer, Kind.OFFER)
    assert marseille.state(made.transfer) is State.OFFERED
    assert marseille.told(made.transfer) == [("node", "transfer.offer_came", "done")]


async def test_an_unreadable_offer_that_was_withdrawn_before_is_not_answered(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    signed = paris.statement(made.transfer, Kind.WITHDRAWAL)
    assert signed is not None
    await stage.hears(marseille, signed, Kind.WITHDRAWAL)
    marseille.house.keys.sealing.clear()
    await stage.carry(made.transfer, Kind.OFFER)
    assert (marseille.state(made.transfer), marseille.row(made.transfer).job) == (State.WITHDRAWN, None)


# ---- time ----


async def test_time_ends_what_was_not_received(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.accept(PERSON, made.transfer)
    marseille.house.spool(made.transfer, outgoing=False).write_bytes(b"x")
    marseille.news.clear()
    await marseille.arrivals.expired(made.transfer, sequence=21)
    row = marseille.row(made.transfer)
    assert (row.state, row.job, row.sealed_one_time_seed) == (State.EXPIRED, None, None)
    assert marseille.kinds(made.transfer) == {Kind.OFFER: False}
    assert marseille.told(made.transfer)[-1] == ("node", "transfer.expired", "done")
    assert (marseille.news, marseille.cursor(), marseille.spools()) == ([made.transfer], 21, set())
    await marseille.arrivals.expired(made.transfer, sequence=22)
    assert marseille.cursor() == 22
    assert [action for _, action, _ in marseille.told(made.transfer)].count("transfer.expired") == 1


async def test_time_changes_nothing_of_what_was_received(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await marseille.arrivals.expired(made.transfer, sequence=0)
    assert marseille.state(made.transfer) is State.RECEIVED


# ---- an answer that the directory did not take ----


async def answered(stage: Stage, paris: Half, marseille: Half, answer: Kind) -> tuple[Stage, object]:
    made = await stage.offered(paris, marseille)
    if answer is Kind.ACCEPTANCE:
        await marseille.receiving.accept(PERSON, made.transfer)
    else:
        await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    marseille.news.clear()
    return stage, made.transfer


@pytest.mark.parametrize("answer", [Kind.ACCEPTANCE, Kind.REFUSAL])
async def test_an_offer_that_still_stands_there_stands_here_again(
    stage: Stage, paris: Half, marseille: Half, answer: Kind
) -> None:
    _, transfer = await answered(stage, paris, marseille, answer)
    refused = StatementRefused(what="Answer", problem="—")
    await marseille.arrivals.dropped(transfer, answer, refused, at_broker=State.OFFERED)
    row = marseille.row(transfer)
    assert (row.state, row.sealed_one_time_seed, row.sealed_reason) == (State.OFFERED, None, None)
    assert answer not in marseille.kinds(transfer)
    assert marseille.told(transfer)[-1] == ("node", f"statement.{answer}", "STATEMENT_REFUSED")
    assert marseille.news == [transfer]
    await marseille.receiving.accept(PERSON, transfer)


@pytest.mark.parametrize("answer", [Kind.ACCEPTANCE, Kind.REFUSAL])
@pytest.mark.parametrize(("passed", "then"), [(OVER, State.EXPIRED), (OVER - timedelta(seconds=1), State.OFFERED)])
async def test_it_does_not_stand_again_once_its_time_is_over(
    stage: Stage, paris: Half, marseille: Half, answer: Kind, passed: timedelta, then: State
) -> None:
    _, transfer = await answered(stage, paris, marseille, answer)
    stage.clock.advance(passed.total_seconds())
    await marseille.arrivals.dropped(transfer, answer, None, at_broker=State.OFFERED)
    row = marseille.row(transfer)
    assert (row.state, row.sealed_one_time_seed, row.sealed_reason) == (then, None, None)
    assert marseille.told(transfer)[-1] == ("node", f"statement.{answer}", "overtaken")


@pytest.mark.parametrize("there", [State.WITHDRAWN, State.EXPIRED])
async def test_what_had_ended_before_it_was_declined_has_ended_so_for_all(
    stage: Stage, paris: Half, marseille: Half, there: State
) -> None:
    _, transfer = await answered(stage, paris, marseille, Kind.REFUSAL)
    await marseille.arrivals.dropped(transfer, Kind.REFUSAL, None, at_broker=there)
    row = marseille.row(transfer)
    assert (row.state, row.sealed_reason) == (there, None)
    told = [action for _, action, _ in marseille.told(transfer)]
    assert told.count("transfer.expired") == (there is State.EXPIRED)


@pytest.mark.parametrize(
    ("answer", "dropped", "there", "then"),
    [
        (Kind.ACCEPTANCE, Kind.ACCEPTANCE, State.WITHDRAWN, State.ACCEPTED),
        (Kind.ACCEPTANCE, Kind.ACCEPTANCE, State.SHIPPED, State.ACCEPTED),
        (Kind.ACCEPTANCE, Kind.ACCEPTANCE, None, State.ACCEPTED),
        (Kind.REFUSAL, Kind.REFUSAL, State.DECLINED, State.DECLINED),
        (Kind.REFUSAL, Kind.REFUSAL, None, State.DECLINED),
        (Kind.ACCEPTANCE, Kind.ERASURE, State.OFFERED, State.ACCEPTED),
        (Kind.REFUSAL, None, State.OFFERED, State.DECLINED),
        (Kind.REFUSAL, None, State.EXPIRED, State.DECLINED),
    ],
)
async def test_otherwise_nothing_changes(
    stage: Stage,
    paris: Half,
    marseille: Half,
    answer: Kind,
    dropped: Kind | None,
    there: State | None,
    then: State,
) -> None:
    _, transfer = await answered(stage, paris, marseille, answer)
    before = marseille.row(transfer)
    await marseille.arrivals.dropped(transfer, dropped, None, at_broker=there)
    assert marseille.row(transfer) == before
    assert before.state is then


async def test_what_was_received_does_not_become_an_offer_again(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await marseille.arrivals.dropped(made.transfer, Kind.ACCEPTANCE, None, at_broker=State.OFFERED)
    assert marseille.state(made.transfer) is State.RECEIVED
