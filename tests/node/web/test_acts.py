"""Recording an act on the pages, reading it, printing it and taking it back."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cordee.act import Act
from cordee.transfer import State
from cordee.web.paper import writable
from node import acts, journal
from node.people import Handler, Role
from node.web.act_told import told
from node.web.receipt import House as ReceiptHouse
from node.web.receipt import sheet

from ..association import act_body, profiles
from .acting import House, house_with_a_case

GIVEN = {
    "kind": "consent",
    "purpose": "specialised_support",
    "minor_answer": "agrees",
    "function": "éducatrice spécialisée",
    "duration": "90d",
    "informed_parents": "done",
    "sections": ["family", "housing"],
    "notice_language": "fr",
    "read_aloud": "on",
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as found:
        yield found


@pytest.fixture
def form(house: House) -> dict[str, Any]:
    """An agreement by the minor and by everybody who could be asked, to the second association."""
    holders = {
        f"holder-{each['person_id']}": "agrees"
        for each in house.record.get("family", [])
        if each.get("parental_authority") in ("joint", "sole") and each.get("contact_allowed") != "forbidden"
    }
    return {**GIVEN, "to": profiles()[1]["org_id"], **holders}


async def recorded(house: House) -> list[Act]:
    node, case_id = house.node, house.record["meta"]["case_id"]
    return await node.db.read(lambda tx: acts.acts_of(tx, node.vault, case_id))


async def sent(house: House, form: dict[str, Any]) -> httpx.Response:
    person = await house.person("Hélène")
    return await person.post(f"{house.acts}/new", form, page=asked(house, form))


def asked(house: House, form: dict[str, Any]) -> str:
    """The form's own address: the first step's answers."""
    chosen = {key: form.get(key, "") for key in ("kind", "purpose", "to", "category", "departement")}
    return str(httpx.URL(f"{house.acts}/new", params=chosen))


async def test_an_agreement_is_recorded_as_it_was_given(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, form)
    assert answer.status_code == 303, answer.text
    [act] = await recorded(house)
    assert answer.headers["location"] == f"{house.acts}/{act.act_id}"
    assert (act.kind, act.status, act.purposes) == ("consent", "active", {"specialised_support"})
    assert {"identity", "situation", "risk"} <= act.sections  # always, for this purpose
    assert act.sections - {"identity", "situation", "risk"} == {"family", "housing"}
    assert act.to_dict()["recorded_by"] != "-"


async def test_the_page_of_an_act_tells_whether_the_case_may_leave(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, form)
    shown = await (await house.person("Hélène")).get(answer.headers["location"])
    name = profiles()[1]["display_name"].split()[-1]
    assert "Under this act the case can be offered to" in shown.text
    onward = re.search(r'href="(/cases/[^"]+/send/why[^"]+)"', shown.text)
    assert onward is not None
    assert (await (await house.person("Hélène")).get(html.unescape(onward[1]))).status_code == 200
    assert name in shown.text


async def test_what_is_missing_is_told_beside_its_field_and_what_was_typed_stays(
    house: House, form: dict[str, Any]
) -> None:
    answer = await sent(house, {**form, "minor_answer": "", "words": "Oui, mais pas l’école."})
    assert answer.status_code == 422
    assert 'href="#minor_answer"' in answer.text
    assert 'id="minor_answer-error"' in answer.text
    assert "Oui, mais pas l’école." in answer.text
    assert await recorded(house) == []


async def test_the_act_s_own_rules_speak_beside_the_field_too(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, {**form, "informed_parents": "against_child_interest"})
    assert answer.status_code == 422
    assert 'id="reason_not_informed-error"' in answer.text


async def test_a_refusal_has_no_sections_and_blocks(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, {**form, "kind": "refusal", "minor_answer": "refuses"})
    assert answer.status_code == 303, answer.text
    [act] = await recorded(house)
    assert (act.status, act.sections) == ("refused", frozenset())
    await sent(house, form)
    agreed = (await recorded(house))[-1]
    shown = await (await house.person("Hélène")).get(f"{house.acts}/{agreed.act_id}")
    assert "Nothing can leave for" in shown.text
    assert "Respect the refusal" in shown.text


async def test_an_agreement_to_which_nobody_agreed_is_none(house: House, form: dict[str, Any]) -> None:
    nobody = {key: "not_asked" if key.startswith("holder-") else value for key, value in form.items()}
    answer = await sent(house, {**nobody, "minor_answer": "refuses"})
    assert answer.status_code == 422
    assert "record a refusal" in answer.text


async def test_sharing_between_professionals_asks_for_each_condition(house: House, form: dict[str, Any]) -> None:
    asked = {**form, "kind": "information_only", "minor_answer": "informed"}
    answer = await sent(house, asked)
    assert answer.status_code == 422
    for name in ("protection", "necessity", "justification"):
        assert f'id="{name}-error"' in answer.text
    whole = {**asked, "protection": "on", "necessity": "on", "justification": "Pour préparer sa mise à l’abri."}
    assert (await sent(house, whole)).status_code == 303
    assert [each.legal_basis for each in await recorded(house)] == ["shared_secrecy_l226_2_2"]


async def test_a_decision_needs_its_reason_a_second_person_and_a_review(house: House, form: dict[str, Any]) -> None:
    asked = {**form, "kind": "override", "minor_answer": "informed", "basis": "vital_interest"}
    answer = await sent(house, asked)
    assert answer.status_code == 422
    for name in ("justification", "validated_by", "review"):
        assert f'id="{name}-error"' in answer.text
    whole = {**asked, "justification": "Menaces de mort.", "validated_by": "cheffe de service", "review": "2027-01-01"}
    assert (await sent(house, whole)).status_code == 303
    [act] = await recorded(house)
    assert (act.kind, act.legal_basis, act.validated_by_role) == ("override", "vital_interest", "cheffe de service")


async def test_an_emergency_can_be_decided_at_night_and_completed_afterwards(
    house: House, form: dict[str, Any]
) -> None:
    asked = {**form, "kind": "override", "purpose": "emergency_shelter", "minor_answer": "informed"}
    asked |= {"basis": "vital_interest", "review": "2027-01-01", "duration": "72h"}
    answer = await sent(house, asked)
    assert answer.status_code == 303, answer.text
    shown = await (await house.person("Hélène")).get(answer.headers["location"])
    assert "Complete this decision within 24 hours" in shown.text


async def test_a_kind_of_association_can_be_named_where_none_is_found(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, {**form, "to": "", "category": "psychotrauma", "departement": "69"})
    assert answer.status_code == 303, answer.text
    [act] = await recorded(house)
    assert act.recipients == ({"kind": "category", "category": "psychotrauma", "departement": "69"},)


async def test_a_field_that_somebody_does_not_want_told_is_left_out(house: House, form: dict[str, Any]) -> None:
    await sent(house, {**form, "excluded": ["identity.birth_date", "nothing.real"]})
    [act] = await recorded(house)
    assert act.excluded_fields == {"identity.birth_date"}


async def test_the_section_boxes_are_ticked_as_the_purpose_wants(house: House, form: dict[str, Any]) -> None:
    shown = (await (await house.person("Hélène")).get(asked(house, form))).text
    assert 'name="sections" value="family" checked' in shown
    assert 'name="sections" value="health">' in shown  # only if ticked
    assert 'name="sections" value="identity"' not in shown  # always
    assert 'value="notes"' not in shown  # never


async def test_without_purpose_or_recipient_the_first_step_says_so(house: House) -> None:
    person = await house.person("Hélène")
    assert (await person.get(f"{house.acts}/new")).status_code == 200
    answer = await person.get(f"{house.acts}/new?kind=consent&purpose=statistics")
    assert answer.status_code == 422
    assert 'id="purpose-error"' in answer.text
    assert 'id="to-error"' in answer.text


async def test_the_sheet_for_the_family_names_nobody_of_it(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, form)
    person = await house.person("Hélène")
    for language in ("fr", "en"):
        sheet = await person.get(f"{answer.headers['location']}/receipt?language={language}")
        assert sheet.headers["content-type"] == "application/pdf"
        assert sheet.headers["cache-control"] == "no-store"
        assert sheet.content.startswith(b"%PDF")
        assert house.record["meta"]["pseudonym"].encode() not in sheet.content


async def test_an_act_is_taken_back_and_says_by_whom(house: House, form: dict[str, Any]) -> None:
    place = (await sent(house, form)).headers["location"]
    person = await house.person("Hélène")
    answer = await person.post(f"{place}/withdraw", {"by_role": "minor", "reason": "Elle a changé d’avis."})
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    [act] = await recorded(house)
    assert act.status == "withdrawn"
    assert "Elle a changé d’avis." in (await person.get(place)).text


async def test_an_act_is_shown_with_its_own_case_only(house: House) -> None:
    person = await house.person("Hélène")
    assert (await person.get(f"{house.acts}/{act_body()['act_id']}")).status_code == 404


async def test_a_lead_reads_acts_but_does_not_take_them_back(house: House, form: dict[str, Any]) -> None:
    place = (await sent(house, form)).headers["location"]
    lead = await house.person("Léa")
    shown = await lead.get(place)
    assert shown.status_code == 200
    assert "/withdraw" not in shown.text
    assert (await lead.get(f"{place}/withdraw")).status_code == 403


async def test_every_reading_of_acts_is_journalled(house: House, form: dict[str, Any]) -> None:
    place = (await sent(house, form)).headers["location"]
    person = await house.person("Hélène")
    for path in (house.acts, place, f"{place}/receipt"):
        await person.get(path)
    told = [each.action for each in await house.node.db.read(lambda tx: journal.entries(tx))]
    assert {"acts.read", "act.read", "act.printed", "act.recorded"} <= set(told)


async def test_a_form_that_is_refused_is_a_reading_too(house: House, form: dict[str, Any]) -> None:
    place = (await sent(house, form)).headers["location"]
    person = await house.person("Hélène")

    async def told(path: str, fields: dict[str, Any]) -> list[str]:
        """What the journal says of a form that nobody had opened before they sent it."""
        before = len(await house.node.db.read(lambda tx: journal.entries(tx)))
        answer = await person.post(path, fields, page="/cases/new")
        assert answer.status_code == 422
        assert house.record["meta"]["pseudonym"] in answer.text
        return [each.action for each in (await house.node.db.read(lambda tx: journal.entries(tx)))[before:]]

    assert await told(f"{house.acts}/new", {}) == ["case.read"]
    assert await told(f"{house.acts}/new", {**form, "minor_answer": ""}) == ["case.read"]
    assert await told(f"{place}/withdraw", {"by_role": ""}) == ["act.read"]


async def test_a_link_that_knows_purpose_and_member_fills_the_first_step(house: House) -> None:
    other = house.node.roster.members()[1]
    assert other.profile is not None
    shown = await (await house.person("Hélène")).get(f"{house.acts}/new?purpose=relocation&to={other.member.hex()}")
    assert shown.status_code == 200
    assert f'value="{other.profile.org_id}" selected' in shown.text
    assert 'value="relocation" selected' in shown.text


async def test_taking_back_tells_before_what_it_ends_and_ends_it(house: House, form: dict[str, Any]) -> None:
    place = (await sent(house, form)).headers["location"]
    node, [act] = house.node, await recorded(house)
    [named] = [each for each in node.roster.members() if each.profile and each.profile.org_id == form["to"]]
    sender = Handler("u-1", "Hélène", frozenset({Role.HANDLER}), bound_by_secrecy=True)
    transfer = await node.sending.offer(
        sender,
        case_id=house.record["meta"]["case_id"],
        recipient=named.member,
        purpose=form["purpose"],
        act_id=act.act_id,
    )
    person = await house.person("Hélène")
    before = await person.get(f"{place}/withdraw")
    assert f"{named.name}: not answered yet" in html.unescape(before.text)
    await person.post(f"{place}/withdraw", {"by_role": "minor", "reason": ""})
    assert (await node.transfers.get(sender, transfer)).state is State.WITHDRAWN


async def test_the_sheet_says_how_to_take_it_back_and_where_to_call(house: House, form: dict[str, Any]) -> None:
    await sent(house, {**form, "excluded": ["identity.birth_date"]})
    node, [act] = house.node, await recorded(house)
    now = node.clock.now()
    shown = told(act, members=node.roster.members(), persons={}, now=now, language="fr")
    own = ReceiptHouse.of(node.roster.card(node.member, now=now).profile)
    words = "\n".join(line for _, line in sheet(act, shown, own, now=now, language="fr"))
    assert own.name in words
    assert "Si tu changes d’avis" in words
    assert "On ne leur dit pas\u00a0: Date de naissance" in words
    assert "119" in words
    assert house.record["meta"]["pseudonym"] not in words


def test_a_letter_that_the_font_lacks_never_stops_the_sheet() -> None:
    assert writable("Łódź — « œuvre » 中") == "Lódz — « œuvre » ?"


async def test_an_act_that_names_nobody_who_is_there_says_so(house: House, form: dict[str, Any]) -> None:
    answer = await sent(house, {**form, "to": "", "category": "psychotrauma", "departement": "976"})
    shown = await (await house.person("Hélène")).get(answer.headers["location"])
    assert "No association that is in the network today fits" in shown.text


async def test_a_link_of_the_case_leads_to_taking_back(house: House, form: dict[str, Any]) -> None:
    place = (await sent(house, form)).headers["location"]
    shown = await (await house.person("Hélène")).get(f"/cases/{house.record['meta']['case_id']}")
    assert f'href="{place}/withdraw"' in shown.text


async def test_a_form_of_another_session_records_nothing(house: House, form: dict[str, Any]) -> None:
    person = await house.person("Hélène")
    answer = await person.client.post(f"{house.acts}/new", data={**form, "form_token": "0" * 32})
    assert answer.status_code == 403
    assert await recorded(house) == []


async def test_a_form_that_is_sent_twice_is_recorded_once(house: House, form: dict[str, Any]) -> None:
    person = await house.person("Hélène")
    shown = await person.get(asked(house, form))
    act_id = re.search(r'name="act_id" value="([^"]+)"', shown.text)
    assert act_id is not None
    places = {(await sent(house, {**form, "act_id": act_id[1]})).headers["location"] for _ in range(2)}
    assert places == {f"{house.acts}/{act_id[1]}"}
    assert len(await recorded(house)) == 1
