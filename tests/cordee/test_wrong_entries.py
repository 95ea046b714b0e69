"""Each statement of the roster log is refused, by name of the rule, when anything at all is wrong with its entry.

`wrong_fields.py` and its neighbours have the table; hypothesis chooses the values. Every row is tried for every
statement that it is for.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordee.errors import EntryRefused
from cordee.roster import Rule, apply
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1
from tests.cordee.entry_rows import (
    TYPES,
    Draw,
    Row,
    descriptor_of,
    good_entries,
    leaves,
    signed_by,
    statements_of_the_log,
    world,
)
from tests.cordee.wrong_fields import FIELDS, FREE, rows_of

ROWS = [(name, row) for name in TYPES for row in rows_of(name)]


def label(name: str, row: Row) -> str:
    return f"{name}: {row.where}: {row.what}"


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[label(*one) for one in ROWS])
def test_an_entry_with_one_thing_wrong_is_refused_by_the_rule_that_it_breaks(name: str, row: Row) -> None:
    good = good_entries()[name]

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        wrong = row.make(good, Draw(data.draw))
        with pytest.raises(EntryRefused) as refusal:
            apply(wrong.roster, wrong.entry, latest=wrong.latest)
        size = 0 if wrong.roster is None else wrong.roster.size
        assert refusal.value.facts == {"index": str(size), "rule": row.rule.value}

    try_one()


@pytest.mark.parametrize("name", TYPES)
def test_an_entry_with_nothing_wrong_is_taken(name: str) -> None:
    good = good_entries()[name]
    limit = moment_of(good.statement.time)
    before = 0 if good.roster is None else good.roster.size
    assert apply(good.roster, good.entry, latest=limit).size == before + 1
    assert apply(good.roster, signed_by(good.statement, *good.signers), latest=limit).size == before + 1


def test_the_table_has_every_statement_that_the_log_takes() -> None:
    """By their fields, and by what `apply` knows: an entry of any other message is none."""
    known = set()
    for name, message in v1.DESCRIPTOR.message_types_by_name.items():
        try:
            apply(world().network.roster, v1.Entry(type=message.full_name))
        except EntryRefused as refusal:
            if refusal.facts["rule"] != Rule.UNKNOWN_TYPE:
                known.add(name)
    assert statements_of_the_log() == {"Genesis"} | known == set(TYPES) == set(good_entries())


@pytest.mark.parametrize("name", TYPES)
def test_the_table_has_every_field_of_a_statement_and_each_kind_of_fault(name: str) -> None:
    fields = {path for path, _ in leaves(descriptor_of(name))}
    without_rows = {f"{name}.{path}" for path in fields - set(FIELDS) if (name, path) not in FREE}
    assert not without_rows, "write in wrong_fields.FIELDS what can be wrong with them"
    rows = rows_of(name)
    faults = {row.where for row in rows}
    assert {"signature", "threshold", "order", "form"} | fields <= faults
    assert len({(row.where, row.what) for row in rows}) == len(rows)


def test_no_row_is_for_a_field_that_is_gone() -> None:
    fields = {path for name in TYPES for path, _ in leaves(descriptor_of(name))}
    assert set(FIELDS) <= fields


def test_every_rule_is_broken_by_some_row() -> None:
    assert {row.rule for _, row in ROWS} == set(Rule)
