"""The directory between administrators who replace a member's identity key and the member who may object."""

from __future__ import annotations

from datetime import timedelta

from cordee.entries import propose
from cordee.runtime.rpc_errors import reaching
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from tests.directory.town import Node, Town, refused

DAY = timedelta(days=1)


def announcement(town: Town, node: Node, *, at: timedelta = timedelta(0)) -> v1.RecoveryAnnounced:
    key = node.keys.announced or town.network.new_member("somebody").identity
    node.keys.announced = key
    return v1.RecoveryAnnounced(
        **town.network.roster.head(node.keys.id, town.clock.now() + at),
        member=node.keys.id,
        identity_key=key.public.to_message(),
        reason=v1.RECOVERY_REASON_LOST,
    )


async def test_an_announcement_dated_long_ago_is_refused_for_it_would_take_the_delay_away(town: Town) -> None:
    paris = await town.join("Paris")
    town.move(3 * DAY)
    one, two = town.network.administrators
    backdated = town.network.signed_entry(announcement(town, paris, at=-2 * DAY), one, two)
    with refused("ENTRY_REFUSED"):
        await town.sign(backdated)
    assert (await town.sign(town.network.signed_entry(announcement(town, paris), one, two))).appended


async def test_an_announcement_for_which_signatures_were_gathered_too_long_is_begun_anew(town: Town) -> None:
    paris = await town.join("Paris")
    one, two = town.network.administrators
    slow = announcement(town, paris)
    assert not (await town.sign(town.network.signed_entry(slow, one))).appended
    town.move(DAY + timedelta(minutes=1))
    listed = await town.administer(
        "ListPendingEntries", pb.ListPendingEntriesRequest(command=town.command(v1.ListPendingEntries()))
    )
    assert list(listed.entries) == [], "nobody is asked to sign what would be refused"
    with refused("ENTRY_REFUSED"):
        await town.sign(town.network.signed_entry(slow, two))
    town.network.append(entry := town.network.signed_entry(announcement(town, paris), one, two))
    assert (await town.sign(entry)).appended


async def test_the_member_objects_over_its_own_line_and_nobody_else_for_it(town: Town) -> None:
    paris, lyon = await town.join("Paris"), await town.join("Lyon")
    await town.append(town.network.announce_recovery(paris.keys))
    statement = v1.RecoveryObjected(**town.network.roster.head(paris.keys.id, town.network.now), member=paris.keys.id)
    entry = town.network.signed_entry(statement, paris.keys.identity)
    with refused("WRONG_PARTY"):
        await append(lyon, entry)
    with refused("ENTRY_REFUSED"):
        await append(paris, town.network.signed_entry(statement, lyon.keys.identity))
    with refused("REFUSED"):
        await town.sign(entry)
    town.network.append(entry)
    town.move(town.network.now - town.clock.now())
    await append(paris, entry)
    assert town.directory.rosters.roster.members[paris.keys.id].recovery is None


async def cards(node: Node) -> list[pb.ListCardsResponse]:
    with reaching("directory"):
        return [each async for each in node.roster.ListCards(pb.ListCardsRequest(after_revision=0), timeout=10)]


async def append(node: Node, entry: v1.Entry) -> None:
    with reaching("directory"):
        await node.roster.AppendEntry(pb.AppendEntryRequest(entry=entry), timeout=10)


async def test_a_recovery_is_not_taken_before_its_day_however_it_is_dated(town: Town) -> None:
    paris = await town.join("Paris")
    await town.append(town.network.announce_recovery(paris.keys))
    waiting = town.network.member(paris.keys).recovery
    assert waiting is not None
    early = v1.MemberRecovered(
        **town.network.roster.head(paris.keys.id, waiting.due),
        member=paris.keys.id,
        identity_key=waiting.identity.to_message(),
    )
    with refused("ENTRY_REFUSED"):
        await town.sign(town.network.signed_entry(early))
    town.move(7 * DAY)
    assert (await town.sign(town.network.signed_entry(early))).appended


async def test_with_the_old_key_goes_the_card_and_whoever_calls_with_its_transport_key(town: Town) -> None:
    paris, lyon = await town.join("Paris"), await town.join("Lyon")
    assert len(await cards(lyon)) == 2
    await town.append(town.network.announce_recovery(paris.keys))
    assert len(await cards(paris)) == 2, "it calls until it is recovered"
    town.network.recover(paris.keys)
    await town.append(town.network.entries[-1])
    with refused("NOT_A_MEMBER", "UNREACHABLE"):
        await cards(paris)
    assert len(await cards(lyon)) == 1


async def test_a_member_whose_key_is_revoked_is_cut_off_at_once(town: Town) -> None:
    paris = await town.join("Paris")
    await cards(paris)
    await town.append(town.network.revoke(paris.keys))
    with refused("MEMBER_IS_SUSPENDED", "UNREACHABLE"):
        await cards(paris)
    with refused("MEMBER_IS_SUSPENDED", "UNREACHABLE"):
        await append(paris, propose(v1.NodeRestored(member=paris.keys.id)))
