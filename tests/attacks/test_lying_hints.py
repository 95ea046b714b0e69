"""A hint brings entries along: what it brings is believed as little as what a directory answers when it is asked."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cordee.entries import add_signature, propose
from cordee.errors import CordeeError
from cordee.ids import Digest, MemberId
from cordee.members import MemberState, registration_digest
from cordee.signing import SigningKey, member_id_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from node.roster_sync import RosterSync
from tests.attacks.liar import Liar, Log, Shown, beside_a_liar
from tests.neighbours import Neighbour, Street, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Scene:
    def __init__(self, street: Street, liar: Liar, nodes: list[Neighbour]) -> None:
        self.street, self.liar = street, liar
        self.paris, self.marseille = nodes

    @property
    def roster(self) -> RosterSync:
        return self.marseille.here.roster

    @property
    def now(self) -> Any:
        return self.street.clock.now()

    def entry(self, *signers: SigningKey, member: MemberId | None = None) -> v1.Entry:
        """An admission, or the suspension of a member, by these keys or by the administrators."""
        network = self.street.town.network
        if member is not None:
            statement: Any = v1.MemberSuspended(**network.roster.head(member, self.now), member=member)
        else:
            key = SigningKey.generate(os.urandom).public
            statement = v1.MemberAdmitted(
                **network.roster.head(member_id_of(key), self.now),
                member=member_id_of(key),
                identity_key=key.to_message(),
                registration=registration_digest("Nulle part", "Nulle part"),
            )
        entry = propose(statement)
        for key in signers or network.administrators:
            entry = add_signature(entry, key)
        return entry

    def longer(self, *entries: v1.Entry) -> Log:
        return Log.true(self.street).with_entries(*entries)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("hints")
    # So that it is the node itself that refuses another key for it, and no rule of the log.
    async with beside_a_liar(folder, "Paris", "Marseille", recovery_delay=None) as (street, liar, nodes):
        yield Scene(street, liar, nodes)


def forged(scene: Scene) -> pb.RosterGrown:
    """By the directory itself, under a note by its real key."""
    log = scene.longer(scene.entry(Log.true(scene.street).key))
    return log.hint(scene.now, start=scene.roster.tree.size)


def too_few(scene: Scene) -> pb.RosterGrown:
    log = scene.longer(scene.entry(scene.street.town.network.administrators[0]))
    return log.hint(scene.now, start=scene.roster.tree.size)


def uncovered(scene: Scene) -> pb.RosterGrown:
    """A true entry, under a note that does not cover it."""
    size = scene.roster.tree.size
    log = scene.longer(scene.entry())
    return log.hint(scene.now, start=size, checkpoint=Log.true(scene.street).note(scene.now))


def forked(scene: Scene) -> pb.RosterGrown:
    size = scene.roster.tree.size
    log = scene.longer(scene.entry())
    note = log.note(scene.now, root=Digest(os.urandom(32)))
    return log.hint(scene.now, start=size, checkpoint=note)


def by_another_key(scene: Scene) -> pb.RosterGrown:
    log = replace(scene.longer(scene.entry()), key=SigningKey.generate(os.urandom))
    return log.hint(scene.now, start=scene.roster.tree.size)


def of_the_future(scene: Scene) -> pb.RosterGrown:
    return scene.longer(scene.entry()).hint(scene.now + timedelta(hours=1), start=scene.roster.tree.size)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (forged, "ENTRY_REFUSED"),
        (too_few, "ENTRY_REFUSED"),
        (uncovered, "CHECKPOINT_REFUSED"),
        (forked, "ROSTER_FORKED"),
        (by_another_key, "CHECKPOINT_REFUSED"),
        (of_the_future, "CHECKPOINT_REFUSED"),
    ],
)
async def test_a_lie_in_a_hint_is_refused_kept_as_evidence_and_stops_transfers(
    scene: Scene, lie: Callable[[Scene], pb.RosterGrown], reason: str
) -> None:
    roster = scene.roster
    before = (roster.note, roster.tree.size, roster.roster)
    with pytest.raises(CordeeError) as refused:
        await roster.hear(lie(scene))
    assert refused.value.reason == reason
    assert (roster.note, roster.tree.size, roster.roster) == before
    assert roster.alarm is refused.value
    with pytest.raises(type(refused.value)):
        roster.require_fresh(scene.now)
    await roster.sync()
    assert roster.alarm is None


async def test_another_key_for_the_node_itself_is_refused_in_a_hint_whoever_signed_it(scene: Scene) -> None:
    network, member, roster = scene.street.town.network, scene.marseille.here.member, scene.roster
    attackers = SigningKey.generate(os.urandom).public
    statement = v1.MemberRecovered(
        **network.roster.head(member, scene.now), member=member, identity_key=attackers.to_message()
    )
    entry = propose(statement)
    for key in network.administrators:
        entry = add_signature(entry, key)
    before = roster.roster
    with pytest.raises(CordeeError) as refused:
        await roster.hear(scene.longer(entry).hint(scene.now, start=roster.tree.size))
    assert refused.value.reason == "ENTRY_REFUSED"
    assert "another identity key" in refused.value.facts["rule"]
    assert roster.roster == before
    await roster.sync()


async def test_the_stream_ends_at_a_lie_and_begins_again_with_the_truth(scene: Scene) -> None:
    box = scene.liar.box(scene.marseille.here.member)
    box.put_nowait(pb.Event(roster_grown=forged(scene)))
    await eventually(lambda: scene.roster.alarm is not None or not scene.roster.connected, what="the alarm")
    await eventually(lambda: scene.roster.alarm is None and scene.roster.connected, what="the truth")


async def test_while_there_is_an_alarm_no_hint_is_believed_but_the_directory_is_asked(scene: Scene) -> None:
    roster = scene.roster
    with pytest.raises(CordeeError):
        await roster.hear(forged(scene))
    log, size = scene.longer(scene.entry()), roster.tree.size
    await roster.hear(log.hint(scene.now, start=size))
    assert (roster.tree.size, roster.alarm) == (size, None), "the directory itself says that there is no more"


async def test_a_hint_that_does_not_begin_where_the_log_ends_is_asked_about(scene: Scene) -> None:
    roster, size = scene.roster, scene.roster.tree.size
    log = scene.longer(scene.entry())
    for hint in (log.hint(scene.now, start=size + 1), log.hint(scene.now, start=0, entries=log.entries[:1])):
        await roster.hear(hint)
        assert (roster.tree.size, roster.alarm) == (size, None), "the directory itself says that there is no more"


async def test_a_suspension_in_a_hint_takes_effect_without_another_call(scene: Scene) -> None:
    """Last: this log goes its own way from here on."""
    paris, roster = scene.paris.here.member, scene.roster
    log = scene.longer(scene.entry(member=paris))

    def asked() -> Any:
        raise AssertionError("the hint told all")

    scene.liar.shows_to[scene.marseille.here.member] = Shown(note=asked, entries=lambda start: asked(), cards=asked)
    await roster.hear(log.hint(scene.now, start=0))
    assert roster.roster.members[paris].state is MemberState.SUSPENDED
    assert roster.alarm is None


@pytest.mark.asyncio(loop_scope="function")
async def test_a_card_that_comes_before_its_members_admission_is_asked_for_again(tmp_path: Path) -> None:
    """As when a member is admitted between a look at the log and one at the cards."""
    async with beside_a_liar(tmp_path, "Paris", "Marseille") as (street, liar, (_, marseille)):
        roster, before, then = marseille.here.roster, Log.true(street), street.clock.now()
        liar.shows_to[marseille.here.member] = Shown(
            note=lambda: before.note(then), entries=lambda start: before.entries[start:]
        )
        lille = await street.settle("Lille", 2)
        await lille.start()
        await roster.sync()
        assert lille.member not in roster.roster.members
        liar.shows_to.clear()
        await roster.sync()
        assert lille.member is not None
        assert roster.card(lille.member, now=street.clock.now()).card.number == 1
        await lille.stop()
