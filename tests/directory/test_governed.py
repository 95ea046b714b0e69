"""The office's yearly report, from a log that crosses several years and from what the directory tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cordee.errors import InvalidRecord
from cordee.figures.catalogue import NETWORK
from cordee.figures.forms import FORMS
from cordee.figures.report import Report, Scope
from cordee.practice import PRACTICE_ORIGIN
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.administrator.governed import network_report
from tests.builders import Network

MADE = datetime(2030, 6, 1, tzinfo=UTC)


def figures(year: int = 2026, **received: int | None) -> pb.YearFigures:
    cells = [pb.Figure(name=name, count=count) for name, count in received.items()]
    total = sum(each.count for each in cells)
    return pb.YearFigures(year=year, tables=[pb.FigureTable(name="transfers", figures=cells, total=total or None)])


def report(network: Network, year: int, told: pb.YearFigures | None = None) -> Report:
    origin = network.roster.origin
    return network_report(network.entries, told or figures(year), year=year, origin=origin, made=MADE)


def numbers(made: Report, table: str) -> dict[str, int | None]:
    (found,) = [each for each in made.tables if each.kind.code == table]
    return {row.code: row.count for row in found.rows}


@pytest.fixture
def network() -> Network:
    """Founded in 2025; three members, two years, some of everything."""
    network = Network.found(now=datetime(2025, 3, 1, tzinfo=UTC))
    paris, lille = network.admit("Paris"), network.admit("Lille")
    network.now = datetime(2025, 12, 31, 22, tzinfo=UTC)
    network.suspend(lille)
    network.now = datetime(2026, 1, 1, 3, tzinfo=UTC)
    nantes = network.admit("Nantes")
    network.rotate(paris)
    network.announce_recovery(paris)
    network.object(paris)
    network.recover(nantes)
    network.restore(nantes)
    network.suspend(nantes)
    network.reinstate(nantes)
    network.add_administrator()
    network.change_policy(threshold=1)
    network.rotate_directory_key()
    network.rotate_authority(b"another certificate")
    network.revoke(paris)
    network.remove(lille)
    return network


def test_members_are_told_at_both_ends_of_a_year_and_what_happened_between(network: Network) -> None:
    before, after = report(network, 2025), report(network, 2026)
    assert numbers(before, "members") == {
        "at_beginning": 0,
        "admitted": 2,
        "removed": 0,
        "at_end": 2,
        "suspended_at_end": 1,
    }
    assert numbers(after, "members") == {
        "at_beginning": 2,
        "admitted": 1,
        "removed": 1,
        "at_end": 2,
        "suspended_at_end": 0,
    }


def test_each_kind_of_entry_counts_in_its_row_and_the_genesis_in_none(network: Network) -> None:
    made = report(network, 2026)
    incidents = {name: count for name, count in numbers(made, "incidents").items() if count}
    assert incidents == {
        "suspended": 1,
        "reinstated": 1,
        "announced": 2,
        "objected": 1,
        "identity_lost": 1,
        "identity_revoked": 1,
        "node_restored": 1,
    }
    changes = {name: count for name, count in numbers(made, "changes").items() if count}
    assert changes == {
        "identity_rotated": 1,
        "administrators_added": 1,
        "rules_changed": 1,
        "directory_key": 1,
        "authority": 1,
    }
    assert numbers(report(network, 2025), "incidents")["suspended"] == 1
    assert set(numbers(report(network, 2025), "changes").values()) == {0}
    assert set(numbers(report(network, 2027), "changes").values()) == {0}


def test_what_the_directory_tells_is_taken_as_it_is(network: Network) -> None:
    told = figures(received=120, declined=45, withdrawn=None, not_received=None)
    told.since.CopyFrom(timestamp_of(datetime(2026, 4, 1, tzinfo=UTC)))
    made = report(network, 2026, told)
    assert (made.scope, made.since) == (Scope.NETWORK, datetime(2026, 4, 1, tzinfo=UTC))
    assert numbers(made, "transfers") == {"received": 120, "declined": 45, "withdrawn": None, "not_received": None}
    assert set(numbers(made, "erasures").values()) == {None}, "what it does not tell is not told"
    for form in FORMS.values():
        assert form.write(made, "fr")


@pytest.mark.parametrize("wrong", [{"received": 3}, {"received": 121}, {"received": 120, "declined": 1}])
def test_nothing_is_made_of_numbers_that_the_directory_did_not_protect(
    network: Network, wrong: dict[str, int | None]
) -> None:
    with pytest.raises(InvalidRecord):
        report(network, 2026, figures(**wrong))


def test_every_statement_of_the_log_has_a_row_of_its_own() -> None:
    """A new kind of entry counts among the others until it is given one, and this test says that it is time."""
    from directory.administrator.entries import _IN_LOG
    from directory.administrator.governed import _COUNTED

    known = {name.rpartition(".")[2] for name in _IN_LOG} - {v1.Genesis.DESCRIPTOR.name}
    assert known <= set(_COUNTED)
    rows = {(kind.code, row.code) for kind in NETWORK for row in kind.rows}
    assert set(_COUNTED.values()) <= rows


def test_practice_says_so() -> None:
    network = Network.found(origin=PRACTICE_ORIGIN)
    for form in ("html", "csv"):
        assert b"Practice" in FORMS[form].write(report(network, 2026), "en")
