"""Whole nodes say how much of the log they hold, and administrators read it."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from cordee.errors import MemberIsSuspended, Unreachable
from cordee.members import MemberState
from cordee.runtime.output import Output
from cordee.v1 import statements_pb2 as v1
from directory.administrator.client import FrontClient, connected
from directory.administrator.home import Home, LogCopy
from directory.administrator.stopwatch import Stopwatch, stopwatch
from directory.cli.session import Session
from directory.cli.watching import follow
from tests.neighbours import Neighbour, Street, eventually, neighbourhood


@asynccontextmanager
async def administrator(street: Street) -> AsyncIterator[FrontClient]:
    network = street.town.network
    async with connected(
        street.town.listening.front,
        root=street.town.ca,
        network=network.roster.network,
        key=network.administrators[0],
        clock=street.clock,
        random=os.urandom,
    ) as client:
        yield client


async def watched(street: Street, client: FrontClient, log: LogCopy) -> Stopwatch:
    nodes, doubts = await client.nodes(log)
    assert doubts == {}
    assert log.roster is not None
    return stopwatch(nodes, log.roster, size=log.size)


async def suspend(street: Street, neighbour: Neighbour) -> None:
    network = street.town.network
    network.now = max(network.now, street.clock.now())
    assert neighbour.member is not None
    statement = v1.MemberSuspended(**network.roster.head(neighbour.member, street.clock.now()), member=neighbour.member)
    await street.town.append(network.append(network.signed_entry(statement)))


async def test_the_stopwatch_tells_who_knows_of_a_suspension_and_who_was_away(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", "Lille") as (street, (paris, marseille, lille)):
        log = LogCopy(tmp_path / "log", street.town.network.roster.network)
        async with administrator(street) as client:

            async def all_know(count: int) -> Stopwatch | None:
                watch = await watched(street, client, log)
                return watch if len(watch.know) == count else None

            await eventually(lambda: all_know(3), what="every node's word")
            await marseille.stop()
            street.clock.advance(timedelta(hours=3))
            await suspend(street, lille)
            watch: Stopwatch = await eventually(lambda: all_know(1), what="the word of Paris")
            assert [each.member for each in watch.know] == [paris.member]
            (away,) = watch.not_yet
            assert (away.member, away.connected, away.size) == (marseille.member, False, 4)
            assert away.heard is not None
            assert street.clock.now() - away.heard > timedelta(hours=2, minutes=50)
            assert watch.reached, "whoever is not connected is not waited for"

            assert lille.member is not None
            assert paris.here.roster.roster.members[lille.member].state is MemberState.SUSPENDED
            with pytest.raises(MemberIsSuspended):
                paris.here.roster.require_fresh(street.clock.now()).active(lille.member)

            await marseille.start()
            watch = await eventually(lambda: all_know(2), what="the word of Marseille")
            assert not watch.not_yet


async def test_whoever_suspends_sees_it_arrive_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", "Lille") as (street, (paris, marseille, lille)):
        home = Home(tmp_path / "home")
        home.create(street.town.network.roster.network, street.town.directory.house.founding())
        for each in (paris, marseille, lille):
            assert each.member is not None
            home.name(each.member, each.name)
        log = home.log()
        async with administrator(street) as client:
            await eventually(functools.partial(_heard_of, client, log, 3), what="every node's word")
            await marseille.stop()
            await suspend(street, lille)
            roster = await client.sync(log)
            output = Output(click.Context(click.Command("test"), obj=None))
            key = street.town.network.administrators[0]
            session = Session(home, client, log, roster, key, street.clock, output)
            seen = await follow(session, {"appended": True}, 30)
        assert (seen["nodes"], seen["know"]) == (2, 1)
        assert seen["seconds"] < 20, "it does not wait for a node that is not connected"
        (away,) = seen["not_yet"]
        assert (away["name"], away["knows"], away["behind"], away["connected"]) == ("Marseille", False, 1, False)
        told = capsys.readouterr().err
        assert "Nœuds au courant\u00a0: 1 sur 2, après" in told
        assert "Marseille\u00a0: pas de nouvelles depuis le " in told
        assert "coupé depuis 24 h 00 min, il ne reçoit et n’envoie plus rien" in told


async def test_a_directory_that_is_away_for_a_moment_does_not_end_it(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, _):
        home = Home(tmp_path / "home")
        home.create(street.town.network.roster.network, street.town.directory.house.founding())
        log = home.log()
        async with administrator(street) as client:
            await eventually(functools.partial(_heard_of, client, log, 1), what="the node's word")
            asked = client.nodes
            times: list[int] = []

            async def away_at_first(*given: Any, **options: Any) -> Any:
                times.append(1)
                if len(times) == 1:
                    raise Unreachable(peer="The directory")
                return await asked(*given, **options)

            client.nodes = away_at_first  # type: ignore[method-assign]  # a line that breaks once
            output = Output(click.Context(click.Command("test"), obj=None))
            key = street.town.network.administrators[0]
            session = Session(home, client, log, await client.sync(log), key, street.clock, output)
            seen = await follow(session, {"appended": True}, 30)
        assert (seen["nodes"], seen["know"], len(times)) == (1, 1, 2)


async def _heard_of(client: FrontClient, log: LogCopy, count: int) -> bool:
    nodes, _ = await client.nodes(log)
    return len([each for each in nodes.values() if each.size]) == count


async def test_what_is_not_signed_by_enough_is_not_followed() -> None:
    outcome = {"appended": False, "signatures": 1}
    assert await follow(None, outcome, 60) == outcome  # type: ignore[arg-type]  # it asks nobody


async def test_a_node_says_it_once_an_hour_though_nothing_grows(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, _):
        log = LogCopy(tmp_path / "log", street.town.network.roster.network)
        async with administrator(street) as client:

            async def heard() -> object:
                nodes, _ = await client.nodes(log)
                return next((each.heard for each in nodes.values()), None)

            first = await eventually(heard, what="the first word")
            street.clock.advance(timedelta(minutes=61))  # the directory signs anew, and hints

            async def again() -> bool:
                return await heard() != first

            await eventually(again, what="the next word")
