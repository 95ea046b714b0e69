"""Our statements on their way, step by step (node/outbox.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from cordee.errors import (
    BadSignature,
    CardExpired,
    ClockSkew,
    ContentDamaged,
    CordeeError,
    InvalidInput,
    MemberIsSuspended,
    NotAMember,
    NotFound,
    NotInThisState,
    QuotaExceeded,
    Refused,
    RemoteFailure,
    RosterStale,
    StatementRefused,
    TooManyRequests,
    Unreachable,
)
from cordee.ids import TransferId
from cordee.signing import SigningKey
from cordee.statements import peek, time_of
from cordee.transfer import Kind, State
from node import outbox as under_test
from node import transfer_store
from node.outbox import Outbox
from tests.neighbours import eventually

from .stage import PERSON, Half, Stage

REFUSED = StatementRefused(what="Offer", problem="—")
WAIT = [
    Unreachable(peer="directory"),
    CardExpired(),
    RosterStale(age="—", limit="—"),
    QuotaExceeded(),
    TooManyRequests(),
    RemoteFailure(peer="directory", code="INTERNAL"),
]


def sent(half: Half) -> list[Kind]:
    return [peek(each).kind for each in half.line.submitted]


async def test_what_waits_is_sent_in_order_until_nothing_does(stage: Stage, paris: Half, marseille: Half) -> None:
    assert await paris.outbox.flush()
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    paris.news.clear()
    assert await paris.outbox.flush()
    assert sent(paris) == [Kind.OFFER, Kind.WITHDRAWAL]
    assert paris.kinds(made.transfer) == {Kind.OFFER: False, Kind.WITHDRAWAL: False}
    assert paris.news == [made.transfer] * 2
    assert paris.outbox.refusal is None
    for step in ("before_submit", "after_submit"):
        assert f"node.outbox.offer.{step}" in paris.points
    assert await paris.outbox.flush()
    assert len(paris.line.submitted) == 2


async def test_what_is_not_taken_keeps_what_follows_it_and_nothing_else(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    one = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, one.transfer)
    other = await stage.offer(paris, lyon)
    paris.line.answers = [Unreachable(peer="directory")]
    assert not await paris.outbox.flush()
    assert sorted(sent(paris)) == [Kind.OFFER, Kind.OFFER]
    assert sum(paris.kinds(one.transfer).values()) + sum(paris.kinds(other.transfer).values()) == 2


@pytest.mark.parametrize("answer", WAIT, ids=lambda each: each.reason)
async def test_what_may_pass_is_waited_for(stage: Stage, paris: Half, marseille: Half, answer: CordeeError) -> None:
    made = await stage.offer(paris, marseille)
    paris.line.answers = [answer]
    assert not await paris.outbox.flush()
    assert paris.outbox.refusal is answer
    assert paris.kinds(made.transfer) == {Kind.OFFER: True}
    assert (paris.ear.reconciled, paris.ear.given) == ([], [])
    assert await paris.outbox.flush()
    assert paris.outbox.refusal is None


# ---- refused for good ----


async def offer(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    return paris, (await stage.offer(paris, marseille)).transfer


async def acceptance(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.accept(PERSON, made.transfer)
    return marseille, made.transfer


async def refusal(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    made = await stage.offered(paris, marseille)
    await marseille.receiving.decline(PERSON, made.transfer, code="no_capacity")
    return marseille, made.transfer


async def shipment(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    made = await stage.accepted(paris, marseille)
    await paris.shipping.run(made.transfer)
    return paris, made.transfer


async def receipt(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    made = await stage.shipped(paris, marseille)
    await marseille.fetching.run(made.transfer)
    return marseille, made.transfer


async def withdrawal(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    made = await stage.offered(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    return paris, made.transfer


async def erasure(stage: Stage, paris: Half, marseille: Half) -> tuple[Half, TransferId]:
    made = await stage.received(paris, marseille)
    await marseille.receiving.give_back(PERSON, made.transfer, code="wrong_recipient")
    return marseille, made.transfer


Waits = Callable[[Stage, Half, Half], Awaitable[tuple[Half, TransferId]]]
GIVEN_UP: dict[Kind, Waits] = {
    Kind.OFFER: offer,
    Kind.ACCEPTANCE: acceptance,
    Kind.REFUSAL: refusal,
    Kind.SHIPMENT: shipment,
}
KEPT: dict[Kind, Waits] = {Kind.RECEIPT_TAKEN: receipt, Kind.WITHDRAWAL: withdrawal, Kind.ERASURE: erasure}
FOR_GOOD = [REFUSED, Refused(), ContentDamaged(problem="—"), InvalidInput(field="offer", problem="—"), BadSignature()]


@pytest.mark.parametrize(
    ("kind", "answer"), [*((kind, REFUSED) for kind in GIVEN_UP), *((Kind.OFFER, each) for each in FOR_GOOD[1:])]
)
async def test_a_step_that_is_refused_for_good_is_looked_into(
    stage: Stage, paris: Half, marseille: Half, kind: Kind, answer: CordeeError
) -> None:
    half, transfer = await GIVEN_UP[kind](stage, paris, marseille)
    half.ear.settles = Unreachable(peer="directory")
    half.line.answers = [answer]
    assert not await half.outbox.flush()
    assert half.ear.reconciled == [(transfer, kind, answer)]
    assert half.outbox.refusal is half.ear.settles
    assert half.kinds(transfer)[kind], "not forgotten before the directory has said how it stands"


async def test_what_follows_a_step_that_was_looked_into_is_sent(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)

    async def settled(transfer: TransferId, *, dropped: Kind | None, refused: CordeeError | None) -> None:
        await paris.answers.dropped(transfer, dropped, refused, at_broker=State.OFFERED)

    paris.ear.reconcile = settled  # type: ignore[method-assign]
    paris.line.answers = [REFUSED]
    assert await paris.outbox.flush()
    assert sent(paris) == [Kind.OFFER, Kind.WITHDRAWAL]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        *((kind, each) for kind in KEPT for each in (REFUSED, FOR_GOOD[-1])),
        *((Kind.RECEIPT_TAKEN, each) for each in FOR_GOOD[1:-1]),
    ],
)
async def test_what_is_a_fact_waits_until_it_can_be_taken(
    stage: Stage, paris: Half, marseille: Half, kind: Kind, answer: CordeeError
) -> None:
    half, transfer = await KEPT[kind](stage, paris, marseille)
    half.line.answers = [answer]
    assert not await half.outbox.flush()
    assert half.kinds(transfer)[kind]
    assert half.ear.reconciled == []
    assert half.outbox.refusal is answer


# ---- not a member ----


async def test_an_offer_to_a_member_that_was_removed_ends(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    stage.network.remove(marseille.keys)
    await paris.house.roster.sync()
    gone = NotAMember()
    paris.line.answers = [gone]
    paris.ear.settles = Unreachable(peer="directory")
    assert not await paris.outbox.flush()
    assert paris.ear.reconciled == [(made.transfer, Kind.OFFER, gone)]


@pytest.mark.parametrize("answer", [NotAMember(), MemberIsSuspended()], ids=lambda each: each.reason)
async def test_an_offer_to_one_that_may_come_back_waits(
    stage: Stage, paris: Half, marseille: Half, answer: CordeeError
) -> None:
    made = await stage.offer(paris, marseille)
    stage.network.suspend(marseille.keys)
    await paris.house.roster.sync()
    paris.line.answers = [answer]
    assert not await paris.outbox.flush()
    assert (paris.ear.reconciled, paris.outbox.refusal) == ([], answer)
    assert paris.kinds(made.transfer)[Kind.OFFER]


async def test_a_withdrawal_from_a_member_that_was_removed_waits(stage: Stage, paris: Half, marseille: Half) -> None:
    _, transfer = await withdrawal(stage, paris, marseille)
    stage.network.remove(marseille.keys)
    await paris.house.roster.sync()
    paris.line.answers = [NotAMember()]
    assert not await paris.outbox.flush()
    assert paris.ear.reconciled == []
    assert paris.kinds(transfer)[Kind.WITHDRAWAL]


# ---- overtaken ----


async def test_what_was_overtaken_is_followed(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    paris.line.answers = [NotInThisState(state="withdrawn", statement="offer")]
    paris.ear.settles = Unreachable(peer="directory")
    assert not await paris.outbox.flush()
    assert (paris.ear.given, paris.ear.reconciled) == ([made.transfer], [(made.transfer, Kind.OFFER, None)])
    assert len(paris.line.submitted) == 1


@pytest.mark.parametrize("answer", [NotInThisState(state="—", statement="—"), NotFound(what="transfer")])
async def test_what_the_directory_had_forgotten_is_given_back_and_sent_again_once(
    stage: Stage, paris: Half, marseille: Half, answer: CordeeError
) -> None:
    made = await stage.offer(paris, marseille)
    paris.ear.gives_back = True
    paris.line.answers = [answer]
    assert await paris.outbox.flush()
    assert (len(paris.line.submitted), paris.ear.given, paris.ear.reconciled) == (2, [made.transfer], [])
    await paris.sending.withdraw(PERSON, made.transfer)
    paris.line.answers = [answer, answer]
    paris.ear.settles = Unreachable(peer="directory")
    assert not await paris.outbox.flush()
    assert (len(paris.line.submitted), paris.ear.given) == (4, [made.transfer] * 2)
    assert paris.ear.reconciled == [(made.transfer, Kind.WITHDRAWAL, None)]


async def test_what_cannot_be_given_back_is_overtaken(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    paris.ear.gives_back = Unreachable(peer="directory")
    paris.ear.settles = Unreachable(peer="directory")
    paris.line.answers = [NotInThisState(state="—", statement="—")]
    assert not await paris.outbox.flush()
    assert len(paris.line.submitted) == 1
    assert paris.ear.reconciled == [(made.transfer, Kind.OFFER, None)]


async def test_only_a_withdrawal_is_done_with_where_the_directory_knows_of_no_offer(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    unknown = NotFound(what="transfer")
    half, transfer = await acceptance(stage, paris, marseille)
    half.line.answers = [unknown]
    assert not await half.outbox.flush()
    assert (half.ear.reconciled, half.outbox.refusal) == ([], unknown)
    assert half.kinds(transfer)[Kind.ACCEPTANCE]
    half, transfer = await withdrawal(stage, paris, marseille)
    half.line.answers = [unknown]
    half.ear.settles = Unreachable(peer="directory")
    assert not await half.outbox.flush()
    assert half.ear.reconciled == [(transfer, Kind.WITHDRAWAL, None)]


# ---- dated anew, signed anew ----


async def test_what_waited_for_too_long_is_dated_anew(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    stage.clock.advance(timedelta(minutes=5, seconds=1).total_seconds())
    paris.line.answers = [ClockSkew(theirs="—", ours="—")]
    assert await paris.outbox.flush()
    first, second = paris.line.submitted
    assert time_of(second) == stage.clock.now() != time_of(first)
    kept = paris.statement(made.transfer, Kind.OFFER)
    assert kept is not None
    assert kept.digest == second.digest
    assert paris.kinds(made.transfer) == {Kind.OFFER: False}


async def test_where_this_machines_clock_is_wrong_nothing_is_dated_anew(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    await stage.offer(paris, marseille)
    stage.clock.advance(timedelta(minutes=5).total_seconds())
    paris.line.answers = [ClockSkew(theirs="—", ours="—")]
    assert not await paris.outbox.flush()
    assert isinstance(paris.outbox.refusal, ClockSkew)
    assert len(paris.line.submitted) == 1


async def test_what_a_clock_that_was_ahead_had_dated_can_be_taken_once_it_is_right(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    stage.clock.advance(timedelta(seconds=400).total_seconds())
    made = await stage.offer(paris, marseille)
    stage.clock.advance(timedelta(seconds=-400).total_seconds())
    paris.line.answers = [ClockSkew(theirs="—", ours="—")]
    assert await paris.outbox.flush()
    await stage.hears(marseille, paris.line.submitted[1], Kind.OFFER)
    assert marseille.state(made.transfer) is State.OFFERED


async def test_an_offer_that_would_be_over_once_it_is_dated_anew_ends_and_does_not_stand(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offer(paris, marseille)
    stage.clock.advance(timedelta(days=30).total_seconds())
    paris.line.answers = [ClockSkew(theirs="—", ours="—")]
    paris.ear.settles = Unreachable(peer="directory")
    assert not await paris.outbox.flush()
    (looked,) = paris.ear.reconciled
    assert (looked[0], looked[1], type(looked[2])) == (made.transfer, Kind.OFFER, StatementRefused)
    assert len(paris.line.submitted) == 1


async def test_a_withdrawal_names_the_offer_that_was_dated_anew(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    stage.clock.advance(timedelta(hours=1).total_seconds())
    paris.line.answers = [ClockSkew(theirs="—", ours="—")]
    assert await paris.outbox.flush()
    assert sent(paris) == [Kind.OFFER, Kind.OFFER, Kind.WITHDRAWAL]
    await stage.hears(marseille, paris.line.submitted[1], Kind.OFFER)
    await stage.hears(marseille, paris.line.submitted[2], Kind.WITHDRAWAL)
    assert marseille.state(made.transfer) is State.WITHDRAWN


async def test_what_was_overtaken_while_it_was_dated_anew_is_not_sent(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offer(paris, marseille)
    stage.clock.advance(timedelta(hours=1).total_seconds())
    paris.line.answers = [ClockSkew(theirs="—", ours="—")]
    forget = transfer_store.forget_waiting
    paris.line.meanwhile = lambda: paris.house.db.write_sync(lambda tx: forget(tx, made.transfer, [Kind.OFFER]))
    assert await paris.outbox.flush()
    assert len(paris.line.submitted) == 1
    assert paris.kinds(made.transfer) == {}


async def test_what_the_replaced_key_had_signed_is_signed_anew(stage: Stage, paris: Half, marseille: Half) -> None:
    await stage.offer(paris, marseille)
    paris.house.keys.identity = SigningKey.generate(paris.house.random)
    paris.line.answers = [BadSignature()]
    assert await paris.outbox.flush()
    assert paris.line.submitted[1].signer == paris.house.keys.identity.public.key_id
    assert paris.ear.reconciled == []


async def test_nothing_leaves_before_a_change_of_the_key_has_come_to_its_end(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    await stage.offer(paris, marseille)
    paris.ear.key_waits = Unreachable(peer="directory")
    assert not await paris.outbox.flush()
    assert paris.line.submitted == []
    paris.ear.key_waits = REFUSED  # it comes to nothing: the old key stays in force
    assert await paris.outbox.flush()
    assert len(paris.line.submitted) == 1


# ---- at work ----


async def until(holds: Callable[[], bool]) -> None:
    await eventually(holds, seconds=60)


async def test_at_work_it_sends_what_comes_and_tries_again(
    stage: Stage, paris: Half, marseille: Half, lyon: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_LEAST_PAUSE", 0.01)
    monkeypatch.setattr(under_test, "_PAUSE", 0.01)
    first = await stage.offer(paris, marseille)
    paris.line.answers = [Unreachable(peer="directory"), TooManyRequests()]
    work = asyncio.create_task(paris.outbox.run())
    await until(lambda: not paris.kinds(first.transfer)[Kind.OFFER])
    second = await stage.offer(paris, lyon)
    await until(lambda: not paris.kinds(second.transfer)[Kind.OFFER])
    assert sent(paris) == [Kind.OFFER] * 4
    await until(lambda: not paris.outbox._under_way)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_each_pause_is_longer_than_the_last_and_as_long_as_the_directory_asks(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.offer(paris, marseille)
    away = Unreachable(peer="directory")
    paris.line.answers = [away, TooManyRequests(seconds=5), TooManyRequests(seconds=1000), away, away, away, away]
    slept: list[float] = []
    pauses: list[float | None] = []
    sleep, timeout = asyncio.sleep, asyncio.timeout

    async def at_once(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    def soon(seconds: float | None) -> asyncio.Timeout:
        pauses.append(seconds)
        return timeout(0)

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", at_once)
        patch.setattr(asyncio, "timeout", soon)
        await paris.outbox._work(made.transfer)
    assert slept == [0.1, 5.0, 60.0, 0.1, 0.1, 0.1, 0.1]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert paris.house.changes.post.is_set()


async def test_news_shortens_the_pause_and_one_attempt_runs_at_a_time(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_LEAST_PAUSE", 0.01)
    monkeypatch.setattr(under_test, "_PAUSE", 3600.0)
    monkeypatch.setattr(under_test, "_LONGEST_PAUSE", 3600.0)
    made = await stage.offer(paris, marseille)
    paris.line.answers = [Unreachable(peer="directory")]
    work = asyncio.create_task(paris.outbox.run())
    await until(lambda: len(paris.line.submitted) == 1)
    for _ in range(100):  # until it waits for news
        await asyncio.sleep(0.01)
        paris.house.changes.post.set()
        if not paris.kinds(made.transfer)[Kind.OFFER]:
            break
    await until(lambda: not paris.kinds(made.transfer)[Kind.OFFER])
    assert len(paris.line.submitted) == 2
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_when_it_stops_nothing_of_it_runs_on(stage: Stage, paris: Half, marseille: Half) -> None:
    await stage.offer(paris, marseille)
    paris.line.answers = [Unreachable(peer="directory")] * 10
    work = asyncio.create_task(paris.outbox.run())
    await until(lambda: len(paris.line.submitted) == 1)
    (attempt,) = paris.outbox._under_way.values()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert attempt.done()
    assert paris.outbox._under_way == {}


async def test_what_nobody_foresaw_is_tried_again(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage.offer(paris, marseille)

    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(transfer_store, "mark_taken", full)
    assert await paris.outbox._try(made.transfer) is False
    monkeypatch.undo()
    assert await paris.outbox._try(made.transfer) is True


async def test_however_many_wait_few_calls_are_open_at_once(stage: Stage, paris: Half, marseille: Half) -> None:
    assert isinstance(paris.outbox, Outbox)
    for _ in range(10):
        await stage.offer(paris, marseille)
    open_, most, go = 0, 0, asyncio.Event()
    submit = paris.line.submit

    async def slow(signed: object) -> str:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        await go.wait()
        open_ -= 1
        return await submit(signed)  # type: ignore[arg-type]

    paris.line.submit = slow  # type: ignore[method-assign]
    work = asyncio.create_task(paris.outbox.flush())
    await until(lambda: open_ == 8)
    for _ in range(20):
        await asyncio.sleep(0)
    go.set()
    assert await work
    assert most == 8
