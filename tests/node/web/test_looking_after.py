from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cordee.words import six_words
from node import journal
from node.health import health_of

from .acting import House, house_with_a_case


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


async def test_a_node_without_a_connection_says_so_and_what_to_do(house: House) -> None:
    shown = await (await house.person("Adrien")).get("/node")
    assert "Something needs you" in shown.text
    assert "There is none at this moment." in shown.text
    assert "The node makes no backup by itself yet" in shown.text


async def test_a_journal_that_was_never_signed_is_looked_at_when_it_is_some_hours_old(house: House) -> None:
    assert (await health_of(house.node)).journal_well
    house.node.clock.advance(3 * 3600)  # type: ignore[attr-defined]  # a clock of tests
    assert not (await health_of(house.node)).journal_well
    now = house.node.clock.now()
    await house.node.db.write(lambda tx: journal.sign_head(tx, house.node.house.keys.identity, now=now))
    assert (await health_of(house.node)).journal_well


async def test_a_line_that_somebody_altered_is_told_with_its_number(house: House) -> None:
    await house.node.db.write(lambda tx: tx.exec_driver_sql("UPDATE journal SET subject = 'x' WHERE line = 2").close())
    answer = await (await house.person("Aude")).post("/journal/verify", {}, page="/journal")
    assert answer.status_code == 409
    assert "2" in answer.text.partition('id="errors"')[2][:400]


async def test_the_six_words_of_any_member_are_shown(house: House) -> None:
    person, node = await house.person("Hélène"), house.node
    for member in node.roster.roster.members.values():
        shown = await person.get(f"/words/{member.id.hex()}")
        assert all(f"<li>{word}</li>" in shown.text for word in six_words(member.identity))
    assert (await person.get(f"/words/{'00' * 16}")).status_code == 404


async def test_free_places_that_are_no_number_come_back_in_words(house: House) -> None:
    answer = await (await house.person("Hélène")).post("/places", {"service": "x", "free": "trois"}, page="/places")
    assert answer.status_code == 422
    assert "it is a number" in answer.text
