"""What is planted in a page is found, and found where it is: at its width, in its theme, in its language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

import cordee.web
from tests.web import markup
from tests.web.conftest import Open
from tests.web.matrix import COLOUR_RULES, THEMES, WIDTHS, Drawn, complaints

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_STYLE = (Path(cordee.web.__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
_PLANTED = """
.dim { color: #5f5f5f; }
.tiny, .cramped { inline-size: 40px; block-size: 30px; padding: 0; min-block-size: 0; }
.wide { inline-size: 20rem; }
.deep .calm { color: #6b6b6b; } .deep:has(:checked) p { color: #6b6b6b; } .wide-only { display: none; }
@media (min-width: 64rem) { .wide-only { display: block; } .cramped { inline-size: 10px; block-size: 10px; } }
@media (max-width: 30rem) { .tiny { inline-size: 10px; block-size: 10px; } .wide { inline-size: 600px; } }
"""
_HEAD = """<!doctype html><html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Notes</title>
<link rel="stylesheet" href="/style.css"></head><body>{body}</body></html>"""
_BODY = """<a class="skip" href="#content">Go to the content</a><header class="top"><details class="menu">
<summary>Menu</summary><nav aria-label="Main"><ul><li><a href="/">Today</a></li>{menu}</ul></nav></details></header>
<main id="content" tabindex="-1"><h1>Cases</h1>{planted}</main>"""
_SITE = "http://localhost:9/"  # nobody answers there but the test

Ask = Callable[..., list[str]]


def body(planted: str = "", menu: str = "") -> str:
    return _BODY.format(planted=planted, menu=menu)


@pytest.fixture
def ask(open_page: Open) -> Ask:
    """What is wrong with these states, each in its line."""
    page: Page = open_page()

    def answer(route: Route) -> None:
        if route.request.url.endswith("/style.css"):
            route.fulfill(body=_STYLE + _PLANTED, content_type="text/css")
        else:
            route.fulfill(body=_HEAD.format(language="fr", body=body()), content_type="text/html")

    page.route("**/*", answer)
    page.goto(_SITE)
    return lambda *states: list(complaints(page, states))


def state(
    planted: str = "", *, language: str = "fr", menu: str = "", name: str = "planted", whole: bool = False
) -> Drawn:
    return Drawn(name, language, body(planted, menu), whole=whole)


def where(found: list[str]) -> set[str]:
    """Which theme and width each of these lines tells of."""
    return {each.rpartition("(")[2].partition(")")[0] for each in found}


def test_of_a_page_in_which_nothing_is_wrong_nothing_is_told(ask: Ask) -> None:
    assert ask(state(whole=True), state(language="en", whole=True)) == []


def test_a_colour_that_is_pale_in_the_dark_theme_alone_is_found_at_each_width(ask: Ask) -> None:
    found = ask(state(name="fine"), state('<p class="dim">Words that somebody has to read</p>'))
    assert all(each.startswith("planted: axe: color-contrast") for each in found)
    assert where(found) == {f"dark, {width}" for width in WIDTHS}


def test_a_target_that_is_too_small_on_a_telephone_alone_is_found_there(ask: Ask) -> None:
    found = ask(state('<button class="tiny">A</button><button class="tiny">B</button>'))
    assert found
    assert all(each.startswith("planted: axe: target-size") for each in found)
    assert where(found) == {"light, 320"}


def test_a_label_that_is_missing_in_english_alone_is_found(ask: Ask) -> None:
    field, label = '<input id="name" name="name">', '<label for="name">{}</label>'
    found = ask(state(label.format("Nom") + field, name="French"), state(field, language="en", name="English"))
    assert found
    assert all(each.startswith("English: axe: label (critical)") for each in found)
    assert where(found) == {"light, 320"}


def test_a_name_that_is_missing_in_english_alone_is_found_though_the_elements_are_the_same(ask: Ask) -> None:
    french, english = '<button aria-label="Nom"></button>', '<button aria-label=""></button>'
    found = ask(state(french, name="French"), state(english, language="en", name="English"))
    assert found
    assert all(each.startswith("English: axe: button-name") for each in found)


def test_what_sticks_out_on_a_telephone_alone_is_found_also_of_a_state_that_differs_by_words(ask: Ask) -> None:
    for room in (False, True):
        found = ask(Drawn("planted", "fr", body('<div class="wide">x</div>'), room=room))
        assert found
        assert all("scrolls sideways" in each for each in found)
        assert where([each for each in found if "%" not in each and "letters" not in each]) == {"light, 320"}


def test_what_is_wrong_in_what_opens_is_found(ask: Ask) -> None:
    found = ask(state('<details><summary>More</summary><img src="data:,"></details>'))
    assert found
    assert all("axe: image-alt" in each for each in found)


def test_what_is_wrong_in_the_menu_is_found_though_it_is_folded_while_the_page_is_looked_at(ask: Ask) -> None:
    found = ask(state(name="fine"), state(menu='<li><a href="/cases"></a></li>'))
    nameless = [each for each in found if "axe: link-name" in each]
    assert where(nameless) == {"light, 320"}
    assert all("in the menu" in each for each in nameless)


def test_a_link_of_the_menu_that_is_too_pale_in_the_dark_is_found_at_each_width(ask: Ask) -> None:
    found = ask(state(name="fine"), state(menu='<li><span class="dim">Words to read</span></li>'))
    assert {each.partition(" (")[0] for each in found} == {"planted: axe: color-contrast"}
    assert where(found) == {f"dark, {width}" for width in WIDTHS}


def test_the_first_state_of_a_route_is_asked_every_rule_at_each_width_and_in_the_dark(ask: Ask) -> None:
    found = ask(state("<input name='x'>", whole=True))
    assert {each.partition(" (")[0] for each in found} == {"planted: axe: label"}
    assert where(found) == {f"{theme}, {width}" for theme in THEMES for width in WIDTHS}


# ---- what is new in a late state alone ----


def late(*found: str) -> set[str]:
    """The rules of which these lines tell, all of the last state."""
    assert all(each.startswith("late: axe: ") for each in found), found
    return {each.split()[2] for each in found}


def test_a_block_that_only_a_late_state_has_is_looked_at_in_the_dark_and_at_every_width(ask: Ask) -> None:
    fine = [
        state("<p>one</p><ul><li>Words</li><li>Words</li></ul>", name=f"fine {at}", whole=not at) for at in range(3)
    ]
    found = ask(*fine, state('<p>one</p><ul><li>Words</li><li class="dim">Words</li></ul>', name="late"))
    assert late(*found) == {"color-contrast"}
    assert where(found) == {f"dark, {width}" for width in WIDTHS}


def test_what_is_too_small_on_a_wide_window_alone_is_found_in_a_late_state(ask: Ask) -> None:
    found = ask(
        state("<p>one</p>", name="fine", whole=True),
        state("<p>one</p><button class='cramped'>A</button><button class='cramped'>B</button>", name="late"),
    )
    assert late(*found) == {"target-size"}
    assert where(found) == {"light, 1280"}


@pytest.mark.parametrize(("language", "before"), [("fr", ""), ("en", "x")])
def test_what_is_seen_on_a_wide_window_alone_is_asked_every_rule_there(ask: Ask, language: str, before: str) -> None:
    """In each language: in English the elements are known, and what they are called is not."""
    shown = '<p>one</p><div class="wide-only"><button aria-label="{}"></button></div>'
    fine = [state("<p>one</p>", name="fine", whole=True), *([state(shown.format(before), name="fine")] * bool(before))]
    found = ask(*fine, state(shown.format(""), name="late", language=language))
    assert late(*found) == {"button-name"}
    assert where(found) == {"light, 1280"}


@pytest.mark.parametrize(
    ("known", "same"),
    [
        ('<div><p class="calm">Words</p></div>', '<div class="deep dark"><p class="calm">Words</p></div>'),
        ('<div class="deep"><label><input type="checkbox"> Words</label><p>Words</p></div>', ""),
        ('<div class="deep"><p class="calm"> </p></div>', '<div class="deep"><p class="calm">Words</p></div>'),
        ('<div class="deep"><p class="calm">1</p></div>', '<div class="deep"><p class="calm">Words</p></div>'),
    ],
)
def test_a_block_that_is_drawn_otherwise_where_it_stands_is_looked_at_again(ask: Ask, known: str, same: str) -> None:
    """Inside an element of another class; beside a box that is ticked; with words where there were none, or one letter,
    of which axe judges no colour."""
    found = ask(state(known, name="fine"), state(same or known.replace('box"', 'box" checked'), name="late"))
    assert late(*found) == {"color-contrast"}
    assert {f"dark, {width}" for width in WIDTHS} <= where(found)


def test_a_block_that_an_earlier_state_hid_is_looked_at_where_it_is_seen(ask: Ask) -> None:
    found = ask(
        state('<section hidden><p class="dim">Words</p></section>', name="fine"),
        state('<section><p class="dim">Words</p></section>', name="late"),
    )
    assert late(*found) == {"color-contrast"}
    assert where(found) == {f"dark, {width}" for width in WIDTHS}


def test_a_heading_that_comes_too_deep_is_found_though_it_is_known(ask: Ask) -> None:
    """Each page is asked for the order of its headings, whatever of it was looked at before."""
    found = ask(state("<h2>a</h2><h3>b</h3>", name="fine"), state("<h3>b</h3>", name="late"))
    assert late(*found) == {"heading-order"}


def test_what_was_looked_at_is_not_looked_at_again(ask: Ask) -> None:
    """Else nothing is saved: of two states with the same fault in the same block the first one tells of its colour."""
    found = ask(*(state('<p class="dim">Words</p>', name=name) for name in ("first", "second")))
    assert {each.partition(":")[0] for each in found} == {"first"}


def test_axe_files_no_other_rule_of_ours_under_colour(ask: Ask, open_page: Open) -> None:
    """Those that the dark theme has are all that can answer otherwise in it."""
    from tests.web import matrix

    page = open_page()
    page.evaluate(matrix._AXE)
    ours = page.evaluate(
        """(tags) => axe.getRules(tags).filter((each) => each.tags.includes("cat.color")).map((each) => each.ruleId)""",
        matrix._RULES,
    )
    assert sorted(ours) == sorted(COLOUR_RULES)


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        ("<p>one<p>two</div>", "not valid"),
        ('<p id="content">twice</p>', "2 times the id 'content'"),
        ("<table><p>no cell</p></table>", "not valid"),
        ('<input name="x">', "has no label"),
        ('<p style="color: red">x</p>', "style inline"),
        ('<a href="#nowhere">x</a>', "leads to '#nowhere'"),
    ],
)
def test_html_that_is_not_valid_is_told(planted: str, told: str) -> None:
    fine, wrong = (_HEAD.format(language="fr", body=body(each)) for each in ("", planted))
    assert markup.complaints(fine, "fr") == []
    assert any(told in each for each in markup.complaints(wrong, "fr"))
