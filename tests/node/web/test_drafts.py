"""What is typed survives: a crash, a lost connection, the end of a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from cordee.runtime.clock import ManualClock
from node import records
from node.app import Node
from node.people import IDLE

from ..conftest import holds
from .browser import Browser, forms_in

Browse = Callable[..., Awaitable[Browser]]
TYPED = "Ce que je suis en train de taper."


def clock(node: Node) -> ManualClock:
    assert isinstance(node.clock, ManualClock)
    return node.clock


async def summary(node: Node, case_id: str) -> Any:
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    return stored.case.value("situation.request_summary")


def path_of(case_id: str) -> str:
    return f"/cases/{case_id}/sections/situation"


async def test_a_draft_is_kept_sealed_and_shown_again_when_the_form_is_opened(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    form = (await browser.form(path_of(case_id))).fill(request_summary=TYPED)

    assert (await browser.submit(form, "/draft")).status_code == 204

    assert holds(association.data_dir, TYPED.encode(), case_id.encode() + b"/situation") == []
    assert "You have a draft of" in (await browser.get(path_of(case_id))).text
    taken = await browser.get(f"{path_of(case_id)}?draft=1")
    assert next(each for each in forms_in(taken.text) if each.value("base")).value("request_summary") == TYPED
    assert await summary(association, case_id) != TYPED


async def test_a_draft_that_is_taken_up_and_saved_is_gone(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    await browser.submit((await browser.form(path_of(case_id))).fill(request_summary=TYPED), "/draft")
    taken = await browser.get(f"{path_of(case_id)}?draft=1")

    await browser.submit(next(each for each in forms_in(taken.text) if each.value("base")))

    assert await summary(association, case_id) == TYPED
    assert "You have a draft" not in (await browser.get(path_of(case_id))).text


async def test_a_draft_that_is_thrown_away_is_gone(browse: Browse, case_id: str) -> None:
    browser = await browse()
    await browser.submit((await browser.form(path_of(case_id))).fill(request_summary=TYPED), "/draft")

    answer = await browser.submit(await browser.form(path_of(case_id), action="/draft/discard"))

    assert answer.headers["location"] == path_of(case_id)
    assert "You have a draft" not in (await browser.get(path_of(case_id))).text


async def test_what_another_saved_since_a_draft_began_is_not_overwritten(
    association: Node, browse: Browse, case_id: str
) -> None:
    one, other = await browse("Hélène"), await browse("Léa")
    await one.submit((await one.form(path_of(case_id))).fill(first_contact_channel="chat"), "/draft")
    await other.submit((await other.form(path_of(case_id))).fill(request_summary="De Léa."))

    taken = await one.get(f"{path_of(case_id)}?draft=1")
    await one.submit(next(each for each in forms_in(taken.text) if each.value("base")))

    stored = await association.db.read(lambda tx: records.read_case(tx, association.vault, case_id))
    assert stored.case.value("situation.request_summary") == "De Léa."
    assert stored.case.value("situation.first_contact_channel") == "chat"


async def test_a_draft_is_its_writers_alone(browse: Browse, case_id: str) -> None:
    one, other = await browse("Hélène"), await browse("Léa")
    await one.submit((await one.form(path_of(case_id))).fill(request_summary=TYPED), "/draft")

    answer = await other.get(f"{path_of(case_id)}?draft=1")

    assert TYPED not in answer.text
    assert "You have a draft" not in answer.text


async def test_a_new_entry_of_a_draft_is_saved_once(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    path = f"/cases/{case_id}/sections/notes"
    before = await association.db.read(lambda tx: records.read_case(tx, association.vault, case_id))
    typed = (await browser.form(path)).put("new.text", TYPED).put("new.visibility", "team")
    await browser.submit(typed, "/draft")

    taken = await browser.get(f"{path}?draft=1")
    answer = await browser.submit(next(each for each in forms_in(taken.text) if each.value("base")))

    assert answer.status_code == 303
    stored = await association.db.read(lambda tx: records.read_case(tx, association.vault, case_id))
    texts = [each["text"] for each in stored.case.section("notes")]
    assert texts == [*(each["text"] for each in before.case.section("notes") or []), TYPED]


async def test_a_form_sent_after_its_session_ended_is_kept_as_a_draft(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    form = (await browser.form(path_of(case_id))).fill(request_summary=TYPED)
    clock(association).advance(IDLE + timedelta(minutes=1))

    answer = await browser.submit(form)

    assert answer.status_code == 401
    assert "is kept, sealed" in answer.text
    assert answer.headers["draft"] == "kept"
    assert f'href="/sign-in?next={path_of(case_id)}"' in answer.text
    again = await browse()
    assert TYPED in (await again.get(f"{path_of(case_id)}?draft=1")).text
    assert await summary(association, case_id) != TYPED


async def test_long_after_the_session_nothing_is_kept_and_that_is_said(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    form = (await browser.form(path_of(case_id))).fill(request_summary=TYPED)
    clock(association).advance(2 * IDLE + timedelta(minutes=1))

    answer = await browser.submit(form)

    assert answer.status_code == 401
    assert "could not be kept" in answer.text
    assert answer.headers["draft"] == "lost"
    assert "You have a draft" not in (await (await browse()).get(path_of(case_id))).text


async def test_after_signing_out_nothing_is_kept(browse: Browse, case_id: str) -> None:
    browser = await browse()
    form = (await browser.form(path_of(case_id))).fill(request_summary=TYPED)
    token = browser.token
    await browser.post("/sign-out", data={"form_token": form.value("form_token")})
    browser.cookies.set("session", token)

    assert "could not be kept" in (await browser.submit(form)).text


async def test_nobody_can_plant_a_draft_with_an_ended_session(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    form = (await browser.form(path_of(case_id))).fill(request_summary=TYPED, form_token="0" * 32)
    clock(association).advance(IDLE + timedelta(minutes=1))

    assert "could not be kept" in (await browser.submit(form)).text


async def test_leaving_quickly_works_when_the_session_has_ended(association: Node, browse: Browse) -> None:
    browser = await browse()
    clock(association).advance(IDLE + timedelta(minutes=1))

    answer = await browser.post("/leave", data={"form_token": "x"})

    assert answer.headers["location"] == "https://www.service-public.fr/"


async def test_a_draft_of_a_case_is_erased_with_it(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    await browser.submit((await browser.form(path_of(case_id))).fill(request_summary=TYPED), "/draft")

    await association.db.write(lambda tx: records.erase_case(tx, case_id, now=association.clock.now()))

    assert await association.db.read(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM draft").scalar()) == 0


async def test_a_draft_of_a_case_that_is_not_here_is_refused(browse: Browse) -> None:
    browser = await browse()
    form = await browser.form("/cases/new")

    answer = await browser.submit(form.put("draft_key", "00000000-0000-4000-8000-000000000000/situation"), "/draft")

    assert answer.status_code == 404


async def test_a_new_case_is_drafted_too(association: Node, browse: Browse) -> None:
    browser = await browse()
    await browser.submit((await browser.form("/cases/new")).fill(pseudonym="Lou", summary=TYPED), "/draft")

    taken = await browser.get("/cases/new?draft=1")

    assert TYPED in taken.text
    assert holds(association.data_dir, TYPED.encode()) == []
    answer = await browser.submit(next(each for each in forms_in(taken.text) if each.value("pseudonym")))
    assert answer.status_code == 303
    assert "You have a draft" not in (await browser.get("/cases/new")).text


async def test_an_act_is_drafted_too(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    path = f"/cases/{case_id}/acts/new"
    first = {"kind": "refusal", "purpose": "relocation", "category": "ase"}
    shown = await browser.get(path, params=first)
    form = next(each for each in forms_in(shown.text) if each.value("draft_key"))
    await browser.submit(form.put("words", TYPED), "/draft")

    waits = await browser.get(path, params=first)
    taken = await browser.get(path, params=first | {"draft": "1"})

    assert "You have a draft of" in waits.text
    assert "draft=1" in waits.text
    assert next(each for each in forms_in(taken.text) if each.value("draft_key")).value("words") == TYPED
