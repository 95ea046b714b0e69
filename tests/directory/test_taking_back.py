"""A transfer after the directory's restore from a backup: what its parties give back, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cordee.errors import CordeeError, TooManyOffers
from cordee.runtime.rpc_errors import reaching
from cordee.signing import Signed
from cordee.transfer import END_STATES, Kind, Party, State, may, next_state
from cordee.v1 import directory_pb2 as pb
from directory.maintenance import save
from directory.taking_back import ORDER, fitting, state_after
from tests.directory.test_restored import put_back, story_of
from tests.directory.town import Node, Town, refused
from tests.transfers import Story

Life = tuple[tuple[Kind, ...], State]


def lives(state: State | None = None, taken: tuple[Kind, ...] = ()) -> Iterator[Life]:
    """Every life that a transfer can have by the table, without what time does to it."""
    for party in (Party.SENDER, Party.RECIPIENT):
        for kind in may(state, party, taken=taken):
            then = next_state(state, kind, party, taken=taken)
            yield (*taken, kind), then
            yield from lives(then, (*taken, kind))


LIVES = list(lives())


def test_every_life_leads_to_the_same_state_whatever_order_it_is_told_in() -> None:
    assert len(LIVES) == 15
    for kinds, state in LIVES:
        assert state_after(kinds) is state, kinds
        assert state_after(kinds[::-1]) is state, kinds


def test_whatever_the_backup_knew_the_rest_of_a_life_fits() -> None:
    for kinds, state in LIVES:
        for known in range(len(kinds)):
            added = fitting(kinds[:known], kinds)
            assert state_after([*kinds[:known], *added]) is state, (kinds, known)
            assert sorted([*kinds[:known], *added]) == sorted(kinds), "each once"


def test_nothing_fits_that_the_table_does_not_have_together() -> None:
    assert fitting([Kind.OFFER, Kind.WITHDRAWAL], [Kind.ACCEPTANCE]) == [Kind.ACCEPTANCE], "it may have come first"
    assert fitting([Kind.OFFER, Kind.REFUSAL], [Kind.ACCEPTANCE, Kind.SHIPMENT]) == []
    assert fitting([], [Kind.SHIPMENT]) == []
    assert fitting([Kind.OFFER], [Kind.RECEIPT_TAKEN]) == []


def test_every_kind_but_expiry_has_its_place() -> None:
    assert set(ORDER) == set(Kind) - {Kind.EXPIRY}
    assert END_STATES.isdisjoint({State.OFFERED, State.ACCEPTED, State.SHIPPED})


class Play:
    """Paris offers to Marseille; a backup is made at one step of it, and put back after another."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town, self.folder = town, folder

    async def begin(self) -> None:
        self.paris, self.marseille = await self.town.join("Paris"), await self.town.join("Marseille")
        self.story: Story = story_of(self.town, self.paris, self.marseille)

    async def step(self, name: str) -> None:
        """One step by the broker, and on paper."""
        self.story.now = self.town.clock.now()
        getattr(self.story, name)(**({"mailbox": ""} if name == "accept" else {}))
        by = self.marseille if name in ("accept", "decline", "receive", "refuse_receipt", "erase") else self.paris
        if name == "ship":
            await by.put(self.story.parties.transfer_id, bytes(65_536))
        await by.submit(self.story.statements[-1])
        self.town.move(timedelta(minutes=1))

    def back_up(self) -> None:
        save(self.town.folder, self.folder / "backup", with_keys=False)

    async def gives(self, node: Node, *statements: Signed) -> tuple[str, int]:
        request = pb.GiveBackTransferRequest(
            statements=[each.to_message() for each in statements or tuple(self.story.statements)]
        )
        with reaching("directory"):
            answer = await node.broker.GiveBackTransfer(request, timeout=10)
        return answer.state, answer.added

    async def state(self) -> str:
        try:
            return (await self.paris.transfer(self.story.parties.transfer_id)).state
        except CordeeError as unknown:
            return unknown.reason


@pytest.fixture
def town_of(tmp_path: Path) -> Town:
    return Town.make(tmp_path / "directory")


async def played(town: Town, folder: Path, before: str, after: str) -> Play:
    """The steps before the backup, the steps after it, and then the restore. The directory does not run."""
    play = Play(town, folder)
    async with town.open():
        await town.found()
        await play.begin()
        for each in before.split():
            await play.step(each)
        play.back_up()
        for each in after.split():
            await play.step(each)
    put_back(town, folder / "backup")
    town.move(timedelta(minutes=1))
    return play


LOSSES = [
    ("", "offer", "offered"),
    ("", "offer accept ship receive", "received"),
    ("offer", "accept ship", "shipped"),
    ("offer accept", "ship receive withdraw", "received"),
    ("offer accept ship", "refuse_receipt", "refused"),
    ("offer", "decline", "declined"),
    ("offer accept", "withdraw", "withdrawn"),
    ("offer accept ship receive", "withdraw erase", "received"),
]


@pytest.mark.parametrize(("before", "after", "state"), LOSSES)
@pytest.mark.parametrize("giver", ["sender", "recipient"])
async def test_either_party_brings_a_transfer_back_to_where_it_stood(
    town_of: Town, tmp_path: Path, before: str, after: str, state: str, giver: str
) -> None:
    play = await played(town_of, tmp_path, before, after)
    async with town_of.open():
        node = play.paris if giver == "sender" else play.marseille
        assert await play.gives(node) == (state, len(after.split()))
        assert await play.state() == state
        other = play.marseille if giver == "sender" else play.paris
        assert await play.gives(other) == (state, 0), "what is known is not added again"
        heard = [event.statement.body for event in await play.marseille.heard()]
        assert len(heard) == len(set(heard)), "nobody is told the same twice"


async def test_it_goes_on_from_where_it_was_brought_back_to(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "offer", "accept ship")
    async with town_of.open():
        with refused("NOT_IN_THIS_STATE"):
            await play.step("receive")
        del play.story.statements[-1]
        await play.gives(play.marseille)
        await play.step("receive")
        assert await play.state() == "received"
        assert [each.WhichOneof("kind") for each in await play.paris.heard()] == ["statement", "statement"]


async def test_the_waiting_ciphertext_of_a_forgotten_transfer_is_kept(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "", "offer accept ship")
    async with town_of.open() as directory:
        assert await directory.broker.sweep_orphans() == 0
        await play.gives(play.paris)
        assert await play.marseille.get(play.story.parties.transfer_id) == bytes(65_536)
        assert directory.mailbox.names() == {play.story.parties.transfer_id}
        town_of.move(timedelta(days=15))
        assert await directory.broker.expire_due() == 1
        await directory.broker.sweep()
        assert directory.mailbox.names() == frozenset()


async def test_time_ends_nothing_before_its_parties_could_say_what_became_of_it(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "offer", "accept ship receive")
    town_of.move(timedelta(days=8))  # the offer's end, of which nothing but the backup still speaks
    async with town_of.open() as directory:
        assert await directory.broker.expire_due() == 0
        assert await play.state() == "offered"
        town_of.move(timedelta(hours=1))
        assert await directory.broker.expire_due() == 1
        assert await play.state() == "expired"
        assert await play.gives(play.marseille) == ("received", 3), "it is late, and still what happened"


async def test_what_time_has_ended_meanwhile_does_not_begin_again(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "offer", "accept ship")
    town_of.move(timedelta(days=8))
    async with town_of.open() as directory:
        town_of.move(timedelta(hours=1))
        await directory.broker.expire_due()
        assert await play.gives(play.paris) == ("expired", 2)
        await play.step("receive")
        assert await play.state() == "received", "a receipt is never refused for being late"


async def test_a_party_that_was_removed_meanwhile_ends_it(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "offer", "accept")
    async with town_of.open():
        network = town_of.network
        network.now = town_of.clock.now()
        await town_of.append(network.remove(play.marseille.keys))
        assert (await play.gives(play.paris))[0] == "expired"


async def test_without_a_restore_nothing_is_given_back(town_of: Town, tmp_path: Path) -> None:
    play = Play(town_of, tmp_path)
    async with town_of.open():
        await town_of.found()
        await play.begin()
        await play.step("offer")
        play.story.accept(mailbox="")
        assert await play.gives(play.marseille) == ("offered", 0)
        other = story_of(town_of, play.paris, play.marseille).offer()
        assert await play.gives(play.paris, *other.statements) == ("", 0)


async def test_what_is_later_than_the_restore_comes_as_any_other_step(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "offer", "accept")
    async with town_of.open():
        play.story.now = town_of.clock.now() + timedelta(minutes=5, seconds=1)
        play.story.ship()
        assert await play.gives(play.paris) == ("accepted", 1)


async def test_what_was_dated_by_a_clock_a_little_ahead_is_taken_back_as_well(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "offer accept ship", "")
    async with town_of.open():
        play.story.now = town_of.clock.now() + timedelta(minutes=4)  # it was taken just before the disk was lost
        play.story.receive()
        assert await play.gives(play.marseille) == ("received", 1)


@pytest.mark.parametrize(
    ("beyond", "reason"), [({"size_bound": 2**40}, "TOO_LARGE"), ({"expires": 3650}, "STATEMENT_REFUSED")]
)
async def test_no_offer_goes_on_beyond_the_policy_for_being_dated_before_the_restore(
    town_of: Town, tmp_path: Path, beyond: dict[str, int], reason: str
) -> None:
    play = await played(town_of, tmp_path, "offer", "withdraw")
    async with town_of.open():
        new = story_of(town_of, play.paris, play.marseille)
        if "expires" in beyond:
            offer = new.make_offer(expires=new.now + timedelta(days=beyond["expires"]))
        else:
            offer = new.make_offer(**beyond)
        with refused(reason):
            await play.gives(play.paris, offer)


async def test_no_acceptance_goes_on_for_years_for_being_dated_before_the_restore(
    town_of: Town, tmp_path: Path
) -> None:
    play = await played(town_of, tmp_path, "offer", "")
    async with town_of.open():
        play.story.now = town_of.clock.now()
        with refused("STATEMENT_REFUSED"):
            await play.gives(
                play.marseille, play.story.make_acceptance(key_expires=play.story.now + timedelta(days=3650))
            )


async def test_what_is_said_to_be_older_than_the_restore_keeps_twice_the_senders_quota(tmp_path: Path) -> None:
    """Once for what was open when the backup was made, once for what was open since."""
    town = Town.make(tmp_path / "directory", mailbox_quota=2**20, content_size_limit=2**20)
    play = await played(town, tmp_path, "", "offer")

    def another() -> Signed:
        return story_of(town, play.paris, play.marseille).make_offer(size_bound=2**20)

    async with town.open():
        for _ in range(2):
            assert await play.gives(play.paris, another()) == ("offered", 1)
        with refused("QUOTA_EXCEEDED"):
            await play.gives(play.paris, another())


async def test_transfers_said_to_be_older_than_the_restore_are_counted_as_any_others(
    town_of: Town, tmp_path: Path
) -> None:
    play = await played(town_of, tmp_path, "", "offer")
    async with town_of.open() as directory:
        directory.broker._offers.spend(play.paris.keys.id, 5_000, error=TooManyOffers)
        with refused("TOO_MANY_OFFERS"):
            await play.gives(play.paris)
        town_of.move(timedelta(seconds=2))
        assert await play.gives(play.paris) == ("offered", 1)


async def test_a_third_party_a_stranger_to_the_chain_and_a_mixed_lot_are_refused(town_of: Town, tmp_path: Path) -> None:
    play = await played(town_of, tmp_path, "", "offer accept")
    async with town_of.open():
        lyon = await town_of.join("Lyon")
        with refused("WRONG_PARTY"):
            await play.gives(lyon)
        other = story_of(town_of, play.paris, play.marseille).offer()
        with refused("INVALID_INPUT"):
            await play.gives(play.paris, play.story.statements[0], other.statements[0])
        with refused("BAD_SIGNATURE"):
            body = v1_answer(play)
            await play.gives(play.marseille, play.story.statements[0], play.paris.keys.identity.sign(body))
        assert await play.state() == "NOT_FOUND"


def v1_answer(play: Play) -> object:
    from cordee.v1 import statements_pb2 as v1

    return v1.Answer.FromString(play.story.statements[1].body)
