from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.figures.protection import RULE, Count, Protected, Rule, protect, protect_alone

NAMES = "abcde"
Told = tuple[tuple[int | None, ...], int | None]


def table(*values: int) -> dict[str, Count]:
    return {name: Count(value) for name, value in zip(NAMES, values, strict=False)}


def told(values: Iterable[int], rule: Rule = RULE) -> Protected:
    return protect(table(*values), rule=rule)


def test_small_counts_and_nought_are_not_told() -> None:
    assert dict(told((100, 60, 10)).cells)["c"] is None
    assert dict(told((100, 60, 0)).cells)["c"] is None


def test_what_is_told_is_rounded_and_adds_up() -> None:
    assert told((101, 63, 48)) == Protected({"a": 100, "b": 65, "c": 50}, 215)


def test_almost_all_tells_as_much_as_few() -> None:
    assert told((200, 6, 4)) == Protected({"a": None, "b": None, "c": None}, 210)


def test_one_small_count_takes_another_with_it_the_last_that_could_be_told() -> None:
    assert told((300, 7, 90, 40)) == Protected({"a": 300, "b": None, "c": 90, "d": None}, 435)


def test_a_table_of_very_little_is_not_told_at_all() -> None:
    assert told((3, 4, 3)) == Protected({"a": None, "b": None, "c": None}, None)


def test_a_table_needs_two_counts() -> None:
    with pytest.raises(ValueError, match="two"):
        protect(table(30))


# ---- what somebody can work out who knows the total to the last unit, the rounded counts, and the rules ----


def possible(cells: int, largest: int, rule: Rule) -> Mapping[tuple[Told, int], list[set[int]]]:
    """For everything that may be read, and the true total: which values each count may have. Every table is tried."""
    found: dict[tuple[Told, int], list[set[int]]] = defaultdict(lambda: [set() for _ in range(cells)])
    for values in itertools.product(range(largest + 1), repeat=cells):
        seen = told(values, rule)
        for at, value in enumerate(values):
            found[(tuple(seen.cells.values()), seen.total), sum(values)][at].add(value)
    return found


@pytest.mark.parametrize(
    ("cells", "largest", "rule"),
    [
        (2, 60, RULE),
        (3, 55, RULE),
        (3, 24, Rule(least=4, step=2)),
        (4, 15, Rule(least=4, step=2)),
        (5, 9, Rule(least=3, step=2)),
    ],
)
def test_nobody_narrows_a_count_that_is_not_told_down_to_fewer_values_than_the_threshold(
    cells: int, largest: int, rule: Rule
) -> None:
    looked_at = 0
    for ((numbers, total), true_total), values in possible(cells, largest, rule).items():
        remainder = true_total - sum(each - rule.step // 2 for each in numbers if each is not None)
        if remainder > largest:
            continue  # tables that were not tried could look the same
        for number, these in zip(numbers, values, strict=True):
            if number is None:
                assert len(these) >= min(rule.least, true_total + 1), (numbers, total, true_total, these)
                looked_at += 1
    assert looked_at > 50


@given(st.lists(st.integers(0, 400), min_size=2, max_size=5))
def test_what_is_not_told_is_never_one_count_alone_and_never_a_small_remainder(values: list[int]) -> None:
    seen = told(values)
    hidden = [value for value, number in zip(values, seen.cells.values(), strict=True) if number is None]
    if seen.total is None:
        assert sum(values) < RULE.least
        assert len(hidden) == len(values)
    elif hidden:
        assert len(hidden) >= 2
        assert sum(hidden) >= 2 * RULE.least or len(hidden) == len(values)
    shown = [number for number in seen.cells.values() if number is not None]
    assert all(each >= RULE.rounded(RULE.least) and each % RULE.step == 0 for each in shown)
    if seen.total is not None and not hidden:
        assert seen.total == sum(shown)


@given(st.lists(st.integers(0, 60), min_size=2, max_size=5))
def test_the_rest_of_a_table_is_never_small(values: list[int]) -> None:
    seen = told(values)
    for value, number in zip(values, seen.cells.values(), strict=True):
        if number is not None:
            assert sum(values) - value >= RULE.least


# ---- associations behind a count ----


def mixed(*shares: int) -> Count:
    return Count(sum(shares), ({bytes([at]): each for at, each in enumerate(shares)},))


def test_a_count_has_three_associations_behind_it() -> None:
    assert protect_alone(mixed(30, 30)) is None
    assert protect_alone(mixed(30, 30, 30)) == 90


def test_nobody_has_most_of_a_count() -> None:
    assert protect_alone(mixed(860, 70, 70)) is None
    assert protect_alone(mixed(850, 75, 75)) == 1000


def test_whoever_takes_its_own_number_away_is_left_with_eleven() -> None:
    assert protect_alone(mixed(20, 5, 5)) is None
    assert protect_alone(mixed(20, 6, 5)) == 30


def test_each_way_of_looking_counts() -> None:
    senders = {b"1": 20, b"2": 20, b"3": 20}
    assert protect_alone(Count(60, (senders, {b"4": 60}))) is None
    assert protect_alone(Count(60, (senders, {b"4": 20, b"5": 20, b"6": 20}))) == 60


@given(st.lists(st.lists(st.integers(0, 80), min_size=4, max_size=4), min_size=2, max_size=5))
def test_no_association_learns_a_small_rest_by_taking_its_own_away(shares: list[list[int]]) -> None:
    cells = {name: mixed(*each) for name, each in zip(NAMES, shares, strict=False)}
    seen = protect(cells)
    for at, number in enumerate(seen.cells.values()):
        if number is not None:
            for own in shares[at]:
                assert sum(shares[at]) - own >= RULE.least
    hidden = [shares[at] for at, number in enumerate(seen.cells.values()) if number is None]
    if seen.total is not None and hidden:  # the remainder is total less the rest
        for member in range(4):
            assert sum(sum(each) - each[member] for each in hidden) >= RULE.least
