"""Practice, in every state: its door, its page of the ten workflows, and what stands around every other page.

Banner and guide stand around each page of the practice site, which is a real node's otherwise. So each workflow's
guide is looked at on Today and on the page that it leads to, and pages of each kind with a guide beside them; under the
same rules as a real node's states (`every_state.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from node.practice.workflows import WORKFLOWS
from tests.node.practice.newcomer import Newcomer, until
from tests.web import markup
from tests.web.conftest import Open
from tests.web.every_state import heads, wrong_with
from tests.web.gallery import LANGUAGES, Shown
from tests.web.practising import practice_served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_HOUSE = "practice"
_AROUND = ("/cases", "/cases/new", "/members", "/transfers", "/places", "/people")
"""Pages of each kind: lists, forms, cards, the map. What stands around them is the same on every other."""
_OVERRIDE = {
    "minor_answer": "informed",
    "justification": "Danger pour elle.",
    "validated_by": "cheffe de service",
    "basis": "ip_l226_2_1",
}


@dataclass
class Album:
    """What a newcomer saw, each page in both languages."""

    address: str
    shown: list[Shown] = field(default_factory=list)

    def keep(self, client: httpx.Client, state: str, path: str, *, status: int = 200, **data: Any) -> None:
        """A page, or with `data` the answer to a form that is not taken."""
        for language in LANGUAGES:
            headers = {"accept-language": language}
            answer = client.post(path, data=data, headers=headers) if data else client.get(path, headers=headers)
            assert answer.status_code == status, (state, path, answer.status_code, answer.text)
            self.shown.append(
                Shown(
                    route=state.partition(",")[0],
                    state=state,
                    who="",
                    house=_HOUSE,
                    language=language,
                    address=answer.url.raw_path.decode(),
                    status=status,
                    html=answer.text,
                    headers={name: answer.headers[name] for name in ("content-type", "content-security-policy")},
                    cookies=dict(client.cookies),
                )
            )


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    with practice_served(tmp_path_factory.mktemp("practice")) as pages:
        yield pages


@pytest.fixture(scope="module")
def album(practice: str) -> Album:
    """Every state, one after the other as a newcomer comes to them."""
    kept, person = Album(practice), Newcomer(practice)
    _at_the_door(kept, person)
    client = person.client
    kept.keep(client, "the ten, none begun", "/practice")
    kept.keep(client, "today, no guide", "/")
    for workflow in WORKFLOWS:
        person.begin(workflow.id)
        if workflow in (WORKFLOWS[0], WORKFLOWS[-1]):  # the page shows every workflow that was begun, opened or not
            kept.keep(client, f"the ten, up to {workflow.id} begun", "/practice")
        kept.keep(client, f"today, guide of {workflow.id}", "/")
        for where in re.findall(r'<a href="([^"]+)">Go there</a>', person.beside()):
            kept.keep(client, f"beside a guide, where {workflow.id} leads", where.replace("&amp;", "&"))
    _to_the_end(kept, person)
    for path in _AROUND:
        kept.keep(client, f"beside a guide, {path}", path)
    kept.keep(client, "beside a guide, a form with a mistake", "/cases/new", status=422, **_mistaken(person))
    kept.keep(client, "beside a guide, no such page", "/no/such/page", status=404)
    person.submit(person.form("/practice").put("stop", WORKFLOWS[-1].id))
    kept.keep(client, "the ten, guide hidden", "/practice")
    person.submit(person.form("/", action="/lock"))
    kept.keep(client, "the door, locked", "/unlock")
    return kept


def _at_the_door(kept: Album, person: Newcomer) -> None:
    stranger = Newcomer(str(person.client.base_url)).client
    kept.keep(stranger, "the door", "/sign-in")
    kept.keep(stranger, "the door, a wrong password", "/sign-in", status=401, name="camille", password="x", next="")
    kept.keep(stranger, "the door, no such page", "/no/such/page", status=404)
    sign_in: Callable[[], None] = person.sign_in
    asked = person.form

    def form(path: str, **options: Any) -> Any:
        if path == "/second":  # what one sees between the password and the code
            kept.keep(person.client, "the door, the code", path)
        return asked(path, **options)

    person.form = form  # type: ignore[method-assign]  # looked at on the way
    sign_in()
    person.form = asked  # type: ignore[method-assign]  # as above


def _to_the_end(kept: Album, person: Newcomer) -> None:
    """The tenth workflow, whose steps need no partner: half done, and done."""
    last = WORKFLOWS[-1].id
    case = person.case()
    person.record(person.next_address(), **_OVERRIDE)
    kept.keep(person.client, "the ten, a step ticked", "/practice")
    kept.keep(person.client, "today, a step ticked", "/")
    today = datetime.now(UTC).date().isoformat()
    judicial, actions = (f"/cases/{case}/sections/{each}" for each in ("judicial", "actions"))
    alert = {"kind": "information_preoccupante", "sent_on": today, "recipient": "CRIP 13", "parents_informed": "yes"}
    person.press(judicial, judicial, **{f"alerts__new__{name}": value for name, value in alert.items()})
    person.press(actions, actions, new__kind="ip_sent", new__date=today)
    assert all(person.ticks(last))
    kept.keep(person.client, "the ten, one done", "/practice")
    kept.keep(person.client, "today, one done", "/")


def _mistaken(person: Newcomer) -> dict[str, str]:
    return dict(person.form("/cases/new").put("pseudonym", "x" * 500).fields)


def test_around_every_page_stand_the_banner_and_its_own_head(album: Album) -> None:
    states = [each.state for each in album.shown if each.language == LANGUAGES[0]]
    for workflow in WORKFLOWS:
        assert f"today, guide of {workflow.id}" in states
        assert f"beside a guide, where {workflow.id} leads" in states or not workflow.steps[0].where, workflow.id
    assert heads(album.shown) == 1
    assert [each.state for each in album.shown if each.html.count('class="practice"') != 1] == []


def test_every_state_of_practice_is_valid_html_in_both_languages(album: Album) -> None:
    wrong = [f"{shown}: {each}" for shown in album.shown for each in markup.complaints(shown.html, shown.language)]
    assert not wrong, "\n".join(wrong)


def test_every_state_of_practice_is_accessible_at_every_width_in_both_themes_and_languages(
    album: Album, open_page: Open
) -> None:
    wrong = wrong_with(album.shown, {_HOUSE: album.address}, open_page)
    assert not wrong, "\n".join(wrong)


def test_a_workflow_is_begun_and_its_guide_put_away_without_scripts(practice: str, open_page: Open) -> None:
    person, page = Newcomer(practice), open_page(java_script_enabled=False)
    until(lambda: _is_in(person), what="a code that was not used before", seconds=90)
    page.context.add_cookies(
        [{"name": name, "value": value, "url": practice} for name, value in person.client.cookies.items()]
    )
    page.goto(f"{practice.rstrip('/')}/practice")
    page.locator("button[name='begin'][value='w2']").click()
    page.goto(practice)
    page.locator("aside.practice-beside summary").click()
    expect(page.locator("aside.practice-beside li")).to_have_count(len(WORKFLOWS[1].steps))
    page.locator("aside.practice a").click()
    page.locator("button[name='stop']").click()
    page.goto(practice)
    expect(page.locator("aside.practice")).to_be_visible()
    expect(page.locator("aside.practice-beside")).to_have_count(0)


def _is_in(person: Newcomer) -> bool:
    """Each code opens once, and the album's newcomer may have used this half minute's."""
    try:
        person.sign_in()
    except AssertionError:
        return False
    return True
