"""The sheet for child protection: what it holds, what it never holds, and that nothing is made without a decision."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from cordee.act import parse_act
from cordee.case import case_of
from node import acts, journal, records
from tests.node.conftest import holds

from ..association import act_body
from .acting import House, Person, house_with_a_case

TYPED = {
    "facts": "Le 3 mai, vue à la gare ; elle a dit : « ramenez-moi ».",
    "done": "Appel au 119 le 4 mai.",
    "parents": "no_against_child_interest",
    "parents_words": "Le père est mis en cause.",
    "minor": "yes",
    "author": "Hélène Vautrin",
    "function": "éducatrice",
    "sections": ["exploitation", "runaways", "schooling", "housing"],
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


def page_of(house: House) -> str:
    return f"/cases/{house.record['meta']['case_id']}/report"


async def decided(house: House, **changes: Any) -> str:
    """The decision that the law asks for: who confirmed it, why, until when."""
    node, now = house.node, house.node.clock.now()
    facts = {
        "case_id": house.record["meta"]["case_id"],
        "kind": "override",
        "legal_basis": "ip_l226_2_1",
        "status": "active",
        "purposes": ["crip_ip"],
        "recipients": [{"kind": "category", "category": "crip"}],
        "justification": "Danger constaté.",
        "validated_by_role": "cheffe de service",
        "decided_at": now.isoformat(),
        "valid_from": now.isoformat(),
        "valid_until": (now + timedelta(days=20)).isoformat(),
        "review_due_at": (now + timedelta(days=7)).isoformat(),
    }
    body = act_body()
    body.pop("withdrawal", None)
    act = parse_act(body | facts | changes)
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by="t", now=now))
    return act.act_id


async def written(house: House, person: Person, **changes: Any) -> Any:
    return await person.post(page_of(house), TYPED | changes)


def words_in(made: bytes) -> str:
    """All text that is drawn in a PDF with the readers' own fonts."""
    streams = [zlib.decompress(each) for each in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", made, re.DOTALL)]
    drawn = re.findall(rb"\(((?:\\.|[^\\()])*)\) Tj", b"\n".join(streams))
    return "\n".join(re.sub(rb"\\([()\\])", rb"\1", each).decode("cp1252") for each in drawn)


async def test_without_a_decision_nothing_is_made_and_the_page_leads_to_recording_it(house: House) -> None:
    person = await house.person("Hélène")
    shown = unescape((await person.get(page_of(house))).text)
    assert "still to be recorded. Missing: " in shown
    assert "acts/new?kind=override&purpose=crip_ip&category=crip" in shown
    assert (await written(house, person, act="x")).status_code == 422


async def test_the_sheet_holds_who_where_what_and_who_writes_and_its_digest_is_journalled(house: House) -> None:
    act, person = await decided(house), await house.person("Hélène")
    answer = await written(house, person, act=act)
    assert answer.status_code == 200, unescape(answer.text)
    assert answer.headers["content-type"] == "application/pdf"
    assert "attachment" in answer.headers["content-disposition"]
    told = words_in(answer.content).replace("\n", " ")
    for words in ("Le 3 mai, vue", "Appel au 119", "Hélène Vautrin", "éducatrice", "Le père est mis en cause"):
        assert words in told
    assert house.record["identity"]["last_name"] in told
    [line] = await house.node.db.read(lambda tx: journal.latest(tx, action="case.report_made", limit=2))
    assert line.facts["digest"] == hashlib.sha256(answer.content).hexdigest()
    assert line.facts["departement"] == house.record["situation"]["departement_of_residence"]


async def test_what_is_hidden_until_clicked_and_what_others_must_not_read_is_never_printed(house: House) -> None:
    node = house.node
    hidden = {"phone": "+33600000001", "code_phrase": "mot-convenu"}
    case = case_of(house.record | {"contact": house.record.get("contact", {}) | hidden})
    now = node.clock.now()
    await node.db.write(
        lambda tx: records.update_case(tx, node.vault, case.case_id, case, expected_version=1, by="t", now=now)
    )
    act, person = await decided(house), await house.person("Hélène")
    answer = await written(house, person, act=act, sections=[*TYPED["sections"], "contact"])
    assert answer.status_code == 200, unescape(answer.text)
    told = words_in(answer.content)
    assert "+33600000001" not in told
    assert "mot-convenu" not in told
    assert case.value("meta.pseudonym") not in told


async def test_a_section_that_was_not_ticked_is_not_on_it(house: House) -> None:
    act, person = await decided(house), await house.person("Hélène")
    with_it = words_in((await written(house, person, act=act, sections=["runaways", "schooling"])).content)
    without = words_in((await written(house, person, act=act, sections=["runaways"])).content)
    assert "Schooling" in with_it
    assert "Schooling" not in without


async def test_bad_input_comes_back_with_what_was_typed(house: House) -> None:
    act, person = await decided(house), await house.person("Hélène")
    back = await written(house, person, act=act, function="", parents_words="", parents="pending")
    assert back.status_code == 422
    shown = unescape(back.text)
    assert TYPED["facts"] in shown
    assert 'href="#function"' in shown
    assert 'href="#parents_words"' in shown
    long = await written(house, person, act=act, facts="x" * 20_001)
    assert "at most 20000 character" in unescape(long.text).replace(",", "").replace("\xa0", "")


async def test_what_was_typed_waits_as_a_draft_until_the_sheet_is_made(house: House) -> None:
    act, person = await decided(house), await house.person("Hélène")
    key = page_of(house).removeprefix("/cases/")
    await person.post("/draft", TYPED | {"act": act, "draft_key": key}, page=page_of(house))
    assert f'href="{page_of(house)}"' in (await person.get("/")).text
    assert "ramenez-moi" in unescape((await person.get(f"{page_of(house)}?draft=1")).text)
    await written(house, person, act=act)
    assert "You have a draft" not in (await person.get(page_of(house))).text


async def test_nothing_of_a_sheet_stands_in_clear_on_the_disk(house: House, tmp_path: Path) -> None:
    act, person = await decided(house), await house.person("Hélène")
    assert (await written(house, person, act=act)).status_code == 200
    assert holds(tmp_path, b"ramenez-moi", b"%PDF") == []


async def test_who_works_on_no_case_makes_no_sheet(house: House) -> None:
    assert (await (await house.person("Adrien")).get(page_of(house))).status_code == 403


async def test_of_a_case_that_is_kept_to_others_no_sheet_is_made_without_a_reason(house: House) -> None:
    node, now = house.node, house.node.clock.now()
    meta = house.record["meta"] | {"access_restriction": "named_users", "owner_user_id": "-", "co_handler_ids": ["x"]}
    case = case_of(house.record | {"meta": meta})
    await node.db.write(
        lambda tx: records.update_case(tx, node.vault, case.case_id, case, expected_version=1, by="t", now=now)
    )
    act, person = await decided(house), await house.person("Hélène")
    answer = await person.post(page_of(house), TYPED | {"act": act}, page="/")
    assert answer.headers.get("content-type") != "application/pdf"
    assert await node.db.read(lambda tx: journal.latest(tx, action="case.report_made", limit=2)) == []
