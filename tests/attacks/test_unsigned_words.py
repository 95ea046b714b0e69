"""What a directory says and nobody has signed: each lie that would have harmed somebody for good, told on purpose.

Each test lies, then the directory is honest again; what must hold is the same each time (`Scene.heals`): the node
lives, its roster is sound, and a new case goes each way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from cordee.errors import (
    AnotherStatement,
    CordeeError,
    InvalidRecord,
    JournalBroken,
    MalformedKey,
    NotFound,
    NotInThisState,
    RemoteFailure,
    SplitView,
)
from cordee.ids import MemberId, TransferId
from cordee.runtime.tls import CertificateAuthority, TransportKey
from cordee.signing import Signed
from cordee.statements import peek
from cordee.times import timestamp_of
from cordee.transfer import Kind, State
from cordee.v1 import directory_pb2 as pb
from node import transfer_store
from node.joining import CERTIFICATE
from tests.attacks.test_byzantine_directory import Scene, lied_to, sound
from tests.neighbours import Neighbour, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with lied_to(tmp_path_factory.mktemp("unsigned")) as scene:
        yield scene


@pytest.fixture(autouse=True)
def honest_again(scene: Scene) -> Any:
    yield
    scene.liars.honest()


async def heard(scene: Scene, *events: pb.Event) -> None:
    """Each node's stream begins with these, once, and then ends."""
    left = {each.here.member for each in scene.nodes}

    def lie(member: MemberId, answer: pb.Event) -> Iterable[pb.Event]:
        if member in left:
            left.discard(member)
            return [*events, answer]
        return [answer]

    scene.liars.honest()
    scene.liars.by_hand["Watch"] = lie
    await eventually(lambda: not left, what="the lie")


# ---- numbers from far ahead ----


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1])
async def test_an_event_from_far_ahead_does_not_make_a_node_deaf(scene: Scene, number: int) -> None:
    expired = pb.TransferExpired(transfer_id=bytes(16))
    await heard(scene, pb.Event(sequence=number, time=timestamp_of(scene.street.clock.now()), expired=expired))
    await scene.heals()


def number_cards(scene: Scene, *, to: Neighbour, revision: int) -> None:
    """From now on the directory tells one node that every card has this number."""

    def lie(member: MemberId, answer: pb.ListCardsResponse) -> Iterable[pb.ListCardsResponse]:
        if member != to.here.member:
            return [answer]
        answer = pb.ListCardsResponse.FromString(answer.SerializeToString())
        answer.revision = revision
        return [answer]

    scene.liars.by_hand["ListCards"] = lie


@pytest.mark.parametrize("revision", [2**53, 2**63 - 1, 2**64 - 1])
async def test_a_card_with_a_number_from_far_ahead_does_not_hide_all_that_follow(scene: Scene, revision: int) -> None:
    paris, marseille = scene.nodes
    number_cards(scene, to=marseille, revision=revision)
    await paris.here.publishing.publish()
    await eventually(lambda: marseille.here.roster.alarm is not None, what="the alarm")
    await scene.heals()
    number = await paris.here.publishing.publish()
    await eventually(lambda: card_of(marseille, paris) == number, what="the next card")


async def test_cards_that_a_number_still_possible_has_hidden_are_looked_at_again(scene: Scene) -> None:
    paris, marseille = scene.nodes
    ahead = int(scene.street.clock.now().timestamp() * 1_000_000)
    number_cards(scene, to=marseille, revision=ahead)
    await paris.here.publishing.publish()
    await eventually(lambda: marseille.here.roster.card_revision == ahead, what="the lie")
    await scene.heals()
    number = await paris.here.publishing.publish()
    scene.street.clock.advance(timedelta(days=1, minutes=1))
    await eventually(lambda: sound(marseille), seconds=60, what="a sound roster")
    await eventually(lambda: card_of(marseille, paris) == number, seconds=60, what="the hidden card")


def card_of(neighbour: Neighbour, other: Neighbour) -> int:
    return neighbour.here.roster.card(other.here.member, now=neighbour.here.clock.now()).card.number


@pytest.mark.parametrize("seconds", [-(2**62), -1, 253_402_300_800, 2**62])
async def test_a_restore_at_no_time_at_all_is_none(scene: Scene, seconds: int) -> None:
    told = pb.DirectoryRestored()
    told.restored.seconds = told.since.seconds = seconds
    await heard(scene, pb.Event(directory_restored=told))
    await scene.heals()


async def test_a_restore_in_the_year_9999_does_not_hide_the_next_one(scene: Scene) -> None:
    told = pb.DirectoryRestored()
    told.restored.seconds, told.since.seconds = 253_402_300_799, 1  # so long ago that no time lies a month before

    def lie(member: MemberId, answer: pb.GetCheckpointResponse) -> Iterable[pb.GetCheckpointResponse]:
        answer = pb.GetCheckpointResponse.FromString(answer.SerializeToString())
        answer.restored.seconds = 253_402_300_799
        return [answer]

    await heard(scene, pb.Event(directory_restored=told))
    scene.liars.by_hand["GetCheckpoint"] = lie
    for each in scene.nodes:
        await each.here.roster.sync()
    await scene.heals()
    for each in scene.nodes:
        for of in ("restored.cards", "restored.transfers"):
            assert await each.here.db.read(lambda tx, of=of: transfer_store.cursor(tx, of)) == 0


# ---- refusals that only a node itself can find ----


@pytest.mark.parametrize("named", [SplitView(), JournalBroken(line=1, problem="x"), MalformedKey(what="x")])
@pytest.mark.parametrize("method", ["GetCheckpoint", "ListEntries", "ListCards"])
async def test_an_alarm_is_what_a_node_finds_and_not_what_it_is_told(
    scene: Scene, named: CordeeError, method: str
) -> None:
    marseille = scene.marseille

    def refuse(member: MemberId, answer: Any) -> Iterable[Any]:
        raise named

    scene.liars.by_hand[method] = refuse
    if method == "GetCheckpoint":
        with pytest.raises(RemoteFailure):
            await marseille.here.roster.sync()
    assert marseille.here.roster.alarm is None
    await scene.heals()


async def test_an_alarm_kept_without_its_facts_ends_as_any_other(scene: Scene) -> None:
    roster = scene.marseille.here.roster
    await roster.raise_alarm(SplitView(size=1), shown="")
    assert roster.alarm is not None
    roster.alarm.facts.clear()  # as an older version kept one that a directory had named
    await scene.heals()


async def test_a_state_that_there_is_not_ends_no_part_of_a_node(scene: Scene) -> None:
    paris, marseille = scene.nodes
    record = await paris.case()
    transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
    await marseille.reaches(transfer, State.OFFERED)
    scene.liars.instead["GetTransfer"] = lambda request: pb.GetTransferResponse(state="no such state")
    with pytest.raises(RemoteFailure):
        await paris.here.listener.reconcile(transfer)
    await scene.heals()


# ---- steps that were taken, and that the directory threw away ----


async def received(scene: Scene) -> TransferId:
    """A case that arrives while receipts are thrown away."""
    paris, marseille = scene.nodes
    record = await paris.case()
    transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await eventually(lambda: is_in(marseille, transfer, State.RECEIVED), what="the case")
    return transfer


async def is_in(neighbour: Neighbour, transfer: TransferId, state: State) -> bool:
    return await neighbour.state(transfer) is state


def throwing_away(scene: Scene, kind: Kind, refusal: CordeeError | None) -> list[Signed]:
    """From now on steps of that kind go nowhere, and their author is answered with a refusal, or that all is well."""
    thrown: list[Signed] = []
    broker = scene.street.town.directory.broker

    async def carried_out(request: pb.SubmitRequest) -> pb.SubmitResponse:
        signed = Signed.from_message(request.statement)
        seen = peek(signed)
        if seen.kind is kind:
            thrown.append(signed)
            if refusal is not None:
                raise refusal
            return pb.SubmitResponse(state="withdrawn")
        sender = seen.kind in (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL)
        author = seen.parties.sender if sender else seen.parties.recipient
        return pb.SubmitResponse(state=await broker.submit(author, signed))

    scene.liars.instead["Submit"] = carried_out
    return thrown


@pytest.mark.parametrize("refusal", [AnotherStatement(statement="receipt"), NotInThisState(state="x", statement="x")])
async def test_a_receipt_is_given_up_only_where_the_broker_shows_another(scene: Scene, refusal: CordeeError) -> None:
    thrown = throwing_away(scene, Kind.RECEIPT_TAKEN, refusal)
    transfer = await received(scene)
    await eventually(lambda: len(thrown) > 1, what="another try")
    scene.liars.honest()
    await scene.paris.reaches(transfer, State.RECEIVED, seconds=60)


@pytest.mark.parametrize("refusal", [NotFound(what="transfer"), NotInThisState(state="x", statement="x")])
async def test_a_withdrawal_is_given_up_only_where_signatures_or_time_allow(scene: Scene, refusal: CordeeError) -> None:
    paris, marseille = scene.nodes
    transfer = await received(scene)
    await paris.reaches(transfer, State.RECEIVED)
    thrown = throwing_away(scene, Kind.WITHDRAWAL, refusal)
    if isinstance(refusal, NotFound):
        scene.liars.instead["GetTransfer"] = not_found
    await paris.here.sending.withdraw(paris.person, transfer)
    await eventually(lambda: len(thrown) > 1, what="another try")
    scene.liars.honest()
    await eventually(lambda: was_asked(marseille, transfer), seconds=60, what="the request to erase")


def not_found(request: Any) -> Any:
    raise NotFound(what="transfer")


async def was_asked(neighbour: Neighbour, transfer: TransferId) -> bool:
    known = await neighbour.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    return known.erasure == "asked"


async def test_what_a_node_was_not_told_it_finds_out_within_a_day(scene: Scene) -> None:
    paris, marseille = scene.nodes
    transfer = await received(scene)
    await paris.reaches(transfer, State.RECEIVED)

    def silent(member: MemberId, answer: pb.Event) -> Iterable[pb.Event]:
        if answer.WhichOneof("kind") == "statement":  # its number goes by with something that says nothing
            return [pb.Event(sequence=answer.sequence, expired=pb.TransferExpired(transfer_id=bytes(16)))]
        return [answer]

    scene.liars.honest()
    scene.liars.by_hand["Watch"] = silent
    await eventually(lambda: sound(marseille), what="the line")
    await paris.here.sending.withdraw(paris.person, transfer)
    record = await paris.case()
    unheard = await paris.offer(record, marseille, await paris.act(record, marseille))
    await paris.reaches(transfer, State.RECEIVED)
    await paris.reaches(unheard, State.OFFERED)
    await scene.heals()
    assert not await was_asked(marseille, transfer)
    scene.street.clock.advance(timedelta(days=1, minutes=1))
    await eventually(lambda: was_asked(marseille, transfer), seconds=60, what="the request to erase")
    await marseille.reaches(unheard, State.OFFERED)


async def test_what_was_taken_and_thrown_away_comes_to_an_end_by_the_nodes_own_clock(scene: Scene) -> None:
    paris, marseille = scene.nodes
    await eventually(lambda: sound(paris), seconds=60, what="a sound roster")
    throwing_away(scene, Kind.OFFER, None)
    record = await paris.case()
    transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
    await paris.reaches(transfer, State.OFFERED)
    await scene.heals()
    for _ in range(5):
        scene.street.clock.advance(timedelta(days=3))
        await eventually(lambda: sound(paris), seconds=60, what="a sound roster")
    await eventually(lambda: is_in(paris, transfer, State.EXPIRED), seconds=60, what="the end")


@pytest.mark.parametrize("refusal", [NotInThisState(state="x", statement="x"), InvalidRecord(path="x", problem="x")])
async def test_an_offer_that_was_taken_and_called_refused_is_still_answered(scene: Scene, refusal: CordeeError) -> None:
    paris, marseille = scene.nodes
    await eventually(lambda: sound(paris), seconds=60, what="a sound roster")
    broker, taken = scene.street.town.directory.broker, 0

    async def taken_and_refused(request: pb.SubmitRequest) -> pb.SubmitResponse:
        nonlocal taken
        signed = Signed.from_message(request.statement)
        seen = peek(signed)
        author = seen.parties.sender if seen.kind is Kind.OFFER else seen.parties.recipient
        answer = pb.SubmitResponse(state=await broker.submit(author, signed))
        if seen.kind is Kind.OFFER and not taken:
            taken += 1
            raise refusal
        return answer

    scene.liars.instead["Submit"] = taken_and_refused
    record = await paris.case()
    transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
    await marseille.reaches(transfer, State.OFFERED)
    await eventually(lambda: taken and nothing_waits(paris, transfer), seconds=60, what="the broker's answer")
    scene.liars.honest()
    await marseille.here.receiving.decline(marseille.person, transfer, code="other")
    await paris.reaches(transfer, State.DECLINED, seconds=60)


async def nothing_waits(neighbour: Neighbour, transfer: TransferId) -> bool:
    return transfer not in await neighbour.here.db.read(transfer_store.waiting)


# ---- certificates ----


async def test_a_certificate_that_would_lock_the_node_out_is_not_kept(scene: Scene) -> None:
    marseille, now = scene.marseille, scene.street.clock.now()
    publishing = marseille.here.publishing
    before = (marseille.folder / CERTIFICATE).read_bytes()
    key, member = publishing.transport, marseille.here.member
    real = scene.street.town.directory.authority
    another = TransportKey.generate()
    strangers = CertificateAuthority.create(now=now)
    for certificate in (
        b"",
        b"no certificate",
        strangers.issue(key.request(), member=member, now=now),
        real.issue(another.request(), member=member, key_digest=another.digest),
    ):
        scene.liars.instead["RenewCertificate"] = lambda _, answer=certificate: pb.RenewCertificateResponse(
            certificate=answer
        )
        with pytest.raises((MalformedKey, InvalidRecord)):
            await publishing.renew_certificate()
        assert (marseille.folder / CERTIFICATE).read_bytes() == before
    await scene.heals()
    await publishing.renew_certificate()
    await marseille.stop()
    await marseille.start()
    await scene.heals()


# ---- too much of it ----


async def test_statements_without_end_do_not_fill_the_journal(scene: Scene) -> None:
    paris, marseille = scene.nodes
    (card, _), *_ = await marseille.here.roster.kept_cards(paris.here.member)
    event = pb.Event(statement=card.to_message())  # a card is no step of a transfer: each one of these is refused
    await heard(scene, *[event] * 3000)
    await eventually(lambda: sound(marseille), seconds=60, what="a sound roster")
    lines = await marseille.here.db.read(refusals)
    assert 0 < lines <= 250
    await scene.heals()


def refusals(tx: Any) -> int:
    return int(tx.execute(text("SELECT count(*) FROM journal WHERE action = 'event.refused'")).scalar_one())
