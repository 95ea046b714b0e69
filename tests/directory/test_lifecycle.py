from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cordee.checkpoint import open_checkpoint
from cordee.errors import EntryRefused, LogBehind, Unreachable
from cordee.roster import apply
from cordee.runtime.crashpoint import registered
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import TransportKey, spki_digest
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.app import opened
from tests.directory.test_broker import CIPHERTEXT, Play, kinds
from tests.directory.town import Node, Town, encoded, profile_of, refused

# ---- events ----


async def test_events_go_on_after_a_restart_from_the_last_one_that_was_kept(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        await play.steps("offer", "accept", "ship")
        assert [event.sequence for event in await play.marseille.heard()] == [1, 2]
    async with town.open():
        assert kinds(await play.marseille.heard(1)) == ["shipment"], "what follows the cursor comes again"
        assert kinds(await play.marseille.heard(1)) == ["shipment"], "until the cursor says that it was kept"
        assert await play.marseille.heard(2) == []
        assert await play.marseille.heard(0) == [], "what was kept is forgotten"
        assert await play.step("receive") == "received"
        assert await play.step("withdraw") == "received"
        assert [event.sequence for event in await play.marseille.heard(2)] == [3], "numbers are never used again"


async def test_a_directory_that_stops_ends_the_streams_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with AsyncExitStack() as serving:
        await serving.enter_async_context(town.open(grace=3600))
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        stream = play.marseille.events.Watch(pb.WatchRequest())
        assert (await stream.read()).WhichOneof("kind") == "stream_ready"
        await play.step("offer")
        assert kinds([await stream.read()]) == ["offer"]  # it came, and is not told to be kept
        lines, town.lines = town.lines, []  # they stay open: it is the directory that ends the stream
        await serving.aclose()  # the hour is not waited for
        with pytest.raises(Unreachable), reaching("directory"):
            await stream.read()
        for line in lines:
            await line.close()
    async with town.open():
        assert kinds(await play.marseille.heard()) == ["offer"]


async def test_a_live_stream_hears_of_steps_of_the_roster_and_of_cards(town: Town) -> None:
    play = Play(town, await town.join("Paris"), await town.join("Marseille"))
    call = play.marseille.events.Watch(pb.WatchRequest(cursor=0), timeout=20)
    stream = aiter(call)
    assert (await anext(stream)).WhichOneof("kind") == "stream_ready"
    await play.step("offer")
    event = await anext(stream)
    assert (event.sequence, kinds([event])) == (1, ["offer"])
    await town.join("Lyon")
    hint = await anext(stream)
    checkpoint = open_checkpoint(hint.roster_grown.checkpoint, town.network.roster.directory_key, "cordee.example/town")
    assert checkpoint.size == town.network.roster.size
    await play.paris.publish(town.card(play.paris.keys, number=2), play.paris.keys.profile)
    hint = await anext(stream)
    assert (hint.sequence, hint.card_published.revision) == (0, 4)
    call.cancel()


async def test_a_newer_stream_of_a_member_ends_the_older_one(town: Town) -> None:
    paris = await town.join("Paris")
    older = paris.events.Watch(pb.WatchRequest(), timeout=10)
    await anext(aiter(older))
    newer = paris.events.Watch(pb.WatchRequest(), timeout=10)
    await anext(aiter(newer))
    with refused("STREAM_REPLACED"), reaching("directory"):
        await anext(aiter(older))
    newer.cancel()


async def test_a_suspended_members_stream_and_calls_end_at_once_on_an_open_connection(town: Town) -> None:

    play = Play(town, await town.join("Paris"), await town.join("Marseille"))
    call = play.paris.events.Watch(pb.WatchRequest(), timeout=20)
    await anext(aiter(call))
    await town.append(town.network.suspend(play.paris.keys))
    with refused("NOT_A_MEMBER", "MEMBER_IS_SUSPENDED"), reaching("directory"):
        async with asyncio.timeout(2):
            while True:
                assert (await anext(aiter(call))).sequence == 0
    with refused("MEMBER_IS_SUSPENDED"):
        await play.paris.submit(play.story.make_offer(now=town.clock.now()))
    with refused("MEMBER_IS_SUSPENDED"), reaching("directory"):
        await play.paris.roster.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5)
    await town.append(town.network.reinstate(play.paris.keys))
    assert await play.step("offer") == "offered"


async def test_a_cursor_from_before_a_restored_backup_misses_nothing_that_comes_after(town: Town) -> None:
    play = Play(town, await town.join("Paris"), await town.join("Marseille"))
    assert await play.marseille.heard(40) == []
    await play.step("offer")
    assert [event.sequence for event in await play.marseille.heard(40)] == [41]
    with refused("INVALID_INPUT"):
        await play.marseille.heard(2**60)


# ---- the roster, cards and certificates ----


async def test_every_entry_is_served_and_the_checkpoint_covers_them(town: Town) -> None:
    paris = await town.join("Paris")
    await town.join("Marseille")
    note = (await paris.roster.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5)).checkpoint
    checkpoint = open_checkpoint(note, town.network.roster.directory_key, town.network.roster.origin)
    entries = [each.entry async for each in paris.roster.ListEntries(pb.ListEntriesRequest(start=0))]
    assert entries == town.network.entries
    assert (checkpoint.size, checkpoint.root) == (3, town.network.tree.root())
    assert [each.entry async for each in paris.roster.ListEntries(pb.ListEntriesRequest(start=2))] == entries[2:]


async def test_the_checkpoint_is_signed_anew_every_hour(town: Town) -> None:
    before = town.directory.rosters.checkpoint
    town.move(timedelta(minutes=59))
    await asyncio.sleep(0.05)
    assert town.directory.rosters.checkpoint == before
    town.move(timedelta(minutes=2))
    for _ in range(100):
        if town.directory.rosters.checkpoint != before:
            break
        await asyncio.sleep(0.02)
    again = open_checkpoint(
        town.directory.rosters.checkpoint, town.network.roster.directory_key, town.network.roster.origin
    )
    assert again.time == town.clock.now()


async def test_a_clock_that_is_put_right_by_a_little_makes_no_later_time_under_a_smaller_log(town: Town) -> None:
    def signed_at() -> datetime:
        key, origin = town.network.roster.directory_key, town.network.roster.origin
        return open_checkpoint(town.directory.rosters.checkpoint, key, origin).time

    await town.directory.rosters.sign()
    before = signed_at()
    town.clock.advance(timedelta(minutes=-2))
    await town.directory.rosters.sign()
    assert signed_at() == before
    town.clock.advance(timedelta(minutes=-20))  # it was wrong by much: nodes refuse what is dated in the future
    await town.directory.rosters.sign()
    assert signed_at() == town.clock.now().replace(microsecond=0)


async def test_started_again_with_a_clock_a_little_behind_it_dates_nothing_before_its_last(
    tmp_path: Path,
) -> None:
    town = Town.make(tmp_path / "directory")

    def signed_at() -> datetime:
        key, origin = town.network.roster.directory_key, town.network.roster.origin
        return open_checkpoint(town.directory.rosters.checkpoint, key, origin).time

    async with town.open():
        await town.found()
        before = signed_at()
    town.clock.advance(timedelta(seconds=-30))
    async with town.open():
        assert signed_at() == before, "members take no checkpoint that is dated before one they hold"
    town.clock.advance(timedelta(minutes=-20))  # wrong by much: nodes refuse what is dated in the future
    async with town.open():
        assert signed_at() == town.clock.now().replace(microsecond=0)


async def test_what_was_signed_while_the_clock_was_far_ahead_is_signed_again_once_it_is_right(town: Town) -> None:
    rosters = town.directory.rosters
    town.clock.advance(timedelta(days=3))
    assert await rosters.sign_if_due()
    town.clock.advance(timedelta(days=-3))
    assert await rosters.sign_if_due(), "members refuse what is dated in the future: they would wait for three days"
    found = open_checkpoint(rosters.checkpoint, town.network.roster.directory_key, town.network.roster.origin)
    assert found.time == town.clock.now().replace(microsecond=0)
    assert not await rosters.sign_if_due()


async def test_what_was_signed_while_the_clock_was_far_behind_is_signed_again_once_it_is_right(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    behind = timedelta(minutes=7)
    for begins in ("at work", "as it is started"):
        async with town.open():
            rosters = town.directory.rosters
            if begins == "at work":
                await town.found()
                right = rosters.signed_at
                town.clock.advance(-behind)
                assert await rosters.sign_if_due()
            assert rosters.signed_at < right
            town.clock.advance(behind)
            assert await rosters.sign_if_due(), "members that hold the one before would wait for an hour"
            assert rosters.signed_at == right
            assert not await rosters.sign_if_due()
        town.clock.advance(-behind)


async def test_a_member_rotates_its_identity_itself_and_nobody_elses(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    entry = town.network.rotate(paris.keys)
    town.move(town.network.now - town.clock.now())

    async def append(node: Node) -> int:

        with reaching("directory"):
            return int((await node.roster.AppendEntry(pb.AppendEntryRequest(entry=entry), timeout=5)).index)

    with refused("WRONG_PARTY"):
        await append(marseille)
    assert await append(paris) == 3
    assert await append(paris) == 3, "the same entry again is answered the same"
    entry = town.network.suspend(marseille.keys)
    with refused("REFUSED"):
        await append(marseille)


async def test_a_card_number_only_ever_grows(town: Town) -> None:
    paris = await town.join("Paris")
    card = town.card(paris.keys, number=5)
    revision = await paris.publish(card, paris.keys.profile)
    assert await paris.publish(card, paris.keys.profile) == revision, "the same card again is answered the same"
    for number in (1, 4, 5):
        with refused("CARD_REFUSED"):
            await paris.publish(town.card(paris.keys, number=number, endpoint="x.example:1"), paris.keys.profile)


async def test_a_card_with_another_members_key_name_profile_or_identity_is_refused(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    stolen = town.card(paris.keys, number=2, transport_key_digest=marseille.transport.digest)
    with refused("KEY_TAKEN"):
        await paris.publish(stolen, paris.keys.profile)
    same_name = profile_of("Paris") | {"display_name": "MARSEILLE"}
    with refused("NAME_TAKEN"):
        await paris.publish(town.card(paris.keys, number=2, profile=encoded(same_name)), encoded(same_name))
    other_name = profile_of("Paris") | {"legal_name": "Association Autre"}
    with refused("INVALID_RECORD"):
        await paris.publish(town.card(paris.keys, number=2, profile=encoded(other_name)), encoded(other_name))
    with refused("CARD_REFUSED"):
        await paris.publish(town.card(paris.keys, number=2), encoded(profile_of("Paris") | {"rna": "W000000000"}))
    with refused("WRONG_PARTY"):
        await paris.publish(town.card(marseille.keys, number=2), marseille.keys.profile)


async def test_a_new_transport_key_is_taken_over_without_a_gap_and_the_old_one_ends_with_its_first_use(
    town: Town,
) -> None:
    paris = await town.join("Paris")
    key = TransportKey.generate()
    paris.keys.transport_key_digest = key.digest
    await paris.publish(town.card(paris.keys, number=2), paris.keys.profile)
    request = pb.RenewCertificateRequest(certificate_request=key.request())
    certificate = (await paris.membership.RenewCertificate(request, timeout=5)).certificate
    assert spki_digest(certificate) == key.digest
    old = paris.line
    paris.line = paris.connect(key, certificate)
    assert await paris.heard() == []
    paris.line = old
    with refused("NOT_A_MEMBER"):
        await paris.heard()


async def test_a_certificate_is_issued_for_the_key_on_the_card_only(town: Town) -> None:

    paris = await town.join("Paris")
    request = pb.RenewCertificateRequest(certificate_request=TransportKey.generate().request())
    with refused("MALFORMED_KEY"), reaching("directory"):
        await paris.membership.RenewCertificate(request, timeout=5)


async def test_a_certificate_that_the_network_issued_for_a_key_on_no_card_lets_nobody_in(town: Town) -> None:
    paris = await town.join("Paris")
    key = TransportKey.generate()
    certificate = town.directory.house.authority().issue(key.request(), member=paris.keys.id, now=town.clock.now())
    paris.line = paris.connect(key, certificate)
    with refused("NOT_A_MEMBER"):
        await paris.heard()


async def test_a_removed_members_card_and_request_are_erased(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    await town.append(town.network.remove(marseille.keys))
    cards = [each async for each in paris.roster.ListCards(pb.ListCardsRequest(after_revision=0))]
    assert [Node(town, paris.keys, paris.transport).keys.profile] == [each.profile for each in cards]
    with refused("NOT_FOUND"):
        await town.status(marseille)


# ---- never signs less than it signed ----


async def test_another_log_of_the_same_size_is_not_signed(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        await town.join("Paris")
    (town.folder / "last-signed").write_text('{"size": 2, "root": "%s"}' % ("00" * 32))
    with pytest.raises(LogBehind):
        async with town.open():
            pass
    (town.folder / "last-signed").write_text("")
    with pytest.raises(LogBehind):
        async with town.open():
            pass


@pytest.mark.parametrize("how", ["flipped", "cut"])
async def test_an_altered_entry_in_the_database_is_found_at_the_start(tmp_path: Path, how: str) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open() as directory:
        await town.found()
        await town.join("Paris")
        entry = town.network.entries[1].SerializeToString()
        at = len(entry) // 4
        altered = entry[:at] if how == "cut" else entry[:at] + bytes([entry[at] ^ 1]) + entry[at + 1 :]
        update = "UPDATE entry SET entry = ? WHERE position = 1"
        await directory.db.write(lambda tx: tx.exec_driver_sql(update, (altered,)).close())
    with pytest.raises(EntryRefused):
        async with town.open():
            pass


async def test_erasures_that_a_crash_left_over_are_made_good_at_the_start(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        await play.steps("offer", "accept", "ship")
    # The step is durable, the erasure after it never ran.
    async with opened(town.folder, clock=town.clock) as directory:
        town.listening = type(town.listening)(directory, "", "", town.listening.upkeep)
        await directory.broker.submit(play.paris.keys.id, play.sign("withdraw"))
        assert directory.mailbox.names() == {play.id}
    orphan = town.folder / "mailbox" / ("ab" * 16)
    orphan.write_bytes(b"a late piece")
    async with town.open() as directory:
        for _ in range(100):
            if not directory.mailbox.names():
                break
            await asyncio.sleep(0.02)
        assert directory.mailbox.names() == frozenset()


async def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        await play.steps("offer", "accept")
        await play.paris.put(play.id, CIPHERTEXT[:1000])
    async with town.open():
        assert (await play.marseille.transfer(play.id)).state == "accepted"
        assert await play.paris.put(play.id, CIPHERTEXT[1000:], offset=1000) == len(CIPHERTEXT)
        assert await play.submit(play.sign("ship")) == "shipped"
        assert town.directory.rosters.roster == apply_all(town.network.entries)


def apply_all(entries: list[v1.Entry]) -> object:
    roster = None
    for entry in entries:
        roster = apply(roster, entry)
    return roster


# ---- crashes ----


def test_crash_points_cover_every_durable_step() -> None:
    ours = {name for name in registered() if name.startswith(("directory.", "mailbox.", "database."))}
    kinds = ("offer", "acceptance", "refusal", "shipment", "receipt_taken", "receipt_refused", "withdrawal", "erasure")
    for kind in kinds:
        assert {f"directory.submit.{kind}.before_write", f"directory.submit.{kind}.after_write"} <= ours
    assert len(ours) >= 24


CRASHING = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from cordee.runtime.clock import ManualClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.signing import Signed
from cordee.ids import MemberId
from directory.app import opened

async def main():
    folder, now, member, statement, point = sys.argv[1:]
    clock, points = ManualClock(datetime.fromisoformat(now)), Crashpoints({point: 1})
    async with opened(Path(folder), clock=clock, crashpoints=points) as d:
        await d.broker.submit(MemberId(bytes.fromhex(member)), Signed.from_bytes(Path(statement).read_bytes()))
        await d.broker.sweep()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("point", "taken"),
    [
        ("directory.submit.withdrawal.before_write", False),
        ("database.before_commit", False),
        ("database.after_commit", True),
        ("directory.submit.withdrawal.after_write", True),
        ("directory.erasure.before", True),
        ("directory.erasure.after", True),
    ],
)
async def test_killed_at_any_point_a_step_is_whole_or_not_there_and_can_be_repeated(
    tmp_path: Path, point: str, taken: bool
) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        await play.steps("offer", "accept", "ship")
        withdrawal = play.sign("withdraw")
    statement = tmp_path / "statement"
    statement.write_bytes(withdrawal.to_bytes())
    arguments = [str(town.folder), town.clock.now().isoformat(), play.paris.keys.id.hex(), str(statement), point]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CRASHING, *arguments],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    async with town.open():
        assert (await play.paris.transfer(play.id)).state == ("withdrawn" if taken else "shipped")
        assert await play.submit(withdrawal) == "withdrawn"
        assert await play.erased()
        assert kinds(await play.marseille.heard()) == ["offer", "shipment", "withdrawal"]
