"""What the summary of an offer says, in words; and what is no summary of ours."""

from __future__ import annotations

import pytest

from cordee.v1 import statements_pb2 as v1
from node.web import following


def summary(**fields: object) -> v1.Summary:
    return v1.Summary(**{"kind": "transfer", "purpose": "relocation", "sections": ["identity", "health"]} | fields)


def values(told: list[tuple[str, tuple[str, ...]]]) -> list[str]:
    return [each for _, values in told for each in values]


def test_what_nobody_knows_is_left_out() -> None:
    assert len(following.told(summary())) == 1


def test_each_answer_of_the_constraints_is_a_line() -> None:
    told = following.told(summary(constraints="immediate_danger=no; areas_to_avoid=13,69"))
    assert len(told) == 3


def test_areas_to_avoid_are_read_from_the_constraints() -> None:
    assert following.areas_of(summary(constraints="immediate_danger=no; areas_to_avoid=13,69")) == ("13", "69")
    assert following.areas_of(summary(constraints="nothing said")) == ()


@pytest.mark.parametrize("text", ["in words, as another version may write", "=", ";", "x=<script>", "a=b; c"])
def test_constraints_of_another_form_are_told_as_they_stand(text: str) -> None:
    assert following.told(summary(constraints=text))


def test_a_code_that_is_on_no_list_stays_as_it_is() -> None:
    assert "zzz" in values(following.told(summary(gender="zzz")))


def test_what_the_purpose_needs_is_marked_and_a_purpose_that_nobody_knows_needs_nothing() -> None:
    assert [each.needed for each in following.sections_of(summary())] == [True, False]
    assert not any(each.needed for each in following.sections_of(summary(purpose="of_tomorrow")))


@pytest.mark.parametrize("text", ["", "00", "zz" * 16, "00" * 17, "é" * 32])
def test_an_address_that_names_no_transfer_names_none(text: str) -> None:
    assert following.id_of(text) is None
