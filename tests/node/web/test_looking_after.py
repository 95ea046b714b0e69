from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

import node as package
from cordee.transfer import Kind, State
from cordee.words import six_words
from node import journal
from node.health import health_of
from node.web.journal_words import ACTIONS, FACTS, facts_told, outcome_told

from .acting import House, house_with_a_case


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


async def test_a_node_without_a_connection_says_so_and_what_to_do(house: House) -> None:
    shown = await (await house.person("Adrien")).get("/node")
    assert "Something needs you" in shown.text
    assert "There is none at this moment." in shown.text
    assert "None was ever made." in shown.text
    assert "Nobody: there is no recovery kit." in shown.text


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


# ---- the journal in words ----


def test_every_action_that_the_node_journals_has_a_word() -> None:
    source = "".join(each.read_text() for each in Path(package.__path__[0]).rglob("*.py"))
    written = set(re.findall(r'(?:action|_note\([^"\n]*)[=, ]*"([a-z_]+\.[a-z_]+)"', source))
    written |= {f"statement.{each.value}" for each in Kind if each is not Kind.EXPIRY} | {
        f"transfer.{each.value}" for each in State
    }
    assert len(written) > 60
    assert sorted(written - ACTIONS.keys()) == []


def test_every_fact_that_the_node_journals_has_a_label() -> None:
    source = "".join(each.read_text() for each in Path(package.__path__[0]).rglob("*.py"))
    lines = re.findall(r"journal\.append\((.*?)\n\n", source, re.DOTALL)
    keys = {
        key
        for line in lines
        for facts in re.findall(r"facts=\{([^}]*)\}", line)
        for key in re.findall(r'"(\w+)":', facts)
    }
    assert {"attachment", "bytes", "page", "version"} <= keys
    assert not keys - FACTS.keys()


@pytest.mark.parametrize(
    ("facts", "french", "english"),
    [
        ({"bytes": "52428800"}, "taille : 52,4 Mo", "size: 52.4 MB"),
        ({"roles": "handler,lead"}, "rôles : référent, responsable", "roles: handler, lead"),
        ({"bound_by_secrecy": "true"}, "tenu au secret professionnel : oui", "bound by professional secrecy: yes"),
        ({"section": "contact"}, "rubrique : Moyens de contact sûrs", "section: Safe ways of contact"),
        ({"team": "everybody"}, "équipe : toute l’association", "team: the whole association"),
        ({"team": "t-1"}, "équipe : Équipe de nuit", "team: Équipe de nuit"),
    ],
)
def test_a_fact_is_told_in_words(facts: dict[str, str], french: str, english: str) -> None:
    for language, told in (("fr", french), ("en", english)):
        [fact] = facts_told(facts, {"t-1": "Équipe de nuit"}, language)
        label, _, value = told.partition(" : " if language == "fr" else ": ")
        assert (fact.label, fact.value.replace("\xa0", " "), fact.code) == (label, value, False)


def test_what_has_no_word_stays_as_a_code_and_says_so() -> None:
    [fact] = facts_told({"page": "people"}, {}, "fr")
    assert fact.code
    assert outcome_told("NEVER_HEARD_OF", "fr") == ("NEVER_HEARD_OF", True)


def test_how_it_went_is_told_in_words() -> None:
    assert outcome_told("done", "fr") == ("", False)
    assert outcome_told("no_capacity", "en") == ("no free place or no capacity at present", False)
    assert outcome_told("OVERTAKEN", "en")[1]


async def test_the_journals_page_tells_a_line_without_codes(house: House) -> None:
    node, now = house.node, house.node.clock.now()
    facts = {"roles": "handler,lead", "bound_by_secrecy": "false"}
    await node.db.write(
        lambda tx: journal.append(tx, now=now, actor="node", action="account.changed", subject="x", facts=facts)
    )
    shown = unescape(await _text(house, "/journal?topic=account."))
    assert "roles: handler, lead" in shown
    assert "bound by professional secrecy: no" in shown
    assert "bound_by_secrecy" not in shown
    assert "account.changed" not in shown


async def _text(house: House, path: str) -> str:
    shown = (await (await house.person("Aude")).get(path)).text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", shown.partition('<ol class="lines journal">')[2]))
