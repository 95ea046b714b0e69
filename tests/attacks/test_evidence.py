"""What a node keeps of a directory that lies stands alone: anybody judges it with the network's id, and no more."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from cordee.errors import CordeeError, SplitView
from cordee.ids import Digest
from cordee.signing import SigningKey
from cordee.views import Verdict, ViewsReport, judge
from node import journal, roster_sync
from node.evidence import EvidenceLine, evidence_file, evidence_kept, present_view
from tests.attacks.liar import Shown, beside_a_liar
from tests.attacks.test_malicious_directory import Scene
from tests.neighbours import Neighbour, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAVE = ("ENTRY_REFUSED", "ROSTER_FORKED", "ROSTER_ROLLED_BACK", "SPLIT_VIEW")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with beside_a_liar(tmp_path_factory.mktemp("evidence"), "Paris", "Marseille") as (street, liar, nodes):
        yield Scene(street, liar, nodes)


@pytest.fixture(autouse=True)
def honest_again(request: pytest.FixtureRequest) -> object:
    yield
    if "scene" in request.fixturenames:
        request.getfixturevalue("scene").liar.shows = None


async def kept_of(scene: Scene, shown: Shown) -> tuple[EvidenceLine, bytes]:
    """Marseille is shown this: what it keeps of it. The truth ends the alarm."""
    house = scene.marseille.here.house
    scene.liar.shows = shown
    with pytest.raises(CordeeError):
        await house.roster.sync()
    line = (await evidence_kept(house))[0]
    file = await evidence_file(house, line.number, by=scene.marseille.person.account_id)
    scene.liar.shows = None
    await house.roster.sync()
    assert house.roster.alarm is None
    return line, file


def judged(scene: Scene, *files: bytes) -> ViewsReport:
    return judge(files, network=scene.roster.network)


async def test_two_roots_of_one_size_are_a_proven_fork(scene: Scene) -> None:
    lie = scene.log.note(scene.now, root=Digest(os.urandom(32)))
    line, file = await kept_of(scene, Shown(note=lie, entries=lambda start: []))
    assert (line.reason, line.verdict) == ("ROSTER_FORKED", Verdict.FORK)
    assert judged(scene, file).differs_at == scene.roster.size == line.kept_size == line.shown_size
    assert lie.encode() in file
    lines = await scene.marseille.here.db.read(lambda tx: journal.latest(tx, action="evidence.exported", limit=1))
    assert (lines[0].actor, lines[0].subject) == (scene.marseille.person.account_id, str(line.number))


async def test_a_longer_log_is_fetched_whole_so_that_the_fork_can_be_shown(scene: Scene) -> None:
    await scene.grows()
    network, size = scene.street.town.network, scene.roster.size
    others = [network.signed_entry(scene.admission(f"autre {number}")) for number in range(2)]
    fork = scene.log.with_entries(*others, upto=size - 1)
    line, file = await kept_of(scene, fork.shown(scene.now))
    assert line.verdict is Verdict.FORK
    report = judged(scene, file)
    assert (report.differs_at, report.same_key) == (size, True)
    assert [each.checkpoint.size for each in report.views] == [size, size + 1]


async def test_a_longer_log_that_is_not_given_out_proves_nothing_alone(scene: Scene) -> None:
    await scene.grows()
    network, size = scene.street.town.network, scene.roster.size
    others = [network.signed_entry(scene.admission(f"autre {number}")) for number in range(2)]
    fork = scene.log.with_entries(*others, upto=size - 1)
    hidden = Shown(note=fork.note(scene.now), entries=lambda start: fork.entries[start:] if start else [])
    line, file = await kept_of(scene, hidden)
    assert (line.verdict, line.shown_size) == (None, size + 1)
    assert judged(scene, file).verdict is Verdict.UNPROVEN


async def test_an_older_log_signed_again_is_a_proven_rollback(scene: Scene) -> None:
    await scene.grows()
    scene.street.clock.advance(timedelta(seconds=2))
    older = replace(scene.log, entries=scene.log.entries[:-1])
    line, file = await kept_of(scene, older.shown(scene.now))
    assert (line.reason, line.verdict) == ("ROSTER_ROLLED_BACK", Verdict.ROLLBACK)
    assert judged(scene, file).verdict is Verdict.ROLLBACK


async def test_an_admission_that_no_administrator_signed_is_proven(scene: Scene) -> None:
    line, file = await kept_of(scene, scene.forged(scene.admission(), scene.log.key))
    assert (line.reason, line.verdict) == ("ENTRY_REFUSED", Verdict.FORGED)
    assert judged(scene, file).differs_at == scene.roster.size + 1


async def test_a_note_by_another_key_is_kept_and_is_nobodys_word(scene: Scene) -> None:
    stranger = replace(scene.log, key=SigningKey.generate(os.urandom))
    line, file = await kept_of(scene, Shown(note=stranger.note(scene.now), entries=lambda start: []))
    assert (line.reason, line.verdict, line.shows) == ("CHECKPOINT_REFUSED", None, ())
    with pytest.raises(CordeeError):
        judged(scene, file)


async def test_what_two_honest_nodes_were_shown_fits_together(scene: Scene) -> None:
    views = [await present_view(each.here.house, by="somebody") for each in (scene.paris, scene.marseille)]
    assert judged(scene, *views).verdict is Verdict.AGREE


async def test_a_split_view_becomes_a_fork_once_both_nodes_files_are_together(tmp_path: Path) -> None:
    async with beside_a_liar(tmp_path, "Paris", "Marseille") as (street, liar, nodes):
        scene = Scene(street, liar, nodes)
        paris, marseille = nodes
        network = street.town.network
        entries = [network.signed_entry(scene.admission(name)) for name in ("Nantes", "Brest")]
        other = scene.log.with_entries(*reversed(entries))
        liar.shows_to[paris.here.member] = Shown(
            note=lambda: other.note(scene.now), entries=lambda start: other.entries[start:]
        )
        for entry in entries:
            await street.town.append(network.append(entry))
        for each in nodes:
            await eventually(lambda each=each: each.here.roster.tree.size == network.roster.size, what="both entries")
        liar.smuggles = True
        record = await paris.case()
        act = await paris.act(record, marseille)
        await paris.offer(record, marseille, act)
        await eventually(lambda: isinstance(marseille.here.roster.alarm, SplitView), what="the alarm")

        files = [await file_of(marseille), await present_view(paris.here.house, by="somebody")]
        report = judged(scene, files[0])
        assert report.verdict is Verdict.SPLIT_VIEW
        assert [each.member for each in report.claims] == [paris.here.member]
        together = judged(scene, *files)
        assert (together.verdict, together.same_key) == (Verdict.FORK, True)
        assert together.differs_at == network.roster.size - 1, "the first of the two that were exchanged"
        line = (await evidence_kept(marseille.here.house))[0]
        assert (line.verdict, line.shown_by) == (Verdict.SPLIT_VIEW, paris.here.member)


async def file_of(neighbour: Neighbour) -> bytes:
    line = (await evidence_kept(neighbour.here.house))[0]
    return await evidence_file(neighbour.here.house, line.number, by="somebody")


async def test_whoever_lies_every_minute_does_not_fill_the_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    house = scene.marseille.here.house
    monkeypatch.setattr(roster_sync, "_KEPT", len(await evidence_kept(house)) + 2)
    stranger = replace(scene.log, key=SigningKey.generate(os.urandom))
    weak = Shown(note=stranger.note(scene.now), entries=lambda start: [])
    grave = Shown(note=scene.log.note(scene.now, root=Digest(os.urandom(32))), entries=lambda start: [])
    for _ in range(2):
        await kept_of(scene, weak)
    before = await evidence_kept(house)
    await kept_of(scene, grave)
    after = await evidence_kept(house)
    assert len(after) == len(before), "one that proves nothing gave way"
    assert {each.number for each in before if each.reason in GRAVE} <= {each.number for each in after}
    for _ in range(len(before)):
        await kept_of(scene, grave)
    last = await evidence_kept(house)
    assert len(last) == len(before), "once all of it is proof, nothing more is kept"
    assert all(each.reason in GRAVE for each in last)
