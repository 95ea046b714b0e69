"""A section as a form and back: what a browser sends of a form that nobody touched is the section itself."""

from __future__ import annotations

import copy
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import FormData

from cordee.case.form import CASE_FORM, LIST_SECTIONS
from cordee.case.record import case_of
from node.web.forms import entries_of, fields_of, is_hidden, section_from
from node.web.pages.cases import SHOWN
from node.web.rendering import TEMPLATES
from tests.builders import seeded_random
from tests.samples import cases

from .browser import Form, forms_in

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
PAGE = """{% from "macros.html" import control, card with context %}<form action="/x">
{% for field in fields %}{{ control(field, []) }}{% endfor %}
{% for entry in entries %}{{ card(entry, "", []) }}{% endfor %}
</form>"""
CASES = [case.to_dict() for case in cases()]
HELD = [(name, case[name]) for case in CASES for name in SHOWN if case.get(name)]


def shown(section: str, content: Any, *, revealed: Collection[str] = ()) -> Form:
    """The section's form on a page, as a browser reads it."""
    listed = section in LIST_SECTIONS
    page = (
        TEMPLATES.environment("fr")
        .from_string(PAGE)
        .render(
            fields=() if listed else fields_of(section, content, revealed=revealed),
            entries=entries_of(section, content, revealed=revealed) if listed else (),
        )
    )
    return forms_in(page)[0]


def sent(section: str, before: Any, form: Form) -> Any:
    return section_from(section, before, FormData(form.fields), now=NOW, random=seeded_random("forms"), author="u-1")


def every_vital(section: str) -> set[str]:
    found: set[str] = set()

    def walk(parts: list[str | int], path: str) -> None:
        for name, raw in (CASE_FORM.node_at(parts) or {}).get("properties", {}).items():
            node = CASE_FORM.resolved(raw)
            if int(node.get("x-sensitivity", 0)) >= 4:
                found.add(f"{path}.{name}")
            if node.get("type") == "array":
                walk([*parts, name, 0], f"{path}.{name}")

    walk([section, 0] if section in LIST_SECTIONS else [section], section)
    return found


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HELD), st.booleans())
def test_a_form_that_nobody_touched_is_the_section(held: tuple[str, Any], reveal: bool) -> None:
    section, content = held

    after = sent(section, content, shown(section, content, revealed=every_vital(section) if reveal else ()))

    assert after == content


@pytest.mark.parametrize("section", SHOWN)
def test_an_empty_section_stays_empty(section: str) -> None:
    assert sent(section, None, shown(section, None)) is None


def test_a_vital_field_that_is_not_shown_is_not_on_the_page_and_keeps_what_it_holds() -> None:
    content = {"phone": "+33600000000", "email": "lou@example.org"}
    vital = next(name for name in content if is_hidden(f"contact.{name}"))

    form = shown("contact", content)

    assert content[vital] not in str(form.fields)
    assert sent("contact", content, form)[vital] == content[vital]


def test_an_associations_own_keys_stay() -> None:
    content = copy.deepcopy(next(case["situation"] for case in CASES if case.get("situation"))) | {"x_ours": {"a": [1]}}

    assert sent("situation", content, shown("situation", content))["x_ours"] == {"a": [1]}


@pytest.mark.parametrize(
    ("section", "typed"),
    [
        ("family", {"role": "mother"}),
        ("notes", {"visibility": "team", "text": "Une note."}),
        ("actions", {"kind": "phone_call", "date": "2026-05-01", "summary": "Appel."}),
    ],
)
def test_a_new_entry_gets_what_the_node_gives_it(section: str, typed: dict[str, str]) -> None:
    form = shown(section, None)
    for name, value in typed.items():
        form.put(f"new.{name}", value)

    (entry,) = sent(section, None, form)

    own = next(key for key in entry if key.endswith("_id"))
    assert len(entry[own]) >= 3
    document = copy.deepcopy(CASES[0]) | {section: [entry]}
    document.pop("attachments", None)
    case_of(document)


def test_an_entry_is_taken_out() -> None:
    section, content = next((name, held) for name, held in HELD if name == "actions" and len(held) > 1)

    after = sent(section, content, shown(section, content).put("0:remove", "on"))

    assert after == content[1:]


def test_what_is_no_number_comes_back_as_it_was_typed() -> None:
    form = shown("identity", {}).put("age_at_opening", "quinze")

    assert sent("identity", {}, form).get("age_at_opening") == "quinze"
