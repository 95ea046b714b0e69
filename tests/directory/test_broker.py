from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from cordee.errors import TooManyBytes
from cordee.ids import MemberId, TokenId
from cordee.runtime.limits import Budget
from cordee.runtime.mailbox import MailboxServicer
from cordee.signing import Signed
from cordee.transfer import END_STATES, Kind, Party, State, kind_of, next_state
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import mailbox_pb2
from cordee.v1 import statements_pb2 as v1
from directory import quotas
from directory.mailbox_policy import TransferMailboxPolicy
from tests.directory.town import Node, Town, refused
from tests.transfers import Story

CIPHERTEXT = bytes(range(256)) * 256  # as many bytes as Story's shipment names

BODIES = {
    body.DESCRIPTOR.full_name: body
    for body in (v1.Offer, v1.Answer, v1.Shipment, v1.Receipt, v1.Withdrawal, v1.Erasure)
}


class Play:
    """A transfer from Paris to Marseille, each step submitted by whoever signed it."""

    def __init__(self, town: Town, paris: Node, marseille: Node) -> None:
        self.town, self.paris, self.marseille = town, paris, marseille
        self.story = Story.between(town.network, "Paris", "Marseille")

    @property
    def id(self) -> bytes:
        return self.story.parties.transfer_id

    def sign(self, step: str, **changes: Any) -> Signed:
        """The story's next statement, read as the broker reads it."""
        self.story.now = self.town.clock.now()
        if step == "accept":
            changes.setdefault("mailbox", "")
        getattr(self.story, step)(**changes)
        return self.story.statements[-1]

    async def submit(self, signed: Signed) -> str:
        return await self.author(signed).submit(signed)

    async def step(self, step: str, **changes: Any) -> str:
        if step == "ship":
            await self.paris.put(self.id, CIPHERTEXT)
        return await self.submit(self.sign(step, **changes))

    async def steps(self, *names: str) -> str:
        state = ""
        for name in names:
            state = await self.step(name)
        return state

    def author(self, signed: Signed) -> Node:
        return self.paris if signed.signer == self.paris.keys.identity.public.key_id else self.marseille

    async def erased(self) -> bool:
        """No byte of it waits any more, in a moment."""
        for _ in range(100):
            if not self.town.directory.mailbox.names():
                return True
            await asyncio.sleep(0.02)
        return False


@pytest.fixture
async def play(town: Town) -> Play:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    return Play(town, paris, marseille)


def kinds(events: list[pb.Event]) -> list[str]:
    found = []
    for event in events:
        if event.WhichOneof("kind") == "expired":
            found.append("expired")
        else:
            found.append(str(kind_of(BODIES[event.statement.type].FromString(event.statement.body))))
    return found


async def test_a_transfer_goes_from_offer_to_receipt_and_each_step_is_told_to_the_other_party(play: Play) -> None:
    assert await play.step("offer") == "offered"
    assert await play.step("accept") == "accepted"
    assert await play.paris.put(play.id, CIPHERTEXT[:50_000]) == 50_000
    assert await play.paris.put(play.id, CIPHERTEXT[50_000:], offset=50_000) == 65_536
    assert await play.submit(play.sign("ship")) == "shipped"
    assert await play.marseille.get(play.id) == CIPHERTEXT
    assert await play.step("receive") == "received"
    assert await play.erased()

    assert kinds(await play.marseille.heard()) == ["offer", "shipment"]
    assert kinds(await play.paris.heard()) == ["acceptance", "receipt_taken"]
    kept = await play.paris.transfer(play.id)
    assert kept.state == "received"
    assert [Signed.from_message(each) for each in kept.statements] == play.story.statements
    assert await play.step("withdraw") == "received", "after delivery it is a request to erase"
    assert await play.step("erase") == "received"
    assert kinds(await play.paris.heard(2)) == ["erasure"]


async def test_a_declined_offer_a_refused_shipment_and_a_refused_erasure(play: Play) -> None:
    assert await play.steps("offer", "decline") == "declined"
    again = Play(play.town, play.paris, play.marseille)
    assert await again.steps("offer", "accept", "ship", "refuse_receipt") == "refused"
    assert await again.erased()
    third = Play(play.town, play.paris, play.marseille)
    assert await third.steps("offer", "accept", "ship", "receive", "withdraw", "keep_by_law") == "received"


async def test_the_same_statement_twice_is_answered_as_the_first_time_and_tells_nobody_again(play: Play) -> None:
    states = [await play.step(name) for name in ("offer", "accept", "ship", "receive")]
    assert [await play.submit(signed) for signed in play.story.statements] == states
    assert len(await play.marseille.heard()) == 2
    assert len(await play.paris.heard()) == 2
    play.town.move(timedelta(days=20))
    assert await play.submit(play.story.statements[0]) == "offered", "however late"


async def test_one_statement_submitted_many_times_at_once_is_taken_once(play: Play) -> None:
    offer = play.sign("offer")
    assert set(await asyncio.gather(*(play.submit(offer) for _ in range(12)))) == {"offered"}
    assert len(await play.marseille.heard()) == 1


async def test_another_statement_for_a_step_already_taken_is_refused(play: Play) -> None:
    await play.steps("offer", "accept")
    with refused("ANOTHER_STATEMENT"):
        await play.submit(play.story.make_offer(now=play.town.clock.now()))
    with refused("ANOTHER_STATEMENT"):
        await play.submit(play.story.make_acceptance(mailbox="", now=play.town.clock.now()))
    with refused("ANOTHER_STATEMENT"):
        await play.submit(play.story.make_refusal(now=play.town.clock.now()))
    await play.step("ship")
    await play.step("receive")
    with refused("ANOTHER_STATEMENT"):
        await play.submit(play.story.make_refused_receipt(now=play.town.clock.now()))


async def test_of_two_answers_at_once_one_is_taken(play: Play) -> None:
    await play.step("offer")
    now = play.town.clock.now()
    both = [play.story.make_acceptance(mailbox="", now=now), play.story.make_refusal(now=now)]
    outcomes = await asyncio.gather(*(play.submit(each) for each in both), return_exceptions=True)
    assert len([each for each in outcomes if isinstance(each, str)]) == 1
    assert len((await play.paris.transfer(play.id)).statements) == 2


STEPS = {
    "offer": Kind.OFFER,
    "accept": Kind.ACCEPTANCE,
    "decline": Kind.REFUSAL,
    "ship": Kind.SHIPMENT,
    "receive": Kind.RECEIPT_TAKEN,
    "refuse_receipt": Kind.RECEIPT_REFUSED,
    "withdraw": Kind.WITHDRAWAL,
    "erase": Kind.ERASURE,
    "give_back": Kind.ERASURE,
}
WAYS = [
    ("offer",),
    ("offer", "accept"),
    ("offer", "decline"),
    ("offer", "accept", "ship"),
    ("offer", "accept", "ship", "receive"),
    ("offer", "accept", "ship", "refuse_receipt"),
    ("offer", "withdraw"),
    ("offer", "accept", "withdraw"),
    ("offer", "accept", "ship", "withdraw"),
    ("offer", "accept", "ship", "receive", "withdraw"),
    ("offer", "accept", "ship", "withdraw", "receive"),
    ("offer", "accept", "ship", "receive", "withdraw", "erase"),
    ("offer", "accept", "ship", "receive", "give_back"),
    ("offer", "accept", "ship", "receive", "withdraw", "give_back"),
]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
async def test_in_every_state_the_broker_takes_what_the_table_has_and_refuses_all_else(play: Play, way: Any) -> None:
    """Every statement that can be signed after a way is submitted; the table alone says which may be taken."""
    await play.steps(*way)
    taken = [STEPS[step] for step in way]
    state: State | None = None
    for at, kind in enumerate(taken):
        by = Party.SENDER if kind in (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL) else Party.RECIPIENT
        state = next_state(state, kind, by, taken=taken[:at])
    assert (await play.paris.transfer(play.id)).state == state
    makers = {
        "make_acceptance": Kind.ACCEPTANCE,
        "make_refusal": Kind.REFUSAL,
        "make_shipment": Kind.SHIPMENT,
        "make_receipt": Kind.RECEIPT_TAKEN,
        "make_refused_receipt": Kind.RECEIPT_REFUSED,
        "make_withdrawal": Kind.WITHDRAWAL,
        "make_erasure": Kind.ERASURE,
        "make_return": Kind.ERASURE,
    }
    play.story.now = play.town.clock.now()
    for maker, kind in makers.items():
        try:
            signed = getattr(play.story, maker)()
        except AttributeError:  # it names a statement that is not there yet
            continue
        by = Party.SENDER if kind in (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL) else Party.RECIPIENT
        try:
            next_state(state, kind, by, taken=taken)
        except Exception as by_the_table:
            with refused(by_the_table.reason):  # type: ignore[attr-defined]
                await play.submit(signed)
    assert (await play.paris.transfer(play.id)).state == state, "nothing that was refused has changed anything"
    assert len((await play.paris.transfer(play.id)).statements) == len(way)


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (("offer",), "withdrawn"),
        (("offer", "accept"), "withdrawn"),
        (("offer", "accept", "ship"), "withdrawn"),
        (("offer", "accept", "ship", "receive"), "received"),
    ],
)
async def test_a_withdrawal_is_taken_in_each_state_and_erases_what_waits(play: Play, before: Any, then: str) -> None:
    await play.steps(*before)
    assert await play.step("withdraw") == then
    assert await play.erased()
    assert kinds(await play.marseille.heard())[-1] == "withdrawal"
    with refused("NOT_IN_THIS_STATE", "TRANSFER_OVER"):
        await play.paris.put(play.id, b"more")
    with refused("NOT_IN_THIS_STATE", "TRANSFER_OVER"):
        await play.marseille.get(play.id)


async def test_a_receipt_that_crossed_a_withdrawal_is_taken_and_the_withdrawal_asks_to_erase(play: Play) -> None:
    await play.steps("offer", "accept", "ship", "withdraw")
    assert await play.step("receive") == "received"
    assert await play.step("erase") == "received"


async def test_time_ends_an_offer_and_both_hear_of_it(play: Play) -> None:
    await play.step("offer")
    play.town.move(timedelta(days=7, minutes=1))
    for _ in range(100):
        if kinds(await play.paris.heard()) == ["expired"]:
            break
        await asyncio.sleep(0.02)
    assert kinds(await play.paris.heard()) == ["expired"]
    assert kinds(await play.marseille.heard()) == ["offer", "expired"]
    assert (await play.paris.transfer(play.id)).state == "expired"


async def test_a_step_after_its_time_finds_the_transfer_expired_even_before_anybody_swept(play: Play) -> None:
    await play.step("offer")
    acceptance = play.sign("accept")
    play.town.directory.clock._now += timedelta(days=8)  # type: ignore[attr-defined]  # no background task wakes up
    with refused("NOT_IN_THIS_STATE"):
        await play.submit(acceptance)
    assert (await play.paris.transfer(play.id)).state == "expired"


async def test_a_late_receipt_is_taken_after_the_transfer_expired(play: Play) -> None:
    await play.steps("offer", "accept", "ship")
    play.town.move(timedelta(hours=73))
    for _ in range(100):
        if (await play.paris.transfer(play.id)).state == "expired":
            break
        await asyncio.sleep(0.02)
    assert await play.erased()
    assert await play.step("receive") == "received"
    with refused("NOT_IN_THIS_STATE", "TRANSFER_OVER"):
        await play.marseille.get(play.id)


async def test_the_quota_counts_what_was_announced_and_comes_back_when_a_transfer_ends(tmp_path) -> None:
    town = Town.make(tmp_path / "directory", mailbox_quota=200_000, content_size_limit=150_000)
    async with town.open():
        await town.found()
        paris, marseille = await town.join("Paris"), await town.join("Marseille")
        plays = [Play(town, paris, marseille) for _ in range(4)]
        for play in plays[:3]:
            await play.step("offer")
        with refused("QUOTA_EXCEEDED"):
            await plays[3].step("offer")
        await plays[0].step("decline")
        plays[3].story.statements.clear()
        assert await plays[3].step("offer") == "offered"


async def test_a_token_is_for_one_transfer(play: Play) -> None:
    await play.step("offer")
    token = play.story.offered.token
    other = Play(play.town, play.paris, play.marseille)
    with refused("ANOTHER_STATEMENT"):
        await other.step("offer", token=other.story.token(random=lambda _: TokenId(token.id)))


async def test_a_shipment_names_exactly_what_waits(play: Play) -> None:
    await play.steps("offer", "accept")
    with refused("STATEMENT_REFUSED"):
        await play.submit(play.sign("ship"))
    await play.paris.put(play.id, CIPHERTEXT[:1000])
    with refused("STATEMENT_REFUSED"):
        await play.submit(play.sign("ship"))
    await play.paris.put(play.id, CIPHERTEXT[1000:], offset=1000)
    assert await play.submit(play.sign("ship")) == "shipped"


async def test_a_recipients_own_mailbox_needs_no_bytes_here_but_a_part_of_them_is_refused(play: Play) -> None:
    await play.step("offer")
    await play.step("accept", mailbox="node.example:4433")
    await play.paris.put(play.id, CIPHERTEXT[:1000])
    with refused("STATEMENT_REFUSED"):
        await play.submit(play.sign("ship"))
    other = Play(play.town, play.paris, play.marseille)
    await other.step("offer")
    await other.step("accept", mailbox="node.example:4433")
    assert await other.submit(other.sign("ship")) == "shipped"


async def test_the_mailbox_is_written_by_the_sender_only_while_accepted_and_never_beyond_the_bound(play: Play) -> None:
    await play.step("offer")
    with refused("NOT_IN_THIS_STATE"):
        await play.paris.put(play.id, b"too early")
    with refused("NOT_IN_THIS_STATE"):
        await play.marseille.get(play.id)
    await play.step("accept")
    with refused("WRONG_PARTY"):
        await play.marseille.put(play.id, b"not yours")
    with refused("NOT_FOUND"):  # nothing of it is there
        await play.marseille.get(play.id)
    with refused("TOO_LARGE"):
        await play.paris.put(play.id, CIPHERTEXT + b"x")
    stranger = await play.town.join("Lyon")
    for call in (stranger.put(play.id, b"x"), stranger.get(play.id), stranger.transfer(play.id)):
        with refused("NOT_FOUND"):
            await call
    with refused("NOT_FOUND"):
        await play.paris.put(bytes(16), b"x")
    await play.step("ship")
    with refused("WRONG_PARTY"):
        await play.paris.get(play.id)
    stat = await play.paris.mailbox.Stat(mailbox_pb2.StatRequest(transfer_id=play.id), timeout=5)
    assert stat.size == 65_536


async def test_nobody_submits_for_another(play: Play) -> None:
    offer = play.sign("offer")
    with refused("WRONG_PARTY"):
        await play.marseille.submit(offer)
    await play.submit(offer)
    lyon = await play.town.join("Lyon")
    acceptance = play.sign("accept")
    with refused("WRONG_PARTY"):
        await lyon.submit(acceptance)
    body = v1.Answer.FromString(acceptance.body)
    body.recipient = lyon.keys.id
    with refused("NOT_FOUND"):
        await lyon.submit(lyon.keys.identity.sign(body))


async def test_a_statement_signed_with_another_key_is_refused(play: Play) -> None:
    offer = play.sign("offer")
    forged = Signed(offer.type, offer.body, offer.signer, bytes(64), offer.mldsa65_signature)
    with refused("BAD_SIGNATURE"):
        await play.paris.submit(forged)
    with refused("BAD_SIGNATURE"):
        await play.paris.submit(play.marseille.keys.identity.sign(v1.Offer.FromString(offer.body)))


async def test_steps_about_a_transfer_that_is_not_here_are_refused(play: Play) -> None:
    play.sign("offer")
    with refused("NOT_FOUND"):
        await play.submit(play.sign("accept"))
    with refused("NOT_FOUND"):
        await play.submit(play.sign("withdraw"))


async def test_a_suspended_members_transfers_stand_still_then_go_on(play: Play) -> None:
    await play.steps("offer", "accept")
    await play.town.append(play.town.network.suspend(play.marseille.keys))
    withdrawal = play.story.make_withdrawal(now=play.town.clock.now())
    with refused("MEMBER_IS_SUSPENDED"):
        await play.submit(withdrawal)
    with refused("MEMBER_IS_SUSPENDED"):
        await play.paris.put(play.id, b"x")
    with refused("MEMBER_IS_SUSPENDED"):
        await play.marseille.transfer(play.id)
    await play.town.append(play.town.network.reinstate(play.marseille.keys))
    assert await play.step("ship") == "shipped"


async def test_a_removed_members_transfers_expire_at_once(play: Play) -> None:
    await play.steps("offer", "accept", "ship")
    await play.town.append(play.town.network.remove(play.marseille.keys))
    assert kinds(await play.paris.heard())[-1] == "expired"
    assert (await play.paris.transfer(play.id)).state == "expired"
    assert await play.erased()
    with refused("NOT_A_MEMBER"):
        await play.marseille.heard()


@pytest.mark.parametrize("who", ["Paris", "Marseille"])
@pytest.mark.parametrize("steps", [("offer",), ("offer", "accept"), ("offer", "accept", "ship")], ids=len)
async def test_a_restored_nodes_transfers_end_at_once_for_both_sides(
    play: Play, who: str, steps: tuple[str, ...]
) -> None:
    await play.steps(*steps)
    restored = play.paris if who == "Paris" else play.marseille
    await announce(play, restored)
    for node in (play.paris, play.marseille):
        assert kinds(await node.heard())[-1] == "expired"
        assert (await node.transfer(play.id)).state == "expired"
    assert await play.erased()


async def test_a_receipt_that_crosses_a_restore_is_taken(play: Play) -> None:
    await play.steps("offer", "accept", "ship")
    await announce(play, play.paris)
    assert await play.step("receive") == "received"


async def test_a_member_lists_every_transfer_of_its_own_and_none_of_others(play: Play) -> None:
    await play.steps("offer", "accept", "ship")
    second = Play(play.town, play.paris, play.marseille)
    await second.steps("offer")
    listed = {}
    async for each in play.marseille.broker.ListOwnTransfers(pb.ListOwnTransfersRequest(), timeout=10):
        listed[bytes(each.transfer_id)] = (each.state, each.statements)
    assert listed[bytes(play.id)] == ("shipped", 3)
    assert listed[bytes(second.id)] == ("offered", 1)
    stranger = await play.town.join("Lyon")
    assert [each async for each in stranger.broker.ListOwnTransfers(pb.ListOwnTransfersRequest(), timeout=10)] == []


async def announce(play: Play, node: Node) -> None:
    """The node says that it was restored, as its own entry."""
    entry = play.town.network.restore(node.keys)
    play.town.move(play.town.network.now - play.town.clock.now())
    await node.roster.AppendEntry(pb.AppendEntryRequest(entry=entry), timeout=10)


async def test_no_end_state_leaves_a_byte_waiting(play: Play) -> None:
    for way in WAYS:
        each = Play(play.town, play.paris, play.marseille)
        state = await each.steps(*way)
        if state not in END_STATES:
            await each.step("withdraw")
    assert await play.erased()


async def test_open_transfers_of_one_member_are_bounded_and_one_that_ends_makes_room(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in (("UNANSWERED", 1), ("OPEN", 2)):
        with monkeypatch.context() as fewer:
            fewer.setattr(quotas, name, limit)
            plays = [Play(play.town, play.paris, play.marseille) for _ in range(limit + 1)]
            for each in plays[:-1]:
                assert await each.step("offer") == State.OFFERED
            with refused("TOO_MANY_OPEN_TRANSFERS"):
                await plays[-1].step("offer")
            back = Play(play.town, play.marseille, play.paris)
            back.story = Story.between(play.town.network, "Marseille", "Paris")
            assert await back.paris.submit(back.sign("offer")) == State.OFFERED, "the other has its own"
            for each in plays[:-1]:
                await each.step("withdraw")
            assert await play.submit(plays[-1].story.statements[-1]) == State.OFFERED
            await plays[-1].step("withdraw")


async def test_offers_that_are_taken_back_at_once_are_counted_out(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play.town.directory.broker, "_offers", Budget(play.town.clock, rate=0.1, burst=2))
    for _ in range(2):
        await Play(play.town, play.paris, play.marseille).steps("offer", "withdraw")
    late = Play(play.town, play.paris, play.marseille)
    with refused("TOO_MANY_OFFERS"):
        await late.step("offer")
    back = Play(play.town, play.marseille, play.paris)
    back.story = Story.between(play.town.network, "Marseille", "Paris")
    assert await back.paris.submit(back.sign("offer")) == State.OFFERED, "the other has its own"
    play.town.move(timedelta(seconds=10))
    assert await play.submit(late.story.statements[-1]) == State.OFFERED


async def test_what_is_uploaded_again_and_again_is_counted_out(play: Play) -> None:
    await play.steps("offer", "accept")
    service = MailboxServicer(
        play.town.directory.mailbox,
        TransferMailboxPolicy(play.town.directory.broker),
        Budget(play.town.clock, rate=10_000, burst=150_000),
    )
    spent = service._counted(MemberId(play.paris.keys.id), _twice(CIPHERTEXT))
    assert [len(each) async for each in spent] == [len(CIPHERTEXT)] * 2
    with pytest.raises(TooManyBytes) as told:
        [each async for each in service._counted(MemberId(play.paris.keys.id), _twice(CIPHERTEXT))]
    assert told.value.retry_after > 0
    assert [len(each) async for each in service._counted(MemberId(play.marseille.keys.id), _twice(b"x"))] == [1, 1]


async def _twice(data: bytes) -> AsyncIterator[bytes]:
    yield data
    yield data
