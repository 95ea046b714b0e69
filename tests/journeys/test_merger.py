"""Two associations become one: what the absorbed one has is handed over, it leaves, and the other bears the new name.

Made of what there is: ordinary transfers under acts that name the other, a removal, a correction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cordee.members import Member, MemberState, registration_digest
from cordee.transfer import State
from cordee.v1 import statements_pb2 as v1
from node import profile_editing, records
from node.leaving import left_to_do
from node.people import Handler, Role
from tests.journeys.aftermath import holder, one_holder
from tests.neighbours import Neighbour, Street, eventually, neighbourhood

NAME = "Association Paris et Marseille"


def case_id_of(record: dict[str, Any]) -> str:
    return str(record["meta"]["case_id"])


async def left(neighbour: Neighbour) -> dict[str, int]:
    return {each.what: each.count for each in await neighbour.here.db.read(left_to_do)}


async def decided(street: Street, statement: Any) -> None:
    """As many administrators as it takes sign it, and every node that is a member hears of it."""
    network = street.town.network
    network.now = max(network.now, street.clock.now())
    await street.town.append(network.append(network.signed_entry(statement)))


def head(street: Street, member: Any) -> dict[str, Any]:
    return {**street.town.network.roster.head(member, street.clock.now()), "member": member}


async def hand_over(sender: Neighbour, recipient: Neighbour, record: dict[str, Any]) -> None:
    act_id = await sender.act(record, recipient)
    transfer = await sender.offer(record, recipient, act_id, kind="transfer")
    await recipient.reaches(transfer, State.OFFERED)
    await recipient.here.receiving.accept(recipient.person, transfer)
    await sender.reaches(transfer, State.RECEIVED)


async def test_one_association_absorbs_another_and_no_case_is_lost(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", "Lyon") as (street, (paris, marseille, lyon)):
        assert marseille.member is not None
        assert paris.member is not None
        assert await left(marseille) == {}

        # What the absorbed one has: a case of its own, one that Lyon shares with it, and an offer that waits.
        own, shared, asked = await marseille.case(), await lyon.case(1), await lyon.case(2)
        referral = await lyon.offer(
            shared,
            marseille,
            await lyon.act(shared, marseille, purpose="specialised_support"),
            purpose="specialised_support",
            kind="referral",
        )
        await marseille.reaches(referral, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, referral)
        await marseille.reaches(referral, State.RECEIVED)
        await lyon.reaches(referral, State.RECEIVED)
        offer = await lyon.offer(asked, marseille, await lyon.act(asked, marseille))
        await marseille.reaches(offer, State.OFFERED)
        assert await left(marseille) == {"open_cases": 2, "open_transfers": 1}

        # It settles each with the one whom it concerns.
        await marseille.here.receiving.decline(marseille.person, offer, code="other", text="Nous rejoignons Paris.")
        await lyon.reaches(offer, State.DECLINED)
        await hand_over(marseille, paris, own)
        again = await lyon.offer(
            shared,
            paris,
            await lyon.act(shared, paris, purpose="specialised_support"),
            purpose="specialised_support",
            kind="referral",
        )
        await paris.reaches(again, State.OFFERED)
        await paris.here.receiving.accept(paris.person, again)
        await lyon.reaches(again, State.RECEIVED)
        assert await left(marseille) == {"open_cases": 1}
        await close(marseille, case_id_of(shared))
        assert await left(marseille) == {}

        # It leaves; then its name is free, and the other takes the common one.
        await decided(street, v1.MemberRemoved(**head(street, marseille.member)))
        registration = registration_digest(NAME, paris.profile["siret"])
        correction = v1.MemberCorrected(**head(street, paris.member), registration=registration, bound_by_secrecy=True)
        await decided(street, correction)
        for each in (paris, lyon):
            await eventually(lambda each=each: state_of(each, marseille) is MemberState.REMOVED)
            await eventually(lambda each=each: member_of(each, paris).registration == registration)
        before = profile_editing.present(paris.here)
        after = before | {"legal_name": NAME, "display_name": "Paris et Marseille"}
        somebody = Handler("adrien", "Adrien", frozenset({Role.ADMINISTRATOR}), bound_by_secrecy=True)
        await profile_editing.publish(paris.here, somebody, after, base=profile_editing.base_of(before))
        await eventually(lambda: lyon.here.roster.name_of(member_of(lyon, paris).id) == "Paris et Marseille")
        card = lyon.here.roster.card(paris.member, now=street.clock.now())
        assert card.profile.legal_name == NAME

        assert await one_holder(case_id_of(own), paris, marseille) is paris
        assert await holder(paris, case_id_of(shared)) == "here"
        assert await holder(lyon, case_id_of(shared)) == "shared", "both follow it, as before"
        assert not paris.here.roster.alarm
        assert not lyon.here.roster.alarm


def member_of(reader: Neighbour, other: Neighbour) -> Member:
    assert other.member is not None
    return reader.here.roster.roster.members[other.member]


def state_of(reader: Neighbour, other: Neighbour) -> MemberState:
    return member_of(reader, other).state


async def close(neighbour: Neighbour, case_id: str) -> None:
    node = neighbour.here
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    await node.db.write(
        lambda tx: records.close_case(tx, case_id, expected_version=stored.version, by="camille", now=node.clock.now())
    )
