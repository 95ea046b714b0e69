"""A section as a form, and two people who write at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from html import unescape
from typing import Any

import pytest

from node import journal, records
from node.app import Node
from node.web.pages.cases import SHOWN

from .browser import Browser, forms_in

Browse = Callable[..., Awaitable[Browser]]


async def section(node: Node, case_id: str, name: str) -> Any:
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    return stored.case.section(name)


async def test_saving_a_form_that_nobody_touched_changes_nothing(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    before = await section(association, case_id, "identity")

    answer = await browser.submit(await browser.form(f"/cases/{case_id}/sections/identity"))

    assert answer.status_code == 303
    assert await section(association, case_id, "identity") == before


async def test_two_who_change_different_fields_lose_nothing(association: Node, browse: Browse, case_id: str) -> None:
    one, other = await browse("Hélène"), await browse("Léa")
    path = f"/cases/{case_id}/sections/situation"
    first, second = await one.form(path), await other.form(path)

    await one.submit(first.fill(request_summary="Ce que la première a écrit."))
    answer = await other.submit(second.fill(first_contact_channel="chat"))

    assert answer.headers["location"] == f"{path}?joined=1"
    after = await section(association, case_id, "situation")
    assert after["request_summary"] == "Ce que la première a écrit."
    assert after["first_contact_channel"] == "chat"


async def conflict(browse: Browse, case_id: str) -> tuple[Browser, Any]:
    one, other = await browse("Hélène"), await browse("Léa")
    path = f"/cases/{case_id}/sections/situation"
    first, second = await one.form(path), await other.form(path)
    await one.submit(first.fill(request_summary="Ce que la première a écrit."))
    return other, await other.submit(second.fill(request_summary="Ce que la seconde a écrit."))


async def test_the_second_sees_both_and_nothing_is_saved_yet(association: Node, browse: Browse, case_id: str) -> None:
    _, answer = await conflict(browse, case_id)

    assert answer.status_code == 409
    assert "Ce que la première a écrit." in answer.text
    assert "Ce que la seconde a écrit." in answer.text
    assert (await section(association, case_id, "situation"))["request_summary"] == "Ce que la première a écrit."


@pytest.mark.parametrize(
    ("choice", "stands"),
    [
        ("theirs", "Ce que la première a écrit."),
        ("mine", "Ce que la seconde a écrit."),
        ("both", "Ce que la première a écrit.\n\nCe que la seconde a écrit."),
    ],
)
async def test_the_second_chooses(association: Node, browse: Browse, case_id: str, choice: str, stands: str) -> None:
    browser, answer = await conflict(browse, case_id)
    form = next(each for each in forms_in(answer.text) if each.value("mine"))

    saved = await browser.submit(form.put("choose:situation.request_summary", choice))

    assert saved.status_code == 303
    assert (await section(association, case_id, "situation"))["request_summary"] == stands


async def test_a_choice_that_was_not_made_is_asked_for_again(association: Node, browse: Browse, case_id: str) -> None:
    browser, answer = await conflict(browse, case_id)

    again = await browser.submit(next(each for each in forms_in(answer.text) if each.value("mine")))

    assert again.status_code == 409
    assert "Choose one." in again.text
    assert "Ce que la seconde a écrit." in again.text


async def test_a_third_change_meanwhile_is_seen_before_anything_is_saved(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser, answer = await conflict(browse, case_id)
    form = next(each for each in forms_in(answer.text) if each.value("mine"))
    third = await browse("Hélène")
    path = f"/cases/{case_id}/sections/situation"
    await third.submit((await third.form(path)).fill(request_summary="Ce que la troisième a écrit."))

    saved = await browser.submit(form.put("choose:situation.request_summary", "mine"))

    assert saved.status_code == 409
    assert "Ce que la troisième a écrit." in saved.text


async def test_an_entry_that_another_took_out_does_not_shift_what_is_typed_into_the_next(
    association: Node, browse: Browse, case_id: str
) -> None:
    one, other = await browse("Hélène"), await browse("Léa")
    path = f"/cases/{case_id}/sections/notes"
    for text in ("une", "deux"):
        form = await one.form(path)
        assert (await one.submit(form.put("new.text", text).put("new.visibility", "team"))).status_code == 303
    kept = await section(association, case_id, "notes")
    places = {entry["text"]: index for index, entry in enumerate(kept)}
    first, second = await one.form(path), await other.form(path)

    await one.submit(first.put(f"{places['une']}:remove", "on"))
    answer = await other.submit(second.put(f"{places['deux']}.text", "deux, et plus"))

    assert answer.status_code == 303
    texts = [entry["text"] for entry in await section(association, case_id, "notes")]
    assert "une" not in texts
    assert "deux, et plus" in texts


async def test_a_forged_beginning_is_no_beginning(association: Node, browse: Browse, case_id: str) -> None:
    one, other = await browse("Hélène"), await browse("Léa")
    path = f"/cases/{case_id}/sections/situation"
    first, second = await one.form(path), await other.form(path)
    await one.submit(first.fill(request_summary="Ce que la première a écrit."))

    answer = await other.submit(second.fill(request_summary="Autre chose.", base="AAAA"))

    assert answer.status_code == 409
    assert (await section(association, case_id, "situation"))["request_summary"] == "Ce que la première a écrit."


async def test_each_opening_and_each_vital_field_stands_in_the_journal(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    form = await browser.form(f"/cases/{case_id}/sections/contact")
    shown = await browser.get(f"/cases/{case_id}/sections/contact")
    assert 'name="field"' in shown.text
    vital = shown.text.partition('form="reveal" name="field" value="')[2].partition('"')[0]

    await browser.post(
        f"/cases/{case_id}/sections/contact/reveal", data={"form_token": form.value("form_token"), "field": vital}
    )

    lines = await association.db.read(lambda tx: journal.entries(tx, about=case_id))
    told = [(each.action, dict(each.facts)) for each in lines]
    assert ("case.read", {"section": "contact"}) in told
    assert ("field.viewed", {"field": vital}) in told


async def test_what_a_form_that_is_refused_shows_stands_in_the_journal_too(
    association: Node, browse: Browse, case_id: str
) -> None:
    """Somebody who never opened the section sends a form of their own making, which cannot be kept."""
    colleague, curious = await browse("Léa"), await browse("Hélène")
    path = f"/cases/{case_id}/sections/contact"
    shown = await colleague.get(path)
    vital = shown.text.partition('form="reveal" name="field" value="')[2].partition('"')[0]
    hidden = (await section(association, case_id, "contact"))[vital.partition(".")[2]]
    assert str(hidden) not in shown.text
    token = (await curious.form("/cases/new")).value("form_token")
    typed = {"form_token": token, "version": "1", "revealed": vital, "preferred_channel:there": "1"}

    answer = await curious.post(path, data={**typed, "preferred_channel": "by pigeon"})

    assert answer.status_code == 422
    assert str(hidden) in answer.text, "it is shown"
    lines = await association.db.read(lambda tx: journal.entries(tx, about=case_id))
    who = next(each.actor for each in lines if each.action == "case.read")
    told = [(each.action, dict(each.facts)) for each in lines if each.actor != who]
    assert ("case.read", {"section": "contact"}) in told
    assert ("field.viewed", {"field": vital}) in told


async def test_a_section_that_is_shown_again_without_a_field_is_read(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    token = (await browser.form("/cases/new")).value("form_token")

    answer = await browser.post(f"/cases/{case_id}/sections/situation/reveal", data={"form_token": token})

    summary = (await section(association, case_id, "situation"))["request_summary"]
    assert summary.splitlines()[0] in unescape(answer.text)
    lines = await association.db.read(lambda tx: journal.entries(tx, about=case_id))
    assert ("case.read", {"section": "situation"}) in [(each.action, dict(each.facts)) for each in lines]


async def test_the_browser_is_told_to_remember_nothing_that_is_typed_into_a_section(
    browse: Browse, case_id: str
) -> None:
    browser = await browse()
    for name in SHOWN:
        shown = (await browser.get(f"/cases/{case_id}/sections/{name}")).text
        typed = re.findall(r'<input type="(?:text|search|tel|email|date|datetime-local)"[^>]*>', shown)
        assert [each for each in typed if 'autocomplete="off"' not in each] == [], name
