"""Each page in every state, as each role sees it, in both languages: valid, and accessible at every width and in both
themes. What a page is for and whether it does it is tested elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from node.people import Role
from node.web.access import ROUTES
from tests.node.web.browser import forms_in
from tests.web import looking, markup
from tests.web.conftest import Open
from tests.web.gallery import DOORS, LANGUAGES, NO_ROUTE, Gallery, Scene, Shown, collected, route_of
from tests.web.looking import Watched
from tests.web.states import making
from tests.web.states.table import STATES
from tests.web.town import PEOPLE, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

_HOW = (
    "has no state in tests/web/states: give each route at least one, State('empty', lambda scene: Ask('/its/path')), "
    "in the module that it belongs to, and one more for each thing that changes what is drawn (errors, nothing there)"
)
_WHO = {name: Role(role) for name, role in PEOPLE.items()}
"""Accounts that hold one role each: what they see where it is not what somebody with two roles sees."""


@pytest.fixture(scope="module")
def gallery(town: Town) -> Iterator[Gallery]:
    """Every state of every page, brought about once."""
    others = {route: [name for name, role in _WHO.items() if role in allowed] for route, allowed in ROUTES.items()}
    with ExitStack() as stack:
        scene = Scene(town, stack)
        making.keep_addresses(scene)
        yield collected(scene, STATES, others)


def test_every_route_has_its_states() -> None:
    wanted = {*ROUTES, *(each.name for each in DOORS)}
    missing, unknown = sorted(wanted - set(STATES)), sorted(set(STATES) - wanted - {NO_ROUTE})
    assert not missing, f"{', '.join(missing)} {_HOW}"
    assert not unknown, f"{', '.join(unknown)}: there is no such route (any more)"


def test_every_state_can_be_brought_about(gallery: Gallery) -> None:
    assert not gallery.failed, "\n\n".join(gallery.failed)
    assert gallery.reached == set(STATES)


def test_something_leads_to_every_page(gallery: Gallery) -> None:
    """A link, a form, or an answer that sends on."""
    led = set()
    for shown in gallery.shown:
        here = f"http://localhost{shown.address}"
        led |= {route_of("GET", urlsplit(urljoin(here, each)).path) for each in markup.links(shown.html)}
        led |= {route_of("POST", urlsplit(urljoin(here, each.action)).path) for each in forms_in(shown.html)}
        led |= {route_of("GET", shown.address)} - {shown.route}
    asked_by_script = {"live", "draft"}
    assert set(ROUTES) - led == asked_by_script


def test_every_state_is_valid_html_in_both_languages(gallery: Gallery) -> None:
    wrong = [f"{shown}: {each}" for shown in gallery.shown for each in markup.complaints(shown.html, shown.language)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_is_accessible_at_every_width_in_both_themes(
    town: Town, gallery: Gallery, open_page: Open, language: str
) -> None:
    page = open_page(language=language)
    wrong = []
    for house in {each.house for each in gallery.shown}:
        watched = Watched(page, town.stage.houses[house].pages)
        for shown in gallery.shown:
            if (shown.house, shown.language) == (house, language):
                show(page, town.stage.houses[house].pages, shown)
                wrong += [f"{shown}: {each}" for each in looking.complaints(watched, whole=language == LANGUAGES[0])]
    assert not wrong, "\n".join(wrong)


def test_every_control_is_reached_by_the_keyboard_and_its_focus_is_seen(
    town: Town, gallery: Gallery, open_page: Open
) -> None:
    """On a telephone's width, where the head of the page stays in sight and could lie over what has the focus."""
    page = open_page()
    wrong = []
    for shown in one_of_each_route(gallery):
        show(page, town.stage.houses[shown.house].pages, shown)
        wrong += [f"{shown}: {each}" for each in looking.keyboard_complaints(page)]
    assert not wrong, "\n".join(wrong)


def test_with_the_readers_own_colours_every_control_keeps_its_outline(
    town: Town, gallery: Gallery, open_page: Open
) -> None:
    page = open_page(forced_colors="active")
    wrong = []
    for shown in one_of_each_route(gallery):
        show(page, town.stage.houses[shown.house].pages, shown)
        wrong += [f"{shown}: {each}" for each in looking.outline_complaints(page)]
    assert not wrong, "\n".join(wrong)


def test_on_paper_stands_what_is_to_be_read_and_no_navigation(town: Town, gallery: Gallery, open_page: Open) -> None:
    """Also from a dark screen: ink is dark on paper."""
    page = open_page(color_scheme="dark")
    wrong = []
    for shown in one_of_each_route(gallery):
        show(page, town.stage.houses[shown.house].pages, shown)
        wrong += [f"{shown}: {each}" for each in looking.paper_complaints(page)]
    assert not wrong, "\n".join(wrong)


def one_of_each_route(gallery: Gallery) -> list[Shown]:
    """The first state of each route, in French."""
    return list({each.route: each for each in reversed(gallery.shown) if each.language == LANGUAGES[0]}.values())


def show(page: Page, pages: str, shown: Shown) -> None:
    """What came before, at the address where it came, with the node's own style and script."""
    context: BrowserContext = page.context
    context.clear_cookies()
    context.add_cookies([{"name": name, "value": value, "url": pages} for name, value in shown.cookies.items()])
    page.unroute_all()

    def answer(route: Route) -> None:
        if route.request.is_navigation_request():
            route.fulfill(status=200, body=shown.html, headers=dict(shown.headers))
        else:
            route.continue_()

    page.route("**/*", answer)
    page.goto(pages.rstrip("/") + shown.address)
