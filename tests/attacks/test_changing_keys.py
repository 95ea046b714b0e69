"""A member that changes its identity key just then: between a node's look at the log and its look at the cards."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from cordee.card import make_card
from cordee.entries import add_signature, propose
from cordee.errors import CardRefused
from cordee.roster import apply
from cordee.signing import SigningKey
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from node.roster_sync import RosterSync
from tests.attacks.liar import Liar, Log, Shown, beside_a_liar
from tests.neighbours import Neighbour, Street


class Changing:
    """The directory tells Marseille nothing but the truth of each moment; Paris has another key whenever its card is
    asked for, and a card of that key.
    """

    def __init__(self, street: Street, liar: Liar, nodes: list[Neighbour]) -> None:
        self.street, self.liar = street, liar
        self.paris, self.marseille = nodes
        self.log = Log.true(street)
        self.roster = street.town.network.roster
        self.key = self.paris.here.house.keys.identity

    @property
    def looks(self) -> RosterSync:
        return self.marseille.here.roster

    def changes_its_key(self) -> None:
        new = SigningKey.generate(os.urandom)
        head = self.roster.head(self.paris.here.member, self.street.clock.now())
        statement = v1.IdentityRotated(**head, member=self.paris.here.member, identity_key=new.public.to_message())
        entry = add_signature(add_signature(propose(statement), self.key), new)
        self.log, self.roster, self.key = self.log.with_entries(entry), apply(self.roster, entry), new

    def card(self, by: SigningKey) -> pb.ListCardsResponse:
        now = self.street.clock.now()
        known = self.looks.last_card(self.paris.here.member)
        made = make_card(
            by,
            network=self.roster.network,
            member=known.card.member,
            number=known.card.number + 1,
            sealing_key=known.card.sealing_key,
            transport_key_digest=known.card.transport_key_digest,
            profile=known.profile_bytes,
            now=now,
        )
        return pb.ListCardsResponse(
            revision=self.looks.card_revision + 1, card=made.to_message(), profile=known.profile_bytes
        )

    def tells(self, *, times: int, by: SigningKey | None = None) -> None:
        """So many times Paris changes its key between the two looks; its card is signed with the key of that moment, or
        `by` another one.
        """
        left = times

        def cards() -> Iterable[pb.ListCardsResponse]:
            nonlocal left
            if left:
                left -= 1
                self.changes_its_key()
            return [self.card(by or self.key)]

        self.liar.shows_to[self.marseille.here.member] = Shown(
            note=lambda: self.log.note(self.street.clock.now()),
            entries=lambda start: self.log.entries[start:],
            cards=cards,
        )


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Changing]:
    async with beside_a_liar(tmp_path, "Paris", "Marseille") as (street, liar, nodes):
        yield Changing(street, liar, nodes)


async def test_a_card_of_a_key_that_came_between_the_two_looks_is_no_alarm_and_counts_at_once(scene: Changing) -> None:
    known = scene.looks.last_card(scene.paris.here.member).card.number
    scene.tells(times=1)
    await scene.looks.sync()
    assert scene.looks.alarm is None
    assert scene.looks.last_card(scene.paris.here.member).card.number == known + 1
    assert scene.looks.roster.members[scene.paris.here.member].identity == scene.key.public


async def test_a_member_that_changes_its_key_without_end_stops_nobody(scene: Changing) -> None:
    known = scene.looks.last_card(scene.paris.here.member).card.number
    scene.tells(times=1_000)
    await scene.looks.sync()
    assert scene.looks.alarm is None
    assert scene.looks.last_card(scene.paris.here.member).card.number == known
    scene.tells(times=0)
    await scene.looks.sync()
    assert scene.looks.last_card(scene.paris.here.member).card.number == known + 1


async def test_a_card_that_no_key_of_the_member_signed_is_an_alarm_all_the_same(scene: Changing) -> None:
    scene.tells(times=1, by=SigningKey.generate(os.urandom))
    with pytest.raises(CardRefused):
        await scene.looks.sync()
    assert isinstance(scene.looks.alarm, CardRefused)
