"""What administrators are told of members: signed where it can be, and never more than they need."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from cordee.errors import CardExpired, CardRefused
from cordee.members import MemberState
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import LEAF_LIFE
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administrator.client import connected
from directory.administrator.home import Network
from directory.administrator.inviting import make_invitation
from directory.administrator.standings import read_standing
from directory.house import Founding
from tests.directory.town import Town, refused
from tests.transfers import Story


def _client(town: Town, by: int = 0) -> Any:
    return connected(
        town.listening.front,
        root=town.ca,
        network=town.network.roster.network,
        key=town.network.administrators[by],
        clock=town.clock,
        random=os.urandom,
    )


async def test_each_member_is_told_with_its_card_its_certificates_end_and_what_it_uses(town: Town) -> None:
    marseille = await town.join("Marseille")
    issued = town.clock.now()
    lille = await town.join("Lille")
    story = Story.between(town.network, "Marseille", "Lille")
    story.now = town.clock.now()
    story.offer()
    await marseille.submit(story.statements[-1])

    async with _client(town) as client:
        told = await client.standings(town.network.roster)

    assert list(told) == [marseille.keys.id, lille.keys.id]
    mine, other = told.values()
    assert mine.profile is not None
    assert (mine.profile.display_name, mine.doubt) == ("Marseille", None)
    assert mine.card is not None
    assert mine.certificate_ends == issued + LEAF_LIFE
    assert (mine.under_way, mine.counted) == (1, v1.Offer.FromString(story.statements[-1].body).size_bound)
    assert (other.under_way, other.counted) == (0, 0)


async def test_a_renewed_certificate_is_told_with_its_own_end(town: Town) -> None:
    marseille = await town.join("Marseille")
    town.move(timedelta(days=20))
    await marseille.membership.RenewCertificate(
        pb.RenewCertificateRequest(certificate_request=marseille.transport.request()), timeout=10
    )

    async with _client(town) as client:
        told = await client.standings(town.network.roster)

    assert told[marseille.keys.id].certificate_ends == town.clock.now() + LEAF_LIFE


async def test_a_removed_member_is_told_no_more(town: Town) -> None:
    marseille, lille = await town.join("Marseille"), await town.join("Lille")
    roster = town.network.roster
    await town.append(
        town.network.append(
            town.network.signed_entry(
                v1.MemberRemoved(**roster.head(lille.keys.id, town.clock.now()), member=lille.keys.id)
            )
        )
    )

    async with _client(town) as client:
        told = await client.standings(town.network.roster)

    assert list(told) == [marseille.keys.id]
    assert town.network.roster.members[lille.keys.id].state is MemberState.REMOVED


async def test_a_card_that_is_another_members_or_has_run_out_is_not_believed(town: Town) -> None:
    marseille, lille = await town.join("Marseille"), await town.join("Lille")
    card, profile = lille.keys.card.to_message(), lille.keys.profile
    exchanged = pb.ListStandingsResponse(member=marseille.keys.id, card=card, profile=profile)
    altered = pb.ListStandingsResponse(member=lille.keys.id, card=card, profile=profile + b" ")
    true = pb.ListStandingsResponse(member=lille.keys.id, card=card, profile=profile)
    roster, now = town.network.roster, town.clock.now()

    for told in (exchanged, altered):
        found = read_standing(told, roster, now=now)
        assert found is not None
        assert (found.card, found.profile) == (None, None)
        assert isinstance(found.doubt, CardRefused)
    late = read_standing(true, roster, now=now + timedelta(days=91))
    assert late is not None
    assert isinstance(late.doubt, CardExpired)
    assert read_standing(pb.ListStandingsResponse(member=b"\1" * 16), roster, now=now) is None


async def test_the_command_is_an_administrators_and_works_once(town: Town) -> None:
    member = await town.join("Marseille")
    command = town.command(v1.ListStandings())
    await _ask(town, command)
    with refused("REPLAYED"):
        await _ask(town, command)
    forged = v1.ListStandings(network=town.network.roster.network)
    with refused("NOT_AN_ADMINISTRATOR"):
        await _ask(town, member.keys.identity.sign(forged).to_message())


@pytest.mark.parametrize(
    "changes",
    [{"legal_name": " "}, {"number": "-"}, {"life": timedelta(0)}, {"life": timedelta(days=91)}, {"number": "1" * 41}],
)
async def test_an_invitation_that_cannot_be_is_not_made(town: Town, changes: dict[str, Any]) -> None:
    founding = Founding.parse((town.folder / "founding.json").read_bytes())

    with refused("INVALID_INPUT"):
        _made(town, founding, **{"legal_name": "Nîmes", **changes})


def _made(town: Town, founding: Founding, legal_name: str, **changes: Any) -> Any:
    network = Network(
        id=town.network.roster.network,
        origin=founding.origin,
        ca_certificate=founding.ca_certificate,
        members=founding.members,
        front=founding.front,
    )
    usual = {"number": "W123456789", "bound_by_secrecy": True, "life": timedelta(days=30)}
    return make_invitation(
        network,
        town.network.roster,
        legal_name=legal_name,
        now=town.clock.now(),
        random=os.urandom,
        **{**usual, **changes},
    )


async def _ask(town: Town, command: v1.Signed) -> None:
    async with town.front() as line:
        stub: Any = directory_pb2_grpc.AdministrationStub(line)
        with reaching("directory"):
            assert [each async for each in stub.ListStandings(pb.ListStandingsRequest(command=command), timeout=10)]
