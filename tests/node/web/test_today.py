"""The first page: what waits, for whom, until when, and where it is dealt with."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from cordee.act import parse_act
from cordee.case import Case, case_of
from cordee.case.due import Due
from node import acts, agenda, records
from node.agenda import Asked
from node.app import Node
from node.web.asked import lines_of, sections_of
from tests.samples import acts_in, cases

from ..association import case_body
from .browser import Browser
from .test_drafts import clock

Browse = Callable[..., Awaitable[Browser]]
HOUR = timedelta(hours=1)
NAME = "Emprunt"


def quiet(node: Node, number: int = 1, *, meta: dict[str, Any] | None = None, **sections: Any) -> Case:
    """A case that asks for nothing within a year but what is given here."""
    document = copy.deepcopy(case_body())
    today = node.clock.now().date()
    told = {
        "case_id": f"00000000-0000-4000-8000-{number:012x}",
        "pseudonym": f"{NAME} {number}",
        "owner_user_id": "-",
        "co_handler_ids": [],
        "access_restriction": "team",
        "status": "open",
    }
    kept = {
        "meta": {key: value for key, value in document["meta"].items() if key != "retention_review_on"} | told,
        "situation": document["situation"],
        "risk": {
            "immediate_danger": "no",
            "level": "low",
            "reassess_on": (today + timedelta(days=365)).isoformat(),
        },
    }
    kept["meta"] |= meta or {}
    return case_of(kept | sections)


async def keep(node: Node, case: Case) -> str:
    now = node.clock.now()
    await node.db.write(lambda tx: records.create_case(tx, node.vault, case, by="t", now=now, random=node.random))
    return case.case_id


async def account_of(node: Node, name: str) -> str:
    from node import people

    every = await node.db.read(lambda tx: people.list_accounts(tx, node.vault))
    return next(each.account_id for each in every if each.name == name)


async def test_a_clock_is_shown_with_its_time_left_then_as_late_and_leads_to_its_section(
    association: Node, browse: Browse
) -> None:
    node = association
    case_id = await keep(node, quiet(node, housing={"shelter_need": "within_72h"}))
    clock(node).advance(71 * HOUR + timedelta(minutes=59))
    shown = (await (await browse()).get("/")).text
    assert "A place is needed within 72 hours" in shown
    assert f'href="/cases/{case_id}/sections/housing"' in shown
    assert "soon over" in shown
    assert "late" not in shown.split("Against the clock")[1].split("</section>")[0]
    clock(node).advance(timedelta(minutes=1))
    shown = (await (await browse()).get("/")).text
    assert "late" in shown.split("Against the clock")[1].split("</section>")[0]


async def test_todays_page_shows_pseudonyms_and_nothing_else_of_a_case(association: Node, browse: Browse) -> None:
    node = association
    identity = {"last_name": "Vraynom", "first_name": "Prénomvrai", "birth_date": "2012-01-02"}
    await keep(node, quiet(node, identity=identity, health={"urgent_need": "now"}))
    shown = (await (await browse()).get("/")).text
    assert f"{NAME} 1" in shown
    assert "Vraynom" not in shown
    assert "Prénomvrai" not in shown
    assert "2012" not in shown


async def test_a_colleagues_dates_are_counted_and_shown_when_asked_for_but_a_clock_is_everybodys(
    association: Node, browse: Browse
) -> None:
    node = association
    lea, today = await account_of(node, "Léa"), node.clock.now().date()
    risk = {"immediate_danger": "no", "level": "low", "reassess_on": today.isoformat()}
    await keep(node, quiet(node, meta={"owner_user_id": lea}, risk=risk, health={"urgent_need": "now"}))
    mine = (await (await browse("Hélène")).get("/")).text
    assert "Care is needed now" in mine
    assert "Assess it and note the next date" not in mine
    assert "Waiting with colleagues: 1" in mine
    every = (await (await browse("Hélène")).get("/?whose=all")).text
    assert "Assess it and note the next date" in every
    assert "Assess it and note the next date" in (await (await browse("Léa")).get("/")).text


async def test_a_restricted_case_of_others_is_neither_shown_nor_counted(association: Node, browse: Browse) -> None:
    node = association
    lea = await account_of(node, "Léa")
    meta = {"owner_user_id": lea, "access_restriction": "named_users"}
    await keep(node, quiet(node, meta=meta, health={"urgent_need": "now"}))
    shown = (await (await browse("Hélène")).get("/?whose=all")).text
    assert NAME not in shown
    assert "Against the clock" not in shown
    assert "Care is needed now" in (await (await browse("Léa")).get("/")).text


@pytest.mark.parametrize("name", ["Adrien", "Aude"])
async def test_who_works_on_no_case_sees_none(association: Node, browse: Browse, name: str) -> None:
    await keep(association, quiet(association, health={"urgent_need": "now"}))
    shown = (await (await browse(name)).get("/")).text
    assert NAME not in shown


async def test_an_act_that_ends_says_what_ends_and_what_to_do_and_leads_to_it(
    association: Node, browse: Browse
) -> None:
    node, now = association, association.clock.now()
    case_id = await keep(node, quiet(node))
    sample = next(
        each for one in cases() for each in acts_in(one) if each.status == "active" and each.kind == "consent"
    )
    act = parse_act(
        sample.to_dict()
        | {"case_id": case_id, "decided_at": now.isoformat(), "valid_from": now.isoformat()}
        | {"valid_until": (now + timedelta(days=15)).isoformat()}
    )
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by="t", now=now))
    assert "An act of sharing ends" not in (await (await browse()).get("/")).text
    clock(node).advance(timedelta(days=1))
    shown = (await (await browse()).get("/")).text
    assert "An act of sharing ends" in shown
    assert "Ask again if it is still wanted" in shown
    assert f'href="/cases/{case_id}/acts/{act.act_id}"' in shown
    assert (await (await browse()).get(f"/cases/{case_id}/acts/{act.act_id}")).status_code == 200


async def test_a_draft_waits_with_the_way_back_to_its_form(association: Node, browse: Browse) -> None:
    node = association
    case_id = await keep(node, quiet(node))
    browser = await browse()
    for path in (f"/cases/{case_id}/sections/situation", "/cases/new"):
        await browser.submit(await browser.form(path), "/draft")
    shown = (await browser.get("/")).text
    assert "Begun and not saved" in shown
    assert f'href="/cases/{case_id}/sections/situation"' in shown
    assert 'href="/cases/new"' in shown
    assert "Begun and not saved" not in (await (await browse("Léa")).get("/")).text


@pytest.mark.parametrize("step", ["send", "send-confirm/0123"])
async def test_what_was_chosen_for_sending_waits_on_the_way_to_sending(
    association: Node, browse: Browse, step: str
) -> None:
    node = association
    case_id = await keep(node, quiet(node))
    browser = await browse()
    form = await browser.form("/cases/new")
    await browser.submit(form.put("draft_key", f"{case_id}/{step}"), "/draft")
    assert f'href="/cases/{case_id}/send"' in (await browser.get("/")).text


async def test_until_all_is_gathered_after_an_upgrade_the_page_says_so(association: Node, browse: Browse) -> None:
    node = association
    await keep(node, quiet(node))
    await node.db.write(lambda tx: tx.exec_driver_sql("UPDATE agenda SET sealed_due = NULL, week = NULL"))
    assert "still gathers what waits" in (await (await browse()).get("/")).text
    now = node.clock.now()
    await node.db.write(lambda tx: records.catch_up(tx, node.vault, many=50, now=now))
    assert "still gathers what waits" not in (await (await browse()).get("/")).text


async def test_a_long_list_is_cut_with_the_number_of_the_rest_and_shown_whole_when_asked_for(
    association: Node, browse: Browse
) -> None:
    node = association
    for number in range(1, 13):
        await keep(node, quiet(node, number, health={"urgent_need": "now"}))
    shown = (await (await browse()).get("/")).text
    assert shown.count("Care is needed now") == 10
    assert "Show all: 2 more" in shown
    assert (await (await browse()).get("/?whole=1")).text.count("Care is needed now") == 12


# ---- lines ----


def a_day(due: datetime, now: datetime) -> Any:
    asked = Asked(
        "00000000-0000-4000-8000-000000000001", NAME, True, Due("risk", "reassess", due.date(), due.date(), "risk")
    )
    return lines_of([asked], now=now)[0][1]


def test_a_day_is_late_once_it_is_over_in_france_and_not_in_greenwich() -> None:
    due = datetime.fromisoformat("2026-12-04T00:00:00+00:00")
    before = a_day(due, datetime.fromisoformat("2026-12-04T22:59:59+00:00"))
    assert before.today
    after = a_day(due, datetime.fromisoformat("2026-12-04T23:00:00+00:00"))
    assert after.left is None
    ahead = a_day(due, datetime.fromisoformat("2026-12-02T22:59:59+00:00"))
    assert ahead.left == timedelta(days=2)


def test_every_thing_that_is_asked_for_has_words() -> None:
    from node.web import asked

    known = set(asked._WORDS)
    source = (agenda.due_of_case.__module__, agenda.due_of_acts.__module__)
    assert source == ("cordee.case.due", "cordee.case.due")
    import re
    from pathlib import Path

    import cordee.case.due

    told = set(re.findall(r'(?:_due|Due)\(\w+, f?"([a-z0-9_{}]+)"', Path(cordee.case.due.__file__).read_text()))
    expanded = {
        each.replace("{shelter}", value).replace("{care}", value)
        for each in told
        for value in ("tonight", "now", "within_72h")
    } - {"shelter_now", "care_tonight"}
    assert len(expanded) > 15
    assert expanded <= known
    assert sections_of([], whole=False) == []
