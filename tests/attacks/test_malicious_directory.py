"""A directory in an attacker's hands: what it can show, what a node answers, and that transfers go on afterwards."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from cordee.card import make_card
from cordee.entries import add_signature, entry_digest, propose
from cordee.errors import CordeeError, RemoteFailure, SplitView, Unreachable
from cordee.ids import Digest, MemberId
from cordee.members import registration_digest
from cordee.roster import Roster
from cordee.sealing import SealingKey
from cordee.signing import Signed, SigningKey, member_id_of
from cordee.statements import Offer
from cordee.times import timestamp_of
from cordee.transfer import Kind, State
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from node import journal, transfer_store
from node.roster_sync import RosterSync
from node.store import table_of
from node.store.roster import EvidenceRow
from tests.attacks.liar import Liar, Log, Shown, beside_a_liar
from tests.cordee.entry_rows import signed_by
from tests.neighbours import Neighbour, Street, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_EVIDENCE = table_of(EvidenceRow)


class Scene:
    """Paris and Marseille, beside a directory that lies. Marseille is the one who is lied to."""

    def __init__(self, street: Street, liar: Liar, nodes: list[Neighbour]) -> None:
        self.street, self.liar = street, liar
        self.paris, self.marseille = nodes

    @property
    def now(self) -> Any:
        return self.street.clock.now()

    @property
    def log(self) -> Log:
        return Log.true(self.street)

    @property
    def roster(self) -> Roster:
        return self.street.town.network.roster

    @property
    def administrators(self) -> list[SigningKey]:
        return self.street.town.network.administrators

    def admission(self, name: str = "Nulle part") -> v1.MemberAdmitted:
        identity = SigningKey.generate(os.urandom).public
        member = member_id_of(identity)
        return v1.MemberAdmitted(
            **self.roster.head(member, self.now),
            member=member,
            identity_key=identity.to_message(),
            registration=registration_digest(name, name),
            bound_by_secrecy=True,
        )

    def about(self, kind: type[Any], member: MemberId, **fields: Any) -> Any:
        return kind(**self.roster.head(member, self.now), member=member, **fields)

    def forged(self, statement: Any, *keys: SigningKey) -> Shown:
        """The log with one more entry, signed by these keys, under a note by the real log key."""
        entry = propose(statement)
        for key in keys:
            entry = add_signature(entry, key)
        return self.log.with_entries(entry).shown(self.now)

    def card(self, by: SigningKey, **changes: Any) -> Shown:
        """A card of Paris, and nothing else that is new."""
        known = self.paris.here.roster.card(self.paris.here.member, now=self.now)
        card = known.card
        made = make_card(
            by,
            **{
                "network": self.roster.network,
                "member": card.member,
                "number": card.number + 1,
                "sealing_key": card.sealing_key,
                "transport_key_digest": card.transport_key_digest,
                "profile": known.profile_bytes,
                "now": self.now,
                **changes,
            },
        )
        return self.cards(made, known.profile_bytes)

    def cards(self, card: Signed, profile: bytes, *, times: int = 1, step: int = 1) -> Shown:
        first = 1000
        answers = [
            pb.ListCardsResponse(revision=first + step * index, card=card.to_message(), profile=profile)
            for index in range(min(times, 3))
        ]
        endless = (
            pb.ListCardsResponse(revision=first + step * index, card=card.to_message(), profile=profile)
            for index in itertools.count()
        )
        return Shown(cards=lambda: answers if times < 3 else endless)

    async def grows(self) -> None:
        """An honest entry; both nodes hear of it."""
        network = self.street.town.network
        network.now = max(network.now, self.now)
        await self.street.town.append(network.append(network.signed_entry(self.admission(f"Hors {network.now}"))))
        for each in (self.paris, self.marseille):
            size = network.roster.size
            await eventually(lambda each=each, size=size: each.here.roster.tree.size >= size, what="the entry")

    async def evidence(self) -> list[Any]:
        return list(await self.marseille.here.db.read(lambda tx: tx.execute(select(_EVIDENCE)).all()))

    async def refuses(self, shown: Shown, reason: str) -> CordeeError:
        """Marseille is shown this: it refuses, keeps what it knew and the evidence, and stands still meanwhile."""
        roster, person = self.marseille.here.roster, self.marseille.person
        record = await self.paris.case()
        waiting = await self.paris.offer(record, self.marseille, await self.paris.act(record, self.marseille))
        await self.marseille.reaches(waiting, State.OFFERED)
        own = await self.marseille.case()
        act = await self.marseille.act(own, self.paris)
        before = (roster.note, roster.tree.size, roster.tree.root(), roster.roster, dict(roster._cards))
        known = len(await self.evidence())

        self.liar.shows = shown
        with pytest.raises(CordeeError) as refused:
            await roster.sync()
        assert refused.value.reason == reason, str(refused.value)
        assert roster.alarm is not None
        assert (roster.note, roster.tree.size, roster.tree.root(), roster.roster, dict(roster._cards)) == before

        kept = await self.evidence()
        assert len(kept) == known + 1, "once for each alarm, however often it looks again"
        assert (kept[-1].reason, kept[-1].kept) == (reason, before[0])
        if isinstance(shown.note, str):
            assert kept[-1].shown == shown.note
        assert kept[-1].shown

        for step in (
            self.marseille.offer(own, self.paris, act),
            self.marseille.here.receiving.accept(person, waiting),
            self.marseille.here.receiving.decline(person, waiting, code="other"),
        ):
            with pytest.raises(CordeeError) as stands_still:
                await step
            assert stands_still.value.reason == reason
        assert await self.marseille.state(waiting) is State.OFFERED

        after_a_restart = RosterSync(
            self.marseille.here.db,
            network=self.roster.network,
            member=self.marseille.here.member,
            client=None,
            clock=self.street.clock,
        )
        await after_a_restart.load()
        assert after_a_restart.alarm is not None
        assert after_a_restart.alarm.reason == reason

        self.liar.shows = None
        await roster.sync()
        assert roster.alarm is None
        await self.marseille.here.receiving.accept(person, waiting)
        await self.paris.reaches(waiting, State.RECEIVED)
        await self.marseille.reaches(waiting, State.RECEIVED)
        await self.marseille.here.db.read(lambda tx: journal.verify(tx, self.marseille.here.identity_public))
        return refused.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("liar")
    # So that it is the node itself that refuses another key for it, and no rule of the log.
    async with beside_a_liar(folder, "Paris", "Marseille", recovery_delay=None) as (street, liar, nodes):
        yield Scene(street, liar, nodes)


@pytest.fixture(autouse=True)
def honest_again(request: pytest.FixtureRequest) -> Any:
    """Whatever a test showed, the next one begins with the truth."""
    yield
    if "scene" in request.fixturenames:
        request.getfixturevalue("scene").liar.shows = None


# ---- (a) forged entries ----


@pytest.mark.parametrize(
    "signers",
    [
        lambda scene: [],
        lambda scene: scene.administrators[:1],
        lambda scene: [SigningKey.generate(os.urandom) for _ in range(2)],
        lambda scene: [scene.administrators[0], scene.log.key],
        lambda scene: [scene.administrators[0], scene.paris.here.house.keys.identity],
    ],
    ids=["by nobody", "by one administrator", "by strangers", "by the directory itself", "by a member"],
)
async def test_a_forged_admission_is_refused(scene: Scene, signers: Callable[[Scene], list[SigningKey]]) -> None:
    refused = await scene.refuses(scene.forged(scene.admission(), *signers(scene)), "ENTRY_REFUSED")
    assert refused.facts["index"] == str(scene.roster.size)


async def test_an_admission_that_was_altered_after_it_was_signed_is_refused(scene: Scene) -> None:
    entry = scene.street.town.network.signed_entry(scene.admission())
    message = v1.MemberAdmitted.FromString(entry.body)
    message.identity_key.CopyFrom(SigningKey.generate(os.urandom).public.to_message())
    entry.body = message.SerializeToString()
    await scene.refuses(scene.log.with_entries(entry).shown(scene.now), "ENTRY_REFUSED")


# ---- (b) swapped keys ----


def attackers_key() -> Any:
    return SigningKey.generate(os.urandom).public.to_message()


async def test_a_member_recovered_without_the_administrators_is_refused(scene: Scene) -> None:
    statement = scene.about(v1.MemberRecovered, scene.paris.here.member, identity_key=attackers_key())
    await scene.refuses(scene.forged(statement), "ENTRY_REFUSED")
    await scene.refuses(scene.forged(statement, scene.administrators[0]), "ENTRY_REFUSED")


async def test_an_identity_rotated_by_the_new_key_alone_is_refused(scene: Scene) -> None:
    new = SigningKey.generate(os.urandom)
    statement = scene.about(v1.IdentityRotated, scene.paris.here.member, identity_key=new.public.to_message())
    await scene.refuses(scene.forged(statement, new), "ENTRY_REFUSED")


async def test_another_key_for_the_node_itself_is_refused_whoever_signed_it(scene: Scene) -> None:
    """All administrators and the directory together, with dates of their own making."""
    key, member = attackers_key(), scene.marseille.here.member
    reason = v1.RECOVERY_REASON_LOST
    announced = signed_by(
        scene.about(v1.RecoveryAnnounced, member, identity_key=key, reason=reason), *scene.administrators
    )
    due = scene.now + timedelta(days=8)
    recovered = v1.MemberRecovered(
        network=scene.roster.network,
        previous=entry_digest(announced),
        time=timestamp_of(due),
        member=member,
        identity_key=key,
    )
    shown = scene.log.with_entries(announced, signed_by(recovered, *scene.administrators)).shown(scene.now)
    refused = await scene.refuses(shown, "ENTRY_REFUSED")
    assert "another identity key" in refused.facts["rule"]


async def test_a_card_with_the_attackers_sealing_key_is_refused(scene: Scene) -> None:
    attacker = SigningKey.generate(os.urandom)
    shown = scene.card(attacker, sealing_key=SealingKey.generate(os.urandom).public)
    refused = await scene.refuses(shown, "CARD_REFUSED")
    assert refused.facts["problem"] == "its signature does not verify"


async def test_a_card_signed_by_another_member_is_refused(scene: Scene) -> None:
    shown = scene.card(scene.marseille.here.house.keys.identity, sealing_key=SealingKey.generate(os.urandom).public)
    await scene.refuses(shown, "CARD_REFUSED")


async def test_a_profile_that_its_card_does_not_name_is_refused(scene: Scene) -> None:
    known = scene.paris.here.roster.card(scene.paris.here.member, now=scene.now)
    profile = known.profile_bytes.replace(b"Paris", b"Nice!")
    assert profile != known.profile_bytes
    refused = await scene.refuses(scene.cards(known.card.signed, profile), "CARD_REFUSED")
    assert refused.facts["problem"] == "its profile is another"


async def test_an_older_card_is_refused_also_after_a_newer_one_in_the_same_answer(scene: Scene) -> None:
    paris = scene.paris.here
    known = paris.roster.card(paris.member, now=scene.now)
    newer = scene.card(paris.house.keys.identity, number=known.card.number + 2)
    older = scene.card(paris.house.keys.identity, number=known.card.number + 1)
    assert newer.cards is not None
    assert older.cards is not None
    first, second = next(iter(newer.cards())), next(iter(older.cards()))
    second.revision += 1
    refused = await scene.refuses(Shown(cards=lambda: [first, second]), "CARD_REFUSED")
    assert refused.facts["problem"] == "its number is too low or out of range"


async def test_two_cards_of_one_number_are_refused_even_if_the_member_signed_both(scene: Scene) -> None:
    paris = scene.paris.here
    known = paris.roster.card(paris.member, now=scene.now)
    shown = scene.card(
        paris.house.keys.identity, number=known.card.number, sealing_key=SealingKey.generate(os.urandom).public
    )
    refused = await scene.refuses(shown, "CARD_REFUSED")
    assert refused.facts["problem"] == "two cards bear the same number"


async def test_a_card_with_a_profile_that_cannot_be_read_leaves_the_node_able_to_start(scene: Scene) -> None:
    paris = scene.paris.here
    shown = scene.card(paris.house.keys.identity, profile=b"{}")  # the member is in it with the directory
    assert shown.cards is not None
    card = next(iter(shown.cards()))
    card.profile = b"{}"
    await scene.refuses(Shown(cards=lambda: [card]), "INVALID_RECORD")
    await scene.marseille.stop()
    await scene.marseille.start()


async def test_a_card_dated_years_ahead_is_refused(scene: Scene) -> None:
    shown = scene.card(scene.paris.here.house.keys.identity, now=scene.now + timedelta(days=900))
    refused = await scene.refuses(shown, "CARD_REFUSED")
    assert refused.facts["problem"] == "it is not valid yet"


async def test_a_forged_card_is_refused_also_where_it_is_dated_an_hour_ahead(scene: Scene) -> None:
    shown = scene.card(SigningKey.generate(os.urandom), now=scene.now + timedelta(hours=1))
    refused = await scene.refuses(shown, "CARD_REFUSED")
    assert refused.facts["problem"] == "its signature does not verify"


# ---- (c), (d) older and other logs ----


async def test_an_older_checkpoint_is_refused(scene: Scene) -> None:
    older = scene.marseille.here.roster.note
    await scene.grows()
    refused = await scene.refuses(Shown(note=older, entries=lambda start: []), "ROSTER_ROLLED_BACK")
    assert int(refused.facts["known"]) == scene.roster.size
    assert int(refused.facts["shown"]) == scene.roster.size - 1


async def test_the_same_size_with_another_root_is_refused(scene: Scene) -> None:
    note = scene.log.note(scene.now, root=Digest(os.urandom(32)))
    await scene.refuses(Shown(note=note, entries=lambda start: []), "ROSTER_FORKED")


async def test_a_longer_log_that_does_not_continue_ours_is_refused(scene: Scene) -> None:
    await scene.grows()
    network, size = scene.street.town.network, scene.roster.size
    others = [network.signed_entry(scene.admission(f"autre {number}")) for number in range(2)]
    fork = scene.log.with_entries(*others, upto=size - 1)  # every entry verifies, one of ours is hidden
    refused = await scene.refuses(fork.shown(scene.now), "ROSTER_FORKED")
    assert int(refused.facts["size"]) == size + 1


async def test_what_was_judged_is_the_evidence_even_if_the_truth_is_shown_afterwards(scene: Scene) -> None:
    lie = scene.log.note(scene.now, root=Digest(os.urandom(32)))
    truth = scene.street.town.directory.rosters.checkpoint
    notes = itertools.chain([lie], itertools.repeat(truth))
    scene.liar.shows = Shown(note=lambda: next(notes), entries=lambda start: [])
    with pytest.raises(CordeeError):
        await scene.marseille.here.roster.sync()
    assert (await scene.evidence())[-1].shown == lie
    await scene.marseille.here.roster.sync()
    assert scene.marseille.here.roster.alarm is None


@pytest.mark.parametrize("what", ["by another key", "of another log", "of the future", "fast forward", "a hole"])
async def test_a_checkpoint_that_cannot_be_is_refused(scene: Scene, what: str) -> None:
    notes: dict[str, Callable[[], str]] = {
        "by another key": lambda: replace(scene.log, key=SigningKey.generate(os.urandom)).note(scene.now),
        "of another log": lambda: replace(scene.log, origin="cordee.example/other").note(scene.now),
        "of the future": lambda: scene.log.note(scene.now + timedelta(hours=1)),
        "fast forward": lambda: scene.log.note(scene.now, size=2**50),
        "a hole": lambda: scene.log.with_entries(
            scene.street.town.network.signed_entry(scene.admission()),
        ).note(scene.now),
    }
    await scene.refuses(Shown(note=notes[what](), entries=lambda start: []), "CHECKPOINT_REFUSED")


# ---- (e) freeze ----


async def test_a_frozen_directory_is_refused_once_its_checkpoint_is_stale(scene: Scene) -> None:
    note = scene.street.town.directory.rosters.checkpoint
    scene.liar.shows = Shown(note=note, entries=lambda start: [])
    scene.street.clock.advance(timedelta(hours=23))
    await scene.marseille.here.roster.sync()  # old, but not yet stale
    frozen = scene.marseille.here.roster.note
    scene.liar.shows = None
    await eventually(lambda: scene.street.town.directory.rosters.checkpoint != note, what="a new signature")
    await scene.paris.here.roster.sync()
    await scene.marseille.here.roster.sync()
    assert scene.marseille.here.roster.note != frozen
    # From now on nothing new: the checkpoint that everybody holds grows old.
    held = scene.marseille.here.roster.note
    record = await scene.marseille.case()
    act = await scene.marseille.act(record, scene.paris)
    scene.liar.shows = Shown(note=held, entries=lambda start: [])
    scene.street.clock.advance(timedelta(hours=24, minutes=1))
    with pytest.raises(CordeeError) as refused:
        await scene.marseille.offer(record, scene.paris, act)  # before anybody has looked again
    assert refused.value.reason == "ROSTER_STALE"
    with pytest.raises(CordeeError) as refused:
        await scene.marseille.here.roster.sync()
    assert refused.value.reason == "ROSTER_STALE"
    last = (await scene.evidence())[-1]
    assert (last.reason, last.kept, last.shown) == ("ROSTER_STALE", held, held)
    scene.liar.shows = None
    for each in (scene.paris, scene.marseille):
        await eventually(lambda each=each: fresh(each), what="a fresh roster")
    await scene.paris.reaches(await scene.marseille.offer(record, scene.paris, act), State.OFFERED)


async def fresh(neighbour: Neighbour) -> bool:
    try:
        await neighbour.here.roster.sync()
    except CordeeError:
        return False
    return neighbour.here.roster.alarm is None


# ---- (f) too much ----


async def test_entries_without_end_are_refused_at_the_first_that_does_not_fit(scene: Scene) -> None:
    served = itertools.count()

    def endless(start: int) -> Any:
        last = scene.log.entries[-1]
        return (last for _ in served)

    await asyncio.wait_for(
        scene.refuses(Shown(note=scene.log.note(scene.now), entries=endless), "ENTRY_REFUSED"), timeout=20
    )
    assert next(served) < 5000, "it hangs up"


@pytest.mark.parametrize("step", [1, 0])
async def test_cards_without_end_are_refused_at_the_first_that_comes_again(scene: Scene, step: int) -> None:
    known = scene.paris.here.roster.card(scene.paris.here.member, now=scene.now)
    number = known.card.number + 1
    once = scene.card(scene.paris.here.house.keys.identity, number=number)
    assert once.cards is not None
    card = Signed.from_message(next(iter(once.cards())).card)
    shown = scene.cards(card, known.profile_bytes, times=10**9, step=step)
    await asyncio.wait_for(scene.refuses(shown, "CARD_REFUSED"), timeout=20)


async def test_a_note_of_a_megabyte_is_refused(scene: Scene) -> None:
    note = scene.log.note(scene.now) + "— witness " + "A" * 500_000 + "\n"
    await scene.refuses(Shown(note=note, entries=lambda start: []), "CHECKPOINT_REFUSED")


async def test_an_entry_full_of_rubbish_is_refused(scene: Scene) -> None:
    entry = scene.street.town.network.signed_entry(scene.admission())
    entry.body += os.urandom(200_000)
    await scene.refuses(scene.log.with_entries(entry).shown(scene.now), "ENTRY_REFUSED")


async def test_an_entry_too_large_for_a_message_changes_nothing(scene: Scene) -> None:
    entry = scene.street.town.network.signed_entry(scene.admission())
    entry.body += bytes(3_000_000)
    roster = scene.marseille.here.roster
    before = (roster.note, roster.tree.size)
    scene.liar.shows = scene.log.with_entries(entry).shown(scene.now)
    with pytest.raises((RemoteFailure, Unreachable)):
        await roster.sync()
    assert (roster.note, roster.tree.size) == before


# ---- (g) split view ----


async def test_two_who_were_shown_different_logs_find_out_at_their_first_contact(tmp_path: Path) -> None:
    async with beside_a_liar(tmp_path, "Paris", "Marseille") as (street, liar, nodes):
        scene = Scene(street, liar, nodes)
        paris, marseille = nodes
        network = street.town.network
        entries = [network.signed_entry(scene.admission(name)) for name in ("Nantes", "Brest")]
        other = scene.log.with_entries(*reversed(entries))  # the same entries, each of them good, the other way round
        liar.shows_to[paris.here.member] = Shown(
            note=lambda: other.note(scene.now), entries=lambda start: other.entries[start:]
        )
        for entry in entries:
            await street.town.append(network.append(entry))
        for each in nodes:
            await eventually(lambda each=each: each.here.roster.tree.size == network.roster.size, what="both entries")
            assert each.here.roster.alarm is None, "alone, neither can see it"
        assert paris.here.roster.tree.root() != marseille.here.roster.tree.root()

        # An honest broker compares too, and lets nothing of it pass.
        record = await paris.case()
        act = await paris.act(record, marseille)
        stopped = await paris.offer(record, marseille, act)
        await paris.reaches(stopped, State.WITHDRAWN)
        reason = await paris.here.transfers.reason(paris.person, stopped)
        assert reason is not None
        assert reason.code == "split_view"
        assert await marseille.state(stopped) is None

        # One that is in it with the attacker hands them on unread: both ends find out for themselves.
        liar.smuggles = True
        theirs = await marseille.case()
        their_act = await marseille.act(theirs, paris)
        from_marseille = await marseille.offer(theirs, paris, their_act)
        from_paris = await paris.offer(record, marseille, act)
        for each, transfer, by in ((paris, from_marseille, marseille), (marseille, from_paris, paris)):
            await eventually(lambda each=each: isinstance(each.here.roster.alarm, SplitView), what="the alarm")
            assert await each.state(transfer) is None, "nothing of it was kept"
            rows = await each.here.db.read(lambda tx: tx.execute(select(_EVIDENCE)).all())
            shown = Signed.from_bytes(base64.b64decode(rows[-1].shown))
            signed = await by.here.db.read(
                lambda tx, transfer=transfer: transfer_store.statement(tx, transfer, Kind.OFFER)
            )
            assert shown == signed
            # The evidence stands on its own: signed by the other, it names a root that is not ours.
            offer = Offer.parse(shown, each.here.roster.roster, now=scene.now, history=True)
            assert offer.checkpoint.root != each.here.roster.root_at(offer.checkpoint.size)
        for each, to, case, its_act in ((paris, marseille, record, act), (marseille, paris, theirs, their_act)):
            await each.here.roster.sync()  # what the directory shows to this one goes on verifying
            with pytest.raises(SplitView):
                await each.offer(case, to, its_act)

        # The administrators look into it. The honest log grows: Marseille, which was on it, goes on; Paris cannot.
        liar.smuggles = False
        liar.shows_to.clear()
        network.now = max(network.now, scene.now)
        await street.town.append(network.append(network.signed_entry(scene.admission("Rennes"))))
        await eventually(lambda: marseille.here.roster.alarm is None, what="the end of the alarm")
        with pytest.raises(CordeeError) as forked:
            await paris.here.roster.sync()
        assert forked.value.reason == "ROSTER_FORKED"
