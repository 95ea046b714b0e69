"""Answering what came, step by step (node/receiving.py)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cordee.errors import (
    CordeeError,
    InvalidInput,
    NeedToKnow,
    NotFound,
    NotInThisState,
    OutOfScope,
    RoleMissing,
    RosterStale,
    TransferOver,
)
from cordee.ids import TransferId
from cordee.summary import DECLINE_REASONS
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node.came import REASON_PLACE, SEED_PLACE, read_summary, read_taken

from .stage import NOBODY, PERSON, REFERRAL, Half, Stage, optional

OVER = timedelta(days=7)


async def test_only_a_handler_answers(paris: Half) -> None:
    unknown = TransferId(bytes(16))
    with pytest.raises(RoleMissing):
        await paris.receiving.accept(NOBODY, unknown)
    with pytest.raises(RoleMissing):
        await paris.receiving.decline(NOBODY, unknown, code="no_capacity")


async def test_an_acceptance_is_kept_with_its_one_time_key(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    marseille.news.clear()
    await marseille.receiving.accept(PERSON, made.transfer)
    row, answer = marseille.row(made.transfer), marseille.chain(made.transfer).answer
    assert (row.state, row.job) == (State.ACCEPTED, None)
    assert len(marseille.house.in_flight.unseal(row.sealed_one_time_seed or b"", place=SEED_PLACE, row=row.id)) == 32
    assert read_taken(marseille.house, row) == tuple(read_summary(marseille.house, row).sections)
    assert answer.accepted().key_expires == stage.clock.now() + timedelta(hours=72)
    assert answer.accepted().mailbox == marseille.house.endpoint
    assert marseille.kinds(made.transfer) == {Kind.OFFER: False, Kind.ACCEPTANCE: True}
    assert marseille.told(made.transfer)[-1] == ("camille", "transfer.accepted", "done")
    assert marseille.news == [made.transfer]
    assert marseille.points[-2:] == ["node.accept.before_write", "node.accept.after_write"]
    with pytest.raises(CordeeError):
        await marseille.receiving.accept(PERSON, made.transfer)


async def test_its_key_ends_with_the_act(stage: Stage, paris: Half, marseille: Half) -> None:
    ends = stage.clock.now() + timedelta(hours=30)
    made = await stage.offered(paris, marseille, act={"valid_until": ends.isoformat()})
    await marseille.receiving.accept(PERSON, made.transfer)
    assert marseille.chain(made.transfer).answer.accepted().key_expires == ends


async def test_our_own_offer_is_not_ours_to_answer(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    with pytest.raises(NotFound):
        await paris.receiving.accept(PERSON, made.transfer)
    with pytest.raises(NotFound):
        await paris.receiving.decline(PERSON, made.transfer, code="no_capacity")
    assert paris.kinds(made.transfer) == {Kind.OFFER: True}


@pytest.mark.parametrize("decline", [False, True])
async def test_an_offer_can_be_answered_until_its_time_is_over(
    stage: Stage, paris: Half, marseille: Half, decline: bool
) -> None:
    one = await stage.offered(paris, marseille)
    other = await stage.offered(paris, marseille)

    async def answer(transfer: TransferId) -> None:
        if decline:
            await marseille.receiving.decline(PERSON, transfer, code="no_capacity")
        else:
            await marseille.receiving.accept(PERSON, transfer)

    await stage.pass_time(OVER - timedelta(seconds=1))
    await answer(one.transfer)
    await stage.pass_time(timedelta(seconds=1))
    with pytest.raises(TransferOver):
        await answer(other.transfer)
    assert marseille.state(other.transfer) is State.OFFERED


async def test_what_is_over_is_not_answered(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    with pytest.raises((NotInThisState, CordeeError)):
        await marseille.receiving.accept(PERSON, made.transfer)
    assert Kind.ACCEPTANCE not in marseille.kinds(made.transfer)


async def test_nothing_is_answered_while_the_list_of_members_is_old(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    stage.clock.advance(timedelta(hours=25).total_seconds())
    with pytest.raises(RosterStale):
        await marseille.receiving.accept(PERSON, made.transfer)
    with pytest.raises(RosterStale):
        await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")


async def test_nothing_is_accepted_from_a_suspended_member(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    stage.network.suspend(paris.keys)
    await stage.look()
    with pytest.raises(CordeeError):
        await marseille.receiving.accept(PERSON, made.transfer)
    assert marseille.state(made.transfer) is State.OFFERED


# ---- sections ----


async def test_fewer_sections_are_taken_in_the_order_of_the_offer(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    offered = paris.terms(made.transfer).offered
    fewer = [each for each in offered if each != optional(offered)]
    await marseille.receiving.accept(PERSON, made.transfer, sections=list(reversed(fewer)))
    assert read_taken(marseille.house, marseille.row(made.transfer)) == tuple(fewer)


async def test_more_than_was_offered_is_not_taken(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    with pytest.raises(OutOfScope) as refused:
        await marseille.receiving.accept(PERSON, made.transfer, sections=[*paris.terms(made.transfer).offered, "notes"])
    assert refused.value.facts["item"] == "notes"


async def test_what_the_purpose_needs_is_not_left_out(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    with pytest.raises(InvalidInput) as refused:
        await marseille.receiving.accept(PERSON, made.transfer, sections=["risk"])
    assert refused.value.facts["field"] == "sections"
    assert marseille.state(made.transfer) is State.OFFERED


# ---- declining ----


async def test_a_refusal_is_kept_with_its_reason(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    marseille.news.clear()
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity", text="Complet.")
    row = marseille.row(made.transfer)
    kept = v1.Reason.FromString(
        marseille.house.vault.unseal(row.sealed_reason or b"", place=REASON_PLACE, row=made.transfer)
    )
    assert (row.state, kept.code, kept.text) == (State.DECLINED, "no_capacity", "Complet.")
    assert marseille.kinds(made.transfer) == {Kind.OFFER: False, Kind.REFUSAL: True}
    assert marseille.told(made.transfer)[-1] == ("camille", "transfer.declined", "no_capacity")
    assert marseille.news == [made.transfer]


async def test_a_reason_that_is_not_on_the_list_is_not_taken(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    with pytest.raises(InvalidInput) as refused:
        await marseille.receiving.decline(PERSON, made.transfer, code="bad_mood")
    assert refused.value.facts["options"] == ", ".join(DECLINE_REASONS)
    assert marseille.state(made.transfer) is State.OFFERED


async def test_the_node_declines_by_itself_what_it_cannot_read(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    code = next(iter(DECLINE_REASONS))
    await marseille.receiving.decline_by_itself(made.transfer, code=code)
    assert marseille.state(made.transfer) is State.DECLINED
    assert marseille.told(made.transfer)[-1] == ("node", "transfer.declined", code)


# ---- updates ----


async def test_an_update_is_the_cases_and_who_may_not_open_that_does_not_answer(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    update = await paris.sending.update(PERSON, made.transfer)
    await stage.carry(update, Kind.OFFER)
    await marseille.keep_to(made.case_id, "Léa")
    with pytest.raises(NeedToKnow):
        await marseille.receiving.accept(PERSON, update)
    with pytest.raises(NeedToKnow):
        await marseille.receiving.decline(PERSON, update, code="no_capacity")
    await marseille.receiving.accept_update(update, sections=paris.terms(update).offered)
    assert marseille.told(update)[-1] == ("node", "transfer.accepted", "done")
    assert marseille.row(update).job is None
