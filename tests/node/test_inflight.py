from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cordee.errors import CannotOpen
from cordee.runtime.clock import ManualClock
from node.inflight import InFlight

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def in_flight(tmp_path: Path, clock: ManualClock, chance: Callable[[int], bytes]) -> InFlight:
    return InFlight(tmp_path / "inflight", clock=clock, random=chance)


def _seal(in_flight: InFlight) -> bytes:
    return in_flight.seal(b"one-time seed", place="transfer.seed", row=b"1")


def test_what_was_sealed_opens_again_also_after_a_restart(
    in_flight: InFlight, tmp_path: Path, clock: ManualClock, chance: Callable[[int], bytes]
) -> None:
    sealed = _seal(in_flight)
    clock.advance(timedelta(days=2))
    again = InFlight(tmp_path / "inflight", clock=clock, random=chance)
    assert again.unseal(sealed, place="transfer.seed", row=b"1") == b"one-time seed"
    assert again.day_of(sealed) == date(2026, 3, 14)


def test_there_is_one_private_key_file_a_day(in_flight: InFlight, tmp_path: Path, clock: ManualClock) -> None:
    _seal(in_flight)
    _seal(in_flight)
    clock.advance(timedelta(days=1))
    _seal(in_flight)
    files = sorted((tmp_path / "inflight").iterdir())
    assert [each.name for each in files] == ["2026-03-14.key", "2026-03-15.key"]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 and each.stat().st_size == 32 for each in files)
    assert stat.S_IMODE((tmp_path / "inflight").stat().st_mode) == 0o700
    assert files[0].read_bytes() != files[1].read_bytes()


def test_a_key_whose_destruction_a_power_cut_ended_is_no_key_and_seals_nothing(
    in_flight: InFlight, tmp_path: Path, clock: ManualClock, chance: Callable[[int], bytes]
) -> None:
    sealed = _seal(in_flight)
    (tmp_path / "inflight" / "2026-03-14.key").write_bytes(bytes(32))  # overwritten; its name came back
    again = InFlight(tmp_path / "inflight", clock=clock, random=chance)  # and the clock went back to that day
    with pytest.raises(CannotOpen):
        again.unseal(sealed, place="transfer.seed", row=b"1")
    anew = _seal(again)
    assert (tmp_path / "inflight" / "2026-03-14.key").read_bytes() != bytes(32)
    third = InFlight(tmp_path / "inflight", clock=clock, random=chance)
    assert third.unseal(anew, place="transfer.seed", row=b"1") == b"one-time seed"


def test_pruning_destroys_only_old_keys_that_nothing_uses(
    in_flight: InFlight, tmp_path: Path, clock: ManualClock
) -> None:
    sealed = {}
    for _ in range(4):
        sealed[clock.now().date()] = _seal(in_flight)
        clock.advance(timedelta(days=1))
    clock.advance(timedelta(days=-1))  # 17 March; keys of the 14th to the 17th
    assert in_flight.prune([date(2026, 3, 15)]) == 1
    assert in_flight.prune([date(2026, 3, 15)]) == 0
    assert sorted(each.name for each in (tmp_path / "inflight").iterdir()) == [
        "2026-03-15.key",
        "2026-03-16.key",
        "2026-03-17.key",
    ]
    for day, each in sealed.items():
        if day == date(2026, 3, 14):
            with pytest.raises(CannotOpen):
                in_flight.unseal(each, place="transfer.seed", row=b"1")
        else:
            assert in_flight.unseal(each, place="transfer.seed", row=b"1") == b"one-time seed"


def test_without_the_days_key_file_nothing_opens_as_after_a_restore(
    in_flight: InFlight, tmp_path: Path, clock: ManualClock, chance: Callable[[int], bytes]
) -> None:
    sealed = _seal(in_flight)
    restored = InFlight(tmp_path / "restored", clock=clock, random=chance)
    with pytest.raises(CannotOpen):
        restored.unseal(sealed, place="transfer.seed", row=b"1")
    assert list((tmp_path / "restored").iterdir()) == []


def test_a_key_of_another_day_row_or_place_does_not_open(in_flight: InFlight, clock: ManualClock) -> None:
    sealed = _seal(in_flight)
    clock.advance(timedelta(days=1))
    tomorrow = _seal(in_flight)
    redated = tomorrow[:4] + sealed[4:]
    for attempt, place, row in (
        (redated, "transfer.seed", b"1"),
        (sealed, "transfer.seed", b"2"),
        (sealed, "transfer.key", b"1"),
        (sealed[:10], "transfer.seed", b"1"),
        (b"", "transfer.seed", b"1"),
        (b"\xff" * 60, "transfer.seed", b"1"),
    ):
        with pytest.raises(CannotOpen):
            in_flight.unseal(attempt, place=place, row=row)


def test_a_key_file_cut_short_is_refused_and_not_replaced(
    tmp_path: Path, clock: ManualClock, chance: Callable[[int], bytes]
) -> None:
    folder = tmp_path / "inflight"
    in_flight = InFlight(folder, clock=clock, random=chance)
    (folder / "2026-03-14.key").write_bytes(bytes(31))
    with pytest.raises(CannotOpen):
        _seal(in_flight)
    assert (folder / "2026-03-14.key").read_bytes() == bytes(31)
