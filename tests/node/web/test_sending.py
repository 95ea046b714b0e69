"""Sending a case through its four screens: what may be chosen, and that nothing leaves but by the last button."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from cordee.act import parse_act
from cordee.case import case_of
from node import acts, drafts, journal, people, records, transfer_store
from node.app import Node
from node.attachments import StoredAttachment
from node.terms import Terms
from node.web.app import application
from tests.builders import Network, seeded_random

from ..association import PASSWORD, act_body, case_body, opened, registered, with_people
from ..association import profiles as sample
from .coming_in import come_in

ADDRESS = "http://localhost"
PURPOSE = "specialised_support"
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_LINK = re.compile(r'href="([^"]+)"')


def profiles() -> list[dict[str, Any]]:
    """Ours, a shelter in the Nord that the act names, another one."""
    ours, shelter, other = sample()
    service = shelter["services"][0]
    service["specialities"].append("emergency_shelter")
    service |= {"emergency_24_7": True, "accepts_runaways": True, "intake_status": "open", "age_min": 12, "age_max": 20}
    service["territory"] = {"scope": "national", "departements": [], "accepts_from_elsewhere": True}
    service["shelter"] = {
        "places_total": 4,
        "places_closed": 0,
        "places_occupied": 2,
        "places_available": 2,
        "updated_at": "2026-04-30T08:00:00Z",
        "address_confidential": True,
    }
    return [ours, shelter, other]


@pytest.fixture
def network() -> Network:
    return registered(profiles())


class Visitor:
    """A handler's browser, in English."""

    def __init__(self, client: httpx.AsyncClient, node: Node) -> None:
        self.client = client
        self.node = node

    async def get(self, path: str, *, status: int = 200) -> str:
        answer = await self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    async def post(self, path: str, **typed: Any) -> httpx.Response:
        token = _TOKEN.search(await self.get("/"))
        assert token is not None
        return await self.client.post(path, data={"form_token": token[1], **typed})

    async def offered(self) -> list[transfer_store.Transfer]:
        return await self.node.db.read(transfer_store.all_transfers)


@pytest.fixture
async def association(tmp_path: Path, network: Network) -> AsyncIterator[Node]:
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    member = next(iter(network.members.values()))
    with opened(folder, network=network, member=member, random=seeded_random("node")) as node:
        await node.roster.sync()
        await with_people(node)
        yield node


@pytest.fixture
async def visitor(association: Node) -> AsyncIterator[Visitor]:
    app = application(association, hosts=("localhost",), secure=False)
    headers = {"sec-fetch-site": "same-origin", "accept-language": "en"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS, headers=headers) as client:
        await come_in(client, association, "Hélène", PASSWORD)
        yield Visitor(client, association)


@pytest.fixture
async def case_id(association: Node) -> str:
    """A case with an act that names the second association."""
    case, act, now = case_of(case_body()), parse_act(act_body()), association.clock.now()

    def keep(tx: Any) -> None:
        records.create_case(tx, association.vault, case, by="test", now=now, random=association.random)
        acts.record_act(tx, association.vault, act, by="test", now=now)

    await association.db.write(keep)
    return case.case_id


@pytest.fixture
def recipient(network: Network) -> str:
    """The association that the act names."""
    return list(network.members.values())[1].id.hex()


@pytest.fixture
async def what(visitor: Visitor, case_id: str, recipient: str) -> str:
    """The address of the third screen, as the second one gives it."""
    page = await visitor.get(f"/cases/{case_id}/send/why?to={recipient}")
    return next(each for each in links_in(page) if "/send/what?" in each and "kind=transfer" in each)


def links_in(page: str) -> list[str]:
    return [unescape(each) for each in _LINK.findall(page)]


def with_more(address: str, *more: tuple[str, str], path: str = "") -> str:
    parts = urlsplit(address)
    return f"{path or parts.path}?{urlencode([*parse_qsl(parts.query), *more])}"


def kept(page: str) -> list[tuple[str, str]]:
    """The boxes that are ticked for sections, and the hidden fields that go with them."""
    ticked = re.findall(r'<input type="checkbox" name="(s|x|file)" value="([^"]+)" checked>', page)
    version = re.search(r'name="v" value="(\d+)"', page)
    assert version is not None
    return [("own", "1"), ("v", version[1]), *ticked]


async def confirmed(visitor: Visitor, what: str, *changes: tuple[str, str], without: str = "") -> str:
    """The address of the last screen, after the third one as its form would send it."""
    chosen = [each for each in kept(await visitor.get(what)) if each[1] != without]
    return with_more(what, *chosen, *changes, path=urlsplit(what).path.replace("/what", "/confirm"))


def own_departement(number: int) -> str:
    return str(profiles()[number]["head_office"]["departement"])


async def package(visitor: Visitor, case_id: str) -> dict[str, Any]:
    """What the only offer would send."""
    (offer,) = await visitor.offered()
    node = visitor.node
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    return dict(Terms.unsealed(offer.sealed_terms, stored.data_key, offer.id).package)


async def test_four_screens_end_in_an_offer(visitor: Visitor, case_id: str, recipient: str) -> None:
    first = await visitor.get(f"/cases/{case_id}/send?q=1")
    second = next(each for each in links_in(first) if f"to={recipient}" in each)
    third = next(each for each in links_in(await visitor.get(second)) if "/send/what?" in each)
    last = await confirmed(visitor, third)
    assert profiles()[1]["display_name"] in await visitor.get(last)
    answer = await visitor.post(last, departement=own_departement(1))
    (offer,) = await visitor.offered()
    assert answer.headers["location"] == f"/transfers/{offer.id.hex()}"
    assert offer.peer.hex() == recipient


async def test_an_emergency_takes_six_steps_from_the_case_to_the_offer(
    visitor: Visitor, case_id: str, recipient: str
) -> None:
    node, now = visitor.node, visitor.node.clock.now()
    act = parse_act(act_body() | {"act_id": str(uuid.UUID(int=7, version=4)), "purposes": ["emergency_shelter"]})
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by="test", now=now))
    address, taps = f"/cases/{case_id}", 0
    for wanted in ("/send?purpose=emergency_shelter", f"to={recipient}", "/send/what?"):
        address = next(each for each in links_in(await visitor.get(address)) if wanted in each)
        taps += 1
    assert "purpose=emergency_shelter" in address
    last = await confirmed(visitor, address)
    taps += 1
    answer = await visitor.post(last, departement="Nord")
    taps += 2  # the département and the button
    assert answer.status_code == 303
    assert taps == 6


async def test_nothing_leaves_before_the_last_button(visitor: Visitor, case_id: str, what: str) -> None:
    for step in (f"/cases/{case_id}/send", what, await confirmed(visitor, what)):
        await visitor.get(step)
    assert await visitor.offered() == []


async def test_a_shelter_is_offered_nothing_before_its_departement_was_typed_again(visitor: Visitor, what: str) -> None:
    last = await confirmed(visitor, what)
    answer = await visitor.post(last, departement="23")
    assert answer.status_code == 422
    assert "this is not the département of this association" in answer.text
    assert await visitor.offered() == []


async def test_a_form_of_another_session_offers_nothing(visitor: Visitor, what: str) -> None:
    last = await confirmed(visitor, what)
    answer = await visitor.client.post(last, data={"form_token": "0" * 32, "departement": own_departement(1)})
    assert answer.status_code == 403
    assert await visitor.offered() == []


async def test_a_section_that_was_taken_out_does_not_leave(visitor: Visitor, case_id: str, what: str) -> None:
    assert ("s", "family") in kept(await visitor.get(what))
    last = await confirmed(visitor, what, without="family")
    assert (await visitor.post(last, departement=own_departement(1))).status_code == 303
    sent = await package(visitor, case_id)
    assert "identity" in sent
    assert "family" not in sent


async def test_a_field_that_is_held_back_does_not_leave(visitor: Visitor, case_id: str, what: str) -> None:
    last = await confirmed(visitor, what, ("x", "identity.last_name"))
    await visitor.post(last, departement=own_departement(1))
    sent = await package(visitor, case_id)
    assert "first_name" in sent["identity"]
    assert "last_name" not in sent["identity"]


@pytest.mark.parametrize("section", ["notes", "consents", "nonsense", "meta.owner_user_id"])
async def test_a_changed_address_does_not_add_what_may_not_leave(
    visitor: Visitor, case_id: str, what: str, section: str
) -> None:
    last = await confirmed(visitor, what, ("s", section))
    await visitor.post(last, departement=own_departement(1))
    sent = await package(visitor, case_id)
    assert section not in sent
    assert "owner_user_id" not in sent["meta"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"purpose": "relocation"}, "an act for this purpose"),
        ({"act": "00000000-0000-4000-8000-000000000000"}, "There is no such"),
        ({"file": "00000000-0000-4000-8000-000000000000"}, "cannot be sent"),
        ({"kind": "everything"}, "kind"),
    ],
)
async def test_a_changed_address_is_refused_in_words_and_offers_nothing(
    visitor: Visitor, what: str, change: dict[str, str], told: str
) -> None:
    last = await confirmed(visitor, what)
    parts = urlsplit(last)
    changed = {**dict(parse_qsl(parts.query)), **change}
    address = f"{parts.path}?{urlencode(changed)}"
    assert told in unescape((await visitor.client.get(address)).text)
    answer = await visitor.post(address, departement=own_departement(1))
    assert answer.status_code in (404, 409)
    assert await visitor.offered() == []


async def test_an_act_does_not_cover_an_association_that_it_does_not_name(
    visitor: Visitor, case_id: str, network: Network
) -> None:
    other = list(network.members.values())[2].id.hex()
    page = await visitor.get(f"/cases/{case_id}/send/why?to={other}")
    assert not [each for each in links_in(page) if "/send/what?" in each]
    assert "an act that names this recipient" in page
    assert f"/cases/{case_id}/acts/new?purpose={PURPOSE}&to={other}" in links_in(page)


async def test_a_suspended_association_is_not_found_and_is_refused_in_words(
    visitor: Visitor, case_id: str, recipient: str, what: str, network: Network
) -> None:
    last = await confirmed(visitor, what)
    suspend(network, recipient)
    await visitor.node.roster.sync()
    first = await visitor.get(f"/cases/{case_id}/send?q=1")
    assert not [each for each in links_in(first) if f"to={recipient}" in each]
    assert "suspended" in first
    assert "suspended" in await visitor.get(f"/cases/{case_id}/send/why?to={recipient}", status=409)
    assert (await visitor.post(last, departement=own_departement(1))).status_code == 409
    assert await visitor.offered() == []


def suspend(network: Network, member: str) -> None:
    found = next(each for each in network.members.values() if each.id.hex() == member)
    network.suspend(found)


async def test_a_case_that_changed_since_it_was_looked_at_is_not_offered(
    visitor: Visitor, case_id: str, what: str
) -> None:
    last = await confirmed(visitor, what)
    node = visitor.node
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    changed = stored.case.with_section("identity", {**stored.case.section("identity"), "last_name": "Autrement"})
    await node.db.write(
        lambda tx: records.update_case(
            tx, node.vault, case_id, changed, expected_version=stored.version, by="x", now=node.clock.now()
        )
    )
    answer = await visitor.post(last, departement=own_departement(1))
    assert answer.status_code == 409
    assert "changed in the meantime" in answer.text
    assert await visitor.offered() == []


async def test_vital_fields_are_hidden_until_somebody_asks_and_that_is_journalled(
    visitor: Visitor, case_id: str
) -> None:
    node = visitor.node
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    areas = {**(stored.case.section("housing") or {}), "areas_to_avoid": ["48"]}
    changed = stored.case.with_section("housing", areas)
    await node.db.write(
        lambda tx: records.update_case(
            tx, node.vault, case_id, changed, expected_version=stored.version, by="x", now=node.clock.now()
        )
    )
    notice = re.compile(r"To keep away from: Lozère")
    assert not notice.search(await visitor.get(f"/cases/{case_id}/send"))
    answer = await visitor.post(f"/cases/{case_id}/send/reveal", step="who", field="housing.areas_to_avoid")
    assert notice.search(answer.text)
    told = await node.db.read(lambda tx: list(journal.entries(tx)))
    assert (told[-1].action, told[-1].facts) == ("field.viewed", {"field": "housing.areas_to_avoid"})


async def test_anybody_finds_an_association_and_reads_its_six_words(visitor: Visitor, recipient: str) -> None:
    page = await visitor.get("/members?q=1&tonight=1&free=1")
    assert f"/members/{recipient}" in links_in(page)
    assert "places free: 2" in unescape(page)
    entry = await visitor.get(f"/members/{recipient}")
    assert "Its six words" in entry
    words = entry.partition('class="six"')[2].partition("</ol>")[0]
    assert words.count("<li>") == 6


async def test_old_figures_are_told_as_old(visitor: Visitor) -> None:
    assert "old: ask by telephone" in await visitor.get("/members?q=1&free=1")


async def test_a_bad_search_comes_back_as_it_was_typed(visitor: Visitor) -> None:
    page = await visitor.get("/members?q=1&age=fifteen&name=Lucioles", status=422)
    assert 'value="fifteen"' in page
    assert 'value="Lucioles"' in page
    assert 'href="#age"' in page


async def test_half_an_address_leads_to_the_first_screen(visitor: Visitor, case_id: str) -> None:
    for step in ("why", "what", "confirm"):
        answer = await visitor.client.get(f"/cases/{case_id}/send/{step}")
        assert answer.headers["location"] == f"/cases/{case_id}/send"


async def attached(node: Node, case_id: str, *, may_be_sent: bool = True) -> str:
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    attachment_id = str(uuid.UUID(bytes=node.random(16), version=4))
    written = node.attachments.write(stored.data_key, attachment_id, [b"x" * 5000])
    attachment = StoredAttachment(
        attachment_id=attachment_id,
        file_id=written.file_id,
        file_name="note.pdf",
        media_type="application/pdf",
        kind="report",
        section="actions",
        size=written.size,
        sha256=written.sha256,
        may_be_sent=may_be_sent,
        third_party_data=False,
    )
    now = node.clock.now()
    await node.db.write(lambda tx: records.add_attachment(tx, node.vault, case_id, attachment, by="test", now=now))
    return attachment_id


async def recorded(node: Node, **changes: Any) -> str:
    act = parse_act(act_body() | {"act_id": str(uuid.UUID(bytes=node.random(16), version=4))} | changes)
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by="test", now=node.clock.now()))
    return act.act_id


async def test_a_file_leaves_only_where_it_was_ticked(visitor: Visitor, case_id: str, what: str) -> None:
    node = visitor.node
    named, other = await attached(node, case_id), await attached(node, case_id)
    sections = [*act_body()["sections"], "attachments"]
    act = await recorded(node, sections=sections, attachment_ids=[named])
    parts = urlsplit(what)
    address = f"{parts.path}?{urlencode({**dict(parse_qsl(parts.query)), 'act': act})}"
    page = await visitor.get(address)
    assert f'name="file" value="{named}">' in page
    assert other not in page
    assert "the act does not name it" in page
    last = await confirmed(visitor, address, ("file", named))
    await visitor.post(last, departement=own_departement(1))
    assert [each["attachment_id"] for each in (await package(visitor, case_id))["attachments"]] == [named]


async def test_no_file_leaves_where_none_was_ticked(visitor: Visitor, case_id: str, what: str) -> None:
    node = visitor.node
    named = await attached(node, case_id)
    sections = [*act_body()["sections"], "attachments"]
    act = await recorded(node, sections=sections, attachment_ids=[named])
    parts = urlsplit(what)
    last = await confirmed(visitor, f"{parts.path}?{urlencode({**dict(parse_qsl(parts.query)), 'act': act})}")
    await visitor.post(last, departement=own_departement(1))
    assert "attachments" not in await package(visitor, case_id)


async def test_a_refusal_on_record_is_told_with_who_and_when(visitor: Visitor, case_id: str, recipient: str) -> None:
    said = act_body()["decided_by"][0] | {"answer": "refuses"}
    await recorded(visitor.node, kind="refusal", status="refused", decided_by=[said])
    page = unescape(await visitor.get(f"/cases/{case_id}/send/why?to={recipient}"))
    assert not [each for each in links_in(page) if "/send/what?" in each]
    assert "a refusal is on record (by: " in page
    assert "on April 29, 2026)" in page


async def test_the_same_case_is_not_offered_twice_to_the_same_association(visitor: Visitor, what: str) -> None:
    last = await confirmed(visitor, what)
    first = await visitor.post(last, departement=own_departement(1))
    again = await visitor.post(last, departement=own_departement(1))
    assert again.status_code == 409
    assert first.headers["location"] in links_in(again.text)
    assert len(await visitor.offered()) == 1


async def test_an_offer_that_is_open_is_told_before_anything_is_chosen_again(
    visitor: Visitor, case_id: str, recipient: str, what: str
) -> None:
    first = await visitor.post(await confirmed(visitor, what), departement=own_departement(1))
    page = await visitor.get(f"/cases/{case_id}/send/why?to={recipient}")
    assert first.headers["location"] in links_in(page)


async def test_who_may_not_send_sees_no_screen_of_it(visitor: Visitor, case_id: str) -> None:
    for step in ("", "/why", "/what", "/confirm"):
        visitor.client.cookies.clear()
        answer = await visitor.client.get(f"/cases/{case_id}/send{step}")
        assert answer.headers["location"].startswith("/sign-in")


async def test_another_language_keeps_the_screen(visitor: Visitor, case_id: str, recipient: str) -> None:
    address = f"/cases/{case_id}/send/why?to={recipient}"
    found = re.search(r'name="next" value="([^"]+)"', await visitor.get(address))
    assert found is not None
    answer = await visitor.client.post("/language", data={"language": "fr", "next": unescape(found[1])})
    assert answer.headers["location"] == address


# ---- what was chosen survives ----


async def test_who_has_chosen_nothing_yet_has_nothing_to_take_up(visitor: Visitor, case_id: str) -> None:
    for address in (f"/cases/{case_id}/send", f"/cases/{case_id}/send?purpose=emergency_shelter"):
        for _ in range(2):
            assert "You had begun" not in await visitor.get(address)


async def test_what_was_narrowed_waits_at_the_first_screen_for_the_one_who_chose_it(
    visitor: Visitor, case_id: str, what: str
) -> None:
    narrowed = with_more(what, *[each for each in kept(await visitor.get(what)) if each[1] != "health"])
    await visitor.get(narrowed)  # as the script does whenever a box changes, and the button without it
    for address in (f"/cases/{case_id}/send", f"/cases/{case_id}/send?purpose=emergency_shelter"):
        first = await visitor.get(address)
        assert "You had begun" in first
        (again,) = [each for each in links_in(first) if "/send/what?" in each]
        assert dict(parse_qsl(urlsplit(again).query)) == dict(parse_qsl(urlsplit(narrowed).query))
        assert kept(await visitor.get(again)) == kept(await visitor.get(narrowed))


async def test_what_was_chosen_to_send_is_sealed_with_the_case_and_erased_with_it(
    visitor: Visitor, case_id: str, what: str
) -> None:
    await visitor.get(what)
    node, now = visitor.node, visitor.node.clock.now()
    everybody = await node.db.read(lambda tx: people.list_accounts(tx, node.vault))
    (account,) = [each.account_id for each in everybody if each.name == "Hélène"]
    key = f"{case_id}/send"
    drafted = await node.db.read(lambda tx: drafts.read(tx, node.vault, account, key, now=now))
    assert drafted is not None
    assert dict(drafted.fields)["at"] == "/what"
    assert PURPOSE.encode() not in (node.data_dir / "node.db").read_bytes()
    await node.db.write(lambda tx: records.erase_case(tx, case_id, now=now))
    assert await node.db.read(lambda tx: drafts.read(tx, node.vault, account, key, now=now)) is None


async def test_what_was_begun_can_be_thrown_away_and_is_gone_once_it_was_offered(
    visitor: Visitor, case_id: str, what: str
) -> None:
    first = f"/cases/{case_id}/send"
    await visitor.get(what)
    answer = await visitor.post("/draft/discard", draft_key=f"{case_id}/send", next=first)
    assert answer.headers["location"] == first
    assert "You had begun" not in await visitor.get(first)
    last = await confirmed(visitor, what)
    await visitor.get(last)
    assert "You had begun" in await visitor.get(first)
    await visitor.post(last, departement=own_departement(1))
    assert len(await visitor.offered()) == 1
    assert "You had begun" not in await visitor.get(first)


async def test_what_was_typed_in_the_last_screen_is_there_again(
    visitor: Visitor, case_id: str, recipient: str, what: str
) -> None:
    last = await confirmed(visitor, what)
    key = f"{case_id}/send-confirm/{recipient}"
    assert f'data-draft="{key}"' in await visitor.get(last)
    answer = await visitor.post("/draft", draft_key=key, departement="Nor", hold="on")
    assert answer.status_code == 204
    shown = await visitor.get(last)
    assert 'name="departement" value="Nor"' in shown
    assert 'name="hold" value="on" checked' in shown
    assert await visitor.offered() == []
