"""A case while somebody talks, in both languages: every section, signals ticked, what was done, files dropped."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from cordee.case.labels import field_label, section_label, value_label
from node.web.pages.cases import SHOWN
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.thumb import Thumb
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
_ASTRAY = """() => [...document.querySelectorAll("main label > :is([type=checkbox], [type=radio])")]
  .filter((each) => each.checkVisibility())
  .filter((each) => {
    const box = each.getBoundingClientRect(), label = each.parentElement.getBoundingClientRect();
    return box.left < label.left || box.right > label.right;
  }).map((each) => each.parentElement.innerText)"""
"""The words of each box or radio that does not stand inside its own label."""

_DROP = """(each, [name, text]) => {
  const given = new DataTransfer();
  given.items.add(new File([text], name, { type: "text/plain" }));
  each.dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(params=["fr", "en"])
def ours(request: pytest.FixtureRequest, town: Town, open_page: Open) -> Desk:
    return desk(open_page, town.helpline, language=request.param)


@pytest.fixture
def case(town: Town) -> str:
    """The address, from the first slash, of a filled case of this test's own."""
    return f"cases/{town.case(town.helpline)['meta']['case_id']}"


def test_a_case_of_the_list_opens_in_two_clicks(ours: Desk, town: Town, case: str) -> None:
    thumb = Thumb(ours.page)
    thumb.tap(ours.page.get_by_role("navigation").get_by_role("link", name=ours.words("Cases"), exact=True))
    thumb.tap(ours.page.locator(f"main a[href='/{case}']"))
    expect(ours.page.get_by_role("heading", level=1)).to_have_text(town.records[1]["meta"]["pseudonym"])
    assert len(thumb.done) == 2


def test_the_list_is_filtered_by_the_state_of_the_cases(ours: Desk) -> None:
    ours.go("cases")
    page = ours.page
    everything = page.locator("main ul.lines > li").count()
    assert everything
    for state, there in (("closed", False), ("all", True)):
        page.get_by_label(ours.words("State"), exact=True).select_option(label=ours.words(state))
        ours.button("Search").click()
        expect(page).to_have_url(re.compile(f"state={state}"))
        assert (page.locator("main ul.lines > li").count() >= everything) is there


def test_one_turns_from_section_to_section_under_their_names(ours: Desk, case: str) -> None:
    ours.go(case)
    expect(ours.page.locator("main .tiles li")).to_contain_text([ours.words(section_label(each)) for each in SHOWN])
    ours.page.locator(f"#{SHOWN[0]} a").click()
    turn = ours.page.get_by_role("navigation", name=ours.words("Sections"))
    for name, after in zip(SHOWN, (*SHOWN[1:], ""), strict=True):
        expect(ours.page.get_by_role("heading", level=1)).to_have_text(ours.words(section_label(name)))
        expect(ours.button("Save")).to_be_visible()
        assert ours.page.evaluate(_ASTRAY) == [], name
        if after:
            turn.get_by_role("link", name=ours.words(section_label(after))).click()


def test_each_of_the_three_answers_can_be_given_and_not_asked_is_none_of_them(ours: Desk, town: Town) -> None:
    ours.open_case(f"Trois {ours.language}")
    ours.page.locator("#identity a").click()
    case = ours.page.url.rpartition("/sections")[0]
    asked = "identity.interpreter_needed"
    for answer in ("yes", "no", "unknown"):
        ours.go(f"{case.removeprefix(ours.house.pages)}/sections/identity")
        ours.choose(field_label(asked), asked, answer)
        ours.save(case)
        kept = town.helpline.command("case", "show", case.rpartition("/")[2])["case"]
        assert kept["identity"]["interpreter_needed"] == answer


def test_weak_signals_are_ticked_in_one_go_and_are_not_offered_again(ours: Desk, town: Town) -> None:
    case = ours.open_case(f"Signaux {ours.language}")
    case_id = case.rpartition("/")[2]
    ours.page.locator("#weak_signals a").click()
    quick = ours.page.get_by_role("group", name=ours.words("Tick what was seen or told"))
    seen = ("second_phone", "unexplained_money", "hotel_or_rental_stays", "other")
    for each in seen:
        quick.get_by_label(ours.words(value_label("weak_signals.signal", each)), exact=True).check()
    ours.page.get_by_label(ours.words("Who noticed what is ticked")).select_option("minor")
    ours.save(case)

    kept = town.helpline.command("case", "show", case_id)["case"]["weak_signals"]
    assert {(each["signal"], each["source"]) for each in kept} == {(each, "minor") for each in seen}
    ours.page.locator("#weak_signals a").click()
    expect(ours.page.locator("main details.card[open]")).to_have_count(len(seen))
    for each in seen:
        label = ours.words(value_label("weak_signals.signal", each))
        expect(quick.get_by_label(label, exact=True)).to_have_count(0)


def test_what_was_done_stands_in_order_of_time(ours: Desk) -> None:
    case = ours.open_case(f"Suivi {ours.language}")
    for day, kind, told in (
        ("2026-02-03", "phone_call", "Premier appel."),
        ("2026-04-05", "shelter_search", "Un lieu est trouvé."),
        ("2026-03-04", "interview", "Un entretien."),
    ):
        ours.page.locator("#actions a").click()
        new = ours.page.locator("details[data-new]")
        new.locator("summary").click()
        new.get_by_label(ours.words(field_label("actions.kind"))).select_option(kind)
        new.locator("[name='new.date']").fill(day)
        new.get_by_label(ours.words(field_label("actions.summary"))).fill(told)
        ours.save(case)
    ours.page.locator("#actions a").click()
    done = ours.page.get_by_role("region", name=ours.words("What was done, the latest first")).locator("li")
    expect(done.locator(".summary")).to_have_text(["Un lieu est trouvé.", "Un entretien.", "Premier appel."])
    expect(done.first).to_contain_text(ours.words(value_label("actions.kind", "shelter_search")))


def test_a_file_dropped_on_the_page_is_kept_and_tells_its_fingerprint(ours: Desk, case: str) -> None:
    ours.go(f"files/{case.rpartition('/')[2]}")
    page, name = ours.page, f"note-{ours.language}.txt"
    page.locator("form .drop").evaluate(_DROP, [name, "Une note."])
    expect(page.locator("#file")).to_be_focused()
    ours.button("Add the file").click()
    done = page.locator("#uploads .good")
    expect(done).to_contain_text(ours.words("Kept. The fingerprint is the same here and there:"))
    expect(page.locator("#kept-files").get_by_role("link", name=name)).to_be_visible()


def test_beside_online_traces_no_image_is_kept(ours: Desk, case: str) -> None:
    ours.go(f"files/{case.rpartition('/')[2]}")
    page = ours.page
    hint = "Beside online traces only texts and PDF documents are kept, never an image: to hold a sexual image of a "
    hint += "minor is an offence, whatever the reason."
    expect(page.get_by_text(ours.words(hint))).to_be_visible()
    page.locator("[name=section]").select_option("online_traces")
    given = {"name": "capture.png", "mimeType": "image/png", "buffer": PNG}
    page.locator("#file").set_input_files(given)  # type: ignore[arg-type]  # a FilePayload
    ours.button("Add the file").click()
    expect(page.locator("#uploads .wrong")).to_be_visible()
    expect(page.locator("#kept-files").get_by_role("link", name="capture.png")).to_have_count(0)
    ours.go(f"files/{case.rpartition('/')[2]}")
    expect(page.get_by_role("link", name="capture.png")).to_have_count(0)
