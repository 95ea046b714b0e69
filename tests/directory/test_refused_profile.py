"""A profile in which something must not stand: its author is told why, and nobody gets it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cordee.entries import add_signature, propose
from cordee.ids import MemberId
from cordee.signing import Signed
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from tests.directory.town import Node, Town, refused

REASON = "L’adresse de l’abri est dans la description."


async def refuse(town: Town, member: MemberId, number: int, reason: str = REASON) -> None:
    command = town.command(v1.RefuseCard(member=member, number=number, reason=reason))
    await town.administer("RefuseCard", pb.RefuseCardRequest(command=command))


async def read(town: Town, member: MemberId) -> Any:
    command = town.command(v1.ReadCard(member=member))
    return await town.administer("ReadCard", pb.ReadCardRequest(command=command))


async def listed(node: Node) -> tuple[list[bytes], str]:
    """Whose cards this member gets, and what it is told of its own."""
    members, told = [], ""
    async for answer in node.roster.ListCards(pb.ListCardsRequest(after_revision=0), timeout=10):
        if answer.HasField("refusal"):
            told = v1.RefuseCard.FromString(answer.refusal.body).reason
        else:
            members.append(v1.Card.FromString(answer.card.body).member)
    return members, told


async def test_a_refused_profile_goes_to_its_author_alone_with_the_reason(town: Town) -> None:
    marseille, lille = await town.join("Marseille"), await town.join("Lille")
    assert len((await listed(lille))[0]) == 2
    await refuse(town, marseille.keys.id, 1)
    assert await listed(lille) == ([lille.keys.id], "")
    assert await listed(marseille) == ([lille.keys.id, marseille.keys.id], REASON)
    answer = await read(town, marseille.keys.id)
    assert Signed.from_message(answer.refusal).signer == town.network.administrators[0].public.key_id


async def test_the_same_profile_on_a_new_card_stays_refused_and_another_does_not(town: Town) -> None:
    marseille, lille = await town.join("Marseille"), await town.join("Lille")
    await refuse(town, marseille.keys.id, 1)
    same = marseille.keys.profile
    await marseille.publish(town.card(marseille.keys, number=2, profile=same), same)
    assert (await listed(lille))[0] == [lille.keys.id]
    other = same + b" "
    await marseille.publish(town.card(marseille.keys, number=3, profile=other), other)
    assert len((await listed(lille))[0]) == 2
    assert (await listed(marseille))[1] == ""


async def test_only_the_newest_card_is_refused_by_an_administrator_with_a_reason(town: Town) -> None:
    marseille = await town.join("Marseille")
    with refused("NOT_FOUND"):
        await refuse(town, marseille.keys.id, 2)
    with refused("NOT_FOUND"):
        await refuse(town, MemberId(bytes(16)), 1)
    for reason in ("", " ", "x" * 1001):
        with refused("INVALID_INPUT"):
            await refuse(town, marseille.keys.id, 1, reason)
    command = v1.RefuseCard(member=marseille.keys.id, number=1, reason=REASON)
    town.command(command)  # fills in network, time and nonce
    forged = marseille.keys.identity.sign(command).to_message()
    with refused("NOT_AN_ADMINISTRATOR"):
        await town.administer("RefuseCard", pb.RefuseCardRequest(command=forged))


async def test_what_a_stolen_key_refused_is_shown_again_once_the_key_is_out(tmp_path: Path) -> None:
    """No node believes such a refusal any more; the cards would else be hidden from everybody until they run out."""
    town = Town.make(tmp_path / "directory", administrators=3, threshold=2)
    async with town.open() as directory:
        await town.found()
        thief, *others = town.network.administrators
        marseille, lille = await town.join("Marseille"), await town.join("Lille")
        await refuse(town, marseille.keys.id, 1)
        seen = directory.cards.revision
        removal = propose(
            v1.AdministratorRemoved(
                **town.network.roster.head(None, town.clock.now()), administrator=thief.public.key_id
            )
        )
        for each in others:
            removal = add_signature(removal, each)
        await town.append(town.network.append(removal))
        assert len((await listed(lille))[0]) == 2
        assert await listed(marseille) == ([lille.keys.id, marseille.keys.id], "")
        assert directory.cards.revision > seen, "whoever hears of the removal looks at the cards too"
        same = marseille.keys.profile
        await marseille.publish(town.card(marseille.keys, number=2, profile=same), same)
        assert len((await listed(lille))[0]) == 2


async def test_what_a_member_publishes_is_read_by_the_office(town: Town) -> None:
    node = await town.join("Marseille")
    answer = await read(town, node.keys.id)
    assert (answer.profile, answer.HasField("refusal")) == (node.keys.profile, False)
    with refused("NOT_FOUND"):
        await read(town, MemberId(bytes(16)))
