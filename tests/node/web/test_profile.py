"""The association's profile: a form with its errors, a preview, and what the others read once it is published."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import FormData

from cordee.errors import CardExpired
from cordee.members import registration_digest
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from node import journal, profile_editing
from node.people import Role
from node.roster_sync import KnownCard
from node.web.profile_form import association_fields, document_from, service_entries
from tests.neighbours import Neighbour, Street, eventually, neighbourhood

from ..association import profiles
from .acting import House, Person, house_with_a_case
from .following import browser

_INPUT = re.compile(r"<input ([^>]*)>|<textarea ([^>]*)>([^<]*)</textarea>|<select ([^>]*)>(.*?)</select>", re.DOTALL)
_OPTION = re.compile(r'<option value="([^"]*)" selected>')
_ATTRIBUTE = re.compile(r'([a-z]+)="([^"]*)"')


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


def _typed(shown: str) -> list[tuple[str, str]]:
    """What a browser sends of the form that is shown, if nobody touches it."""
    sent: list[tuple[str, str]] = []
    form = shown[shown.index('action="/profile') :]
    for box, area, text, select, options in _INPUT.findall(form[: form.index("</form>")]):
        facts = dict(_ATTRIBUTE.findall(box or area or select))
        if "name" not in facts:
            continue
        if select:
            chosen = _OPTION.findall(options)
            value = chosen[0] if chosen else ""
        elif area:
            value = text
        elif facts.get("type") in ("checkbox", "radio"):
            if " checked" not in f" {box}":
                continue
            value = facts.get("value", "on")
        else:
            value = facts.get("value", "")
        sent.append((facts["name"], unescape(value)))
    return sent


def _with(typed: list[tuple[str, str]], **changed: Any) -> dict[str, list[str]]:
    """With other answers; `__` stands for a point."""
    fields: dict[str, list[str]] = {}
    for name, value in typed:
        fields.setdefault(name, []).append(value)
    for name, value in changed.items():
        fields[name.replace("__", ".")] = value if isinstance(value, list) else [value]
    return fields


async def _form(person: Person) -> list[tuple[str, str]]:
    shown = (await person.get("/profile/edit")).text
    return [each for each in _typed(shown) if each[0] != "form_token"]


def _document(house: House) -> dict[str, Any]:
    return profile_editing.present(house.node)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_form_that_nobody_touches_changes_nothing(number: int) -> None:
    document = profiles()[number]
    sent: list[tuple[str, str]] = []
    fields = [*association_fields(document), *(f for e in service_entries(document) for f in e.fields)]
    for field in fields:
        sent.append((f"{field.name}:there", "1"))
        if field.kind == "several":
            sent += [(field.name, each) for each in reversed(field.value or [])]
        elif field.kind == "yes":
            sent += [(field.name, "on")] if field.value else []
        else:
            sent.append((field.name, "" if field.value is None else str(field.value)))
    after = document_from(document, FormData(sent), now=datetime(2026, 5, 1, tzinfo=UTC), random=lambda n: bytes(n))
    assert after == document


async def test_the_form_shows_what_is_published_and_a_preview_publishes_nothing(house: House) -> None:
    person, before = await house.person("Adrien"), _document(house)
    typed = await _form(person)
    changed = _with(typed, services__0__opening_hours="Mo-Fr 09:00-17:00", services__0__age_max="20")
    shown = await person.post("/profile/edit", changed)
    assert shown.status_code == 200
    assert "Mo-Fr 09:00-17:00" in shown.text
    assert "Opening hours" in shown.text
    assert _document(house) == before


async def test_errors_stand_beside_the_fields_and_what_was_typed_comes_back(house: House) -> None:
    person = await house.person("Adrien")
    typed = await _form(person)
    changed = _with(
        typed, services__0__age_max="vingt", services__0__territory__departements="13 999", display_name="ab"
    )
    refused = await person.post("/profile/edit", changed)
    assert refused.status_code == 422
    for anchor in ("profile-display_name", "profile-services-0-age_max", "profile-services-0-territory-departements"):
        assert f'href="#{anchor}' in refused.text, anchor
        assert f'id="{anchor}-error"' in refused.text, anchor
    for text in ("vingt", "13 999", 'value="ab"'):
        assert text in refused.text


async def test_a_number_whose_check_digits_are_wrong_is_a_warning(house: House) -> None:
    person = await house.person("Adrien")
    typed = _with(await _form(person), rna="X123")
    shown = await person.post("/profile/edit", typed)
    assert shown.status_code == 200
    assert "The RNA number is usually W and nine digits." in shown.text


async def test_a_service_is_added_and_another_taken_out(house: House) -> None:
    person = await house.person("Adrien")
    added = {
        "services__new__name": "Accueil de jour",
        "services__new__specialities": ["day_centre"],
        "services__new__age_min": "12",
        "services__new__age_max": "17",
        "services__new__languages": "fr, en",
        "services__new__territory__scope": "departements",
        "services__new__territory__departements": "13 2a",
        "services__new__shelter__places_total": "4",
    }
    shown = await person.post("/profile/edit", _with(await _form(person), **added))
    assert shown.status_code == 200
    found = re.search(r'name="document" value="([^"]+)"', shown.text)
    assert found
    new = json.loads(unescape(found[1]))["services"][-1]
    assert new["territory"]["departements"] == ["13", "2A"]
    assert new["shelter"]["places_available"] == 0, "until somebody says otherwise"
    assert new["shelter"]["address_confidential"] is True
    left = [each["name"] for each in json.loads(unescape(found[1]))["services"][:-1]]
    assert left == [each["name"] for each in _document(house)["services"]]


async def test_another_legal_name_is_not_taken_from_the_form(house: House) -> None:
    person = await house.person("Adrien")
    typed = _with(await _form(person), document=json.dumps({**_document(house), "legal_name": "Autre"}))
    shown = await person.post("/profile/edit", typed)
    assert "Autre" not in shown.text


async def test_only_an_administrator_changes_it_and_a_lead_may_look(house: House) -> None:
    lead = await house.person("Léa")
    assert _document(house)["display_name"] in unescape((await lead.get("/profile")).text)
    assert (await lead.get("/profile/edit")).status_code == 403


def test_what_is_told_elsewhere_is_no_other_profile_and_is_kept() -> None:
    document = profiles()[0]
    later = json.loads(json.dumps(document))
    later["services"][0]["intake_status"] = "closed"
    later["updated_at"] = "2026-05-02T00:00:00Z"
    assert profile_editing.base_of(later) == profile_editing.base_of(document)
    later["services"][0]["age_max"] += 1
    assert profile_editing.base_of(later) != profile_editing.base_of(document)
    assert profile_editing.changes(document, later) == ["services.age_max", "services.intake_status"]


async def test_what_is_published_is_what_the_others_read(tmp_path: Path) -> None:
    async with (
        neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)),
        browser(paris, "Adrienne", Role.ADMINISTRATOR) as person,
    ):
        typed = _with([e for e in _typed(await person.ask("/profile/edit")) if e[0] != "form_token"])
        typed["display_name"] = ["Un autre nom"]
        typed["public_contact.website"] = ["https://exemple.fr"]
        typed["services.0.name"] = ["Un autre service"]
        shown = await person.send("/profile/edit", status=200, **typed)
        carried = dict(_typed(shown.text))
        again = {"document": carried["document"], "base": carried["base"], "do": "publish"}
        await person.send("/draft", status=204, **typed)
        answer = await person.send("/profile/publish", **again)
        assert answer.headers["location"] == "/profile?done=published"

        def reads() -> bool:
            now = street.clock.now()
            return marseille.here.roster.card(paris.member, now=now).profile.display_name == "Un autre nom"

        await eventually(reads)
        told = await person.ask("/profile")
        assert "Un autre nom" in told
        assert "You have a draft" not in await person.ask("/profile/edit")
        assert "Name displayed in the directory" in told
        node = paris.here
        (line,) = await node.db.read(lambda tx: journal.latest(tx, action="profile.published", limit=5))
        assert line.facts["fields"] == "display_name,public_contact.website,services.name"
        stale = await person.send("/profile/publish", status=409, **again)
        assert "published meanwhile" in stale.text


async def test_a_name_that_the_network_corrected_is_typed_into_the_profile(tmp_path: Path) -> None:
    async with (
        neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)),
        browser(paris, "Adrienne", Role.ADMINISTRATOR) as person,
    ):
        assert "corrected your legal name" not in await person.ask("/profile")
        registration = registration_digest("Association Paris et Meaux", paris.profile["siret"])
        town = street.town
        head = town.network.roster.head(paris.here.member, town.network.now)
        statement = v1.MemberCorrected(
            **head, member=paris.here.member, registration=registration, bound_by_secrecy=True
        )
        await town.append(town.network.append(town.network.signed_entry(statement)))
        await eventually(lambda: profile_editing.is_corrected(paris.here))
        number = await paris.here.publishing.publish(by="node")  # a card that is renewed meanwhile bears the old name
        await eventually(lambda: _card(street, marseille, paris).card.number == number)

        assert "corrected your legal name" in await person.ask("/profile")
        typed = _with([e for e in _typed(await person.ask("/profile/edit")) if e[0] != "form_token"])
        assert typed["legal_name"] == ["Association Paris"]
        typed["legal_name"] = ["Association Paris et Melun"]
        refused = await person.send("/profile/edit", status=422, **typed)
        assert 'id="profile-legal_name-error"' in refused.text
        assert "Association Paris et Melun" in refused.text
        typed["legal_name"] = ["Association Paris et Meaux"]
        shown = await person.send("/profile/edit", status=200, **typed)
        carried = dict(_typed(shown.text))
        again = {"document": carried["document"], "base": carried["base"], "do": "publish"}
        assert (await person.send("/profile/publish", **again)).headers["location"] == "/profile?done=published"
        await eventually(lambda: _card(street, marseille, paris).profile.legal_name == "Association Paris et Meaux")
        assert "corrected your legal name" not in await person.ask("/profile")


def _card(street: Street, reader: Neighbour, writer: Neighbour) -> KnownCard:
    assert writer.member is not None
    return reader.here.roster.card(writer.member, now=street.clock.now())


async def test_what_the_office_asks_to_change_is_told_until_another_profile_is_published(tmp_path: Path) -> None:
    reason = "L’adresse de l’abri est dans la description."
    async with (
        neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)),
        browser(paris, "Adrienne", Role.ADMINISTRATOR) as person,
    ):
        number = _card(street, marseille, paris).card.number
        command = v1.RefuseCard(member=paris.here.member, number=number, reason=reason)
        request = pb.RefuseCardRequest(command=street.town.command(command))
        await street.town.administer("RefuseCard", request)
        await eventually(lambda: paris.here.roster.asked_to_correct == reason)
        assert reason in await person.ask("/profile")
        assert marseille.here.roster.asked_to_correct == ""

        await paris.here.publishing.publish(by="node")  # a card that is renewed by itself mends nothing
        assert paris.here.roster.asked_to_correct == reason
        lyon = await street.settle("Lyon", 2)
        await lyon.start()
        await eventually(lambda: lyon.here.roster.name_of(marseille.here.member) == "Marseille")
        assert lyon.here.roster.name_of(paris.here.member) != "Paris", "who comes meanwhile does not read it"

        typed = _with([e for e in _typed(await person.ask("/profile/edit")) if e[0] != "form_token"])
        typed["services.0.description"] = ["Sans adresse."]
        carried = dict(_typed((await person.send("/profile/edit", status=200, **typed)).text))
        again = {"document": carried["document"], "base": carried["base"], "do": "publish"}
        assert (await person.send("/profile/publish", **again)).headers["location"] == "/profile?done=published"
        assert paris.here.roster.asked_to_correct == ""
        assert reason not in await person.ask("/profile")
        for each in (marseille, lyon):
            await eventually(lambda each=each: "Sans adresse." in _text(each, paris))


def _text(reader: Neighbour, writer: Neighbour) -> str:
    assert writer.member is not None
    try:
        known = reader.here.roster.card(writer.member, now=reader.here.clock.now())
    except CardExpired:
        return ""
    return known.profile_bytes.decode()


# ---- drafts ----


async def test_what_was_typed_of_the_profile_waits_and_is_taken_up_where_it_was_left(house: House) -> None:
    person = await house.person("Adrien")
    typed = _with(await _form(person), display_name="Nom à moitié t", services__0__intake_note="Sonner deux fois")
    await person.post("/draft", typed | {"draft_key": "profile"}, page="/profile/edit")
    assert "You have a draft of" in (await person.get("/profile/edit")).text
    today = unescape((await person.get("/")).text)
    assert "What the others read of us" in today.partition("Begun and not saved")[2]
    taken = unescape((await person.get("/profile/edit?draft=1")).text)
    assert "Nom à moitié t" in taken
    assert "Sonner deux fois" in taken
    assert "Sonner deux fois" not in unescape((await person.get("/profile/edit")).text)


async def test_a_profile_sent_after_its_session_ended_is_kept_also_from_the_preview(house: House) -> None:
    person = await house.person("Adrien")
    typed = _with(await _form(person), display_name="Un autre nom")
    seen = await person.post("/profile/edit", typed)
    preview = dict(_typed(seen.text))
    house.node.clock.advance(40 * 60)  # type: ignore[attr-defined]  # a clock of tests
    ended = await person.client.post("/profile/publish", data=preview | {"do": "publish"})
    assert ended.headers["draft"] == "kept"
    del house.people["Adrien"]
    again = await house.person("Adrien")
    assert "Un autre nom" in unescape((await again.get("/profile/edit?draft=1")).text)
    assert _document(house)["display_name"] != "Un autre nom"


async def test_an_administrator_keeps_no_draft_about_a_case(house: House) -> None:
    person = await house.person("Adrien")
    key = f"{house.record['meta']['case_id']}/situation"
    answer = await person.post("/draft", {"draft_key": key, "request_summary": "x"}, page="/profile/edit")
    assert answer.status_code == 403


def test_the_journal_takes_what_was_changed_however_much_it_is() -> None:
    every = [f"services.field_{number}" for number in range(60)]
    told = profile_editing._told(every)
    assert len(told) <= 200
    assert told.split(",") == every[: len(told.split(","))]
    assert profile_editing._told(every[:2]) == "services.field_0,services.field_1"
