"""Two changes of one section, put together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.case.threeway import Difference, merge
from tests.samples import cases

FIRST = {"person_id": "1", "role": "mother", "first_name": "Ana"}
SECOND = {"person_id": "2", "role": "uncle"}
THIRD = {"person_id": "3", "role": "sibling"}


def test_fields_that_only_one_changed_are_as_that_one_left_them() -> None:
    base = {"first_name": "Lou", "last_name": "A", "phone": "1"}

    merged = merge("identity", base, base | {"last_name": "B"}, {"first_name": "Loup", "last_name": "A"})

    assert merged.content == {"first_name": "Loup", "last_name": "B"}
    assert merged.differing == ()
    assert merged.taken == ("identity.last_name",)


def test_a_field_that_both_changed_is_to_be_chosen_and_theirs_stands_until_then() -> None:
    merged = merge("identity", {"first_name": "Lou"}, {"first_name": "Loup"}, {"first_name": "Loulou"})

    assert merged.content == {"first_name": "Loup"}
    assert merged.differing == (Difference("identity.first_name", "Loup", "Loulou"),)


@pytest.mark.parametrize(("choice", "stands"), [("theirs", "Loup"), ("mine", "Loulou"), ("both", "Loup\n\nLoulou")])
def test_what_was_chosen_stands(choice: Any, stands: str) -> None:
    merged = merge("identity", {}, {"first_name": "Loup"}, {"first_name": "Loulou"}, {"identity.first_name": choice})

    assert merged.content == {"first_name": stands}
    assert merged.differing == ()


def test_both_changed_alike_is_no_difference() -> None:
    assert merge("identity", {"a": 1}, {"a": 2}, {"a": 2}).differing == ()


def test_an_emptied_field_against_a_changed_one_is_a_difference() -> None:
    merged = merge("identity", {"a": 1}, {"a": 2}, {})

    assert merged.differing == (Difference("identity.a", 2, None),)


def test_ticked_boxes_are_joined() -> None:
    merged = merge("risk", {"factors": ["a", "b"]}, {"factors": ["a", "b", "c"]}, {"factors": ["b", "d"]})

    assert merged.content == {"factors": ["b", "c", "d"]}
    assert merged.differing == ()


def test_entries_are_known_by_their_ids_wherever_they_stand() -> None:
    merged = merge("family", [FIRST, SECOND], [SECOND, THIRD], [FIRST, SECOND | {"role": "aunt"}])

    assert merged.content == [SECOND | {"role": "aunt"}, THIRD]
    assert merged.differing == ()


def test_an_entry_changed_here_and_taken_out_there_is_to_be_chosen() -> None:
    changed = FIRST | {"role": "guardian"}

    merged = merge("family", [FIRST, SECOND], [SECOND], [changed, SECOND])

    assert merged.differing == (Difference("family[1]", None, changed),)
    assert merge("family", [FIRST, SECOND], [SECOND], [changed, SECOND], {"family[1]": "mine"}).content == [
        SECOND,
        changed,
    ]


def test_an_entry_taken_out_here_and_changed_there_is_to_be_chosen() -> None:
    changed = FIRST | {"role": "guardian"}

    merged = merge("family", [FIRST], [changed], [])

    assert merged.differing == (Difference("family[0]", changed, None),)
    assert merge("family", [FIRST], [changed], [], {"family[0]": "mine"}).content is None


def test_entries_without_an_id_are_known_by_what_stands_around_them() -> None:
    base = [{"text": "a"}, {"text": "b"}, {"text": "c"}]

    merged = merge(
        "runaways", base, [{"text": "a"}, {"text": "B"}, {"text": "c"}], [*base[:2], {"text": "C"}, {"text": "d"}]
    )

    assert merged.content == [{"text": "a"}, {"text": "B"}, {"text": "C"}, {"text": "d"}]
    assert merged.differing == ()


SECTIONS = [(name, case.section(name)) for case in cases() for name in case.sections()]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SECTIONS), st.sampled_from(SECTIONS))
def test_whoever_changes_alone_gets_what_he_wrote(one: tuple[str, Any], other: tuple[str, Any]) -> None:
    section, base = one
    changed = other[1] if other[0] == section else base

    assert merge(section, base, base, changed).content == changed
    alone = merge(section, base, changed, base)
    assert alone.differing == ()
    assert alone.content == changed
