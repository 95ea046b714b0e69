"""Whoever loses its standing loses its calls at a node's own mailbox at the moment at which the node hears of it."""

from __future__ import annotations

import asyncio

import pytest

from cordee.errors import NotAMember
from cordee.ids import Digest, MemberId
from cordee.runtime.clock import ManualClock
from cordee.runtime.guard import Caller, ConnectionGuard
from node.direct_mailbox import Standing
from tests.builders import FOUNDED, Network

SOON = 5.0


async def resolve(digest: Digest) -> MemberId:
    raise NotAMember


async def call(guard: ConnectionGuard, member: MemberId, begun: asyncio.Event) -> None:
    with guard.running(Caller(member, Digest(bytes(32)))):
        begun.set()
        await asyncio.sleep(60)


@pytest.mark.parametrize("how", ["suspend", "remove"])
async def test_its_calls_and_sessions_end_and_nobody_elses(how: str) -> None:
    network = Network.found()
    paris, marseille = network.admit("Paris"), network.admit("Marseille")
    guard = ConnectionGuard(resolve, ManualClock(FOUNDED))
    standing = Standing(guard)
    await standing.follow(network.roster)
    assert standing.sessions == 0
    begun = [asyncio.Event(), asyncio.Event()]
    calls = [
        asyncio.create_task(call(guard, each.id, event)) for each, event in zip((paris, marseille), begun, strict=True)
    ]
    for event in begun:
        await asyncio.wait_for(event.wait(), SOON)
    getattr(network, how)(paris)
    await standing.follow(network.roster)
    with pytest.raises(NotAMember):
        await asyncio.wait_for(calls[0], SOON)
    assert standing.sessions == 1
    await standing.follow(network.roster)
    assert (standing.sessions, calls[1].done()) == (1, False), "once for each that falls"
    calls[1].cancel()


async def test_one_that_comes_back_and_falls_again_loses_them_again() -> None:
    network = Network.found()
    paris = network.admit("Paris")
    standing = Standing(ConnectionGuard(resolve, ManualClock(FOUNDED)))
    for change in (network.suspend, network.reinstate, network.suspend):
        change(paris)
        await standing.follow(network.roster)
    assert standing.sessions == 2
