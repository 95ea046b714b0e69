"""What the broker does with each step, and with time, step by step (directory/broker.py, directory/transfers.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import (
    AnotherStatement,
    BadSignature,
    ClockSkew,
    InvalidInput,
    MemberIsSuspended,
    NotAMember,
    NotFound,
    NotInThisState,
    QuotaExceeded,
    StatementRefused,
    TooManyOffers,
    TooManyOpenTransfers,
    TransferOver,
    WrongParty,
)
from cordee.ids import TokenId, TransferId
from cordee.layout import MINIMUM_SIZE
from cordee.runtime.limits import Budget
from cordee.transfer import END_STATES, Kind, State
from cordee.v1 import statements_pb2 as v1
from directory import quotas, transfers
from tests.directory.desk import BYTES, Desk, desk_at
from tests.neighbours import eventually
from tests.transfers import Story

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SOONEST = timedelta(microseconds=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path) as made:
        yield made


def id_of(story: Story) -> TransferId:
    return TransferId(story.parties.transfer_id)


# ---- a step ----


async def test_each_step_is_written_told_to_the_other_party_and_counted(desk: Desk) -> None:
    story = desk.story()
    paris, marseille = story.sender, story.recipient
    for step, kind, then, other in (
        ("offer", Kind.OFFER, State.OFFERED, marseille),
        ("accept", Kind.ACCEPTANCE, State.ACCEPTED, paris),
        ("ship", Kind.SHIPMENT, State.SHIPPED, marseille),
        ("receive", Kind.RECEIPT_TAKEN, State.RECEIVED, paris),
        ("withdraw", Kind.WITHDRAWAL, State.RECEIVED, marseille),
        ("erase", Kind.ERASURE, State.RECEIVED, paris),
    ):
        signed = desk.sign(story, step)
        position = len(story.statements) - 1
        desk.points.reached.clear()
        desk.events_of.woken.clear()
        desk.reached.clear()
        assert await desk.submit(signed) is then
        assert desk.state(story) is then
        assert desk.kinds(story)[-1] is kind
        assert desk.events(other)[-1] == (id_of(story), position)
        assert desk.events_of.woken == [other.id]
        assert desk.reached == [then]
        assert desk.points.reached == [f"directory.submit.{kind}.{when}_write" for when in ("before", "after")]
    assert [position for _, position in desk.events(paris)] == [1, 3, 5]
    assert [position for _, position in desk.events(marseille)] == [0, 2, 4]
    assert [each.signed for each in (await desk.broker.transfer(paris.id, id_of(story)))[1]] == story.statements


async def test_what_is_written_is_what_was_offered(desk: Desk) -> None:
    story = desk.story()
    await desk.step(story, "offer")
    offer = story.offered
    found = desk.db.read_sync(lambda tx: transfers.find(tx, id_of(story)))
    ends = min(offer.expires, offer.token.expires)
    assert found == transfers.Transfer(
        id=id_of(story),
        sender=story.sender.id,
        recipient=story.recipient.id,
        state=State.OFFERED,
        size_bound=offer.size_bound,
        ends=ends,
        offer_expires=offer.expires,
        token_expires=offer.token.expires,
    )
    assert (found.other(story.sender.id), found.other(story.recipient.id)) == (story.recipient.id, story.sender.id)
    assert not found.is_due(ends - SOONEST)
    assert found.is_due(ends)
    await desk.step(story, "accept")
    found = desk.db.read_sync(lambda tx: transfers.find(tx, id_of(story)))
    assert found.key_expires == found.ends == story.answered.accepted().key_expires
    await desk.step(story, "ship")
    found = desk.db.read_sync(lambda tx: transfers.find(tx, id_of(story)))
    assert found.key_expires == found.ends == story.answered.accepted().key_expires
    await desk.step(story, "receive")
    found = desk.db.read_sync(lambda tx: transfers.find(tx, id_of(story)))
    assert found.ends is None
    assert not found.is_due(ends + 365 * DAY)


async def test_a_statement_is_its_authors_to_submit(desk: Desk) -> None:
    story = desk.story()
    offer = desk.sign(story, "offer")
    with pytest.raises(WrongParty):
        await desk.broker.submit(story.recipient.id, offer)
    await desk.submit(offer)
    acceptance = desk.sign(story, "accept")
    with pytest.raises(WrongParty):
        await desk.broker.submit(story.sender.id, acceptance)
    assert desk.state(story) is State.OFFERED


async def test_the_same_again_is_answered_as_the_first_time_without_another_effect(desk: Desk) -> None:
    story = desk.story()
    states = [await desk.step(story, each) for each in ("offer", "accept", "ship", "receive", "withdraw", "erase")]
    told = desk.events(story.sender), desk.events(story.recipient)
    desk.events_of.woken.clear()
    desk.reached.clear()
    desk.clock.advance(30 * DAY)
    assert [await desk.submit(signed) for signed in story.statements] == states
    assert (desk.events(story.sender), desk.events(story.recipient)) == told
    assert (desk.events_of.woken, desk.reached) == ([], [])


async def test_the_same_twice_at_once_is_written_once(desk: Desk) -> None:
    """Both were looked at before either was written."""
    story = desk.story()
    offer = desk.sign(story, "offer")
    desk.points.then["directory.submit.offer.before_write"] = lambda: desk.db.write_sync(
        lambda tx: transfers.take(tx, story.offered, now=desk.clock.now(), quota=10**9)
    )
    assert await desk.submit(offer) is State.OFFERED
    assert desk.kinds(story) == [Kind.OFFER]
    assert len(desk.events(story.recipient)) == 1


async def test_of_two_answers_the_one_that_is_written_first_counts(desk: Desk) -> None:
    story = desk.story()
    await desk.step(story, "offer")
    refusal = story.make_refusal(now=desk.clock.now())
    read = story.read_answer(refusal, now=desk.clock.now())
    desk.points.then["directory.submit.acceptance.before_write"] = lambda: desk.db.write_sync(
        lambda tx: transfers.take(tx, read, now=desk.clock.now(), quota=10**9)
    )
    with pytest.raises(AnotherStatement):
        await desk.step(story, "accept")
    assert desk.state(story) is State.DECLINED
    assert desk.kinds(story) == [Kind.OFFER, Kind.REFUSAL]


async def test_nothing_but_an_offer_begins_a_transfer(desk: Desk) -> None:
    story = desk.story()
    desk.sign(story, "offer")
    for step in ("accept", "ship", "receive", "withdraw", "erase"):
        with pytest.raises(NotFound):
            await desk.step(story, step)
    assert desk.state(story) is None


async def test_a_step_names_the_two_of_whom_the_transfer_is(desk: Desk) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept")
    lyon = desk.network.members["Lyon"]
    body = v1.Withdrawal.FromString(story.make_withdrawal(now=desk.clock.now()).body)
    for field, value in (("recipient", lyon.id), ("sender", lyon.id)):
        other = v1.Withdrawal()
        other.CopyFrom(body)
        setattr(other, field, value)
        by = lyon if field == "sender" else story.sender
        with pytest.raises(NotFound):
            await desk.broker.submit(by.id, by.identity.sign(other))
    assert desk.kinds(story) == [Kind.OFFER, Kind.ACCEPTANCE]


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ((), "offer"),
        (("offer",), "accept"),
        (("offer",), "decline"),
        (("offer", "accept"), "ship"),
        (("offer", "accept", "ship"), "receive"),
        (("offer", "accept", "ship"), "refuse_receipt"),
        (("offer",), "withdraw"),
        (("offer", "accept", "ship", "receive", "withdraw"), "erase"),
        (("offer", "accept", "ship", "receive"), "give_back"),
    ],
)
async def test_a_step_that_somebody_else_signed_is_not_taken(desk: Desk, before: tuple[str, ...], step: str) -> None:
    story = desk.story()
    await desk.steps(story, *before)
    maker = {
        "offer": story.make_offer,
        "accept": story.make_acceptance,
        "decline": story.make_refusal,
        "ship": story.make_shipment,
        "receive": story.make_receipt,
        "refuse_receipt": story.make_refused_receipt,
        "withdraw": story.make_withdrawal,
        "erase": story.make_erasure,
        "give_back": story.make_return,
    }[step]
    if step == "ship":
        desk.held.sizes[id_of(story)] = BYTES
    with pytest.raises(BadSignature):
        await desk.submit(maker(now=desk.clock.now(), key=desk.network.members["Lyon"].identity))
    assert len(desk.kinds(story)) == len(before)


async def test_what_was_taken_stands_whatever_key_its_author_has_since(desk: Desk) -> None:
    story = desk.story()
    for step in ("offer", "accept", "ship", "receive", "withdraw", "erase"):
        await desk.step(story, step)
        for member in (story.sender, story.recipient):
            desk.network.rotate(member)
        desk.restart()
    assert desk.state(story) is State.RECEIVED


@pytest.mark.parametrize("step", ["offer", "accept", "decline", "ship", "receive", "withdraw", "erase", "give_back"])
async def test_a_step_is_signed_lately(desk: Desk, step: str) -> None:
    """Whoever kept one back for a day dates it anew; else an old key could still be used."""
    before = {
        "offer": (),
        "accept": ("offer",),
        "decline": ("offer",),
        "ship": ("offer", "accept"),
        "receive": ("offer", "accept", "ship"),
        "withdraw": ("offer",),
        "erase": ("offer", "accept", "ship", "receive", "withdraw"),
        "give_back": ("offer", "accept", "ship", "receive"),
    }[step]
    story = desk.story()
    await desk.steps(story, *before)
    signed = desk.sign(story, step)
    desk.clock.advance(HOUR)
    with pytest.raises(ClockSkew):
        await desk.submit(signed)


async def test_an_end_is_counted_once_and_what_is_under_way_is_not(desk: Desk) -> None:
    story, other = desk.story(), desk.story()
    await desk.steps(story, "offer", "accept", "ship")
    assert desk.counted(story.sender) == {}
    await desk.steps(story, "receive", "withdraw", "erase")
    assert desk.counted(story.sender) == {"received": 1, "asked": 1, "erased": 1}
    await desk.step(other, "offer")
    desk.clock.advance(8 * DAY)
    await desk.broker.expire_due()
    assert desk.counted(story.sender) == {"received": 1, "asked": 1, "erased": 1, "not_received": 1}


async def test_an_erasure_that_was_asked_for_answers_a_request_that_was_taken(desk: Desk) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept", "ship", "receive")
    desk.sign(story, "withdraw")
    with pytest.raises(NotInThisState):
        await desk.step(story, "erase")
    assert Kind.ERASURE not in desk.kinds(story)


# ---- who may ----


@pytest.mark.parametrize("who", ["Paris", "Marseille"])
async def test_while_a_party_is_suspended_its_transfers_stand_still(desk: Desk, who: str) -> None:
    story = desk.story()
    await desk.step(story, "offer")
    desk.network.suspend(desk.network.members[who])
    for step in ("accept", "withdraw"):
        with pytest.raises(MemberIsSuspended):
            await desk.step(story, step)
    with pytest.raises(MemberIsSuspended):
        await desk.broker.standing(story.sender.id, id_of(story))
    assert desk.kinds(story) == [Kind.OFFER]


async def test_a_suspension_that_comes_while_a_step_is_read_stands_before_it(desk: Desk) -> None:
    story = desk.story()
    desk.points.then["directory.submit.offer.before_write"] = lambda: (desk.network.suspend(story.recipient), None)[1]
    with pytest.raises(MemberIsSuspended):
        await desk.step(story, "offer")
    assert desk.state(story) is None


async def test_nobody_asks_about_others_transfers(desk: Desk) -> None:
    story, lyon = desk.story(), desk.network.members["Lyon"]
    await desk.step(story, "offer")
    for asking in (desk.broker.transfer(lyon.id, id_of(story)), desk.broker.standing(lyon.id, id_of(story))):
        with pytest.raises(NotFound):
            await asking
    unknown = TransferId(bytes(16))
    for asking in (desk.broker.transfer(lyon.id, unknown), desk.broker.standing(lyon.id, unknown)):
        with pytest.raises(NotFound):
            await asking
    for party in (story.sender, story.recipient):
        state, taken = await desk.broker.transfer(party.id, id_of(story))
        assert (state, [each.signed for each in taken]) == (State.OFFERED, story.statements)
        assert (await desk.broker.standing(party.id, id_of(story))).id == id_of(story)


@pytest.mark.parametrize("who", ["Paris", "Marseille"])
async def test_the_mailbox_is_for_members_alone(desk: Desk, who: str) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept")
    desk.network.remove(desk.network.members[who])
    with pytest.raises(NotAMember):
        await desk.broker.standing(story.sender.id, id_of(story))


async def test_the_mailbox_closes_with_the_transfers_time(desk: Desk) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept")
    left = story.answered.accepted().key_expires - desk.clock.now()
    desk.clock.advance(left - SOONEST)
    assert (await desk.broker.standing(story.sender.id, id_of(story))).state is State.ACCEPTED
    desk.clock.advance(SOONEST)
    with pytest.raises(TransferOver):
        await desk.broker.standing(story.sender.id, id_of(story))


async def test_the_recipient_is_told_that_ciphertext_comes_in(desk: Desk) -> None:
    story = desk.story()
    desk.broker.upload_under_way(TransferId(bytes(16)), anew=False)
    await desk.steps(story, "offer", "accept")
    for anew in (False, True):
        desk.broker.upload_under_way(id_of(story), anew=anew)
    assert desk.events_of.hinted == [
        (story.recipient.id, id_of(story), False),
        (story.recipient.id, id_of(story), True),
    ]


async def test_a_member_lists_all_of_its_own_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "_PAGE", 4)
    stories = [desk.story(*names) for names in (("Paris", "Marseille"), ("Marseille", "Paris"), ("Paris", "Lyon")) * 2]
    for each in stories:
        await desk.step(each, "offer")
    await desk.step(stories[0], "accept")
    paris, marseille = stories[0].sender, stories[0].recipient

    async def listed(member: Any) -> list[tuple[TransferId, State, int]]:
        return [(each.id, each.state, each.statements) async for each in desk.broker.transfers_of(member.id)]

    every = sorted((id_of(each), desk.state(each), len(desk.kinds(each))) for each in stories)
    assert await listed(paris) == every
    assert await listed(marseille) == [each for each in every if each[0] not in map(id_of, (stories[2], stories[5]))]


# ---- what waits ----


@pytest.mark.parametrize(
    ("held", "mailbox", "taken"),
    [
        (BYTES, "", True),
        (BYTES - 1, "", False),
        (BYTES + 1, "", False),
        (0, "", False),
        (0, "node.example:4433", True),
        (1, "node.example:4433", False),
        (BYTES, "node.example:4433", True),
    ],
)
async def test_a_shipment_names_what_waits_here_or_lies_in_the_recipients_own_mailbox(
    desk: Desk, held: int, mailbox: str, taken: bool
) -> None:
    story = desk.story()
    await desk.step(story, "offer")
    await desk.step(story, "accept", mailbox=mailbox)
    shipment = desk.sign(story, "ship")
    desk.held.sizes[id_of(story)] = held
    if taken:
        assert await desk.submit(shipment) is State.SHIPPED
    else:
        with pytest.raises(StatementRefused) as refused:
            await desk.submit(shipment)
        assert (refused.value.facts["held"], refused.value.facts["size"]) == (str(held), str(BYTES))
        assert desk.state(story) is State.ACCEPTED


# ---- how much ----


async def test_what_is_announced_counts_until_the_transfer_is_over(tmp_path: Path) -> None:
    with desk_at(tmp_path, mailbox_quota=200_000, content_size_limit=150_000) as desk:
        stories = [desk.story("Paris", name) for name in ("Marseille", "Lyon", "Marseille", "Lyon")]
        assert desk.db.read_sync(lambda tx: transfers.used_by(tx, stories[0].sender.id)) == 0
        await desk.step(stories[0], "offer", size_bound=100_000)
        await desk.step(stories[1], "offer", size_bound=100_000)
        with pytest.raises(QuotaExceeded) as refused:
            await desk.step(stories[2], "offer", size_bound=1)
        assert refused.value.facts == {"used": "200000", "limit": "200000"}
        back = desk.story("Marseille", "Paris")
        assert await desk.step(back, "offer", size_bound=150_000) is State.OFFERED, "the other has its own"
        for step in ("accept", "ship"):
            await desk.step(stories[0], step)
            with pytest.raises(QuotaExceeded):
                await desk.submit(stories[2].statements[-1])
        await desk.step(stories[0], "receive")
        assert await desk.submit(stories[2].statements[-1]) is State.OFFERED
        used = desk.db.read_sync(lambda tx: transfers.used_by(tx, stories[0].sender.id))
        assert used == 100_000 + MINIMUM_SIZE, "announcing one byte does not make an offer free"


async def test_open_transfers_are_bounded_in_all_and_to_each(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "UNANSWERED", 2)
    monkeypatch.setattr(quotas, "OPEN", 4)
    to_marseille = [desk.story() for _ in range(3)]
    to_lyon = [desk.story("Paris", "Lyon") for _ in range(3)]
    for each in to_marseille[:2]:
        await desk.step(each, "offer")
    with pytest.raises(TooManyOpenTransfers) as refused:
        await desk.step(to_marseille[2], "offer")
    assert refused.value.facts == {"open": "2", "limit": "2"}
    await desk.step(to_lyon[0], "offer")
    await desk.step(to_marseille[0], "accept")  # one unanswered less
    assert await desk.submit(to_marseille[2].statements[-1]) is State.OFFERED
    with pytest.raises(TooManyOpenTransfers) as refused:
        await desk.step(to_lyon[1], "offer")
    assert refused.value.facts == {"open": "4", "limit": "4"}
    assert await desk.step(desk.story("Lyon", "Marseille"), "offer") is State.OFFERED
    await desk.step(to_marseille[1], "withdraw")
    assert await desk.submit(to_lyon[1].statements[-1]) is State.OFFERED


async def test_offers_that_are_taken_back_at_once_are_counted_out(desk: Desk) -> None:
    desk.broker._offers = Budget(desk.clock, rate=0.1, burst=2)
    for _ in range(2):
        await desk.steps(desk.story(), "offer", "withdraw")
    story, back = desk.story(), desk.story("Marseille", "Paris")
    with pytest.raises(TooManyOffers):
        await desk.step(story, "offer")
    assert desk.state(story) is None
    assert await desk.step(back, "offer") is State.OFFERED, "the other has its own"
    desk.clock.advance(10)
    assert await desk.submit(story.statements[-1]) is State.OFFERED


async def test_a_refused_offer_leaves_nothing(desk: Desk) -> None:
    first, second = desk.story(), desk.story()
    await desk.step(first, "offer")
    token = first.offered.token
    with pytest.raises(AnotherStatement):
        await desk.step(second, "offer", token=second.token(random=lambda _: TokenId(token.id)))
    assert (desk.state(second), desk.kinds(second)) == (None, [])
    assert len(desk.events(first.recipient)) == 1


# ---- time ----


async def test_time_ends_it_for_both_and_what_waits_is_to_be_erased(desk: Desk) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept", "ship")
    ends = story.answered.accepted().key_expires
    desk.clock.advance(ends - desk.clock.now() - SOONEST)
    assert await desk.broker.expire_due() == 0
    desk.clock.advance(SOONEST)
    desk.events_of.woken.clear()
    desk.reached.clear()
    assert await desk.broker.expire_due() == 1
    assert desk.state(story) is State.EXPIRED
    assert desk.to_erase() == [id_of(story)]
    for member in (story.sender, story.recipient):
        assert desk.events(member)[-1] == (id_of(story), None)
    assert desk.events_of.woken == [story.sender.id, story.recipient.id]
    assert desk.reached == [State.EXPIRED]
    assert "directory.expiry.after_write" in desk.points.reached
    assert await desk.broker.expire_due() == 0
    assert len(desk.events(story.sender)) == 2


async def test_however_many_are_due_all_end_and_nothing_else_does(desk: Desk) -> None:
    short = [desk.story(*names) for names in (("Paris", "Marseille"), ("Lyon", "Paris"), ("Marseille", "Lyon"))]
    for each in short:
        await desk.step(each, "offer", expires=desk.clock.now() + HOUR)
    later = desk.story()
    await desk.step(later, "offer", expires=desk.clock.now() + 2 * HOUR)
    over = desk.story()
    await desk.steps(over, "offer", "withdraw")
    desk.clock.advance(HOUR)
    now = desk.clock.now()
    assert len(desk.db.read_sync(lambda tx: transfers.due(tx, now, 2))) == 2
    assert set(desk.db.read_sync(lambda tx: transfers.due(tx, now))) == set(map(id_of, short))
    assert await desk.broker.expire_due() == 3
    assert {desk.state(each) for each in short} == {State.EXPIRED}
    assert (desk.state(later), desk.state(over)) == (State.OFFERED, State.WITHDRAWN)


async def test_a_step_and_a_question_after_its_time_find_it_expired(desk: Desk) -> None:
    for asks in (False, True):
        story = desk.story()
        await desk.step(story, "offer", expires=desk.clock.now() + HOUR)
        desk.clock.advance(HOUR)
        if asks:
            assert (await desk.broker.transfer(story.sender.id, id_of(story)))[0] is State.EXPIRED
        else:
            with pytest.raises(NotInThisState):
                await desk.step(story, "withdraw")
        assert desk.state(story) is State.EXPIRED
        assert desk.events(story.sender)[-1] == (id_of(story), None)


async def test_what_time_ends_while_a_step_is_read_has_ended_before_it(desk: Desk) -> None:
    story = desk.story()
    await desk.step(story, "offer", expires=desk.clock.now() + HOUR)
    desk.clock.advance(HOUR - SOONEST)
    now = desk.clock.now()
    short = story.read_answer(story.make_acceptance(now=now - MINUTE, key_expires=now), now=now, fresh=False)
    desk.points.then["directory.submit.withdrawal.before_write"] = lambda: desk.db.write_sync(
        lambda tx: transfers.take(tx, short, now=now, quota=10**9)
    )
    with pytest.raises(NotInThisState):
        await desk.step(story, "withdraw")
    assert desk.state(story) is State.EXPIRED


async def test_what_is_due_however_often_it_is_ended_is_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    story = desk.story()
    await desk.step(story, "offer", expires=desk.clock.now() + HOUR)
    desk.clock.advance(HOUR)
    tries: list[list[TransferId]] = []

    async def in_vain(ended: list[TransferId]) -> None:
        tries.append(ended)

    monkeypatch.setattr(desk.broker, "_expire", in_vain)
    with pytest.raises(TransferOver):
        await desk.step(story, "withdraw")
    assert tries == [[id_of(story)]] * 3


async def test_what_is_over_does_not_expire(desk: Desk) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept", "ship", "receive")
    now = desk.clock.now()
    assert desk.db.write_sync(lambda tx: transfers.expire(tx, id_of(story), now)) is None
    assert desk.db.write_sync(lambda tx: transfers.expire(tx, TransferId(bytes(16)), now)) is None
    assert desk.state(story) is State.RECEIVED
    assert len(desk.events(story.sender)) == 2


async def test_a_receipt_is_not_too_late_and_nothing_is_erased_twice(desk: Desk) -> None:
    story = desk.story()
    await desk.steps(story, "offer", "accept", "ship")
    desk.clock.advance(73 * HOUR)
    await desk.broker.expire_due()
    await desk.broker.sweep()
    assert await desk.step(story, "receive") is State.RECEIVED
    assert desk.to_erase() == []
    assert desk.events(story.sender)[-1] == (id_of(story), 3)


# ---- after a restore ----


async def test_right_after_a_restore_time_ends_nothing(desk: Desk) -> None:
    story = desk.story()
    await desk.step(story, "offer", expires=desk.clock.now() + HOUR)
    desk.clock.advance(2 * HOUR)
    desk.restored()
    assert await desk.broker.expire_due() == 0
    assert (await desk.broker.transfer(story.sender.id, id_of(story)))[0] is State.OFFERED
    assert await desk.step(story, "withdraw") is State.WITHDRAWN
    other = desk.story()
    await desk.step(other, "offer", expires=desk.clock.now() + 30 * MINUTE)
    desk.clock.advance(HOUR)
    assert await desk.broker.expire_due() == 1


def given(story: Story, *steps: str) -> list[Any]:
    """Signed and never submitted here, as far as this database knows."""
    for each in steps:
        getattr(story, each)(**({"mailbox": ""} if each == "accept" else {}))
    return list(story.statements)


@pytest.mark.parametrize("giver", ["sender", "recipient"])
async def test_what_was_forgotten_is_given_back_by_either_party(desk: Desk, giver: str) -> None:
    story = desk.story()
    statements = given(story, "offer", "accept", "ship", "receive", "withdraw", "erase")
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    member = getattr(story, giver)
    assert await desk.broker.give_back(member.id, statements) == (State.RECEIVED, 6)
    assert desk.kinds(story)[0] is Kind.OFFER
    assert sorted(desk.kinds(story)) == sorted(
        [Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_TAKEN, Kind.WITHDRAWAL, Kind.ERASURE]
    )
    assert set(desk.events_of.woken) == {story.sender.id, story.recipient.id}
    desk.events_of.woken.clear()
    assert await desk.broker.give_back(member.id, statements) == (State.RECEIVED, 0)
    assert desk.events_of.woken == []


@pytest.mark.parametrize(
    "steps",
    [
        ("offer", "decline"),
        ("offer", "accept", "ship", "refuse_receipt"),
        ("offer", "accept", "ship", "receive", "give_back"),
        ("offer", "withdraw"),
    ],
)
async def test_each_kind_of_statement_is_given_back(desk: Desk, steps: tuple[str, ...]) -> None:
    story = desk.story()
    statements = given(story, *steps)
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    state, added = await desk.broker.give_back(story.sender.id, statements)
    assert (added, state) == (len(steps), desk.state(story))
    assert state in END_STATES


async def test_what_had_begun_is_given_back_beside_as_many_as_may_be_open(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup may know as many as are allowed, and as many again were open when it was lost."""
    for limit in ("OPEN", "UNANSWERED"):
        monkeypatch.setattr(quotas, limit, 1)
    known, lost, one_more = (desk.story() for _ in range(3))
    await desk.submit(given(known, "offer")[0])
    with pytest.raises(TooManyOpenTransfers):
        await desk.submit(given(lost, "offer")[0])
    more = given(one_more, "offer")
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    assert await desk.broker.give_back(lost.sender.id, lost.statements) == (State.OFFERED, 1)
    with pytest.raises(TooManyOpenTransfers):
        await desk.broker.give_back(one_more.sender.id, more)


async def test_what_is_given_back_stands_whatever_key_its_author_has_since(desk: Desk) -> None:
    story = desk.story()
    statements = given(story, "offer", "accept", "ship", "receive", "withdraw", "erase")
    for member in (story.sender, story.recipient):
        desk.network.rotate(member)
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    assert await desk.broker.give_back(story.sender.id, statements) == (State.RECEIVED, 6)


async def test_without_a_restore_nothing_is_given_back(desk: Desk) -> None:
    story = desk.story()
    assert await desk.broker.give_back(story.sender.id, given(story, "offer", "accept")) == (None, 0)
    assert desk.state(story) is None
    await desk.submit(story.statements[0])
    assert await desk.broker.give_back(story.sender.id, story.statements) == (State.OFFERED, 0)


@pytest.mark.parametrize(("ahead", "added"), [(5 * MINUTE, 1), (5 * MINUTE + timedelta(seconds=1), 0)])
async def test_what_is_dated_after_the_restore_is_not_given_back(desk: Desk, ahead: timedelta, added: int) -> None:
    story = desk.story()
    desk.restored()
    story.now = desk.clock.now() + ahead
    story.offered = story.read_offer(story._keep(story.make_offer()))
    assert (await desk.broker.give_back(story.sender.id, story.statements))[1] == added


async def test_what_is_no_party_of_one_transfer_gives_nothing_back(desk: Desk) -> None:
    one, other, lyon = desk.story(), desk.story(), desk.network.members["Lyon"]
    first, second = given(one, "offer", "accept"), given(other, "offer")
    desk.restored()
    desk.clock.advance(MINUTE)
    with pytest.raises(WrongParty):
        await desk.broker.give_back(lyon.id, first)
    for lot in ([], [*first, *second], [first[0], first[0]]):
        with pytest.raises(InvalidInput):
            await desk.broker.give_back(one.sender.id, lot)
    assert desk.state(one) is None


async def test_what_is_known_as_another_pairs_is_not_given_back(desk: Desk) -> None:
    known, other = desk.story(), desk.story("Paris", "Lyon")
    await desk.step(known, "offer")
    other.parties = type(other.parties)(
        other.parties.network, known.parties.transfer_id, other.parties.sender, other.parties.recipient
    )
    statements = given(other, "offer")
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    with pytest.raises(NotFound):
        await desk.broker.give_back(other.sender.id, statements)
    backwards = desk.story("Lyon", "Marseille")
    backwards.parties = type(other.parties)(
        other.parties.network, known.parties.transfer_id, backwards.parties.sender, backwards.parties.recipient
    )
    with pytest.raises(NotFound):
        await desk.broker.give_back(backwards.recipient.id, given(backwards, "offer"))
    assert desk.kinds(known) == [Kind.OFFER]


async def test_what_was_never_signed_so_is_not_given_back(desk: Desk) -> None:
    story = desk.story()
    statements = given(story, "offer", "accept")
    body = v1.Answer.FromString(statements[1].body)
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    with pytest.raises(BadSignature):
        await desk.broker.give_back(story.sender.id, [statements[0], story.sender.identity.sign(body)])
    assert desk.state(story) is None


@pytest.mark.parametrize("who", ["Paris", "Marseille"])
@pytest.mark.parametrize("steps", [("offer",), ("offer", "accept", "ship", "receive")])
async def test_what_a_removed_member_had_open_ends_as_it_is_given_back(
    desk: Desk, who: str, steps: tuple[str, ...]
) -> None:
    story = desk.story()
    statements = given(story, *steps)
    desk.clock.advance(10 * MINUTE)
    desk.network.remove(desk.network.members[who])
    desk.restored()
    giver = story.recipient if who == "Paris" else story.sender
    state = State.EXPIRED if len(steps) == 1 else State.RECEIVED
    assert await desk.broker.give_back(giver.id, statements) == (state, len(steps))
    assert desk.state(story) is state


async def test_a_party_that_is_suspended_ends_nothing_that_is_given_back(desk: Desk) -> None:
    story = desk.story()
    statements = given(story, "offer")
    desk.clock.advance(10 * MINUTE)
    desk.network.suspend(story.recipient)
    desk.restored()
    assert await desk.broker.give_back(story.sender.id, statements) == (State.OFFERED, 1)
    assert desk.state(story) is State.OFFERED


# ---- removals and restored nodes ----


@pytest.mark.parametrize("ends", ["remove", "restore"])
@pytest.mark.parametrize("who", ["Paris", "Marseille"])
async def test_an_entry_that_ends_a_members_transfers_ends_no_others(desk: Desk, ends: str, who: str) -> None:
    open_, over = desk.story(), desk.story()
    other = desk.story("Marseille" if who == "Paris" else "Paris", "Lyon")
    await desk.steps(open_, "offer", "accept")
    await desk.step(other, "offer")
    await desk.steps(over, "offer", "withdraw")
    entry = getattr(desk.network, ends)(desk.network.members[who])
    desk.db.write_sync(lambda tx: desk.broker.on_entry(tx, desk.network.roster, entry))
    assert (desk.state(open_), desk.state(other), desk.state(over)) == (State.EXPIRED, State.OFFERED, State.WITHDRAWN)
    for member in (open_.sender, open_.recipient):
        assert (id_of(open_), None) in desk.events(member)


async def test_other_entries_end_nothing(desk: Desk) -> None:
    story = desk.story()
    await desk.step(story, "offer")
    entry = desk.network.suspend(story.recipient)
    desk.db.write_sync(lambda tx: desk.broker.on_entry(tx, desk.network.roster, entry))
    assert desk.state(story) is State.OFFERED


# ---- erasing ----


async def test_what_waits_for_what_has_ended_is_erased_once(desk: Desk) -> None:
    ended, goes_on = desk.story(), desk.story()
    await desk.steps(ended, "offer", "accept", "ship")
    await desk.steps(goes_on, "offer", "accept", "ship")
    assert await desk.broker.sweep() == 0
    await desk.step(ended, "receive")
    assert desk.to_erase() == [id_of(ended)]
    desk.points.reached.clear()
    assert await desk.broker.sweep() == 1
    assert desk.points.reached == ["directory.erasure.before", "directory.erasure.after"]
    assert desk.held.names() == {id_of(goes_on)}
    assert desk.to_erase() == []
    await desk.step(ended, "withdraw")
    assert desk.to_erase() == [], "it had ended before"
    assert await desk.broker.sweep() == 0


async def test_what_no_transfer_under_way_accounts_for_is_erased(desk: Desk) -> None:
    offered, accepted, shipped, over = (desk.story() for _ in range(4))
    await desk.step(offered, "offer")
    await desk.steps(accepted, "offer", "accept")
    await desk.steps(shipped, "offer", "accept", "ship")
    await desk.steps(over, "offer", "withdraw")
    unknown = TransferId(bytes(16))
    desk.held.sizes = {**{id_of(each): 1 for each in (offered, accepted, shipped, over)}, unknown: 1}
    desk.restored()
    assert await desk.broker.sweep_orphans() == 0
    assert len(desk.held.names()) == 5
    desk.clock.advance(14 * DAY)
    assert await desk.broker.sweep_orphans() == 3
    assert desk.held.names() == {id_of(accepted), id_of(shipped)}
    assert await desk.broker.sweep_orphans() == 0


async def test_whatever_ends_a_transfer_what_waits_for_it_is_erased_at_once(desk: Desk) -> None:
    by_time, forgotten = desk.story(), desk.story()
    statements = given(forgotten, "offer", "accept", "ship", "receive")
    await desk.steps(by_time, "offer", "accept", "ship")
    work = asyncio.create_task(desk.broker.erase_for_ever())
    desk.held.sizes[id_of(forgotten)] = BYTES
    desk.clock.advance(10 * MINUTE)
    desk.restored()
    await desk.broker.give_back(forgotten.sender.id, statements)
    await eventually(lambda: desk.held.names() == {id_of(by_time)})
    desk.clock.advance(4 * DAY)
    await desk.broker.expire_due()
    await eventually(lambda: not desk.held.names())
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_while_nothing_ends_nothing_is_swept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, went_round = 0, asyncio.Event()

    async def round_() -> int:
        nonlocal rounds
        rounds += 1
        went_round.set()
        await asyncio.sleep(0)
        return 0

    monkeypatch.setattr(desk.broker, "sweep", round_)
    work = asyncio.create_task(desk.broker.erase_for_ever())
    for expected in (1, 2):
        await went_round.wait()
        went_round.clear()
        for _ in range(20):
            await asyncio.sleep(0)
        assert rounds == expected
        desk.broker.something_ended()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_as_it_ends_it_is_erased_and_a_disk_that_fails_is_tried_again(desk: Desk) -> None:
    first, second = desk.story(), desk.story()
    work = asyncio.create_task(desk.broker.erase_for_ever())
    await desk.steps(first, "offer", "accept", "ship", "receive")
    await eventually(lambda: not desk.held.names())
    desk.held.fails = OSError("full")
    await desk.steps(second, "offer", "accept", "ship", "receive")
    await eventually(lambda: desk.points.reached.count("directory.erasure.before") == 2)
    desk.held.fails = None
    desk.broker.something_ended()
    await eventually(lambda: not desk.held.names())
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
