"""Each page in every state, as each role sees it, in both languages: valid, and accessible at every width and in both
themes. What a page is for and whether it does it is tested elsewhere.

The states are in two parts, so that two workers share them: `test_states_of_sending.py`, `test_states_of_cases.py`.
What runs where:

- every state goes through axe in both languages, whole, and each of its blocks that no state before it had at each
  width and in both themes, as `matrix.py` tells; the first state of each route whole at each width;
- states that differ from one before by nothing but words, ids and values go through it once in each language, and are
  asked each time whether their words have room;
- in French every such state is loaded in a browser with its script, its console listened to; in English those are that
  the script made something of;
- the keyboard, the reader's own colours and paper: one state of each route, in French.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import ClassVar
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
from tests.web.matrix import Drawn, complaints, drawn
from tests.web.states import making
from tests.web.states.table import Part
from tests.web.town import PEOPLE, Town

_HOW = (
    "has no state in tests/web/states: give each route at least one, State('empty', lambda scene: Ask('/its/path')), "
    "in the module that it belongs to, and one more for each thing that changes what is drawn (errors, nothing there)"
)
_WHO = {name: Role(role) for name, role in PEOPLE.items()}
"""Accounts that hold one role each: what they see where it is not what somebody with two roles sees."""
_VALUES = re.compile(r'(?<= )(id|for|name|value|href|action|max|lang|aria-[a-z]+|data-[a-z-]+|d|src)="[^"]*"')
_BETWEEN = re.compile(r">\s+<")
_WORDS = re.compile(r">[^<]+<")
_HEAD = re.compile(r"<head>.*?</head>", re.DOTALL)
_CHANGED = """(html) => document.body.outerHTML !== new DOMParser().parseFromString(html, "text/html").body.outerHTML"""


def every_route_has_its_states(states: Collection[str]) -> None:
    """Each route that there is, and no other."""
    wanted = {*ROUTES, *(each.name for each in DOORS)}
    missing, unknown = sorted(wanted - set(states)), sorted(set(states) - wanted - {NO_ROUTE})
    assert not missing, f"{', '.join(missing)} {_HOW}"
    assert not unknown, f"{', '.join(unknown)}: there is no such route (any more)"


class EveryState:
    """The tests of one part of the states; a file of its own names the part."""

    part: ClassVar[Part]

    @pytest.fixture(scope="class")
    def gallery(self, town: Town) -> Iterator[Gallery]:
        """Every state of every page, brought about once."""
        others = {route: [name for name, role in _WHO.items() if role in allowed] for route, allowed in ROUTES.items()}
        with ExitStack() as stack:
            scene = Scene(town, stack)
            making.keep_addresses(scene)
            yield collected(scene, self.part.states, others)

    def test_every_state_can_be_brought_about(self, gallery: Gallery) -> None:
        assert not gallery.failed, "\n\n".join(gallery.failed)
        assert gallery.reached == set(self.part.states)

    def test_something_leads_to_every_page(self, gallery: Gallery) -> None:
        """A link, a form, or an answer that sends on."""
        led = set()
        for shown in gallery.shown:
            here = f"http://localhost{shown.address}"
            led |= {route_of("GET", urlsplit(urljoin(here, each)).path) for each in markup.links(shown.html)}
            led |= {route_of("POST", urlsplit(urljoin(here, each.action)).path) for each in forms_in(shown.html)}
            led |= {route_of("GET", shown.address)} - {shown.route}
        doors = {each.name for each in DOORS} | {NO_ROUTE}
        never = set(self.part.states) - led - doors
        assert never == self.part.not_led_to, never ^ self.part.not_led_to

    def test_every_state_is_valid_html_in_both_languages(self, gallery: Gallery) -> None:
        wrong = [
            f"{shown}: {each}" for shown in gallery.shown for each in markup.complaints(shown.html, shown.language)
        ]
        assert not wrong, "\n".join(wrong)

    def test_every_state_has_the_same_head(self, gallery: Gallery) -> None:
        """So what is true of a body under one head is true under each (`matrix.py`)."""
        assert heads(gallery.shown) == 1

    def test_every_state_is_accessible_at_every_width_in_both_themes_and_languages(
        self, town: Town, gallery: Gallery, open_page: Open
    ) -> None:
        pages = {name: house.pages for name, house in town.stage.houses.items()}
        wrong = wrong_with(gallery.shown, pages, open_page)
        assert not wrong, "\n".join(wrong)

    def test_every_control_is_reached_by_the_keyboard_and_its_focus_is_seen(
        self, town: Town, gallery: Gallery, open_page: Open
    ) -> None:
        """On a telephone's width, where the head of the page stays in sight and could lie over what has the focus."""
        page = open_page()
        wrong = wrong_in_each_route(page, town, gallery, looking.keyboard_complaints)
        assert not wrong, "\n".join(wrong)

    def test_with_the_readers_own_colours_every_control_keeps_its_outline(
        self, town: Town, gallery: Gallery, open_page: Open
    ) -> None:
        page = open_page(forced_colors="active")
        wrong = wrong_in_each_route(page, town, gallery, looking.outline_complaints)
        assert not wrong, "\n".join(wrong)

    def test_on_paper_stands_what_is_to_be_read_and_no_navigation(
        self, town: Town, gallery: Gallery, open_page: Open
    ) -> None:
        """Also from a dark screen: ink is dark on paper."""
        page = open_page(color_scheme="dark")
        wrong = wrong_in_each_route(page, town, gallery, looking.paper_complaints)
        assert not wrong, "\n".join(wrong)


def heads(all_shown: Iterable[Shown]) -> int:
    """How many heads they have that differ."""
    return len({(_HEAD.search(each.html) or [each])[0] for each in all_shown})


def wrong_with(all_shown: Sequence[Shown], pages: Mapping[str, str], open_page: Open) -> list[str]:
    """What the console says of these states and axe finds in them; `pages` maps a house to its pages' address."""
    states, by_script, wrong = list[Drawn](), set[tuple[str, ...]](), list[str]()
    first = {id(each) for each in one_of_each_route(all_shown)}
    for language in LANGUAGES:
        seen = set[str]()
        watched = {
            house: Watched(open_page(language=language), pages[house])
            for house in dict.fromkeys(each.house for each in all_shown)
        }
        for shown in (each for each in all_shown if each.language == language):
            elements, whole, here = _elements(shown), id(shown) in first, watched[shown.house]
            known = elements in seen
            seen.add(elements)
            if known or (language != LANGUAGES[0] and _same(shown) not in by_script):
                states.append(Drawn(str(shown), language, shown.html, whole, room=known))
                continue
            show(here.page, here.origin, shown)
            states.append(drawn(here.page, str(shown), whole=whole))
            wrong += [f"{shown}: {each}" for each in here.heard()]
            if here.page.evaluate(_CHANGED, shown.html):
                by_script.add(_same(shown))
    page = open_page()
    show(page, pages[all_shown[0].house], all_shown[0])
    return [*wrong, *complaints(page, states)]


def wrong_in_each_route(
    page: Page, town: Town, gallery: Gallery, complaints: Callable[[Page], Iterable[str]]
) -> list[str]:
    """What a look at the first state of each route finds."""
    wrong = []
    for shown in one_of_each_route(gallery.shown):
        show(page, town.stage.houses[shown.house].pages, shown)
        wrong += [f"{shown}: {each}" for each in complaints(page)]
    return wrong


def one_of_each_route(all_shown: Sequence[Shown], language: str = LANGUAGES[0]) -> list[Shown]:
    """The first state of each route."""
    return list({each.route: each for each in reversed(all_shown) if each.language == language}.values())


def _same(shown: Shown) -> tuple[str, ...]:
    """Which state it is, whatever the language."""
    return (shown.route, shown.state, shown.who, shown.house)


def _elements(shown: Shown) -> str:
    """What is the same for states that differ by words, ids and values alone; classes, kinds and lists stay."""
    return _WORDS.sub(">w<", _BETWEEN.sub("><", _VALUES.sub("", shown.html)))


def show(page: Page, pages: str, shown: Shown) -> None:
    """What came before, at the address where it came, with the node's own style and script. It stays in its state: the
    stream of news brings nothing, for the transfer has moved on since, and the page would become another meanwhile.
    """
    context: BrowserContext = page.context
    context.clear_cookies()
    context.add_cookies([{"name": name, "value": value, "url": pages} for name, value in shown.cookies.items()])
    page.unroute_all()

    def answer(route: Route) -> None:
        if route.request.is_navigation_request():
            route.fulfill(status=200, body=shown.html, headers=dict(shown.headers))
        elif urlsplit(route.request.url).path == "/live":
            route.fulfill(status=200, body="", content_type="text/event-stream")
        else:
            route.continue_()

    page.route("**/*", answer)
    page.goto(pages.rstrip("/") + shown.address)
