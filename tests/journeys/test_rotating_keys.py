"""Every key of a node changes while it works, and after it was cut off at any moment of the change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import CordeeError, InvalidInput, Unreachable
from cordee.signing import member_id_of
from cordee.transfer import State
from node import identity as identity_module
from node import journal
from node.key_list import own_keys
from tests.neighbours import Neighbour, eventually, neighbourhood


async def a_case_arrives(sender: Neighbour, recipient: Neighbour, number: int = 0) -> None:
    record = await sender.case(number)
    transfer = await sender.offer(record, recipient, await sender.act(record, recipient))
    await recipient.reaches(transfer, State.OFFERED)
    await recipient.here.receiving.accept(recipient.person, transfer)
    await sender.reaches(transfer, State.RECEIVED)


def card_signed_by(at: Neighbour, about: Neighbour) -> Any:
    assert about.member is not None
    return at.here.roster.card(about.member, now=at.street.clock.now()).card.signed.signer


def knows_new_card(at: Neighbour, about: Neighbour) -> bool:
    try:
        return bool(card_signed_by(at, about) == about.here.identity_public.key_id)
    except CordeeError:
        return False


async def cut_off(*_: Any, **__: Any) -> int:
    raise Unreachable(peer="directory")


async def rotates_before_the_log_can_have_it(at: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(at.here.identity._client, "append_entry", cut_off)
        with pytest.raises(Unreachable):
            await at.here.identity.rotate(by="camille")


async def follows(at: Neighbour) -> bool:
    try:
        await at.here.roster.sync()
    except CordeeError:
        return False
    return True


async def is_whole(node: Neighbour) -> None:
    here = node.here
    await here.db.write(lambda tx: journal.sign_head(tx, here.house.keys.identity, now=node.street.clock.now()))
    await here.db.read(lambda tx: journal.verify(tx, here.identity_public, former=here.former_identities))
    assert here.roster.alarm is None


async def test_an_identity_key_is_replaced_while_both_nodes_work(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        member, old = paris.here.member, paris.here.identity_public
        await a_case_arrives(paris, marseille)
        new = await paris.here.identity.rotate(by="camille")
        assert new == paris.here.identity_public != old
        assert paris.here.member == member == member_id_of(old)
        await eventually(lambda: knows_new_card(marseille, paris), what="the card signed by the new key")
        assert marseille.here.roster.roster.active(member).identity == new
        await a_case_arrives(paris, marseille, 1)
        await a_case_arrives(marseille, paris, 2)
        for each in (paris, marseille):
            await is_whole(each)
            await each.stop()
        for each in (paris, marseille):
            await each.start()
        assert (paris.here.member, paris.here.identity_public) == (member, new)
        await paris.here.identity.rotate(by="camille")  # and once more, of which Marseille hears both
        await a_case_arrives(marseille, paris, 3)
        await is_whole(paris)


async def test_a_nodes_keys_are_listed_with_their_ages_and_ends(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, (paris,)):
        before = {each.kind: each for each in own_keys(paris.here)}
        assert before.keys() == {"identity", "sealing", "transport", "certificate", "authority", "directory"}
        assert before["identity"].since is not None
        assert before["sealing"].expires is not None
        assert before["certificate"].expires is not None
        assert before["certificate"].expires > street.clock.now()
        await paris.here.identity.rotate(by="camille")
        rows = own_keys(paris.here)
        assert [each.state for each in rows if each.kind == "sealing"] == ["in_force", "kept"]
        assert [each.id for each in rows if each.kind == "identity"] == [paris.here.identity_public.key_id]
        assert next(each for each in rows if each.kind == "identity").since != before["identity"].since


async def test_a_node_that_was_away_over_two_rotations_follows_both(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        await marseille.stop()
        await paris.here.identity.rotate(by="camille")
        await paris.here.identity.rotate(by="camille")
        await marseille.start()
        await eventually(lambda: knows_new_card(marseille, paris), what="the newest card")
        await a_case_arrives(marseille, paris)
        assert marseille.here.roster.alarm is None


async def test_a_rotation_cut_off_before_its_card_makes_nobody_stand_still_and_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        old = paris.here.identity_public
        monkeypatch.setattr(paris.here.publishing, "publish", cut_off)
        with pytest.raises(Unreachable):
            await paris.here.identity.rotate(by="camille")
        assert paris.here.identity_public != old
        await paris.stop()
        assert paris.member is not None
        await marseille.here.roster.sync()
        assert marseille.here.roster.alarm is None
        await marseille.stop()
        await marseille.start()  # its stored card of Paris is one of a key that is no longer in force
        assert marseille.here.roster.alarm is None
        await paris.start()
        await eventually(lambda: knows_new_card(marseille, paris), what="the card")
        await a_case_arrives(marseille, paris)


async def test_a_rotation_cut_off_before_the_log_had_it_is_finished_with_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        old = paris.here.identity_public
        await rotates_before_the_log_can_have_it(paris, monkeypatch)
        assert paris.here.identity_public == old
        waiting = paris.here.house.keys.waiting
        assert waiting is not None
        await paris.stop()
        await paris.start()
        await eventually(lambda: paris.here.identity_public == waiting.public, what="the same new key")
        await eventually(lambda: knows_new_card(marseille, paris), what="the card")
        await a_case_arrives(paris, marseille)


async def test_what_waits_for_the_directory_is_signed_anew_with_the_new_key(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        act = await paris.act(record, marseille)
        held, submit = [], paris.here.outbox._client.submit

        async def away(signed: Any) -> str:
            held.append(signed)
            raise Unreachable(peer="directory")

        paris.here.outbox._client.submit = away  # type: ignore[method-assign]  # the line is down for a while
        transfer = await paris.offer(record, marseille, act)
        await eventually(lambda: held, what="the offer held back")
        with pytest.raises(InvalidInput):
            await paris.here.identity.rotate(by="camille")
        await paris.here.identity.rotate(by="camille", despite_transfers=True)
        paris.here.outbox._client.submit = submit  # type: ignore[method-assign]
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)


async def test_an_offer_made_while_a_new_key_waits_for_its_place_in_the_log_is_read_by_whoever_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        await marseille.stop()

        await rotates_before_the_log_can_have_it(paris, monkeypatch)
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await paris.here.outbox.flush()
        await paris.here.identity.resume()
        await marseille.start()
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)


async def test_a_card_that_two_clocks_dated_an_hour_ahead_waits_for_its_time_and_stops_nobody(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", "Lyon") as (street, (paris, marseille, lyon)):
        assert paris.member is not None
        before = marseille.here.roster.card(paris.member, now=street.clock.now()).card.number
        await marseille.stop()
        street.clock.advance(timedelta(hours=1))
        await paris.here.publishing.publish(by="camille")
        street.clock.advance(timedelta(hours=-1))
        await eventually(lambda: follows(lyon), what="a checkpoint of the present")
        await lyon.here.publishing.publish(by="camille")  # after it in the directory's order, and rightly dated
        await marseille.start()
        roster = marseille.here.roster
        assert await follows(marseille)
        assert roster.alarm is None
        assert roster.card(paris.member, now=street.clock.now()).card.number == before
        assert lyon.member is not None
        assert roster.card(lyon.member, now=street.clock.now()).card.number == 2
        await a_case_arrives(marseille, paris)
        await a_case_arrives(paris, marseille, 1)
        for each in (paris, lyon):  # which took it while the clock was ahead, and keep it
            await each.stop()
            await each.start()
            assert each.here.roster.alarm is None
        street.clock.advance(timedelta(minutes=58))
        await roster.sync()
        assert roster.card(paris.member, now=street.clock.now()).card.number == before + 1
        await a_case_arrives(marseille, paris, 2)


# ---- a recovery that is not wanted ----


async def test_a_node_that_has_its_key_objects_to_its_recovery(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        town, member = street.town, paris.here.member
        keys = town.network.new_member("somebody")
        keys.id, keys.announced = member, None
        await town.append(town.network.announce_recovery(keys))
        await eventually(lambda: identity_module.own_recovery(paris.here.house), what="the announcement")
        assert identity_module.own_recovery(marseille.here.house) is None
        await paris.here.identity.object(by="camille")
        assert identity_module.own_recovery(paris.here.house) is None
        assert town.directory.rosters.roster.members[member].recovery is None
        lines = await paris.here.db.read(lambda tx: journal.latest(tx, action="recovery.objected", limit=1))
        assert lines[0].actor == "camille"
        with pytest.raises(CordeeError):
            await paris.here.identity.object(by="camille")


# ---- transport and sealing keys ----


async def test_a_transport_key_is_replaced_and_the_former_one_opens_nothing_any_more(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        former = paris.here.publishing.transport
        certificate = (paris.folder / "certificate.der").read_bytes()
        await paris.here.publishing.rotate_transport(by="camille")
        assert paris.here.publishing.transport.digest != former.digest
        await a_case_arrives(paris, marseille)
        from cordee.runtime.rpc_errors import reaching
        from cordee.runtime.tls import channel
        from cordee.v1 import directory_pb2 as pb
        from cordee.v1 import directory_pb2_grpc

        town = street.town
        async with channel(town.listening.members, root=town.ca, key=former, certificate=certificate) as line:
            stub: Any = directory_pb2_grpc.RosterStub(line)
            with pytest.raises(CordeeError) as caught, reaching("directory"):
                await stub.GetCheckpoint(pb.GetCheckpointRequest(), timeout=10)
            assert caught.value.reason == "NOT_A_MEMBER"
        await paris.stop()
        await paris.start()
        assert paris.here.publishing.transport.digest != former.digest


@pytest.mark.parametrize("cut", ["publish_card", "renew_certificate", "reconnect"])
async def test_a_change_of_the_transport_key_that_is_cut_off_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):

        async def cut_off(*_: Any, **__: Any) -> Any:
            raise Unreachable(peer="directory")

        former = paris.here.publishing.transport
        with monkeypatch.context() as patch:
            patch.setattr(paris.here.publishing._client, cut, cut_off)
            with pytest.raises(Unreachable):
                await paris.here.publishing.rotate_transport(by="camille")
        await paris.stop()
        await paris.start()
        await eventually(lambda: paris.here.publishing.transport.digest != former.digest, what="the new key")
        await a_case_arrives(paris, marseille)


async def test_the_certificate_on_disk_says_which_transport_key_is_used_where_the_vault_was_not_told_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        from node import publishing

        def cut_off(*_: Any, **__: Any) -> Any:
            raise Unreachable(peer="the disk")

        with monkeypatch.context() as patch:
            patch.setattr(publishing, "_take_up", cut_off)
            with pytest.raises(Unreachable):
                await paris.here.publishing.rotate_transport(by="camille")
        await paris.stop()
        await paris.start()
        await a_case_arrives(paris, marseille)


async def test_a_node_hears_of_what_comes_after_its_certificate_was_renewed(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        await marseille.here.publishing.renew_certificate()
        await a_case_arrives(paris, marseille)
        assert not any(part.done() for part in marseille.here.loops)


async def test_a_certificate_that_was_damaged_on_disk_is_asked_for_anew_by_the_node_that_runs(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        file = paris.folder / "certificate.der"
        file.write_bytes(b"no certificate")
        street.clock.advance(timedelta(hours=1, minutes=1))
        await eventually(lambda: file.read_bytes() != b"no certificate", what="another certificate")
        await paris.stop()
        await paris.start()
        await a_case_arrives(paris, marseille)


async def test_card_and_sealing_key_are_renewed_at_two_thirds_of_their_life(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, (paris,)):
        number = paris.here.roster.card(paris.here.member, now=street.clock.now()).card.number
        street.clock.advance(timedelta(days=60, minutes=1))
        await eventually(
            lambda: paris.here.roster.card(paris.here.member, now=street.clock.now()).card.number > number,
            what="another card",
        )
